"""Tiny corpora in the layouts of the published ones, written into a folder; several tests share them."""

from __future__ import annotations

import pickle
import struct
import wave
from pathlib import Path

import numpy as np

from sadtalker_ext.training.clips import TEST, TRAIN, VALIDATION
from sadtalker_ext.training.corpora.splits import Share, Splits

VERTICES = 12
FACES = np.array([(i, (i + 1) % VERTICES, (i + 2) % VERTICES) for i in range(VERTICES)])
SUBJECTS = ("FaceTalk_1_TA", "FaceTalk_2_TA")
SPLITS = Splits(
    {
        TRAIN: Share(SUBJECTS[:1], frozenset({"01", "02"})),
        VALIDATION: Share(SUBJECTS[1:], frozenset({"01"})),
        TEST: Share(SUBJECTS[1:], frozenset({"02"})),
    }
)


def templates(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=(VERTICES, 3)) for name in SUBJECTS}


def write_wav(path: Path, seconds: float, rate: int = 22050, seed: int = 0) -> None:
    samples = np.random.default_rng(seed).integers(-9000, 9000, round(seconds * rate)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())


def write_vocaset(root: Path, frames: int = 120, seconds: float = 2.0) -> np.ndarray:
    """The four files; returns the vertices (F, V, 3). The second sentence of the training subject is missing.

    Its index map lists frames in no order, as dictionaries may.
    """
    root.mkdir(parents=True)
    rng = np.random.default_rng(1)
    pairs = [(SUBJECTS[0], "sentence01"), (SUBJECTS[1], "sentence01"), (SUBJECTS[1], "sentence02")]
    vertices = rng.normal(size=(frames * len(pairs), VERTICES, 3)).astype(np.float32)
    np.save(root / "data_verts.npy", vertices)
    places: dict[str, dict[str, dict[int, int]]] = {}
    sound: dict[str, dict[str, dict[str, object]]] = {}
    for number, (subject, sentence) in enumerate(pairs):
        order = rng.permutation(frames)
        places.setdefault(subject, {})[sentence] = {int(i): number * frames + int(i) for i in order}
        samples = rng.integers(-9000, 9000, round(22000 * seconds)).astype(np.int16)
        sound.setdefault(subject, {})[sentence] = {"sample_rate": 22000, "audio": samples}
    for name, value in (
        ("subj_seq_to_idx.pkl", places),
        ("raw_audio_fixed.pkl", sound),
        ("templates.pkl", templates()),
    ):
        (root / name).write_bytes(pickle.dumps(value, protocol=2))
    return vertices


def write_layout(root: Path, pairs: list[tuple[str, str]], frames: int = 50, fps: float = 25.0) -> None:
    """vertices_npy/, wav/ and templates.pkl for these subjects and sentences."""
    (root / "vertices_npy").mkdir(parents=True)
    (root / "wav").mkdir()
    rng = np.random.default_rng(2)
    faces = {name: rng.normal(size=(VERTICES, 3)) for name in dict(pairs)}
    (root / "templates.pkl").write_bytes(pickle.dumps(faces, protocol=2))
    for number, (subject, sentence) in enumerate(pairs):
        motion = faces[subject].reshape(-1) + 0.01 * rng.normal(size=(frames, 3 * VERTICES))
        np.save(root / "vertices_npy" / f"{subject}_{sentence}.npy", motion.astype(np.float32))
        write_wav(root / "wav" / f"{subject}_{sentence}.wav", frames / fps, seed=number)


def write_biwi(root: Path, subjects: tuple[str, ...], sentences: tuple[str, ...], frames: int = 10) -> None:
    """faces/<S>/e##/frame_###.vl, rigid_scans/<S>.obj and videos/<S>_e##.flv (sound alone, as .wav here)."""
    rng = np.random.default_rng(3)
    for folder in ("rigid_scans", "videos"):
        (root / folder).mkdir(parents=True)
    for subject in subjects:
        scan = rng.normal(size=(VERTICES, 3)) * 90 + 40
        lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in scan]
        lines += [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in FACES]
        (root / "rigid_scans" / f"{subject}.obj").write_text("\n".join(lines))
        for sentence in sentences:
            folder = root / "faces" / subject / f"e{sentence}"
            folder.mkdir(parents=True)
            for frame in range(frames):
                moved = (scan + rng.normal(size=scan.shape)).astype("<f4")
                (folder / f"frame_{frame + 1:03d}.vl").write_bytes(
                    struct.pack("<I", VERTICES) + moved.tobytes()
                )
            write_wav(root / "videos" / f"{subject}_e{sentence}.wav", frames / 25, rate=44100)
