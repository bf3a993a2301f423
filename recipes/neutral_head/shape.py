"""The mean face mesh into a whole head: skull, neck, ears, eyeballs, the inside of the mouth."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.sparse import csr_matrix, diags, vstack
from scipy.sparse.linalg import spsolve
from scipy.spatial import Delaunay

from recipes.neutral_head.subdivision import laplacian
from sadtalker_ext.face import topology as points
from sadtalker_ext.face.mean import mean_face
from sadtalker_ext.mesh.draw.surface import boundary_loops

# Cross-sections of skull and neck, in face widths: height, half the width, front, back.
SECTIONS = np.array([
    (-1.12, 0.50, 0.10, -0.64), (-1.02, 0.42, 0.07, -0.59), (-0.90, 0.375, 0.07, -0.56),
    (-0.78, 0.365, 0.11, -0.55), (-0.66, 0.375, 0.20, -0.56), (-0.50, 0.41, 0.32, -0.61),
    (-0.30, 0.465, 0.42, -0.69), (-0.10, 0.51, 0.47, -0.76), (0.10, 0.54, 0.51, -0.81),
    (0.30, 0.56, 0.54, -0.82), (0.48, 0.55, 0.53, -0.79), (0.64, 0.50, 0.45, -0.70),
    (0.76, 0.41, 0.33, -0.57), (0.845, 0.29, 0.18, -0.43), (0.89, 0.16, 0.03, -0.29),
])  # fmt: skip
CROWN = (0.0, 0.905, -0.13)
LEVELS, AROUND = 19, 32  # rows and columns of the grid over skull and neck
STITCH = 0.075  # fw around the face's outline that stays free of the grid
PULL = 0.08  # of the sections on the smoothed skull
EYE_RADIUS = 0.088  # fw; 12 mm where a face is 14 cm wide
LID_CLEARANCE = 0.007  # fw between the eyeball and the lids' rims, under which a blink may pass
MOUTH_RINGS = ((0.035, 0.010, 0.97), (0.11, 0.075, 0.93), (0.26, 0.10, 0.75))  # back, half height, width


@dataclass(eq=False)
class Part:
    """A piece of the head: vertices (V, 3), triangles (F, 3), sRGB (V, 3) in 0..1, shine (V,) in 0..1."""

    vertices: np.ndarray
    faces: np.ndarray
    colours: np.ndarray
    shine: np.ndarray
    groups: dict[str, np.ndarray] = field(default_factory=dict)


def face_points() -> np.ndarray:
    """The mean face (478, 3) in face widths: x to the picture's right, y up, z towards the viewer."""
    return mean_face().points.astype(np.float64) * [1, -1, -1]


def face_triangles() -> np.ndarray:
    """The face's triangles (F, 3), counter-clockwise from the front; the lips' follow their rings.

    Those of the mean face sew the corners of the mouth up, where upper and lower lip lie in one place.
    """
    given = mean_face().triangles[:, ::-1]
    lips = np.isin(given, points.LIPS).all(1) & ~np.isin(given, points.LIPS_OUTER).all(1)
    made = []
    for rings, flip in ((points.LIPS_UPPER_RINGS, False), (points.LIPS_LOWER_RINGS, True)):
        for outer, inner in pairwise(rings):
            for k in range(len(outer) - 1):
                a, b, c, d = outer[k], outer[k + 1], inner[k], inner[k + 1]
                pair = ((a, c, b), (b, c, d)) if k < len(outer) // 2 else ((a, c, d), (a, d, b))
                made += [(q, p, r) if flip else (p, q, r) for p, q, r in pair]
    return np.concatenate([given[~lips], made])


