"""Live Link Face recordings (.csv of the iOS app) into `arkit` tracks, and tracks into such recordings.

A row has a timecode HH:MM:SS:FF.fff, the number of values (61), the 52 blendshapes with a capital first
letter, and nine rotations. What the file does not state, measured on recordings of the app:

* FF counts 60 to the second whatever the rate of the rows; at 30 rows a second it advances by two.
* Rotations are radians: eyeLookOut = 1 is 0.61 of LeftEyeYaw, 35 degrees.
* Yaw is negative towards the person's own left, which is the picture's right; pitch is positive downwards.
  The head's angles, zero unless the app was told to record them, are taken to follow the eyes'; roll is then
  positive clockwise as the viewer sees it, which is what the eyes' own roll, about yaw × pitch, implies.
"""

from __future__ import annotations

import csv
import io
import re
from array import array
from collections.abc import Iterator
from typing import IO

import numpy as np

from ..errors import TrackError
from .spaces import ARKIT, ARKIT_BLENDSHAPES, HEAD_POSE
from .track import MotionTrack

EYE_ROTATIONS = ("LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll", "RightEyeYaw", "RightEyePitch", "RightEyeRoll")
TIMECODE, COUNT = "Timecode", "BlendShapeCount"


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]


VALUES = tuple(_capital(name) for name in ARKIT_BLENDSHAPES + HEAD_POSE) + EYE_ROTATIONS
HEADER = (TIMECODE, COUNT, *VALUES)
TO_DEGREES = {"HeadYaw": -180 / np.pi, "HeadPitch": -180 / np.pi, "HeadRoll": 180 / np.pi}
RADIANS_PER_LOOK = 0.61  # rotation of an eye at eyeLook… = 1

CLOCK = 60  # timecode frames a second
CLOCKS = (24, 25, 30, 48, 50, 60)  # of other programs
ASSUMED_FPS = 60.0  # the app's rate, for a recording too short to tell
EVEN = 0.25  # of a frame: rows this close to evenly spaced count as evenly spaced
SNAP = 3e-4  # relative: the app's clock runs this close to a whole rate
FEWEST_COLUMNS = 5  # of ours that a file must have to be taken for a recording
LARGEST = 2.0  # a blendshape beyond this is not in 0..1 but something else, like percent
LARGEST_TURN = np.pi  # radians
DAY_S = 86400.0
MOST_ROWS = 1_000_000  # four hours of the app's rate


