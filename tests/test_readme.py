"""The README tells the truth about knobs, commands and files."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

from sadtalker_ext.cli import build_parser

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_knobs_is_up_to_date():
    spec = importlib.util.spec_from_file_location("make_readme", ROOT / "docs" / "make_readme.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.with_knobs(README) == README, "run: python docs/make_readme.py"


def test_every_linked_file_exists():
    for document in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_command_in_the_readme_parses():
    commands = re.findall(r"^sadtalker (.+?)(?:\s+#.*)?$", README, flags=re.MULTILINE)
    assert len(commands) >= 5
    for command in commands:
        build_parser().parse_args(shlex.split(command))


def test_the_second_command_is_what_ci_runs():
    block = next(b for b in re.findall(r"```bash\n(.+?)\n```", README, flags=re.DOTALL) if "pytest" in b)
    assert block in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
