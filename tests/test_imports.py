"""Importing is cheap, and imports point one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "sadtalker_ext"
HEAVY = {"torch", "librosa", "cv2", "mediapipe", "gradio", "kornia", "numpy", "PIL", "scipy", "pocketsphinx"}


@pytest.mark.parametrize(
    "statement",
    ["import sadtalker_ext", "import sadtalker_ext.cli; sadtalker_ext.cli.build_parser()"],
)
def test_nothing_heavy_is_loaded(statement):
    code = f"import sys; {statement}; print(*sorted(m for m in sys.modules if '.' not in m))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(loaded.stdout.split())


def test_public_names_all_resolve():
    import sadtalker_ext

    for name in sadtalker_ext.__all__:
        assert getattr(sadtalker_ext, name) is not None
    with pytest.raises(AttributeError):
        _ = sadtalker_ext.nothing


def imported_rooms(path: Path) -> set[str]:
    """First-level rooms of the package that a module imports, relative imports resolved."""
    home = path.relative_to(PACKAGE).parts[:-1]
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*home[: len(home) - node.level + 1], *(node.module or "").split(".")]
            base = [part for part in base if part]
            names = [alias.name for alias in node.names] if not base else [base[0]]
            rooms.update(names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sadtalker_ext."):
            rooms.add((node.module or "").split(".")[1])
    return rooms


STAGES = ("audio", "face", "mesh", "motion", "render", "enhance", "video", "networks", "evaluation")


@pytest.mark.parametrize("room", STAGES)
def test_stages_never_import_what_stands_above_them(room):
    above = {"pipeline", "engines", "cli", "console", "host", "webui", "__main__"}
    for path in (PACKAGE / room).rglob("*.py"):
        assert not imported_rooms(path) & above, path.name


def test_meshes_are_known_to_what_draws_and_moves_them_and_know_neither():
    for path in (PACKAGE / "mesh").rglob("*.py"):
        assert not imported_rooms(path) & {"render", "motion", "training", "evaluation"}, path.name


def test_nothing_but_the_command_line_imports_training():
    for path in PACKAGE.rglob("*.py"):
        if path.parent == PACKAGE or "training" in path.relative_to(PACKAGE).parts:
            continue
        assert "training" not in imported_rooms(path), path.name
    for path in (PACKAGE / "training").rglob("*.py"):
        assert not imported_rooms(path) & {"pipeline", "engines", "cli", "console", "webui"}, path.name


def test_networks_import_no_other_room():
    for path in (PACKAGE / "networks").rglob("*.py"):
        assert imported_rooms(path) <= {"networks", "errors"}, path.name
