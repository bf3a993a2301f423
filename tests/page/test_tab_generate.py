"""What is filled in becomes a request, and whatever happens becomes a video or a sentence."""

from __future__ import annotations

import errno
import logging
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gradio")

import gradio as gr
import talkative

from sadtalker_ext.engines import ENGINES
from sadtalker_ext.errors import (
    AudioError,
    Cancelled,
    FaceNotFoundError,
    Named,
    OptionsError,
    PictureError,
    SadTalkerError,
)
from sadtalker_ext.options import Options, knob_named
from sadtalker_ext.options.knob import Knob
from sadtalker_ext.page import generate, knob_panel, portrait_panel, speech_panel
from sadtalker_ext.page.result_panel import Finished
from sadtalker_ext.request import Request, Result
from sadtalker_ext.tracks import MotionTrack, vertex_space
from sadtalker_ext.tracks.files import save_track

PICTURE: Any = "picture"


@pytest.fixture(scope="module")
def form(module_shell: Any) -> generate.Form:
    with gr.Blocks():
        return generate.Form(
            portrait_panel.build(module_shell),
            speech_panel.build(module_shell),
            knob_panel.build(),
            gr.Dropdown(),
            gr.Radio(),
        )


@pytest.fixture
def filled(form: generate.Form, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Values of the form as it is built, with a portrait and a recording."""
    monkeypatch.setattr(portrait_panel, "read", lambda _: portrait_panel.PortraitChoice(PICTURE, {"face": 2}))
    monkeypatch.setattr(speech_panel, "read", lambda _: speech_panel.SpeechChoice(speech=Path("hello.wav")))
    own = [component.value for component in form.knobs.inputs]
    return [*(None for _ in (*form.portrait.inputs, *form.speech.inputs)), *own, "instant", "webm"]


def changed(form: generate.Form, values: list[Any], **knob_values: Any) -> list[Any]:
    start = len(form.portrait.inputs) + len(form.speech.inputs)
    names = list(form.knobs.components)
    values = list(values)
    for name, value in knob_values.items():
        values[start + names.index(name)] = value
    return values


def test_a_request(form: generate.Form, filled: list[Any]) -> None:
    assert len(filled) == len(form.inputs)
    request = form.request(changed(form, filled, gaze=0.5, yaw="0 20", crf=30, end="3"))
    assert request.picture == PICTURE
    assert request.speech == Path("hello.wav")
    assert request.suffix == ".webm"
    assert request.options == Options(engine="instant", face=2, gaze=0.5, yaw=(0, 20), crf=30, end=3)


def test_idle_and_text(form: generate.Form, filled: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_panel, "read", lambda _: speech_panel.SpeechChoice(idle=2.0))
    assert form.request(filled).options.idle == 2.0
    monkeypatch.setattr(speech_panel, "read", lambda _: speech_panel.SpeechChoice(text="Hi", voice="en"))
    request = form.request(filled)
    assert (request.text, request.voice, request.options.idle) == ("Hi", "en", None)


def refuse(error: Exception) -> Any:
    def read(_: Any) -> None:
        raise error

    return read


def test_all_that_is_missing_is_said(
    form: generate.Form, filled: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portrait_panel, "read", refuse(PictureError("No portrait was given.")))
    with pytest.raises(SadTalkerError, match=r"^No portrait was given.$"):
        form.request(filled)
    monkeypatch.setattr(speech_panel, "read", refuse(AudioError("No speech was given.")))
    with pytest.raises(SadTalkerError, match=r"^No portrait was given. No speech was given.$"):
        form.request(filled)


def test_a_motion_needs_no_speech_and_keeps_only_what_it_leaves_open(
    form: generate.Form, filled: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    track = MotionTrack.rest(5, 25.0)
    values = changed(form, filled, gaze=0.5, crf=30, fps=12, start=1)
    request = form.request(values, track)
    assert request.track is track
    assert request.options == Options(engine="instant", face=2, crf=30, fps=12, start=1)
    monkeypatch.setattr(speech_panel, "read", refuse(AudioError("No speech was given.")))
    assert form.request(values, track).speech is None
    monkeypatch.setattr(speech_panel, "read", lambda _: speech_panel.SpeechChoice(idle=2.0))
    assert form.request(values, track).options.idle is None


ERRORS: list[tuple[BaseException, str]] = [
    (FaceNotFoundError("No face was found; point it out."), "No face was found; point it out."),
    (
        OptionsError("{end} (1 s) must be later than {start} (2 s).", end=Named("end"), start=Named("start")),
        "“Stop at second” (1 s) must be later than “Start at second” (2 s).",
    ),
    (
        AudioError("No speech was given, or {idle}.", idle=Named("idle", "SECONDS")),
        "No speech was given, or “Idle seconds”.",
    ),
    (Cancelled(), "Interrupted; nothing was written."),
    (MemoryError(), "Out of memory; use a smaller picture or close other programs."),
    (OSError(errno.ENOSPC, "No space left on device"), "The disk is full; free some space and try again."),
    (
        PermissionError(errno.EACCES, "Permission denied", "/secret/place/out.mp4"),
        "The system refused: Permission denied (out.mp4).",
    ),
]


@pytest.mark.parametrize(("error", "sentence"), ERRORS, ids=lambda value: type(value).__name__)
def test_every_failure_is_a_sentence(
    shell: Any, form: generate.Form, filled: list[Any], error: BaseException, sentence: str
) -> None:
    shell.fails = error
    outcome = generate.run(shell, form, "task(a)", filled)
    assert outcome.finished is None
    assert f">{sentence}</div>" in outcome.message
    assert "<details" not in outcome.message
    assert "/secret" not in outcome.message


def test_a_graphics_card_without_memory(shell: Any, form: generate.Form, filled: list[Any]) -> None:
    class OutOfMemoryError(RuntimeError):  # as torch's is named
        pass

    shell.fails = OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB")
    message = generate.run(shell, form, "task(a)", filled).message
    assert "The graphics card is out of memory" in message


def test_what_nobody_foresaw_is_for_the_bug_report(
    shell: Any, form: generate.Form, filled: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    shell.fails = ZeroDivisionError("oops <b>")
    with caplog.at_level(logging.ERROR):
        message = generate.run(shell, form, "task(a)", filled).message
    assert message.startswith('<div class="sadtalker-error">Something went wrong')
    assert "<summary>ZeroDivisionError: oops &lt;b&gt;</summary>" in message
    assert "Traceback" in message
    assert "<b>" not in message
    assert "ZeroDivisionError" in caplog.text


def test_a_wrong_knob_never_starts_a_run(shell: Any, form: generate.Form, filled: list[Any]) -> None:
    outcome = generate.run(shell, form, "task(a)", changed(form, filled, yaw="left"))
    assert "“Turn” must be one or more numbers from -45 to 45, not &#x27;left&#x27;." in outcome.message
    assert shell.tasks == []
    assert shell.dismissed == ["task(a)"]


def test_without_a_script_the_task_gets_an_id(shell: Any, form: generate.Form, filled: list[Any]) -> None:
    shell.fails = Cancelled()
    for name in ("", None):
        generate.run(shell, form, name, filled)
    assert len(set(shell.tasks)) == 2
    assert all(task.startswith("task(") for task in shell.tasks)


def result_of(request: Request) -> Result:
    return Result(
        path=Path("made.mp4"),
        frames=5,
        fps=25.0,
        duration=0.2,
        elapsed=0.1,
        engine="instant",
        options=request.options,
        track=request.track or MotionTrack.rest(5, 25.0),
        metadata={"engine": "instant", "version": "1", "options": request.options.to_dict()},
        notices=("A <gif> has no sound.",),
    )


@pytest.fixture
def performed(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """The requests that were performed; each gave one frame, whose memory was used again."""
    from sadtalker_ext.host import Progress

    asked: list[Request] = []

    def perform(request: Request, *, progress: Any, cancel: Any, host: Any) -> Result:
        asked.append(request)
        frame = np.full((4, 6, 3), 7, np.uint8)
        progress(Progress("render", 1, 1, frame))
        frame[:] = 0
        return result_of(request)

    monkeypatch.setattr(generate, "perform", perform)
    return asked


def test_a_video(shell: Any, form: generate.Form, filled: list[Any], performed: list[Request]) -> None:
    outcome = generate.run(shell, form, "task(a)", filled)
    assert outcome.finished is not None
    assert outcome.finished.path == Path("made.mp4")
    assert outcome.finished.line.startswith("Engine: instant, Seed: 0, ")
    assert outcome.finished.last_frame is not None
    assert outcome.finished.last_frame.getpixel((1, 1)) == (7, 7, 7)
    assert "made.mp4: 0.2 s of video" in outcome.message
    assert "A &lt;gif&gt; has no sound." in outcome.message
    assert shell.tasks == ["task(a)"]
    assert len(shell.progress) == 1


def test_every_stage_is_heard(
    shell: Any, form: generate.Form, filled: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("imageio_ffmpeg")
    talkative.install(monkeypatch)
    recording = tmp_path / "quiet.wav"
    recording.write_bytes(talkative.recording())
    monkeypatch.setattr(speech_panel, "read", lambda _: speech_panel.SpeechChoice(speech=recording))
    shell.folder.mkdir()
    values = [*filled[:-2], "auto", "mp4"]
    told = generate.run(shell, form, "task(a)", values).message
    done, *notices = re.findall(r'<div class="sadtalker-\w+">(.*?)</div>', told)
    assert "quiet-1.mp4: 0.4 s of video" in done
    talkative.assert_told(notices, talkative.OF_SPEECH)

    motion = save_track(talkative.motion(), tmp_path / "motion.npz")
    told = generate.rerun(shell, form, "task(b)", None, str(motion), values).message
    _, *notices = re.findall(r'<div class="sadtalker-\w+">(.*?)</div>', told)
    talkative.assert_told(notices, talkative.OF_A_TRACK)


def test_the_last_motion_again(
    shell: Any, form: generate.Form, filled: list[Any], performed: list[Request], tmp_path: Path
) -> None:
    track = MotionTrack.rest(9, 25.0)
    finished = Finished(Path("a.mp4"), track, "", 0, None)
    assert generate.rerun(shell, form, "t", finished, None, filled).finished is not None
    assert performed[-1].track is track

    other = save_track(MotionTrack.rest(3, 10.0), tmp_path / "other.csv")
    assert generate.rerun(shell, form, "t", finished, str(other), filled).finished is not None
    assert len(performed[-1].track or ()) == 3


def test_no_motion_to_render(
    shell: Any, form: generate.Form, filled: list[Any], performed: list[Request], tmp_path: Path
) -> None:
    outcome = generate.rerun(shell, form, "t", None, None, filled)
    assert "There is no motion yet" in outcome.message
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"x")
    outcome = generate.rerun(shell, form, "t", None, str(broken), filled)
    assert "broken.npz is damaged or not a motion track" in outcome.message
    assert performed == []


LEFT_OPEN = {
    *(
        "start",
        "track",
        "end",
        "detector",
        "mouth",
        "fps",
        "crf",
        "preset",
        "enhancer",
        "enhancer_strength",
        "upscale",
    ),
    *("crop", "size", "batch_size", "precision", "turbo", "compile"),
    *("template", "person", "face_model", "canvas"),
}


def another(knob: Knob) -> Any:
    """A value that is not the default."""
    others: dict[str, Any] = {"path": "other.obj", "text": "other", "ramp": (1.0,), "bool": not knob.default}
    if knob.kind == "choice":
        return next(choice for choice in knob.choices if choice != knob.default)
    return others.get(knob.kind, knob.high)


@pytest.mark.parametrize("name", ENGINES)
def test_what_a_motion_leaves_open(form: generate.Form, filled: list[Any], name: str) -> None:
    """All other knobs have shaped it already, or are not read by the engine."""
    engine, defaults = ENGINES[name], Options()
    moved = {knob: another(knob_named(knob)) for knob in form.knobs.components} | {"start": 1.0, "end": 2.0}
    shown = {
        knob: value if knob_named(knob).kind == "path" else knob_panel.to_widget(knob_named(knob), value)
        for knob, value in moved.items()
    }
    *values, _, _ = changed(form, filled, **shown)
    track = MotionTrack.rest(2, 25.0, engine.space or vertex_space(12))
    options = form.request([*values, name, "mp4"], track).options
    kept = {knob for knob in moved if getattr(options, knob) != getattr(defaults, knob)}
    assert kept == {knob for knob in LEFT_OPEN if engine.uses(knob_named(knob))}


def outcome(message: str) -> generate.Outcome:
    return generate.Outcome(None, message)


def test_a_reloaded_page_finds_its_outcome() -> None:
    outcomes = generate.Outcomes(kept=2)
    for name in ("a", "b", "c"):
        assert outcomes.keep(name, lambda name=name: outcome(name)).message == name
    assert outcomes.find("a") is None
    found = [outcomes.find(name) for name in ("b", "c")]
    assert [one.message for one in found if one] == ["b", "c"]
    outcomes.keep("", lambda: outcome("of nobody"))
    assert outcomes.find("") is None
    assert outcomes.find(None) is None


def test_a_reloaded_page_waits_for_the_end_of_its_run() -> None:
    outcomes = generate.Outcomes()
    begun, may_end = threading.Event(), threading.Event()

    def work() -> generate.Outcome:
        begun.set()
        may_end.wait(30)
        return outcome("at last")

    with ThreadPoolExecutor() as threads:
        threads.submit(outcomes.keep, "a", work)
        begun.wait(30)
        asked = threads.submit(outcomes.find, "a")
        may_end.set()
        found = asked.result(30)
    assert found is not None
    assert found.message == "at last"


def test_a_run_that_takes_longer_is_unknown_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "OUTCOME_SECONDS", 0.01)
    outcomes = generate.Outcomes()

    def work() -> generate.Outcome:
        assert outcomes.find("a") is None
        return outcome("later")

    assert outcomes.keep("a", work).message == "later"


def test_the_latest_video(
    shell: Any, form: generate.Form, filled: list[Any], performed: list[Request]
) -> None:
    outcomes = generate.Outcomes()
    assert generate.latest(shell, outcomes, "a") == outcome("")
    outcomes.keep("a", lambda: outcome("It failed."))
    assert generate.latest(shell, outcomes, "a").message == "It failed."

    generate.run(shell, form, "b", filled)
    assert "made.mp4 was moved or deleted." in generate.latest(shell, outcomes, "").message
    shell.folder.mkdir()
    path = shell.folder / "there.mp4"
    path.write_bytes(b"")
    shell.latest = replace(shell.latest, path=path)
    shown = generate.latest(shell, outcomes, "")
    assert shown.finished is not None
    assert shown.finished.path == path
    assert "there.mp4" in shown.message
