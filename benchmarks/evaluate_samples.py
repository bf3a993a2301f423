"""How well lips follow speech in finished videos: makes them, tracks them again, prints what was measured.

    python benchmarks/evaluate_samples.py OUT [--pictures P …] [--speech S …] [--brief] [-- --any-option …]

Without pictures and speech: the demo, and every sample picture with every sample speech where the samples
are present beside the repository. Writes each video and its contact sheets (OUT/<picture>-<speech>.mp4,
-face.png, -whole.png) and prints each video's table, then one line a video. What follows `--` is options of
`sadtalker animate`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from sadtalker_ext import Options, SadTalkerError, animate
from sadtalker_ext.cli.demo import DEMO
from sadtalker_ext.cli.flags import add_knobs, from_namespace
from sadtalker_ext.evaluation import Report, contact_sheet, evaluate
from sadtalker_ext.face import save_picture

SAMPLES = Path(__file__).resolve().parents[2] / "shared" / "samples"
COLUMNS = (
    ("r", 5), ("lag", 4), ("closed", 7), ("chance", 7), ("margin", 7), ("open", 5), ("silence", 8),
    ("rest", 6), ("shut", 5), ("loud", 6), ("clos/s", 7), ("outside", 8), ("made", 6), ("judged", 7),
)  # fmt: skip
NAME_WIDTH = 36


def pairs(pictures: list[Path], speech: list[Path]) -> list[tuple[Path, Path]]:
    """Pictures and speech to put together: those given, else the demo and the samples."""
    demo_picture, demo_speech = DEMO / "portrait.png", DEMO / "speech.wav"
    if pictures or speech:
        return [(p, s) for p in pictures or [demo_picture] for s in speech or [demo_speech]]
    found = [demo_picture, *sorted((SAMPLES / "images").glob("*.*"))]
    said = [demo_speech, *sorted((SAMPLES / "audio").glob("*.*"))]
    return [(p, s) for p in found for s in said]


def cells(report: Report) -> Iterator[str]:
    lips = report.lips
    command, silence, phones = lips.command, lips.silence, lips.phones
    closed, opened = (None, None) if phones is None else (phones.closed, phones.open)
    yield "-" if command is None else f"{command.r:.2f}"
    yield "-" if command is None else f"{command.lag:+d}"
    yield "-" if closed is None else f"{closed.share:.2f}"
    yield "-" if closed is None else f"{closed.chance:.2f}"
    yield "-" if closed is None else f"{closed.margin:.2f}"
    yield "-" if opened is None else f"{opened.share:.2f}"
    yield "-" if silence is None else f"{silence.p95:.3f}"
    yield "-" if silence is None else f"{silence.rest:.3f}"
    yield "-" if report.blinks is None or report.blinks.shut is None else f"{report.blinks.shut:.2f}"
    yield "-" if lips.loudness is None else f"{lips.loudness.r:.2f}"
    yield "-" if lips.closures_per_second is None else f"{lips.closures_per_second:.2f}"
    yield "-" if report.background is None else f"{report.background.changed:.2%}"


def line(name: str, values: Iterator[str] | list[str]) -> str:
    widths = [width for _, width in COLUMNS]
    right = "".join(value.rjust(width) for value, width in zip(values, widths, strict=True))
    return name.ljust(NAME_WIDTH)[:NAME_WIDTH] + right


def main() -> None:
    own, passed = sys.argv[1:], []
    if "--" in own:
        own, passed = own[: own.index("--")], own[own.index("--") + 1 :]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder for videos and contact sheets")
    parser.add_argument("--pictures", type=Path, nargs="+", default=[])
    parser.add_argument("--speech", type=Path, nargs="+", default=[])
    parser.add_argument("--brief", action="store_true", help="print one line a video only")
    given = parser.parse_args(own)
    knobs = argparse.ArgumentParser(prog="--")
    add_knobs(knobs)
    options = from_namespace(knobs.parse_args([*passed, "--overwrite"]))
    given.out.mkdir(parents=True, exist_ok=True)
    print(line("", [name for name, _ in COLUMNS]))
    for picture, speech in pairs(given.pictures, given.speech):
        name = f"{picture.stem}-{speech.stem}"
        try:
            row, report = judge(picture, speech, given.out / f"{name}.mp4", options)
        except SadTalkerError as error:
            print(f"{name}: {error}", flush=True)
            continue
        print(line(name, row), flush=True)
        if not given.brief:
            print(report.table(), end="\n\n", flush=True)


def judge(picture: Path, speech: Path, path: Path, options: Options) -> tuple[list[str], Report]:
    """Make one video, its sheets and its report; the line ends with seconds of work a second of video."""
    started = time.perf_counter()
    result = animate(picture, speech, path, options)
    made = (time.perf_counter() - started) / result.duration
    started = time.perf_counter()
    report = evaluate(path, picture=picture)
    judged = (time.perf_counter() - started) / result.duration
    save_picture(contact_sheet(path), path.with_name(f"{path.stem}-face.png"), overwrite=True)
    save_picture(
        contact_sheet(path, 6, 3, crop=None), path.with_name(f"{path.stem}-whole.png"), overwrite=True
    )
    return [*cells(report), f"{made:.2f}", f"{judged:.2f}"], report


if __name__ == "__main__":
    main()
