"""What our code uses of the hosts' `modules` into host_api.json: which host has it, with which signature.

    python tests/support/record_host_api.py a1111=../hosts/a1111 "a1111-1.6=/tmp/old#5ef669de of 2023-08-31" …

reads sources only; no host is run. Of a folder without git, what follows # says where it is from. The tests
compare our code (`used()`) with the record, so that drift of either is seen without a host.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RECORD = Path(__file__).with_name("host_api.json")
CODE = ("sadtalker_ext/a1111", "sadtalker_ext/page", "scripts")

# What instances in a module are made from, where hosts differ in how they say so.
INSTANCES: dict[str, tuple[str, ...]] = {
    "shared.state": ("shared_state.State",),
    "shared.opts": ("options.Options", "shared.Options"),
}
# Modules under another name in SD.Next; our code takes whichever there is.
OTHER_NAMES = {"infotext_utils": "generation_parameters_copypaste", "ui_tempdir": "gr_tempdir"}
GUARDS = ("ImportError", "ModuleNotFoundError", "AttributeError", "Exception")


@dataclass(frozen=True)
class Use:
    """One use of a name such as “shared.state.begin”.

    guarded: the code copes with a host without it. call: how many arguments by position, and which by name;
    None where it is not called, or with arguments that cannot be counted.
    """

    name: str
    place: str
    guarded: bool
    call: tuple[int, tuple[str, ...]] | None = None


def used() -> list[Use]:
    """Everything that our code uses of `modules`."""
    files = [path for folder in CODE for path in sorted((ROOT / folder).rglob("*.py"))]
    return [use for path in files for use in uses_in(path)]


def uses_in(path: Path) -> Iterator[Use]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    scopes = [
        _Scope(node, tree, path) for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.Module))
    ]
    # Two rounds: a function may return part of the host, and another may use it.
    returned = {scope.name: name for scope in scopes if (name := scope.returned())}
    asked = {name for scope in scopes for name in scope.asked()}
    for scope in scopes:
        yield from scope.uses(returned, asked)


class _Scope:
    """A function (or the top of a module) in which names stand for parts of the host."""

    def __init__(self, scope: ast.FunctionDef | ast.Module, tree: ast.Module, path: Path) -> None:
        self.name = getattr(scope, "name", "(top)")
        self.place = f"{path.relative_to(ROOT).as_posix()}:{self.name}"
        self.nodes = list(_own_nodes(scope))
        self.outer = [] if scope is tree else list(_own_nodes(tree))
        self.names: dict[str, str] = {}
        self.functions: dict[str, str] = {}
        self._learn_all()

    def _learn_all(self) -> None:
        for node in (*self.outer, *self.nodes):
            self._learn(node)

    def returned(self) -> str | None:
        """The part of the host that this function returns, if it does."""
        values = [node.value for node in self.nodes if isinstance(node, ast.Return)]
        return next(
            (self.names[v.id] for v in values if isinstance(v, ast.Name) and v.id in self.names), None
        )

    def asked(self) -> Iterator[str]:
        """Names that the code looks for with hasattr or getattr before it uses them."""
        for node in self.nodes:
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) >= 2):
                continue
            name, key = self._resolve(node.args[0]), node.args[1]
            if node.func.id in ("hasattr", "getattr") and name and isinstance(key, ast.Constant):
                yield f"{name}.{key.value}"

    def uses(self, returned: dict[str, str], asked: set[str]) -> Iterator[Use]:
        self.functions = returned
        self._learn_all()
        safe = {
            id(inner)
            for node in self.nodes
            if isinstance(node, ast.Try) and any(_is_guard(handler) for handler in node.handlers)
            for statement in node.body
            for inner in ast.walk(statement)
        }
        calls = {id(node.func): node for node in self.nodes if isinstance(node, ast.Call)}
        for node in self.nodes:
            guarded = id(node) in safe
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "modules":
                prefix = (node.module or "").partition(".")[2]
                for alias in node.names:
                    name = f"{prefix}.{alias.name}" if prefix else alias.name
                    # In a handler is what takes the place of what could not be imported.
                    yield Use(name, self.place, guarded or self._in_handler(node))
            elif isinstance(node, (ast.Attribute, ast.Name)):
                name = self._resolve(node)
                call = calls.get(id(node))
                if name is not None and ("." in name or call is not None):
                    yield Use(name, self.place, guarded or name in asked, _shape(call))

    def _in_handler(self, wanted: ast.AST) -> bool:
        return any(
            inner is wanted
            for node in self.nodes
            if isinstance(node, ast.ExceptHandler)
            for inner in ast.walk(node)
        )

    def _learn(self, node: ast.AST) -> None:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "modules":
            prefix = (node.module or "").partition(".")[2]
            for alias in node.names:
                name = f"{prefix}.{alias.name}" if prefix else alias.name
                # The first import counts; one in a handler brings the same under its other name.
                self.names.setdefault(alias.asname or alias.name, name)
        elif isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
            pairs = [(target, value)]
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs = list(zip(target.elts, value.elts, strict=True))
            for left, right in pairs:
                name = self._resolve(right)
                if isinstance(left, ast.Name) and name is not None:
                    self.names[left.id] = name

    def _resolve(self, node: ast.AST) -> str | None:
        if isinstance(node, ast.Name):
            return self.names.get(node.id)
        if isinstance(node, ast.Attribute):
            inner = self._resolve(node.value)
            return inner and f"{inner}.{node.attr}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "host_module":
                argument = node.args[0]
                return str(argument.value) if isinstance(argument, ast.Constant) else None
            return self.functions.get(node.func.id)
        return None


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions inside it."""
    for child in ast.iter_child_nodes(scope):
        yield child
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _own_nodes(child)


