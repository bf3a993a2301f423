"""Pasting back: exact outside the mask, colours matched, nothing tinted by what moves across the rim."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sadtalker_ext.engines.sadtalker.crop import Box  # noqa: E402
from sadtalker_ext.engines.sadtalker.render.paste import Paster, fade, membrane  # noqa: E402

ALL = (True, True, True, True)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth patches and noise, no value at the ends of the range."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(60, 190, (5, 5, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.clip(smooth + rng.normal(0, 2, smooth.shape), 0, 255).astype(np.uint8)


def square(image: np.ndarray, box: Box, size: int = 64) -> torch.Tensor:
    inside = np.ascontiguousarray(image[box.top : box.bottom, box.left : box.right])
    resized = cv2.resize(inside, (size, size), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(resized).permute(2, 0, 1)[None].float() / 255


def open_sides(box: Box, width: int, height: int) -> tuple[bool, bool, bool, bool]:
    return box.left > 0, box.top > 0, box.right < width, box.bottom < height


def any_place(rng: np.random.Generator) -> tuple[int, int, Box]:
    """A picture's size and a box in it: any, down to one pixel, on edges or not."""
    width, height = (int(side) for side in rng.integers(1, 90, 2))
    left, top = int(rng.integers(0, width)), int(rng.integers(0, height))
    return (
        width,
        height,
        Box(left, top, int(rng.integers(left, width)) + 1, int(rng.integers(top, height)) + 1),
    )


@pytest.mark.parametrize("seed", range(60))
def test_outside_the_mask_every_bit_is_the_pictures(seed):
    rng = np.random.default_rng(seed)
    width, height, box = any_place(rng)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    paster = Paster(image, box)
    count = int(rng.integers(1, 4))
    frames = torch.from_numpy(rng.random((count, 3, 16, 16), np.float32))
    contents = paster(frames)
    assert contents.shape == (count, box.height, box.width, 3)
    assert contents.dtype == torch.uint8
    share = np.zeros((height, width), np.float32)
    sides = open_sides(box, width, height)
    share[box.top : box.bottom, box.left : box.right] = fade(box.width, box.height, sides).numpy()
    for content in contents.numpy():
        frame = paster.place(content)
        assert (frame == image)[share == 0].all()
        assert frame.shape == image.shape


def test_a_frame_does_not_depend_on_those_beside_it():
    image, box = picture(120, 100), Box(20, 20, 80, 90)
    paster = Paster(image, box)
    frames = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    together = paster(frames)
    alone = torch.cat([paster(frame[None]) for frame in frames])
    assert (together.int() - alone.int()).abs().max() <= 1


@pytest.mark.parametrize("shift", [(0.06, -0.05, 0.03), (-0.1, -0.1, -0.1)])
@pytest.mark.parametrize("box", [Box(60, 50, 260, 250), Box(0, 0, 200, 200), Box(0, 40, 320, 240)])
def test_a_shift_of_colour_is_taken_away(shift, box):
    image = picture(300, 320)
    paster = Paster(image, box)
    plain = square(image, box)
    shifted = plain + torch.tensor(shift)[:, None, None]
    difference = paster(shifted).int() - paster(plain).int()
    assert difference.abs().max() <= 1  # rounding


def test_a_box_that_is_the_whole_picture_keeps_its_colours():
    image = picture(100, 100)
    box = Box(0, 0, 100, 100)
    frame = square(image, box, 100) * 0.5
    made = Paster(image, box)(frame)[0].numpy()
    assert np.abs(made - image * 0.5).max() <= 1.01


def test_what_crosses_the_rim_does_not_tint_the_face():
    image = np.full((300, 300, 3), 120, np.uint8)
    box = Box(50, 50, 250, 250)
    frame = square(image, box, 128)
    frame[:, :, :, :20] = 0.0  # dark hair that came in from the left
    made = Paster(image, box)(frame)[0].numpy()
    middle = made[60:140, 80:180].astype(int)
    assert np.abs(middle - 120).max() <= 3
    assert made[100, 10].mean() < 110  # and the hair is shown


def test_sides_on_the_pictures_edge_do_not_fade():
    image = picture(200, 200)
    box = Box(0, 0, 120, 200)
    frame = 1 - square(image, box)
    made = Paster(image, box)(frame)[0].numpy()
    assert not np.array_equal(made[:, 0], image[:, 0])
    assert np.array_equal(made[:, -1], image[:, 119])
    share = fade(120, 200, (False, False, True, False))
    assert (share[:, :60] == 1).all()
    assert (share[:, -1] == 0).all()


def test_the_mask_rises_without_steps():
    share = fade(200, 160, ALL)
    assert share.min() == 0
    assert share[80, 100] == 1
    assert (share[0] == 0).all()
    assert (share[:, -1] == 0).all()
    assert share.diff(dim=0).abs().max() < 0.12
    assert share.diff(dim=1).abs().max() < 0.12
    assert torch.equal(share, share.flip(0))
    assert torch.equal(share, share.flip(1))


def test_membrane_stays_between_its_edges_and_falls_off():
    edge, spread = membrane(12, 16, ALL)
    assert len(edge) == 2 * 12 + 2 * 16 - 4
    assert (spread >= -1e-6).all()
    total = spread.sum(1).reshape(12, 16)
    assert total.max() <= 1 + 1e-5
    assert total[6, 8] < total[2, 8] < total[0, 8] + 1e-6


def test_membrane_without_open_sides_is_empty():
    edge, spread = membrane(4, 5, (False,) * 4)
    assert len(edge) == 0
    assert spread.shape == (20, 0)


def test_light_is_mixed_not_numbers():
    image = np.zeros((100, 100, 3), np.uint8)
    image[:, ::2] = 200  # stripes whose mean is the same everywhere: there are no colours to match
    box = Box(10, 10, 90, 90)
    frame = square(image, box, 80)
    frame = frame.flip(3)  # dark where the picture is bright
    made = Paster(image, box)(frame)[0].numpy()
    share = fade(80, 80, ALL).numpy()
    row, columns = 40, np.flatnonzero((share[40] > 0.4) & (share[40] < 0.6))
    for column in columns:
        a, b = float(image[row + 10, column + 10, 0]), float(frame[0, 0, row, column]) * 255
        wanted = np.sqrt((1 - share[row, column]) * a**2 + share[row, column] * b**2)
        assert abs(made[row, column, 0] - wanted) <= 2
