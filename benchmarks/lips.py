"""How well each way of making lips closes them at /p b m/ and opens them at open vowels, as a table.

    python benchmarks/lips.py [--fps 25] [--recordings FOLDER] [--methods auto visemes]

Measured on the motion commanded, before any picture is warped, over speech whose phone times are known
exactly (flite, espeak-ng) or by alignment of a transcript (FOLDER with NAME.wav, NAME.txt). `chance` is the
share of /p b m/ closed when all phones are shifted in time, `margin` what remains; `known phones` is what the
articulation makes of the true phones: a recogniser that never errs would reach it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from timed_speech import Clip, espeak_clips, flite_clips

from sadtalker_ext.audio import Speech, load_speech
from sadtalker_ext.audio.features import loudness
from sadtalker_ext.evaluation.lips_at_phones import BILABIALS, OPEN_FROM, OPEN_VOWELS, Share, share
from sadtalker_ext.evaluation.sound import listen, within
from sadtalker_ext.motion import lipsync, phones
from sadtalker_ext.motion.articulation import articulate
from sadtalker_ext.system import caches
from sadtalker_ext.tracks import ARKIT, MotionTrack, lips

CLOSED_BELOW = 0.012  # face widths
SAMPLES = Path(__file__).resolve().parent.parent.parent / "shared" / "samples" / "audio"
Maker = Callable[[Clip, float, int], MotionTrack]


def from_phones(find: Callable[[Clip], Iterable[phones.Phone]]) -> Maker:
    def make(clip: Clip, fps: float, frames: int) -> MotionTrack:
        articulation = articulate(tuple(find(clip)), loudness(clip.samples))
        return MotionTrack(ARKIT, fps, lipsync.sampled(articulation, fps=fps, frames=frames))

    return make


def generated(method: str) -> Maker:
    def make(clip: Clip, fps: float, frames: int) -> MotionTrack:
        speech = Speech(clip.samples, len(clip.samples) / phones.SAMPLE_RATE)
        return lipsync.generate_lips(speech, fps=fps, frames=frames, method=method)

    return make


def known(clip: Clip) -> Iterable[phones.Phone]:
    return clip.phones or ()


METHODS: dict[str, Maker] = {
    "known phones": from_phones(known),
    "words": from_phones(lambda clip: phones.recognise_words(clip.samples).phones),
    "allphone": from_phones(lambda clip: phones.decode_phones(clip.samples).phones),
    "visemes": generated("visemes"),
    "codetalker": generated("codetalker"),
    "auto": generated("auto"),
}


def cpu_seconds() -> float:
    """Of this process and its finished children."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def recorded_clips(folder: Path) -> list[Clip]:
    clips: list[Clip] = []
    for path in sorted(folder.glob("*.wav")):
        samples = load_speech(path).samples
        transcript = path.with_suffix(".txt")
        if not transcript.is_file():
            continue
        try:
            aligned = phones.align_words(samples, transcript.read_text().strip().lower())
        except ValueError as error:
            print(f"{path.name}: {error}")
            continue
        clips.append(Clip(f"recordings in {folder.name}", path.stem, samples, aligned))
    return clips


def sample_clips() -> list[Clip]:
    """The English sample; its phones are those recognised, so that the recogniser judges itself."""
    path = SAMPLES / "RD_Radio31_000.wav"
    if not path.is_file():
        return []
    samples = load_speech(path).samples
    return [Clip("radio, self-judged", path.stem, samples, phones.recognise_words(samples).phones)]


def table(clips: list[Clip], fps: float, methods: Iterable[str]) -> None:
    head = "/pbm/ closed chance margin (speaking) open jaw-at-rest closures/s cpu-s/s"
    print(f"{'speech':22s} {'lips':13s} {head}")
    for group in dict.fromkeys(clip.group for clip in clips):
        members = [clip for clip in clips if clip.group == group]
        for method in methods:
            print(f"{group:22s} {method:13s} {row(members, fps, METHODS[method])}", flush=True)


def row(clips: list[Clip], fps: float, make: Maker) -> str:
    closed: list[Share | None] = []
    opened: list[Share | None] = []
    jaws: list[float] = []
    closures, spoken, used, total = 0, 0.0, 0.0, 0.0
    for clip in clips:
        seconds = len(clip.samples) / phones.SAMPLE_RATE
        caches.release()
        started = cpu_seconds()
        track = make(clip, fps, round(seconds * fps))
        used, total = used + cpu_seconds() - started, total + seconds
        sound, gap = listen(clip.samples), lips.opening(track)
        found = clip.phones or ()
        closed.append(share([p for p in found if p.name in BILABIALS], gap < CLOSED_BELOW, fps, sound))
        opened.append(share([p for p in found if p.name in OPEN_VOWELS], gap >= OPEN_FROM, fps, sound))
        middles = (np.arange(len(gap)) + 0.5) / fps
        silent = within(sound.silences(), middles, 0.08)
        jaws.extend(track.column("jawOpen")[silent])
        shut = gap < CLOSED_BELOW
        closures += int((shut[1:] & ~shut[:-1] & ~silent[1:]).sum())
        spoken += float((~silent).sum()) / fps
    met = [one for one in closed if one is not None]
    weights = [one.count for one in met]
    mean = np.average([[one.share, one.chance, one.chance_speaking] for one in met], axis=0, weights=weights)
    vowels = [one for one in opened if one is not None]
    vowel = np.average([one.share for one in vowels], weights=[one.count for one in vowels])
    closing, chance, speaking = mean
    jaw = np.mean(jaws) if jaws else 0.0
    return (
        f"{sum(weights):5d}  {closing:.2f}   {chance:.2f}   {closing - chance:.2f}   {closing - speaking:.2f}"
        f"    {vowel:.2f}    {jaw:.3f}      {closures / spoken:.2f}     {used / total:.2f}"
    )


def foreign_samples(fps: float) -> None:
    for name in ("bus_chinese.wav", "chinese_poem1.wav"):
        if not (SAMPLES / name).is_file():
            continue
        speech = load_speech(SAMPLES / name)
        track = lipsync.generate_lips(speech, fps=fps, frames=round(speech.duration * fps))
        gap = lips.opening(track)
        middles = (np.arange(len(gap)) + 0.5) / fps
        silent = within(listen(speech.samples).silences(), middles, 0.08)
        shut = gap < CLOSED_BELOW
        closures = (shut[1:] & ~shut[:-1] & ~silent[1:]).sum() / ((~silent).sum() / fps)
        jaw = float(track.column("jawOpen")[silent].mean()) if silent.any() else 0.0
        print(f"{name}: {closures:.2f} closures/s, jaw in silence {jaw:.3f}, {dict(track.provenance)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--fps", type=float, default=25.0)
    parser.add_argument("--recordings", type=Path, help="folder of NAME.wav with transcripts NAME.txt")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    asked = parser.parse_args()
    clips = flite_clips() + espeak_clips() + sample_clips()
    if asked.recordings:
        clips += recorded_clips(asked.recordings)
    table(clips, asked.fps, asked.methods)
    foreign_samples(asked.fps)


if __name__ == "__main__":
    main()
