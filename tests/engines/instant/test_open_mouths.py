"""Mouths that are open in the picture shut, speak and open again without a fold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sadtalker_ext.engines.instant.warp.basis import MOVES
from sadtalker_ext.engines.instant.warp.closing import Closing
from sadtalker_ext.engines.instant.warp.controls import closes
from sadtalker_ext.engines.instant.warp.folds import LEAST_AREA, Folds
from sadtalker_ext.engines.instant.warp.frame import FaceFrame
from sadtalker_ext.engines.instant.warp.grid import jacobian
from sadtalker_ext.engines.instant.warp.renderer import STAYS_OPEN, WarpRenderer
from sadtalker_ext.face import Portrait
from sadtalker_ext.face.topology import LIPS_INNER_LOWER, LIPS_INNER_UPPER
from sadtalker_ext.tracks import MotionTrack, lips

Draw = Callable[..., tuple[np.ndarray, np.ndarray]]
AsPortrait = Callable[..., Portrait]
OPEN = ({"own_gap": 0.06}, {"jaw": 0.12}, {"jaw": 0.18}, {"jaw": 0.25})


@pytest.fixture(scope="module", params=OPEN, ids=str)
def renderer(request: pytest.FixtureRequest, draw: Draw, as_portrait: AsPortrait) -> WarpRenderer:
    return WarpRenderer(as_portrait(*draw(**request.param)), workers=1)


def chatter(frames: int = 60) -> MotionTrack:
    """Lips that do everything that speech asks for, one after the other and together."""
    at = np.linspace(0, 6 * np.pi, frames)
    columns = lips.from_articulators(
        gap=0.05 * (1 + np.sin(at)),
        jaw=0.5 + 0.5 * np.sin(at * 1.3),
        width=np.sin(at * 0.7),
        rounding=np.clip(np.sin(at * 0.9), 0, 1),
        closure=(np.sin(at * 2.1) > 0.9).astype(float),
        labiodental=np.clip(np.sin(at * 1.7), 0, 1) ** 4,
        teeth=np.full(frames, 0.5),
        tongue=np.clip(np.sin(at), 0, 1),
    )
    return MotionTrack.rest(frames, 25.0).with_columns(columns)


def moves_of(renderer: WarpRenderer, track: MotionTrack) -> np.ndarray:
    moves, shares = renderer.movements(track)
    return moves * shares[:, None]


def least_area(renderer: WarpRenderer, moves: np.ndarray) -> float:
    """The smallest Jacobian over all rows, each layer on its own side of the mouth."""
    basis, grid = renderer.basis, renderer.face_grid
    below = renderer.lips.lip_line(*grid.nodes())
    return min(
        float(jacobian(*basis.combine(layer, row), grid.step)[seen].min())
        for row in moves
        for layer, seen in ((basis.upper, below < 0), (basis.lower, below > 0))
    )


def test_no_frame_folds_the_picture(renderer: WarpRenderer) -> None:
    assert least_area(renderer, moves_of(renderer, chatter())) > LEAST_AREA / 2


def test_shut_lips_cover_what_was_between_them(
    renderer: WarpRenderer, colours: dict[str, tuple[int, int, int]]
) -> None:
    track = MotionTrack.rest(30, 25.0).with_columns(
        {name: np.ones(30) for name in ("mouthPressLeft", "mouthPressRight")}
    )
    *_, frame = renderer.render(track)
    around = renderer.frame.points[list(LIPS_INNER_UPPER + LIPS_INNER_LOWER), :2]
    left, top = np.floor(around.min(0)).astype(int) + renderer.region[:2]
    right, bottom = np.ceil(around.max(0)).astype(int) + renderer.region[:2]
    mouth = frame[top - 10 : bottom + 10, left:right].reshape(-1, 3).astype(float)
    teeth, lip = (np.abs(mouth - colours[what]).max(1) < 40 for what in ("teeth", "lip"))
    assert teeth.sum() < 0.02 * len(mouth)
    assert lip.sum() > 0.04 * len(mouth)


def test_the_inner_lips_meet_on_one_line(renderer: WarpRenderer) -> None:
    closing = Closing.of(renderer.frame)
    upper, lower = (closing.local[list(ring), :2] for ring in (LIPS_INNER_UPPER, LIPS_INNER_LOWER))
    apart = lower[:, 1] - np.interp(lower[:, 0], upper[:, 0], upper[:, 1])
    assert np.abs(apart).max() < 0.004
    assert (np.diff(upper[:, 0]) > 0).all()  # no point passes its neighbour
    assert (np.diff(lower[:, 0]) > 0).all()


def test_a_hanging_jaw_rises_and_a_smile_does_not_lift_the_chin(draw: Draw) -> None:
    hanging, smiling = (
        Closing.of(FaceFrame.of(draw(**kind)[1])).jaw for kind in ({"jaw": 0.25}, {"own_gap": 0.06})
    )
    assert hanging > 0.08
    assert smiling < 0.02


def test_shut_lips_need_no_closing(portrait: Portrait) -> None:
    closing = Closing.of(FaceFrame.of(portrait.face.landmarks))
    assert not closing.moved.any()
    assert closing.jaw == closing.upper == 0


def test_movements_that_would_fold_are_scaled_to_what_the_picture_takes(renderer: WarpRenderer) -> None:
    wild = np.random.default_rng(0).normal(0, 1, (40, len(MOVES))).astype(np.float32)
    folds: Folds = renderer._folds
    shares = folds.share(wild)
    assert shares.min() < 0.5
    assert (shares >= 0).all()
    assert least_area(renderer, wild * shares[:, None]) == pytest.approx(LEAST_AREA, abs=0.02)
    assert (folds.share(wild * 1e-4) == 1).all()


def test_a_mouth_at_the_border_stays_open_and_it_is_said(draw: Draw, as_portrait: AsPortrait) -> None:
    picture, points = draw(jaw=0.25)
    cut = int(points[list(LIPS_INNER_LOWER), 1].max()) + 6  # just below the lower lip
    tight = WarpRenderer(as_portrait(np.ascontiguousarray(picture[:cut]), points), workers=1)
    assert tight.notices == (STAYS_OPEN,)
    track = chatter()
    assert tight.opening(track).min() > 0.02
    assert least_area(tight, moves_of(tight, track)) > LEAST_AREA / 2
    whole = WarpRenderer(as_portrait(picture, points), workers=1)
    assert whole.notices == ()
    assert whole.opening(track).min() < 0.01


def test_what_cannot_be_shut_is_known_beforehand() -> None:
    assert closes(0.0, {"seal": 0.0}, {"seal": 1.0}) == 1
    assert closes(0.2, {"seal": -0.21}, {"seal": 1.0}) == 1
    assert closes(0.2, {"seal": -0.1}, {"seal": 1.0}) == pytest.approx(0.5)
    assert closes(0.2, {"seal": -0.2}, {"seal": 0.25}) == pytest.approx(0.25)
