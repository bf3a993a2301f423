"""What a restorer adds to a face, frame by frame, into the same without flicker."""

from __future__ import annotations

import cv2
import numpy as np

RATE = 25.0  # frames/s for which REST is given
REST = 0.2  # share of what is new that is taken where the face keeps still
# Change of the rendered face below which it keeps still, and above which it moves.
QUIET, BUSY = 3 / 255, 14 / 255
LOOKED_AT = 5.0  # px over which change is averaged
COARSE = 32.0  # px: shading coarser than that stays the renderer's own
SMALL = 8  # times smaller: the size at which coarse shading is measured


class Steadier:
    """A low-pass along time over what is added, which lets go where the face itself moves. One clip's state.

    fps: of the frames.
    """

    def __init__(self, fps: float = RATE) -> None:
        self._rest = 1 - (1 - REST) ** (RATE / fps)
        self._face: np.ndarray | None = None
        self._added: np.ndarray | None = None

    def __call__(self, face: np.ndarray, restored: np.ndarray) -> np.ndarray:
        """float32 (S, S, 3) to be added to `face`, given what a restorer made of it; both 0..1, aligned."""
        added = fine(restored - face)
        if self._face is None or self._added is None:
            self._face, self._added = face.copy(), added
            return added
        change = cv2.GaussianBlur(np.abs(face - self._face).max(axis=2), (0, 0), LOOKED_AT)
        share = np.clip((change - QUIET) / (BUSY - QUIET), 0, 1)
        share = share * share * (3 - 2 * share)
        taken = (self._rest + (1 - self._rest) * share)[..., None]
        self._face += taken * (face - self._face)
        self._added += taken * (added - self._added)
        return self._added


def fine(difference: np.ndarray) -> np.ndarray:
    """A difference (S, S, 3) without its coarse part, so that a restorer does not shift colours."""
    side = difference.shape[0]
    small = cv2.resize(difference, (max(1, side // SMALL),) * 2, interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(cv2.GaussianBlur(small, (0, 0), COARSE / SMALL), (side, side))
    return difference - coarse
