"""The user's own weights are found, recognised by what is in them, and loaded; what lacks is a sentence."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sadtalker_ext.enhance import choice, enlarge, weights  # noqa: E402
from sadtalker_ext.enhance.restorers import HostRestorer, NetworkRestorer  # noqa: E402
from sadtalker_ext.errors import DependencyError, OptionsError, WeightsError  # noqa: E402
from sadtalker_ext.options import Options  # noqa: E402
from sadtalker_ext.system import caches  # noqa: E402

with_spandrel = pytest.mark.skipif(
    importlib.util.find_spec("spandrel") is None, reason="spandrel is not installed"
)
CODEFORMER = ("position_emb", "idx_pred_layer.1.weight", "quantize.embedding.weight")
GFPGAN = ("toRGB.0.weight", "stylegan_decoder.style_mlp.1.weight")


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.delenv("SADTALKER_CHECKPOINTS", raising=False)
    yield
    caches.release()


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models" / "SadTalker"
    folder.mkdir(parents=True)
    return folder


def saved(path, state, wrapper=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({wrapper: state} if wrapper else state, path)
    return path


def small(names):
    return {name: torch.zeros(2, 2) for name in names}


class Network(torch.nn.Module):
    """As GFPGAN's, CodeFormer's and RestoreFormer's are called."""

    def __init__(self):
        super().__init__()
        self.given = {}

    def forward(self, x, weight=0.5, return_rgb=True, randomize_noise=True, **more):
        assert x.is_contiguous()  # GFPGAN takes a view of it
        self.given = {"weight": weight, "noise": randomize_noise, "low": float(x.min()), **more}
        return -x, None


@pytest.mark.parametrize("wrapper", [None, "params_ema"])
@pytest.mark.parametrize("folder", ["SadTalker", "GFPGAN"])
def test_gfpgan_is_recognised_by_its_tensors(models, wrapper, folder):
    path = saved(models.parent / folder / "renamed.pth", small(GFPGAN), wrapper)
    found = weights.available(models)
    assert [(file.path, file.kind) for file in found] == [(path, "gfpgan")]


def test_codeformer_is_recognised_without_its_package(models, monkeypatch):
    saved(models.parent / "Codeformer" / "codeformer-v0.1.0.pth", small(CODEFORMER), "params_ema")
    (file,) = weights.available(models)
    assert file.kind == "codeformer"
    if importlib.util.find_spec("spandrel_extra_arches") is None:
        with pytest.raises(DependencyError, match="pip install spandrel"):
            weights.load(file, "cpu")


def test_other_files_are_left_alone(models):
    saved(models / "other.pth", {"conv.weight": torch.zeros(1)})
    (models / "broken.pth").write_bytes(b"no weights at all")
    (models / "empty.safetensors").write_bytes(b"")
    (models / "notes.txt").write_text("GFPGAN")
    assert weights.available(models) == []


def test_a_file_that_would_run_code_is_no_enhancer(models):
    class Evil:
        def __reduce__(self):
            return print, ("ran",)

    torch.save({**small(GFPGAN), "evil": Evil()}, models / "GFPGANv1.4.pth")
    assert weights.available(models) == []


def test_without_spandrel_the_way_to_get_it_is_told(models, monkeypatch):
    saved(models / "GFPGANv1.4.pth", small(GFPGAN))
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    weights._recognised.cache_clear()
    with pytest.raises(DependencyError, match="pip install spandrel"):
        choice.choose("gfpgan", models, "cpu", None)
    weights._recognised.cache_clear()


@pytest.mark.parametrize("name", ["auto", "gfpgan", "codeformer", "restoreformer"])
def test_missing_weights_are_a_sentence_with_the_folder(models, name):
    with pytest.raises(WeightsError) as error:
        choice.choose(name, models, "cpu", None)
    assert str(models) in str(error.value)
    assert "https://" in str(error.value)
    assert str(error.value).count("\n") == 0


def test_the_hosts_restoration_needs_a_host(models):
    with pytest.raises(OptionsError, match="WebUI"):
        choice.choose("host", models, "cpu", None)


def test_auto_takes_the_hosts_restoration(models):
    asked = []

    def restore_faces(image):
        asked.append((image.shape, image.dtype))
        return 255 - image

    restorer = choice.choose("auto", models, "cpu", restore_faces)
    assert isinstance(restorer, HostRestorer)
    faces = np.random.default_rng(0).random((2, 512, 512, 3), np.float32)
    made = restorer.restore(faces, 0.5)
    assert np.abs(made - (1 - faces)).max() < 0.01
    assert asked == [((512, 512, 3), np.uint8)] * 2


def test_a_host_that_answers_with_another_size_changes_nothing():
    faces = np.random.default_rng(0).random((1, 512, 512, 3), np.float32)
    made = HostRestorer(lambda image: image[::2, ::2]).restore(faces, 1.0)
    assert np.abs(made - faces).max() < 0.01


def test_none_is_none(models):
    assert choice.choose("none", models, "cpu", None) is None
    assert not choice.wanted(Options())
    assert choice.wanted(Options(upscale="2"))
    assert choice.wanted(Options(enhancer="auto"))


@pytest.mark.parametrize("name", ["gfpgan", "codeformer", "restoreformer"])
def test_networks_see_numbers_from_minus_one_to_one(name):
    network = Network()
    restorer = NetworkRestorer(name, network, "cpu", 1)
    faces = np.random.default_rng(0).random((2, 32, 32, 3)).astype(np.float32)
    made = restorer.restore(faces, 0.8)
    assert network.given["low"] < -0.9
    assert np.abs(made - (1 - faces)).max() < 1e-5
    assert network.given["noise"] is False
    assert network.given["weight"] == pytest.approx(0.2 if name == "codeformer" else 0.5)


