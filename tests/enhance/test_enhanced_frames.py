"""Enhanced frames: right size, exact outside the region, a face that changed, few frames held."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from sadtalker_ext.enhance.drawing import Enhanced
from sadtalker_ext.enhance.enlarge import plainly
from sadtalker_ext.errors import Cancelled
from sadtalker_ext.tracks import ARKIT, MotionTrack


class Sharpener:
    """Adds stripes to every face."""

    name = "tests"

    def __init__(self, batch=1):
        self.batch = batch
        self.seen: list[int] = []

    def restore(self, faces, strength):
        assert faces.dtype == np.float32
        assert faces.shape[1:] == (512, 512, 3)
        self.seen.append(len(faces))
        stripes = 0.1 * np.sign(np.sin(np.arange(512) * 0.8))[None, None, :, None]
        return (faces + stripes).astype(np.float32)

    def share(self, strength):
        return strength


def outside(region, size):
    mask = np.ones((size[1], size[0]), bool)
    x0, y0, x1, y1 = region
    mask[y0:y1, x0:x1] = False
    return mask


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("restoring", [False, True])
def test_outside_the_region_frames_are_equal(portrait, track, moving, scale, restoring):
    base = moving(portrait.image, (0, 3, -2))
    restorer = Sharpener() if restoring else None
    enhanced = Enhanced(base, portrait, restorer=restorer, scale=scale)
    frames = list(enhanced.draw(track))
    assert enhanced.size == (240 * scale, 240 * scale)
    assert enhanced.region == tuple(edge * scale for edge in base.region)
    still = outside(enhanced.region, enhanced.size)
    wanted = plainly(portrait.image, scale)
    for frame in frames:
        assert frame.shape == (240 * scale, 240 * scale, 3)
        assert frame.dtype == np.uint8
        assert (frame == wanted)[still].all()


def test_a_frame_that_shows_the_picture_is_the_enlarged_picture(portrait, track, moving):
    wanted = np.random.default_rng(5).integers(0, 256, (480, 480, 3), dtype=np.uint8)
    enhanced = Enhanced(moving(portrait.image), portrait, scale=2, enlarged=wanted)
    for frame in enhanced.draw(track):
        assert np.array_equal(frame, wanted)


def grained(portrait):
    plain = plainly(portrait.image, 2)
    grain = np.random.default_rng(5).integers(-20, 21, plain.shape)
    return np.clip(plain + grain, 0, 255).astype(np.uint8)


MIDDLE = (slice(160, 320), slice(160, 320))


def test_detail_goes_with_what_moves(portrait, track, moving):
    wanted = grained(portrait)
    enhanced = Enhanced(moving(portrait.image, (9,)), portrait, scale=2, enlarged=wanted)
    frame = next(iter(enhanced.draw(track))).astype(int)
    moved = np.roll(wanted, 18, axis=1)
    plain = plainly(np.roll(portrait.image, 9, axis=1), 2).astype(int)
    assert np.abs(frame - moved)[MIDDLE].mean() < 0.6 * np.abs(plain - moved)[MIDDLE].mean()


def test_what_the_picture_does_not_show_gets_no_detail(portrait, track, moving):
    base = moving(portrait.image)
    other = np.ascontiguousarray(255 - portrait.image[::-1])
    enhanced = Enhanced(base, portrait, scale=2, enlarged=grained(portrait))
    base.image = other
    frame = next(iter(enhanced.draw(track))).astype(int)
    assert np.abs(frame - plainly(other, 2))[MIDDLE].mean() < 3


def test_only_the_face_changes(portrait, track, moving):
    base = moving(portrait.image)
    frame = next(iter(Enhanced(base, portrait, restorer=Sharpener()).draw(track)))
    difference = np.abs(frame.astype(int) - portrait.image).max(axis=2)
    nose = portrait.face.landmarks[4, :2].astype(int)
    assert difference[nose[1] - 10 : nose[1] + 10, nose[0] - 10 : nose[0] + 10].mean() > 5
    assert difference[:40].max() == 0
    assert difference[:, :40].max() == 0


def test_strength_is_a_mix(portrait, track, moving):
    def changed(strength):
        base = moving(portrait.image)
        enhanced = Enhanced(base, portrait, restorer=Sharpener(), strength=strength)
        return np.abs(next(iter(enhanced.draw(track))).astype(int) - portrait.image).sum()

    assert changed(0.0) == 0
    assert 0 < changed(0.3) < 0.5 * changed(1.0)


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_batches_give_the_same_frames_in_order(portrait, track, moving, batch):
    def made(count):
        restorer = Sharpener(count)
        base = moving(portrait.image, (0, 1, 2, 3, 2, 1))
        return list(Enhanced(base, portrait, restorer=restorer).draw(track)), restorer.seen

    frames, seen = made(batch)
    assert sum(seen) == 6
    assert max(seen) == batch
    for one, other in zip(frames, made(1)[0], strict=True):
        assert np.array_equal(one, other)


def test_two_runs_are_equal(portrait, track, moving):
    enhanced = Enhanced(moving(portrait.image, (0, 4)), portrait, restorer=Sharpener())
    first = list(enhanced.draw(track))
    for one, other in zip(first, enhanced.draw(track), strict=True):
        assert np.array_equal(one, other)


def test_a_renderer_of_a_part_of_the_picture(portrait, track, moving):
    base = moving(portrait.image[20:220, 40:200].repeat(2, axis=0).repeat(2, axis=1))
    base.region = (0, 0, 320, 400)
    base.view = (40, 20, 200, 220)
    enhanced = Enhanced(base, portrait, restorer=Sharpener(), scale=2)
    frame = next(iter(enhanced.draw(track)))
    assert frame.shape == (800, 640, 3)
    difference = np.abs(frame.astype(int) - plainly(base.image, 2)).max(axis=2)
    nose = ((portrait.face.landmarks[4, :2] - (40, 20)) * 4).astype(int)
    assert difference[nose[1] - 20 : nose[1] + 20, nose[0] - 20 : nose[0] + 20].mean() > 5
    assert difference[:40].max() == 0


def test_alpha_grows_with_the_frame(portrait, track, moving):
    base = moving(portrait.image)
    base.has_alpha = True
    plain = base.draw
    alpha = np.full((240, 240), 200, np.uint8)
    base.draw = lambda track, onto=None: (np.dstack([frame, alpha]) for frame in plain(track, onto))
    for scale in (1, 2):
        enhanced = Enhanced(base, portrait, restorer=Sharpener(), scale=scale)
        frame = next(iter(enhanced.draw(track)))
        assert frame.shape == (240 * scale, 240 * scale, 4)
        assert (frame[..., 3] == 200).all()


def test_cancelling_ends_it(portrait, track, moving):
    calls = []

    def check():
        calls.append(0)
        if len(calls) == 4:
            raise Cancelled

    base = moving(portrait.image)
    base.check = check
    enhanced = Enhanced(base, portrait, restorer=Sharpener(), check=check)
    with pytest.raises(Cancelled):
        list(enhanced.draw(track))
    assert len(calls) == 4


def test_memory_does_not_grow_with_the_length(portrait, moving):
    def peak(frames):
        track = MotionTrack(ARKIT, 25.0, np.zeros((frames, ARKIT.dim), np.float32), {})
        enhanced = Enhanced(moving(portrait.image, (0, 2)), portrait, restorer=Sharpener(2), scale=2)
        tracemalloc.start()
        for _ in enhanced.draw(track):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(2)
    assert peak(24) < 1.1 * peak(6)
