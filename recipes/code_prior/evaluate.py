"""Turns a trained code prior and the held-out speech into the figures of its model card."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from recipes.code_prior.manners import MANNERS
from recipes.code_prior.targets import articulation_from, articulation_of, mouth_targets, relative_loudness
from recipes.visemenet.corpus import SAMPLE_RATE, Utterance, load_shard
from sadtalker_ext.audio import Speech
from sadtalker_ext.audio.features import frame_count
from sadtalker_ext.motion import code_lips
from sadtalker_ext.motion.articulation import RATE, Articulation
from sadtalker_ext.motion.lipsync import generate_lips, sampled
from sadtalker_ext.motion.viseme_lips import closures_of
from sadtalker_ext.motion.visemes import VISEMES, predict_visemes
from sadtalker_ext.tracks import ARKIT, MotionTrack, lips

FPS = 25.0
SHUT = 0.012  # face widths, as in benchmarks/lips.py
PARTED = 0.02  # face widths that lips would have without their closures, where a closure can be seen
NEAR_S = 0.05  # between a closure and its prediction
LIPS = ARKIT.indices(["lips"])
TEST_SETS = ("test_voices", "test_languages")
NOISE_SEED = 7


@dataclass
class Sums:
    """What is summed over recordings of one way of making lips."""

    squares: float = 0.0
    wrong: float = 0.0
    numbers: int = 0
    wrong_numbers: int = 0
    caught: int = 0
    wanted: int = 0
    right: int = 0
    found: int = 0
    parts: np.ndarray = field(default_factory=lambda: np.zeros(len(LIPS)))

    def add(self, made: np.ndarray, truth: np.ndarray, articulation: Articulation) -> None:
        error = np.square(made[:, LIPS] - truth[:, LIPS])
        self.squares += float(error.sum())
        self.parts += error.sum(axis=0)
        self.numbers += error.size
        gap = lips.opening(MotionTrack(ARKIT, FPS, made))
        times = (np.arange(len(gap)) + 0.5) / FPS
        without = np.interp(times, np.arange(len(articulation.gap)) / RATE, articulation.gap)
        visible = [
            c for c in articulation.closures if np.interp((c.start + c.end) / 2, times, without) > PARTED
        ]
        for closure in visible:
            low, high = np.searchsorted(times, [closure.start - 0.5 / FPS, closure.end + 0.5 / FPS])
            self.wanted += 1
            self.caught += bool((gap[low:high] < SHUT).any())
        runs = np.flatnonzero(np.diff(np.r_[0, (gap < SHUT) & (without > PARTED), 0])).reshape(-1, 2)
        for first, last in runs:
            start, end = times[first], times[last - 1]
            self.found += 1
            near = any(c.start - NEAR_S <= end and start <= c.end + NEAR_S for c in articulation.closures)
            self.right += near

    def add_wrong(self, made: np.ndarray, other_truth: np.ndarray) -> None:
        rows = min(len(made), len(other_truth))
        error = np.square(made[:rows, LIPS] - other_truth[:rows, LIPS])
        self.wrong += float(error.sum())
        self.wrong_numbers += error.size

    def figures(self, mean_face: float) -> dict[str, float]:
        error = self.squares / max(self.numbers, 1)
        return {
            "error": error,
            "of mean face": error / mean_face,
            "wrong audio": self.wrong / max(self.wrong_numbers, 1) / error,
            "closures": self.wanted,
            "recall": self.caught / max(self.wanted, 1),
            "precision": self.right / max(self.found, 1),
        }


Maker = Callable[[Speech, int], np.ndarray]


def by_codes(prior: code_lips.CodePrior, manner: int = 0) -> Maker:
    def make(speech: Speech, frames: int) -> np.ndarray:
        rows = code_lips.spoken(speech.samples, prior, prior.shares(manner))
        return code_lips.as_lips(rows, FPS, frames).data

    return make


def by_visemes(speech: Speech, frames: int) -> np.ndarray:
    """As `--lips visemes` makes them: VisemeNet mixed with signal processing."""
    return generate_lips(speech, fps=FPS, frames=frames, method="visemes").data


def by_visemes_alone(speech: Speech, frames: int) -> np.ndarray:
    """VisemeNet's tracks without signal processing, through the very rules that make the truth."""
    tracks = predict_visemes(speech.samples)
    closed = closures_of(tracks[:, VISEMES.index("close")] * np.minimum(1, 1.5 * tracks[:, -1]))
    articulation = articulation_from(tracks, closed, np.ones(len(tracks)), MANNERS[0])
    return sampled(articulation, fps=FPS, frames=frames)


