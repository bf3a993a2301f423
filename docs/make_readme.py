"""Write the table of knobs in README.md from the options: `python docs/make_readme.py`."""

from __future__ import annotations

import re
from pathlib import Path

from sadtalker_ext.options import knobs

README = Path(__file__).resolve().parents[1] / "README.md"


def knob_table() -> str:
    """The table of all knobs in Markdown."""
    lines = ["| flag | what it does | values | default |", "| --- | --- | --- | --- |"]
    for knob in knobs():
        default = "" if knob.default is None or knob.kind == "bool" else f"`{knob.default}`"
        values = "" if knob.kind == "bool" else knob.expected()
        flag = f"`{knob.flag}`"
        if knob.kind == "bool" and knob.default:
            flag, default = f"`--no-{knob.flag[2:]}`", f"`{knob.flag}`"
        lines.append(f"| {flag} | {knob.help} | {values} | {default} |")
    return "\n".join(lines)


def with_knobs(text: str) -> str:
    """README text with its table of knobs brought up to date."""
    block = f"<!-- knobs -->\n{knob_table()}\n<!-- /knobs -->"
    return re.sub(r"<!-- knobs -->.*?<!-- /knobs -->", lambda _: block, text, flags=re.DOTALL)


if __name__ == "__main__":
    README.write_text(with_knobs(README.read_text(encoding="utf-8")), encoding="utf-8")
