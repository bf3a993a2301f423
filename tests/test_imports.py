"""Importing is cheap, and imports point one way."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "librosa", "cv2", "mediapipe", "gradio", "kornia", "numpy", "PIL", "scipy", "pocketsphinx"}


@pytest.mark.parametrize(
    "statement",
    ["import sadtalker_ext", "import sadtalker_ext.cli; sadtalker_ext.cli.build_parser()"],
)
def test_nothing_heavy_is_loaded(statement):
    code = f"import sys; {statement}; print(*sorted(m for m in sys.modules if '.' not in m))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(loaded.stdout.split())


def test_public_names_all_resolve():
    import sadtalker_ext

    for name in sadtalker_ext.__all__:
        assert getattr(sadtalker_ext, name) is not None
    with pytest.raises(AttributeError):
        _ = sadtalker_ext.nothing