def through_codes(prior: code_lips.CodePrior, mouth: np.ndarray, frames: int) -> np.ndarray:
    """True mouth tracks (T, C) at 50 Hz as their nearest codes say them: what no speaker can better."""
    with torch.inference_mode():
        rows = prior.motion(torch.from_numpy(mouth.T[None]))[0].T.numpy()
    return code_lips.as_lips(rows, FPS, frames).data


def noisy(samples: np.ndarray, decibels: float, rng: np.random.Generator) -> np.ndarray:
    """Speech with white noise so many decibels below it."""
    level = np.sqrt(np.square(samples).mean()) * 10 ** (-decibels / 20)
    return (samples + level * rng.standard_normal(len(samples))).astype(np.float32)


def measure(
    utterances: Sequence[Utterance],
    prior: code_lips.CodePrior,
    *,
    visemes: bool = True,
    decibels: float | None = None,
) -> dict[str, dict[str, float]]:
    """Figures of the ways to make lips on `utterances`; with noise `decibels` below them, if given."""
    rng = np.random.default_rng(NOISE_SEED)
    makers: dict[str, Maker] = {"codes": by_codes(prior)}
    if visemes:
        makers |= {"visemes": by_visemes, "visemes alone": by_visemes_alone}
    sums = {name: Sums() for name in (*makers, "codes of the truth")}
    used = np.zeros((prior.motion.slots, prior.motion.codes), bool)
    said_by_manner = {manner.name: Sums() for manner in MANNERS[1:]}
    truths, previous = [], None
    for number, utterance in enumerate(utterances):
        samples = utterance.samples.astype(np.float32) / 32768
        rows = frame_count(len(samples))
        rows -= rows % 4
        level = relative_loudness(samples)[:rows]
        if decibels is not None:
            samples = noisy(samples, decibels, rng)
        speech, frames = Speech(samples, len(samples) / SAMPLE_RATE), int(len(samples) / SAMPLE_RATE * FPS)
        articulation = articulation_of(utterance.phones, rows, level, MANNERS[0])
        truth = sampled(articulation, fps=FPS, frames=frames)
        truths.append(truth[:, LIPS])
        for name, make in makers.items():
            made = make(speech, frames)
            sums[name].add(made, truth, articulation)
            if previous is not None:
                sums[name].add_wrong(made, previous)
        previous = truth
        mouth = mouth_targets(utterance.phones, rows, level)
        sums["codes of the truth"].add(through_codes(prior, mouth[:, 0], frames), truth, articulation)
        with torch.inference_mode():
            codes = prior.motion.nearest(
                prior.motion.encode(torch.from_numpy(mouth.transpose(1, 2, 0).copy()))
            )
        for slot in range(len(used)):
            used[slot, codes[:, slot].unique().numpy()] = True
        if number % 8 == 0 and decibels is None:
            for index, manner in enumerate(MANNERS[1:], start=1):
                spoken = articulation_of(utterance.phones, rows, level, manner)
                made = by_codes(prior, index)(speech, frames)
                said_by_manner[manner.name].add(made, sampled(spoken, fps=FPS, frames=frames), spoken)
    every = np.concatenate(truths)
    mean_face = float(np.square(every - every.mean(axis=0)).mean())
    figures = {name: made.figures(mean_face) for name, made in sums.items()}
    figures |= {
        f"manner {name}": made.figures(mean_face) for name, made in said_by_manner.items() if made.numbers
    }
    figures["codebook"] = {"codes": used.size, "used": int(used.sum()), "mean face": mean_face}
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="folder by recipes.visemenet.corpus")
    parser.add_argument("--weights", type=Path, default=None, help="default: the embedded ones")
    parser.add_argument("--every", type=int, default=1, help="take only every so many-th recording")
    parser.add_argument("--decibels", type=float, default=None, help="with white noise so far below speech")
    parser.add_argument("--json", type=Path, default=None, help="write the figures here too")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    prior = code_lips.load_code_prior(args.weights)
    found = {}
    for name in TEST_SETS:
        utterances = load_shard(args.corpus / f"{name}.npz")[:: args.every]
        found[name] = measure(utterances, prior, decibels=args.decibels)
        for way, figures in found[name].items():
            line = " ".join(f"{key} {value:.4g}" for key, value in figures.items())
            logging.info("%-15s %-20s %s", name, way, line)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
