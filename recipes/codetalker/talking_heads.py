"""Turns written sentences into a corpus of talking meshes in CodeTalker's layout: made speech, made heads.

Every mesh is our own, a shell of a few hundred vertices or the package's neutral head, so that the whole way
from raw files to trained weights can be tried, and tested, without anybody's data.
"""

from __future__ import annotations

import argparse
import logging
import pickle
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipes.visemenet import texts
from recipes.visemenet.espeak import espeak
from recipes.visemenet.targets import mouth_tracks, place_stops
from sadtalker_ext.audio.features import FEATURE_RATE

SAMPLE_RATE = 16000
ROWS, COLUMNS = 17, 19  # of the grid that is the face
HEIGHT, WIDTH, DEPTH = 0.22, 0.15, 0.10  # metres
MOUTH = -0.045  # height of the mouth's line
MOUTH_HALF, LIP = 0.025, 0.012  # half the mouth's width, thickness of the lips
JAW_DROP, SPREAD, PUCKER, PRESS, TUCK = 0.020, 0.006, 0.008, 0.006, 0.005  # metres at full articulation
TRACKS = 5  # jaw, width, round, close, labiodental; the others are not seen from outside
VARIANTS = ("", "f2", "m3", "f5", "m7", "klatt2", "f3", "m1")  # voices, a subject each
PACES = (150, 165, 180, 195)  # words a minute


@dataclass(frozen=True)
class Head:
    """template: (V, 3), y up, z towards the viewer. basis: (TRACKS, 3·V). faces: (F, 3).

    Lengths are metres, of the neutral head face widths.
    """

    template: np.ndarray
    basis: np.ndarray
    faces: np.ndarray


def head(number: int) -> Head:
    """The head of a subject: the same topology with its own proportions and its own way to articulate."""
    rng = np.random.default_rng(1000 + number)
    stretch = 1 + 0.08 * rng.uniform(-1, 1, 3)
    u, v = np.meshgrid(np.linspace(-1, 1, COLUMNS), np.linspace(-1, 1, ROWS))
    # Rows are dense around the mouth, where something moves.
    y = HEIGHT / 2 * (0.35 * v + 0.65 * v**3) + MOUTH
    x = WIDTH / 2 * u * np.sqrt(np.clip(1 - (y / HEIGHT) ** 2, 0.2, 1))
    z = DEPTH * np.sqrt(np.clip(1 - (0.9 * u) ** 2 - (0.6 * y / HEIGHT) ** 2, 0, 1))
    points = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    basis = np.stack([field.reshape(-1) for field in _fields(points)])
    basis *= 1 + 0.25 * rng.uniform(-1, 1, (TRACKS, 1))
    cells = [
        (r * COLUMNS + c, r * COLUMNS + c + 1, (r + 1) * COLUMNS + c, (r + 1) * COLUMNS + c + 1)
        for r in range(ROWS - 1)
        for c in range(COLUMNS - 1)
    ]
    faces = np.array([triangle for a, b, c, d in cells for triangle in ((a, b, d), (a, d, c))])
    return Head(points * stretch, basis, faces)


def _fields(points: np.ndarray) -> list[np.ndarray]:
    """How far each vertex goes for each track at 1, (V, 3) each."""
    x, y = points[:, 0], points[:, 1] - MOUTH
    below = 1 / (1 + np.exp(y / 0.002))  # 1 under the mouth's line, 0 above
    near = np.exp(-((x / (1.3 * MOUTH_HALF)) ** 2) - (y / (2 * LIP)) ** 2)
    corner = np.exp(-(((np.abs(x) - MOUTH_HALF) / 0.012) ** 2) - (y / (2 * LIP)) ** 2)
    zero = np.zeros_like(x)
    cheek = np.exp(-((x / 0.05) ** 2))
    jaw = np.stack([zero, -JAW_DROP * below * cheek, -0.3 * JAW_DROP * below * cheek], axis=1)
    width = np.stack([SPREAD * np.sign(x) * corner, 0.2 * SPREAD * corner, zero], axis=1)
    round_ = np.stack([-SPREAD * np.sign(x) * corner, zero, PUCKER * near], axis=1)
    close = np.stack([zero, PRESS * near * (2 * below - 1), zero], axis=1)
    tuck = np.stack([zero, TUCK * near * below, -TUCK * near * below], axis=1)
    return [jaw, width, round_, close, tuck]