def _shape(call: ast.Call | None) -> tuple[int, tuple[str, ...]] | None:
    if call is None or any(isinstance(argument, ast.Starred) for argument in call.args):
        return None
    names = [keyword.arg for keyword in call.keywords]
    return None if None in names else (len(call.args), tuple(str(name) for name in names))


def _is_guard(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(kind, ast.Name) and kind.id in GUARDS for kind in kinds)


class Source:
    """A host's source: what there is in its `modules`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def describe(self, name: str) -> str | None:
        """A signature such as “(id_job)”, “value” or “module”; None where the host has no such thing."""
        module, _, rest = name.partition(".")
        paths = [self.root / "modules" / f"{module}.py", self.root / "modules" / module / "__init__.py"]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            other = OTHER_NAMES.get(module)
            return self.describe(f"{other}.{rest}") if other and rest else None
        if not rest:
            return "module"
        for instance, classes in INSTANCES.items():
            if name.startswith(f"{instance}."):
                found = (self.describe(made_from + name[len(instance) :]) for made_from in classes)
                return next((text for text in found if text), None)
        return self._find(ast.parse(path.read_text(encoding="utf-8")), rest.split("."))

    def _find(self, tree: ast.Module | ast.ClassDef, parts: list[str]) -> str | None:
        for node in _statements(tree):
            if isinstance(node, ast.FunctionDef) and node.name == parts[0]:
                return "value" if _is_property(node) else f"({ast.unparse(node.args)})"
            if isinstance(node, ast.ClassDef) and node.name == parts[0]:
                if len(parts) > 1:
                    return self._find(node, parts[1:])
                made = self._find(node, ["__init__"])
                return f"class{made or '()'}"
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and parts[0] in _targets(node):
                return self._assigned(node, parts)
            if isinstance(node, ast.ImportFrom) and any(
                parts[0] == (alias.asname or alias.name) for alias in node.names
            ):
                return self._imported(node, parts)
        return None

    def _assigned(self, node: ast.Assign | ast.AnnAssign, parts: list[str]) -> str | None:
        # OptionInfo = options.OptionInfo, in shared
        value = node.value
        if isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name) and parts[0] == value.attr:
            return self.describe(".".join([value.value.id, *parts])) or "value"
        return "value"

    def _imported(self, node: ast.ImportFrom, parts: list[str]) -> str:
        original = next(alias.name for alias in node.names if parts[0] == (alias.asname or alias.name))
        module = (node.module or "").partition("modules.")[2]
        return (self.describe(".".join([module, original, *parts[1:]])) if module else None) or "value"


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Statements of a module or class, also those inside `if`, `try` and `with`."""
    for node in ast.iter_child_nodes(tree):
        yield node
        if isinstance(node, (ast.If, ast.Try, ast.With, ast.ExceptHandler)):
            yield from _statements(node)
        elif isinstance(node, ast.FunctionDef) and node.name == "__init__":
            yield from (inner for inner in ast.walk(node) if isinstance(inner, (ast.Assign, ast.AnnAssign)))


def _is_property(node: ast.FunctionDef) -> bool:
    return any(
        "property" in ast.unparse(mark) or "setter" in ast.unparse(mark) for mark in node.decorator_list
    )


def _targets(node: ast.Assign | ast.AnnAssign) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    found: set[str] = set()
    for target in targets:
        for inner in target.elts if isinstance(target, ast.Tuple) else [target]:
            if isinstance(inner, ast.Name):
                found.add(inner.id)
            elif isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name):
                found.add(inner.attr if inner.value.id == "self" else "")
    return found


def main(arguments: list[str]) -> None:
    names = sorted({use.name for use in used()})
    record = {}
    for argument in arguments:
        host, _, place = argument.partition("=")
        folder, _, commit = place.partition("#")
        source = Source(Path(folder))
        commit = (
            commit
            or subprocess.check_output(
                ["git", "-C", folder, "log", "-1", "--format=%h of %cs"], text=True
            ).strip()
        )
        record[host] = {"source": commit, "names": {name: source.describe(name) for name in names}}
    RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