def skin() -> Part:
    """Face, skull and neck as one coarse mesh, with the lids' rims and the inside of the mouth.

    groups: `lids`, `mouth1`, `mouth2`, `mouth3` are the added rings; `mouth…` (N,) pairs of ring vertex and
    lip vertex as `mouth1_of` and so on.
    """
    mean = face_points()
    vertices = mean[: points.SKIN_POINTS]
    vertices, faces = _with_skull(vertices, face_triangles())
    groups: dict[str, np.ndarray] = {}
    loops = boundary_loops(faces)
    for name, wanted in (("right", points.RIGHT_EYE), ("left", points.LEFT_EYE)):
        loop = next(loop for loop in loops if set(loop.tolist()) == set(wanted))
        middle = eye_centre(name)
        ring = vertices[loop] + (middle - vertices[loop]) * 0.12 - [0, 0, 0.035]
        vertices, faces, groups[f"lids_{name}"] = _extruded(vertices, faces, loop, ring)
        groups[f"lids_{name}_of"] = loop
    loop = next(loop for loop in loops if set(loop.tolist()) == set(points.LIPS_INNER))
    rim, of = vertices[loop], loop
    corner = (points.LIPS_INNER_UPPER[0], points.LIPS_INNER_UPPER[-1])
    upper = np.array([-1 if v in points.LIPS_INNER_LOWER else 1 for v in loop], float)
    upper[np.isin(loop, corner)] = 0
    middle = rim.mean(0)
    for number, (back, height, width) in enumerate(MOUTH_RINGS, 1):
        ring = rim.copy()
        ring[:, 0] = middle[0] + (ring[:, 0] - middle[0]) * width
        arch = 1 - (ring[:, 0] / np.abs(ring[:, 0]).max()) ** 2 * 0.8
        ring[:, 1] += upper * height * arch
        ring[:, 2] = ring[:, 2] * (1 - 0.4 * (number > 1)) + middle[2] * 0.4 * (number > 1) - back
        vertices, faces, groups[f"mouth{number}"] = _extruded(vertices, faces, loop, ring)
        groups[f"mouth{number}_of"] = of
        loop = groups[f"mouth{number}"]
    end = vertices[loop].mean(0) - [0, 0, 0.06]
    groups["throat"] = np.array([len(vertices)])
    faces = np.concatenate(
        [faces, [(b, a, len(vertices)) for a, b in zip(loop, np.roll(loop, -1), strict=True)]]
    )
    vertices = np.concatenate([vertices, end[None]])
    colours, shine = _painted(vertices, groups)
    return Part(vertices, faces, colours, shine, groups)


def eye_centre(side: str) -> np.ndarray:
    """Middle of the eyeball on that side (the person's own), so far back that the lids lie before it."""
    mean = face_points()
    loop = list(points.LEFT_EYE if side == "left" else points.RIGHT_EYE)
    ring = mean[loop]
    middle = ring.mean(0)
    for back in np.linspace(0, 0.2, 400):
        centre = middle - [0, 0, back]
        lids = np.linalg.norm(ring - centre, axis=1)
        if np.sort(lids)[2] > EYE_RADIUS + LID_CLEARANCE:
            return centre
    raise SystemExit("The lids do not fit around an eyeball.")


def eyeball(side: str) -> Part:
    """The part of an eyeball that can be seen; iris and pupil look straight ahead."""
    angles = np.radians([0, 6, 10.5, 11.5, 17, 24, 28.5, 30.5, 38, 50, 65, 85, 105])
    tones = np.array([
        *[(0.03, 0.03, 0.035)] * 3, (0.20, 0.30, 0.36), (0.30, 0.44, 0.50), (0.27, 0.40, 0.46),
        (0.12, 0.17, 0.20), (0.80, 0.78, 0.76), (0.93, 0.92, 0.91), (0.93, 0.91, 0.90),
        (0.90, 0.86, 0.84), (0.86, 0.78, 0.75), (0.80, 0.70, 0.66),
    ])  # fmt: skip
    count = 28
    turn = np.arange(count) / count * 2 * np.pi
    unit = [np.array([[0.0, 0.0, 1.0]])]
    unit += [
        np.stack([np.sin(a) * np.cos(turn), np.sin(a) * np.sin(turn), np.full(count, np.cos(a))], 1)
        for a in angles[1:]
    ]
    faces = [(0, 1 + k, 1 + (k + 1) % count) for k in range(count)]
    faces += _tube(len(angles) - 1, count, 1)
    vertices = np.concatenate(unit) * EYE_RADIUS
    # The cornea stands out a little and catches the light.
    vertices[:, 2] += 0.05 * EYE_RADIUS * np.clip((vertices[:, 2] / EYE_RADIUS - 0.86) / 0.14, 0, 1)
    colours = np.repeat(tones, [1, *[count] * (len(angles) - 1)], 0)
    return Part(vertices + eye_centre(side), np.array(faces), colours, np.full(len(vertices), 0.95))


