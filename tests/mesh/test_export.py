"""What is exported can be read back, by other programs too, and shows the same motion."""

from __future__ import annotations

import errno
import json
import struct

import numpy as np
import pytest

from sadtalker_ext.cli import main
from sadtalker_ext.errors import Cancelled, MeshError, OutputError, TrackError
from sadtalker_ext.mesh import Template, export, load_template
from sadtalker_ext.mesh.export import check_export, export_track
from sadtalker_ext.mesh.few_shapes import few_shapes
from sadtalker_ext.mesh.neutral import neutral_head
from sadtalker_ext.tracks import ARKIT, ARKIT_BLENDSHAPES, MotionTrack, vertex_space
from sadtalker_ext.tracks.files import save_track

FRAMES = 12
KINDS = {5126: ("<f4", 4), 5125: ("<u4", 4), 5121: ("u1", 1)}
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}


def pyramid(sides: int = 24) -> Template:
    turn = np.arange(sides) / sides * 2 * np.pi
    ring = np.stack([np.cos(turn), np.sin(turn), np.zeros(sides)], 1)
    vertices = np.concatenate([ring, [[0, 0, 1]]]).astype(np.float32)
    faces = np.array([(k, (k + 1) % sides, sides) for k in range(sides)], np.int32)
    return Template("pyramid", vertices, faces, "pyramid.obj")


def motion(template: Template, shapes: int = 3, frames: int = FRAMES) -> MotionTrack:
    rng = np.random.default_rng(5)
    ways = rng.normal(0, 0.1, (shapes, template.vertices.size))
    weights = rng.normal(0, 1, (frames, shapes))
    return MotionTrack(
        vertex_space(len(template.vertices)), 30, (weights @ ways).astype(np.float32), {"by": "x"}
    )


def speech() -> MotionTrack:
    rng = np.random.default_rng(2)
    data = np.zeros((FRAMES, ARKIT.dim), np.float32)
    data[:, :52] = rng.random((FRAMES, 52))
    data[:, 52:] = rng.normal(0, 15, (FRAMES, 3))
    return MotionTrack(ARKIT, 25, data)


