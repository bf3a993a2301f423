"""Turns a trained VisemeNet and the held-out speech into the figures of its model card."""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from recipes.visemenet.augment import augmented, clean_features
from recipes.visemenet.corpus import Utterance, load_shard
from recipes.visemenet.targets import mouth_tracks
from sadtalker_ext.audio.features import FEATURE_RATE
from sadtalker_ext.motion.visemenet import VisemeNet
from sadtalker_ext.motion.visemes import VISEMES, load_visemenet

CLOSE = VISEMES.index("close")
TOLERANCE = 0.050  # s between the middles of a closure and of its prediction
SHUT = 0.5  # of the close track
TEST_SETS = ("test_voices", "test_languages")
NOISE_SEED = 7


@dataclass(frozen=True)
class Scores:
    """Agreement with the truth: correlation of each track; recall and precision of bilabial closures."""

    correlation: dict[str, float]
    recall: float
    precision: float
    closures: int

    def line(self) -> str:
        tracks = " ".join(f"{name} {value:.3f}" for name, value in self.correlation.items())
        return (
            f"{tracks} | closures n {self.closures} recall {self.recall:.3f} precision {self.precision:.3f}"
        )


def middles(close: np.ndarray) -> np.ndarray:
    """Middle of every stretch of frames in which the lips are shut, in seconds."""
    edges = np.flatnonzero(np.diff(np.r_[0, (close > SHUT).astype(np.int8), 0])).reshape(-1, 2)
    return (edges.sum(axis=1) - 1) / 2 / FEATURE_RATE


def matches(truth: np.ndarray, found: np.ndarray) -> int:
    """How many of two ascending lists of times pair off one to one within `TOLERANCE`."""
    count = i = j = 0
    while i < len(truth) and j < len(found):
        if abs(truth[i] - found[j]) <= TOLERANCE + 1e-9:
            count, i, j = count + 1, i + 1, j + 1
        elif truth[i] < found[j]:
            i += 1
        else:
            j += 1
    return count


def score(predicted: list[np.ndarray], truth: list[np.ndarray]) -> Scores:
    """Scores of lists of (T, 8) tracks, one a recording; correlations are over all frames of all of them."""
    p, g = np.concatenate(predicted), np.concatenate(truth)
    correlation = {}
    for i, name in enumerate(VISEMES):
        still = not (p[:, i].std() and g[:, i].std())  # Korean has no labiodentals
        correlation[name] = float("nan") if still else float(np.corrcoef(p[:, i], g[:, i])[0, 1])
    hits = found = wanted = 0
    for a, b in zip(predicted, truth, strict=True):
        seen, true = middles(a[:, CLOSE]), middles(b[:, CLOSE])
        hits, found, wanted = hits + matches(true, seen), found + len(seen), wanted + len(true)
    return Scores(correlation, hits / max(wanted, 1), hits / max(found, 1), wanted)


def test_features(
    utterances: list[Utterance], spectrum: np.ndarray, clean: bool
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Features and true tracks of `utterances`, as they are or as augmented as training is."""
    rng = np.random.default_rng(NOISE_SEED)
    features, tracks = [], []
    for utterance in utterances:
        if clean:
            mel, phones = clean_features(utterance, spectrum), utterance.phones
        else:
            mel, phones = augmented(utterance, rng, utterances, spectrum)
        features.append(mel)
        tracks.append(mouth_tracks(phones, len(mel)))
    return features, tracks


@torch.inference_mode()
def predict(net: VisemeNet, features: list[np.ndarray]) -> list[np.ndarray]:
    """Tracks (T, 8) of every (T, N_MELS) features."""
    return [net(torch.from_numpy(f.astype(np.float32)).T[None])[0].T.numpy() for f in features]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="folder of shards that corpus.py wrote")
    parser.add_argument("--weights", type=Path, default=None, help="default: the embedded ones")
    parser.add_argument("--json", type=Path, default=None, help="write the figures here too")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    net = load_visemenet(args.weights)
    spectrum = net.spectrum.numpy()
    figures = {}
    for name in TEST_SETS:
        utterances = load_shard(args.corpus / f"{name}.npz")
        for clean in (True, False):
            features, tracks = test_features(utterances, spectrum, clean)
            scores = score(predict(net, features), tracks)
            label = f"{name} {'clean' if clean else 'augmented'}"
            logging.info("%-26s %s", label, scores.line())
            figures[label] = vars(scores)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
