"""Importing is cheap, and imports point one way."""

from __future__ import annotations

import inspect
import pydoc
import subprocess
import sys

import pytest

HEAVY = {"torch", "librosa", "cv2", "mediapipe", "gradio", "kornia", "numpy", "PIL", "scipy", "pocketsphinx"}

VERBS = (
    *("animate", "make_motion", "render_track", "load_track", "save_track"),
    *("load_portrait", "load_speech", "speak"),
)


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

    assert dir(sadtalker_ext) == sorted(sadtalker_ext.__all__)
    for name in sadtalker_ext.__all__:
        assert getattr(sadtalker_ext, name) is not None
    with pytest.raises(AttributeError):
        _ = sadtalker_ext.nothing


def test_help_shows_the_verbs_and_says_how_they_are_called():
    import sadtalker_ext

    shown = pydoc.render_doc(sadtalker_ext, renderer=pydoc.plaintext)
    for name in VERBS:
        verb = getattr(sadtalker_ext, name)
        assert f"{name}(" in shown
        assert "Raises" in verb.__doc__ or name in ("make_motion", "render_track")  # as `animate`
        if name not in ("animate", "make_motion", "render_track"):
            for argument in inspect.signature(verb).parameters:
                assert argument in verb.__doc__, f"{name}: {argument}"


def test_a_fresh_session_knows_the_engines_and_their_spaces():
    code = (
        "import sys; import sadtalker_ext as st; st.load_track;"
        "assert 'sadtalker_ext.engines' in sys.modules; print(st.engines.ENGINES)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "instant: warps" in shown  # what it is called and what it does
    assert len(shown) < 1000
