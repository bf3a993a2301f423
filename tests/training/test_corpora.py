"""Raw corpora into caches: what is read, how it is split, and that nothing is cut or left out silently."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("soxr")

from raw_corpora import (
    FACES,
    SPLITS,
    SUBJECTS,
    VERTICES,
    templates,
    write_biwi,
    write_layout,
    write_vocaset,
    write_wav,
)

from sadtalker_ext.errors import Cancelled, TrainingError
from sadtalker_ext.training import TEST, TRAIN, VALIDATION, ClipCache, prepare
from sadtalker_ext.training.clips import CORPUS, MANIFEST, UNFINISHED, UNFINISHED_SETTINGS, clip_path
from sadtalker_ext.training.corpora import Biwi, Layout, RawClip, Vocaset, read_splits
from sadtalker_ext.training.corpora import biwi as biwi_module
from sadtalker_ext.training.corpora import splits as published


@pytest.fixture
def tiny_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny meshes of the tests in the place of the published topologies."""
    monkeypatch.setattr(Vocaset, "space", f"mesh{VERTICES}")
    monkeypatch.setattr(Biwi, "space", f"mesh{VERTICES}")


def test_the_published_splits_hold_the_published_numbers() -> None:
    def count(splits: published.Splits, name: str) -> int:
        share = splits.shares[name]
        return len(share.subjects) * len(share.sentences)

    assert [count(published.VOCASET, s) for s in (TRAIN, VALIDATION, TEST)] == [320, 40, 40]
    assert [count(published.BIWI, s) for s in (TRAIN, VALIDATION, TEST)] == [192, 24, 24]
    assert count(published.BIWI, published.UNSEEN_TEST) == 32
    assert published.VOCASET.styles[0] == "FaceTalk_170728_03272_TA"
    assert published.VOCASET.of("FaceTalk_170811_03275_TA", "20") is None
    assert published.BIWI.of("F2", "41") is None


@pytest.mark.usefixtures("tiny_spaces")
def test_vocaset_as_it_is_downloaded(tmp_path: Path) -> None:
    vertices = write_vocaset(tmp_path / "raw")
    prepared = prepare(Vocaset(tmp_path / "raw", SPLITS), tmp_path / "cache")
    assert prepared.clips == {TRAIN: 1, VALIDATION: 1, TEST: 1}
    assert len(prepared.missing) == 1
    assert f"{SUBJECTS[0]} 02" in prepared.missing[0]
    assert not prepared.damaged
    assert not prepared.mismatched
    cache = ClipCache(tmp_path / "cache")
    assert cache.info.fps == 30
    assert cache.info.subjects == SUBJECTS[:1]
    clip = cache.load(cache.of_split(TRAIN)[0])
    expected = vertices[0:120:2] - templates()[SUBJECTS[0]].astype(np.float32)
    np.testing.assert_array_equal(clip.motion, expected.reshape(60, -1))  # in time's order, 60 → 30 frames/s
    assert len(clip.audio) == 32000
    np.testing.assert_array_equal(cache.templates()[SUBJECTS[1]], templates()[SUBJECTS[1]].astype(np.float32))


@pytest.mark.usefixtures("tiny_spaces")
def test_a_gap_between_sound_and_motion_is_told_and_nothing_is_cut(tmp_path: Path) -> None:
    write_vocaset(tmp_path / "raw", seconds=2.5)
    corpus = Vocaset(tmp_path / "raw", SPLITS)
    prepared = prepare(corpus, tmp_path / "cache")
    assert len(prepared.mismatched) == 3
    assert "0.50 s longer" in prepared.mismatched[0]
    entry = prepared.cache.entries[0]
    assert (entry.frames, entry.samples, entry.mismatch) == (60, 40000, 0.5)
    with pytest.raises(TrainingError, match="no clip to train on"):
        prepare(corpus, tmp_path / "strict", drop_mismatched=True)


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    write_vocaset(tmp_path / "raw")

    class Harm:
        def __reduce__(self) -> tuple[object, ...]:
            return (print, ("harm",))

    (tmp_path / "raw" / "templates.pkl").write_bytes(pickle.dumps({"x": Harm()}))
    with pytest.raises(TrainingError, match="more than numbers"):
        Vocaset(tmp_path / "raw", SPLITS)


