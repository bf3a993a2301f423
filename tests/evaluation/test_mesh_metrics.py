"""Lip vertex error and upper-face dynamics: cases by hand, the published program's numbers, bad input."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codetalker_oracle import ORACLE, needs_oracle, recipe

from sadtalker_ext.cli import main
from sadtalker_ext.errors import MeshError
from sadtalker_ext.evaluation.mesh_metrics import Clip, ClipResult, MeshReport, measure, pairs, read_motion
from sadtalker_ext.tracks import rows

REST = np.zeros((3, 3))
LIPS, UPPER = np.array([0, 1]), np.array([2])


def clip(prediction: Any, truth: Any, template: np.ndarray = REST, name: str = "a_01") -> Clip:
    return Clip(name, np.asarray(prediction, np.float32), np.asarray(truth, np.float32), template)


def moved(frames: int, **vertices: list[tuple[float, float, float]]) -> np.ndarray:
    """Frames of REST with offsets: v0=[…] for vertex 0."""
    found = np.zeros((frames, 3, 3))
    for name, offsets in vertices.items():
        found[:, int(name[1:])] += offsets
    return found


# --- By hand ---------------------------------------------------------------------------------------------


def test_the_largest_squared_distance_counts():
    truth = np.zeros((2, 3, 3))
    prediction = moved(2, v0=[(3, 4, 0), (0, 0, 1)], v1=[(0, 2, 0), (0, 0, 3)], v2=[(99, 0, 0), (99, 0, 0)])
    assert measure([clip(prediction, truth)], LIPS).lve == (25 + 9) / 2  # no root, and vertex 2 is no lip


def test_frames_of_all_clips_weigh_the_same():
    long = clip(moved(3, v0=[(1, 0, 0)] * 3), np.zeros((3, 3, 3)))
    short = clip(moved(1, v0=[(3, 0, 0)]), np.zeros((1, 3, 3)))
    report = measure([long, short], LIPS)
    assert report.lve == (3 * 1 + 9) / 4
    assert report.frames == 4
    assert report.fdd is None


def test_dynamics_by_hand():
    # Squared lengths of the truth's motion: 0, 4; of the prediction's: 1, 1.
    truth, prediction = moved(2, v2=[(0, 0, 0), (0, 2, 0)]), moved(2, v2=[(1, 0, 0), (0, 0, 1)])
    assert measure([clip(prediction, truth)], LIPS, UPPER).fdd == 2  # the population's deviation of 0 and 4
    assert measure([clip(truth, prediction)], LIPS, UPPER).fdd == -2  # signed: it moves too much
    assert measure([clip(prediction, truth), clip(truth, prediction)], LIPS, UPPER).fdd == 0  # and cancels


def test_dynamics_are_of_motion_away_from_the_template():
    template = np.array([[0, 0, 0], [0, 0, 0], [5, 0, 0]])
    truth = moved(2, v2=[(5, 0, 0), (7, 0, 0)])
    assert measure([clip(truth[:1].repeat(2, 0), truth, template)], LIPS, UPPER).fdd == 2


def test_clips_weigh_the_same_in_dynamics():
    still = np.zeros((4, 3, 3))
    moving = moved(2, v2=[(0, 0, 0), (2, 0, 0)])
    assert measure([clip(still, still), clip(still[:2], moving)], LIPS, UPPER).fdd == 1


def test_a_longer_prediction_is_cut():
    prediction = moved(3, v0=[(1, 0, 0), (1, 0, 0), (9, 0, 0)])
    assert measure([clip(prediction, np.zeros((2, 3, 3)))], LIPS).lve == 1


def test_stretches_change_nothing(monkeypatch: pytest.MonkeyPatch):
    random = np.random.default_rng(0)
    truth, prediction = random.normal(1000, 1, (2, 37, 3, 3)).astype(np.float32)
    whole = measure([clip(prediction, truth)], LIPS, np.array([0, 2]))
    monkeypatch.setattr(rows, "BLOCK", 4 * 9 * 5)  # five frames
    parts = measure([clip(prediction, truth)], LIPS, np.array([0, 2]))
    assert parts.lve == pytest.approx(whole.lve, rel=1e-12)
    assert parts.fdd == pytest.approx(whole.fdd, rel=1e-9)
    plain = [np.square(x.astype(float)[:, [0, 2]]).sum(2).std(0).mean() for x in (truth, prediction)]
    assert parts.fdd == pytest.approx(plain[0] - plain[1], rel=1e-9)


# --- The published program -------------------------------------------------------------------------------

REGIONS = {  # sha256 of the authors' files
    "lve.txt": "bf9c9202a73154cab9b7635d42c05effc30078b2b9aa3c7dc49367cff80cc767",
    "fdd.txt": "5a0b657fcbc1f5cbdf4dddfc9a0a883e4644408006fec699e27ade2634124198",
}


def published_regions() -> Path:
    """The folder with the authors' two region files, which this project does not ship."""
    named = os.environ.get("SADTALKER_BIWI_REGIONS")
    folder = Path(named) if named else None
    if folder is None or not all((folder / name).is_file() for name in REGIONS):
        pytest.skip("SADTALKER_BIWI_REGIONS names no folder with the authors' lve.txt and fdd.txt")
    for name, digest in REGIONS.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    return folder


