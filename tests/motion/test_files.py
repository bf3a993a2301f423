"""Motion tracks in files: exact .npz, Live Link Face .csv both ways, and a sentence for every bad file."""

from __future__ import annotations

import json
import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from sadtalker_ext.errors import OutputError, TrackError
from sadtalker_ext.motion import files
from sadtalker_ext.motion.files import check_track_output, load_track, save_track
from sadtalker_ext.motion.livelink import HEADER
from sadtalker_ext.track import ARKIT, BIWI_VERTICES, HEAD_POSE, MotionSpace, MotionTrack, vertex_space

# The first line of a recording by the app, and a row of one at 30 rows a second (shortened to two values).
APP_HEADER = (
    "Timecode,BlendShapeCount,EyeBlinkLeft,EyeLookDownLeft,EyeLookInLeft,EyeLookOutLeft,EyeLookUpLeft,"
    "EyeSquintLeft,EyeWideLeft,EyeBlinkRight,EyeLookDownRight,EyeLookInRight,EyeLookOutRight,EyeLookUpRight,"
    "EyeSquintRight,EyeWideRight,JawForward,JawRight,JawLeft,JawOpen,MouthClose,MouthFunnel,MouthPucker,"
    "MouthRight,MouthLeft,MouthSmileLeft,MouthSmileRight,MouthFrownLeft,MouthFrownRight,MouthDimpleLeft,"
    "MouthDimpleRight,MouthStretchLeft,MouthStretchRight,MouthRollLower,MouthRollUpper,MouthShrugLower,"
    "MouthShrugUpper,MouthPressLeft,MouthPressRight,MouthLowerDownLeft,MouthLowerDownRight,MouthUpperUpLeft,"
    "MouthUpperUpRight,BrowDownLeft,BrowDownRight,BrowInnerUp,BrowOuterUpLeft,BrowOuterUpRight,CheekPuff,"
    "CheekSquintLeft,CheekSquintRight,NoseSneerLeft,NoseSneerRight,TongueOut,HeadYaw,HeadPitch,HeadRoll,"
    "LeftEyeYaw,LeftEyePitch,LeftEyeRoll,RightEyeYaw,RightEyePitch,RightEyeRoll"
)


def random_track(frames: int = 60, fps: float = 25.0) -> MotionTrack:
    rng = np.random.default_rng(1)
    data = rng.random((frames, ARKIT.dim))
    data[:, ARKIT.indices(["pose"])] = rng.uniform(-20, 20, (frames, 3))
    return MotionTrack(ARKIT, fps, data, {"seed": 3, "lips": {"generator": "tést", "hash": "ab12"}})


def recording(
    folder: Path, codes: list[str], values: list[float], column: str = "JawOpen", **changes: str
) -> Path:
    """A file in the app's format in which one column moves."""
    place = APP_HEADER.split(",").index(column)
    lines = [APP_HEADER]
    for code, value in zip(codes, values, strict=True):
        cells = [code, "61"] + ["0.0000000000"] * 61
        cells[place] = f"{value:.10f}"
        lines.append(",".join(cells))
    path = folder / "take_1_iPhone.csv"
    text = changes.get("newline", "\n").join(lines) + "\n"
    path.write_bytes(text.encode(changes.get("encoding", "utf-8")))
    return path


def clock(seconds: float, rate: int, hour: int = 13) -> str:
    whole = int(seconds + 1e-9)
    return f"{hour:02d}:{whole // 60:02d}:{whole % 60:02d}:{(seconds - whole) * rate:06.3f}"


def test_npz_keeps_everything(tmp_path: Path) -> None:
    track = random_track(fps=29.97)
    path = save_track(track, tmp_path / "tráck with spaces.npz")
    again = load_track(path)
    np.testing.assert_array_equal(again.data, track.data)
    assert again.fps == track.fps
    assert again.provenance == track.provenance
    assert again.space == ARKIT
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_npz_columns_are_found_by_name(tmp_path: Path) -> None:
    track = random_track(5)
    path = save_track(track, tmp_path / "t.npz")
    with np.load(path) as stored:
        parts = dict(stored)
    parts["columns"], parts["data"] = parts["columns"][::-1], parts["data"][:, ::-1]
    np.savez(path, **parts)
    np.testing.assert_array_equal(load_track(path).data, track.data)