def test_a_folder_that_is_no_vocaset_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no data_verts\.npy and no raw_audio_fixed\.pkl"):
        Vocaset(tmp_path)
    with pytest.raises(TrainingError, match="There is no folder"):
        Vocaset(tmp_path / "nowhere")


@pytest.mark.usefixtures("tiny_spaces")
@pytest.mark.parametrize("norm", ["frame", "template"])
def test_biwi_as_it_is_downloaded(tmp_path: Path, norm: str) -> None:
    write_biwi(tmp_path / "raw", ("F2", "F1"), ("01", "33", "37"))
    corpus = Biwi(tmp_path / "raw", norm=norm)  # type: ignore[arg-type]
    prepared = prepare(corpus, tmp_path / "cache")
    assert prepared.clips == {TRAIN: 1, VALIDATION: 1, TEST: 1, published.UNSEEN_TEST: 1}
    assert len(prepared.missing) == 272 - 4  # clips of the published splits
    cache = prepared.cache
    clip = cache.load(cache.of_split(TRAIN)[0])
    vertices = clip.motion.reshape(-1, VERTICES, 3) + cache.templates()["F2"]
    areas = [biwi_module.area(frame.astype(np.float64), FACES) for frame in vertices]
    centres = np.abs(vertices.mean(axis=1))
    if norm == "frame":  # as published: every frame has an area of 1 around 0
        np.testing.assert_allclose(areas, 1, rtol=1e-5)
        assert centres.max() < 1e-6
    else:
        assert np.std(areas) > 1e-4
        assert centres.max() > 1e-4
    raw = biwi_module.read_frame(tmp_path / "raw" / "faces" / "F2" / "e01" / "frame_001.vl")
    upright = raw * [1, -1, -1]
    shape = np.corrcoef(
        upright.reshape(-1) - np.tile(upright.mean(axis=0), VERTICES), vertices[0].reshape(-1)
    )
    assert shape[0, 1] > 0.999
    assert len(clip.audio) == 6400


@pytest.mark.usefixtures("tiny_spaces")
def test_damaged_frames_are_told_and_the_rest_is_prepared(tmp_path: Path) -> None:
    write_biwi(tmp_path / "raw", ("F2",), ("01", "02"))
    bad = tmp_path / "raw" / "faces" / "F2" / "e02" / "frame_003.vl"
    bad.write_bytes(bad.read_bytes()[:-4])
    prepared = prepare(Biwi(tmp_path / "raw"), tmp_path / "cache")
    assert prepared.clips[TRAIN] == 1
    assert len(prepared.damaged) == 1
    assert "frame_003.vl" in prepared.damaged[0]
    told = "\n".join(prepared.lines())
    assert "left out as damaged: F2 02" in told


def test_a_converted_corpus_of_ones_own(tmp_path: Path) -> None:
    pairs = [(s, f"e{i:02d}") for s in ("Anna", "Ben_2") for i in range(1, 11)]
    write_layout(tmp_path / "raw", pairs)
    with pytest.raises(TrainingError, match="--fps"):
        Layout(tmp_path / "raw")
    cache = prepare(Layout(tmp_path / "raw", fps=50, step=2), tmp_path / "cache").cache
    assert cache.info.fps == 25
    assert cache.info.space == f"mesh{VERTICES}"
    assert cache.info.subjects == ("Anna", "Ben_2")
    held_out = {split: {e.sentence for e in cache.of_split(split)} for split in (TRAIN, VALIDATION, TEST)}
    assert held_out[VALIDATION] == {"09"}
    assert held_out[TEST] == {"10"}
    assert not held_out[TRAIN] & (held_out[VALIDATION] | held_out[TEST])


