"""A contact sheet shows the right frames in the right cells."""

from __future__ import annotations

import numpy as np
import pytest

from sadtalker_ext.errors import VideoError
from sadtalker_ext.evaluation import contact_sheet
from sadtalker_ext.evaluation.sheet import GUTTER, PAPER
from sadtalker_ext.video import VideoWriter

WIDTH, HEIGHT, CELL = 64, 48, 32


@pytest.fixture
def greys(tmp_path):
    """A folder of 20 frames, frame i of grey level 10 i, at 10 a second."""
    path = tmp_path / "greys"
    with VideoWriter(path, width=WIDTH, height=HEIGHT, fps=10, frames=20, format="png") as writer:
        for number in range(20):
            writer.write(np.full((HEIGHT, WIDTH, 3), 10 * number, np.uint8))
    return path


def cells(sheet: np.ndarray, columns: int, rows: int) -> list[int]:
    height = CELL * HEIGHT // WIDTH
    assert sheet.shape == (rows * (height + GUTTER) + GUTTER, columns * (CELL + GUTTER) + GUTTER, 3)
    middle = [
        sheet[GUTTER + r * (height + GUTTER) + 5, GUTTER + c * (CELL + GUTTER) + 5, 0]
        for r in range(rows)
        for c in range(columns)
    ]
    return [int(level) for level in middle]


def test_frames_are_spread_evenly_from_first_to_last(greys):
    sheet = contact_sheet(greys, 2, 2, crop=None, labels=False, cell_width=CELL)
    assert cells(sheet, 2, 2) == [0, 60, 130, 190]


def test_chosen_times(greys):
    sheet = contact_sheet(greys, 3, 2, crop=None, labels=False, times=[1.5, 0.2, 9.0, 0.2], cell_width=CELL)
    assert cells(sheet, 3, 2) == [150, 20, 190, 20, PAPER, PAPER]


def test_fewer_frames_than_cells_are_not_repeated(greys):
    sheet = contact_sheet(greys, 8, 5, crop=None, labels=False, cell_width=CELL)
    assert cells(sheet, 8, 3) == [10 * i for i in range(20)] + [PAPER] * 4


def test_labels_are_written_at_the_foot(greys):
    plain = contact_sheet(greys, 2, 1, crop=None, labels=False, cell_width=128)
    labelled = contact_sheet(greys, 2, 1, crop=None, labels=["one", "two"], cell_width=128)
    changed = np.flatnonzero((plain != labelled).any(axis=(1, 2)))
    assert changed.min() > plain.shape[0] // 2


def test_a_face_crop_without_a_face_shows_whole_frames(greys):
    pytest.importorskip("mediapipe")
    whole = contact_sheet(greys, 2, 1, crop=None, labels=False, cell_width=CELL)
    np.testing.assert_array_equal(contact_sheet(greys, 2, 1, labels=False, cell_width=CELL), whole)


def test_what_is_no_video_is_a_sentence(tmp_path):
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    with pytest.raises(VideoError):
        contact_sheet(path)
