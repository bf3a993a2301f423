"""How fast and how frugal the instant engine is, against encoding alone in the same run.

    python benchmarks/instant.py [--seconds 10] [--repeat 3] [--memory]

Prints, for several picture sizes, seconds of work per second of video for the whole run and for
encoding the same frames from memory, their ratio, and the time to the first frame with everything
warm; once with lips by VisemeNet alone and once by the recogniser too (auto). `--memory` adds the peak
memory of a child process for 10 seconds and for 10 minutes of speech.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from sadtalker_ext import Options, animate
from sadtalker_ext.audio import load_speech
from sadtalker_ext.cli.demo import DEMO
from sadtalker_ext.pipeline import release
from sadtalker_ext.video import VideoWriter

SQUARE_SIZES = (256, 512, 1024)
FULL_BODY = (800, 1200)  # width, height
FULL_BODY_FACE = 0.35  # width of the head-and-shoulders picture in the full body's width
LONG_S = 600.0
SHORT_S = 10.0


def pictures() -> dict[str, Image.Image]:
    """The demo portrait at several sizes, and small in a picture as large as a full body's."""
    portrait = Image.open(DEMO / "portrait.png").convert("RGB")
    made = {f"{side}²": portrait.resize((side, side), Image.Resampling.LANCZOS) for side in SQUARE_SIZES}
    body = Image.new("RGB", FULL_BODY, (96, 104, 112))
    side = round(FULL_BODY[0] * FULL_BODY_FACE)
    body.paste(portrait.resize((side, side), Image.Resampling.LANCZOS), ((FULL_BODY[0] - side) // 2, 80))
    made[f"{FULL_BODY[0]}×{FULL_BODY[1]} full body"] = body
    return made


def long_speech(seconds: float) -> tuple[np.ndarray, int]:
    """The demo speech repeated to the asked length, (N,) float32 and its rate."""
    speech = load_speech(DEMO / "speech.wav")
    rate = 16000
    return np.resize(speech.samples, round(seconds * rate)), rate


def measure(
    picture: Image.Image, sound: tuple[np.ndarray, int], folder: Path, repeat: int, lips: str
) -> dict[str, float]:
    """Medians over `repeat` runs: seconds per video second (whole, encode-only), first frame in seconds."""
    whole, encode, first = [], [], []
    duration = len(sound[0]) / sound[1]
    target = folder / "video.mp4"
    options = Options(overwrite=True, lips=lips)
    animate(picture, sound, target, options)  # warm: models and the prepared portrait
    for _ in range(repeat):
        release()
        frames: list[np.ndarray] = []
        started = time.perf_counter()
        seen: list[float] = []

        def note(progress: object, started: float = started, seen: list[float] = seen) -> None:
            if getattr(progress, "frame", None) is not None and not seen:
                seen.append(time.perf_counter() - started)

        animate(picture, sound, target, options, progress=note)
        whole.append((time.perf_counter() - started) / duration)
        first.append(seen[0])

        def keep(progress: object, frames: list[np.ndarray] = frames) -> None:
            frame = getattr(progress, "frame", None)
            if frame is not None:
                frames.append(frame.copy())

        animate(picture, sound, target, options, progress=keep)
        speech = load_speech(sound)
        height, width = frames[0].shape[:2]
        started = time.perf_counter()
        with VideoWriter(
            folder / "encoded.mp4",
            width=width,
            height=height,
            fps=options.fps,
            frames=len(frames),
            soundtrack=speech,
            metadata={},
            overwrite=True,
        ) as writer:
            for frame in frames:
                writer.write(frame)
        encode.append((time.perf_counter() - started) / duration)
    return {
        "whole": statistics.median(whole),
        "encode": statistics.median(encode),
        "first": statistics.median(first),
    }


def peak_memory(seconds: float, folder: Path) -> float:
    """Peak resident memory in MB of a fresh process that animates that many seconds at 256²."""
    import imageio.v3 as iio

    wav = folder / f"speech-{seconds:g}.wav"
    samples, rate = long_speech(seconds)
    import soundfile

    soundfile.write(wav, samples, rate)
    picture = folder / "portrait.png"
    iio.imwrite(picture, np.asarray(Image.open(DEMO / "portrait.png").convert("RGB").resize((256, 256))))
    code = (
        "import json, resource, sys; from sadtalker_ext import animate, Options;"
        "animate(*sys.argv[1:4], Options(overwrite=True));"
        "print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))"
    )
    arguments = [sys.executable, "-c", code, str(picture), str(wav), str(folder / "memory.mp4")]
    printed = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
    units = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes elsewhere
    return json.loads(printed.splitlines()[-1]) / units


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=SHORT_S, help="length of the speech")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="also measure peak memory (takes minutes)")
    given = parser.parse_args()
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print("seconds of work per second of video, median; ratio to encoding the same frames from memory")
    print(
        f"{'picture':<22}{'lips':<9}{'whole':>8}{'encode':>8}{'ratio':>7}"
        f"{'× real time':>13}{'first frame':>13}"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sound = long_speech(given.seconds)
        for title, picture in pictures().items():
            for lips in ("visemes", "auto"):
                row = measure(picture, sound, folder, given.repeat, lips)
                print(
                    f"{title:<22}{lips:<9}{row['whole']:>8.3f}{row['encode']:>8.3f}"
                    f"{row['whole'] / row['encode']:>7.2f}{1 / row['whole']:>13.2f}{row['first']:>11.2f} s",
                    flush=True,
                )
        if given.memory:
            short, long = peak_memory(SHORT_S, folder), peak_memory(LONG_S, folder)
            ratio = long / short
            print(
                f"peak memory: {short:.0f} MB for {SHORT_S:g} s, {long:.0f} MB for {LONG_S:g} s: {ratio:.3f}×"
            )


if __name__ == "__main__":
    main()