def teeth(upper: bool) -> Part:
    """One row of teeth with its gum, along an arch behind the lips."""
    lips = face_points()[13]
    sign = 1.0 if upper else -1.0
    along = np.linspace(-1, 1, 57)
    bend = along * 1.25
    width, depth, front = (0.152, 0.20, 0.060) if upper else (0.138, 0.19, 0.080)
    arch = np.stack([width * np.sin(bend), np.zeros_like(bend), depth * (np.cos(bend) - 1)], 1)
    outward = np.stack([np.sin(bend), np.zeros_like(bend), np.cos(bend)], 1)
    tooth = np.abs(np.sin(along * np.pi * 5)) ** 0.4  # 0 between two teeth
    edge = lips[1] + (-0.012 if upper else -0.016)
    profile = [  # above the edge, outwards, tone
        (0.125, -0.030, 0), (0.085, 0.004, 0), (0.072, 0.002, 1), (0.035, 0.006, 1),
        (0.000, 0.000, 1), (0.002, -0.020, 1), (0.060, -0.035, 1),
    ]  # fmt: skip
    rows = []
    for height, out, _ in profile:
        row = arch + outward * (out + 0.006 * (tooth[:, None] - 1) * (out >= 0))
        notch = 0.005 * (1 - tooth) * (abs(height) < 0.003)
        row[:, 1] = edge + sign * (height + notch)
        row += [0, 0, lips[2] - front]
        rows.append(row)
    vertices = np.concatenate(rows)
    count = len(along)
    faces = np.array(
        [
            corner
            for r in range(len(rows) - 1)
            for k in range(count - 1)
            for corner in (
                (r * count + k, (r + 1) * count + k, r * count + k + 1),
                (r * count + k + 1, (r + 1) * count + k, (r + 1) * count + k + 1),
            )
        ]
    )
    if not upper:
        faces = faces[:, ::-1]
    ivory, gum = np.array([0.90, 0.87, 0.80]), np.array([0.66, 0.33, 0.33])
    colours = np.concatenate(
        [np.where(tone, ivory * (0.86 + 0.14 * tooth[:, None]), gum) for _, _, tone in profile]
    )
    return Part(vertices, faces, colours, np.full(len(vertices), 0.8))


def tongue() -> Part:
    """A flat, rounded tongue behind the lower teeth."""
    lips = face_points()[14]
    rings, count = 9, 18
    parts = []
    for k in range(rings):
        share = k / (rings - 1)
        half = np.sin(np.pi * (0.08 + 0.5 * share)) ** 0.7
        turn = np.arange(count) / count * 2 * np.pi
        ring = np.stack([0.105 * half * np.cos(turn), 0.032 * half * np.sin(turn), np.zeros(count)], 1)
        ring[:, 1] -= 0.014 * np.exp(-((ring[:, 0] / 0.03) ** 2)) * (ring[:, 1] > 0)
        place = np.array([0, lips[1] - 0.062 - 0.02 * share, lips[2] - 0.105 - 0.20 * share])
        parts.append(ring + place)
    vertices = np.concatenate([*parts, parts[0].mean(0)[None] + np.array([0, 0, 0.006])])
    faces = _tube(rings, count, 0)
    tip = len(vertices) - 1
    faces += [(tip, k, (k + 1) % count) for k in range(count)]
    colours = np.tile([0.72, 0.36, 0.36], (len(vertices), 1))
    return Part(vertices, np.array(faces), colours, np.full(len(vertices), 0.6))