def published_clips(folder: Path) -> tuple[Path, Path, Path]:
    """Folders of predictions and truths, and templates, by the recipe of the recorded numbers."""
    made, templates = recipe(), {}
    (folder / "predicted").mkdir()
    (folder / "truth").mkdir()
    for subject in ("F2", "F3", "F4", "M3", "M4", "M5"):
        template = np.float32(0.1) * made.uniform(f"metric.{subject}.template", 70110)
        templates[subject] = template.reshape(-1, 3)
        for sentence in range(37, 41):
            name, frames = f"{subject}_e{sentence}", 8 + sentence - 37
            own, vertices = made.vertices(f"metric.gt.{name}", frames, 70110, 0.01)
            np.save(folder / "truth" / f"{name}.npy", vertices - own + template)
            own, vertices = made.vertices(f"metric.pred.{name}", frames + 2, 70110, 0.008)
            np.save(folder / "predicted" / f"{name}_condition_{subject}.npy", vertices - own + template)
    (folder / "templates.pkl").write_bytes(pickle.dumps(templates, protocol=2))
    return folder / "predicted", folder / "truth", folder / "templates.pkl"


@needs_oracle
def test_the_authors_program_gives_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert ORACLE is not None
    regions = published_regions()
    wanted = json.loads((ORACLE / "goldens_meta.json").read_text())["metrics_biwi"]
    predicted, truth, templates = map(str, published_clips(tmp_path))
    flags = ["--template", templates, "--lips", str(regions / "lve.txt"), "--upper", str(regions / "fdd.txt")]
    assert main(["evaluate-mesh", predicted, truth, *flags, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["frames"] == wanted["frames"]
    assert found["lve"] == pytest.approx(wanted["lve_float64"], rel=1e-9)
    assert found["fdd"] == pytest.approx(wanted["fdd_float64"], rel=1e-9)


# --- Bad input -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (clip(np.zeros((1, 3, 3)), np.zeros((2, 3, 3))), "1 frames, but the truth has 2"),
        (clip(np.zeros((2, 4, 3)), np.zeros((2, 3, 3))), "4 vertices, but the template has 3"),
        (clip(np.zeros((2, 3, 3)), np.zeros((2, 2, 3))), "2 vertices, but the template has 3"),
        (clip(np.zeros((0, 3, 3)), np.zeros((0, 3, 3))), "no frames"),
        (clip(np.full((2, 3, 3), np.nan), np.zeros((2, 3, 3))), "no numbers"),
        (clip(np.full((2, 3, 3), np.inf), np.zeros((2, 3, 3))), "no numbers"),
    ],
)
def test_bad_clips(bad: Clip, word: str):
    with pytest.raises(MeshError, match=word):
        measure([bad], LIPS, UPPER)


def test_no_clips():
    with pytest.raises(MeshError, match="nothing to compare"):
        measure([], LIPS)


def test_motion_files(tmp_path: Path):
    path = tmp_path / "a.npy"
    flat = np.arange(36, dtype=np.float32).reshape(4, 9)
    np.save(path, flat)
    assert isinstance(read_motion(path).base, np.memmap)
    np.testing.assert_array_equal(read_motion(path), flat.reshape(4, 3, 3))
    np.testing.assert_array_equal(read_motion(path, every=2), flat.reshape(4, 3, 3)[::2])
    np.save(path, flat.reshape(4, 3, 3))
    assert read_motion(path).shape == (4, 3, 3)


@pytest.mark.parametrize(
    "held",
    [
        np.zeros((4, 10)),
        np.zeros(9),
        np.zeros((4, 3, 2)),
        np.zeros((4, 9), int),
        np.zeros((4, 0)),
        "cut",
        "object",
        "x",
    ],
)
def test_bad_motion_files(tmp_path: Path, held: Any):
    path = tmp_path / "a.npy"
    if isinstance(held, np.ndarray):
        np.save(path, held)
    elif held == "cut":
        np.save(path, np.zeros((4, 9)))
        path.write_bytes(path.read_bytes()[:-1])
    elif held == "object":
        np.save(path, np.array([{}]), allow_pickle=True)
    else:
        path.write_text(held)
    with pytest.raises(MeshError, match=r"a\.npy"):
        read_motion(path)