def test_splits_that_a_user_says(tmp_path: Path) -> None:
    write_layout(tmp_path / "raw", [("Anna", "e01"), ("Ben", "e01")])
    said = {
        "train": {"subjects": ["Ben"], "sentences": ["01"]},
        "validation": {"subjects": ["Anna"], "sentences": ["01"]},
    }
    (tmp_path / "splits.json").write_text(json.dumps(said))
    corpus = Layout(tmp_path / "raw", fps=25, splits=read_splits(tmp_path / "splits.json"))
    cache = prepare(corpus, tmp_path / "cache").cache
    assert [(e.subject, e.split) for e in cache.entries] == [("Ben", TRAIN), ("Anna", VALIDATION)]
    said["train"]["subjects"] = ["Anna"]
    (tmp_path / "splits.json").write_text(json.dumps(said))
    fewer = Layout(tmp_path / "raw", fps=25, splits=read_splits(tmp_path / "splits.json"))
    told = prepare(fewer, tmp_path / "fewer").lines()
    assert any("of no split and left out: 1, such as Ben_e01" in line for line in told)
    (tmp_path / "splits.json").write_text("[1]")
    with pytest.raises(TrainingError, match="no description of splits"):
        read_splits(tmp_path / "splits.json")


def test_a_known_topology_brings_its_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sadtalker_ext.training.corpora.layout.FLAME_VERTICES", VERTICES)
    write_layout(tmp_path / "raw", [(s, f"sentence{i:02d}") for s in ("A", "B") for i in (1, 2, 3)])
    corpus = Layout(tmp_path / "raw")
    assert corpus.fps == 30
    cache = prepare(corpus, tmp_path / "cache").cache
    assert {entry.frames for entry in cache.entries} == {25}  # of 50 stored at 60 frames/s


def test_an_interrupted_preparation_goes_on(tmp_path: Path) -> None:
    write_layout(tmp_path / "raw", [("Anna", f"e{i:02d}") for i in range(1, 7)])
    calls = 0

    def stop_at_the_fourth() -> None:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise Cancelled

    corpus = Layout(tmp_path / "raw", fps=25)
    with pytest.raises(Cancelled):
        prepare(corpus, tmp_path / "cache", check=stop_at_the_fourth)
    with pytest.raises(TrainingError, match="not finished"):
        ClipCache(tmp_path / "cache")
    with (tmp_path / "cache" / UNFINISHED).open("a") as lines:
        lines.write('{"clip": "An')  # as a crash would leave it
    first = clip_path(tmp_path / "cache", "Anna_01").stat().st_mtime_ns
    cache = prepare(corpus, tmp_path / "cache").cache
    assert len(cache.entries) == 6
    assert clip_path(tmp_path / "cache", "Anna_01").stat().st_mtime_ns == first
    whole = prepare(corpus, tmp_path / "again").cache
    assert sorted(map(str, cache.entries)) == sorted(map(str, whole.entries))
    assert cache.fingerprint() == whole.fingerprint()
    with pytest.raises(TrainingError, match="--overwrite"):
        prepare(corpus, tmp_path / "cache")


def interrupt(corpus: Layout, folder: Path, after: int = 2) -> None:
    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        if calls > after:
            raise Cancelled

    with pytest.raises(Cancelled):
        prepare(corpus, folder, check=stop)


def test_an_interrupted_preparation_of_other_settings_is_not_mixed_with(tmp_path: Path) -> None:
    write_layout(tmp_path / "raw", [("Anna", f"e{i:02d}") for i in range(1, 7)])
    cache, corpus = tmp_path / "cache", Layout(tmp_path / "raw", fps=50, step=2)
    interrupt(corpus, cache)
    with pytest.raises(TrainingError, match=r"of other half; .*--overwrite"):
        prepare(corpus, cache, half=True)
    with pytest.raises(TrainingError, match="of other step;"):
        prepare(Layout(tmp_path / "raw", fps=25), cache)
    with pytest.raises(TrainingError, match="of other fps, step;"):
        prepare(Layout(tmp_path / "raw", fps=50), cache)
    said = {name: published.Share(("Anna",), frozenset({"01", "02"})) for name in (TRAIN,)}
    with pytest.raises(TrainingError, match="of other splits;"):
        prepare(Layout(tmp_path / "raw", fps=50, step=2, splits=published.Splits(said)), cache)
    half = prepare(corpus, cache, half=True, overwrite=True).cache
    assert half.fingerprint() == prepare(corpus, tmp_path / "again", half=True).cache.fingerprint()
    interrupt(corpus, tmp_path / "lost")
    (tmp_path / "lost" / UNFINISHED_SETTINGS).unlink()
    with pytest.raises(TrainingError, match="cannot be gone on with"):
        prepare(corpus, tmp_path / "lost")


