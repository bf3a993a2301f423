"""Whatever options are given, a run of the engine instant ends with a video of the right length and size."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sadtalker_ext import Options, animate
from sadtalker_ext.options import knobs
from sadtalker_ext.options.knob import Knob
from sadtalker_ext.video import probe

# Chosen by the test itself, or in need of a file.
APART = {
    "start", "end", "idle", "face", "face_at", "points", "ref_pose", "ref_blink", "ref_face", "overwrite",
    "engine", "enhancer", "template", "person", "face_model",
}  # fmt: skip
SECONDS = 0.7  # of the voice
EYES_NOSE_MOUTH = ((0.31, 0.4), (0.69, 0.4), (0.5, 0.6), (0.38, 0.75), (0.62, 0.75))  # of the picture's sides


def drawn(knob: Knob, rng: random.Random) -> Any:
    """A valid value; the ends of a range as often as what lies between."""
    if knob.kind == "bool":
        return rng.random() < 0.5
    if knob.kind == "choice":
        return rng.choice(knob.choices)
    assert knob.low is not None
    assert knob.high is not None

    def number() -> float:
        return rng.choice([knob.low, knob.high, rng.uniform(knob.low, knob.high)])

    if knob.kind == "ramp":
        return tuple(number() for _ in range(rng.randint(1, 4)))
    return round(number()) if knob.kind == "int" else number()


@pytest.mark.parametrize("seed", range(14))
def test_any_options_make_a_whole_video(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    given = {knob.name: drawn(knob, rng) for knob in knobs() if knob.name not in APART and rng.random() < 0.6}
    width, height = rng.randint(64, 140), rng.randint(64, 140)
    channels = rng.choice([3, 4])
    noise = np.random.default_rng(seed)
    picture = noise.integers(60, 220, (height, width, channels), dtype=np.uint8)
    points = tuple((x * width, y * height) for x, y in EYES_NOSE_MOUTH)
    if rng.random() < 0.5:
        wanted = rng.choice([0.2, 0.43])
        voice, given["idle"] = None, wanted
    else:
        rate = rng.choice([8000, 22050, 48000])
        voice = (0.2 * noise.standard_normal((round(SECONDS * rate), rng.choice([1, 2]))), rate)
        given["start"], given["end"] = rng.choice([(0.0, None), (0.2, None), (0.1, 0.5), (0.0, 9.0)])
        wanted = min(given["end"] or SECONDS, SECONDS) - given["start"]
    options = Options(engine="instant", points=points, **given)
    name = rng.choice(["o.mp4", "o.mp4", "o.webm", "o.gif", "frames/"])
    result = animate(picture, voice, f"{tmp_path}/{name}", options)

    assert result.frames == max(1, math.ceil(wanted * options.fps - 1e-6))
    assert [path.name for path in tmp_path.iterdir()] == [name.rstrip("/")]
    made = probe(result.path)
    even = 2 if name == "o.mp4" else 1
    wide, high = width * int(options.upscale), height * int(options.upscale)
    assert (made.width, made.height) == (wide + wide % even, high + high % even)
    if name != "o.gif":  # a gif's clock counts hundredths of a second
        assert made.frames == result.frames
        assert made.fps == pytest.approx(options.fps, rel=1e-3)
    if voice is not None and name == "o.mp4":
        assert made.audio_duration == pytest.approx(wanted, abs=0.03)
