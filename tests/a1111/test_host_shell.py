"""The WebUI's shell: the host's queue and state around our work, whatever happens in it."""

from __future__ import annotations

import sys
import threading

import fake_webui
import numpy as np
import pytest

from sadtalker_ext.a1111 import webui_shell
from sadtalker_ext.a1111.webui_shell import WebUIShell
from sadtalker_ext.errors import Cancelled, PictureError
from sadtalker_ext.host import CancelToken, Progress
from sadtalker_ext.shell import turn

SECONDS = 20.0  # until a thread that hangs is a failure
A, B = "task(a)", "task(b)"


@pytest.fixture(params=fake_webui.HOSTS)
def webui(request, tmp_path, monkeypatch):
    return fake_webui.FakeWebUI(request.param, tmp_path, monkeypatch)


@pytest.fixture
def a1111(tmp_path, monkeypatch):
    return fake_webui.FakeWebUI("a1111", tmp_path, monkeypatch)


class Thread(threading.Thread):
    """Runs a call; `ended` gives its result or raises its error, and fails when it hangs."""

    def __init__(self, call) -> None:
        super().__init__(daemon=True)
        self._call = call
        self.start()

    def run(self) -> None:
        try:
            self._outcome = (self._call(), None)
        except BaseException as error:
            self._outcome = (None, error)

    def ended(self):
        self.join(SECONDS)
        assert not self.is_alive(), "it hangs"
        result, error = self._outcome
        if error is not None:
            raise error
        return result


def wait_until(condition) -> None:
    for _ in range(int(SECONDS * 100)):
        if condition():
            return
        threading.Event().wait(0.01)
    pytest.fail("it did not happen")


def is_free(webui) -> bool:
    if not webui.lock.acquire(False):
        return False
    webui.lock.release()
    return True


def check_idle(webui, task: str) -> None:
    """The host is as if nothing had happened."""
    assert is_free(webui)
    assert webui.tasks.current is None
    assert webui.progress.pending_tasks == {}
    assert webui.progress.finished_tasks[-1] == task
    assert (webui.state.job, webui.state.job_count, webui.state.textinfo) == ("", 0, None)
    assert not webui.state.interrupted
    assert not webui.state.skipped
    assert "torch_gc" in webui.done


def test_run_is_seen_by_the_host(webui):
    shell = WebUIShell()
    seen = []

    def work(progress, cancel):
        seen.append((webui.tasks.current, webui.state.job, is_free(webui)))
        for number in range(1, 5):
            progress(Progress("render", number, 4, np.full((8, 6, 3), number, np.uint8)))
            state = webui.state
            seen.append((state.job_count * state.sampling_step / state.sampling_steps, state.textinfo))
        return "made"

    assert shell.run(A, work) == "made"
    assert seen[0] == (A, A, False)
    fractions = [fraction for fraction, _ in seen[1:]]
    assert fractions == sorted(fractions)
    assert 0 < fractions[0] < fractions[-1] == 1
    assert seen[-1][1] == "Rendering 4/4"
    check_idle(webui, A)


def test_live_preview_is_a_small_rgb_copy(a1111):
    frame = np.zeros((1600, 800, 4), np.uint8)
    frame[..., 0] = 200

    def work(progress, cancel):
        progress(Progress("render", 1, 2, frame))
        frame[:] = 0
        progress(Progress("render", 2, 2, frame))  # too soon after the first

    WebUIShell().run(A, work)
    assert a1111.state.id_live_preview == 1
    preview = a1111.state.current_image
    assert (preview.mode, preview.size) == ("RGB", (384, 768))
    assert preview.getpixel((5, 5)) == (200, 0, 0)


@pytest.mark.parametrize("setting", [{"live_previews_enable": False}, {"show_progress_every_n_steps": -1}])
def test_live_preview_can_be_off(a1111, setting):
    a1111.shared.opts.data.update(setting)
    frame = np.zeros((8, 8, 3), np.uint8)
    WebUIShell().run(A, lambda progress, cancel: progress(Progress("render", 1, 1, frame)))
    assert a1111.state.current_image is None


@pytest.mark.parametrize("error", [PictureError("no face"), MemoryError("card"), KeyboardInterrupt()])
def test_errors_leave_the_host_free(webui, error):
    def work(progress, cancel):
        raise error

    with pytest.raises(type(error)):
        WebUIShell().run(A, work)
    check_idle(webui, A)


@pytest.mark.parametrize("broken", ["begin", "end"])
def test_broken_host_does_not_keep_the_lock(a1111, monkeypatch, broken):
    def fail(*_):
        raise RuntimeError("the host is ill")

    monkeypatch.setattr(a1111.state, broken, fail)
    with pytest.raises(RuntimeError):
        WebUIShell().run(A, lambda progress, cancel: None)
    assert is_free(a1111)
    assert a1111.tasks.current is None


