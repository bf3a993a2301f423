"""The engine codetalker with tiny networks on a small mesh, and what users get wrong with it."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_codetalker import SPEECH_SIZES

pytest.importorskip("transformers")

from sadtalker_ext import Options, animate, make_motion, pipeline, render_track
from sadtalker_ext.cli import main
from sadtalker_ext.engines import ENGINES, choose_engine
from sadtalker_ext.engines.codetalker.networks import CodeQuery, QuerySizes, Sizes, VQAutoEncoder
from sadtalker_ext.errors import (
    AudioError,
    EngineError,
    MeshError,
    OptionsError,
    SadTalkerError,
    TrackError,
    WeightsError,
)
from sadtalker_ext.host import Cancelled, CancelToken
from sadtalker_ext.tracks import ARKIT, MotionTrack, space_named, vertex_space
from sadtalker_ext.tracks.rows import IN_MEMORY
from sadtalker_ext.video import probe

VERTICES = 12


def stages(vertices: int = VERTICES) -> dict[str, dict[str, torch.Tensor]]:
    torch.manual_seed(vertices)
    sizes = Sizes(vertices, width=16, hidden=16, layers=1, slots=2, code=8, entries=8)
    query = QuerySizes(vertices, styles=3, features=16, width=16, hidden=16, layers=1, speech=SPEECH_SIZES)
    second = CodeQuery(query)
    torch.nn.init.normal_(second.feat_map.weight, std=0.3)
    return {"stage1": VQAutoEncoder(sizes).checkpoint(), "stage2": second.checkpoint()}


def write_pair(folder: Path, name: str, vertices: int = VERTICES) -> None:
    for stage, state in stages(vertices).items():
        torch.save({"state_dict": state}, folder / f"{name}_{stage}.pth.tar")


@pytest.fixture
def models(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder with a face model of our own in it."""
    folder = tmp_path_factory.mktemp("models")
    write_pair(folder, "tiny")
    monkeypatch.setenv("SADTALKER_MODELS", str(folder))
    pipeline.release()
    yield folder
    pipeline.release()


