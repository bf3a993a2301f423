"""Turns a portrait and a `bfm` motion track into frames by SadTalker's 3D-aware face render."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch

from ....errors import TrackError
from ....face import Portrait
from ....host import Check, nothing
from ....tracks import BFM, MotionTrack
from ..crop import Box, Mode
from ..loading import FaceNetworks
from ..networks.face_render import SourceFeatures, Warp
from ..networks.keypoints import transform_keypoints
from ..networks.mapping import HeadMotion, bins_to_degrees
from .between import KeyFrame, frame_between, key_frames
from .copying import in_main_memory
from .paste import Paster
from .source import source_face
from .windows import steady_window, windows

COEFFICIENTS = 70  # of a row that MappingNet sees; "full" modes append the source's place under the model
VIEW = slice(70, 73)  # yaw, pitch, roll in degrees
VIEW_SHARE = slice(73, 76)
MAPPED_AT_ONCE = 64  # frames


@dataclass(frozen=True, eq=False)
class Appearance:
    """What the face render knows of a portrait.

    canonical: key points (1, K, 3) of the face without pose. points: as the picture shows them.
    """

    features: SourceFeatures
    canonical: torch.Tensor
    points: torch.Tensor


class FaceRenderer:
    """Renders one portrait; what depends on the portrait alone is computed once.

    region: (x0, y0, x1, y1) px outside which every frame equals the picture. size: (width, height) of a
    frame. source: the portrait as the networks see it. networks: those it is drawn with.
    """

    def __init__(
        self, portrait: Portrait, networks: FaceNetworks, mode: Mode, *, batch: int = 0, step: float = 1.0
    ) -> None:
        """batch: frames that the networks draw at once; 0 for what suits the device. step: of so many frames,
        on average, they draw one; those between are moved from their neighbours: quick, and approximate.
        """
        self.networks, self._device, self._step = networks, networks.device, step
        self._batch = batch or networks.usual_batch
        source = self.source = source_face(portrait, mode, networks.sources.size, networks.recon)
        whole = self._whole_picture = mode in ("full", "extfull")
        side = source.square.shape[0]
        self.size = (portrait.width, portrait.height) if whole else (side, source.height)
        self.view: tuple[int, int, int, int] = Box(0, 0, *self.size) if whole else source.box
        self.region: tuple[int, int, int, int] = source.box if whole else Box(0, 0, *self.size)
        self._paster = Paster(portrait.image, source.box, self._device) if whole else None
        self._alpha = portrait.alpha if whole else None
        self.has_alpha = self._alpha is not None

    @cached_property
    def _look(self) -> Appearance:
        """Made for the first frame: the motion alone needs neither this nor the networks behind it."""
        networks, mapping = self.networks, self.networks.mapping(self._whole_picture)
        with torch.no_grad():
            pixels = torch.from_numpy(self.source.square.copy()).to(self._device)
            picture = pixels.permute(2, 0, 1)[None].float() / 255
            canonical = networks.keypoints(picture)
            own = self.source.coefficients[: mapping.coefficients]
            points = transform_keypoints(canonical, mapping(self._tensor(steady_window(own))[None]))
            return Appearance(networks.generator.encode(picture), canonical, points)

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences worth showing with the frames that were made."""
        return self.networks.notices

    def opening(self, track: MotionTrack) -> None:
        """Not known beforehand: the networks decide how far a mouth opens."""

    def render(self, track: MotionTrack, *, check: Check = nothing) -> Generator[np.ndarray, None, None]:
        """uint8 frames (H, W, 3 or 4), one a row of the track, in order."""
        if track.space != BFM:
            raise TrackError(f"This renderer needs a {BFM.name} track, not {track.space.name}.")
        for content in self._contents(track, check):
            for image in content.numpy():
                yield self._whole(image)

    def _whole(self, image: np.ndarray) -> np.ndarray:
        if self._paster is None:
            return image
        frame = self._paster.place(image)
        return frame if self._alpha is None else np.dstack([frame, self._alpha])

    @torch.no_grad()
    def _contents(self, track: MotionTrack, check: Check) -> Iterator[torch.Tensor]:
        """uint8 batches (N, h, w, 3) of what is inside the region, in main memory."""
        points = self._driving_points(track)
        frames = self._every_frame(points) if self._step <= 1 else self._some_frames(points)

        def finished() -> Iterator[torch.Tensor]:
            for drawn in frames:
                check()
                yield self._finish(drawn)

        yield from in_main_memory(finished())

    def _every_frame(self, points: Iterator[torch.Tensor]) -> Iterator[torch.Tensor]:
        """Frames (N, 3, S, S), each drawn by the networks, a batch at a time."""
        for several in points:
            for frames, _ in self._drawn(several):
                yield frames

    def _some_frames(self, points: Iterator[torch.Tensor]) -> Iterator[torch.Tensor]:
        """Frames (1, 3, S, S), of which one in `step` is drawn by the networks."""
        before: KeyFrame | None = None
        look = self._look
        last = look.points[:0]
        for several in points:
            path = torch.cat([last, several])
            chosen = key_frames(path.cpu().numpy(), self._step, known=before is not None)
            fresh = path[chosen if before is None else chosen[1:]]
            keys = (key for drawn in self._drawn(fresh) for key in KeyFrame.each(*drawn))
            if before is None:
                before = next(keys)
                yield before.image
            for (first, end), after in zip(pairwise(chosen), keys, strict=True):
                for number in range(first + 1, end):
                    share = (number - first) / (end - first)
                    yield frame_between(before, after, share, path[number : number + 1], look.points)
                yield after.image
                before = after
            last = path[-1:]

    def _drawn(self, points: torch.Tensor) -> Iterator[tuple[torch.Tensor, Warp]]:
        """Frames (N, 3, S, S) for key points, a batch at a time, and how they were drawn.

        The last batch is filled up where another size would mean to compile, or to choose kernels, once more.
        """
        generator, look = self.networks.generator, self._look
        for part in points.split(self._batch):
            count = len(part)
            if self.networks.one_size and count < self._batch:
                part = torch.cat([part, part[-1:].expand(self._batch - count, -1, -1)])
            warp = generator.warp(look.features, part, look.points)
            frames = generator.draw(look.features, warp)[:count].float()
            yield frames, Warp(*(field[:count] for field in warp))

    def _driving_points(self, track: MotionTrack) -> Iterator[torch.Tensor]:
        """Key points (N, K, 3) of the frames, some at a time."""
        rows = track.data[:, :COEFFICIENTS]
        mapping = self.networks.mapping(self._whole_picture)
        extra = mapping.coefficients - COEFFICIENTS
        if extra:  # the place of the square under the model does not change
            place = self.source.coefficients[COEFFICIENTS : COEFFICIENTS + extra]
            rows = np.concatenate([rows, np.broadcast_to(place, (len(rows), extra))], axis=1)
        at_once = max(1, MAPPED_AT_ONCE // self._batch) * self._batch  # whole batches, but for the last
        for first in range(0, len(rows), at_once):
            last = min(first + at_once, len(rows))
            motion = mapping(self._tensor(windows(rows, first, last)))
            yaw, pitch, roll = self._angles(motion, track.data[first:last])
            canonical = self._look.canonical.expand(last - first, -1, -1)
            yield transform_keypoints(canonical, motion, yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll)

    def _angles(self, motion: HeadMotion, rows: np.ndarray) -> Iterator[torch.Tensor | None]:
        """Degrees (N,) of yaw, pitch and roll where the track says how the head is to be seen; else None."""
        for axis, scores in enumerate((motion.yaw, motion.pitch, motion.roll)):
            share = rows[:, VIEW_SHARE][:, axis]
            if not share.any():
                yield None
                continue
            given, weight = self._tensor(rows[:, VIEW][:, axis]), self._tensor(share)
            yield torch.lerp(bins_to_degrees(scores), given, weight)

    def _finish(self, frames: torch.Tensor) -> torch.Tensor:
        """uint8 (N, h, w, 3) from frames (N, 3, S, S), 0..1."""
        return sized(frames, *self.size) if self._paster is None else self._paster(frames)

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(self._device)


def sized(frames: torch.Tensor, width: int, height: int) -> torch.Tensor:
    """uint8 (N, height, width, 3) from frames (N, 3, S, S), 0..1."""
    pixels = (frames.float() * 255).round_().clamp_(0, 255)
    if height != frames.shape[2]:
        size = (height, width)
        pixels = torch.nn.functional.interpolate(pixels, size, mode="bilinear", align_corners=False).round_()
    return pixels.to(torch.uint8).permute(0, 2, 3, 1)