@pytest.mark.parametrize("fps", [1.0, 7.0, 12.5, 15.0, 23.976, 24.0, 25.0, 29.97, 30.0, 50.0, 59.94, 60.0])
def test_csv_round_trip(tmp_path: Path, fps: float) -> None:
    track = random_track(round(3.2 * fps) + 2, fps)
    again = load_track(save_track(track, tmp_path / "t.csv"))
    assert again.fps == pytest.approx(fps, abs=2e-3)
    assert again.data.shape == track.data.shape
    np.testing.assert_allclose(again.data, track.data, atol=1e-4)


def test_csv_is_written_as_the_app_writes_it(tmp_path: Path) -> None:
    track = MotionTrack.rest(40, 30.0).with_columns(
        {"headYaw": 10.0, "headPitch": 5.0, "headRoll": -3.0, "jawOpen": 0.25}
        | {"eyeLookOutLeft": 0.5, "eyeLookInRight": 0.5, "eyeLookUpLeft": 0.2, "eyeLookUpRight": 0.2}
    )
    text = save_track(track, tmp_path / "t.csv").read_bytes().decode("ascii")
    lines = text.split("\r\n")
    assert lines[0] == APP_HEADER == ",".join(HEADER)
    assert lines[-1] == ""
    assert len(lines) == 42
    rows = [dict(zip(HEADER, line.split(","), strict=True)) for line in lines[1:-1]]
    assert [row["Timecode"] for row in rows[:2]] == ["00:00:00:00.000", "00:00:00:02.000"]
    assert rows[31]["Timecode"] == "00:00:01:02.000"
    row = rows[7]
    assert row["BlendShapeCount"] == "61"
    assert row["JawOpen"] == "0.2500000000"
    assert float(row["HeadYaw"]) == pytest.approx(-np.radians(10), abs=1e-6)  # towards the person's own left
    assert float(row["HeadPitch"]) == pytest.approx(-np.radians(5), abs=1e-6)  # up
    assert float(row["HeadRoll"]) == pytest.approx(-np.radians(3), abs=1e-6)
    assert float(row["LeftEyeYaw"]) == float(row["RightEyeYaw"]) == pytest.approx(-0.305, abs=0.01)
    assert float(row["LeftEyePitch"]) == pytest.approx(-0.122, abs=0.01)


def test_timecodes_pass_minutes_and_hours(tmp_path: Path) -> None:
    track = MotionTrack.rest(3700, 1.0)
    lines = save_track(track, tmp_path / "t.csv").read_text().splitlines()
    assert lines[61].startswith("00:01:00:00.000,")
    assert lines[3601].startswith("01:00:00:00.000,")
    assert load_track(tmp_path / "t.csv").duration == 3700


@pytest.mark.parametrize(
    ("rate", "fps"), [(60, 60), (60, 30), (60, 25), (60, 24), (30, 30), (25, 25), (24, 24), (50, 50)]
)
def test_frame_rate_is_read_from_the_timecodes(tmp_path: Path, rate: int, fps: int) -> None:
    codes = [clock(19.2 + i / fps, rate) for i in range(4 * fps)]
    track = load_track(recording(tmp_path, codes, [0.5] * len(codes)))
    assert track.fps == fps
    assert len(track) == len(codes)


def test_the_apps_own_drifting_timecodes(tmp_path: Path) -> None:
    # A take of 63 s whose 60-frame clock runs 1.2e-4 slow, as recorded by the app.
    codes = [clock(6.595 / 60 + i * 1.99975 / 60, 60) for i in range(1891)]
    values = np.linspace(0, 1, 1891)
    track = load_track(recording(tmp_path, codes, values.tolist()))
    assert track.fps == 30
    assert abs(len(track) - 1891) <= 1
    np.testing.assert_allclose(track.column("jawOpen")[:1890], values[:1890], atol=2e-3)


def test_lost_rows_leave_no_jump_in_time(tmp_path: Path) -> None:
    times = np.delete(np.arange(120) / 30, range(50, 65))
    track = load_track(recording(tmp_path, [clock(time, 60) for time in times], (times / 4).tolist()))
    assert track.fps == 30
    assert len(track) == 120
    np.testing.assert_allclose(track.column("jawOpen"), np.arange(120) / 120, atol=1e-4)


