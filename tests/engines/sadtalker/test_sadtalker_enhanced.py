"""Faces of the engine sadtalker are restored and enlarged, whatever part of the picture it draws."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sadtalker_ext import Options, animate
from sadtalker_ext.host import StandaloneHost


class Host(StandaloneHost):
    """One whose restoration makes faces darker and brighter in stripes."""

    def face_restoration(self):
        stripes = (20 * np.sign(np.sin(np.arange(512) * 0.3)))[None, :, None]
        return lambda image: np.clip(image + stripes, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("crop", ["full", "extfull", "crop", "extcrop", "resize"])
def test_the_face_is_restored_and_the_frame_enlarged(tiny, face, points, tmp_path, crop):
    def frames(**more):
        options = Options(engine="sadtalker", crop=crop, points=points, idle=0.2, **more)
        made = animate(face, None, f"{tmp_path}/{len(more)}/", options, host=Host())
        return [np.asarray(Image.open(path)).astype(int) for path in sorted(made.path.glob("*.png"))], made

    plain, _ = frames()
    finer, made = frames(enhancer="host", enhancer_strength=1.0, upscale="2")
    assert len(finer) == len(plain)
    height, width = plain[0].shape[:2]
    assert finer[0].shape == (2 * height, 2 * width, 3)
    x0, y0, x1, y1 = made.metadata["region"]
    still = np.ones(finer[0].shape[:2], bool)
    still[y0:y1, x0:x1] = False
    for frame in finer:
        assert (frame == finer[0])[still].all()
    restored, _ = frames(enhancer="host", enhancer_strength=1.0)
    left, top, right, bottom = (edge // 2 for edge in made.metadata["face"])
    x, y = (left + right) // 2, (top + bottom) // 2
    assert np.abs(restored[0] - plain[0])[y - 8 : y + 8, x - 8 : x + 8].mean() > 2
