"""Turns corpus shards into what the prior reads: augmented log-mel features and mouth tracks, float16."""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path

import numpy as np

from recipes.code_prior.manners import MANNERS
from recipes.code_prior.targets import mouth_targets, relative_loudness
from recipes.visemenet.augment import augmented, noise_only
from recipes.visemenet.corpus import Utterance, load_shard
from recipes.visemenet.dataset import featurise_all
from sadtalker_ext.audio.features import FEATURE_RATE
from sadtalker_ext.motion.code_layout import MOUTH
from sadtalker_ext.motion.visemes import load_visemenet

NOISE_ONLY_SHARE = 0.025  # of the recordings nobody speaks in


def carried(utterance: Utterance, phones: tuple[tuple[float, str], ...], rows: int) -> np.ndarray:
    """(rows,) relative loudness of an utterance on the clock of its augmented reading with these `phones`."""
    level = relative_loudness(utterance.samples.astype(np.float32) / 32768)
    inner = phones[1:-1] if len(phones) == len(utterance.phones) + 2 else phones  # without the silence around
    times = np.interp(
        np.arange(rows) / FEATURE_RATE,
        [start for start, _ in inner],
        [start for start, _ in utterance.phones],
    )
    return np.interp(times * FEATURE_RATE, np.arange(len(level)), level)


def featurise(shard: Path, out: Path, seed: int, spectrum: np.ndarray) -> None:
    """Write one augmented reading of every utterance in `shard` to `out` (.npz).

    x (T, 40) log-mel at 100 Hz; y (T / 2, manners, tracks) at 50 Hz; lengths of the recordings, all even, at
    100 Hz.
    """
    began = time.time()
    rng = np.random.default_rng(seed)
    utterances = load_shard(shard)
    features, targets = [], []
    for index in rng.permutation(len(utterances)):
        mel, phones = augmented(utterances[index], rng, utterances, spectrum)
        rows = len(mel) - len(mel) % 2
        features.append(mel[:rows].astype(np.float16))
        level = carried(utterances[index], phones, rows)
        targets.append(mouth_targets(phones, rows, level).astype(np.float16))
        if rng.random() < NOISE_ONLY_SHARE:
            mel = noise_only(rng.uniform(2, 8), rng, spectrum)
            rows = len(mel) - len(mel) % 2
            features.append(mel[:rows].astype(np.float16))
            targets.append(np.zeros((rows // 2, len(MANNERS), len(MOUTH)), np.float16))
    unfinished = out.with_suffix(".tmp.npz")
    np.savez(
        unfinished,
        x=np.concatenate(features),
        y=np.concatenate(targets),
        lengths=[len(f) for f in features],
    )
    unfinished.rename(out)
    hours = sum(map(len, features)) / FEATURE_RATE / 3600
    logging.info("%s: %.2f h, %.0f s", out.name, hours, time.time() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--corpus", type=Path, required=True, help="folder of shards by recipes.visemenet.corpus"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the arrays")
    parser.add_argument("--copies", type=int, default=1, help="readings of every utterance")
    parser.add_argument("--flite-copies", type=int, default=2, help="the same, of the fewer hours by flite")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    args.out.mkdir(parents=True, exist_ok=True)
    shards = sorted(args.corpus.glob("train_*.npz"))
    if not shards:
        raise SystemExit(f"No train_*.npz in {args.corpus}; run recipes.visemenet.corpus first.")
    spectrum = load_visemenet().spectrum.numpy()  # the front end is VisemeNet's
    featurise_all(featurise, shards, spectrum, args)


if __name__ == "__main__":
    main()