def test_waits_for_the_hosts_own_work(webui):
    busy = webui.generating()
    thread = Thread(lambda: WebUIShell().run(A, lambda progress, cancel: webui.state.job))
    wait_until(lambda: A in webui.progress.pending_tasks)
    assert webui.tasks.current is None
    busy.close()
    assert thread.ended() == A
    check_idle(webui, A)


def test_runs_come_in_order(a1111):
    shell = WebUIShell()
    busy, order, threads = a1111.generating(), [], []
    for number in range(4):
        name = f"task({number})"
        threads.append(Thread(lambda n=number, t=name: shell.run(t, lambda p, c: order.append(n))))
        wait_until(lambda n=number: len(a1111.lock._queue) == n + 1)
    busy.close()
    for thread in threads:
        thread.ended()
    assert order == [0, 1, 2, 3]


def test_cancelled_while_waiting(webui):
    busy = webui.generating()
    cancel, worked = CancelToken(), []
    thread = Thread(lambda: WebUIShell().run(A, lambda p, c: worked.append(1), cancel))
    wait_until(lambda: A in webui.progress.pending_tasks)
    cancel.cancel()
    with pytest.raises(Cancelled):
        thread.ended()
    assert webui.progress.pending_tasks == {}
    assert webui.progress.finished_tasks == [A]
    assert not worked
    busy.close()
    wait_until(lambda: is_free(webui))  # the place in the queue is given up, not kept
    assert WebUIShell().run(B, lambda p, c: 7) == 7


def test_interrupting_the_hosts_own_work_spares_what_waits(webui):
    busy = webui.generating()
    thread = Thread(lambda: WebUIShell().run(A, lambda p, c: "made"))
    wait_until(lambda: A in webui.progress.pending_tasks)
    webui.state.interrupt()
    threading.Event().wait(3 * turn.LOOK_SECONDS)
    assert thread.is_alive()
    busy.close()
    assert thread.ended() == "made"


def until_cancelled(started: threading.Event):
    def work(progress, cancel):
        started.set()
        for _ in range(int(SECONDS * 100)):
            cancel.check()
            threading.Event().wait(0.01)
        pytest.fail("it was never cancelled")

    return work


@pytest.mark.parametrize("way", ["interrupt", "skipped", "stopping_generation", "token", "shell"])
def test_ways_to_stop(webui, way):
    if way == "stopping_generation" and not hasattr(webui.state, way):
        pytest.skip("this host has no such button")
    shell, started, cancel = WebUIShell(), threading.Event(), CancelToken()
    thread = Thread(lambda: shell.run(A, until_cancelled(started), cancel))
    assert started.wait(SECONDS)
    if way == "interrupt":
        webui.state.interrupt()
    elif way == "token":
        cancel.cancel()
    elif way == "shell":
        shell.interrupt()
    else:
        setattr(webui.state, way, True)
    with pytest.raises(Cancelled):
        thread.ended()
    check_idle(webui, A)


def test_our_interrupt_stops_only_ours(a1111):
    shell = WebUIShell()
    busy = a1111.generating()
    shell.interrupt()
    assert not a1111.state.interrupted
    thread = Thread(lambda: shell.run(A, lambda p, c: None))
    wait_until(lambda: A in a1111.progress.pending_tasks)
    shell.interrupt()
    with pytest.raises(Cancelled):
        thread.ended()
    assert not a1111.state.interrupted
    busy.close()


def test_interrupt_spares_the_next(a1111):
    shell, started = WebUIShell(), threading.Event()
    first = Thread(lambda: shell.run(A, until_cancelled(started)))
    assert started.wait(SECONDS)
    second = Thread(lambda: shell.run(B, lambda p, c: "second"))
    wait_until(lambda: B in a1111.progress.pending_tasks)
    shell.interrupt()
    with pytest.raises(Cancelled):
        first.ended()
    assert second.ended() == "second"


def test_checkpoint_leaves_and_comes_back(webui, monkeypatch):
    webui.shared.opts.data["sadtalker_unload_checkpoint"] = True
    monkeypatch.setattr(webui_shell, "is_usable", lambda device: True)
    monkeypatch.setattr(webui.devices, "get_optimal_device", lambda: "cuda")
    wheres = []
    WebUIShell().run(A, lambda p, c: wheres.append(webui.where))
    moved = ["checkpoint away", "torch_gc", "checkpoint back"]
    if webui.host == "sdnext":
        assert (wheres, webui.done) == (["cuda"], ["torch_gc"])
    else:
        assert wheres == ["cpu"]
        assert sorted(webui.done) == sorted(moved)
        assert webui.done[0] == "checkpoint away"


