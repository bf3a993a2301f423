"""Peak memory of a short and a long speech, and their ratio: nothing may grow with the length of the speech.

    python benchmarks/memory.py [--seconds 10 3600] [--lips auto] [--drawn 100]

Each length runs in a process of its own, from the demo's portrait and its speech again and again, through
listening, motion and the first frames. What comes after is stood in for, lest it take hours: the last frame
drawn is handed on for all the others, and the video is thrown away instead of encoded (ffmpeg is another
process anyway).
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Generator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "sadtalker_ext" / "assets" / "demo"
MEGABYTE = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, nargs="+", default=[10.0, 3600.0])
    parser.add_argument("--lips", default="auto", help="as for sadtalker animate")
    parser.add_argument(
        "--drawn", type=int, default=100, help="frames that are drawn; the others are stood in for"
    )
    parser.add_argument("--child", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child is not None:
        print(json.dumps(one(given.child, given.lips, given.drawn)))
        return
    peaks = [run(seconds, given.lips, given.drawn) for seconds in given.seconds]
    print(f"ratio of peaks: {peaks[-1] / peaks[0]:.3f}")


def run(seconds: float, lips: str, drawn: int) -> float:
    """The peak in MB of a process of its own."""
    command = [sys.executable, __file__, "--child", str(seconds), "--lips", lips, "--drawn", str(drawn)]
    began = time.perf_counter()
    told = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    stages = json.loads(told.splitlines()[-1])
    listed = ", ".join(f"{stage} {peak:.0f}" for stage, peak in stages.items())
    print(
        f"{seconds:8.0f} s of speech: peaks in MB by stage: {listed} ({time.perf_counter() - began:.0f} s)",
        flush=True,
    )
    return float(max(stages.values()))


def one(seconds: float, lips: str, drawn: int) -> dict[str, float]:
    """Peak so far, in MB, as each stage ends."""
    from sadtalker_ext import Options, Progress, animate, video
    from sadtalker_ext.engines.instant.warp.renderer import WarpRenderer

    peaks: dict[str, float] = {}

    def note(progress: Progress) -> None:
        peaks[progress.stage] = peak()

    real = WarpRenderer.render

    def some(renderer: Any, track: Any, **named: Any) -> Generator[Any, None, None]:
        frame = None
        for frame in itertools.islice(real(renderer, track, **named), drawn):
            yield frame
        yield from itertools.repeat(frame, max(0, len(track) - drawn))

    WarpRenderer.render = some  # type: ignore[method-assign]
    video.VideoWriter = Nothing  # type: ignore[assignment,misc]
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "long.wav"
        repeat(DEMO / "speech.wav", sound, seconds)
        options = Options(engine="instant", lips=lips)
        animate(DEMO / "portrait.png", sound, Path(folder) / "out.mp4", options, progress=note)
    return peaks


class Nothing:
    """A writer that throws frames away."""

    notices = ()

    def __init__(self, path: Path, **_: Any) -> None:
        self.path = path

    def __enter__(self) -> Nothing:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def write(self, frame: object) -> None:
        pass


def repeat(source: Path, target: Path, seconds: float) -> None:
    """A recording again and again, until it lasts so long."""
    with wave.open(str(source), "rb") as one, wave.open(str(target), "wb") as long:
        long.setparams(one.getparams())
        samples, left = one.readframes(one.getnframes()), round(seconds * one.getframerate())
        width = one.getsampwidth() * one.getnchannels()
        while left > 0:
            part = samples[: left * width]
            long.writeframesraw(part)
            left -= len(part) // width


def peak() -> float:
    """The largest resident memory of this process so far, in MB."""
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / MEGABYTE
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (MEGABYTE if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
