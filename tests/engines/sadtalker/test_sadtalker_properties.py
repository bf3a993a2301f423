"""Whatever options are given, the engine sadtalker ends with a video of the right length and size."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sadtalker_ext import Options, animate, make_motion
from sadtalker_ext.engines.sadtalker.loading import has_bfloat16
from sadtalker_ext.host import StandaloneHost
from sadtalker_ext.options import knobs
from sadtalker_ext.options.knob import Knob
from sadtalker_ext.tracks import ARKIT, BFM, MotionSpace, MotionTrack
from sadtalker_ext.tracks.files import save_track
from sadtalker_ext.video import probe

# In need of a compiler or a download, of another engine, or chosen by the tests themselves.
APART = {
    *("compile", "detector", "overwrite", "precision", "enhancer", "ref_pose", "ref_face", "ref_blink"),
    *("engine", "start", "end", "idle", "face", "face_at", "points", "template", "manner_mix", "track"),
}


def value(knob: Knob) -> st.SearchStrategy[Any]:
    if knob.kind == "bool":
        return st.booleans()
    if knob.kind == "choice":
        return st.sampled_from(knob.choices)
    if knob.kind == "int":
        return st.integers(int(knob.low or 0), int(knob.high or 0))
    number = st.floats(knob.low, knob.high) | st.sampled_from([knob.low, knob.high])
    return st.lists(number, min_size=1, max_size=4).map(tuple) if knob.kind == "ramp" else number


KNOBS = {
    knob.name: value(knob)
    for knob in knobs()
    if (knob.name not in APART and not knob.nullable) or knob.kind == "ramp"
}
KNOBS["precision"] = st.sampled_from(["auto", "float32", *(["bfloat16"] if has_bfloat16() else [])])
KNOBS["lips"] = st.sampled_from(["auto", "phones", "visemes"])  # codetalker needs weights
# Motion files in the place of videos: of another run, and of the engine instant.
KNOBS["ref_pose"] = KNOBS["ref_face"] = st.just("head.npz")
KNOBS["ref_blink"] = st.just("blinks.npz")
ANY_OPTIONS = st.fixed_dictionaries({}, optional=KNOBS)
PLACES = st.tuples(
    st.floats(0.25, 0.75), st.floats(0.25, 0.75), st.floats(0.55, 0.9), st.floats(-0.5, 0.5)
)  # centre, size and lean of the face
QUIET = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def face_at(place: tuple[float, ...], width: int, height: int) -> tuple[tuple[float, float], ...]:
    """Five points of a face in a picture, within it."""
    x, y, size, lean = place
    shape = np.array([(-0.2, -0.15), (0.2, -0.15), (0, 0.05), (-0.15, 0.25), (0.15, 0.25)])
    turn = np.array([[math.cos(lean), -math.sin(lean)], [math.sin(lean), math.cos(lean)]])
    found = shape @ turn.T * size * min(width, height) + (x * width, y * height)
    found = np.clip(found, 0, (width - 1, height - 1))
    return tuple((float(px), float(py)) for px, py in found)


class Host(StandaloneHost):
    """One with a face restoration, which makes everything darker."""

    def face_restoration(self) -> Any:
        return lambda image: image // 2


@pytest.fixture(autouse=True)
def followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The motion files that `KNOBS` name, in the working folder."""
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(3)

    def save(space: MotionSpace, name: str) -> None:
        values = noise.random((7, space.dim), dtype=np.float32)
        save_track(MotionTrack(space, 30.0, values), tmp_path / name)

    save(ARKIT, "blinks.npz")
    save(BFM, "head.npz")


def test_every_knob_has_its_turn() -> None:
    others = {knob.name for knob in knobs() if knob.engine not in ("", "sadtalker")}
    assert {knob.name for knob in knobs()} <= {*KNOBS, *APART, *others}


@settings(QUIET, max_examples=60)
@given(chosen=ANY_OPTIONS, place=PLACES, count=st.integers(3, 40), seconds=st.floats(0.2, 2.0) | st.none())
def test_motion(tiny: Path, chosen: dict[str, Any], place: Any, count: int, seconds: float | None) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (130, 110, 3), dtype=np.uint8)
    points = face_at(place, 110, 130)
    options = Options(engine="sadtalker", points=points, idle=seconds, **chosen)
    sound = np.random.default_rng(count).standard_normal(count * 640 - 1).astype(np.float32)
    track = make_motion(None if seconds else (sound, 16000), options, picture=picture)
    lasting = seconds if seconds else (count * 640 - 1) / 16000
    assert len(track) == max(1, math.ceil(lasting * options.fps - 1e-6))
    assert np.isfinite(track.data).all()


@settings(QUIET, max_examples=20)
@given(
    chosen=ANY_OPTIONS,
    place=PLACES,
    width=st.integers(80, 150),
    height=st.integers(80, 150),
    channels=st.sampled_from([3, 4]),
    enhancer=st.sampled_from(["none", "host", "auto"]),
)
def test_video(
    tiny: Path, chosen: dict[str, Any], place: Any, width: int, height: int, channels: int, enhancer: str
) -> None:
    noise = np.random.default_rng(1)
    picture = noise.integers(0, 255, (height, width, channels), dtype=np.uint8)
    points = face_at(place, width, height)
    options = Options(engine="sadtalker", points=points, end=0.15, enhancer=enhancer, **chosen)
    sound = noise.standard_normal(8000).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        result = animate(picture, (sound, 16000), f"{folder}/o.mp4", options, host=Host())
        made = probe(result.path)
        assert result.frames == made.frames == max(1, math.ceil(0.15 * options.fps - 1e-6))
        times = int(options.upscale)
        if "full" in options.crop:
            wide, high = width * times, height * times
            assert (made.width, made.height) == (wide + wide % 2, high + high % 2)
        else:
            assert made.width == int(options.size) * times