@pytest.fixture(scope="session")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An .obj of an icosahedron."""
    path = tmp_path_factory.mktemp("a head") / "ico sahedron.obj"
    golden = (1 + 5**0.5) / 2
    corners = [(0, a, b * golden) for a in (-1, 1) for b in (-1, 1)]
    corners += [(a, b * golden, 0) for a in (-1, 1) for b in (-1, 1)]
    corners += [(b * golden, 0, a) for a in (-1, 1) for b in (-1, 1)]
    points = np.array(corners, float)
    near = np.linalg.norm(points[:, None] - points[None], axis=-1) < 2.1
    faces = [
        (a, b, c)
        for a in range(12)
        for b in range(a + 1, 12)
        for c in range(b + 1, 12)
        if near[a, b] and near[b, c] and near[a, c]
    ]
    for number, (a, b, c) in enumerate(faces):
        if np.linalg.det(points[[a, b, c]]) < 0:  # seen from outside, the corners turn left
            faces[number] = (a, c, b)
    lines = [f"v {x} {y} {z}" for x, y, z in points] + [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in faces]
    path.write_text("\n".join(lines))
    return path


OPTIONS = {"canvas": 64, "fps": 10.0}


def test_a_mesh_speaks(models: Path, head: Path, voice: tuple[np.ndarray, int], tmp_path: Path) -> None:
    result = animate(head, voice, tmp_path / "o.mp4", Options(**OPTIONS))
    assert result.engine == "codetalker"  # `auto` knows what can animate a mesh
    assert result.frames == 15
    assert result.track.space == vertex_space(VERTICES)
    assert np.ptp(result.track.data, axis=0).max() > 1e-3
    made = probe(result.path)
    assert (made.width, made.height, made.frames) == (64, 64, 15)
    assert made.audio_duration == pytest.approx(1.5, abs=0.05)
    assert result.metadata["face"] is None
    assert result.metadata["picture"] == head.name


def test_a_template_given_as_option(models: Path, head: Path, voice, tmp_path: Path) -> None:
    result = animate(None, voice, tmp_path / "o.mp4", Options("codetalker", template=str(head), **OPTIONS))
    assert result.metadata["options"]["template"] == head.name
    with pytest.raises(OptionsError, match="once"):
        animate(head, voice, tmp_path / "p.mp4", Options("codetalker", template=str(head), **OPTIONS))


def test_manners_and_their_mixture_differ(models: Path, head: Path, voice) -> None:
    def moved(**chosen: object) -> np.ndarray:
        return make_motion(voice, Options("codetalker", fps=30.0, **chosen), picture=head).data

    first, second, mixed = moved(), moved(manner=2), moved(manner_mix=2, manner_share=1.0)
    assert np.abs(first - second).max() > 1e-4
    np.testing.assert_allclose(second, mixed, atol=1e-5)
    np.testing.assert_allclose(moved(expression_scale=0.5), first / 2, atol=1e-6)
    with pytest.raises(OptionsError, match="no manner 3"):
        moved(manner=3)


def test_motion_can_be_saved_and_rendered_again(models: Path, head: Path, voice, tmp_path: Path) -> None:
    from sadtalker_ext.tracks.files import load_track, save_track

    track = make_motion(voice, Options("codetalker", fps=12.0), picture=head)
    save_track(track, tmp_path / "t.npz")
    again = load_track(tmp_path / "t.npz")
    assert again.space == track.space
    np.testing.assert_array_equal(again.data, track.data)
    result = render_track(head, again, tmp_path / "o.mp4", Options(**OPTIONS), speech=voice)
    assert result.frames == 15


def test_idle_rests(models: Path, head: Path, tmp_path: Path) -> None:
    result = animate(head, None, tmp_path / "o.mp4", Options(idle=0.5, **OPTIONS))
    assert result.frames == 5
    assert not result.track.data.any()


def test_the_command_line(models: Path, head: Path, tmp_path: Path, capsys, voice) -> None:
    import soundfile

    speech = tmp_path / "voice.wav"
    soundfile.write(speech, voice[0], voice[1])
    out = tmp_path / "o.mp4"
    flags = ["--canvas", "64", "--fps", "5", "-q", "--models-dir", str(models)]
    assert main(["animate", str(head), str(speech), "-o", str(out), *flags]) == 0
    assert probe(out).frames == 8
    given = ["motion", str(speech), "-o", str(tmp_path / "t.npz"), "--engine", "codetalker"]
    assert main([*given, "--template", str(head), "-q", "--models-dir", str(models)]) == 0
    assert main([*given[:2], "-o", str(tmp_path / "t.csv"), *given[4:], "--models-dir", str(models)]) == 2
    assert "cannot be written as .csv" in capsys.readouterr().err


def test_cancel_leaves_nothing(models: Path, head: Path, voice, tmp_path: Path) -> None:
    cancel = CancelToken()

    def stop(progress: object) -> None:
        if getattr(progress, "stage", "") == "motion" and getattr(progress, "done", 0) > 3:
            cancel.cancel()

    with pytest.raises(Cancelled):
        animate(head, voice, tmp_path / "o.mp4", Options(**OPTIONS), progress=stop, cancel=cancel)
    assert list(tmp_path.iterdir()) == []


def test_what_users_get_wrong(models: Path, head: Path, voice, tmp_path: Path) -> None:
    def refused(error: type[SadTalkerError], words: str, source: object = head, **chosen: object) -> None:
        with pytest.raises(error, match=words):
            animate(source, voice, tmp_path / "o.mp4", Options(**{**OPTIONS, **chosen}))
        assert not (tmp_path / "o.mp4").exists()

    refused(OptionsError, "animates meshes", np.zeros((64, 64, 3), np.uint8), engine="codetalker")
    refused(EngineError, "animates pictures", engine="instant")
    refused(OptionsError, "--canvas", upscale="2")
    refused(WeightsError, "no face model 'other'", face_model="other")
    cube = tmp_path / "three.obj"
    cube.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    refused(MeshError, "3 vertices", cube)
    refused(MeshError, "3 vertices", cube, face_model="tiny")
    points = tmp_path / "points.obj"
    points.write_text("\n".join(f"v {n} {n % 3} 0" for n in range(VERTICES)))
    refused(MeshError, "triangles", points)
    arkit = MotionTrack.rest(3, 25.0, ARKIT)
    with pytest.raises(TrackError, match="vertices"):
        render_track(head, arkit, tmp_path / "o.mp4", Options("codetalker"))


def test_exact_has_a_limit_and_says_so(models: Path, head: Path) -> None:
    noise = np.random.default_rng(0).standard_normal(16000 * 21).astype(np.float32) * 0.1
    with pytest.raises(AudioError, match="at most 20 s"):
        make_motion((noise, 16000), Options("codetalker", exact=True), picture=head)


def test_without_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SADTALKER_MODELS", str(tmp_path))
    with pytest.raises(EngineError, match="vocaset_stage1"):
        choose_engine(Options(engine="codetalker"), tmp_path)
    assert ENGINES["codetalker"].missing(tmp_path)


def test_a_broken_pair_says_what_is_wrong(models: Path, head: Path, voice, tmp_path: Path) -> None:
    torch.save({"state_dict": stages(15)["stage2"]}, models / "tiny_stage2.pth.tar")
    with pytest.raises(EngineError, match="do not belong together"):
        animate(head, voice, tmp_path / "o.mp4", Options(**OPTIONS))


def test_vertex_spaces_have_names() -> None:
    assert vertex_space(5023).name == "flame"
    assert vertex_space(23370).name == "biwi"
    assert space_named("mesh12") == vertex_space(12)
    assert space_named("flame").dim == 15069
    for wrong in ("mesh", "mesh0", "mesh1000000", "mesh²", "of nobody"):
        assert space_named(wrong) is None


def test_long_tracks_lie_in_a_file() -> None:
    """A track of 80 MB is mapped, and what is made of it is, too."""
    space = vertex_space(5023)
    frames = IN_MEMORY // (4 * space.dim) + 50
    rest = MotionTrack.rest(2, 30.0, space)
    rows = np.arange(frames, dtype=np.float32)

    def blocks():
        for row in rows:
            yield np.full((1, space.dim), row, np.float32)

    from sadtalker_ext.tracks.rows import gathered

    track = MotionTrack(space, 30.0, gathered(blocks(), space.dim))
    assert track.data.base is not None  # a view of the mapping
    slower = track.resampled(15.0)
    np.testing.assert_allclose(slower.data[:, 0], rows[::2][: len(slower)])
    longer = track.fitted(frames + 7)
    assert len(longer) == frames + 7
    assert longer.data[-1, -1] == rows[-1]
    assert len(rest.fitted(5)) == 5


def test_triangles_of_a_collection_come_from_a_mesh_among_the_weights(
    models: Path, head: Path, voice, tmp_path: Path
) -> None:
    from sadtalker_ext.mesh import load_template

    alone = tmp_path / "alone" / "templates.pkl"
    alone.parent.mkdir()
    alone.write_bytes(pickle.dumps({"ann": load_template(head).vertices}))
    with pytest.raises(MeshError, match="beside it or into the folder for models"):
        animate(alone, voice, tmp_path / "o.mp4", Options(**OPTIONS))
    (models / "sphere.obj").write_bytes(head.read_bytes())
    assert animate(alone, None, tmp_path / "o.mp4", Options(idle=0.3, **OPTIONS)).frames == 3


def test_a_template_without_a_picture_means_this_engine(
    models: Path, head: Path, tmp_path: Path, capsys
) -> None:
    options = Options(idle=0.3, template=str(head), **OPTIONS)
    assert animate(None, None, tmp_path / "o.mp4", options).engine == "codetalker"
    given = ["render", str(tmp_path / "t.npz"), "-o", str(tmp_path / "again.mp4"), "-q", "--canvas", "64"]
    motion = ["motion", "--idle", "0.3", "-o", str(tmp_path / "t.npz"), "-q", "--template", str(head)]
    assert main([*motion, "--models-dir", str(models)]) == 0
    assert main([*given, "--template", str(head), "--models-dir", str(models)]) == 0
    assert probe(tmp_path / "again.mp4").frames == 8
    assert main(["animate", "--idle", "1"]) == 2
    assert "give a portrait" in capsys.readouterr().err


def test_the_neutral_head_shows_what_other_networks_made(models: Path, tmp_path: Path) -> None:
    """Networks of one topology are chosen, and a motion of another is rendered again."""
    write_pair(models, "vocaset", 5023)
    track = MotionTrack.rest(2, 25.0, vertex_space(23370))
    result = render_track(None, track, tmp_path / "o.mp4", Options("codetalker", canvas=64))
    assert result.frames == 2
    assert "neutral head" in result.notices[0]


def test_a_head_lives_on_after_its_motion(models: Path, head: Path, voice, tmp_path: Path) -> None:
    sound = np.tile(voice[0], 4)[: 4 * voice[1]], voice[1]
    track = make_motion(voice, Options(end=0.6, template=str(head), **OPTIONS))
    options = Options(template=str(head), **OPTIONS)
    made = render_track(None, track, tmp_path / "o.mp4", options, speech=sound)
    assert "The motion ends after 0.6 s" in " ".join(made.notices)
    late = made.track.data[int(1.5 * made.fps) : -1]
    assert (np.abs(np.diff(late, axis=0)).max(axis=1) > 0).all()
    write_pair(models, "vocaset", 5023)
    flame = MotionTrack.rest(2, made.fps, vertex_space(5023))
    made = render_track(
        None, flame, tmp_path / "n.mp4", Options("codetalker", canvas=64, fps=10), speech=sound
    )
    assert (np.abs(np.diff(made.track.data[5:-5], axis=0)).max(axis=1) > 0).all()