def test_checkpoint_comes_back_after_an_error(a1111, monkeypatch):
    a1111.shared.opts.data["sadtalker_unload_checkpoint"] = True
    monkeypatch.setattr(webui_shell, "is_usable", lambda device: True)
    monkeypatch.setattr(a1111.devices, "get_optimal_device", lambda: "cuda")

    def work(progress, cancel):
        raise PictureError("no face")

    with pytest.raises(PictureError):
        WebUIShell().run(A, work)
    assert a1111.where == "cuda"


@pytest.mark.parametrize("name", ["backend.memory_management", "ldm_patched.modules.model_management"])
def test_forge_frees_its_memory_itself(a1111, monkeypatch, name):
    from types import SimpleNamespace

    from sadtalker_ext.a1111.host_memory import checkpoint_away

    freed = []
    manager = SimpleNamespace(unload_all_models=lambda: freed.append(1))
    monkeypatch.setitem(sys.modules, name, manager)
    with checkpoint_away():
        assert freed == [1]
    assert a1111.done == []


def test_failing_memory_management_is_no_error(a1111, monkeypatch):
    from sadtalker_ext.a1111 import host_memory

    def fail(*_):
        raise RuntimeError("CUDA error")

    monkeypatch.setattr(sys.modules["modules.sd_models"], "send_model_to_cpu", fail)
    monkeypatch.setattr(a1111.devices, "torch_gc", fail)
    with host_memory.checkpoint_away():
        pass
    host_memory.hand_back(True)


@pytest.mark.parametrize("keep", [True, False])
def test_prepared_portraits_are_kept_or_forgotten(a1111, monkeypatch, keep):
    from sadtalker_ext.system import caches

    a1111.shared.opts.data["sadtalker_keep_models"] = keep
    released = []
    monkeypatch.setattr(caches, "release", lambda: released.append(1))
    WebUIShell().run(A, lambda p, c: None)
    assert bool(released) is not keep


def test_faces_are_restored_as_the_hosts_settings_say(webui):
    shell = WebUIShell()
    webui.shared.face_restorers = []
    assert shell.host.face_restoration() is None
    webui.shared.face_restorers = [object()]
    image = np.zeros((512, 512, 3), np.uint8)
    assert (shell.host.face_restoration()(image) == 255).all()
    assert webui.restored[0] is image


def test_page_does_not_wait_for_what_is_refused(webui):
    pytest.importorskip("gradio")
    from sadtalker_ext.page import generate

    class Form:
        def request(self, values):
            raise PictureError("No portrait was given.")

    outcome = generate.run(WebUIShell(), Form(), A, [])
    assert "No portrait was given." in outcome.message
    assert webui.progress.finished_tasks == [A]


def test_newest_result_is_kept(a1111, tmp_path):
    from sadtalker_ext.options import Options
    from sadtalker_ext.pipeline import Result
    from sadtalker_ext.tracks import MotionTrack

    result = Result(
        tmp_path / "v.mp4", 1, 25.0, 0.04, 1.0, "instant", Options(), MotionTrack.rest(1, 25.0), {}, ()
    )
    shell = WebUIShell()
    assert shell.latest is None
    shell.run(A, lambda p, c: "something else")
    assert shell.latest is None
    shell.run(A, lambda p, c: result)
    assert shell.latest is result


def test_work_runs_in_plain_torch(a1111):
    torch = pytest.importorskip("torch")

    def work(progress, cancel):
        return torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_cpu_enabled()

    with torch.inference_mode(), torch.autocast("cpu"):
        assert WebUIShell().run(A, work) == (False, False, False)


def test_work_that_cannot_look_is_left_behind(webui, monkeypatch, tmp_path):
    from sadtalker_ext.options import Options
    from sadtalker_ext.pipeline import Result
    from sadtalker_ext.tracks import MotionTrack

    monkeypatch.setattr(turn, "GRACE_SECONDS", 0.01)
    shell, started, go_on, over = WebUIShell(), threading.Event(), threading.Event(), threading.Event()
    video, reported = tmp_path / "late.mp4", []

    def work(progress, cancel):
        started.set()
        assert go_on.wait(SECONDS)
        try:
            progress(Progress("motion", 1, 1))
            reported.append("progress")
        except Cancelled:
            reported.append("cancelled")
        try:
            video.write_bytes(b"made all the same")
            track = MotionTrack.rest(1, 25.0)
            return Result(video, 1, 25.0, 0.04, 1.0, "instant", Options(), track, {}, ())
        finally:
            over.set()

    thread = Thread(lambda: shell.run(A, work))
    assert started.wait(SECONDS)
    webui.state.interrupt()
    with pytest.raises(Cancelled):
        thread.ended()
    check_idle(webui, A)
    assert shell.run(B, lambda p, c: "next") == "next"
    webui.state.textinfo = "the host's"
    go_on.set()
    assert over.wait(SECONDS)
    assert reported == ["cancelled"]
    wait_until(lambda: not video.exists())
    assert webui.state.textinfo == "the host's"
    assert shell.latest is None
