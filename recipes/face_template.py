"""Turns a public-domain portrait and drawn faces into `assets/face_template.npz`, the mean face mesh.

Run from the repository root:  python recipes/face_template.py
Needs the package itself, mediapipe, scikit-image (its astronaut portrait is NASA's, public domain), scipy.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import Delaunay
from skimage import data

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from sadtalker_ext.face import topology
from sadtalker_ext.face.geometry import rotation_from_pose
from sadtalker_ext.face.mediapipe_mesh import mediapipe_detector, region_of

TARGET = Path(__file__).resolve().parent.parent / "sadtalker_ext" / "assets" / "face_template.npz"
DRAWINGS = 120
PHOTO_VIEWS = 40  # turned, scaled and lit copies of the photograph, half of them mirrored
PHOTO_SHARE = 0.5  # weight of the photograph away from the mouth; at the mouth, which smiles, it is 0
MOUTH_REACH = 0.28  # fw from the mouth within which the drawings alone decide
MOUTH_FADE = 0.2  # fw over which the photograph comes in
SIZE = 512


def main() -> None:
    rng = np.random.default_rng(7)
    drawn: list[np.ndarray] = []
    drawn_mirrored: list[np.ndarray] = []
    drawn_tilt: list[float] = []
    while len(drawn) < DRAWINGS:
        picture = draw_face(rng)
        points, mirrored = mesh(picture), mesh(np.ascontiguousarray(picture[:, ::-1]))
        if points is None or mirrored is None:
            continue
        drawn.append(to_head(points))
        drawn_mirrored.append(to_head(mirrored))
        drawn_tilt.append(tilt(points))
    seen = [points for view in photo_views(rng) if (points := mesh(view)) is not None]
    photo = [to_head(points) for points in seen]
    straight = float(np.mean(drawn_tilt) + np.mean([tilt(points) for points in seen])) / 2
    print(f"{len(drawn)} drawings, {len(photo)} photograph views; forehead to chin {straight:.1f} degrees")

    # A point and its mirror point are those that meet when the mirrored picture's mesh is turned back.
    back = np.mean(drawn_mirrored, 0) * [-1, 1, 1]
    cost = np.linalg.norm(np.mean(drawn, 0)[:, None] - back[None], axis=2)
    mirror = linear_sum_assignment(cost)[1]
    mirror_back = mirror[mirror]
    if not (mirror_back == np.arange(len(mirror))).all():
        raise SystemExit("The mirror map is not its own inverse.")

    from_drawings, from_photo = symmetric(np.mean(drawn, 0), mirror), symmetric(np.mean(photo, 0), mirror)
    lips = from_drawings[list(topology.LIPS), :2]
    distance = np.linalg.norm(from_drawings[:, None, :2] - lips[None], axis=2).min(1)
    share = PHOTO_SHARE * np.clip((distance - MOUTH_REACH) / MOUTH_FADE, 0, 1)[:, None]
    points = to_head(close_lips(from_drawings * (1 - share) + from_photo * share))
    # A face that looks straight out of a picture has its chin behind its forehead in the mesh network's
    # depth: that tilt is the zero of pitch.
    points = symmetric(points, mirror) @ rotation_from_pose(0, straight, 0).T
    points = points.astype(np.float32)
    np.savez(
        TARGET, points=points, mirror=mirror.astype(np.int16), triangles=triangulate(points).astype(np.int16)
    )
    print(f"wrote {TARGET.name}, {TARGET.stat().st_size} bytes")


def mesh(picture: np.ndarray) -> np.ndarray | None:
    """Mesh of the one face of a picture, or None."""
    detector = mediapipe_detector()
    for region in detector.propose(picture):
        points = detector.mesh(picture, region)
        for _ in range(2):
            points = None if points is None else detector.mesh(picture, region_of(points))
        return points
    return None


def to_head(points: np.ndarray) -> np.ndarray:
    """Mesh in face widths, upright and frontal: x along the cheeks, y along forehead to chin."""
    across = points[topology.LEFT_CHEEK] - points[topology.RIGHT_CHEEK]
    width = np.linalg.norm(across)
    across = across / width
    down = points[topology.CHIN] - points[topology.FOREHEAD]
    down = down - across * (down @ across)
    down = down / np.linalg.norm(down)
    axes = np.stack([across, down, np.cross(across, down)], 1)
    origin = (points[topology.LEFT_CHEEK] + points[topology.RIGHT_CHEEK]) / 2
    return (points - origin) @ axes / width


def tilt(points: np.ndarray) -> float:
    """Pitch of the line from forehead to chin in the picture's frame, in degrees; > 0: chin nearer."""
    down = points[topology.CHIN] - points[topology.FOREHEAD]
    return float(np.degrees(np.arctan2(-down[2], np.hypot(down[0], down[1]))))


