"""CodeTalker's inference: the exact mode is the published loop, the fast mode is near it at any length."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

pytest.importorskip("transformers", reason="CodeTalker hears with transformers")

from tiny_codetalker import FACES, STYLES, VERTICES, VOCASET_LIKE, tiny_pair, tiny_stage1, tiny_stage2, voice

from sadtalker_ext.engines.codetalker import query_fast as code_query_fast
from sadtalker_ext.engines.codetalker.networks import SOUND, CodeQuery, Compat, VQAutoEncoder
from sadtalker_ext.engines.codetalker.networks.fast import Moments, PrefixDecoder
from sadtalker_ext.engines.codetalker.query import exact_limit_s, frame_count, predict
from sadtalker_ext.engines.codetalker.query_fast import USUAL, Fast, blocks
from sadtalker_ext.errors import AudioError, OptionsError, WeightsError

BENCHMARK = Path(__file__).resolve().parents[3] / "benchmarks" / "codetalker.py"
# Stretches so short that a few seconds have many of them.
SHORT = Fast(growth=8, window=30, block=30, overlap=6, hearing_s=2, hearing_overlap_s=1)
ALL = replace(USUAL, growth=10**6, by_clock=False)  # nothing is left out


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("codetalker_benchmark", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def whole(parts: Iterator[np.ndarray]) -> np.ndarray:
    return np.concatenate(list(parts))


def quick(
    stage1: VQAutoEncoder, stage2: CodeQuery, samples: np.ndarray, ways: Fast
) -> tuple[np.ndarray, np.ndarray]:
    """(offsets, codes) of the fast mode."""
    codes: list[torch.Tensor] = []
    manner = stage2.style(0)

    def remember(*_: object) -> None:
        pass

    nearest = stage1.quantize.nearest

    def kept(features: torch.Tensor) -> torch.Tensor:
        found = nearest(features)
        codes.append(found)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage1.quantize, "nearest", kept)
        hidden = torch.cat(list(blocks(stage1, stage2, samples, manner, remember, remember, ways)))
    return stage1.decoder.vertice_map_reverse(hidden).numpy(), torch.cat(codes).numpy()


@pytest.mark.parametrize("face", FACES)
def test_the_exact_mode_has_the_bits_of_the_published_loop(face: str, benchmark: ModuleType) -> None:
    pair = tiny_pair(face)
    published = whole(benchmark.plain_loop(*pair, voice(1.6)))
    exact = whole(predict(*pair, voice(1.6), exact=True))
    assert published.std() > 0.1
    assert np.array_equal(exact, published)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("compat", [Compat(), SOUND, Compat(norm="frame"), Compat(positions="none")])
def test_the_fast_mode_with_nothing_left_out_is_the_exact_one(face: str, compat: Compat) -> None:
    stage1, stage2 = tiny_stage1(FACES[face][0], compat).requires_grad_(False), tiny_stage2(face, compat)
    exact = whole(predict(stage1, stage2, voice(2), exact=True))
    fast, _ = quick(stage1, stage2, voice(2), ALL)
    np.testing.assert_allclose(fast, exact, atol=1e-4)


@pytest.mark.parametrize("face", FACES)
def test_what_is_kept_for_a_thirtieth_of_the_clip_changes_little(face: str) -> None:
    """These random networks hang on what is fed back; still most of their codes are the same."""
    pair = tiny_pair(face)
    _, want = quick(*pair, voice(6), ALL)
    _, codes = quick(*pair, voice(6), replace(ALL, growth=USUAL.growth))
    assert (codes == want)[: 2 * USUAL.growth].all()
    assert (codes == want).mean() > 0.75


@pytest.mark.parametrize("norm", ["clip", "frame"])
@torch.no_grad()
def test_the_newest_frame_is_decoded_as_in_its_prefix(norm: str) -> None:
    stage1 = tiny_stage1(compat=Compat(norm=norm))
    features = stage1.quantize.lookup(torch.randint(12, (40, 4), generator=torch.Generator().manual_seed(1)))
    prefix = PrefixDecoder(stage1, growth=100, window=100)
    for count in range(1, 41):
        got = prefix.step(features[count - 1 : count])
        want = stage1.hidden(features[None, :count])[0, -1:]
        torch.testing.assert_close(got, want, atol=1e-3 if count == 1 else 1e-4, rtol=1e-4)


def test_moments_are_those_of_all_rows() -> None:
    rows = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) + 100
    found = Moments(0, torch.zeros(4), torch.zeros(4))
    for part in rows.split(7):
        found = found.with_rows(part)
    torch.testing.assert_close(found.mean, rows.mean(0))
    torch.testing.assert_close(found.spread / found.number, rows.var(0, unbiased=False), rtol=1e-4, atol=0)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("samples", [640, 641, 1066, 1067, 1280, 1281, 9999, 16000, 31999, 32001, 40000])
def test_any_length_from_a_frame_on(samples: int, face: str) -> None:
    pair = tiny_pair(face)
    count = frame_count(pair[1], samples)
    assert count == samples * pair[1].fps // 16000
    made = whole(predict(*pair, voice(3)[:samples]))
    assert made.shape == (count, 3 * VERTICES)
    assert made.dtype == np.float32
    assert np.isfinite(made).all()
    longer = whole(iter([quick(*pair, voice(3)[:samples], SHORT)[0]]))
    assert longer.shape == made.shape


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("frames", [29, 30, 31, 53, 54, 55, 56, 78, 79, 130])
def test_stretches_join_without_a_gap_or_a_jump(face: str, frames: int) -> None:
    pair = tiny_pair(face)
    samples = -(-frames * 16000 // pair[1].fps)
    made, codes = quick(*pair, voice(10)[:samples], SHORT)
    assert len(made) == len(codes) == frames
    assert np.isfinite(made).all()
    if frames > 60:  # at a seam motion jumps no further than codes let it elsewhere
        jumps = np.abs(np.diff(made, axis=0)).mean(1)
        assert jumps[[23, 29, 47, 53]].max() < 2 * np.quantile(jumps, 0.9)


@torch.no_grad()
def test_a_stretch_is_what_the_whole_clip_would_be_where_norms_are_those_of_a_frame() -> None:
    """Without norms over time, and with attention that is the same everywhere, stretches cannot be told."""
    stage1, stage2 = tiny_stage1(compat=Compat(norm="frame")).requires_grad_(False), tiny_stage2()
    for part in stage1.decoder.decoder_transformer.net[::2]:
        part.fn.fn.to_out.weight.zero_()
    many, codes = quick(stage1, stage2, voice(4), SHORT)
    want = stage1.decode(stage1.quantize.lookup(torch.from_numpy(codes))[None])[0].numpy()
    # The convolution sees two frames beyond a stretch; there the next one has hardly faded in.
    assert np.abs(many - want)[:24].max() < 1e-4
    assert np.median(np.abs(many - want)) < 1e-5


def test_codes_do_not_depend_on_sound_that_is_heard_later() -> None:
    pair = tiny_pair("vocaset")
    sound = voice(6)
    changed = sound.copy()
    late = int(4.1 * 16000)
    changed[late:] = changed[late:][::-1]  # mean and loudness stay as they are
    (_, before), (_, after) = quick(*pair, sound, SHORT), quick(*pair, changed, SHORT)
    # Frames from 3 s on are heard in stretches that reach beyond 4 s.
    assert np.array_equal(before[: 3 * 30], after[: 3 * 30])
    assert not np.array_equal(before[4 * 30 :], after[4 * 30 :])


@pytest.mark.parametrize("exact", [False, True])
def test_the_same_twice_and_silence(exact: bool) -> None:
    pair = tiny_pair("biwi")
    first, second = (whole(predict(*pair, voice(1), exact=exact)) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.isfinite(whole(predict(*pair, np.zeros(16000, np.float32), exact=exact))).all()


def test_styles_and_mixtures() -> None:
    pair = tiny_pair("vocaset")

    def made(style: object) -> np.ndarray:
        return whole(predict(*pair, voice(0.5), style=style))  # type: ignore[arg-type]

    first, second = made(0), made(2)
    assert np.abs(first - second).max() > 1e-3
    assert np.array_equal(made((0, 2, 0.0)), first)
    np.testing.assert_allclose(made((0, 2, 1.0)), second, atol=1e-4)
    assert not np.array_equal(made((0, 2, 0.5)), first)
    for style in (STYLES, -1, (0, STYLES, 0.5)):
        with pytest.raises(OptionsError, match="no manner"):
            made(style)
    with pytest.raises(OptionsError, match="share"):
        made((0, 1, 1.5))


@pytest.mark.parametrize("exact", [False, True])
def test_speech_too_short_is_a_sentence(exact: bool) -> None:
    for face in FACES:
        with pytest.raises(AudioError, match="too short"):
            predict(*tiny_pair(face), np.zeros(420, np.float32), exact=exact)


def test_speech_too_long_for_the_exact_mode_is_a_sentence() -> None:
    for face, limit in (("vocaset", 20), ("biwi", 24)):
        pair = tiny_pair(face)
        assert exact_limit_s(pair[1]) == limit
        with pytest.raises(AudioError, match=f"at most {limit} s of speech, and this is {limit + 1}.0 s"):
            predict(*pair, np.zeros((limit + 1) * 16000, np.float32), exact=True)
        predict(*pair, np.zeros(limit * 16000, np.float32), exact=True)  # nothing runs yet


def test_a_stage_1_of_fewer_codes_than_frames_is_a_sentence() -> None:
    halved = tiny_stage1(replace(VOCASET_LIKE, halvings=1))
    with pytest.raises(WeightsError, match="fewer codes"):
        predict(halved, tiny_pair("vocaset")[1], voice(1))


@pytest.mark.parametrize("exact", [False, True])
def test_progress_and_cancelling_between_frames(exact: bool) -> None:
    pair = tiny_pair("biwi")
    told: list[tuple[int, int]] = []
    total = len(whole(predict(*pair, voice(1), exact=exact, report=lambda *now: told.append(now))))
    assert told == [(done, total) for done in range(1, total + 1)]
    told.clear()

    class Stop(Exception):
        pass

    def check() -> None:
        if len(told) == 5:
            raise Stop

    with pytest.raises(Stop):
        whole(predict(*pair, voice(1), exact=exact, check=check, report=lambda *now: told.append(now)))
    assert len(told) == 5


def test_stretches_come_early_and_what_is_remembered_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    stage1, stage2 = tiny_pair("vocaset")
    done: list[int] = []
    remembered: list[code_query_fast._Stretches] = []

    class Watched(code_query_fast._Stretches):
        def __init__(self, *given: object) -> None:
            super().__init__(*given)  # type: ignore[arg-type]
            remembered.append(self)

    monkeypatch.setattr(code_query_fast, "_Stretches", Watched)
    style = stage2.style(0)
    made = blocks(stage1, stage2, voice(8), style, lambda: None, lambda now, _: done.append(now), SHORT)
    next(made)
    assert done[-1] == SHORT.block
    (kept,) = remembered
    for _ in made:
        assert len(kept.features) <= SHORT.block + 2
        assert len(kept.prefix.rows) <= SHORT.window
        assert kept.prefix.behind <= SHORT.window
        assert all(keys.shape[2] == kept.prefix.behind for keys, _ in kept.prefix.kept)


def test_inference_can_begin_as_training_does() -> None:
    sound = voice(0.5)
    plain, trained = (
        whole(predict(tiny_pair("vocaset")[0], tiny_stage2(compat=Compat(start_with_bias=bias)), sound))
        for bias in (False, True)
    )
    assert np.abs(plain - trained).max() > 1e-3


def test_the_benchmark_runs(benchmark: ModuleType) -> None:
    stage1, stage2 = benchmark.random_stages("biwi", tiny=True)
    for name, way in benchmark.WAYS.items():
        made = whole(way(stage1, stage2, benchmark.sound(0.5)))
        assert len(made) == 12, name