def test_rows_without_a_face_are_filled_in(tmp_path: Path) -> None:
    path = recording(tmp_path, [clock(i / 30, 60) for i in range(90)], [i / 90 for i in range(90)])
    lines = path.read_text().splitlines()
    for i in (0, 40, 41, 42):
        lines[1 + i] = lines[1 + i].split(",")[0] + ",0"
    path.write_text("\n".join(lines))
    jaw = load_track(path).column("jawOpen")
    assert len(jaw) == 90
    np.testing.assert_allclose(jaw[1:], np.arange(1, 90) / 90, atol=1e-6)
    assert jaw[0] == jaw[1]


def test_midnight(tmp_path: Path) -> None:
    codes = [clock(59 * 60 + 59 + i / 30, 60, hour=23) for i in range(30)] + [
        clock(i / 30, 60, hour=0) for i in range(30)
    ]
    track = load_track(recording(tmp_path, codes, [i / 60 for i in range(60)]))
    assert (track.fps, len(track)) == (30, 60)


def test_given_rate_wins_and_makes_timecodes_needless(tmp_path: Path) -> None:
    path = recording(tmp_path, ["unknown"] * 12, [0.5] * 12)
    with pytest.raises(TrackError, match="frames a second"):
        load_track(path)
    assert load_track(path, fps=24.0).fps == 24
    path = recording(tmp_path, [clock(i / 30, 60) for i in range(40)], [0.5] * 40)
    assert load_track(path, fps=29.97).fps == 29.97
    assert len(load_track(path, fps=29.97)) == 40


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_line_ends_and_encodings(tmp_path: Path, newline: str, encoding: str) -> None:
    path = recording(
        tmp_path, [clock(i / 60, 60) for i in range(90)], [0.5] * 90, newline=newline, encoding=encoding
    )
    track = load_track(path)
    assert (len(track), track.fps) == (90, 60)
    assert track.column("jawOpen")[5] == 0.5


def test_spreadsheet_with_semicolons_and_decimal_commas(tmp_path: Path) -> None:
    path = tmp_path / "edited.csv"
    rows = [f'{clock(i / 30, 60)};61;0,5;1E-05;"0,25"' for i in range(70)]
    path.write_text(
        "\ufeffTimecode;BlendshapeCount;JawOpen;headyaw;EyeBlinkRight;Notes\r\n" + "\r\n".join(rows)
    )
    with pytest.raises(TrackError, match="Live Link Face"):
        load_track(path)  # three columns are too few to be sure
    names = "Timecode;BlendshapeCount;JawOpen;headyaw;EyeBlinkRight;MouthClose;TongueOut;Notes"
    path.write_text(names + "\r\n" + "\r\n".join(row + ";;0;hello" for row in rows))
    track = load_track(path)
    assert track.fps == 30
    assert track.column("jawOpen")[3] == 0.5
    assert track.column("eyeBlinkRight")[3] == 0.25
    assert track.column("headYaw")[3] == pytest.approx(-np.degrees(1e-5))
    assert track.column("mouthClose").max() == 0


def test_column_order_is_free_and_unknown_columns_are_ignored(tmp_path: Path) -> None:
    track = random_track(30, 30.0)
    path = save_track(track, tmp_path / "t.csv")
    rows = [line.split(",") for line in path.read_text().splitlines()]
    order = np.random.default_rng(0).permutation(len(rows[0]))
    shuffled = [
        ",".join([*(row[i] for i in order), "Extra" if n == 0 else "x"]) for n, row in enumerate(rows)
    ]
    path.write_text("\n".join(shuffled))
    np.testing.assert_allclose(load_track(path).data, track.data, atol=1e-4)


def test_blendshapes_are_cut_to_their_range(tmp_path: Path) -> None:
    codes = [clock(i / 60, 60) for i in range(3)]
    np.testing.assert_allclose(
        load_track(recording(tmp_path, codes, [-0.2, 0.5, 1.3])).column("jawOpen"), [0, 0.5, 1]
    )


BAD_CSV = {
    "empty": b"",
    "blank": b"\n\n \n",
    "text": b"Dear diary, today nothing moved.\nReally nothing.\n",
    "binary": bytes(range(256)) * 4,
    "nul": b"Timecode,JawOpen\0,x\n",
    "other table": b"name,price\napple,3\n",
    "header only": APP_HEADER.encode(),
}


