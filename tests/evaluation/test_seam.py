"""The seam index sees an edge, a blur and a still picture for what they are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sadtalker_ext.evaluation.seam import OUTSIDE, SeamWatcher

REGION = (60, 50, 200, 180)


def picture() -> np.ndarray:
    rng = np.random.default_rng(0)
    smooth = cv2.resize(rng.uniform(60, 190, (6, 8, 3)).astype(np.float32), (260, 230))
    return np.clip(smooth + rng.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)


def seen(frames, region=REGION, source=None):
    watcher = SeamWatcher(picture() if source is None else source, region)
    for frame in frames:
        watcher.watch(frame)
    return watcher.result()


def test_the_picture_itself_has_no_seam():
    found = seen([picture(), picture()])
    assert found.index == pytest.approx(1)
    assert found.steepest == pytest.approx(1)
    assert found.within == pytest.approx(1)


def test_a_face_of_another_colour_has_a_seam():
    frame = picture()
    frame[50:180, 60:200] += 15
    assert seen([frame]).index > 1.5
    assert 1 < seen([frame, *[picture()] * 9]).index < seen([frame]).index


@pytest.mark.parametrize("side", [(slice(50, 180), slice(60, 61)), (slice(179, 180), slice(60, 200))])
def test_one_side_is_enough(side):
    frame = picture()
    frame[side] += 40
    assert seen([frame]).index > 1.1


def test_a_seam_further_in_is_the_steepest_line():
    frame = picture()
    frame[60:170, 70:190] += 25
    found = seen([frame])
    assert found.index == pytest.approx(1)
    assert found.steepest > 2


def test_a_blurred_face_is_no_seam_but_is_told():
    frame = picture()
    frame[50:180, 60:200] = cv2.GaussianBlur(frame, (0, 0), 2)[50:180, 60:200]
    assert seen([frame]).within < 0.8


def test_compression_is_no_blur():
    written = cv2.imdecode(cv2.imencode(".jpg", picture(), [cv2.IMWRITE_JPEG_QUALITY, 60])[1], 1)
    found = seen([written])
    assert found.softening < 0.97
    assert found.index == pytest.approx(1, abs=0.1)


def test_a_region_as_large_as_the_picture_has_no_border():
    assert seen([picture()], (0, 0, 260, 230)) is None
    assert seen([picture()], (-5, OUTSIDE, 300, 230)) is None


def test_only_sides_within_the_picture_count():
    frame = picture()
    frame[:180, :200] += 15
    frame[:180, 199] = picture()[:180, 199]
    assert seen([frame], (0, 0, 200, 230)).index > 1.1


def test_frames_of_another_size_are_left_out():
    assert seen([picture()[:100]]) is None
    padded = np.pad(picture(), ((0, 1), (0, 1), (0, 0)), mode="edge")
    assert seen([padded]).index == pytest.approx(1)