def symmetric(points: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """Mean of a mesh and its mirror image."""
    return (points + points[mirror] * [-1, 1, 1]) / 2


def close_lips(points: np.ndarray) -> np.ndarray:
    """The mesh with its inner lips meeting: each pair moves to its middle, the rings between follow."""
    points = points.copy()
    rings = list(zip(topology.LIPS_UPPER_RINGS, topology.LIPS_LOWER_RINGS, strict=True))
    for k in range(1, len(topology.LIPS_INNER_UPPER) - 1):
        high, low = topology.LIPS_INNER_UPPER[k], topology.LIPS_INNER_LOWER[k]
        half = (points[low] - points[high]) / 2
        for depth, (upper, lower) in enumerate(rings):
            follow = depth / (len(rings) - 1)  # 0 at the outer contour, 1 at the inner
            points[upper[k]] += half * follow
            points[lower[k]] -= half * follow
    return points


def triangulate(points: np.ndarray) -> np.ndarray:
    """Triangles (N, 3) of the skin, clockwise on screen, without the openings of mouth and eyes."""
    skin = points[: topology.SKIN_POINTS]
    # Unrolled around a vertical axis, so that the sides of the nose do not hide each other; lips open
    # a little, so that the upper and the lower one are not stitched together.
    angle = np.arctan2(skin[:, 0], 0.35 - skin[:, 2])
    flat = np.column_stack([angle, skin[:, 1].astype(np.float64)])
    middle = (len(topology.LIPS_INNER_UPPER) - 1) / 2
    for upper, lower in zip(topology.LIPS_UPPER_RINGS, topology.LIPS_LOWER_RINGS, strict=True):
        for k in range(1, len(upper) - 1):
            opening = 0.03 * (1 - ((k - middle) / middle) ** 2)
            flat[upper[k], 1] -= opening
            flat[lower[k], 1] += opening
    corners = Delaunay(flat).simplices
    openings = [set(topology.LIPS_INNER), set(topology.LEFT_EYE), set(topology.RIGHT_EYE)]
    corners = np.array([t for t in corners if not any(set(t.tolist()) <= hole for hole in openings)])
    a, b, c = (flat[corners[:, i]] for i in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    corners[area < 0] = corners[area < 0][:, ::-1]
    return corners[np.abs(area) > 1e-7]


def photo_views(rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The photograph's head, turned in the plane, scaled and lit differently; every other view mirrored."""
    picture = data.astronaut()[0:300, 80:380]
    for k in range(PHOTO_VIEWS):
        matrix = cv2.getRotationMatrix2D((150, 130), rng.uniform(-12, 12), rng.uniform(0.9, 1.4))
        view = cv2.warpAffine(
            picture, matrix, (300, 300), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
        view = np.clip(view * rng.uniform(0.8, 1.15), 0, 255).astype(np.uint8)
        yield np.ascontiguousarray(view[:, ::-1]) if k % 2 else view


def draw_face(rng: np.random.Generator) -> np.ndarray:
    """A schematic frontal face with closed lips, its proportions and colours drawn at random."""
    canvas_size = SIZE * 2  # drawn at twice the size and reduced, for smooth edges
    unit = canvas_size / 10
    skin = np.array(rng.uniform((170, 130, 100), (240, 205, 180)))
    dark = skin * 0.35

    def near(value: float, spread: float = 0.06) -> float:
        return float(value * rng.normal(1, spread))

    def tone(colour: np.ndarray | tuple[float, ...]) -> tuple[float, ...]:
        return tuple(float(np.clip(c, 0, 255)) for c in colour)

    picture = np.full((canvas_size, canvas_size, 3), rng.uniform(60, 200, 3), np.float64).astype(np.uint8)

    def at(x: float, y: float) -> tuple[int, int]:
        return int(canvas_size / 2 + x * unit), int(canvas_size / 2 + y * unit)

    def ellipse(
        x: float, y: float, a: float, b: float, colour: np.ndarray | tuple[float, ...],
        start: float = 0, end: float = 360, stroke: float = 0,
    ) -> None:  # fmt: skip
        thickness = max(1, int(stroke * unit)) if stroke else -1
        axes = (int(a * unit), int(b * unit))
        cv2.ellipse(picture, at(x, y), axes, 0, start, end, tone(colour), thickness, cv2.LINE_AA)

    ellipse(0, -0.6, 2.75, near(3.3, 0.03), dark)
    ellipse(0, 3.6, near(1.1), 1.8, skin * 0.9)
    ellipse(0, 0, near(2.3, 0.03), near(3.1, 0.04), skin)
    eye_x, eye_y, eye_a, eye_b = near(0.98), near(-0.35, 0.2), near(0.5), near(0.2, 0.12)
    nose_y, mouth_y, mouth_a, lip = near(0.92, 0.07), near(1.86, 0.03), near(0.85, 0.08), near(0.24, 0.2)
    corner = rng.normal(0, 0.04)
    for side in (-1, 1):
        ellipse(side * 2.3, 0.1, 0.3, 0.6, skin * 0.95)
        x = side * eye_x
        wing = 0 if side > 0 else 180
        ellipse(x, eye_y, eye_a, eye_b, (245, 245, 245))
        ellipse(x, eye_y, eye_b, eye_b, dark)
        ellipse(x, eye_y, eye_b * 0.45, eye_b * 0.45, (10, 10, 10))
        ellipse(x, eye_y, eye_a, eye_b * 1.2, dark, 185, 355, 0.07)
        ellipse(x, eye_y - 0.03, eye_a * 1.1, eye_b * 1.8, skin * 0.8, 200, 340, 0.05)
        ellipse(x, eye_y - 0.2, near(0.72, 0.02), near(0.45), dark, 205, 335, near(0.13, 0.2))
        ellipse(side * 0.3, nose_y + 0.06, 0.16, 0.1, skin * 0.55)
        ellipse(side * 0.42, nose_y, 0.2, 0.2, skin * 0.8, wing - 60, wing + 60, 0.04)
    ellipse(0, nose_y - 0.07, 0.35, 0.3, np.minimum(skin * 1.05, 255))
    ellipse(0, nose_y - 0.9, 0.13, 0.9, np.minimum(skin * 1.05, 255))
    mouth = [(-1, corner), (-0.4, -0.75 * lip), (0, -0.5 * lip), (0.4, -0.75 * lip), (1, corner),
             (0.47, 0.85 * lip), (0, 1.1 * lip), (-0.47, 0.85 * lip)]  # fmt: skip
    outline = np.array([at(x * mouth_a, mouth_y + y) for x, y in mouth])
    cv2.fillPoly(picture, [outline], tone(skin * [0.85, 0.55, 0.55]), cv2.LINE_AA)
    line = [(-1, corner), (-0.35, 0.0), (0, 0.03), (0.35, 0.0), (1, corner)]
    seam = np.array([at(x * mouth_a, mouth_y + y) for x, y in line])
    cv2.polylines(picture, [seam], False, tone(skin * [0.5, 0.25, 0.25]), int(0.05 * unit), cv2.LINE_AA)
    reduced = cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(reduced, (0, 0), 2)


if __name__ == "__main__":
    main()
