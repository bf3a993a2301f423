"""The instant renderer as a whole: what moves, what must not, and how frames come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

import cv2
import numpy as np
import pytest

from sadtalker_ext.engines.instant.warp.renderer import WarpRenderer
from sadtalker_ext.errors import Cancelled, TrackError
from sadtalker_ext.face import Portrait
from sadtalker_ext.tracks import ARKIT, MotionSpace, MotionTrack, lips

FPS = 25.0
Draw = Callable[..., tuple[np.ndarray, np.ndarray]]
Colours = dict[str, tuple[int, int, int]]


def both(name: str, value: float) -> dict[str, float]:
    return {f"{name}Left": value, f"{name}Right": value}


OPEN = {"jawOpen": 0.7}
SHUT = both("mouthPress", 1.0)
WILD = {
    **OPEN, **both("mouthSmile", 1.0), **both("browOuterUp", 1.0), **both("eyeBlink", 1.0),
    "headYaw": 40.0, "headPitch": -30.0, "headRoll": 25.0, "cheekPuff": 1.0,
}  # fmt: skip


def track(*rows: Mapping[str, float]) -> MotionTrack:
    data = np.zeros((len(rows), ARKIT.dim), np.float32)
    for i, row in enumerate(rows):
        for name, value in row.items():
            data[i, ARKIT.index(name)] = value
    return MotionTrack(ARKIT, FPS, data)


def one(renderer: WarpRenderer, row: Mapping[str, float]) -> np.ndarray:
    return next(iter(renderer.render(track(row))))


@pytest.fixture(scope="module")
def renderer(portrait: Portrait) -> WarpRenderer:
    return WarpRenderer(portrait, workers=2)


def test_at_rest_every_pixel_is_the_pictures(renderer: WarpRenderer, portrait: Portrait) -> None:
    assert np.array_equal(one(renderer, {}), portrait.image)


def test_nothing_changes_outside_the_region_or_at_its_border(
    draw: Draw, as_portrait: Callable[..., Portrait]
) -> None:
    picture, points = draw(400, 420, face_width=90.0)
    renderer = WarpRenderer(as_portrait(picture, points))
    x0, y0, x1, y1 = renderer.region
    assert x0 > 0
    assert y0 > 0
    assert x1 < 400
    assert y1 < 420
    changed = (one(renderer, WILD) != picture).any(2)
    assert changed.any()
    inner = np.zeros_like(changed)
    inner[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1] = True
    assert not changed[~inner].any()


def test_a_tight_picture_slides_along_its_border_only(
    draw: Draw, as_portrait: Callable[..., Portrait]
) -> None:
    # Red at the left side, green at the right, blue above: wherever the head goes, each stays there.
    picture, points = draw(160, 200, face_width=120.0)
    picture[:, :2], picture[:, -2:], picture[:2] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    renderer = WarpRenderer(as_portrait(picture, points))
    for turn in ({"headYaw": 9.0}, {"headPitch": -8.0}, {"headRoll": 6.0}):
        frame = one(renderer, turn).astype(int)
        assert not np.array_equal(frame, picture)
        for side, colour in ((frame[6:, 0], 0), (frame[6:, -1], 1), (frame[0, 6:-6], 2)):
            assert (side.argmax(1) == colour).all()


def test_the_picture_itself_is_never_written_to(portrait: Portrait) -> None:
    before = portrait.image.copy()
    list(WarpRenderer(portrait).render(track(WILD, OPEN)))
    assert np.array_equal(portrait.image, before)


def test_same_track_gives_same_frames_in_order_whatever_the_workers(portrait: Portrait) -> None:
    rows = [{**OPEN, "headYaw": float(i) - 3} for i in range(7)]
    alone = list(WarpRenderer(portrait, workers=1).render(track(*rows)))
    together = list(WarpRenderer(portrait, workers=4).render(track(*rows)))
    assert len(alone) == len(together) == len(rows)
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))
    assert not np.array_equal(alone[0], alone[-1])


def test_frames_are_made_as_they_are_asked_for(
    renderer: WarpRenderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    real = WarpRenderer._frame_at

    def counted(self: WarpRenderer, controls: object, index: int) -> np.ndarray:
        made.append(index)
        return real(self, controls, index)  # type: ignore[arg-type]

    monkeypatch.setattr(WarpRenderer, "_frame_at", counted)
    frames = renderer.render(track(*[{}] * 100))
    next(frames)
    frames.close()
    assert len(made) < 20


def test_a_cancel_ends_the_rendering_and_its_threads(renderer: WarpRenderer) -> None:
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > 8:
            raise Cancelled

    with pytest.raises(Cancelled):
        list(renderer.render(track(*[OPEN] * 50), check=check))
    assert not [t for t in threading.enumerate() if t.name.startswith("warp")]


def test_renderings_that_overlap_leave_opencvs_threads_as_they_were(renderer: WarpRenderer) -> None:
    before = cv2.getNumThreads()
    first, second = renderer.render(track(*[OPEN] * 9)), renderer.render(track(*[OPEN] * 9))
    next(first)
    next(second)
    assert cv2.getNumThreads() == 1
    first.close()
    assert cv2.getNumThreads() == 1
    second.close()
    assert cv2.getNumThreads() == before


def test_another_motion_space_is_refused(renderer: WarpRenderer) -> None:
    space = MotionSpace("bfm", ("a",), {"all": (0,)})
    with pytest.raises(TrackError, match="bfm"):
        renderer.render(MotionTrack(space, FPS, np.zeros((1, 1), np.float32)))


def test_head_turns_the_way_the_track_says(renderer: WarpRenderer) -> None:
    head, frame = renderer.head, renderer.frame
    nose, brow = frame.points[[4, 10], :2]

    def moved(point: np.ndarray, **angles: float) -> np.ndarray:
        pose = {"yaw": 0.0, "pitch": 0.0, "roll": 0.0, **angles}
        return head.grid.sample_points(np.dstack(head.displacement(**pose)), point[None])[0]

    assert moved(nose, yaw=8)[0] > 2 > -2 > moved(nose, yaw=-8)[0]
    assert moved(nose, pitch=8)[1] < -2 < 2 < moved(nose, pitch=-8)[1]
    assert moved(brow, roll=5)[0] > 2  # the forehead leans to the right, clockwise


def test_a_lying_head_turns_about_its_own_axes(draw: Draw, as_portrait: Callable[..., Portrait]) -> None:
    picture, points = draw(300, 300)
    lying = points.copy()
    lying[:, 0], lying[:, 1] = 299 - points[:, 1], points[:, 0]  # a quarter turn clockwise
    renderer = WarpRenderer(as_portrait(np.ascontiguousarray(np.rot90(picture, -1)), lying))
    head, nose = renderer.head, renderer.frame.points[[4], :2]
    yaw, pitch = (
        head.grid.sample_points(np.dstack(head.displacement(*angles)), nose)[0]
        for angles in ((8.0, 0.0, 0.0), (0.0, 8.0, 0.0))
    )
    assert yaw[1] > 2  # what was to the right is below
    assert abs(yaw[0]) < 0.5 * yaw[1]
    assert pitch[0] > 2  # what was above is to the right
    assert abs(pitch[1]) < 0.5 * pitch[0]


def test_opening_follows_the_lip_convention(renderer: WarpRenderer, smiling: Portrait) -> None:
    motion = track(*[{**OPEN, "mouthClose": c} for c in (0.0, 0.2, 0.7)], {**OPEN, **SHUT})
    assert np.allclose(renderer.opening(motion), lips.opening(motion), atol=1e-6)
    shows_teeth = WarpRenderer(smiling)
    own = float(shows_teeth.opening(track({}))[0])
    assert own == pytest.approx(0.06, abs=0.015)
    assert shows_teeth.opening(motion)[-1] == pytest.approx(0.0, abs=1e-6)


def mouth_pixels(renderer: WarpRenderer, frame: np.ndarray) -> np.ndarray:
    """Pixels (n, 3) over the middle of the mouth, from lip to lip."""
    points = renderer.frame.points[:, :2] + renderer.region[:2]
    x, width = int(points[13, 0]), int(0.05 * renderer.frame.width)
    y0, y1 = int(points[0, 1]), int(points[17, 1] + 0.06 * renderer.frame.width)
    return frame[y0:y1, x - width : x + width].reshape(-1, 3).astype(float)


def near(pixels: np.ndarray, colour: tuple[int, int, int]) -> float:
    return float((np.abs(pixels - colour).max(1) < 40).mean())


def test_an_open_mouth_shows_what_is_not_lip(renderer: WarpRenderer, colours: Colours) -> None:
    shut, opened = (mouth_pixels(renderer, one(renderer, row)) for row in ({}, OPEN))
    assert near(opened, colours["lip"]) < 0.75 * near(shut, colours["lip"])


def test_an_open_smile_closes_over_its_teeth(smiling: Portrait, colours: Colours) -> None:
    renderer = WarpRenderer(smiling)
    rest = mouth_pixels(renderer, one(renderer, {}))
    shut = mouth_pixels(renderer, one(renderer, SHUT))
    assert near(rest, colours["teeth"]) > 0.2
    assert near(shut, colours["teeth"]) < 0.02


def test_an_open_smile_at_rest_is_the_pictures_whatever_else_moves(smiling: Portrait) -> None:
    renderer = WarpRenderer(smiling)
    frame = one(renderer, {"browInnerUp": 0.02})
    rest, moved = mouth_pixels(renderer, smiling.image), mouth_pixels(renderer, frame)
    assert np.abs(rest - moved).max() <= 4


def test_alpha_moves_with_the_picture(draw: Draw, as_portrait: Callable[..., Portrait]) -> None:
    picture, points = draw()
    alpha = np.zeros(picture.shape[:2], np.uint8)
    alpha[30:-30, 30:-30] = 255
    renderer = WarpRenderer(as_portrait(picture, points, alpha))
    rest, turned = list(renderer.render(track({}, {"headYaw": 8.0})))
    assert rest.shape == (*picture.shape[:2], 4)
    assert np.array_equal(rest[..., 3], alpha)
    assert np.array_equal(rest[..., :3], picture)
    assert set(np.unique(turned[..., 3])) >= {0, 255}


@pytest.mark.parametrize(
    ("size", "face_width", "centre"),
    [
        ((64, 64), 30.0, None),
        ((70, 300), 60.0, None),
        ((200, 200), 150.0, None),
        ((200, 200), 90.0, (30.0, 60.0)),
        ((200, 200), 90.0, (190.0, 190.0)),
    ],
)
def test_small_tight_and_cut_faces_render(
    size: tuple[int, int],
    face_width: float,
    centre: tuple[float, float] | None,
    draw: Draw,
    as_portrait: Callable[..., Portrait],
) -> None:
    picture, points = draw(*size, face_width=face_width, centre=centre)
    renderer = WarpRenderer(as_portrait(picture, points))
    rest, wild = one(renderer, {}), one(renderer, WILD)
    assert wild.shape == picture.shape
    assert np.array_equal(rest, picture)


def test_unknown_eye_heights_keep_the_eyes_open(draw: Draw, as_portrait: Callable[..., Portrait]) -> None:
    picture, points = draw()
    known = as_portrait(picture, points)
    guessed = replace(known, face=replace(known.face, source="points"))
    blink = both("eyeBlink", 1.0)
    assert not np.array_equal(one(WarpRenderer(known), blink), picture)
    assert np.array_equal(one(WarpRenderer(guessed), blink), picture)


def test_demands_that_no_face_meets_are_bent_to_what_one_can(renderer: WarpRenderer) -> None:
    wild = track({"jawOpen": 1e30, "mouthLeft": -1e30, "headYaw": 1e20}, {"jawOpen": 1.5, "mouthLeft": -1.0})
    frames = list(renderer.render(wild))
    assert len(frames) == 2