def ear(side: str) -> Part:
    """An ear as a bent disc: raised rim, hollow before the opening, lobe below."""
    rings, count = 11, 30
    turn = np.arange(count) / count * 2 * np.pi
    spread = np.linspace(0.0, 1.0, rings)[1:]
    vertices = [np.array([[0.02, -0.03, -0.030]])]
    for r in spread:
        u = 0.125 * np.cos(turn) * (1 - 0.30 * np.clip(-np.sin(turn), 0, 1))  # backwards
        v = 0.215 * np.sin(turn)  # upwards
        rim = 0.030 * np.exp(-(((r - 0.80) / 0.13) ** 2)) * (0.35 + 0.65 * np.clip(np.sin(turn) + 0.75, 0, 1))
        fold = 0.016 * np.exp(-(((r - 0.52) / 0.12) ** 2)) * np.clip(np.cos(turn) + 0.2, 0, 1)
        hollow = -0.034 * np.exp(-((r / 0.42) ** 2))
        edge = -0.055 * np.clip((r - 0.86) / 0.14, 0, 1) ** 1.5
        out = rim + fold + hollow + edge + 0.012 * (np.sin(turn) < -0.6)
        vertices.append(np.stack([r * u + 0.02 * (1 - r), r * v - 0.03 * (1 - r), out], 1))
    local = np.concatenate(vertices)  # backwards, upwards, outwards
    faces = [(0, 1 + k, 1 + (k + 1) % count) for k in range(count)] + _tube(rings - 1, count, 1)
    local *= 0.9
    flare, tilt = np.radians(22), np.radians(10)
    back, up, out = local.T
    back, up = back * np.cos(tilt) + up * np.sin(tilt), up * np.cos(tilt) - back * np.sin(tilt)
    x = 0.535 + (back + 0.10) * np.sin(flare) + out * np.cos(flare)
    z = -0.15 - back * np.cos(flare) + out * np.sin(flare)
    place = np.stack([x, up - 0.05, z], 1)
    faces_of = np.array(faces)
    if side == "right":
        faces_of = faces_of[:, ::-1]
        place[:, 0] *= -1
    colours = np.tile([0.80, 0.60, 0.52], (len(place), 1))
    colours[local[:, 2] < -0.012] = [0.66, 0.46, 0.41]
    return Part(place, faces_of, colours, np.full(len(place), 0.45))


