"""The loop around the face render: batches, frames between, cancelling, memory."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_sadtalker import tiny_states

from sadtalker_ext.engines.sadtalker import loading as networks
from sadtalker_ext.engines.sadtalker.crop import as_mode
from sadtalker_ext.engines.sadtalker.loading import FaceNetworks, dtype_for
from sadtalker_ext.engines.sadtalker.networks.face_render import Generator
from sadtalker_ext.engines.sadtalker.networks.face_render.compiled import Compiled
from sadtalker_ext.engines.sadtalker.networks.face_render.fast import faster, reduced
from sadtalker_ext.engines.sadtalker.render import FaceRenderer
from sadtalker_ext.errors import Cancelled, OptionsError, TrackError
from sadtalker_ext.face import load_portrait
from sadtalker_ext.system import caches
from sadtalker_ext.tracks import ARKIT, BFM, MotionTrack

POINTS = ((45, 55), (75, 55), (60, 72), (49, 88), (71, 88))


def tiny_networks(kind: torch.dtype = torch.float32, reads: list[str] | None = None) -> FaceNetworks:
    def state(component: str) -> Any:
        if reads is not None:
            reads.append(component)
        return tiny_states()[component]

    sources: Any = SimpleNamespace(
        size=64, state=state, mapping=lambda whole: state("mapping-73" if whole else "mapping-70")
    )
    return FaceNetworks(sources, torch.device("cpu"), kind)


@pytest.fixture(scope="module")
def portrait() -> Any:
    picture = np.random.default_rng(1).integers(0, 255, (140, 120, 3), dtype=np.uint8)
    return load_portrait(picture, points=POINTS)


@pytest.fixture(scope="module")
def shared() -> FaceNetworks:
    return tiny_networks()


def moving(frames: int) -> MotionTrack:
    data = np.random.default_rng(2).normal(size=(frames, 76)).astype(np.float32) * 0.2
    data[:, 70:] = 0
    return MotionTrack(BFM, 25.0, data, {})


def drawn(renderer: FaceRenderer, frames: int) -> np.ndarray:
    return np.stack(list(renderer.render(moving(frames))))


def assert_alike(made: np.ndarray, want: np.ndarray) -> None:
    """Equal but for isolated pixels, where other rounding moved a share of the mask over its limit."""
    assert made.shape == want.shape
    error = np.abs(made.astype(int) - want)
    assert error.mean() < 0.1
    assert (error > 2).mean() < 0.005


@pytest.mark.parametrize("batch", [2, 3, 8, 64])
def test_the_batch_does_not_matter(batch: int, portrait: Any, shared: FaceNetworks) -> None:
    want = drawn(FaceRenderer(portrait, shared, "crop", batch=1), 7).astype(int)
    made = drawn(FaceRenderer(portrait, shared, "crop", batch=batch), 7)
    assert_alike(made, want)
    assert (want[0] != want[1]).any()


@pytest.mark.parametrize("count", [1, 2, 3, 66, 130])
@pytest.mark.parametrize(("step", "batch"), [(2.5, 1), (5.0, 3)])
def test_frames_between_keep_the_count(
    count: int, step: float, batch: int, portrait: Any, shared: FaceNetworks
) -> None:
    exact = drawn(FaceRenderer(portrait, shared, "crop"), count).astype(int)
    calls: list[int] = []
    draw = shared.generator.draw
    shared.generator.draw = lambda features, warp: calls.append(len(warp.mask)) or draw(features, warp)  # type: ignore[assignment,func-returns-value]
    try:
        quick = drawn(FaceRenderer(portrait, shared, "crop", step=step, batch=batch), count)
    finally:
        del shared.generator.draw
    assert len(quick) == count
    for place in (0, -1):  # both ends are drawn
        assert_alike(quick[place], exact[place])
    assert sum(calls) <= count / step + 3
    assert max(calls) <= batch


def test_a_batch_is_filled_up_where_one_size_is_quicker(
    portrait: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = tiny_networks()
    sizes: list[int] = []
    renderer = FaceRenderer(portrait, kit, "crop", batch=3)
    want = drawn(renderer, 7).astype(int)
    draw = kit.generator.draw
    kit.generator.draw = lambda features, warp: sizes.append(len(warp.mask)) or draw(features, warp)  # type: ignore[assignment,func-returns-value]
    monkeypatch.setattr(FaceNetworks, "one_size", True)
    made = drawn(renderer, 7)
    assert set(sizes) == {3}
    assert_alike(made, want)


@pytest.mark.parametrize("step", [1.0, 3.0])
def test_cancelling_stops_after_one_more_frame(step: float, portrait: Any, shared: FaceNetworks) -> None:
    asked = [0]

    def check() -> None:
        asked[0] += 1
        if asked[0] == 4:
            raise Cancelled

    frames = FaceRenderer(portrait, shared, "crop", step=step).render(moving(9), check=check)
    made: list[np.ndarray] = []
    with pytest.raises(Cancelled):
        made.extend(frames)
    assert len(made) <= 3

    counted: list[int] = []
    list(FaceRenderer(portrait, shared, "crop", step=step).render(moving(9), check=lambda: counted.append(1)))
    assert len(counted) == 9


def test_frames_are_not_kept(portrait: Any, shared: FaceNetworks) -> None:
    """Of a long video no more frames are alive at once than are being worked on."""
    alive: list[Any] = []
    most = 0
    for frame in FaceRenderer(portrait, shared, "full", batch=2).render(moving(40)):
        alive = [known for known in alive if known() is not None]
        alive.append(weakref.ref(frame))
        most = max(most, len(alive))
    assert most <= 3


def test_other_tracks_are_refused(portrait: Any, shared: FaceNetworks) -> None:
    track = MotionTrack(ARKIT, 25.0, np.zeros((2, len(ARKIT.columns)), np.float32), {})
    with pytest.raises(TrackError, match="needs a bfm track"):
        list(FaceRenderer(portrait, shared, "crop").render(track))


def test_what_the_picture_decides_is_computed_once(portrait: Any, shared: FaceNetworks) -> None:
    encoded: list[int] = []
    encode = shared.generator.encode
    shared.generator.encode = lambda picture: encoded.append(1) or encode(picture)  # type: ignore[assignment,func-returns-value]
    try:
        renderer = FaceRenderer(portrait, shared, "crop")
        drawn(renderer, 3)
        drawn(renderer, 3)
    finally:
        del shared.generator.encode
    assert encoded == [1]


def test_every_network_is_read_once_and_when_it_is_needed(portrait: Any) -> None:
    reads: list[str] = []
    kit = tiny_networks(reads=reads)
    FaceRenderer(portrait, kit, "crop")
    assert reads == ["recon"]  # all that the motion needs of the picture
    for mode in ("crop", "full", "crop", "full"):
        drawn(FaceRenderer(portrait, kit, as_mode(mode)), 2)
    assert sorted(reads) == ["generator", "keypoints", "mapping-70", "mapping-73", "recon"]


def test_networks_are_kept_until_released(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    found: list[int] = []
    monkeypatch.setattr(networks.Sources, "find", lambda folder, size: found.append(size))
    caches.release()
    first = networks.load_networks(tmp_path, 256, "cpu", "float32")
    assert networks.load_networks(tmp_path, 256, "cpu", "auto") is first
    assert networks.load_networks(tmp_path, 512, "cpu", "auto") is not first
    assert found == [256, 512]
    gone = weakref.ref(first)
    del first
    caches.release()
    gc.collect()
    assert gone() is None
    networks.load_networks(tmp_path, 256, "cpu", "float32")
    assert found == [256, 512, 256]
    caches.release()


def test_half_precision_only_where_it_is_harmless(portrait: Any) -> None:
    kit = tiny_networks(torch.bfloat16)
    generator = kit.generator
    half = {name.split(".")[0] for name, p in generator.named_parameters() if p.dtype == torch.bfloat16}
    full = {name.split(".")[0] for name, p in generator.named_parameters() if p.dtype == torch.float32}
    assert {"decoder", "third", "fourth", "dense_motion_network"} == half
    assert {"first", "down_blocks", "second", "resblocks_3d", "dense_motion_network"} == full
    assert generator.dense_motion_network.compress.weight.dtype == torch.float32
    assert kit.mapping(False).first[0].weight.dtype == kit.keypoints.kp.weight.dtype == torch.float32
    features, points = generator.encode(torch.rand(1, 3, 64, 64)), torch.rand(1, 3, 3) - 0.5
    warp = generator.warp(features, points + 0.05, points)
    assert {field.dtype for field in (*features, *warp)} == {torch.float32}
    assert drawn(FaceRenderer(portrait, kit, "crop"), 2).std() > 1


@torch.no_grad()
def test_half_precision_is_near() -> None:
    plain = faster(Generator.shaped_like(tiny_states()["generator"]))
    plain.load_state_dict(faster(_loaded()).state_dict())
    half = reduced(faster(_loaded()), torch.bfloat16)
    features, points = plain.encode(torch.rand(1, 3, 64, 64)), torch.rand(1, 3, 3) - 0.5
    known, own = (g.warp(features, points + 0.05, points) for g in (plain, half))
    assert 0 < (own.deformation - known.deformation).abs().mean() < 0.01
    # One occlusion that flips changes much of so small a frame: both are drawn by the same.
    want, made = (g.draw(features, known).float() for g in (plain, half))
    assert 0 < (made - want).abs().mean() < 0.02


def _loaded() -> Generator:
    made = Generator.shaped_like(tiny_states()["generator"])
    made.load_state_dict(tiny_states()["generator"])
    return made.eval()


def test_kinds_of_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "has_bfloat16", lambda: True)
    assert dtype_for("auto", "cpu") == torch.float32
    assert dtype_for("auto", "cpu", turbo=True) == torch.bfloat16
    assert dtype_for("float32", "cpu", turbo=True) == torch.float32
    assert dtype_for("auto", "cuda") == torch.float16
    assert dtype_for("float32", "cuda") == torch.float32
    with pytest.raises(OptionsError, match="use --precision bfloat16 or float32"):
        dtype_for("float16", "cpu")
    monkeypatch.setattr(networks, "has_bfloat16", lambda: False)
    assert dtype_for("auto", "cpu", turbo=True) == torch.float32
    with pytest.raises(OptionsError, match="no bfloat16"):
        dtype_for("bfloat16", "cpu")


def test_a_compiler_that_fails_is_a_sentence_and_frames_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(function: Any, **_: Any) -> Any:
        def call(*_: Any) -> Any:
            raise RuntimeError("no C++ compiler found\nlong trace")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    said: list[str] = []
    layer = torch.nn.Linear(3, 2)
    quick = Compiled(layer, said.append)
    x = torch.rand(4, 3)
    for _ in range(2):
        torch.testing.assert_close(quick(x), layer(x))
    assert said == [
        "The face render could not be compiled here and was drawn without (no C++ compiler found)."
    ]


def test_the_batch_suits_the_device() -> None:
    kit = tiny_networks()
    assert (kit.usual_batch, kit.one_size) == (1, False)
    gpu = FaceNetworks(kit.sources, torch.device("cuda"), torch.float16)
    assert (gpu.usual_batch, gpu.one_size) == (8, True)
    assert gpu.turbo_step == 2
    assert kit.turbo_step == 5