def test_an_unfinished_cache_is_discarded_by_overwrite(tmp_path: Path) -> None:
    write_layout(tmp_path / "raw", [("Anna", f"e{i:02d}") for i in range(1, 7)])
    corpus = Layout(tmp_path / "raw", fps=25)
    interrupt(corpus, tmp_path / "cache")
    before = clip_path(tmp_path / "cache", "Anna_01").stat().st_mtime_ns
    cache = prepare(corpus, tmp_path / "cache", overwrite=True).cache
    assert clip_path(tmp_path / "cache", "Anna_01").stat().st_mtime_ns > before
    assert len(cache.entries) == 6
    assert not (cache.folder / UNFINISHED_SETTINGS).exists()


@pytest.mark.parametrize("subject", ["../../Anna", "a/b", "a\\b", "C:Anna", "a\0b", "a\nb"])
def test_no_clip_is_written_outside_the_cache(tmp_path: Path, subject: str) -> None:
    write_layout(tmp_path / "raw", [("Anna", f"e{i:02d}") for i in range(1, 4)])
    corpus = Layout(tmp_path / "raw", fps=25)
    read = [clip for clip in corpus.clips() if isinstance(clip, RawClip)]
    corpus.clips = lambda: iter([RawClip(subject, "01", read[0].read)])  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match="cannot be called"):
        prepare(corpus, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    with pytest.raises(TrainingError, match="cannot be called"):
        clip_path(tmp_path, "..")


def test_a_cache_of_a_newer_version_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    write_layout(tmp_path / "raw", [("Anna", f"e{i:02d}") for i in range(1, 4)])
    cache = prepare(Layout(tmp_path / "raw", fps=25), tmp_path / "cache").cache
    told = json.loads((cache.folder / CORPUS).read_text())
    (cache.folder / CORPUS).write_text(json.dumps({**told, "format": 2, "cameras": []}))
    with pytest.raises(TrainingError, match="by another version"):
        ClipCache(cache.folder)
    for nonsense in ("[1]", "3", "null"):
        (cache.folder / CORPUS).write_text(nonsense)
        with pytest.raises(TrainingError, match="damaged"):
            ClipCache(cache.folder)


def test_a_cache_that_changed_is_noticed(tmp_path: Path) -> None:
    write_layout(tmp_path / "raw", [("Anna", f"e{i:02d}") for i in range(1, 4)])
    cache = prepare(Layout(tmp_path / "raw", fps=25), tmp_path / "cache", half=True).cache
    entry = cache.entries[0]
    assert cache.load(entry).motion.dtype == np.float32
    path = clip_path(cache.folder, entry.clip)
    with np.load(path) as file:
        arrays = {name: file[name].copy() for name in file.files}
    arrays["motion"][0, 0] += 1
    np.savez(path, **arrays)
    with pytest.raises(TrainingError, match="sha1"):
        ClipCache(cache.folder).load(entry)
    (cache.folder / MANIFEST).write_text("nonsense\n")
    with pytest.raises(TrainingError, match="damaged"):
        ClipCache(cache.folder)


def test_motion_that_is_no_numbers_is_left_out(tmp_path: Path) -> None:
    write_layout(tmp_path / "raw", [("Anna", f"e{i:02d}") for i in range(1, 7)])
    path = tmp_path / "raw" / "vertices_npy" / "Anna_e01.npy"
    motion = np.load(path)
    motion[3, 5] = np.nan
    np.save(path, motion)
    write_wav(tmp_path / "raw" / "wav" / "Anna_e02.wav", 0.01)
    prepared = prepare(Layout(tmp_path / "raw", fps=25), tmp_path / "cache")
    assert len(prepared.damaged) == 2
    assert "not finite" in prepared.damaged[0]
    assert len(prepared.cache.entries) == 4