@pytest.mark.parametrize("kind", BAD_CSV)
def test_bad_csv_is_a_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(BAD_CSV[kind])
    with pytest.raises(TrackError, match=r"bad\.csv") as caught:
        load_track(path)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("cell", "words"), [("nan", "nan"), ("inf", "inf"), ("0,x", "number"), ("#REF!", "REF")]
)
def test_cells_that_are_not_numbers(tmp_path: Path, cell: str, words: str) -> None:
    path = recording(tmp_path, [clock(i / 60, 60) for i in range(3)], [0.1, 0.7654321, 0.3])
    path.write_text(path.read_text().replace("0.7654321000", f'"{cell}"'))
    with pytest.raises(TrackError, match=words):
        load_track(path)


def test_percent_and_degrees_are_noticed(tmp_path: Path) -> None:
    codes = [clock(i / 60, 60) for i in range(3)]
    with pytest.raises(TrackError, match="between 0 and 1"):
        load_track(recording(tmp_path, codes, [0, 55, 100]))
    with pytest.raises(TrackError, match="radians"):
        load_track(recording(tmp_path, codes, [0, 12, -20], "HeadYaw"))


def test_times_that_do_not_rise(tmp_path: Path) -> None:
    with pytest.raises(TrackError, match="rise"):
        load_track(recording(tmp_path, [clock(5 - i / 60, 60) for i in range(9)], [0.1] * 9))


def damaged_npz(folder: Path, kind: str) -> Path:
    path = save_track(random_track(4), folder / "t.npz")
    with np.load(path) as stored:
        parts = dict(stored)
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:300])
    elif kind == "scrambled":  # within the compressed numbers
        whole = bytearray(path.read_bytes())
        start = whole.index(b"data.npy") + 40
        whole[start : start + 200] = bytes(200)
        path.write_bytes(whole)
    elif kind == "encrypted":
        whole = bytearray(path.read_bytes())
        for entry in re.finditer(rb"PK\x01\x02", bytes(whole)):
            whole[entry.start() + 8] |= 1  # of the directory's flags: this member is encrypted
        path.write_bytes(whole)
    elif kind == "text":
        path.write_text("not a zip")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"data": 1}))
    elif kind == "objects":
        parts["data"] = np.array([{"a": 1}], dtype=object)
        np.savez(path, **parts)
    else:
        changed: dict[str, dict[str, object]] = {
            "no fps": {"fps": None},
            "nan": {"data": np.full_like(parts["data"], np.nan)},
            "no rows": {"data": parts["data"][:0]},
            "few columns": {"data": parts["data"][:, :3]},
            "zero fps": {"fps": np.float64(0)},
            "word fps": {"fps": np.str_("fast")},
            "other space": {"space": np.str_("flame")},
            "newer": {"version": np.int64(99)},
            "bad json": {"provenance": np.str_("{")},
        }
        parts = {name: value for name, value in (parts | changed[kind]).items() if value is not None}
        np.savez(path, **parts)
    return path


@pytest.mark.parametrize(
    "kind",
    ["truncated", "scrambled", "encrypted",
     "text", "empty", "pickle", "objects", "no fps", "nan", "no rows", "few columns", "zero fps",
     "word fps", "other space", "newer", "bad json"],
)  # fmt: skip
def test_bad_npz_is_a_sentence(tmp_path: Path, kind: str) -> None:
    with pytest.raises(TrackError, match=r"t\.npz") as caught:
        load_track(damaged_npz(tmp_path, kind))
    assert str(caught.value).endswith(".")


def test_a_late_nan_is_found(tmp_path: Path) -> None:
    path = save_track(random_track(4), tmp_path / "t.npz")
    with np.load(path) as stored:
        parts = dict(stored)
    parts["data"] = parts["data"].copy()
    parts["data"][-1, 0] = np.nan
    np.savez(path, **parts)
    with pytest.raises(TrackError, match="not finite"):
        load_track(path)


@pytest.mark.parametrize("order", ["C", "F"])
def test_columns_may_stand_in_any_order(tmp_path: Path, order: str) -> None:
    """Of a large mesh, too: the search for names must not grow with their square."""
    space = vertex_space(BIWI_VERTICES)
    track = MotionTrack(space, 25.0, np.arange(3 * space.dim).reshape(3, -1) / space.dim)
    path = save_track(track, tmp_path / "t.npz")
    with np.load(path) as stored:
        parts = dict(stored)
    parts["columns"] = parts["columns"][::-1]
    parts["data"] = np.asarray(parts["data"][:, ::-1], np.float64, order=order)
    np.savez(path, **parts)
    np.testing.assert_array_equal(load_track(path).data, track.data)


