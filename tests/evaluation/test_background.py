"""Changes outside the face are found, and those inside do not count."""

from __future__ import annotations

import numpy as np
import pytest

from sadtalker_ext.evaluation.background import Watcher

REGION = (40, 40, 80, 80)


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(40, 200, (120, 160, 3)).astype(np.uint8)


def watched(frames, reference=None, opaque=None, lossless=True) -> Watcher:
    watcher = Watcher(reference, opaque, lossless=lossless)
    for frame in frames:
        watcher.watch(frame)
    return watcher


def test_only_the_region_moves():
    still = picture()
    moved = still.copy()
    moved[40:80, 40:80] = 0
    found = watched([still, moved, still]).result(REGION, None)
    assert found is not None
    assert (found.changed, found.largest, found.flicker) == (0, 0, 0)
    assert found.exact
    assert found.region_known
    assert found.reference == "first frame"


def test_one_pixel_of_one_frame_by_one_level_is_found():
    still = picture()
    moved = still.copy()
    moved[80, 80, 1] += 1  # the first pixel outside
    found = watched([still, moved, still]).result(REGION, None)
    assert found is not None
    outside = 120 * 160 - 40 * 40
    assert found.changed == pytest.approx(1 / outside)
    assert found.largest == 1
    assert found.flicker == pytest.approx(2 / outside / 2)


def test_compressed_frames_may_differ_a_little_but_not_move():
    still = np.repeat(np.repeat(picture()[::8, ::8], 8, axis=0), 8, axis=1)
    noise = np.random.default_rng(1).normal(0, 6, still.shape)
    noisy = np.clip(still + noise, 0, 255).astype(np.uint8)
    quiet = watched([still, noisy], lossless=False).result(REGION, None)
    assert quiet is not None
    assert quiet.changed == 0
    assert not quiet.exact
    slid = watched([still, np.roll(still, 1, axis=1)], lossless=False).result(REGION, None)
    assert slid is not None
    assert slid.changed > 0.3


def test_the_picture_is_the_reference_when_given_also_at_odd_sizes():
    source = picture()[:119, :159]
    even = np.pad(source, ((0, 1), (0, 1), (0, 0)), mode="edge")
    found = watched([even], reference=source).result(REGION, None)
    assert found is not None
    assert found.reference == "picture"
    assert found.changed == 0
    brighter = watched([even + 1], reference=source).result(REGION, None)
    assert brighter is not None
    assert brighter.changed == 1


def test_another_size_falls_back_to_the_first_frame():
    watcher = watched([picture(), picture()], reference=picture()[:60])
    found = watcher.result(REGION, None)
    assert found is not None
    assert found.reference == "first frame"
    assert watcher.notice is not None


def test_without_a_region_the_face_is_given_room():
    still = picture()
    moved = still.copy()
    moved[30:90, 60:100] = 0
    found = watched([still, moved]).result(None, (70.0, 50.0, 90.0, 70.0))
    assert found is not None
    assert not found.region_known
    assert found.region == (50, 30, 110, 90)
    assert found.changed == 0


def test_nothing_outside_is_nothing_measured():
    assert watched([picture()]).result((0, 0, 160, 120), None) is None
    assert watched([picture()]).result(None, None) is None
    assert watched([]).result(REGION, None) is None


@pytest.mark.parametrize("lossless", [True, False])
def test_transparent_pixels_are_not_compared(lossless):
    source = np.full((120, 160, 3), 90, np.uint8)
    opaque = np.ones((120, 160), bool)
    opaque[:, 110:] = False
    shown = source.copy()
    shown[:, 110:] = 255
    covered = watched([shown], source, opaque, lossless).result(REGION, None)
    bare = watched([shown], source, None, lossless).result(REGION, None)
    assert covered is not None
    assert bare is not None
    assert covered.changed == 0
    assert bare.changed > 0.2
    shown[90:110, 10:30] = 120
    moved = watched([shown], source, opaque, lossless).result(REGION, None)
    assert moved is not None
    assert moved.changed > 0