# What the package's head does for each track at 1.
POSES: tuple[dict[str, float], ...] = (
    {"jawOpen": 0.5},
    {"mouthStretchLeft": 0.6, "mouthStretchRight": 0.6},
    {"mouthPucker": 0.7, "mouthFunnel": 0.3},
    {"mouthPressLeft": 1.0, "mouthPressRight": 1.0, "mouthRollLower": 0.3, "mouthRollUpper": 0.3},
    {"mouthRollLower": 0.6},
)


def neutral_head(number: int) -> Head:
    """The same of the package's own head, whose blendshapes are articulated."""
    from sadtalker_ext.mesh.neutral import neutral_head as package_head

    rng = np.random.default_rng(1000 + number)
    made = package_head()
    basis = np.stack(
        [sum(share * made.blendshapes[name] for name, share in pose.items()).reshape(-1) for pose in POSES]
    )
    basis = basis * (1 + 0.25 * rng.uniform(-1, 1, (TRACKS, 1)))
    return Head(made.vertices * (1 + 0.08 * rng.uniform(-1, 1, 3)), basis, made.faces)


HEADS = {"shell": head, "neutral": neutral_head}


def sentences(count: int) -> list[str]:
    """As many English things to say: whole sentences first, then mixtures of their words."""
    whole = [*texts.training_sentences("en"), *texts.test_sentences("en")]
    rng = np.random.default_rng(7)
    words = [word for sentence in whole for word in sentence.strip(".?!").split()]
    while len(whole) < count:
        whole.append(" ".join(rng.choice(words, 9)) + ".")
    return whole[:count]


def speak(text: str, subject: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """int16 samples at 16 kHz, and the mouth's tracks (T, TRACKS) at 100 Hz."""
    import soxr

    variant = VARIANTS[subject % len(VARIANTS)]
    voice = "en-us" + ("+" + variant if variant else "")
    spoken = espeak().speak(voice, text, PACES[(subject + number) % len(PACES)], 50, 50)
    if spoken is None:
        raise SystemExit(f"espeak-ng has no voice {voice}; install espeak-ng-data.")
    samples = soxr.resample(spoken.samples, spoken.rate, SAMPLE_RATE).astype(np.int16)
    phones = place_stops(samples, spoken.phones)
    return samples, mouth_tracks(phones, int(len(samples) / SAMPLE_RATE * FEATURE_RATE))[:, :TRACKS]


def write(out: Path, subjects: int, count: int, fps: float, kind: str = "shell") -> None:
    """vertices_npy/, wav/, templates.pkl and head.obj for the faces."""
    for folder in ("vertices_npy", "wav"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    said = sentences(count)
    templates = {}
    for subject in range(subjects):
        made = HEADS[kind](subject)
        templates[f"Head{subject + 1}"] = made.template
        for number, text in enumerate(said, 1):
            samples, tracks = speak(text, subject, number)
            at = np.arange(int(len(samples) / SAMPLE_RATE * fps)) / fps * FEATURE_RATE
            curves = np.stack([np.interp(at, np.arange(len(tracks)), column) for column in tracks.T], axis=1)
            stem = f"Head{subject + 1}_sentence{number:02d}"
            vertices = made.template.reshape(-1) + curves @ made.basis
            np.save(out / "vertices_npy" / f"{stem}.npy", vertices.astype(np.float32))
            with wave.open(str(out / "wav" / f"{stem}.wav"), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(SAMPLE_RATE)
                file.writeframes(samples.tobytes())
        logging.info("%d sentences by head %d of %d", len(said), subject + 1, subjects)
    (out / "templates.pkl").write_bytes(pickle.dumps(templates, protocol=2))
    first = HEADS[kind](0)
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in first.template]
    lines += [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in first.faces]
    (out / "head.obj").write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the corpus")
    parser.add_argument("--subjects", type=int, default=6)
    parser.add_argument("--sentences", type=int, default=40)
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--head", choices=sorted(HEADS), default="shell")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    write(args.out, args.subjects, args.sentences, args.fps, args.head)


if __name__ == "__main__":
    main()
