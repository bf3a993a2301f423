"""Turns sentences by a flite voice that training never heard into a test of how VisemeNet carries over.

flite's voices were built from recordings of people, so they are nearer to speech than espeak-ng's.
"""

from __future__ import annotations

import argparse
import itertools
import logging
from pathlib import Path

import numpy as np

from recipes.visemenet.evaluate import CLOSE, SHUT, score
from recipes.visemenet.flite import TEST_VOICE, speak
from recipes.visemenet.targets import BILABIAL, mouth_tracks
from sadtalker_ext.audio.features import FEATURE_RATE
from sadtalker_ext.motion.visemes import load_visemenet, predict_visemes

CHANCE_SHIFTS = np.arange(0.35, 2.0, 0.17)  # s
# None of these is in the corpus.
SENTENCES = """My grandmother keeps a box of buttons under the bed in the back bedroom.
Nobody in the office knew where the new printer should have been placed.
The museum opens at half past eight and closes before the evening bells.
If you want to climb that mountain, bring warm clothes and a good pair of boots.
A small group of painters worked on the bridge from May until September.
Most of the apples fell from the tree during the storm last weekend.
We drove for hours through empty farmland without meeting a single person.
The captain promised that the boat would be back in port by midnight.
Sometimes a simple question turns out to be almost impossible to answer.
He jumped over the puddle, slipped, and bumped his knee against the lamp post.
Her voice was barely loud enough to be heard above the drums.
They will probably publish the results of the poll sometime in April.
I remember that my uncle used to fix broken umbrellas for the whole family.
Thank you very much for the beautiful flowers and the chocolate cake.
When the music stopped, everybody clapped and shouted for more.
The problem with cheap paint is that it peels off the wall within months.
Both brothers became famous for building bamboo furniture by hand.
Could you please move your bicycle so that the ambulance can pass?
The economy grew by about five percent, mainly because of higher exports.
Deep below the surface, strange fish with glowing bodies hunt for food.""".splitlines()


def closed_share(close: np.ndarray, phones: tuple[tuple[float, str], ...], shift: float) -> list[bool]:
    """Whether the lips shut in each /p b m/, with its time moved by `shift` seconds around the recording."""
    seconds, shut = len(close) / FEATURE_RATE, []
    for (start, name), (end, _) in itertools.pairwise(phones):
        if name in BILABIAL:
            first = int(((start + shift) % seconds) * FEATURE_RATE)
            count = max(2, int((end - start) * FEATURE_RATE))
            shut.append(bool((close[first : first + count] > SHUT).any()))
    return shut


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=None, help="default: the embedded ones")
    parser.add_argument("--voices", nargs="+", default=[TEST_VOICE])
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    net = load_visemenet(args.weights)
    for voice in args.voices:
        predicted, truth, shut, chance = [], [], [], []
        for sentence in SENTENCES:
            samples, _, phones = speak(voice, sentence)
            tracks = predict_visemes(samples.astype(np.float32) / 32768, net=net)
            predicted.append(tracks)
            truth.append(mouth_tracks(phones, len(tracks)))
            shut += closed_share(tracks[:, CLOSE], phones, 0.0)
            for shift in CHANCE_SHIFTS:
                chance += closed_share(tracks[:, CLOSE], phones, shift)
        line = f"{voice} {score(predicted, truth).line()}"
        logging.info("%s | shut in /p b m/ %.2f, by chance %.2f", line, np.mean(shut), np.mean(chance))


if __name__ == "__main__":
    main()
