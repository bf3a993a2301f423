"""Turns a portrait and an ARKit motion track into frames by warping the picture itself."""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from collections.abc import Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import MappingProxyType

import cv2
import numpy as np

from ....errors import Sentence, TrackError
from ....face import Portrait, topology
from ....host import Check, nothing
from ....tracks import ARKIT, MotionTrack, lips
from .basis import JAW_DROP, MOVE_INDEX, ExpressionBasis
from .closing import Closing
from .controls import Controls, closes, read_controls, shown_gap
from .device_warp import Piece, overlap, picture_warp, pixel_maps, seen_box
from .folds import Folds
from .frame import FaceFrame, measure_mouth
from .glasses import spectacle_zone, wears_glasses
from .grid import Box, Grid, smoothstep
from .head import HeadMotion
from .layers import LipLayers, Maps, MouthPose
from .lids import Eyelids
from .limits import measure_limits
from .lipline import refine_lips
from .matte import person_matte
from .mouth import MouthInterior
from .shading import FaceShading, skin_tone

HEAD_CELLS = 32  # grid cells a face width for the head's motion
FACE_CELLS = 48  # the same for expressions
REACH = (2.1, 2.3, 2.5)  # fw around the face's centre that are looked at: sideways, up, down
FACE_REACH = 2.0  # outline sizes that the expression grid covers
FACE_STILL = (1.3, 1.55)  # outline sizes between which expressions die away
BACKGROUND_STILL = (0.06, 0.28)  # fw outside the person between which expressions die away
SEEN_GAP = 0.02  # fw of an opening that is seen where lips should be shut
STAYS_OPEN = Sentence(
    "The mouth in this picture is open too far to be shut cleanly; it stays a little open. "
    "A picture whose lips are closer together looks better."
)
OPEN_WIDE = 0.05  # fw of an opening that draws the corners in
OFF = 0.003  # fw by which a displacement may be undone wrongly
LIP_MARGIN = 0.075  # fw around the lips that are painted in layers
EYE_MARGIN = 0.02  # fw around the eyes that may be painted
GLASSES_HOLD_BROWS = 0.7  # share of the brows' motion that rims would show as a bend
STRETCH = 1000  # frames whose demands are known at a time
WINDOW_PER_WORKER = 2  # frames in flight for each thread


@dataclass(frozen=True, eq=False)
class FaceMotion:
    """A frame's expression on the nodes of the face grid, the head's motion included.

    whole: source positions of all that is not between the lips. upper, lower: source x and y of the layers of
    the upper and the lower lip. lips: pixels that these may take up.
    """

    whole: Piece
    upper: Maps
    lower: Maps
    lips: Box


