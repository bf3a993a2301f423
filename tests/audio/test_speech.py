"""Speech from files and arrays: formats, rates, channels, parts, exact durations, memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sadtalker_ext.audio import SAMPLE_RATE, Speech, load_speech, silence
from sadtalker_ext.errors import AudioError, Cancelled

MakeSound = Callable[..., Path]
Tone = Callable[..., np.ndarray]
VIDEO = ("-f", "lavfi", "-i", "color=red:s=32x32:d=1", "-map", "1:v", "-map", "0:a")


def likeness(heard: np.ndarray, truth: np.ndarray) -> float:
    """Correlation at no shift over the common length."""
    count = min(len(heard), len(truth))
    return float(np.corrcoef(heard[:count], truth[:count])[0, 1])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.wav", ()),
        ("a24.wav", ("-c:a", "pcm_s24le")),
        ("float.wav", ("-c:a", "pcm_f32le")),
        ("a.flac", ()),
        ("a.mp3", ()),
        ("a.m4a", ()),
        ("a.ogg", ("-c:a", "libvorbis")),
        ("a.opus", ()),
        ("a.mp4", VIDEO),
        ("a.webm", VIDEO),
        ("a.aiff", ()),
    ],
)
def test_every_container_gives_the_same_speech(
    make_sound: MakeSound, tone: Tone, name: str, options: tuple[str, ...]
) -> None:
    speech = load_speech(make_sound(tone(1.3, 48000), 48000, name, *options))
    assert speech.samples.dtype == np.float32
    assert speech.samples.ndim == 1
    assert speech.original_rate == 48000
    assert speech.channels == 1
    assert speech.duration == pytest.approx(1.3, abs=0.03)  # lossy codecs may round up to a packet
    assert len(speech.samples) == round(speech.duration * SAMPLE_RATE)
    assert likeness(speech.samples, tone(1.3, SAMPLE_RATE)) > 0.99


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000])
def test_every_rate(make_sound: MakeSound, tone: Tone, rate: int) -> None:
    sound = tone(0.7, rate)
    speech = load_speech(make_sound(sound, rate, "a.wav"))
    assert speech.original_rate == rate
    assert speech.duration == len(sound) / rate  # exact, not rounded to 16 kHz samples
    assert len(speech.samples) == round(speech.duration * SAMPLE_RATE)
    middle = slice(1000, 10000)  # away from the resampler's edges
    assert np.abs(speech.samples[middle] - tone(0.7, SAMPLE_RATE)[middle]).max() < 2e-3


def test_resampling_in_blocks_equals_librosa(make_sound: MakeSound) -> None:
    librosa = pytest.importorskip("librosa")
    noise = np.random.default_rng(3).normal(0, 0.1, 44100 * 3 + 17).astype(np.float32)
    whole = librosa.resample(noise, orig_sr=44100, target_sr=SAMPLE_RATE)
    speech = load_speech(make_sound(noise, 44100, "a.wav", "-c:a", "pcm_f32le"))
    assert abs(len(whole) - len(speech.samples)) <= 1
    assert np.abs(whole[: len(speech.samples)] - speech.samples[: len(whole)]).max() < 1e-5


def test_every_channel_is_heard_and_nothing_clips(make_sound: MakeSound, tone: Tone) -> None:
    voice = tone(0.5, 16000, level=1.0)
    for count in (1, 2, 6, 8):
        speech = load_speech(make_sound(np.tile(voice[:, None], count), 16000, "all.wav"))
        assert speech.channels == count
        assert 0.85 < np.abs(speech.samples).max() <= 1.0
    for channel in (0, 1, 2, 4, 5):  # 3 is the low-frequency channel
        surround = np.zeros((len(voice), 6), np.float32)
        surround[:, channel] = voice
        speech = load_speech(make_sound(surround, 16000, "one.wav"))
        assert likeness(speech.samples, voice) > 0.999
        assert np.abs(speech.samples).max() > 0.05


def test_channels_of_opposite_sign_do_not_cancel(make_sound: MakeSound, tone: Tone) -> None:
    voice = tone(0.5, 16000)
    opposite = np.stack([voice, -voice], 1)
    for source in (make_sound(opposite, 16000, "opposite.wav"), (opposite, 16000)):
        assert likeness(load_speech(source).samples, voice) > 0.999


def test_part_of_a_file_is_sample_exact(make_sound: MakeSound, tone: Tone) -> None:
    path = make_sound(tone(3, 16000), 16000, "a.wav", "-c:a", "pcm_f32le")
    whole = load_speech(path)
    part = load_speech(path, start=0.73, end=2.11)
    assert part.start == 0.73
    assert part.duration == pytest.approx(1.38, abs=1e-9)
    assert np.array_equal(part.samples, whole.samples[11680:33760])
    assert load_speech(path, start=1, end=99).duration == pytest.approx(2)


@pytest.mark.parametrize(
    "name",
    ["with space.wav", "größe 声音 🎤.wav", 'it\'s "quoted".wav', "5%d %03d.wav", "-y.wav", "a:b.wav"],
)
def test_any_file_name(
    make_sound: MakeSound, tone: Tone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    path = make_sound(tone(0.2, 16000), 16000, name)
    assert load_speech(path).duration == pytest.approx(0.2)
    monkeypatch.chdir(tmp_path)
    assert load_speech(name).duration == pytest.approx(0.2)  # a relative name may look like an option


def test_sound_that_starts_late_in_a_video_starts_at_its_first_sample(
    make_sound: MakeSound, tone: Tone, tmp_path: Path
) -> None:
    from sadtalker_ext.system.ffmpeg import file_url, run

    sound = make_sound(tone(1, 48000), 48000, "a.wav")
    late = tmp_path / "late.mp4"
    inputs = ["-f", "lavfi", "-i", "color=red:s=32x32:d=2", "-itsoffset", "0.6", "-i", file_url(sound)]
    assert run(["-loglevel", "error", *inputs, "-c:v", "libx264", file_url(late)])[0] == 0
    speech = load_speech(late)
    assert speech.duration == pytest.approx(1, abs=0.03)
    onset = np.flatnonzero(np.abs(speech.samples) > 0.1)[0] / SAMPLE_RATE
    assert onset < 0.03  # not 0.6 s of silence first; an encoder's warm-up packet may remain


@pytest.mark.parametrize(
    ("dtype", "scale", "offset"),
    [("int16", 32767, 0), ("int32", 2**31 - 1, 0), ("uint8", 127, 128), ("float32", 1, 0), ("float64", 1, 0)],
)
def test_arrays_of_any_type(tone: Tone, dtype: str, scale: float, offset: int) -> None:
    voice = tone(0.5, 44100)
    array = (voice.astype(np.float64) * scale + offset).astype(dtype)
    speech = load_speech((array, 44100))
    assert speech.source is None
    assert speech.original is not None
    assert speech.original.shape == (len(voice), 1)
    assert np.abs(speech.original[:, 0] - voice).max() < 0.02
    assert speech.duration == len(voice) / 44100
    assert likeness(speech.samples, tone(0.5, SAMPLE_RATE)) > 0.99


def test_arrays_of_either_orientation_and_order(tone: Tone) -> None:
    stereo = np.stack([tone(0.5, 16000), tone(0.5, 16000, 300)], 1)
    speech = load_speech((stereo, 16000))
    turned = load_speech((stereo.T, 16000))
    swapped = load_speech((16000, stereo))  # type: ignore[arg-type]  # as gradio gives it
    assert speech.channels == turned.channels == swapped.channels == 2
    assert np.array_equal(speech.samples, turned.samples)
    assert np.array_equal(speech.samples, swapped.samples)
    part = load_speech((stereo, 16000), start=0.1, end=0.3)
    assert part.original is not None
    assert np.array_equal(part.original, stereo[1600:4800])


def test_too_loud_arrays_are_scaled_down(tone: Tone) -> None:
    speech = load_speech((tone(0.5, 16000, level=1) * 5, 16000))
    assert np.abs(speech.samples).max() == pytest.approx(1)
    assert likeness(speech.samples, tone(0.5, 16000)) > 0.9999


def test_numbers_that_are_not_finite_become_silence(make_sound: MakeSound, tone: Tone) -> None:
    broken = tone(0.5, 16000)
    broken[1000:1100] = np.nan
    broken[5000] = np.inf
    for source in ((broken, 16000), make_sound(broken, 16000, "nan.wav", "-c:a", "pcm_f32le")):
        speech = load_speech(source)
        assert speech.repaired
        assert np.isfinite(speech.samples).all()
        assert not speech.samples[1000:1100].any()
        assert np.allclose(speech.samples[2000:4000], broken[2000:4000], atol=1e-6)
        assert speech.original is None or np.isfinite(speech.original).all()


def test_silence_is_legal_and_known(make_sound: MakeSound, tone: Tone) -> None:
    quiet = load_speech(make_sound(np.zeros(16000, np.float32), 16000, "quiet.wav"))
    assert quiet.is_silent
    assert quiet.has_soundtrack
    assert not load_speech((tone(0.5, 16000, level=0.01), 16000)).is_silent
    idle = silence(2.5)
    assert idle.is_silent
    assert not idle.has_soundtrack
    assert (idle.duration, len(idle.samples)) == (2.5, 40000)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), 1e9])
def test_impossible_idle_lengths(seconds: float) -> None:
    with pytest.raises(AudioError, match="idle"):
        silence(seconds)


def test_memory_is_that_of_the_result(make_sound: MakeSound) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (48000 * 4, 2)).astype(np.float32)
    path = make_sound(noise, 48000, "long.wav", "-af", "aloop=loop=29:size=192000")
    load_speech(path, end=1)  # what is imported on the way does not count
    tracemalloc.start()
    speech = load_speech(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert speech.duration == pytest.approx(120)
    assert peak < 1.3 * speech.samples.nbytes + 4_000_000  # the source alone is six times the result


def test_cancelling_stops_the_decoding(make_sound: MakeSound, tone: Tone) -> None:
    path = make_sound(tone(5, 16000), 16000, "a.wav")
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        load_speech(path, check=check)
    assert calls == 2


def test_samples_are_reproducible(make_sound: MakeSound, tone: Tone) -> None:
    path = make_sound(tone(2, 44100), 44100, "a.mp3")
    first, second = load_speech(path), load_speech(path)
    assert np.array_equal(first.samples, second.samples)
    assert isinstance(first, Speech)


def test_a_soundtrack_needs_no_samples() -> None:
    speech = load_speech((np.full((16000, 2), 0.1, np.float32), 16000))
    assert len(speech.as_soundtrack().samples) == 0
    assert speech.as_soundtrack().has_soundtrack
    assert speech.as_soundtrack().duration == speech.duration


def test_loaded_speech_stays_what_it_is(tone: Tone) -> None:
    speech = load_speech((tone(1.0, 16000), 16000))
    assert load_speech(speech) is speech
    for part in ({"start": 0.5}, {"end": 0.5}):
        with pytest.raises(AudioError, match="loaded already"):
            load_speech(speech, **part)


TIME = np.arange(64000) / 16000
NOISE = np.random.default_rng(0).normal(0, 1, 64000)


@pytest.mark.parametrize(
    ("wave", "silent"),
    [
        (np.zeros(64000), True),
        (np.full(64000, 0.3), True),
        (0.2 + NOISE * 5e-5, True),
        (np.sign(NOISE) / 32768, True),
        (np.where(np.arange(64000) == 9000, 0.5, 0), True),
        (np.where(TIME > 3.9, NOISE * 0.05, 0), False),
        (0.2 + NOISE * 0.05, False),
        (NOISE * 2e-3, False),
    ],
    ids=["zeros", "offset", "offset and hiss", "dither", "click", "one word", "offset and sound", "quiet"],
)
def test_what_counts_as_silence(make_sound: MakeSound, wave: np.ndarray, silent: bool) -> None:
    path = make_sound(wave.astype(np.float32), 16000, "a.wav", "-c:a", "pcm_s16le")
    for speech in (load_speech((wave.astype(np.float32), 16000)), load_speech(path)):
        assert speech.is_silent == silent
        assert any("Nothing can be heard" in told for told in speech.notices) == silent
