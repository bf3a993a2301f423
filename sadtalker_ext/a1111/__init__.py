"""The WebUI's callbacks into a tab, buttons, settings and REST routes; nothing here raises into the host.

Importing this loads neither gradio nor the host: the page's modules are loaded when the host builds its page.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..system import caches, installation
from ..system.paths import ROOT

LOGGER = logging.getLogger(__name__)
TITLE, TAB_ID = "SadTalker", "sadtalker"


def is_outdated(root: str) -> bool:
    """Whether the extension in folder `root` should load its own code in the place of what is loaded here.

    So if its files have changed, or if what is loaded belongs to a copy that is no longer in use. The loaded
    code hands back its memory before it goes.
    """
    outdated = installation.changed_on_disk() if Path(root) == ROOT else ROOT not in _active_extensions()
    if outdated:
        with suppress(Exception):  # it goes in any case
            caches.release()
    return outdated


def register(root: str) -> type | None:
    """Give the host our callbacks; called by the script in extension folder `root`, and again on Reload UI.

    Returns the class of the always-visible script, or None where there is none.
    """
    if Path(root) != ROOT:
        installation.note_copy(root)
        return None
    installation.forget_failures()
    if installation.other_copies():
        installation.keep_copies(_active_extensions())
    # To learn whose callback it is, hosts look for the source of every frame that called them, and for frames
    # of a script that is just being loaded search all modules in vain: 0.7 s. A thread has none of those.
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(_add_callbacks).result()
    return _guarded("Animate after generation", _script_class)()


def _add_callbacks() -> None:
    from modules import script_callbacks

    for event, part, callback in (
        ("on_ui_settings", "The settings page", _add_settings),
        ("on_before_ui", "The send-to buttons", _begin_page),
        ("on_after_component", "The send-to buttons", _see_component),
        ("on_app_started", "The REST API", _mount_api),
    ):
        add = getattr(script_callbacks, event, None)  # old hosts and SD.Next lack some
        if add is not None:
            add(_guarded(part, callback))
    script_callbacks.on_ui_tabs(_tabs)


def _add_settings() -> None:
    from .settings_page import add_settings

    add_settings()


def _begin_page() -> None:
    from .send_to import forget

    forget()


def _see_component(component: Any, **kwargs: Any) -> None:
    from .send_to import remember

    remember(component, **kwargs)


def _tabs() -> list[tuple[Any, str, str]]:
    try:
        with _gradio_context_kept():
            from ..page.tab import build_tab
            from .webui_shell import the_shell

            blocks = build_tab(the_shell())
    except Exception as error:  # the tab must appear whatever happens
        _note("The tab", error)
        return [(_problem_tab(error), TITLE, TAB_ID)]
    _guarded("The send-to buttons", _connect)(blocks)
    return [(blocks, TITLE, TAB_ID)]


def _problem_tab(error: Exception) -> Any:
    try:
        from ..page.health import problem_tab

        return problem_tab(error, host=_host_name())
    except Exception as second:  # as above
        _note("The page about problems", second)
        import gradio as gr

        with gr.Blocks(analytics_enabled=False) as blocks:
            gr.Markdown(f"### SadTalker could not be loaded\n`{error!r}`\n\n`{second!r}`")
        return blocks


def _host_name() -> str:
    try:
        from .webui_shell import the_shell

        return the_shell().name
    except Exception:  # what builds the shell may be what is broken
        return ""


def _connect(blocks: Any) -> None:
    from .send_to import connect

    connect(blocks)


def _mount_api(demo: Any, app: Any) -> None:
    from modules import shared

    flags = shared.cmd_opts
    if not (getattr(flags, "api", False) or getattr(flags, "nowebui", False)):
        return
    from ..api import credentials, mount
    from .webui_shell import the_shell

    mount(app, the_shell(), credentials(_passwords(flags)))


def _passwords(flags: Any) -> str | None:
    """Who may use the host's API, as "user:password,user:password"; None where anybody may.

    SD.Next names its flags differently and may keep passwords in a file, one or more a line.
    """
    named: list[str | None] = [getattr(flags, name, None) for name in ("api_auth", "auth")]
    if not any(named) and (file := getattr(flags, "auth_file", None)):
        named = [*Path(file).read_text(encoding="utf-8").split()]
    return ",".join(text.strip('"') for text in named if text) or None


def _script_class() -> type | None:
    from modules import scripts

    from . import after_generation

    for value in vars(after_generation).values():
        if inspect.isclass(value) and issubclass(value, scripts.Script) and value is not scripts.Script:
            return value
    return None


def _guarded(part: str, callback: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return callback(*args, **kwargs)
        except Exception as error:  # the host and other extensions must go on
            _note(part, error)
            return None

    return guarded


def _note(part: str, error: Exception) -> None:
    if installation.note_failure(part, error):  # some callbacks fire hundreds of times
        LOGGER.error("SadTalker: %s could not be added.", part.lower(), exc_info=error)


@contextmanager
def _gradio_context_kept() -> Iterator[None]:
    """Where gradio puts new components is as before, even when building ended half-way."""
    from gradio.context import Context

    before = Context.root_block, Context.block
    try:
        yield
    except BaseException:
        Context.root_block, Context.block = before
        raise


def _active_extensions() -> set[Path]:
    """Folders of the extensions that the host uses."""
    from modules import extensions

    return {Path(extension.path).resolve() for extension in extensions.active()}
