"""What draws a portrait into what draws it larger, its face restored by a network."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from typing import Protocol

import cv2
import numpy as np

from ..face import Portrait
from ..host import Check, nothing
from ..tracks import MotionTrack
from . import upright as squares
from .enlarge import plainly
from .follow import Follower
from .restorers import Restorer
from .steady import Steadier

Box = tuple[int, int, int, int]

RIM = 8  # px of the renderer's frames over which what is added fades towards the region's border
CUBIC_REACH = 4  # px around a part that bicubic enlarging looks at
UNCHANGED, CHANGED = 2.0, 12.0  # levels of 255 between which the still picture's own detail is let go
LEAST_FLOW = 32  # px of the region's shorter side, below which optical flow finds nothing
SPREAD = 2.0  # px over which changes are averaged


class Drawing(Protocol):
    """What draws the motion of a portrait: an actor, or an actor that is enhanced.

    portrait: None where something else is animated. size: width and height of a frame. region: x0, y0, x1,
    y1, outside which frames are equal to each other. view: the part of the portrait that a frame shows.
    notices: sentences worth showing.
    """

    @property
    def portrait(self) -> Portrait | None: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def has_alpha(self) -> bool: ...
    @property
    def region(self) -> Box: ...
    @property
    def view(self) -> Box: ...
    @property
    def notices(self) -> tuple[str, ...]: ...

    def opening(self, track: MotionTrack) -> np.ndarray | None:
        """(T,) lip gap in face widths that the frames show; None where it is not known beforehand."""

    def draw(
        self, track: MotionTrack, onto: Iterable[np.ndarray] | None = None
    ) -> Generator[np.ndarray, None, None]:
        """uint8 frames (H, W, 3 or 4), one a row of the track, in order; drawn into the frames of `onto`."""


class Enhanced:
    """Frames of another drawing, enhanced; what depends on the picture alone is made once.

    base: whose frames these are. restorer: None leaves faces alone. strength: 0..1. scale: 1, 2 or 4 times as
    large. enlarged: the whole picture, uint8 (scale·H, scale·W, 3), already enlarged by a network; None where
    frames are enlarged by interpolation. notices: sentences worth showing. Outside the region frames are
    equal to each other, as those of `base` are.
    """

    def __init__(
        self,
        base: Drawing,
        portrait: Portrait,
        *,
        restorer: Restorer | None = None,
        strength: float = 1.0,
        scale: int = 1,
        enlarged: np.ndarray | None = None,
        notices: tuple[str, ...] = (),
        check: Check = nothing,
    ) -> None:
        self.has_alpha = base.has_alpha
        self.portrait: Portrait | None = portrait
        self.notices = notices
        self._base, self._scale, self._check = base, scale, check
        self._restorer, self._strength = restorer, strength
        width, height = base.size
        self.size = (width * scale, height * scale)
        x0, y0, x1, y1 = base.region
        self.region: Box = (x0 * scale, y0 * scale, x1 * scale, y1 * scale)
        self.view: Box = base.view
        self._rest, mesh = _at_rest(portrait, self.view, base.size)
        self._large = plainly(self._rest, scale) if enlarged is None else enlarged
        self._detail = None if enlarged is None else self._in_region(enlarged) - self._plain(self._rest)
        self._upright = squares.upright(mesh)
        self._follow = Follower(self._rest, mesh)
        self._mask = squares.face_mask(mesh, self._upright)[..., None]
        self._rim = _rim(base.region, base.size, scale)

    def opening(self, track: MotionTrack) -> np.ndarray | None:
        return self._base.opening(track)

    def draw(
        self, track: MotionTrack, onto: Iterable[np.ndarray] | None = None
    ) -> Generator[np.ndarray, None, None]:
        """uint8 frames (H, W, 3 or 4), one a row of the track, in order; a few are held at a time."""
        together = 1 if self._restorer is None else self._restorer.batch
        steadier = Steadier(track.fps)
        self._follow.restart()
        held: list[np.ndarray] = []
        with closing(self._base.draw(track, onto)) as frames:
            for frame in frames:
                held.append(frame)
                if len(held) == together:
                    yield from self._finished(held, steadier)
                    held = []
            yield from self._finished(held, steadier)

    def _finished(self, frames: list[np.ndarray], steadier: Steadier) -> Generator[np.ndarray, None, None]:
        if not frames:
            return
        if self._restorer is None or self._strength == 0:
            yield from map(self._larger, frames)
            return
        places = [squares.followed_by(self._follow(frame), self._upright) for frame in frames]
        faces = np.stack([_cut(frame, place) for frame, place in zip(frames, places, strict=True)])
        self._check()
        restored = self._restorer.restore(faces, self._strength)
        share = self._restorer.share(self._strength)
        for frame, place, face, finer in zip(frames, places, faces, restored, strict=True):
            yield self._with(self._larger(frame), steadier(face, finer) * self._mask * share, place)

    def _larger(self, frame: np.ndarray) -> np.ndarray:
        """A frame of `base` at our size: a new array, uint8 (H, W, 3 or 4)."""
        if self._scale == 1:
            return frame.copy()
        x0, y0, x1, y1 = self.region
        large = self._large.copy()
        content = self._plain(frame)
        if self._detail is not None:
            content = _sum(content, self._carried(frame))
        large[y0:y1, x0:x1] = content
        if not self.has_alpha:
            return large
        return np.dstack([large, plainly(np.ascontiguousarray(frame[:, :, 3]), self._scale)])

    def _plain(self, frame: np.ndarray) -> np.ndarray:
        """uint8 (h, w, 3): the region of a frame, enlarged by interpolation as the whole would be."""
        x0, y0, x1, y1 = self._base.region
        left, top = max(0, x0 - CUBIC_REACH), max(0, y0 - CUBIC_REACH)
        part = frame[top : y1 + CUBIC_REACH, left : x1 + CUBIC_REACH, :3]
        large = plainly(np.ascontiguousarray(part), self._scale)
        row, column = (y0 - top) * self._scale, (x0 - left) * self._scale
        rows, columns = (y1 - y0) * self._scale, (x1 - x0) * self._scale
        return large[row : row + rows, column : column + columns]

    def _in_region(self, large: np.ndarray) -> np.ndarray:
        x0, y0, x1, y1 = self.region
        return large[y0:y1, x0:x1].astype(np.float32)

    def _carried(self, frame: np.ndarray) -> np.ndarray:
        """float32 (h, w, 3) of the region: the enlarged picture's detail, moved to where a frame shows it."""
        assert self._detail is not None
        x0, y0, x1, y1 = self._base.region
        part = np.ascontiguousarray(frame[y0:y1, x0:x1, :3])
        rest = np.ascontiguousarray(self._rest[y0:y1, x0:x1])
        share = _alike(part, rest)
        if min(part.shape[:2]) < LEAST_FLOW or share.min() > 1 - 1e-3:
            return self._detail * plainly(share, self._scale).clip(0, 1)[..., None]
        shown, still = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), cv2.cvtColor(rest, cv2.COLOR_RGB2GRAY)
        start = np.zeros((*part.shape[:2], 2), np.float32)
        found = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(shown, still, start)
        flow = np.asarray(found, np.float32)
        flow *= (1 - share)[..., None]  # what is still stays exactly where it is
        found = cv2.remap(rest, *_displaced(flow), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        share = _alike(part, found)
        height, width = self._detail.shape[:2]
        large = cv2.resize(flow, (width, height)) * self._scale
        moved = cv2.remap(self._detail, *_displaced(large), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return moved * plainly(share, self._scale).clip(0, 1)[..., None]

    def _with(self, frame: np.ndarray, added: np.ndarray, place: np.ndarray) -> np.ndarray:
        """The frame, changed in place: float32 (512, 512, 3) of the square is added inside the region."""
        zoom = np.array([[self._scale, 0, (self._scale - 1) / 2], [0, self._scale, (self._scale - 1) / 2]])
        back = squares.followed_by(squares.inverse(place), zoom)
        ends = np.array([[0, 0], [0, squares.SIDE], [squares.SIDE, 0], [squares.SIDE, squares.SIDE]])
        corners = ends @ back[:, :2].T + back[:, 2]
        x0, y0 = np.maximum(np.floor(corners.min(axis=0)).astype(int), self.region[:2])
        x1, y1 = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, self.region[2:])
        if x1 <= x0 or y1 <= y0:
            return frame
        here = back - np.array([[0, 0, x0], [0, 0, y0]])
        laid = cv2.warpAffine(added, here, (int(x1 - x0), int(y1 - y0)), flags=cv2.INTER_LINEAR)
        left, top = self.region[:2]
        laid = laid * (self._rim[y0 - top : y1 - top, x0 - left : x1 - left, None] * 255)
        part = frame[y0:y1, x0:x1, :3]
        part[:] = _sum(part, laid)
        return frame


def _alike(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """float32 (H, W): 1 where two uint8 (H, W, 3) show the same, 0 where something else."""
    change = cv2.GaussianBlur(cv2.absdiff(one, other).max(axis=2).astype(np.float32), (0, 0), SPREAD)
    return 1 - np.clip((change - UNCHANGED) / (CHANGED - UNCHANGED), 0, 1)


def _displaced(flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows, float32 (H, W), to which a flow (H, W, 2) leads."""
    rows, columns = flow.shape[:2]
    x = flow[..., 0] + np.arange(columns, dtype=np.float32)[None, :]
    y = flow[..., 1] + np.arange(rows, dtype=np.float32)[:, None]
    return x, y


def _sum(image: np.ndarray, added: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) from uint8 and float32, rounded, within the range."""
    return cv2.add(np.ascontiguousarray(image), np.asarray(added, np.float32), dtype=cv2.CV_8U)


def _at_rest(portrait: Portrait, view: Box, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The picture as frames show it, uint8 (H, W, 3), and the face's mesh (478, 2) in its pixels."""
    x0, y0, x1, y1 = view
    image = portrait.image[y0:y1, x0:x1]
    if (image.shape[1], image.shape[0]) != size:
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    zoom = np.array(size) / (x1 - x0, y1 - y0)
    mesh = (portrait.face.landmarks[:, :2] - (x0, y0) + 0.5) * zoom - 0.5
    return np.ascontiguousarray(image), mesh


def _cut(frame: np.ndarray, place: np.ndarray) -> np.ndarray:
    """float32 (512, 512, 3), 0..1: the upright square of a frame."""
    given = np.ascontiguousarray(frame[:, :, :3])
    square = cv2.warpAffine(
        given, place, (squares.SIDE, squares.SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return square.astype(np.float32) / 255


def _rim(region: Box, size: tuple[int, int], scale: int) -> np.ndarray:
    """float32 (h, w) of the enlarged region: 0 on those of its sides that do not lie on the frame's edge."""
    x0, y0, x1, y1 = region

    def along(low: int, high: int, end: int) -> np.ndarray:
        place = np.arange((high - low) * scale, dtype=np.float32)
        far = np.full_like(place, RIM * scale)
        from_low, from_high = place if low > 0 else far, place[::-1] if high < end else far
        return np.clip(np.minimum(from_low, from_high) / (RIM * scale), 0, 1)

    return np.minimum(along(x0, x1, size[0])[None, :], along(y0, y1, size[1])[:, None])
