"""Turns a face mesh into one whose inner lips lie where the picture's lips end, to a fraction of a lip."""

from __future__ import annotations

import cv2
import numpy as np

from ....face import topology
from .frame import FaceFrame

COLUMNS = 48  # places along the mouth where the lips' edges are looked for
REACH = 0.11  # fw above and below the mesh's line
STEP = 0.0025  # fw between rows
SEARCH = 0.028  # fw by which an edge may lie off the mesh's
CLOSED_SEARCH = 0.020
PRIOR = 1.0  # cost of an edge that lies `SEARCH` off the mesh
BEND = 0.3  # cost of a step of one row from a column to the next, squared
MAX_STEP = 3  # rows
LEAST_CONTRAST = 14.0  # Lab units between lips and what is between them, below which the mesh is kept
NARROW_GAP = 0.022  # fw; an opening below it that shows no teeth is the shade between closed lips
TAPER = 0.12  # share of the mouth's length at each corner over which the mesh regains its say


def refine_lips(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """A copy of the mesh (478, 3) with the points of the inner lips moved to the edges seen in the picture.

    Closed lips: both go to the dark line between them. Open ones: to where lip colour ends. image: uint8
    (H, W, 3) in whose pixels the mesh is.
    """
    frame = FaceFrame.of(landmarks)
    strip = _Strip(image, frame)
    if strip.length < 6:
        return frame.points
    shut = frame.own_gap == 0 or (frame.own_gap < NARROW_GAP and not strip.shows_teeth())
    shifts = strip.closed_shift() if shut else strip.open_shift()
    if shifts is None:
        return frame.points
    points = frame.points.copy()
    for shift, rings in zip(shifts, (topology.LIPS_UPPER_RINGS, topology.LIPS_LOWER_RINGS), strict=True):
        for ring, amount in zip(rings[1:], (0.25, 0.6, 1.0), strict=True):
            chosen = list(ring[1:-1])
            along, _ = frame.plane(points[chosen, 0], points[chosen, 1], strip.origin)
            moved = np.interp(along, strip.along, shift) * amount * frame.width
            points[chosen, :2] += moved[:, None] * frame.down
    return points


class _Strip:
    """The mouth straightened: rows run along the line between the mesh's lips, columns across it."""

    def __init__(self, image: np.ndarray, frame: FaceFrame) -> None:
        fw = frame.width
        self.origin = frame.points[78, :2]
        lines = []
        for ring in (
            topology.LIPS_INNER_UPPER, topology.LIPS_INNER_LOWER,
            topology.LIPS_OUTER_UPPER, topology.LIPS_OUTER_LOWER,
        ):  # fmt: skip
            points = frame.points[list(ring), :2]
            u, v = frame.plane(points[:, 0], points[:, 1], self.origin)
            order = np.argsort(u)
            lines.append((u[order], v[order]))
        corner = frame.points[308]
        span = float(frame.plane(corner[0], corner[1], self.origin)[0])
        self.length = span * fw
        self.along = np.linspace(0.03, 0.97, COLUMNS) * span
        upper, lower, top, bottom = (np.interp(self.along, u, v) for u, v in lines)
        self.thickness = (np.maximum(upper - top, 0.01), np.maximum(bottom - lower, 0.01))
        self.rows = np.arange(-REACH, REACH + STEP / 2, STEP)
        self.half = (lower - upper) / 2  # fw from the middle line to either edge of the mesh
        middle = (upper + lower) / 2
        u = np.broadcast_to(self.along[None], (len(self.rows), COLUMNS))
        v = middle[None] + self.rows[:, None]
        x = self.origin[0] + fw * (u * frame.across[0] + v * frame.down[0])
        y = self.origin[1] + fw * (u * frame.across[1] + v * frame.down[1])
        soft = cv2.GaussianBlur(image, (0, 0), max(0.5, 0.004 * fw))
        lab = cv2.cvtColor(soft, cv2.COLOR_RGB2LAB)
        x, y = x.astype(np.float32), y.astype(np.float32)
        sampled = cv2.remap(lab, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        self.lab = sampled.astype(np.float64) * np.array([100 / 255, 1.0, 1.0])
        self.trust = np.clip(np.minimum(self.along, span - self.along) / (TAPER * span), 0, 1)

    def shows_teeth(self) -> bool:
        """Whether something lighter than the lips lies between them."""
        rows, half = self.rows[:, None], self.half[None]
        light = self.lab[..., 0]
        inner = light[(np.abs(rows) < np.maximum(half * 0.6, STEP))]
        lips = light[(np.abs(rows) > half + 0.01) & (np.abs(rows) < half + 0.03)]
        return float(np.percentile(inner, 75)) > float(np.median(lips))

    def closed_shift(self) -> tuple[np.ndarray, np.ndarray] | None:
        """fw from the mesh's upper and lower edge to the darkest line along the mouth, (COLUMNS,) each."""
        light = self.lab[..., 0]
        near = np.abs(self.rows) < CLOSED_SEARCH
        depth = np.median(light[near].max(0) - light[near].min(0))
        if depth < LEAST_CONTRAST / 2:
            return None
        cost = (light - light[near].min(0)) / depth
        line = self._path(cost, np.zeros(COLUMNS), CLOSED_SEARCH) * self.trust
        return line + self.half, line - self.half

    def open_shift(self) -> tuple[np.ndarray, np.ndarray] | None:
        """fw from the mesh's edges to where the lips' colour ends, (COLUMNS,) each."""
        shifts = []
        for side, sign in ((0, -1.0), (1, 1.0)):
            inside = self._interior_likeness(side, sign)
            if inside is None:
                shifts.append(np.zeros(COLUMNS))
                continue
            total = -sign * np.cumsum(inside, 0) * (STEP / 0.01)
            edge = self._path(total, sign * self.half, SEARCH, beyond=sign)
            shifts.append((edge - sign * self.half) * self.trust)
        return shifts[0], shifts[1]

    def _interior_likeness(self, side: int, sign: float) -> np.ndarray | None:
        """(rows, columns) in −1..1: 1 on teeth or the dark between the lips, −1 on one lip; None if alike.

        side: 0 for the upper lip, 1 for the lower; sign: −1 or 1, where that lip's rows lie.
        """
        rows, half = self.rows[:, None] * sign, self.half[None]
        central = (np.abs(np.arange(COLUMNS) - COLUMNS / 2) < COLUMNS * 0.36)[None]
        thickness = self.thickness[side]
        lip_area = self.lab[central & (rows > half + 0.25 * thickness) & (rows < half + 0.75 * thickness)]
        inner = self.lab[central & (np.abs(rows) < half * 0.5)]
        if len(inner) < 12 or len(lip_area) < 12:
            return None
        lip = np.median(lip_area, axis=0)
        light = inner[:, 0]
        bright = np.median(inner[light >= np.percentile(light, 60)], axis=0)
        dark = np.median(inner[light <= np.percentile(light, 15)], axis=0)
        dark[0] = min(dark[0], 0.5 * lip[0])
        tones = [bright, dark] if np.linalg.norm(bright - lip) > LEAST_CONTRAST else [dark]
        contrast = float(np.linalg.norm(tones[0] - lip))
        if contrast < LEAST_CONTRAST:
            return None
        to_inside = np.min([np.linalg.norm(self.lab - tone, axis=-1) for tone in tones], axis=0)
        return np.clip((np.linalg.norm(self.lab - lip, axis=-1) - to_inside) / (0.6 * contrast), -1, 1)

    def _path(self, cost: np.ndarray, mesh: np.ndarray, search: float, beyond: float = 0.0) -> np.ndarray:
        """Rows (fw, by column) of the cheapest smooth path along the mouth (dynamic programming).

        mesh: (COLUMNS,) fw, the path expected. beyond: −1 to stay above the middle line, 1 below it.
        """
        off = (self.rows[:, None] - mesh[None]) / search
        wrong = (np.abs(off) > 1) | (self.rows[:, None] * beyond < 0)
        cost = cost + PRIOR * off**2 + np.where(wrong, 1e3, 0)
        count = len(self.rows)
        best = cost[:, 0]
        origins = np.zeros((COLUMNS, count), int)
        steps = np.arange(-MAX_STEP, MAX_STEP + 1)
        for column in range(1, COLUMNS):
            # The line that the mesh draws is the level from which steps are counted.
            drift = round(float(mesh[column] - mesh[column - 1]) / STEP)
            sources = np.arange(count)[:, None] - steps[None] - drift
            valid = (sources >= 0) & (sources < count)
            options = np.where(valid, best[np.clip(sources, 0, count - 1)] + BEND * steps**2, 1e6)
            choice = options.argmin(1)
            origins[column] = np.clip(sources[np.arange(count), choice], 0, count - 1)
            best = options[np.arange(count), choice] + cost[:, column]
        row = int(best.argmin())
        path = np.empty(COLUMNS)
        for column in range(COLUMNS - 1, -1, -1):
            path[column] = self.rows[row]
            row = int(origins[column, row])
        return np.convolve(np.pad(path, 2, mode="edge"), np.array([1, 4, 6, 4, 1]) / 16, mode="valid")
