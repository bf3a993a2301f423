"""The tab into a whole page: theme, title, footer, and the script and the style that a WebUI would add."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DependencyError
from ..system.paths import ROOT
from ..version import __version__

if TYPE_CHECKING:
    from ..shell import Shell

TITLE = "SadTalker"
QUEUE_SLOTS = 64  # listeners that run at once; runs themselves wait for one another in the shell
MOST_WAITING = 256  # calls of listeners; gradio would let any number wait
SCRIPT, STYLE = Path("javascript", "sadtalker.js"), Path("style.css")
FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
CODE_FONTS = ("ui-monospace", "Consolas", "monospace")

PAGE_STYLE = """
.gradio-container { max-width: 1400px !important; }
footer { display: none !important; }
.sadtalker-footer { opacity: .6; font-size: .8rem; text-align: center; }
"""


def build_page(shell: Shell) -> Any:
    """The tab as a page of its own, a `gr.Blocks` ready to be mounted."""
    import gradio as gr

    from ..page.tab import build_tab

    tab = build_tab(shell)
    # Fonts of the computer itself: a page on one's own computer asks no other server for anything.
    theme = gr.themes.Default(font=FONTS, font_mono=CODE_FONTS)
    with gr.Blocks(title=TITLE, theme=theme, css=PAGE_STYLE, analytics_enabled=False) as page:
        with gr.Column(elem_id="tab_sadtalker"):
            tab.render()
        gr.HTML(f'<p class="sadtalker-footer">sadtalker-ext {__version__}</p>')
    slots = "concurrency_count" if gr.__version__.startswith("3.") else "default_concurrency_limit"
    page.queue(**{slots: QUEUE_SLOTS}, max_size=MOST_WAITING, api_open=False)
    page.show_api = False
    page.allowed_paths = [str(shell.settings().output_dir)]
    return page


def asset(path: Path) -> Path:
    """A file of the extension's face: in the checkout, or where an installed package keeps it.

    Raises `DependencyError` where it is missing.
    """
    schemes = (sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user"))
    shared = (Path(sysconfig.get_path("data", scheme), "share", "sadtalker") for scheme in schemes)
    for folder in (ROOT, *shared):
        if (folder / path).is_file():
            return folder / path
    raise DependencyError(f"{path.name}, a part of the page, is missing; install sadtalker-ext again.")
