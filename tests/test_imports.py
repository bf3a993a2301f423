"""Importing is cheap, and imports point one way."""

from __future__ import annotations

import ast
import inspect
import os
import pydoc
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

HEAVY = {
    "torch",
    "librosa",
    "cv2",
    "mediapipe",
    "gradio",
    "kornia",
    "numpy",
    "PIL",
    "scipy",
    "pocketsphinx",
    "transformers",
    "safetensors",
    "soxr",
    "imageio",
    "tqdm",
}

VERBS = (
    *("animate", "make_motion", "render_track", "load_track", "save_track"),
    *("load_portrait", "load_speech", "speak"),
)
# The files and folders directly in the package. Each imports only those of earlier lines.
LAYERS = """
    errors version user_folders
    system options host
    audio face tracks checkpoints
    video mesh request enhance
    motion training shell
    engines
    evaluation
    pipeline
    live batch page api
    server a1111
    cli
    __main__ __init__
"""
LAYER = {part: number for number, line in enumerate(LAYERS.strip().splitlines()) for part in line.split()}
ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "sadtalker_ext"
FILES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
    for file in PACKAGE.rglob("*.py")
}


@cache
def imports(module: str) -> frozenset[str]:
    """The modules of the package that one imports: at its top, in its functions, and for types alone."""
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    return frozenset(name for node in ast.walk(tree) for name in imported(module, node)) - {module}


def imported(module: str, node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in FILES)
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            folders = node.level - (FILES[module].name == "__init__.py")
            package = ".".join(module.split(".")[: -folders or None])
            base = f"{package}.{base}".rstrip(".")
        for alias in node.names:
            name = f"{base}.{alias.name}"
            if name in FILES or base in FILES:
                yield name if name in FILES else base


def part(module: str) -> str:
    """What of the package a module is or lies in."""
    return [*module.split("."), "__init__"][1]


def engine(module: str) -> str | None:
    """The engine whose folder a module lies in."""
    _, *names = module.split(".")
    is_own = names[:1] == ["engines"] and len(names) > 1 and (PACKAGE / "engines" / names[1]).is_dir()
    return names[1] if is_own else None


def may_import(module: str, target: str) -> bool:
    if part(module) != part(target):
        return LAYER[part(target)] < LAYER[part(module)] and engine(target) is None
    # Engines know nothing of each other; what all have in common, and the table, lies above their folders.
    return engine(module) is None or engine(target) in (None, engine(module))


@pytest.mark.parametrize(
    "statement",
    ["import sadtalker_ext", "import sadtalker_ext.cli; sadtalker_ext.cli.build_parser()"],
)
def test_nothing_heavy_is_loaded(statement):
    code = f"import sys; {statement}; print(*sorted(m for m in sys.modules if '.' not in m))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(loaded.stdout.split())


def test_without_any_package_the_requirements_can_be_read():
    """What install.py asks for has to load where everything is missing, with the row of every engine."""
    code = "import sadtalker_ext.system.requirements as r, sadtalker_ext.engines as e; print(len(e.ENGINES))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-S", "-c", code]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert int(told.stdout) >= 3


def test_public_names_all_resolve():
    import sadtalker_ext

    assert dir(sadtalker_ext) == sorted(sadtalker_ext.__all__)
    for name in sadtalker_ext.__all__:
        assert getattr(sadtalker_ext, name) is not None
    with pytest.raises(AttributeError):
        _ = sadtalker_ext.nothing


def test_help_shows_the_verbs_and_says_how_they_are_called():
    import sadtalker_ext

    shown = pydoc.render_doc(sadtalker_ext, renderer=pydoc.plaintext)
    for name in VERBS:
        verb = getattr(sadtalker_ext, name)
        assert f"{name}(" in shown
        assert "Raises" in verb.__doc__ or name in ("make_motion", "render_track")  # as `animate`
        if name not in ("animate", "make_motion", "render_track"):
            for argument in inspect.signature(verb).parameters:
                assert argument in verb.__doc__, f"{name}: {argument}"


def test_a_fresh_session_knows_the_engines_and_their_spaces():
    code = (
        "import sys; import sadtalker_ext as st; st.load_track;"
        "assert 'sadtalker_ext.engines' in sys.modules; print(st.engines.ENGINES)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "instant: warps" in shown  # what it is called and what it does
    assert len(shown) < 1000


def test_every_file_has_its_layer():
    assert {part(module) for module in FILES} <= set(LAYER)


def test_imports_point_to_earlier_layers_and_past_the_engines_folders():
    wrong: dict[str, list[str]] = {}
    for module, file in FILES.items():
        targets = sorted(target for target in imports(module) if not may_import(module, target))
        if targets:
            wrong[file.relative_to(PACKAGE).as_posix()] = targets
    assert wrong == {}


def test_no_files_import_each_other_in_a_circle():
    try:
        TopologicalSorter({module: imports(module) for module in FILES}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_reader_of_imports_sees_every_kind():
    assert "sadtalker_ext.cli.train" in imports("sadtalker_ext.cli")  # from . import
    assert "sadtalker_ext.errors" in imports("sadtalker_ext.cli")  # from ..errors import
    assert "sadtalker_ext.pipeline" in imports("sadtalker_ext.cli.console")  # in a function
    assert "sadtalker_ext.engines" in imports("sadtalker_ext.cli.engines")  # for types
    assert "sadtalker_ext.cli" in imports("sadtalker_ext.__main__")
