"""The torch road of the warp gives what OpenCV gives, on the CPU, which stands for an accelerator here."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from sadtalker_ext.engines.instant.warp import device_warp as module
from sadtalker_ext.engines.instant.warp.device_warp import (
    DeviceWarp,
    PictureWarp,
    Piece,
    overlap,
    picture_warp,
    pixel_maps,
    seen_box,
)
from sadtalker_ext.engines.instant.warp.grid import Box, Grid
from sadtalker_ext.engines.instant.warp.renderer import WarpRenderer
from sadtalker_ext.face import Portrait
from sadtalker_ext.tracks import ARKIT, MotionTrack

WIDTH, HEIGHT = 311, 247  # px; odd sizes, that no grid step divides
WHOLE: Box = (0, 0, WIDTH, HEIGHT)
FACE: Box = (63, 41, 250, 203)
MEAN_LEVELS = 0.5  # what the two roads may differ by: OpenCV rounds positions to 1/32 px, torch does not
WORST_LEVELS = 8.0


@pytest.fixture(scope="module")
def picture(demo_portrait: Path) -> np.ndarray:
    with Image.open(demo_portrait) as image:
        return np.asarray(image.convert("RGB").resize((WIDTH, HEIGHT)))


def smooth_noise(shape: tuple[int, int], amplitude: float, rng: np.random.Generator) -> np.ndarray:
    field = cv2.GaussianBlur(rng.normal(size=shape).astype(np.float32), (0, 0), 3)
    return field * np.float32(amplitude / np.abs(field).max())


def piece_of(box: Box, step: int, amplitude: float, seed: int) -> Piece:
    """Smooth random motion of up to `amplitude` px on a grid a little larger than the box."""
    rng = np.random.default_rng(seed)
    grid = Grid.over(box[0] - (3 if box[0] else 0), box[1] - (2 if box[1] else 0), box[2], box[3], step)
    x, y = grid.nodes()
    moved_x = x + smooth_noise(grid.shape, amplitude, rng)
    return Piece(grid, moved_x, y + smooth_noise(grid.shape, amplitude, rng), box)


def with_opencv(picture: np.ndarray, pieces: list[Piece]) -> np.ndarray:
    maps = pixel_maps(pieces, WHOLE)
    return cv2.remap(picture, *maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize("step", [1, 2, 5, 8])
@pytest.mark.parametrize("seed", [0, 1])
def test_random_smooth_maps_agree_with_opencv(picture: np.ndarray, step: int, seed: int) -> None:
    pieces = [piece_of(WHOLE, step, 12, seed), piece_of(FACE, step, 6, seed + 10)]
    seen, _ = DeviceWarp(picture).warp(pieces)
    wanted = with_opencv(picture, pieces)
    error = np.abs(seen.astype(np.float32) - wanted)
    assert error.mean() < MEAN_LEVELS
    assert error.max() <= WORST_LEVELS
    # The motion is worth comparing: unmoved, the picture is much further away.
    assert np.abs(picture.astype(np.float32) - wanted).mean() > 4 * MEAN_LEVELS


def test_positions_outside_the_picture_show_its_border(picture: np.ndarray) -> None:
    grid = Grid.over(0, 0, WIDTH, HEIGHT, 4)
    x, y = grid.nodes()
    pieces = [Piece(grid, x - 60, y + 50, WHOLE)]
    seen, _ = DeviceWarp(picture).warp(pieces)
    # Cubic sampling with the border replicated may ring, but only beside it.
    assert np.abs(seen[: HEIGHT - 52, :56].astype(int) - picture[50 : HEIGHT - 2, :1]).max() <= 1
    assert np.abs(seen[HEIGHT - 46 :, 64:].astype(int) - picture[-1:, 4 : WIDTH - 60]).max() <= 1


@pytest.mark.parametrize("step", [3, 7])
def test_the_identity_keeps_every_pixel(step: int) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    grid = Grid.over(0, 0, WIDTH, HEIGHT, step)
    seen, alpha = DeviceWarp(noise).warp([Piece(grid, *grid.nodes(), WHOLE)])
    assert alpha is None
    np.testing.assert_array_equal(seen, noise)


def test_a_large_picture_keeps_its_positions() -> None:
    # 4000 px wide, positions scaled to −1..1 in single precision must still hit the pixel.
    noise = np.random.default_rng(4).integers(0, 256, (64, 4000, 3)).astype(np.uint8)
    grid = Grid.over(0, 0, 4000, 64, 16)
    x, y = grid.nodes()
    seen, _ = DeviceWarp(noise).warp([Piece(grid, x + 5, y, (0, 0, 3990, 64))])
    np.testing.assert_array_equal(seen[:, :3990], noise[:, 5:3995])


def test_the_opencv_road_is_plain_remapping(picture: np.ndarray) -> None:
    for pieces in ([piece_of(WHOLE, 5, 9, 2), piece_of(FACE, 3, 5, 3)], [piece_of(FACE, 3, 5, 3)]):
        np.testing.assert_array_equal(PictureWarp(picture).warp(pieces)[0], with_opencv(picture, pieces))


@pytest.mark.parametrize("kind", [PictureWarp, DeviceWarp])
def test_outside_the_first_piece_the_picture_is_kept(picture: np.ndarray, kind: type[PictureWarp]) -> None:
    seen, _ = kind(picture).warp([piece_of(FACE, 4, 6, 5)])
    changed = (seen != picture).any(2)
    assert changed[FACE[1] : FACE[3], FACE[0] : FACE[2]].mean() > 0.3
    changed[FACE[1] : FACE[3], FACE[0] : FACE[2]] = False
    assert not changed.any()


@pytest.mark.parametrize("kind", [PictureWarp, DeviceWarp])
def test_alpha_moves_with_the_colours(picture: np.ndarray, kind: type[PictureWarp]) -> None:
    alpha = np.ascontiguousarray(picture[..., 1])
    pieces = [piece_of(WHOLE, 5, 10, 6)]
    colour, moved = kind(picture, alpha).warp(pieces)
    assert moved is not None
    assert colour.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(moved, colour[..., 1])


@pytest.mark.parametrize("kind", [PictureWarp, DeviceWarp])
def test_results_belong_to_the_caller(picture: np.ndarray, kind: type[PictureWarp]) -> None:
    kept = picture.copy()
    warp = kind(picture, np.ascontiguousarray(picture[..., 0]))
    for pieces in ([], [piece_of(FACE, 4, 6, 7)], [piece_of(WHOLE, 4, 6, 7)]):
        first, first_alpha = warp.warp(pieces)
        assert first.flags.c_contiguous
        assert first_alpha is not None
        wanted = first.copy()
        first[:], first_alpha[:] = 7, 7
        again, _ = warp.warp(pieces)
        np.testing.assert_array_equal(again, wanted)
    np.testing.assert_array_equal(picture, kept)


def test_pixel_maps_of_a_part_are_a_part_of_the_maps() -> None:
    pieces = [piece_of(FACE, 5, 6, 8), piece_of((100, 80, 180, 150), 3, 4, 9)]
    part = (40, 60, 140, 220)
    for whole, few in zip(pixel_maps(pieces, WHOLE), pixel_maps(pieces, part), strict=True):
        np.testing.assert_allclose(few, whole[60:220, 40:140], atol=1e-3)
    map_x, map_y = pixel_maps(pieces, WHOLE)
    assert (map_x[0] == np.arange(WIDTH)).all()
    assert (map_y[:, 0] == np.arange(HEIGHT)).all()
    np.testing.assert_allclose(
        map_x[80:150, 100:180], pieces[1].grid.enlarge(pieces[1].x, pieces[1].box), atol=1e-3
    )


def test_overlap_of_boxes() -> None:
    assert overlap((0, 0, 5, 5), (3, 4, 9, 9)) == (3, 4, 5, 5)
    assert overlap((0, 0, 5, 5), (5, 0, 9, 9)) is None


@pytest.mark.parametrize("seed", range(4))
def test_where_a_part_of_the_source_is_seen(seed: int) -> None:
    part = (120, 90, 160, 110)
    pieces = [piece_of(WHOLE, 6, 14, seed), piece_of(FACE, 4, 9, seed + 20)]
    box = seen_box([part, (170, 92, 200, 112)], pieces, 2, WHOLE)
    assert box is not None
    map_x, map_y = pixel_maps(pieces, WHOLE)
    inside = (map_x >= part[0]) & (map_x < part[2]) & (map_y >= part[1]) & (map_y < part[3])
    assert inside.any()
    inside[box[1] : box[3], box[0] : box[2]] = False
    assert not inside.any()
    assert (box[2] - box[0]) * (box[3] - box[1]) < 0.2 * WIDTH * HEIGHT


def test_where_a_part_is_seen_without_motion_or_not_at_all() -> None:
    assert seen_box([(5, 6, 20, 30), (40, 8, 50, 12)], [], 3, WHOLE) == (2, 3, 53, 33)
    assert seen_box([(1, 1, 20, 30)], [], 3, WHOLE) == (0, 0, 23, 33)
    assert seen_box([], [], 3, WHOLE) is None
    assert seen_box([(900, 900, 920, 920)], [piece_of(WHOLE, 6, 4, 0)], 3, WHOLE) is None


def test_many_threads_get_their_own_frames(picture: np.ndarray) -> None:
    warp = DeviceWarp(picture)
    jobs = [[piece_of(WHOLE, 6, 8, seed)] for seed in range(12)]
    wanted = [warp.warp(pieces)[0] for pieces in jobs]
    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(lambda pieces: warp.warp(pieces)[0], jobs))
    for one, other in zip(seen, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_piece_that_sticks_out_is_refused(picture: np.ndarray) -> None:
    warp = DeviceWarp(picture)
    with pytest.raises(ValueError, match="outside"):
        warp.warp([piece_of((0, 0, WIDTH + 4, HEIGHT), 4, 2, 0)])
    with pytest.raises(ValueError, match="outside"):
        warp.warp([piece_of(FACE, 4, 2, 0), piece_of((10, 50, 90, 90), 4, 2, 0)])
    grid = Grid.over(20, 20, 90, 90, 5)
    with pytest.raises(ValueError, match="outside"):
        warp.warp([Piece(grid, *grid.nodes(), (10, 20, 60, 60))])


def test_opencv_takes_over_when_the_device_fails(
    picture: np.ndarray, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    warp = DeviceWarp(picture)
    pieces = [piece_of(WHOLE, 5, 9, 2), piece_of(FACE, 5, 5, 3)]
    tries = []

    def full(*_: object) -> torch.Tensor:
        tries.append(1)
        raise torch.cuda.OutOfMemoryError("out of memory")

    monkeypatch.setattr(warp, "_places", full)
    for _ in range(3):
        np.testing.assert_array_equal(warp.warp(pieces)[0], with_opencv(picture, pieces))
    assert len(tries) == 1  # and then left alone
    assert len(caplog.records) == 1
    assert "out of memory" in caplog.text
    assert warp.device == "cpu"


def test_only_accelerators_that_sample_alike_are_used(
    picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = [name for name in ("cuda", "xpu", "mps") if not accelerator(name)]
    for name in ("cpu", "nonsense", *absent):
        assert type(picture_warp(picture, device=name)) is PictureWarp
    assert module.agrees("cpu")
    # A device whose sampling is off by half a pixel is found out.
    enlarge = torch.nn.functional.interpolate
    monkeypatch.setattr(
        torch.nn.functional, "interpolate", lambda *given, **more: enlarge(*given, **more) + 0.5 / 28
    )
    assert not module.agrees("cpu")


def test_the_renderer_looks_alike_on_both_roads(
    draw: Callable[..., tuple[np.ndarray, np.ndarray]],
    as_portrait: Callable[..., Portrait],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn, points = draw()
    alpha = np.full(drawn.shape[:2], 255, np.uint8)
    alpha[:, : drawn.shape[1] // 3] = 40
    portrait = as_portrait(drawn, points, alpha)
    data = np.zeros((6, ARKIT.dim), np.float32)
    rng = np.random.default_rng(0)
    data[1:] = rng.uniform(0, 0.5, data[1:].shape)
    pose = [ARKIT.index(name) for name in ("headYaw", "headPitch", "headRoll")]
    data[:, pose] = rng.uniform(-10, 10, (6, 3))
    data[4:, pose] = 0  # a face that moves in a head that does not
    track = MotionTrack(ARKIT, 25.0, data)
    wanted = list(WarpRenderer(portrait).render(track))
    asked = []

    def on_torch(source: np.ndarray, alpha: np.ndarray | None, device: str) -> PictureWarp:
        asked.append(device)
        return DeviceWarp(source, alpha)

    monkeypatch.setattr("sadtalker_ext.engines.instant.warp.renderer.picture_warp", on_torch)
    seen = list(WarpRenderer(portrait, device="cuda").render(track))
    assert asked == ["cuda"]
    for one, other in zip(seen, wanted, strict=True):
        assert one.shape == (*drawn.shape[:2], 4)
        error = np.abs(one.astype(np.float32) - other)
        assert error.mean() < MEAN_LEVELS
        assert error.max() <= WORST_LEVELS


def accelerator(name: str) -> bool:
    backend = torch.backends.mps if name == "mps" else getattr(torch, name, None)
    return backend is not None and bool(backend.is_available())


@pytest.mark.parametrize("name", ["cuda", "xpu", "mps"])
def test_accelerators_agree_with_opencv(picture: np.ndarray, name: str) -> None:
    if not accelerator(name):
        pytest.skip(f"this machine has no {name}")
    warp = picture_warp(picture, device=name)
    if warp.device == "cpu":
        pytest.skip(f"torch's {name} does not sample as OpenCV does, so OpenCV is used there")
    jobs = [[piece_of(WHOLE, 5, 12, seed), piece_of(FACE, 5, 6, seed + 10)] for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(lambda pieces: warp.warp(pieces)[0], jobs))
    for frame, pieces in zip(seen, jobs, strict=True):
        error = np.abs(frame.astype(np.float32) - with_opencv(picture, pieces))
        assert error.mean() < MEAN_LEVELS
        assert error.max() <= WORST_LEVELS
    assert warp.device.startswith(name)
