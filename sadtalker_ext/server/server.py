"""`sadtalker serve`: the tab and the REST API as a server of our own, until it is stopped."""

from __future__ import annotations

import errno
import logging
import os
import socket
import tempfile
import webbrowser
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DependencyError, OptionsError, OutputError
from ..system import interrupts, leftovers
from ..system.requirements import release
from ..version import __version__

if TYPE_CHECKING:
    from ..api import Jobs
    from .standalone import StandaloneShell

PORT = 7865
PORTS_TRIED = 50  # the wanted one and those after it
HIGHEST_PORT = 65535
GRACE_SECONDS = 2  # for open connections when the server is stopped
STOP_SECONDS = 10.0  # for the run that is cancelled then
LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")
# The extra “webui”: gradio 4 does not run with later versions of the other three.
INSTALL_LINE = (
    'pip install "gradio>=3.41.2,<5" "python-multipart>=0.0.6" "huggingface-hub<1" "pydantic<2.11" '
    '"starlette<1"'
)


@dataclass(frozen=True)
class ServerSettings:
    """How to serve.

    host: address to listen on. port: the wanted port; the next free one is taken where it is in use.
    auth: "user:password", more of them after commas; None lets everybody in who reaches the server.
    open_page: show the page in the browser. downloads: weights may be fetched when asked for.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    output_dir: Path | None = None
    models_dir: Path | None = None
    device: str = "auto"
    auth: str | None = None
    open_page: bool = False
    downloads: bool = True


def serve(settings: ServerSettings, announce: Callable[[str], None]) -> None:
    """Serve until Ctrl-C; a run that is not finished then is cancelled and leaves nothing.

    announce: gets the sentences to show. Raises a `SadTalkerError` where it cannot begin.
    """
    check_gradio()
    if not _is_local(settings) and not settings.auth:
        raise OptionsError(
            f"Anyone who can reach {settings.host} could use this page; "
            "add --auth USER:PASSWORD, or leave --host out to serve this computer only."
        )
    with (
        listen(settings.host, settings.port) as listener,
        leftovers.folder("page") as folder,
    ):
        os.environ["GRADIO_TEMP_DIR"] = str(folder)  # read while the page is built
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        _serve_on(listener, settings, announce)


def _serve_on(listener: socket.socket, settings: ServerSettings, announce: Callable[[str], None]) -> None:
    from ..api import Jobs, credentials

    who = credentials(settings.auth)
    shell = _shell(settings)
    jobs = Jobs(shell)
    port = listener.getsockname()[1]
    address = f"http://{_reachable(settings.host)}:{port}/"
    app = build_app(shell, who, jobs, address)

    def ready() -> None:
        if settings.port not in (0, port):
            announce(f"Port {settings.port} is in use; {port} is taken instead.")
        announce(f"SadTalker is at {address} (results in {shell.settings().output_dir}); Ctrl-C ends it.")
        if settings.open_page:
            webbrowser.open(address)

    try:
        with suppress(KeyboardInterrupt), interrupts.raising():  # how uvicorn tells that it was stopped
            _server(app, shell, ready).run(sockets=[listener])
    finally:
        shell.close()
        jobs.close()
        if not shell.wait_until_idle(STOP_SECONDS):
            announce("A run did not stop in time.")
    announce("Stopped.")


def _shell(settings: ServerSettings) -> StandaloneShell:
    from .standalone import StandaloneShell

    shell = StandaloneShell(
        settings.output_dir,
        settings.models_dir,
        device=_checked_device(settings.device),
        downloads=settings.downloads,
        local=_is_local(settings),
    )
    _check_output_dir(shell.settings().output_dir)
    return shell


def _is_local(settings: ServerSettings) -> bool:
    return settings.host in LOCAL_NAMES


def _reachable(host: str) -> str:
    """What this computer calls a host that it serves."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (compared, not bound)
    return f"[{host}]" if ":" in host else host


