"""Our use of the hosts' `modules` against the record of what the hosts have: drift of either is seen here."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import fake_webui
import pytest
import record_host_api

RECORD = json.loads(record_host_api.RECORD.read_text(encoding="utf-8"))
USES = record_host_api.used()


CODE = """
def one():
    from modules import devices
    devices.torch_gc()

def two():
    try:
        from modules import lost
    except ImportError:
        return None

def three():
    try:
        host_module("devices").wild(1, x=2)
    finally:
        pass

def four():
    state = host_module("shared").state
    if hasattr(state, "new"):
        state.new()
"""


def stub(signature: str):
    """A function with a recorded signature, which can be bound to but does nothing."""
    space: dict = {}
    text = signature.removeprefix("class")
    exec(f"from __future__ import annotations\ndef stub{text}: pass", space)  # our own record
    return space["stub"]


def test_the_scanner_sees_what_we_use():
    names = {use.name for use in USES}
    assert {"call_queue.queue_lock", "shared.state.begin", "infotext_utils.ParamBinding"} <= names
    begin = next(use for use in USES if use.name == "shared.state.begin")
    assert begin.call == (1, ())
    assert not begin.guarded


def test_scanner_knows_guards(tmp_path, monkeypatch):
    monkeypatch.setattr(record_host_api, "ROOT", tmp_path)
    file = tmp_path / "ours.py"
    file.write_text(CODE)
    found = {use.name: use for use in record_host_api.uses_in(file)}
    assert not found["devices.torch_gc"].guarded
    assert found["lost"].guarded
    assert not found["devices.wild"].guarded
    assert found["devices.wild"].call == (1, ("x",))
    assert found["shared.state.new"].guarded


@pytest.mark.parametrize("host", fake_webui.HOSTS)
def test_hosts_have_what_we_use(host):
    names = RECORD[host]["names"]
    missing = [f"{use.name} ({use.place})" for use in USES if not use.guarded and names.get(use.name) is None]
    assert not missing, (
        f"{host} lacks these, or tests/support/record_host_api.py must be run again: {missing}"
    )


@pytest.mark.parametrize("host", fake_webui.HOSTS)
def test_hosts_take_our_arguments(host):
    for use in USES:
        signature = RECORD[host]["names"].get(use.name)
        if use.call is None or signature in (None, "value", "module") or signature == "class()":
            continue
        count, names = use.call
        bound = [None] * (count + ("(self" in signature))
        try:
            inspect.signature(stub(signature)).bind(*bound, **dict.fromkeys(names))
        except TypeError as error:
            pytest.fail(f"{host}: {use.name}{signature} is called in {use.place} in a way it is not: {error}")


def test_guarded_names_exist_somewhere():
    for use in USES:
        assert any(RECORD[host]["names"].get(use.name) for host in RECORD), f"no host has {use.name}"


@pytest.mark.parametrize("host", fake_webui.HOSTS)
def test_fakes_are_like_the_hosts(host, tmp_path, monkeypatch):
    fake = fake_webui.FakeWebUI(host, tmp_path, monkeypatch)
    for name, signature in RECORD[host]["names"].items():
        module, *rest = name.split(".")
        if signature in (None, "module") or f"modules.{module}" not in fake.modules:
            continue
        thing = fake.modules[f"modules.{module}"]
        for part in rest:
            thing = getattr(thing, part)
        if signature.startswith("(") or signature.startswith("class(self"):
            ours = inspect.signature(thing)
            theirs = inspect.signature(stub(signature))
            wanted = [(p.kind, p.default) for p in theirs.parameters.values() if p.name != "self"]
            assert [(p.kind, p.default) for p in ours.parameters.values()] == wanted, name


def test_record_reads_sources(tmp_path):
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "shared_state.py").write_text(
        "class State:\n    job = ''\n    def __init__(self):\n        self.born = 1\n"
        "    def begin(self, job='x'):\n        pass\n    @property\n    def step(self):\n        return 1\n"
    )
    (tmp_path / "modules" / "shared.py").write_text("state = None\nif True:\n    def late(a, *, b=2): pass\n")
    (tmp_path / "modules" / "gr_tempdir.py").write_text("def register_tmp_file(gradio, filename): pass\n")
    describe = record_host_api.Source(tmp_path).describe
    assert describe("shared.state.begin") == "(self, job='x')"
    assert describe("shared.state.job") == describe("shared.state.born") == "value"
    assert describe("shared.state.step") == "value"
    assert describe("shared.late") == "(a, *, b=2)"
    assert describe("ui_tempdir.register_tmp_file") == "(gradio, filename)"
    assert describe("ui_tempdir") is None
    assert describe("shared.gone") is None


def test_the_host_is_imported_by_its_own_package_alone():
    root = Path(__file__).resolve().parents[2] / "sadtalker_ext"
    for path in root.rglob("*.py"):
        if "a1111" not in path.parts:
            text = path.read_text(encoding="utf-8")
            assert "from modules" not in text, path
            assert "import modules" not in text, path
