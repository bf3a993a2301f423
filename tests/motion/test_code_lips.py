"""Speech to lips by the code prior: any length in pieces, the same every time, manners, files refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")

from bombs import of_header  # noqa: E402

from sadtalker_ext import pipeline  # noqa: E402
from sadtalker_ext.audio import Speech, load_speech, silence  # noqa: E402
from sadtalker_ext.errors import Cancelled, OptionsError, WeightsError  # noqa: E402
from sadtalker_ext.motion import code_lips, generate_lips  # noqa: E402
from sadtalker_ext.motion.code_layout import FACE, MOUTH, joined, split  # noqa: E402
from sadtalker_ext.motion.code_lips import CodePrior, load_code_prior, shown, spoken  # noqa: E402
from sadtalker_ext.motion.code_prior import Codec, Speaker  # noqa: E402
from sadtalker_ext.options import Options  # noqa: E402
from sadtalker_ext.tracks import (  # noqa: E402
    ARKIT,
    MotionTrack,
    lips,
)

RATE = 16000


@pytest.fixture(scope="module")
def speech(demo_speech: Path) -> Speech:
    """The first words of the demo."""
    return Speech(load_speech(demo_speech).samples[: 3 * RATE], 3.0)


@pytest.fixture(scope="module")
def tiny() -> CodePrior:
    """A prior that knows nothing, whose codes depend on what it hears."""
    torch.manual_seed(3)
    codec = Codec(len(MOUTH), slots=3, codes=16, size=4, width=16).eval().requires_grad_(False)
    speaker = Speaker(3, 16, manners=2, channels=16, width=16, memory=24).eval().requires_grad_(False)
    speaker.listener.filterbank.copy_(torch.rand(speaker.listener.filterbank.shape))
    return CodePrior("arkit", codec, None, speaker, ("plain", "other"))


def lips_of(speech: Speech, fps: float = 25, **options: object) -> MotionTrack:
    frames = round(speech.duration * fps)
    return generate_lips(speech, fps=fps, frames=frames, method="codes", **options)


def noise(seconds: float) -> np.ndarray:
    rng = np.random.default_rng(4)
    sound = (
        rng.standard_normal(int(seconds * RATE))
        * np.repeat(rng.random(int(seconds * 10) + 1), 1600)[: int(seconds * RATE)]
    )
    return (0.2 * sound).astype(np.float32)


def test_only_the_lips_move_and_the_track_says_who_moved_them(speech: Speech):
    track = lips_of(speech)
    others = [name for name in ARKIT.channels if name != "lips"]
    assert np.abs(track.data[:, ARKIT.indices(others)]).max() == 0
    assert len(track) == 75
    assert 0 <= track.data.min() <= track.data.max() <= 1
    assert lips.opening(track).max() > 0.02
    assert track.provenance["lips"] == "codes"
    assert track.provenance["code prior"] == load_code_prior().sha256
    assert track.provenance["manner"] == {"normal": 1.0}


def test_the_same_speech_gives_the_same_lips(speech: Speech):
    assert np.array_equal(lips_of(speech).data, lips_of(speech).data)


def test_silence_is_rest():
    assert np.abs(lips_of(silence(1.0)).data).max() == 0
    rng = np.random.default_rng(0)
    hiss = Speech((1e-3 * rng.standard_normal(2 * RATE)).astype(np.float32), 2.0)
    assert np.abs(lips_of(hiss).data).max() < 0.05


def test_lips_agree_with_visemes_about_when_the_mouth_is_open(speech: Speech):
    by_codes = lips.opening(lips_of(speech))
    by_visemes = lips.opening(generate_lips(speech, fps=25, frames=75, method="visemes"))
    assert np.corrcoef(by_codes, by_visemes)[0, 1] > 0.6


def test_manners_open_the_mouth_as_far_as_they_say(speech: Speech):
    usual, clear, relaxed = (lips.opening(lips_of(speech, manner=number)).mean() for number in (0, 1, 2))
    assert clear > 1.1 * usual
    assert relaxed < 0.9 * usual
    between = lips_of(speech, manner=0, mix=2, share=0.5)
    assert relaxed < lips.opening(between).mean() < usual
    assert between.provenance["manner"] == {"normal": 0.5, "relaxed": 0.5}


def test_an_unknown_manner_is_named(speech: Speech):
    with pytest.raises(OptionsError, match="0 normal"):
        lips_of(speech, manner=9)
    with pytest.raises(OptionsError, match="0 normal"):
        lips_of(speech, mix=4, share=0.5)


@pytest.mark.parametrize("seconds", [0.05, 1.0, 9.98, 10.0, 21.3])
def test_any_length_gets_its_rows(tiny: CodePrior, seconds: float):
    samples = noise(seconds)
    rows = spoken(samples, tiny, tiny.shares())
    assert len(rows) >= seconds * 50
    assert len(rows) - seconds * 50 <= 4
    assert np.isfinite(rows).all()


def test_what_is_said_does_not_depend_on_the_pieces(tiny: CodePrior, monkeypatch: pytest.MonkeyPatch):
    samples = noise(23.0)
    monkeypatch.setattr(code_lips, "CODES_AT_ONCE", 10**9)
    monkeypatch.setattr(code_lips.features, "BLOCK", 4000)
    whole = spoken(samples, tiny, tiny.shares())
    monkeypatch.setattr(code_lips, "CODES_AT_ONCE", 60)
    monkeypatch.setattr(code_lips.features, "BLOCK", 400)
    pieces = spoken(samples, tiny, tiny.shares())
    assert whole.std(axis=0).max() > 0.01
    assert np.abs(whole - pieces).max() < 1e-4


def test_work_can_be_cancelled_and_tells_how_far_it_is(tiny: CodePrior):
    def cancel() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        spoken(noise(2.0), tiny, tiny.shares(), check=cancel)
    seen: list[tuple[int, int]] = []
    spoken(noise(2.0), tiny, tiny.shares(), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1]


def test_slow_frames_do_not_lose_a_closure():
    rows = np.zeros((100, len(MOUTH)), np.float32)
    rows[31:34, code_lips.PRESS] = 1  # 60 ms
    for fps in (60, 30, 25, 15, 12):
        frames = shown(rows, fps, int(2 * fps), firm=code_lips.PRESS)
        assert frames[:, code_lips.PRESS].max() > 0.95, fps
        assert frames[int(0.9 * fps) :, code_lips.PRESS].max() == 0


def test_split_and_joined_are_inverse():
    rng = np.random.default_rng(6)
    data = rng.random((7, ARKIT.dim)).astype(np.float32)
    data[:, ARKIT.index("mouthPressLeft")] = 0.4
    data[:, ARKIT.index("mouthPressRight")] = 0.2
    mouth, face = split(data)
    assert mouth.shape == (7, len(MOUTH))
    assert face.shape == (7, len(FACE))
    columns = joined(mouth, face)
    for name, column in columns.items():
        assert np.allclose(column, data[:, ARKIT.index(name)], atol=1e-6), name
    channels = ["lips", "blink", "eyes", "brows", "cheeks"]
    assert sorted(columns) == sorted(ARKIT.columns[number] for number in ARKIT.indices(channels))


def test_the_card_names_the_file():
    card = code_lips.WEIGHTS.with_suffix(".md").read_text(encoding="utf-8")
    assert load_code_prior().sha256 in card
    assert f"{code_lips.WEIGHTS.stat().st_size:,} bytes" in card
    assert "synthetic speech" in card


def test_bad_files_are_refused_in_a_sentence(tmp_path: Path, tiny: CodePrior):
    with pytest.raises(WeightsError, match="cannot be read"):
        load_code_prior(tmp_path / "none.safetensors")
    infinite = of_header(b'{"a":{"dtype":"F32","shape":[Infinity],"data_offsets":[0,0]}}')
    for content in (b"", b"nothing", code_lips.WEIGHTS.read_bytes()[:5000], infinite):
        (tmp_path / f"{len(content)}.safetensors").write_bytes(content)
        with pytest.raises(WeightsError, match="holds no code prior or is damaged"):
            load_code_prior(tmp_path / f"{len(content)}.safetensors")
    usual = {"format": code_lips.FORMAT, "space": "arkit", "rows_a_second": "50", "manners": '["one"]'}
    deep = {**usual, "manners": "[" * 100_000}
    for number, metadata in enumerate(({}, usual, {**usual, "space": "elsewhere"}, deep)):
        path = tmp_path / f"other{number}.safetensors"
        tensors = {f"motion.{name}": value for name, value in tiny.motion.state_dict().items()}
        tensors |= {f"speech.{name}": value for name, value in tiny.speech.state_dict().items()}
        safetensors.save_file(tensors, str(path), metadata)
        with pytest.raises(WeightsError, match="holds no code prior or is damaged"):
            load_code_prior(path)
    with pytest.raises(WeightsError, match="of the arkit space, not bfm"):
        load_code_prior(space="bfm")


def test_release_lets_go_of_it():
    first = load_code_prior()
    assert load_code_prior() is first
    pipeline.release()
    assert load_code_prior() is not first


def test_the_engine_instant_speaks_by_codes(demo_speech: Path):
    track = pipeline.make_motion(demo_speech, Options(end=1.0, lips="codes", engine="instant", manner=1))
    assert track.provenance["lips"]["manner"] == {"clear": 1.0}
    assert lips.opening(track).max() > 0.01