def test_codeformers_slider_goes_from_nothing_to_its_finest():
    restorer = NetworkRestorer("codeformer", Network(), "cpu", 1)
    assert [restorer.share(strength) for strength in (0.0, 0.25, 0.5, 1.0)] == [0, 0.5, 1, 1]
    assert NetworkRestorer("gfpgan", Network(), "cpu", 1).share(0.3) == 0.3


def test_numbers_that_are_none_do_not_reach_the_video():
    network = Network()
    network.forward = lambda x: x * float("nan")
    made = NetworkRestorer("gfpgan", network, "cpu", 1).restore(np.zeros((1, 8, 8, 3), np.float32), 1.0)
    assert np.isfinite(made).all()


def doubled(scale):
    """As spandrel describes a network, one that repeats pixels."""

    def model(image):
        assert image.is_contiguous()
        return image.repeat_interleave(scale, 2).repeat_interleave(scale, 3)

    model.scale = scale
    return model


@pytest.mark.parametrize(("by", "wanted"), [(2, 2), (2, 4), (4, 4), (4, 2)])
def test_tiles_leave_no_trace(by, wanted, monkeypatch):
    monkeypatch.setattr(enlarge, "TILE", 20)
    monkeypatch.setattr(enlarge, "OVERLAP", 3)
    image = np.random.default_rng(0).integers(0, 256, (47, 61, 3), dtype=np.uint8)
    made = enlarge.by_network(image, wanted, doubled(by), "cpu")
    assert np.array_equal(made, image.repeat(wanted, axis=0).repeat(wanted, axis=1))


def test_frames_that_no_player_shows_are_refused(portrait, moving, models):
    base = moving(portrait.image)
    base.size, base.portrait = (3000, 200), portrait
    with pytest.raises(OptionsError, match="--upscale 4"):
        choice.enhanced(base, Options(upscale="4"), models, "cpu")


def test_enlarging_without_weights_is_done_and_told(portrait, moving, models, track):
    base = moving(portrait.image)
    base.portrait = portrait
    made = choice.enhanced(base, Options(upscale="2"), models, "cpu")
    assert len(made.notices) == 1
    assert str(models) in made.notices[0]
    assert next(iter(made.draw(track))).shape == (480, 480, 3)


@with_spandrel
def test_an_upscaler_of_spandrels_enlarges_the_picture_once(portrait, moving, models, track, monkeypatch):
    from spandrel.architectures.ESRGAN import ESRGAN

    torch.manual_seed(0)
    saved(
        models.parent / "RealESRGAN" / "tiny.pth", ESRGAN(num_filters=8, num_blocks=1, scale=2).state_dict()
    )
    runs = []
    once = enlarge._once
    monkeypatch.setattr(enlarge, "_once", lambda *given: runs.append(1) or once(*given))
    base = moving(portrait.image, (0, 2))
    for _ in range(2):
        made = choice.build(base, portrait, Options(upscale="2"), models, "cpu")
        assert made.notices == ()
        frames = list(made.draw(track))
    assert len(runs) == 1
    assert len(frames) == 6
    still = frames[0][:40]
    assert not np.array_equal(still, enlarge.plainly(portrait.image, 2)[:40])
    assert all(np.array_equal(frame[:40], still) for frame in frames)


@with_spandrel
def test_a_restorer_of_spandrels_restores(portrait, moving, models, track):
    from spandrel.architectures.RestoreFormer import RestoreFormer

    torch.manual_seed(0)
    tiny = RestoreFormer(n_embed=16, embed_dim=32, ch=32, ch_mult=(1,) * 6, num_res_blocks=1, z_channels=32)
    saved(models / "RestoreFormer.pth", tiny.state_dict())
    options = Options(enhancer="auto", enhancer_strength=1.0)
    made = choice.build(moving(portrait.image), portrait, options, models, "cpu")
    frame = next(iter(made.draw(track)))
    assert frame.shape == (240, 240, 3)
    assert not np.array_equal(frame, portrait.image)
    assert np.array_equal(frame[:30], portrait.image[:30])


@with_spandrel
def test_weights_of_the_wrong_shape_are_a_sentence(models):
    saved(models / "GFPGANv1.4.pth", small(GFPGAN), "params_ema")
    with pytest.raises(WeightsError, match=r"GFPGANv1\.4\.pth"):
        choice.choose("gfpgan", models, "cpu", None)


def test_a_run_with_an_enhancer(demo_portrait, tmp_path):
    from sadtalker_ext import animate
    from sadtalker_ext.host import StandaloneHost

    class Host(StandaloneHost):
        def models_dir(self):
            return tmp_path / "models"

        def face_restoration(self):
            return lambda image: np.clip(image.astype(int) + (np.arange(512) % 8 - 4)[None, :, None], 0, 255)

    options = Options(engine="instant", idle=0.2, enhancer="host", upscale="2")
    made = animate(demo_portrait, None, tmp_path / "out.mp4", options, host=Host())
    portrait = SimpleNamespace(**made.metadata)
    assert portrait.options["enhancer"] == "host"
    assert portrait.region[2] <= 1024
    assert portrait.face[2] > 256  # in the pixels of the video
    assert any("interpolation" in notice for notice in made.notices)