def _with_skull(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The face stitched into a grid of sections, and the seam smoothed."""
    table = PchipInterpolator(SECTIONS[:, 0], SECTIONS[:, 1:])
    levels = np.linspace(SECTIONS[0, 0], SECTIONS[-1, 0], LEVELS)
    levels = np.concatenate([levels[:-3], np.interp([0.25, 0.55, 0.8, 1], [0, 1], levels[[-3, -1]])])
    turn = np.linspace(-np.pi, np.pi, AROUND + 1)[:-1]
    half, front, back = table(levels).T
    z0, depth = (front + back) / 2, (front - back) / 2
    angle, level = np.meshgrid(turn, np.arange(len(levels)))
    squared = 2 / 2.25  # a little squarer than an ellipse
    sin, cos = (np.sign(f(angle)) * np.abs(f(angle)) ** squared for f in (np.sin, np.cos))
    grid = np.stack([half[level] * sin, levels[level], z0[level] + depth[level] * cos], 2)
    grid[0, :, 1] += 0.06 * np.cos(turn) * -1  # the neck's border slopes forwards and down
    flat_grid = np.stack([angle, levels[level]], 2).reshape(-1, 2)
    oval = np.array(points.FACE_OVAL)
    axis = np.interp(vertices[oval, 1], levels, z0)
    flat_oval = np.stack([np.arctan2(vertices[oval, 0], vertices[oval, 2] - axis), vertices[oval, 1]], 1)
    scale = np.array([0.6, 1.0])
    outline = (flat_oval * scale).astype(np.float32)

    def outside(flat: np.ndarray) -> np.ndarray:
        """fw outside the face's outline, negative within."""
        return np.array([-cv2.pointPolygonTest(outline, tuple(map(float, at)), True) for at in flat * scale])

    kept = np.flatnonzero(outside(flat_grid) > STITCH)
    number = len(vertices) + np.arange(len(kept))
    seam = kept[np.isclose(flat_grid[kept, 0], -np.pi)]
    index = np.concatenate([oval, number, number[np.isin(kept, seam)]])
    flat = np.concatenate([flat_oval, flat_grid[kept], flat_grid[seam] + [2 * np.pi, 0]])
    corners = Delaunay(flat * scale).simplices
    a, b, c = (flat[corners[:, k]] for k in range(3))
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    corners[area < 0] = corners[area < 0][:, ::-1]
    corners = corners[(np.abs(area) > 1e-6) & (outside((a + b + c) / 3) > -1e-4)]
    added = index[corners]
    added = added[(added[:, 0] != added[:, 1]) & (added[:, 1] != added[:, 2]) & (added[:, 2] != added[:, 0])]
    top = number[np.isin(kept, np.arange((len(levels) - 1) * AROUND, len(levels) * AROUND))]
    crown = len(vertices) + len(kept)
    cap = np.stack([top, np.roll(top, -1), np.full(AROUND, crown)], 1)
    whole = np.concatenate([vertices, grid.reshape(-1, 3)[kept], [CROWN]])
    faces = np.concatenate([faces, added, cap])
    return _smoothed(whole, faces, fixed=len(vertices), border=number[kept < AROUND]), faces


def _smoothed(whole: np.ndarray, faces: np.ndarray, fixed: int, border: np.ndarray) -> np.ndarray:
    """The skull bent so that it goes on from the face smoothly: least bending, pulled to its sections."""
    count = len(whole)
    bend = laplacian(count, faces)
    bend = bend.multiply(~np.isin(np.arange(count), border)[:, None]).tocsr()
    pull = np.full(count, PULL)
    pull[:fixed] = 0  # the face is kept exactly, below
    pull[border] = 10
    system = vstack([bend, diags(pull)]).tocsr()
    free = np.arange(fixed, count)
    outline = csr_matrix(system[:, :fixed])
    right = (
        vstack([csr_matrix((count, 3)), csr_matrix(pull[:, None] * whole)]).toarray()
        - outline @ whole[:fixed]
    )
    inner = csr_matrix(system[:, fixed:])
    # Bending within the face is its own affair: only rows that touch the skull count.
    touched = np.asarray(abs(inner).sum(1)).reshape(-1) > 0
    inner, right = inner[touched], right[touched]
    solved = spsolve((inner.T @ inner).tocsc(), inner.T @ right)
    smooth = whole.copy()
    smooth[free] = solved
    return smooth


def _extruded(
    vertices: np.ndarray, faces: np.ndarray, loop: np.ndarray, ring: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A strip from a border to a new ring of vertices; also their numbers."""
    new = np.arange(len(vertices), len(vertices) + len(ring))
    after, new_after = np.roll(loop, -1), np.roll(new, -1)
    strip = np.concatenate([np.stack([after, loop, new], 1), np.stack([after, new, new_after], 1)])
    return np.concatenate([vertices, ring]), np.concatenate([faces, strip]), new


def _tube(rings: int, count: int, first: int) -> list[tuple[int, int, int]]:
    faces = []
    for r in range(rings - 1):
        for k in range(count):
            a, b = first + r * count + k, first + r * count + (k + 1) % count
            faces += [(a, a + count, b), (b, a + count, b + count)]
    return faces


def _painted(vertices: np.ndarray, groups: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """sRGB and shine of the coarse skin: lips, rims, the inside of the mouth, a blush, the scalp."""
    colours = np.tile([0.83, 0.66, 0.575], (len(vertices), 1))
    shine = np.full(len(vertices), 0.50)
    mean = face_points()

    def blend(where: np.ndarray, share: np.ndarray, colour: tuple[float, float, float], gloss: float) -> None:
        colours[where] += share[:, None] * (np.array(colour) - colours[where])
        shine[where] += share * (gloss - shine[where])

    every = np.arange(len(vertices))
    for cheek in (50, 280):
        away = np.linalg.norm(vertices - mean[cheek], axis=1)
        blend(every, 0.35 * np.exp(-((away / 0.13) ** 2)), (0.80, 0.52, 0.46), 0.5)
    blend(
        every,
        0.30 * np.exp(-((np.linalg.norm(vertices - mean[4], axis=1) / 0.09) ** 2)),
        (0.80, 0.52, 0.46),
        0.6,
    )
    rings = [*zip(points.LIPS_UPPER_RINGS, (0.55, 0.9, 1.0, 1.0), strict=True)]
    rings += [*zip(points.LIPS_LOWER_RINGS, (0.45, 0.9, 1.0, 1.0), strict=True)]
    for ring, share in rings:
        blend(np.array(ring), np.full(len(ring), share), (0.72, 0.42, 0.40), 0.75)
    for side in ("left", "right"):
        ring = groups[f"lids_{side}"]
        blend(ring, np.ones(len(ring)), (0.70, 0.44, 0.41), 0.7)
    for name, colour in (("mouth1", (0.52, 0.26, 0.26)), ("mouth2", (0.24, 0.09, 0.09)),
                         ("mouth3", (0.12, 0.04, 0.04)), ("throat", (0.08, 0.02, 0.02))):  # fmt: skip
        blend(groups[name], np.ones(len(groups[name])), colour, 0.2)
    return colours, shine
