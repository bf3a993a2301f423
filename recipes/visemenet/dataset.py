"""Turns corpus shards into what training reads: augmented log-mel features and mouth tracks, float16."""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from recipes.visemenet.augment import augmented, filterbank, noise_only
from recipes.visemenet.corpus import FLITE_PREFIX, Utterance, load_shard
from recipes.visemenet.targets import mouth_tracks
from sadtalker_ext.audio.features import FEATURE_RATE, POWER_FLOOR, power_spectrum

NOISE_ONLY_SHARE = 0.025  # of the recordings nobody speaks in
SPECTRUM_FILE = "spectrum.npy"
SPEECH_NEPERS = 5.0  # frames this far under the utterance's loudest count towards the mean spectrum


def mean_spectrum(utterances: list[Utterance]) -> np.ndarray:
    """(N_MELS,) mean log-mel of speech around its own mean: what short recordings are compared to."""
    rows = []
    for utterance in utterances:
        mel = np.log(
            power_spectrum(utterance.samples.astype(np.float32) / 32768) @ filterbank().T + POWER_FLOOR
        )
        energy = mel.mean(axis=1)
        row = mel[energy > energy.max() - SPEECH_NEPERS].mean(axis=0)
        rows.append(row - row.mean())
    return np.mean(rows, axis=0).astype(np.float32)


def featurise(shard: Path, out: Path, seed: int, spectrum: np.ndarray) -> None:
    """Write one augmented reading of every utterance in `shard` to `out` (.npz: x, y, lengths)."""
    began = time.time()
    rng = np.random.default_rng(seed)
    utterances = load_shard(shard)
    features, tracks = [], []
    for index in rng.permutation(len(utterances)):
        mel, phones = augmented(utterances[index], rng, utterances, spectrum)
        features.append(mel.astype(np.float16))
        tracks.append(mouth_tracks(phones, len(mel)).astype(np.float16))
        if rng.random() < NOISE_ONLY_SHARE:
            mel = noise_only(rng.uniform(2, 8), rng, spectrum)
            features.append(mel.astype(np.float16))
            tracks.append(np.zeros((len(mel), tracks[0].shape[1]), np.float16))
    unfinished = out.with_suffix(".tmp.npz")
    np.savez(
        unfinished, x=np.concatenate(features), y=np.concatenate(tracks), lengths=[len(f) for f in features]
    )
    unfinished.rename(out)
    hours = sum(map(len, features)) / FEATURE_RATE / 3600
    logging.info("%s: %.2f h, %.0f s", out.name, hours, time.time() - began)


def featurise_all(
    featurise: Callable[[Path, Path, int, np.ndarray], None],
    shards: Sequence[Path],
    spectrum: np.ndarray,
    args: argparse.Namespace,
) -> None:
    """Every shard as often as its kind of voice asks for, `args.jobs` at once; what is there is left alone.

    featurise: writes one reading of a shard, by its own seed. args: out, copies, flite_copies, seed, jobs.
    """
    jobs = []
    for number, shard in enumerate(shards):
        for copy in range(args.flite_copies if shard.stem.startswith(FLITE_PREFIX) else args.copies):
            out = args.out / f"{shard.stem}_{copy}.npz"
            if not out.exists():
                jobs.append((shard, out, args.seed * 100_000 + copy * 1000 + number, spectrum))
    with multiprocessing.get_context("fork").Pool(args.jobs) as pool:
        pool.starmap(featurise, jobs, chunksize=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="folder of shards that corpus.py wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder for the arrays")
    parser.add_argument(
        "--copies", type=int, default=2, help="readings of every utterance, each augmented anew"
    )
    parser.add_argument("--flite-copies", type=int, default=4, help="the same, of the fewer hours by flite")
    parser.add_argument("--shards", type=int, default=None, help="only the first so many shards")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    args.out.mkdir(parents=True, exist_ok=True)
    shards = sorted(args.corpus.glob("train_*.npz"))[: args.shards]
    if not shards:
        raise SystemExit(f"No train_*.npz in {args.corpus}; run recipes.visemenet.corpus first.")
    if not (args.out / SPECTRUM_FILE).exists():
        np.save(args.out / SPECTRUM_FILE, mean_spectrum(load_shard(shards[0])[:400]))
    spectrum = np.load(args.out / SPECTRUM_FILE)
    featurise_all(featurise, shards, spectrum, args)


if __name__ == "__main__":
    main()