class Glb:
    """A .glb as the specification says it is read, without any library."""

    def __init__(self, data: bytes) -> None:
        magic, version, length = struct.unpack("<4sII", data[:12])
        assert (magic, version, length) == (b"glTF", 2, len(data))
        size, kind = struct.unpack("<I4s", data[12:20])
        assert kind == b"JSON"
        assert size % 4 == 0
        self.tree = json.loads(data[20 : 20 + size])
        size_of_block, kind = struct.unpack("<I4s", data[20 + size : 28 + size])
        assert kind == b"BIN\x00"
        self.block = data[28 + size :]
        assert size_of_block == len(self.block) == self.tree["buffers"][0]["byteLength"]

    def array(self, number: int) -> np.ndarray:
        accessor = self.tree["accessors"][number]
        view = self.tree["bufferViews"][accessor["bufferView"]]
        kind, size = KINDS[accessor["componentType"]]
        assert view["byteOffset"] % 4 == 0
        count = accessor["count"] * WIDTHS[accessor["type"]]
        assert view["byteLength"] == count * size
        values = np.frombuffer(self.block, kind, count, view["byteOffset"]).reshape(accessor["count"], -1)
        if "min" in accessor:
            assert np.allclose(values.min(0), accessor["min"], atol=1e-7)
            assert np.allclose(values.max(0), accessor["max"], atol=1e-7)
        return values

    def frames(self) -> list[np.ndarray]:
        """Vertices of every key frame: morph targets, then joints."""
        tree = self.tree
        primitive = tree["meshes"][0]["primitives"][0]
        rest = self.array(primitive["attributes"]["POSITION"])
        targets = [self.array(target["POSITION"]) for target in primitive.get("targets", [])]
        outputs = {}
        for channel in tree.get("animations", [{"channels": []}])[0]["channels"]:
            sampler = tree["animations"][0]["samplers"][channel["sampler"]]
            self.times = self.array(sampler["input"])[:, 0]
            outputs[channel["target"]["path"]] = self.array(sampler["output"])
        if not outputs:
            return [rest]
        weights = outputs["weights"].reshape(len(self.times), len(targets))
        shown = [rest + np.einsum("k,kvi->vi", row, targets) for row in weights]
        if "rotation" in outputs:
            joints = self.array(primitive["attributes"]["JOINTS_0"])
            shares = self.array(primitive["attributes"]["WEIGHTS_0"])
            assert np.allclose(shares.sum(1), 1, atol=1e-6)
            inverse = self.array(tree["skins"][0]["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)
            nodes = [tree["nodes"][number] for number in tree["skins"][0]["joints"]]
            for number, turn in enumerate(outputs["rotation"]):
                world = [np.eye(4), np.eye(4)]
                world[1][:3, :3] = rotation(turn)
                world[1][:3, 3] = nodes[1]["translation"]
                both = np.stack([matrix @ bind for matrix, bind in zip(world, inverse, strict=True)])
                points = np.concatenate([shown[number], np.ones((len(rest), 1))], 1)
                moved = np.einsum("jab,vb->jva", both, points)
                shown[number] = sum(
                    shares[:, k, None] * moved[joints[:, k], np.arange(len(rest))] for k in range(2)
                )[:, :3]
        return shown


def rotation(q: np.ndarray) -> np.ndarray:
    x, y, z, w = q.astype(float)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


# --- glTF


def test_blendshapes_and_head_pose_are_exact(tmp_path):
    track, head = speech(), neutral_head()
    made = export_track(track, tmp_path / "a.glb")
    glb = Glb(made.path.read_bytes())
    assert glb.tree["meshes"][0]["extras"]["targetNames"] == list(ARKIT_BLENDSHAPES)
    assert (made.shapes, made.largest_error, made.frames) == (52, 0.0, FRAMES)
    for shown, wanted in zip(glb.frames(), head.poses(track), strict=True):
        assert np.abs(shown - wanted).max() < 1e-4
    assert np.allclose(glb.times, np.arange(FRAMES) / 25)
    faces = glb.array(glb.tree["meshes"][0]["primitives"][0]["indices"]).reshape(-1, 3)
    assert (faces == head.faces).all()


def test_vertex_motion_is_few_shapes_with_a_known_error(tmp_path):
    template = pyramid()
    track = motion(template)
    made = export_track(track, tmp_path / "a.glb", template=template)
    glb = Glb(made.path.read_bytes())
    assert made.shapes in (3, 4)
    worst = max(
        np.linalg.norm(shown - template.vertices - row.reshape(-1, 3), axis=1).max()
        for shown, row in zip(glb.frames(), track.data, strict=True)
    )
    assert worst <= made.largest_error * 2 + 1e-5  # in widths of the head, which is 2 here
    assert made.largest_error < 0.0015
    assert np.abs(glb.array(glb.tree["animations"][0]["samplers"][0]["output"])).max() <= 1 + 1e-6
    assert glb.tree["asset"]["extras"]["motion"] == {"by": "x"}


def test_other_libraries_read_the_glb(tmp_path):
    pygltflib = pytest.importorskip("pygltflib")
    made = export_track(speech(), tmp_path / "a.glb")
    loaded = pygltflib.GLTF2().load(str(made.path))
    primitive = loaded.meshes[0].primitives[0]
    assert len(primitive.targets) == 52
    assert loaded.animations[0].channels[0].target.path == "weights"
    assert loaded.accessors[primitive.attributes.POSITION].count == len(neutral_head().vertices)
    assert loaded.skins[0].joints == [1, 2]


def test_trimesh_reads_the_glb(tmp_path):
    trimesh = pytest.importorskip("trimesh")
    template = pyramid()
    made = export_track(motion(template), tmp_path / "a.glb", template=template)
    (mesh,) = trimesh.load(made.path, process=False).geometry.values()
    assert np.allclose(mesh.vertices, template.vertices)
    assert (mesh.faces == template.faces).all()


def test_rest_is_a_still_mesh(tmp_path):
    template = pyramid()
    made = export_track(
        MotionTrack.rest(4, 25, vertex_space(len(template.vertices))), tmp_path / "a.glb", template=template
    )
    glb = Glb(made.path.read_bytes())
    assert made.shapes == 0
    assert "animations" not in glb.tree
    assert np.allclose(glb.frames()[0], template.vertices)


@pytest.mark.parametrize("shapes", [1, 5, 30])
def test_few_shapes_say_how_far_they_are_off(shapes):
    track = motion(pyramid(), shapes=shapes, frames=40)
    found = few_shapes(track.data, 2.0, most=8)
    rebuilt = np.einsum("tk,kvi->tvi", found.weights, found.ways)
    off = np.linalg.norm(rebuilt - track.data.reshape(40, -1, 3), axis=2).max()
    assert off == pytest.approx(found.largest_error, abs=1e-5)
    assert len(found.ways) <= 8
    assert (found.largest_error <= 0.0015 * 2) == (shapes <= 8)


# --- vertices and meshes


def test_vertices_of_every_frame(tmp_path):
    template = pyramid()
    track = motion(template)
    made = export_track(track, tmp_path / "a.npy", template=template)
    stored = np.load(made.path, mmap_mode="r")
    assert stored.dtype == np.float32
    assert np.allclose(stored, track.data + template.vertices.reshape(-1))
    points = Template("x", template.vertices, None, "x.pkl")
    export_track(track, tmp_path / "b.npy", template=points)
    assert (tmp_path / "b.npy").read_bytes() == made.path.read_bytes()


@pytest.mark.parametrize("kind", ["obj", "ply"])
def test_meshes_are_read_back(tmp_path, kind):
    if kind == "ply":
        pytest.importorskip("trimesh")
    template = pyramid()
    track = motion(template)
    made = export_track(track, f"{tmp_path}/talk_{kind}/", template=template)
    files = sorted(made.path.glob(f"frame_*.{kind}"))
    assert [path.name for path in files][::11] == [f"frame_000001.{kind}", f"frame_000012.{kind}"]
    for path, row in zip(files, track.data, strict=True):
        back = load_template(path)
        assert np.allclose(back.vertices, template.vertices + row.reshape(-1, 3), atol=1e-6)
        assert back.faces is not None
        assert (back.faces == template.faces).all()
    assert json.loads((made.path / "metadata.json").read_text())["fps"] == 30


def test_the_neutral_head_keeps_its_colours_in_ply(tmp_path):
    trimesh = pytest.importorskip("trimesh")
    made = export_track(MotionTrack.rest(1, 25), f"{tmp_path}/ply/")
    mesh = trimesh.load(made.path / "frame_000001.ply", process=False)
    assert np.allclose(mesh.vertices, neutral_head().vertices, atol=1e-6)
    assert len(np.unique(mesh.visual.vertex_colors[:, :3], axis=0)) > 20


def test_another_frame_rate(tmp_path):
    template = pyramid()
    made = export_track(motion(template), tmp_path / "a.npy", template=template, fps=15)
    assert len(np.load(made.path)) == FRAMES // 2 == made.frames


@pytest.mark.parametrize("fps", [0.0, -1.0, 1e9, float("nan")])
def test_an_impossible_rate_is_refused_before_the_work(tmp_path, fps):
    track = MotionTrack.rest(5, 25.0)
    with pytest.raises(TrackError, match="--fps"):
        export_track(track, tmp_path / "a.npy", fps=fps)
    assert not list(tmp_path.iterdir())


def test_flame_motion_without_a_template_is_on_the_neutral_head(tmp_path):
    made = export_track(MotionTrack.rest(3, 30, vertex_space(5023)), tmp_path / "a.npy")
    assert np.load(made.path).shape == (3, neutral_head().vertices.size)


# --- what goes wrong


@pytest.mark.parametrize("name", ["a.fbx", "a", "folder/", "a.obj", ""])
def test_unknown_endings_are_refused(tmp_path, name):
    with pytest.raises(OutputError):
        check_export(f"{tmp_path}/{name}" if name else "")


def test_nothing_is_overwritten_unless_allowed(tmp_path):
    template = pyramid()
    track = motion(template)
    for name in ("a.npy", "a.glb", "my_obj/"):
        export_track(track, f"{tmp_path}/{name}", template=template)
        with pytest.raises(OutputError, match="overwrit"):
            export_track(track, f"{tmp_path}/{name}", template=template)
        export_track(track, f"{tmp_path}/{name}", template=template, fps=15, overwrite=True)
    assert len(list((tmp_path / "my_obj").glob("*.obj"))) == FRAMES // 2
    foreign = tmp_path / "their_obj"
    foreign.mkdir()
    (foreign / "important.obj").write_text("v 0 0 0\n")
    with pytest.raises(OutputError, match="not meshes of ours"):
        export_track(track, f"{foreign}/", template=template, overwrite=True)
    assert (foreign / "important.obj").exists()


def test_templates_that_do_not_fit_are_refused(tmp_path):
    template = pyramid()
    with pytest.raises(MeshError, match="vertices"):
        export_track(MotionTrack.rest(1, 25, vertex_space(7)), tmp_path / "a.glb", template=template)
    with pytest.raises(MeshError, match="leave the template out"):
        export_track(speech(), tmp_path / "a.glb", template=template)
    with pytest.raises(MeshError, match="--template"):
        export_track(MotionTrack.rest(1, 25, vertex_space(7)), tmp_path / "a.glb")
    with pytest.raises(MeshError, match="triangles"):
        export_track(
            motion(template), tmp_path / "a.glb", template=Template("x", template.vertices, None, "x.pkl")
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.npy", "a.glb", "a_obj/", "a_ply/"])
def test_cancelling_leaves_nothing(tmp_path, name):
    template = pyramid()
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        export_track(motion(template), f"{tmp_path}/{name}", template=template, check=check)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.npy", "a_obj/", "a_ply/"])
def test_a_full_disk_is_a_sentence_and_leaves_nothing(tmp_path, monkeypatch, name):
    template = pyramid()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(export._ObjWriter, "write", full)
    monkeypatch.setattr(export._PlyWriter, "write", full)
    monkeypatch.setattr(export, "_write_npy", full)
    with pytest.raises(OutputError, match="No space left"):
        export_track(motion(template), f"{tmp_path}/{name}", template=template)
    assert list(tmp_path.iterdir()) == []


def test_the_command(tmp_path, capsys):
    save_track(speech(), tmp_path / "t.npz")
    assert main(["export", str(tmp_path / "t.npz"), str(tmp_path / "a.glb"), "-q"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["export", str(tmp_path / "t.npz"), str(tmp_path / "a.glb")]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "t.npz"), f"{tmp_path}/m_obj/", "--fps", "5"]) == 0
    assert "2 frames of" in capsys.readouterr().out
    assert main(["export", str(tmp_path / "t.npz"), str(tmp_path / "b.glb"), "--person", "F2"]) == 2
    assert main(["export", str(tmp_path / "missing.npz"), str(tmp_path / "b.glb")]) == 2