class _OneThread:
    """Keeps OpenCV to one thread while frames are rendered side by side, for however many renderings."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._before = 1

    def hold(self) -> None:
        with self._lock:
            if self._holders == 0:
                self._before = cv2.getNumThreads()
                cv2.setNumThreads(1)
            self._holders += 1

    def release(self) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                cv2.setNumThreads(self._before)


_OPENCV_THREADS = _OneThread()


class WarpRenderer:
    """Renders one portrait; building it computes all that depends on the picture alone.

    region: (x0, y0, x1, y1) px outside which every pixel of every frame equals the picture's.
    limits: degrees of yaw, pitch, roll as asked for, and the jaw's scale 0..1, up to which this picture moves
    without tearing; larger demands are bent to these. frame: the face as it lies in the region. head, basis:
    what turns it and what moves it, the latter on `face_grid`. lips: its two lips, as layers. closes: share
    of the picture's own lip gap that can be shut.
    """

    def __init__(self, portrait: Portrait, *, workers: int | None = None, device: str = "cpu") -> None:
        """workers: threads that render frames, default one a processor. device: where the picture is warped,
        as torch names it; OpenCV does it on "cpu", and wherever the device cannot."""
        self._workers = max(1, workers or os.cpu_count() or 1)
        self._picture = np.ascontiguousarray(portrait.image)
        self._alpha = None if portrait.alpha is None else np.ascontiguousarray(portrait.alpha)
        height, width = self._picture.shape[:2]
        self.size = (width, height)
        self.view: Box = (0, 0, width, height)
        self.has_alpha = self._alpha is not None
        # At rest a tracker sees the opening it saw in the picture, not the truer one that is found there.
        self._tracked_gap = FaceFrame.of(portrait.face.landmarks).own_gap
        self._locate(portrait.face.landmarks, width, height)
        frame = self.frame
        closing = Closing.of(frame)
        self._hanging = closing.jaw
        self._mouth = measure_mouth(closing.local, open_wide=frame.own_gap > OPEN_WIDE)
        rows, columns = self._source.shape[:2]
        self._box: Box = (0, 0, columns, rows)
        fw = frame.width
        low, high = _around(frame, FACE_REACH)
        self.face_grid = Grid.over(*low, *high, max(2, round(fw / FACE_CELLS)))
        gx, gy = self.face_grid.nodes()
        self.basis = ExpressionBasis(frame, self._mouth, closing, self.face_grid, self._stillness(gx, gy))
        self.lips = LipLayers(self._source, frame)
        self._lower_share = smoothstep(self.lips.lip_line(gx, gy), -0.05, 0.05).astype(np.float32)
        self._steep = self._is_steep()
        self._folds = Folds(self.basis, self.face_grid, self.lips.lip_line(gx, gy))
        self._limits = measure_limits(self.head, self._folds)
        self.closes = closes(frame.own_gap, self.basis.gain, self._limits)
        stays = (1 - self.closes) * frame.own_gap
        self.notices: tuple[str, ...] = (STAYS_OPEN,) if stays > SEEN_GAP else ()
        skin = skin_tone(self._source, frame.points)
        marked = portrait.face.source == "points"
        self._interior = MouthInterior(self._source, frame.points, fw, skin, marked)
        strength = 0.0 if marked else 1.0
        self._lids = Eyelids(self._source, frame.points, fw, strength=strength)
        self._shading = FaceShading(self._source, frame, self._mouth, self.face_grid)
        self._warper = picture_warp(self._source, self._source_alpha, device)
        self.region: Box = (self._left, self._top, self._left + columns, self._top + rows)
        asked = {name: self._limits[name] / self.head.gain[name] for name in ("yaw", "pitch", "roll")}
        self.limits: Mapping[str, float] = MappingProxyType({**asked, "jaw": self._limits["jaw"]})

    def _locate(self, landmarks: np.ndarray, width: int, height: int) -> None:
        """Find what may move: the head's motion, the working region around it, and the face within."""
        x0, y0, x1, y1 = _surroundings(FaceFrame.of(landmarks), width, height)
        source = np.ascontiguousarray(self._picture[y0:y1, x0:x1])
        frame = FaceFrame.of(refine_lips(source, landmarks - np.array([x0, y0, 0], np.float32)))
        grid = Grid.over(0, 0, x1 - x0, y1 - y0, max(2, round(frame.width / HEAD_CELLS)))
        matte = person_matte(source, frame.oval)
        self._glasses = wears_glasses(source, frame)
        coarse = None if matte is None else _shrink(matte, grid)
        edges = (x0 == 0, y0 == 0, x1 == width, y1 == height)
        head = HeadMotion(frame, grid, (x1 - x0, y1 - y0), coarse, rigid=self._glasses, edges=edges)
        face = frame.centre + (frame.oval - frame.centre) * FACE_STILL[1]
        low = np.minimum(np.floor(face.min(0)).astype(int), head.moving[:2])
        high = np.maximum(np.ceil(face.max(0)).astype(int), head.moving[2:])
        left, top, right, bottom = _inside((*low.tolist(), *high.tolist()), (0, 0, x1 - x0, y1 - y0))
        head.shifted(left, top)
        self.head, self._head_grid = head, head.grid
        self.frame = FaceFrame.of(frame.points - np.array([left, top, 0], np.float32))
        self._left, self._top = x0 + left, y0 + top
        part = (slice(self._top, y0 + bottom), slice(self._left, x0 + right))
        self._source = np.ascontiguousarray(self._picture[part])
        self._source_alpha = None if self._alpha is None else np.ascontiguousarray(self._alpha[part])

    def opening(self, track: MotionTrack) -> np.ndarray:
        """(T,) fw of lip gap that the frames show, the picture's own opening included."""
        return shown_gap(track, self._tracked_gap, self.closes)

    def render(self, track: MotionTrack, *, check: Check = nothing) -> Generator[np.ndarray, None, None]:
        """Frames of an ARKit track: uint8 (H, W, 3), or (H, W, 4) when the portrait has alpha, in order.

        Raises `TrackError` for a track of another motion space. check: called between frames.
        """
        if track.space != ARKIT:
            raise TrackError(
                f"The instant renderer plays arkit motion; this track is in the {track.space.name} space."
            )
        return self._stream(track, check)

    def _stream(self, track: MotionTrack, check: Check) -> Generator[np.ndarray, None, None]:
        _OPENCV_THREADS.hold()
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="warp")
        waiting: deque[Future[np.ndarray]] = deque()
        try:
            for controls, index in self._demands(track):
                check()
                waiting.append(pool.submit(self._frame_at, controls, index))
                if len(waiting) > self._workers * WINDOW_PER_WORKER:
                    yield waiting.popleft().result()
            while waiting:
                check()
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            pool.shutdown(wait=True)
            _OPENCV_THREADS.release()

    def movements(self, track: MotionTrack) -> tuple[np.ndarray, np.ndarray]:
        """What a track asks of the face, (T, moves) as in `basis.MOVES`, and what share of it is shown.

        The share, (T,) in 0..1, is what this picture takes without a fold.
        """
        asked = np.concatenate([controls.moves[rows] for controls, rows in self._stretches(track)])
        return asked, self._folds.share(asked)

    def _demands(self, track: MotionTrack) -> Generator[tuple[Controls, int], None, None]:
        """The controls of a stretch of the track and the number in it, of every frame in turn."""
        for controls, rows in self._stretches(track):
            held = controls.moves * self._folds.share(controls.moves)[:, None]
            controls = replace(controls, moves=held)
            yield from ((controls, index) for index in range(rows.start, rows.stop))

    def _stretches(self, track: MotionTrack) -> Generator[tuple[Controls, slice], None, None]:
        """Controls of one stretch of the track after the other, and which of their rows are its own."""
        frame, limits, gain = self.frame, self._limits, self.head.gain
        brows = 1 - GLASSES_HOLD_BROWS * self._glasses
        # How many frames before and behind it matter to a frame.
        around = math.ceil(max(lips.RELEASE_S, lips.ATTACK_S) * track.fps) + 1
        for start in range(0, len(track), STRETCH):
            first, stop = max(0, start - around), min(start + STRETCH, len(track))
            part = replace(track, data=track.data[first : stop + around])
            controls = read_controls(
                part, self._mouth, frame.own_gap, frame.rim, self.basis.gain, limits, gain, brows
            )
            yield controls, slice(start - first, stop - first)

    def _frame_at(self, controls: Controls, index: int) -> np.ndarray:
        moves, angles = controls.moves[index], controls.angles[index]
        turned = bool(np.abs(angles).max() > 1e-3)
        expressive = bool(np.abs(moves).max() > 1e-4)
        eyes = {
            name: (float(values[index, 0]), float(values[index, 1]))
            for name, values in (
                ("blink", controls.blink), ("look", controls.look),
                ("squint", controls.squint), ("wide", controls.wide),
            )
        }  # fmt: skip
        looking = any(max(abs(a), abs(b)) > 1e-3 for a, b in eyes.values())
        if not (turned or expressive or looking):
            return self._compose(self._source, self._source_alpha)
        head = self._head_piece(angles) if turned else None
        face = self._express(moves, head) if expressive else None
        pieces = [piece for piece in (head, None if face is None else face.whole) if piece is not None]
        out, alpha = self._warper.warp(pieces)
        if face is not None:
            self._shading.apply(out, face.whole.x, face.whole.y, jaw=float(controls.jaw[index]))
            self._paint_lips(out, controls.mouth(index), head, face)
        if looking:
            self._draw_eyes(out, pieces, eyes)
        return self._compose(out, alpha)

    def _draw_eyes(self, out: np.ndarray, pieces: list[Piece], eyes: dict[str, tuple[float, float]]) -> None:
        box = seen_box(self._lids.boxes, pieces, EYE_MARGIN * self.frame.width + 3, self._box)
        if box is None:
            return
        map_x, map_y = pixel_maps(pieces, box)
        self._lids.draw(out[box[1] : box[3], box[0] : box[2]], map_x, map_y, **eyes)

    def _head_piece(self, angles: np.ndarray) -> Piece:
        """Where the working region's pixels come from when the head turns."""
        dx, dy = self.head.displacement(*(float(a) for a in angles))
        back_x, back_y = self._head_grid.invert(dx, dy)
        gx, gy = self._head_grid.nodes()
        return Piece(self._head_grid, gx + back_x, gy + back_y, self._box)

    def _express(self, moves: np.ndarray, head: Piece | None) -> FaceMotion:
        """What the face's movements make of what the head's motion left of the picture."""
        grid, basis = self.face_grid, self.basis
        up = basis.combine(basis.upper, moves)
        low = basis.combine(basis.lower, moves)
        up_x, up_y = grid.invert(*up, steep=self._steep)
        low_x, low_y = grid.invert(*low, steep=self._steep)
        gx, gy = grid.nodes()
        x, y = up_x, up_y
        for _ in range(2):
            share = grid.sample(self._lower_share, gx + x, gy + y)
            x, y = up_x + (low_x - up_x) * share, up_y + (low_y - up_y) * share
        # Where the head has taken each node of the face grid.
        hx, hy = gx, gy
        if head is not None:
            hx, hy = head.grid.sample(head.x, gx, gy), head.grid.sample(head.y, gx, gy)
        layers = grid.sample(np.dstack([up_x, up_y, low_x, low_y]), hx, hy)
        plain = grid.sample(np.dstack([x, y]), hx, hy)
        box = overlap(grid.box, self._box) or self._box
        return FaceMotion(
            whole=Piece(grid, hx + plain[..., 0], hy + plain[..., 1], box),
            upper=(hx + layers[..., 0], hy + layers[..., 1]),
            lower=(hx + layers[..., 2], hy + layers[..., 3]),
            lips=self._lip_box(up, low, hx - gx, hy - gy),
        )

    def _is_steep(self) -> bool:
        """Whether shutting the picture's mouth moves skin so unevenly that only the longer way undoes it."""
        grid, basis = self.face_grid, self.basis
        gx, gy = grid.nodes()
        for layer in (basis.upper, basis.lower):
            dx, dy = layer[MOVE_INDEX["seal"]]
            back_x, back_y = grid.invert(dx, dy)
            x, y = gx + back_x, gy + back_y
            off = np.hypot(back_x + grid.sample(dx, x, y), back_y + grid.sample(dy, x, y))
            if float(off.max()) > OFF * self.frame.width:
                return True
        return False

    def _lip_box(self, up: Maps, low: Maps, head_x: np.ndarray, head_y: np.ndarray) -> Box:
        """Pixels of the working region that the moved lips may take up."""
        grid = self.face_grid
        moved = []
        for (dx, dy), ring in ((up, topology.LIPS_UPPER_RINGS[0]), (low, topology.LIPS_LOWER_RINGS[0])):
            points = self.frame.points[list(ring), :2]
            moved.append(points + grid.sample_points(np.dstack([dx, dy]), points))
        points = np.concatenate(moved)
        points = points - grid.sample_points(np.dstack([head_x, head_y]), points)
        margin = LIP_MARGIN * self.frame.width + 2
        low_corner, high_corner = points.min(0) - margin, points.max(0) + margin
        box = (
            int(np.floor(low_corner[0])), int(np.floor(low_corner[1])),
            int(np.ceil(high_corner[0])), int(np.ceil(high_corner[1])),
        )  # fmt: skip
        return _inside(_inside(box, grid.box), self._box)

    def _paint_lips(self, out: np.ndarray, pose: MouthPose, head: Piece | None, face: FaceMotion) -> None:
        box, grid = face.lips, self.face_grid
        if box[2] - box[0] < 4 or box[3] - box[1] < 4:
            return
        skull = pixel_maps([] if head is None else [head], box)
        drop = pose.jaw * JAW_DROP - pose.seal * self._hanging
        sunk = self.frame.axes[:2, 1] * np.float32(drop * self.frame.width)
        jaw = (skull[0] - sunk[0], skull[1] - sunk[1])
        upper = (grid.enlarge(face.upper[0], box), grid.enlarge(face.upper[1], box))
        lower = (grid.enlarge(face.lower[0], box), grid.enlarge(face.lower[1], box))
        self.lips.paint(out, box, upper, lower, skull, jaw, self._interior, pose)

    def _compose(self, out: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
        rows, columns = out.shape[:2]
        part = (slice(self._top, self._top + rows), slice(self._left, self._left + columns))
        if self._alpha is None or alpha is None:
            frame = self._picture.copy()
            frame[part] = out
            return frame
        frame = np.dstack([self._picture, self._alpha])
        frame[part][..., :3] = out
        frame[part][..., 3] = alpha
        return frame

    def _stillness(self, gx: np.ndarray, gy: np.ndarray) -> np.ndarray:
        """1 on the face, 0 where expressions move nothing: background, border, glasses."""
        size = _outline_size(self.frame, gx, gy)
        outside = self._head_grid.sample(self.head.outside, gx, gy)
        still = (1 - smoothstep(size, *FACE_STILL)) * (1 - smoothstep(outside, *BACKGROUND_STILL))
        still = still * (1 - self._glasses * spectacle_zone(self.frame, gx, gy))
        return (still * self._head_grid.sample(self.head.border, gx, gy)).astype(np.float32)


def _inside(box: Box, bounds: Box) -> Box:
    return max(box[0], bounds[0]), max(box[1], bounds[1]), min(box[2], bounds[2]), min(box[3], bounds[3])


def _surroundings(frame: FaceFrame, width: int, height: int) -> Box:
    centre, fw = frame.centre, frame.width
    side, up, down = (reach * fw for reach in REACH)
    x0, y0 = max(0, int(centre[0] - side)), max(0, int(centre[1] - up))
    x1, y1 = min(width, int(centre[0] + side) + 1), min(height, int(centre[1] + down) + 1)
    return x0, y0, max(x1, x0 + 2), max(y1, y0 + 2)


def _around(frame: FaceFrame, size: float) -> tuple[tuple[float, float], tuple[float, float]]:
    outline = frame.centre + (frame.oval - frame.centre) * size
    low, high = outline.min(0), outline.max(0)
    return (float(low[0]), float(low[1])), (float(high[0]), float(high[1]))


def _outline_size(frame: FaceFrame, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How many times larger than the face its outline must be to pass through each position."""
    offset = frame.oval - frame.centre
    angle = np.arctan2(offset[:, 1], offset[:, 0])
    order = np.argsort(angle)
    dx, dy = x - frame.centre[0], y - frame.centre[1]
    radius = np.interp(np.arctan2(dy, dx), angle[order], np.hypot(*offset.T)[order], period=2 * np.pi)
    return np.hypot(dx, dy) / radius


def _shrink(matte: np.ndarray, grid: Grid) -> np.ndarray:
    """A pixel matte as values on the grid's nodes."""
    gx, gy = grid.nodes()
    soft = cv2.blur(matte, (grid.step, grid.step))
    return cv2.remap(soft, gx, gy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
