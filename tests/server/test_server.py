"""`sadtalker serve`: addresses, refusals in a sentence, and the whole app without a browser."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from sadtalker_ext.cli import main
from sadtalker_ext.errors import DependencyError, OptionsError
from sadtalker_ext.server import page, server
from sadtalker_ext.server.server import ServerSettings, listen, serve

ROOT = Path(__file__).resolve().parents[2]


def test_a_port_in_use_gives_way_to_the_next_free_one() -> None:
    with listen("127.0.0.1", 0) as first:
        taken = first.getsockname()[1]
        with listen("127.0.0.1", taken) as second:
            assert second.getsockname()[1] != taken


@pytest.mark.parametrize("host", ["256.1.1.1", "no such host.example", "203.0.113.7", "a" * 300])
def test_an_address_of_another_computer_is_refused(host: str) -> None:
    with pytest.raises(OptionsError, match="--host"):
        listen(host, 0)


def test_serving_others_needs_a_password() -> None:
    pytest.importorskip("gradio")
    with pytest.raises(OptionsError, match="--auth USER:PASSWORD"):
        serve(ServerSettings(host="0.0.0.0"), print)


@pytest.mark.parametrize("found", [None, "3.40.0", "5.1.0", "2.9"])
def test_without_a_fitting_gradio_the_line_that_installs_it_is_told(
    found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        if found is None:
            raise server.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(server, "version", version)
    with pytest.raises(DependencyError) as error:
        server.check_gradio()
    assert server.INSTALL_LINE in str(error.value)


def test_a_gradio_that_breaks_on_import_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "version", lambda name: "4.44.1")
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(DependencyError, match=re.escape(server.INSTALL_LINE)):
        server.check_gradio()


def test_the_line_names_what_the_extra_names() -> None:
    extra = re.search(r"^webui = \[(.*)\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert extra is not None
    assert "pip install " + extra.group(1).replace(", ", " ") == server.INSTALL_LINE


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--port", "70000"], "--port"),
        (["--port", "x"], "--port"),
        (["--device", "abacus"], "--device"),
        (["--auth", "nocolon"], "password"),
        (["--output-dir", "{file}/out"], "--output-dir"),
    ],
)
def test_a_mistake_is_a_sentence(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("gradio")
    (tmp_path / "file").touch()
    arguments = [argument.format(file=tmp_path / "file") for argument in arguments]
    try:
        code = main(["serve", *arguments])
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    errors = capsys.readouterr().err
    assert told in errors
    assert "Traceback" not in errors
    assert errors.count("\n") == 1


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    pytest.importorskip("gradio")
    from fastapi.testclient import TestClient

    from sadtalker_ext.server.standalone import StandaloneShell

    folder = tmp_path_factory.mktemp("app")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "uploads"))
        app = server.build_app(StandaloneShell(folder / "results", folder / "models", device="cpu"))
        yield TestClient(app, base_url="http://127.0.0.1")


def test_page_api_and_progress_are_one_app(client: Any) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "<title>SadTalker</title>" in page.text or '"title":"SadTalker"' in page.text.replace(
        '": "', '":"'
    )
    assert client.get("/sadtalker/v1/version").status_code == 200
    assert client.get("/favicon.ico").status_code == 204
    told = client.post("/sadtalker/internal/progress", json={"id_task": "task(x)"})
    assert told.status_code == 200
    assert told.json()["active"] is False


@pytest.mark.parametrize("body", ["", "[]", "5", "{}", '{"id_task": 1, "id_live_preview": []}', "\x00"])
def test_nonsense_about_progress_is_refused(client: Any, body: str) -> None:
    assert client.post("/sadtalker/internal/progress", content=body).status_code in (200, 422)


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """The address of another server, and the paths that were fetched from it."""
    fetched: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fetched.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"what only this computer may see")

        do_HEAD = do_POST = do_GET  # noqa: N815

        def log_message(self, *arguments: Any) -> None: ...

    other = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{other.server_port}/secret.png", fetched
    other.shutdown()
    other.server_close()


def files_in(client: Any) -> list[tuple[int, int]]:
    """Each listener of the page that takes a file: its number, and where among its inputs the file is."""
    config = client.get("/config").json()
    kinds = {part["id"]: part["type"] for part in config["components"]}
    found = []
    for number, listener in enumerate(config["dependencies"]):
        inputs = [kinds[part] for part in listener["inputs"]]
        found += [(number, inputs.index(kind)) for kind in ("file", "image", "audio") if kind in inputs]
    return found


EVENTS = (
    *("/queue/join", "/queue/join/", "/run/predict", "/run/predict/", "/api/predict", "/api/predict/"),
    *(
        "/call/predict",
        "/call/x/",
        "/component_server",
        "/component_server/",
        "/queue/data",
        "/reset",
        "/cancel",
    ),
)


@pytest.mark.parametrize("route", EVENTS)
def test_no_event_makes_the_server_fetch_or_read(
    client: Any, elsewhere: tuple[str, list[str]], route: str
) -> None:
    address, fetched = elsewhere
    listeners = files_in(client)
    assert listeners
    for named in (address, address.upper(), " " + address, __file__, f"/file={address}"):
        files = (
            {"path": named, "meta": {"_type": "gradio.FileData"}},
            {"path": named, "url": named, "orig_name": "x.png"},
            {"name": named, "data": None, "is_file": True},
        )
        for number, place in listeners:
            for file in files:
                data: list[Any] = [None] * place + [file]
                event = {"data": data, "fn_index": number, "session_hash": "abc", "trigger_id": 1}
                for kind in ("application/json", "text/plain", "multipart/form-data; boundary=b"):
                    content = json.dumps(event)
                    told = client.post(route, content=content, headers={"content-type": kind})
                    assert told.status_code in (400, 403, 404, 415)
                    assert "only this computer" not in told.text
    assert fetched == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_no_address_in_a_path_is_fetched(client: Any, elsewhere: tuple[str, list[str]], method: str) -> None:
    address, fetched = elsewhere
    for route in (
        "/file={}",
        "/file/{}",
        "/proxy={}",
        "/proxy={}/",
        "/file=/{}",
        "/stream/{}",
        "/file={}?x=1",
    ):
        for written in (address, address.replace("://", "%3A%2F%2F"), address.upper(), f"//{address[7:]}"):
            told = client.request(method, route.format(written), follow_redirects=False)
            assert told.status_code in (403, 404, 405)
    assert fetched == []


def test_a_websocket_names_no_files_either(client: Any, elsewhere: tuple[str, list[str]]) -> None:
    gradio = pytest.importorskip("gradio")
    if not gradio.__version__.startswith("3."):
        pytest.skip("only gradio 3 has a websocket")
    address, fetched = elsewhere
    (number, place), *_ = files_in(client)
    with client.websocket_connect("/queue/join", headers={"host": "127.0.0.1"}) as socket:
        assert socket.receive_json()["msg"] == "send_hash"
        file = {"name": address, "data": None, "is_file": True}
        socket.send_json({"fn_index": number, "session_hash": "abc", "data": [None] * place + [file]})
        assert socket.receive()["type"] == "websocket.close"
    assert fetched == []


def test_a_file_that_was_uploaded_is_used_and_shown(client: Any) -> None:
    sent = client.post("/upload", files={"files": ("track.csv", b"no track")})
    assert sent.status_code == 200
    (path,) = sent.json()
    shown = client.get(f"/file={path}")
    assert shown.content == b"no track"
    assert shown.headers["content-disposition"] == "attachment"
    config = client.get("/config").json()
    kinds = {part["id"]: part["type"] for part in config["components"]}
    alone = [
        number
        for number, listener in enumerate(config["dependencies"])
        if [kinds[part] for part in listener["inputs"]] == ["file"] and listener["queue"] is False
    ]
    for file in (
        {"path": path, "url": f"http://127.0.0.1/file={path}", "meta": {"_type": "gradio.FileData"}},
        {"name": path, "data": None, "is_file": True, "orig_name": "track.csv"},
    ):
        told = client.post("/run/predict", json={"data": [file], "fn_index": alone[0], "session_hash": "abc"})
        known = "path" if "path" in file else "name"
        old = pytest.importorskip("gradio").__version__.startswith("3.")
        assert told.status_code == (200 if (known == "name") == old else 500), told.text


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_process_ends_cleanly(number: int, tmp_path: Path) -> None:
    pytest.importorskip("gradio")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "sadtalker_ext", "serve", "--port", str(port)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        watchdog = threading.Timer(120, process.kill)
        watchdog.start()
        said = []
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if "SadTalker is at" in line:
                process.send_signal(number)
        assert process.wait(60) == 0, said
        watchdog.cancel()
    assert any(f"Port {port} is in use" in line for line in said)
    assert said[-1] == "Stopped.\n"
    assert not any("Traceback" in line for line in said)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("user", [False, True])
def test_an_installed_package_has_script_and_style(
    user: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = sysconfig.get_preferred_scheme("user") if user else sysconfig.get_default_scheme()
    monkeypatch.setattr(page, "ROOT", tmp_path / "none")
    monkeypatch.setattr(
        page.sysconfig, "get_path", lambda _, scheme: str(tmp_path / ("here" if scheme == wanted else "none"))
    )
    with pytest.raises(DependencyError, match="install sadtalker-ext again"):
        page.asset(page.STYLE)
    for part in (page.STYLE, page.SCRIPT):
        path = tmp_path / "here" / "share" / "sadtalker" / part
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        assert page.asset(part) == path
