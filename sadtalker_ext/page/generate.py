"""What is filled in on the page into a request, and its run into a result or a sentence that says why not."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, replace
from typing import Any

from ..engines import ENGINES, Engine
from ..errors import SadTalkerError, TrackError, joined
from ..host import CancelToken, Progress, ProgressCallback
from ..options import Options, knob_named
from ..pipeline import perform
from ..request import Request, Result
from ..shell import Shell, placed
from ..tracks import MotionTrack
from . import compat, knob_panel, portrait_panel, speech_panel
from .notes import explain, note
from .result_panel import Finished, finish

OUTCOMES_KEPT = 4
OUTCOME_SECONDS = 20.0  # the page hears that a run has ended a moment before its outcome is complete


@dataclass(frozen=True)
class Form:
    """The components whose values make a request, in the order in which listeners get them."""

    portrait: portrait_panel.PortraitPanel
    speech: speech_panel.SpeechPanel
    knobs: knob_panel.KnobPanel
    engine: Any
    format: Any

    @property
    def inputs(self) -> list[Any]:
        return [*self.portrait.inputs, *self.speech.inputs, *self.knobs.inputs, self.engine, self.format]

    def request(self, values: Sequence[Any], track: MotionTrack | None = None) -> Request:
        """The values of `inputs` as a request; raises a `SadTalkerError` that says what is missing or wrong.

        track: rendered instead of a new motion; speech is then its soundtrack, and may be missing.
        """
        heard_from = len(self.portrait.inputs)
        knobs_from = heard_from + len(self.speech.inputs)
        *given, engine, suffix = values
        chosen = knob_panel.read(self.knobs, given[knobs_from:])
        wanted = engine_for(engine, track)
        portrait, heard, problems = portrait_panel.PortraitChoice(None, {}), None, []
        try:
            if wanted is None or wanted.animates == "pictures":
                portrait = portrait_panel.read(given[:heard_from])
        except SadTalkerError as error:
            problems.append(error)
        try:
            heard = speech_panel.read(given[heard_from:knobs_from])
        except SadTalkerError as error:
            if track is None:
                problems.append(error)
        if problems:
            raise SadTalkerError("{problems}.", problems=joined(problems, ". "))
        settings = {**chosen, **portrait.options, "engine": engine or "auto"}
        if wanted is not None:  # what the page then hides must not be in the way
            settings = {name: settings[name] for name in settings if wanted.uses(knob_named(name))}
        if track is not None:  # which has been shaped by the knobs of motion already
            settings = {name: settings[name] for name in settings if knob_named(name).shapes != ("motion",)}
        elif heard is not None:
            settings["idle"] = heard.idle
        said = heard or speech_panel.SpeechChoice()
        request = Request(portrait.picture, said.speech, said.text, said.voice, track)
        return replace(request, options=Options(**settings), suffix=f".{suffix}")


def engine_for(name: str | None, track: MotionTrack | None) -> Engine | None:
    """The engine that was chosen, or for `auto` one that plays the motion; None where that is still open."""
    chosen = ENGINES.get(name or "auto")
    if chosen is not None:
        return chosen
    able = (engine for engine in ENGINES.values() if track is not None and engine.plays(track.space))
    return next(able, None)


@dataclass(frozen=True)
class Outcome:
    """How a run ended. message: HTML for the page."""

    finished: Finished | None
    message: str


class Outcomes:
    """How the latest runs ended, by their task, for pages that were reloaded meanwhile."""

    def __init__(self, kept: int = OUTCOMES_KEPT) -> None:
        self._kept = kept
        self._lock = threading.Lock()
        self._runs: OrderedDict[str, Future[Outcome]] = OrderedDict()

    def keep(self, task: str | None, work: Callable[[], Outcome]) -> Outcome:
        """What `work` returns, kept under `task`; `work` never raises."""
        if not task:  # nobody could ask for it again
            return work()
        run: Future[Outcome] = Future()
        with self._lock:
            self._runs[task] = run
        try:
            run.set_result(work())
        finally:
            run.cancel()  # of use only if `work` did not keep its promise
            with self._lock:
                ended = [name for name, known in self._runs.items() if known.done()]
                for name in ended[: -self._kept]:
                    del self._runs[name]
        return run.result()

    def find(self, task: str | None) -> Outcome | None:
        """The outcome of a task, waiting a little where its end is just being reported; None if unknown."""
        with self._lock:
            run = self._runs.get(task or "")
        try:
            return None if run is None else run.result(OUTCOME_SECONDS)
        except (FutureTimeout, CancelledError):
            return None


def run(shell: Shell, form: Form, task: str | None, values: Sequence[Any]) -> Outcome:
    """Make a video of what is filled in; never raises."""
    return _guarded(shell, task, lambda: form.request(values))


def rerun(
    shell: Shell, form: Form, task: str | None, finished: Finished | None, given: Any, values: Sequence[Any]
) -> Outcome:
    """Render a motion again on what is filled in now; never raises.

    given: a motion file that was uploaded; else the motion of `finished` is taken.
    """

    def request() -> Request:
        path = compat.file_path(given)
        if path is not None:
            from ..tracks.files import load_track

            return form.request(values, load_track(path))
        if finished is None:
            told = "There is no motion yet; make a video first, or give a motion file (.npz, .csv)."
            raise TrackError(told)
        return form.request(values, finished.track)

    return _guarded(shell, task, request)


def _guarded(shell: Shell, task: str | None, ask: Callable[[], Request]) -> Outcome:
    try:
        try:
            request = ask()
        except Exception:
            if task:
                shell.dismiss(task)
            raise
        last: list[Any] = []  # the frame

        def work(progress: ProgressCallback, cancel: CancelToken) -> Result:
            def report(step: Progress) -> None:
                if step.frame is not None and step.done >= step.total:
                    last[:] = [step.frame.copy()]
                progress(step)

            return perform(placed(shell, request), progress=report, cancel=cancel, host=shell.host)

        result = shell.run(task or f"task({uuid.uuid4().hex})", work)
        return Outcome(finish(result, *last), told(result))
    except Exception as error:  # a listener that raises shows a bare "Error", and hosts hide even that
        return Outcome(None, explain(error))


def latest(shell: Shell, outcomes: Outcomes, task: str | None) -> Outcome:
    """How `task` ended, or where that is unknown, the newest video of all; never raises."""
    try:
        outcome = outcomes.find(task)
        newest = shell.latest
        if outcome is None and newest is not None:
            outcome = Outcome(finish(newest), told(newest))
    except Exception as error:  # a listener that raises shows a bare "Error"
        return Outcome(None, explain(error))
    if outcome is None or outcome.finished is None:
        return outcome or Outcome(None, "")
    if not outcome.finished.path.is_file():
        return Outcome(None, note(f"{outcome.finished.path.name} was moved or deleted."))
    return outcome


def told(result: Result) -> str:
    """A finished run in a line, and its notices."""
    line = f"{result.path.name}: {result.duration:.1f} s of video, made in {result.elapsed:.1f} s."
    return "".join([note(line, "done"), *map(note, result.notices)])
