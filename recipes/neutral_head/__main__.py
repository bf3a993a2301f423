"""Makes `assets/neutral_head.npz`: a head of our own with the 52 ARKit blendshapes.

Run from the repository root:  python -m training.neutral_head
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from recipes.neutral_head import shape
from recipes.neutral_head.blendshapes import blendshapes
from recipes.neutral_head.subdivision import loop_subdivision
from sadtalker_ext.face import topology as points
from sadtalker_ext.tracks.lips import GAP_PER_JAW, GAP_PER_LOWER, GAP_PER_UPPER

TARGET = Path(__file__).resolve().parents[2] / "sadtalker_ext" / "assets" / "neutral_head.npz"
BROW_HALF = 0.030  # fw
BROW_COLOUR = np.array([0.30, 0.215, 0.17])
PIVOT = np.array([0.0, -0.50, -0.22])  # fw, where a head turns on its neck
NECK = (-1.0, -0.55)  # fw, between which heights the neck goes along more and more
STEP = 1e-5  # fw, of stored ways
SEEN = (13, 14)  # middle of the upper and the lower inner lip


def main() -> None:
    skin = shape.skin()
    matrix, fine_faces = loop_subdivision(len(skin.vertices), skin.faces)
    shut_lips(skin, matrix)
    others = {
        "eye_left": shape.eyeball("left"),
        "eye_right": shape.eyeball("right"),
        "upper_teeth": shape.teeth(True),
        "lower_teeth": shape.teeth(False),
        "tongue": shape.tongue(),
        "ear_left": shape.ear("left"),
        "ear_right": shape.ear("right"),
    }
    fine = shape.Part(matrix @ skin.vertices, fine_faces, matrix @ skin.colours, matrix @ skin.shine)
    paint_brows(fine)
    parts = {"skin": fine, **others}
    starts = dict(zip(parts, np.cumsum([0, *[len(part.vertices) for part in parts.values()]]), strict=False))
    ways = blendshapes(skin, {name: part.vertices for name, part in others.items()})
    count = sum(len(part.vertices) for part in parts.values())
    names, stored = [], np.zeros((len(ways), count, 3), np.int16)
    for number, (name, (coarse, rest)) in enumerate(ways.items()):
        way = np.zeros((count, 3))
        way[: len(fine.vertices)] = matrix @ coarse
        for part, moved in rest.items():
            way[starts[part] : starts[part] + len(moved)] = moved
        way *= exact_gap(name, way)
        names.append(name)
        stored[number] = np.round(way / STEP)
    vertices = np.concatenate([part.vertices for part in parts.values()])
    faces = np.concatenate([part.faces + starts[name] for name, part in parts.items()])
    share = np.clip((vertices[:, 1] - NECK[0]) / (NECK[1] - NECK[0]), 0, 1)
    np.savez_compressed(
        TARGET,
        vertices=vertices.astype(np.float32),
        faces=faces.astype(np.int16),
        colours=np.round(np.concatenate([part.colours for part in parts.values()]) * 255).astype(np.uint8),
        shine=np.round(np.concatenate([part.shine for part in parts.values()]) * 255).astype(np.uint8),
        head_share=np.round(share * share * (3 - 2 * share) * 255).astype(np.uint8),
        pivot=PIVOT.astype(np.float32),
        names=np.array(names),
        ways=np.ascontiguousarray(stored),
        step=np.float32(STEP),
        parts=np.array(list(parts)),
        part_starts=np.array(list(starts.values()), np.int32),
    )
    print(f"{TARGET.name}: {count} vertices, {len(faces)} triangles, {TARGET.stat().st_size:,} bytes")


def shut_lips(skin: shape.Part, matrix: csr_matrix) -> None:
    """Move the coarse inner lips so that the smoothed ones meet."""
    upper, lower = list(points.LIPS_INNER_UPPER[1:-1]), list(points.LIPS_INNER_LOWER[1:-1])
    for _ in range(12):
        smooth = matrix @ skin.vertices
        gap = (smooth[upper] - smooth[lower]) / 2
        skin.vertices[upper] -= gap
        skin.vertices[lower] += gap
        for number in (1,):
            ring = dict(
                zip(skin.groups[f"mouth{number}_of"].tolist(), skin.groups[f"mouth{number}"], strict=True)
            )
            for vertices, way in ((upper, -gap), (lower, gap)):
                for vertex, step in zip(vertices, way, strict=True):
                    skin.vertices[ring[vertex]] += step


def exact_gap(name: str, way: np.ndarray) -> float:
    """Factor that makes the lips' opening what the lip convention says of this blendshape."""
    wanted = {
        "jawOpen": GAP_PER_JAW, "mouthClose": -GAP_PER_JAW,
        "mouthUpperUpLeft": GAP_PER_UPPER / 2, "mouthUpperUpRight": GAP_PER_UPPER / 2,
        "mouthLowerDownLeft": GAP_PER_LOWER / 2, "mouthLowerDownRight": GAP_PER_LOWER / 2,
    }  # fmt: skip
    if name not in wanted:
        return 1.0
    return wanted[name] / float(way[SEEN[0], 1] - way[SEEN[1], 1])


def paint_brows(fine: shape.Part) -> None:
    """Soft brows along the middle of their upper and lower lines, raised a little."""
    mean = shape.face_points()
    for upper, lower in (
        (points.RIGHT_BROW_UPPER, points.RIGHT_BROW_LOWER),
        (points.LEFT_BROW_UPPER, points.LEFT_BROW_LOWER),
    ):
        line = 0.4 * mean[list(upper)] + 0.6 * mean[list(lower)]
        line = np.concatenate([np.linspace(a, b, 12) for a, b in pairwise(line)])
        away = np.linalg.norm(fine.vertices[:, None] - line[None], axis=2).min(1)
        share = 0.9 * np.exp(-((away / BROW_HALF) ** 2))
        fine.colours += share[:, None] * (BROW_COLOUR - fine.colours)
        fine.shine += share * (0.2 - fine.shine)
        fine.vertices[:, 2] += 0.003 * share


if __name__ == "__main__":
    main()
