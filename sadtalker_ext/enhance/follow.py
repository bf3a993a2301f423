"""Frames of a portrait into where its face is in each: its known points are followed, nothing is detected."""

from __future__ import annotations

import cv2
import numpy as np

from ..face import topology
from .upright import followed_by, similarity

FACE_PIXELS = 256.0  # of the face's longer side at which it is followed
AROUND = 0.6  # of the face's size, on every side, that is looked at
WINDOW = (21, 21)  # px
LEVELS = 3
LEAST_POINTS = 8
MOST_TURN_DEG, MOST_SCALE, MOST_SHIFT = 40.0, 1.35, 0.5  # beyond these (the last in face sizes) it was lost
TRIMS = 3  # rounds in which points that moved otherwise than most are left out
NOTICED = 2e-3  # of the face's size: smaller shifts of the corners are noise


class Follower:
    """Follows the head of one portrait; frames are compared with the portrait, so nothing drifts.

    picture: uint8 (H, W, 3), as frames show it at rest. mesh: (478, 2 or 3) of the face in its pixels.
    """

    def __init__(self, picture: np.ndarray, mesh: np.ndarray) -> None:
        height, width = picture.shape[:2]
        skin = mesh[: topology.SKIN_POINTS, :2]
        low, high = skin.min(axis=0), skin.max(axis=0)
        self._size = float((high - low).max())
        reach = AROUND * self._size
        x0, y0 = np.floor(np.clip(low - reach, 0, (width - 1, height - 1))).astype(int)
        x1, y1 = np.ceil(np.clip(high + reach, (1, 1), (width, height))).astype(int)
        self._part = (slice(int(y0), int(max(y1, y0 + 1))), slice(int(x0), int(max(x1, x0 + 1))))
        self._zoom = min(1.0, FACE_PIXELS / max(self._size, 1.0))
        self._origin = np.array([x0, y0], np.float64)
        self._rest = self._small(picture)
        rows, columns = self._rest.shape
        points = (mesh[list(topology.RIGID), :2] - self._origin) * self._zoom
        inside = ((points > 2) & (points < (columns - 3, rows - 3))).all(axis=1)
        self._points = points[inside].astype(np.float32)
        self._last = np.eye(2, 3)

    def restart(self) -> None:
        """Forget where the face was seen last."""
        self._last = np.eye(2, 3)

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """(2, 3) from a frame's pixels to those of the portrait, for uint8 (H, W, 3 or 4)."""
        found = self._found(frame)
        if found is not None:
            self._last = found
        return self._last

    def _found(self, frame: np.ndarray) -> np.ndarray | None:
        if len(self._points) < LEAST_POINTS:
            return None
        seen, status, _ = cv2.calcOpticalFlowPyrLK(  # type: ignore[call-overload]
            self._rest, self._small(frame), self._points[:, None], None, winSize=WINDOW, maxLevel=LEVELS
        )
        good = status.ravel() == 1
        here = seen[good, 0].astype(np.float64)
        there = self._points[good].astype(np.float64)
        for _ in range(TRIMS):
            if len(here) < LEAST_POINTS:
                return None
            matrix = similarity(here, there)
            off = np.linalg.norm(here @ matrix[:, :2].T + matrix[:, 2] - there, axis=1)
            kept = off <= max(2.5 * float(np.median(off)), 0.1)
            here, there = here[kept], there[kept]
        scale = float(np.hypot(*matrix[:, 0]))
        turn = float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))
        middle = there.mean(axis=0)
        shift = float(np.linalg.norm(matrix[:, :2] @ middle + matrix[:, 2] - middle))
        shift /= self._size * self._zoom
        if not 1 / MOST_SCALE < scale < MOST_SCALE or abs(turn) > MOST_TURN_DEG or shift > MOST_SHIFT:
            return None
        to_part = np.column_stack([np.eye(2) * self._zoom, -self._origin * self._zoom])
        from_part = np.column_stack([np.eye(2) / self._zoom, self._origin])
        whole = followed_by(followed_by(to_part, matrix), from_part)
        corners = self._origin + np.array([[0, 0], [0, 1], [1, 0], [1, 1]]) * self._size
        moved = np.abs(corners @ (whole[:, :2] - np.eye(2)).T + whole[:, 2]).max()
        return np.eye(2, 3) if moved < NOTICED * self._size else whole

    def _small(self, image: np.ndarray) -> np.ndarray:
        grey = cv2.cvtColor(np.ascontiguousarray(image[self._part][:, :, :3]), cv2.COLOR_RGB2GRAY)
        if self._zoom == 1.0:
            return grey
        size = (max(1, round(grey.shape[1] * self._zoom)), max(1, round(grey.shape[0] * self._zoom)))
        return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