def write_livelink(track: MotionTrack, file: IO[bytes]) -> None:
    """Write an `arkit` track as the app would; read back it is equal within 1e-6 and 1e-4 degrees."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(HEADER)
    columns = [track.column(name).astype(np.float64) for name in ARKIT_BLENDSHAPES]
    columns += [track.column(name) / TO_DEGREES[_capital(name)] for name in HEAD_POSE]
    columns += _eye_rotations(track)
    for number, row in enumerate(np.stack(columns, axis=1)):
        values = [f"{value:.10f}" for value in row.tolist()]
        writer.writerow([_timecode(number / track.fps), str(len(VALUES)), *values])
        if text.tell() > 1 << 20:  # a long track is not held as text
            file.write(text.getvalue().encode("ascii"))
            text.seek(0)
            text.truncate()
    file.write(text.getvalue().encode("ascii"))


def read_livelink(raw: bytes, name: str, fps: float | None = None) -> MotionTrack:
    """Bytes of a recording into an `arkit` track; `name` is what messages call it.

    Columns may come in any order and case, be missing (0) or unknown (ignored); a spreadsheet's separators,
    decimal commas and byte-order mark are understood. Rows without values, where the app saw no face, are
    filled in from their neighbours. Blendshapes are cut to 0..1. fps: the rows' rate if it is known;
    otherwise it is read from the timecodes. Raises `TrackError`.
    """
    header, lines = _table(raw, name)
    wanted = {_capital(column).lower(): i for i, column in enumerate(ARKIT.columns)}
    places = [(position, wanted[cell]) for position, cell in enumerate(header) if cell in wanted]
    if len(places) < FEWEST_COLUMNS:
        such = f"columns such as {VALUES[0]} and {VALUES[17]}."
        raise TrackError(f"{name} is not a Live Link Face recording: its first line must name {such}")
    clock = header.index(TIMECODE.lower()) if TIMECODE.lower() in header else len(header)
    columns = [column for _, column in places]
    codes: list[str] = []
    known: list[bool] = []
    values = array("d")  # of rows that have any
    for line in lines:
        if len(codes) == MOST_ROWS:
            raise TrackError("{name} has more than {most:,} rows; cut it.", name=name, most=MOST_ROWS)
        cells = [line[position].strip() if position < len(line) else "" for position, _ in places]
        known.append(any(cells))
        codes.append(line[clock] if clock < len(line) else "")
        if known[-1]:
            values.extend(_number(cell, name, len(codes) - 1) for cell in cells)
    if not values:
        raise TrackError(f"{name} holds no motion: none of its rows has values.")
    data, seen = np.zeros((len(values) // len(places), ARKIT.dim)), np.array(known)
    for place, column in enumerate(columns):
        data[:, column] = np.frombuffer(values)[place :: len(places)]
    del values
    _check_ranges(data, name)
    times = _times(codes)
    if fps is not None:
        times = np.arange(len(codes)) / fps
    elif times is None:
        told = "{name} has no usable timecodes (like 12:21:59:06.595); {frame_rate}."
        raise TrackError(told, "frame_rate", name=name)
    else:
        fps = _rate(times, name)
    for column, name_in_file in zip(ARKIT.indices(["pose"]), HEAD_POSE, strict=True):
        data[:, column] *= TO_DEGREES[_capital(name_in_file)]
    shapes = slice(0, len(ARKIT_BLENDSHAPES))
    data[:, shapes] = np.clip(data[:, shapes], 0, 1)
    data = _evenly(data, times[seen], times, fps)
    return MotionTrack(ARKIT, fps, data.astype(np.float32), {"file": name, "format": "Live Link Face"})


def _eye_rotations(track: MotionTrack) -> list[np.ndarray]:
    rotations: list[np.ndarray] = []
    for side, outwards in (("Left", -1), ("Right", 1)):
        across = track.column(f"eyeLookOut{side}") - track.column(f"eyeLookIn{side}")
        down = track.column(f"eyeLookDown{side}") - track.column(f"eyeLookUp{side}")
        yaw, pitch = outwards * RADIANS_PER_LOOK * across, RADIANS_PER_LOOK * down
        rotations += [yaw, pitch, yaw * pitch]
    return rotations


def _timecode(seconds: float) -> str:
    thousandths = round(seconds * CLOCK * 1000)
    whole, part = divmod(thousandths, CLOCK * 1000)
    frame, rest = divmod(part, 1000)
    minutes, second = divmod(whole, 60)
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}:{second:02d}:{frame:02d}.{rest:03d}"


def _table(raw: bytes, name: str) -> tuple[list[str], Iterator[list[str]]]:
    """Lower-case names of the columns, and the rows that are not empty."""
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeError:
        text = "\0"
    if "\0" in text:
        raise TrackError(f"{name} is not a text file; give a .csv as Live Link Face writes it.")
    text = text.lstrip()
    if not text:
        raise TrackError(f"{name} is empty; give a .csv as Live Link Face writes it.")
    separator = max(",;\t", key=text.partition("\n")[0].count)
    lines = _rows(text, separator, name)
    return [cell.strip().lower() for cell in next(lines, [])], lines


def _rows(text: str, separator: str, name: str) -> Iterator[list[str]]:
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            if any(row):
                # Where something else separates the columns, a comma is the decimal sign.
                yield row if separator == "," else [cell.replace(",", ".") for cell in row]
    except csv.Error as error:
        raise TrackError("{name} is not a readable .csv file ({error}).", error, name=name) from error


def _number(cell: str, name: str, row: int) -> float:
    if not cell:
        return 0.0
    try:
        value = float(cell)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        where = f"in row {row + 1} of its values"
        raise TrackError(f"{name} holds {cell[:20]!r} where a number should be, {where}.")
    return value


def _check_ranges(data: np.ndarray, name: str) -> None:
    largest = float(np.abs(data[:, : len(ARKIT_BLENDSHAPES)]).max())
    if largest > LARGEST:
        raise TrackError(f"{name} holds blendshapes up to {largest:g}; they must lie between 0 and 1.")
    turned = float(np.abs(data[:, ARKIT.indices(["pose"])]).max())
    if turned > LARGEST_TURN + 1e-3:
        raise TrackError(f"{name} turns the head by {turned:g}; head angles must be radians, at most 3.14.")


def _times(codes: list[str]) -> np.ndarray | None:
    """Seconds from the first row on, rising; None when some timecode cannot be read."""
    matches = [
        re.fullmatch(r"\s*(\d{1,9}):(\d{1,9}):(\d{1,9})[:;.](\d{1,9}(?:[.,]\d*)?)\s*", code) for code in codes
    ]
    if not all(matches):
        return None
    fields = np.array([[float(part.replace(",", ".")) for part in m.groups()] for m in matches if m])
    whole, frames = fields[:, :3] @ np.array([3600.0, 60.0, 1.0]), fields[:, 3]
    times = whole + frames / _clock(whole, frames)
    times = times + DAY_S * np.cumsum(np.concatenate([[0], np.diff(times) < -DAY_S / 2]))  # past midnight
    return times - times[0]


def _clock(whole: np.ndarray, frames: np.ndarray) -> int:
    """Timecode frames a second, from the way FF starts again when a second is over."""
    over = np.diff(whole) == 1
    within = np.diff(frames)[np.diff(whole) == 0]
    if not over.any() or not len(within):
        return CLOCK
    wrap = float(np.median(within) - np.median(np.diff(frames)[over]))
    return min(CLOCKS, key=lambda rate: abs(rate - wrap))


def _rate(times: np.ndarray, name: str) -> float:
    steps = np.diff(times)
    if not len(steps):
        return ASSUMED_FPS
    step = float(np.median(steps))
    if step <= 0 or (steps < 0).any():
        raise TrackError("The timecodes of {name} do not rise; {frame_rate}.", "frame_rate", name=name)
    even = steps[np.abs(steps - step) < EVEN * step]
    # Timecodes are rounded: the mean over all even steps is finer than any one of them.
    rate = 1 / float(even.mean())
    whole = max(1, round(rate))
    return float(whole) if abs(rate - whole) < SNAP * whole else round(rate, 3)


def _evenly(data: np.ndarray, known: np.ndarray, times: np.ndarray, fps: float) -> np.ndarray:
    """Rows at `known` seconds as rows 1/fps apart; where rows were lost, straight lines."""
    grid = np.arange(len(times)) / fps
    if len(known) == len(times) and np.abs(times - grid).max() <= EVEN / fps:
        return data
    frames = round(float(times[-1]) * fps) + 1
    if frames > 100 * len(times) + 1000:  # a clock that jumped by hours
        return data
    grid = np.arange(frames) / fps
    return np.stack([np.interp(grid, known, column) for column in data.T], axis=1)