def test_pairs(tmp_path: Path):
    predicted, truth = tmp_path / "p", tmp_path / "t"
    predicted.mkdir()
    truth.mkdir()
    with pytest.raises(MeshError, match=r"no \.npy files"):
        list(pairs(predicted, truth))
    for path in (predicted / "F2_e37_condition_F2.npy", predicted / "F3_e37.npy", truth / "F2_e37.npy"):
        path.touch()
    with pytest.raises(MeshError, match=r"F3_e37\.npy has no truth"):
        list(pairs(predicted, truth))
    (truth / "F3_e37.npy").touch()
    (truth / "F9_e01.npy").touch()  # not predicted
    found = [(name, path.name) for name, _, path in pairs(predicted, truth)]
    assert found == [("F2_e37_condition_F2", "F2_e37.npy"), ("F3_e37", "F3_e37.npy")]
    with pytest.raises(MeshError, match="two files or two folders"):
        list(pairs(predicted, truth / "F3_e37.npy"))
    with pytest.raises(MeshError, match="There is no"):
        list(pairs(tmp_path / "absent", truth))


# --- The command -----------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    np.save(tmp_path / "p.npy", moved(2, v0=[(3, 4, 0)] * 2))
    np.save(tmp_path / "ann_01.npy", np.zeros((4, 9)))
    (tmp_path / "head.obj").write_text("v 0 0 0\nv 0 0 0\nv 0 0 0\nf 1 2 3\n")
    (tmp_path / "templates.pkl").write_bytes(pickle.dumps({"ann": np.zeros((3, 3)), "bob": np.ones((3, 3))}))
    (tmp_path / "lve.txt").write_text("0, 1")
    (tmp_path / "fdd.txt").write_text("2")
    return {path.name: str(path) for path in tmp_path.iterdir()}


def test_the_command(files: dict[str, str], capsys: pytest.CaptureFixture[str]):
    flags = ["--lips", files["lve.txt"], "--truth-every", "2"]
    command = ["evaluate-mesh", files["p.npy"], files["ann_01.npy"], *flags]
    assert main([*command, "--template", files["head.obj"]]) == 0
    told = capsys.readouterr().out
    assert "1 clip, 2 frames" in told
    assert "2.5000e+01" in told
    assert "FDD" not in told
    assert main([*command, "--template", files["templates.pkl"], "--upper", files["fdd.txt"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "frames": 2,
        "lve": 25.0,
        "fdd": 0.0,
        "clips": [{"name": "ann_01", "frames": 2, "lve": 25.0, "fdd": 0.0}],
    }
    assert main([*command, "--template", files["templates.pkl"], "--person", "bob"]) == 0


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"--truth-every": "1"}, "2 frames, but the truth has 4"),
        ({"--truth-every": "0"}, "--truth-every must be 1 or more"),
        ({"--person": "zoe"}, "no subject 'zoe'"),
        ({"--template": "lve.txt"}, "lve.txt"),
        ({"--template": "absent.pkl"}, "There is no mesh file"),
        ({"--lips": "head.obj"}, "no list of vertex numbers"),
    ],
)
def test_the_command_refuses(
    files: dict[str, str], capsys: pytest.CaptureFixture[str], changed: dict[str, str], word: str
):
    flags = {"--lips": "lve.txt", "--template": "templates.pkl", "--truth-every": "2"} | changed
    given = [part for flag, value in flags.items() for part in (flag, files.get(value, value))]
    assert main(["evaluate-mesh", files["p.npy"], files["ann_01.npy"], *given]) == 2
    said = capsys.readouterr().err
    assert word in said
    assert said.count("\n") == 1


def test_the_table_names_the_worst():
    clips = [ClipResult(f"c{n}", 1, float(n), -1.0) for n in range(5)]
    told = MeshReport(tuple(clips)).table()
    assert "c4 4.0000e+00, c3" in told
    assert "c1" not in told
    assert "moves too much" in told


@pytest.mark.parametrize(
    "text",
    [
        "{1e308: '<f4'}}",
        "(" * 9000,
        "-" * 9000 + "1",
        "¢<script>",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 9)}",
    ],
    ids=range(5),
)
def test_headers_that_were_made_to_break_what_reads_them(tmp_path, text):
    path = tmp_path / "a.npy"
    packed = text.encode("latin1")
    path.write_bytes(b"\x93NUMPY\1\0" + len(packed).to_bytes(2, "little") + packed + bytes(8))
    with pytest.raises(MeshError, match="cannot be read"):
        read_motion(path)
