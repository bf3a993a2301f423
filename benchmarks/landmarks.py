"""How far crop, alignment and coefficients move when the 68 points from the mesh do, on given pictures.

    python benchmarks/landmarks.py PICTURES [--models-dir DIR]

Points are moved in three ways: by looking at a changed picture (mirrored, smaller, noisy), by choosing other
points of the mesh that one might take for the same landmark, and by noise. With weights in DIR the
coefficients of the reconstruction are compared too, in units of the median difference between two pictures.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from sadtalker_ext.engines.sadtalker.crop import Box, face_crop
from sadtalker_ext.engines.sadtalker.face3d import INPUT, align_to_model, five_points
from sadtalker_ext.engines.sadtalker.render.source import MODEL_POINTS, landmarks_68, reconstruct
from sadtalker_ext.face import find_faces, load_picture
from sadtalker_ext.face.faces import Face, face_from_landmarks
from sadtalker_ext.face.mean import mean_face

SIZE = 256  # px of the square
SHRINK = 0.6
GRAIN = 8.0  # levels of 255
NOISE = (0.01, 0.02, 0.04)  # of the distance between the eyes
DRAWS = 8
# Of landmarks that are used: other points of the mesh that lie near.
OTHER_CHOICES = {
    "nose tip 1 in the place of 4": {30: 1},
    "inner mouth corners": {48: 78, 54: 308},
    "eye corners one point further in": {36: 246, 39: 173, 42: 398, 45: 466},
}


def largest(image: np.ndarray) -> Face | None:
    faces = find_faces(image)
    return faces[0] if faces else None


def moved(image: np.ndarray, face: Face) -> Iterator[tuple[str, np.ndarray]]:
    """Names and landmarks (68, 2) in the picture's pixels."""
    own = landmarks_68(face)
    mirrored = largest(np.ascontiguousarray(image[:, ::-1]))
    if mirrored is not None:
        mesh = mirrored.landmarks[mean_face().mirror].copy()
        mesh[:, 0] = image.shape[1] - 1 - mesh[:, 0]
        yield "the picture mirrored", landmarks_68(face_from_landmarks(mesh, 1, "mediapipe"))
    small = largest(cv2.resize(image, None, fx=SHRINK, fy=SHRINK, interpolation=cv2.INTER_AREA))
    if small is not None:
        yield f"the picture at {SHRINK:g} of its size", (landmarks_68(small) + 0.5) / SHRINK - 0.5
    rng = np.random.default_rng(0)
    grained = largest(np.clip(image + rng.normal(0, GRAIN, image.shape), 0, 255).astype(np.uint8))
    if grained is not None:
        yield f"noise of {GRAIN:g} levels in the picture", landmarks_68(grained)
    for name, choice in OTHER_CHOICES.items():
        points = own.copy()
        for landmark, index in choice.items():
            points[landmark] = face.landmarks[index, :2]
        yield name, points
    eyes = np.linalg.norm(own[36:42].mean(axis=0) - own[42:48].mean(axis=0))
    for share in NOISE:
        for _ in range(DRAWS):
            yield f"noise of {share:.0%} of the eyes' distance", own + rng.normal(0, share * eyes, own.shape)


class Look:
    """What the networks see of a face with given landmarks."""

    def __init__(self, image: np.ndarray, points: np.ndarray, box: Box | None, recon: object) -> None:
        height, width = image.shape[:2]
        crop = face_crop(points, width, height)
        scale = np.array(crop.picture) / (width, height)
        self.box = crop.box("full") if box is None else box
        image = cv2.resize(image, crop.picture)[
            self.box.top : self.box.bottom, self.box.left : self.box.right
        ]
        square = cv2.resize(image, (SIZE, SIZE))
        inside = (points * scale - self.box[:2]) * (SIZE / self.box.width, SIZE / self.box.height)
        upwards = np.column_stack([inside[:, 0], SIZE - 1 - inside[:, 1]])
        self.alignment = align_to_model(five_points(upwards), MODEL_POINTS, SIZE, SIZE)
        self.coefficients = None if recon is None else reconstruct(square, inside, recon)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--models-dir", type=Path, default=None)
    options = parser.parse_args()
    recon = None
    if options.models_dir is not None:
        from sadtalker_ext.engines.sadtalker.networks.recon import ReconNet
        from sadtalker_ext.engines.sadtalker.weights import Sources, loaded

        recon = loaded(ReconNet.shaped_like, Sources.find(options.models_dir, SIZE).state("recon"))
    rows: dict[str, list[tuple[float, float, float, float]]] = {}
    looks = []
    for path in sorted(options.pictures.iterdir()):
        image = load_picture(path).image
        face = largest(image)
        if face is None:
            continue
        own = Look(image, landmarks_68(face), None, recon)
        looks.append(own)
        for name, points in moved(image, face):
            box = face_crop(points, image.shape[1], image.shape[0]).box("full")
            other = Look(
                image, points, own.box, recon
            )  # the same square, so that the alignment alone differs
            edge = max(abs(a - b) for a, b in zip(own.box, box, strict=True)) / own.box.width
            a, b = own.alignment, other.alignment
            place = np.hypot(a.t_x - b.t_x, a.t_y - b.t_y) * a.scale
            change = 0.0
            if own.coefficients is not None and other.coefficients is not None:
                change = float(np.linalg.norm(own.coefficients[:70] - other.coefficients[:70]))
            rows.setdefault(name, []).append((edge * 100, abs(b.scale / a.scale - 1) * 100, place, change))
    between = 1.0
    if recon is not None:
        table = np.stack([look.coefficients[:70] for look in looks])
        pairs = [np.linalg.norm(a - b) for i, a in enumerate(table) for b in table[:i]]
        between = float(np.median(pairs))
    print(f"{len(looks)} pictures; median (most)")
    print(f"{'':44s} edge of the box, %  size under the model, %  place, px of {INPUT}  coefficients")
    for name, values in rows.items():
        middle, most = np.median(values, axis=0), np.max(values, axis=0)
        cells = [f"{m:5.2f} ({x:5.2f})" for m, x in zip(middle[:3], most[:3], strict=True)]
        last = f"{middle[3] / between:.2f} ({most[3] / between:.2f})" if recon is not None else "-"
        print(f"{name:44s} {cells[0]:>18s} {cells[1]:>24s} {cells[2]:>17s} {last:>14s}")


if __name__ == "__main__":
    main()
