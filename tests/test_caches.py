"""What is kept between runs is bounded and known: one call lets go of all of it."""

from __future__ import annotations

import functools
import gc
import importlib
import pkgutil

import pytest

import sadtalker_ext
from sadtalker_ext import Options, animate
from sadtalker_ext.system import caches


def ours() -> list[object]:
    """Every cache of the package: what functools made of its functions, and what keeps values by key."""
    kinds = (caches.Kept, functools._lru_cache_wrapper)
    # By their types alone: what isinstance looks at may be a proxy of something that is gone.
    made = [found for found in gc.get_objects() if type(found) in kinds]
    mine = [found for found in made if (getattr(found, "__module__", "") or "").startswith("sadtalker_ext")]
    return [*mine, query_loops()]


def query_loops() -> object:
    from sadtalker_ext.engines.codetalker import query_fast

    return query_fast._loops


def size(cache: object) -> int:
    return cache.cache_info().currsize if isinstance(cache, functools._lru_cache_wrapper) else len(cache)


def test_release_empties_every_cache(demo_portrait, demo_speech, tmp_path):
    pytest.importorskip("transformers")
    for module in pkgutil.walk_packages(sadtalker_ext.__path__, "sadtalker_ext."):
        if not module.name.startswith(("sadtalker_ext.a1111", "sadtalker_ext.__main__")):
            importlib.import_module(module.name)
    animate(demo_portrait, demo_speech, tmp_path / "a.mp4", Options(end=0.3, lips="codes", ref_pose=None))
    filled = [cache for cache in ours() if size(cache)]
    assert len(filled) > 5
    caches.release()
    assert [cache for cache in ours() if size(cache)] == []


def test_what_is_kept_is_bounded():
    kept = caches.Kept(2)
    for number in range(4):
        assert kept.get(number, lambda number=number: number * 10) == number * 10
    assert len(kept) == 2
    assert kept.get(3, lambda: pytest.fail("it was kept")) == 30
    with pytest.raises(ZeroDivisionError):
        kept.get("bad", lambda: 1 / 0)
    assert len(kept) == 2