def test_vertices_may_be_more_than_coefficients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 4000)
    track = MotionTrack.rest(100, 30.0, vertex_space(10))
    assert len(load_track(save_track(track, tmp_path / "t.npz"))) == 100
    with pytest.raises(TrackError, match="too large"):
        load_track(save_track(MotionTrack.rest(100, 30.0), tmp_path / "u.npz"))


class Trap:
    """Code that runs when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def test_code_in_a_track_never_runs(tmp_path: Path) -> None:
    path = save_track(random_track(4), tmp_path / "t.npz")
    with np.load(path) as stored:
        parts = dict(stored)
    parts["provenance"] = np.array([Trap(tmp_path / "ran")], dtype=object)
    np.savez(path, **parts)
    with pytest.raises(TrackError):
        load_track(path)
    assert not (tmp_path / "ran").exists()


def test_missing_folder_and_unknown_files(tmp_path: Path) -> None:
    with pytest.raises(TrackError, match="does not exist"):
        load_track(tmp_path / "none.npz")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(TrackError, match="is a folder"):
        load_track(tmp_path / "folder.csv")
    with pytest.raises(TrackError, match="Live Link Face"):
        load_track(tmp_path / "track.json")
    with pytest.raises(TrackError, match="frame rate"):
        load_track(tmp_path / "none.csv", fps=0)


def test_output_refused_before_work(tmp_path: Path) -> None:
    assert check_track_output(tmp_path / "new.csv") == tmp_path / "new.csv"
    (tmp_path / "old.npz").write_text("mine")
    for name, words in (
        ("t.json", "npz"), ("t", "npz"), ("old.npz", "exists"), ("no/t.csv", "create it"),
    ):  # fmt: skip
        with pytest.raises(OutputError, match=words):
            check_track_output(tmp_path / name)
        with pytest.raises(OutputError, match=words):
            save_track(random_track(2), tmp_path / name)
    (tmp_path / "dir.npz").mkdir()
    with pytest.raises(OutputError, match="folder"):
        check_track_output(tmp_path / "dir.npz", overwrite=True)
    assert (tmp_path / "old.npz").read_text() == "mine"
    save_track(random_track(2), tmp_path / "old.npz", overwrite=True)
    assert len(load_track(tmp_path / "old.npz")) == 2


@pytest.mark.skipif(
    os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere"
)
def test_unwritable_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="Cannot write"):
            save_track(random_track(2), tmp_path / "t.npz")
    finally:
        tmp_path.chmod(0o700)


def test_a_failed_write_leaves_nothing_and_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.csv").write_text("mine")

    def full(track: MotionTrack, file: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_livelink", full)
    with pytest.raises(OutputError, match="No space left"):
        save_track(random_track(2), tmp_path / "t.csv", overwrite=True)
    with pytest.raises(OutputError, match="No space left"):
        save_track(random_track(2), tmp_path / "new.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    assert (tmp_path / "t.csv").read_text() == "mine"


def test_a_file_that_appears_meanwhile_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = files.write_livelink

    def slow(track: MotionTrack, file: object) -> None:
        write(track, file)  # type: ignore[arg-type]
        (tmp_path / "t.csv").write_text("theirs")

    monkeypatch.setattr(files, "write_livelink", slow)
    with pytest.raises(OutputError, match="meanwhile"):
        save_track(random_track(2), tmp_path / "t.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    assert (tmp_path / "t.csv").read_text() == "theirs"


def test_other_spaces_are_not_csv(tmp_path: Path) -> None:
    other = MotionTrack.rest(2, 25.0, MotionSpace("other", ("a",), {"pose": (0,)}))
    with pytest.raises(TrackError, match="arkit"):
        save_track(other, tmp_path / "t.csv")


def test_provenance_that_is_not_json_becomes_text(tmp_path: Path) -> None:
    track = MotionTrack(ARKIT, 25.0, np.zeros((1, ARKIT.dim)), {"path": tmp_path, "n": 3})
    assert load_track(save_track(track, tmp_path / "t.npz")).provenance == json.loads(
        json.dumps({"path": str(tmp_path), "n": 3})
    )


def test_head_pose_signs_survive(tmp_path: Path) -> None:
    track = MotionTrack.rest(2, 25.0).with_columns(dict(zip(HEAD_POSE, (10.0, -5.0, 3.0), strict=True)))
    again = load_track(save_track(track, tmp_path / "t.csv"))
    np.testing.assert_allclose(again.data[0, -3:], [10, -5, 3], atol=1e-4)
