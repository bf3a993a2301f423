"""Live Link Face's .csv, both ways: its times and rates, its odd cells, and a sentence for every bad file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sadtalker_ext.errors import TrackError
from sadtalker_ext.tracks import ARKIT, HEAD_POSE, MotionTrack
from sadtalker_ext.tracks.files import load_track, save_track
from sadtalker_ext.tracks.livelink import HEADER

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
    return MotionTrack(ARKIT, fps, data)


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


def test_head_pose_signs_survive(tmp_path: Path) -> None:
    track = MotionTrack.rest(2, 25.0).with_columns(dict(zip(HEAD_POSE, (10.0, -5.0, 3.0), strict=True)))
    again = load_track(save_track(track, tmp_path / "t.csv"))
    np.testing.assert_allclose(again.data[0, -3:], [10, -5, 3], atol=1e-4)