def build_app(
    shell: StandaloneShell,
    credentials: Mapping[str, str] | None = None,
    jobs: Jobs | None = None,
    address: str | None = None,
) -> Any:
    """The ASGI app: the tab at "/", its progress at "/sadtalker/internal/progress", the REST API beside it.

    credentials: user → password of those who may use any of it; None is anybody on this computer. jobs: those
    of the REST API; None is the process's own. address: where the server reaches itself: the queue of
    gradio 3 asks its own server by HTTP, else wherever the first page says that it is.
    """
    import gradio as gr
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import JSONResponse

    from ..api import mount
    from ..page.words import temporary_folder
    from .front_door import EVENT_LIMITS, GRADIO3_EVENT_BYTES, FrontDoor
    from .page import build_page
    from .uploads import Uploads

    async def progress(request: Request) -> JSONResponse:
        try:
            asked = await request.json()
            task = str(asked["id_task"])
            wanted = asked.get("live_preview", True)
            last = int(asked.get("id_live_preview") or 0) if wanted else None
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            return JSONResponse({"detail": "Send a JSON object with id_task."}, status_code=422)
        return JSONResponse(shell.progress(task, last))

    page = build_page(shell)
    # Its document, but not the pages that show it: those load scripts from elsewhere.
    app = FastAPI(title="SadTalker", version=__version__, docs_url=None, redoc_url=None)
    app.add_route("/sadtalker/internal/progress", progress, methods=["POST"])
    mount(app, shell, credentials, jobs)
    gr.mount_gradio_app(app, page, path="/")
    old = gr.__version__.startswith("3.")
    door = FrontDoor(
        app,
        uploads=Uploads(temporary_folder(), EVENT_LIMITS),
        credentials=credentials,
        folders=[shell.settings().output_dir],
        event_bytes=GRADIO3_EVENT_BYTES if old else EVENT_LIMITS.json_bytes,
    )
    if address is not None and old:
        page._queue.set_url(address.rstrip("/") + door.side_door + "/")
    return door


def check_gradio() -> None:
    """Raises `DependencyError` unless a gradio is installed that the page is written for."""
    try:
        found = version("gradio")
    except PackageNotFoundError:
        told = f"The page needs gradio, which is not installed; install it with: {INSTALL_LINE}"
        raise DependencyError(told) from None
    if not (3, 41) <= release(found) < (5,):
        told = f"The page needs gradio 3.41 to 4.x, not {found}; install one with: {INSTALL_LINE}"
        raise DependencyError(told)
    try:
        import gradio  # noqa: F401
    except Exception as error:  # whatever a mismatch of versions breaks in there
        told = f"gradio {found} cannot be loaded ({error}); install what it needs with: {INSTALL_LINE}"
        raise DependencyError(told) from error


def listen(host: str, port: int) -> socket.socket:
    """A listening socket at the wanted port, or at the next free one; raises `OptionsError`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
    except (OSError, UnicodeError) as error:
        raise OptionsError(f"--host {host} is no address of this computer; leave it out.") from error
    wanted = range(port, min(port + PORTS_TRIED, HIGHEST_PORT + 1)) if port else range(1)
    for tried in (*wanted, 0):
        listener = socket.socket(family, kind, protocol)
        if os.name == "posix":  # elsewhere this would let two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address[0], tried, *address[2:]))
            listener.listen()
            return listener
        except OSError as error:
            listener.close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                told = f"Cannot listen on {host} ({error.strerror or error}); leave --host out."
                raise OptionsError(told) from error
    raise OptionsError("No port is free; close other servers.")


def _checked_device(device: str) -> str:
    if device in ("auto", "cpu"):
        return device
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        told = f"torch cannot compute on {device!r} here; leave --device out to take the best one there is."
        raise OptionsError(told) from error
    return device


def _check_output_dir(folder: Path) -> None:
    """Refuse at the start, rather than after the first run, a folder that cannot be written."""
    try:
        made = not folder.is_dir()
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        if made:
            folder.rmdir()
    except OSError as error:
        why = error.strerror or error
        told = f"Results cannot be written to {folder} ({why}); name another --output-dir."
        raise OutputError(told) from error


def _server(app: Any, shell: StandaloneShell, ready: Callable[[], None]) -> Any:
    import uvicorn

    from .connections import MOST_HEADER_BYTES, MOST_MESSAGE_BYTES, Connection

    class Server(uvicorn.Server):
        async def startup(self, *args: Any, **kwargs: Any) -> None:
            await super().startup(*args, **kwargs)
            if self.started:
                ready()

        def handle_exit(self, *args: Any) -> None:
            shell.close()  # a run that goes on would keep its connection, and so the server, open
            # How connections of open pages end now is no news.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            super().handle_exit(*args)

    settings: dict[str, Any] = {
        **{"log_level": "warning", "access_log": False, "timeout_graceful_shutdown": GRACE_SECONDS},
        **{"http": Connection, "h11_max_incomplete_event_size": MOST_HEADER_BYTES},
        "ws_max_size": MOST_MESSAGE_BYTES,
    }
    return Server(uvicorn.Config(app, **settings))
