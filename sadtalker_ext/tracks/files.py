"""Motion tracks into files and back: .npz, and .csv as the Live Link Face app writes it."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import Foreign, OutputError, Place, TrackError
from ..system.archives import open_member, open_zip, read_array, read_array_header, write_arrays
from ..system.foreign import damage_as, open_file, parse_json, read_file
from ..system.outputs import check_new_file, write_whole
from ..system.paths import existing_file, user_path
from .livelink import read_livelink, write_livelink
from .rows import gathered, slices
from .spaces import ARKIT, SPACES, MotionSpace, space_named
from .track import MotionTrack

FORMAT_VERSION = 1  # of our .npz
SUFFIXES = (".npz", ".csv")
LARGEST = 360.0  # of any value; what is beyond it is no motion, and overflows what is computed from it
MAX_SECONDS = 86400.0  # longer ones have a wrong frame rate
MAX_BYTES = 2**31  # unpacked; a day of coefficients at 60 frames/s has 1.1 GB. Vertices may be more.
DATA = "data.npy"  # where our .npz has the numbers
PARTS = ("version", "space", "columns", "fps", "data")
ABOUT_BYTES = 1 << 20  # of everything in a .npz that is no motion
COLUMN_BYTES = 256  # of the name of one
LARGE_BYTES = 1 << 28  # unpacked; what is larger
MOST_PACKED = 200  # must not be packed to less than a part in so many: it would be a bomb
CSV_BYTES = 1 << 28


def save_track(track: MotionTrack, path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Write a track to `path`: .npz (exact) or .csv (Live Link Face, `arkit` only); returns the path.

    overwrite: whether an existing file may be replaced. Written under a temporary name and renamed, so a
    failure leaves no file. Raises `OutputError` for another ending, a place that cannot be written or,
    unless `overwrite`, a file that exists; `TrackError` for a .csv of another space.
    """
    target = check_track_output(path, overwrite)
    if target.suffix.lower() == ".csv" and track.space != ARKIT:
        raise TrackError(f"Only arkit tracks can be written as .csv, not {track.space.name}; choose .npz.")
    write = write_livelink if target.suffix.lower() == ".csv" else _write_npz
    write_whole(target, overwrite, lambda file: write(track, file))
    return target


def load_track(path: str | os.PathLike[str], fps: float | None = None) -> MotionTrack:
    """Read a track from the file at `path`: a .npz, or a .csv of Live Link Face.

    fps: the frames per second at which a .csv was recorded, when they are known better than its timecodes
    say; the track is not resampled, and a .npz has its own rate. Raises `TrackError` with what is wrong: no
    such file, no motion, damaged, in a motion space that is not known here, or out of range.
    """
    source, problem = existing_file(path)
    if fps is not None and not (np.isfinite(fps) and fps > 0):
        raise TrackError(f"A motion track needs a positive frame rate, not {fps}.")
    suffix = source.suffix.lower()
    if suffix not in SUFFIXES:
        told = "{name} is not a motion track; give a .npz or a Live Link Face .csv file."
        raise TrackError(told, name=source.name)
    if problem:
        raise TrackError("The motion track {path!r} {problem}.", Place(path), problem=problem)
    try:
        if suffix == ".npz":
            track = _read_npz(source)
        else:
            damaged = TrackError("{name} is no recording that can be read; export it anew.", name=source.name)
            with damage_as(damaged):
                track = read_livelink(read_file(source, CSV_BYTES), source.name, fps)
    except OSError as error:
        raise TrackError("Cannot read {path} ({error}).", source, error) from error
    if track.duration > MAX_SECONDS:
        raise _too_long(track.duration, track.fps, source.name)
    return track


def check_track_output(path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Refuse, before any work, a place where a track cannot be written; returns the path with `~` expanded.

    Raises `OutputError`: unknown ending, missing or unwritable folder, or a file that exists.
    """
    target = user_path(path)
    if target.suffix.lower() not in SUFFIXES:
        raise OutputError("A motion track is written as .npz or .csv; {path!r} is neither.", Place(path))
    check_new_file(target, overwrite)
    return target


def _write_npz(track: MotionTrack, file: IO[bytes]) -> None:
    arrays = {
        "version": np.int64(FORMAT_VERSION),
        "space": np.str_(track.space.name),
        "columns": np.array(track.space.columns),
        "fps": np.float64(track.fps),
        "data": track.data,
        "provenance": np.str_(json.dumps(dict(track.provenance), default=str, ensure_ascii=False)),
    }
    write_arrays(file, arrays, compressed=True)


def _read_npz(source: Path) -> MotionTrack:
    damaged = TrackError("{name} is damaged or not a motion track; save it again.", name=source.name)
    with open_file(source) as file, damage_as(damaged), open_zip(file) as (archive, members):
        about = _described(archive, members, source.name)
        data = _rows(archive, members[DATA], about, source.name)
        _check_numbers(data, source.name)
        if about.columns != about.space.columns:
            places = {column: place for place, column in enumerate(about.columns)}
            order = [places[column] for column in about.space.columns]
            parts = (data[part][:, order] for part in slices(*data.shape))
            data = gathered(parts, about.space.dim)
        return MotionTrack(about.space, about.fps, data, about.provenance)


@dataclass(frozen=True)
class _About:
    """What a .npz says of its numbers."""

    space: MotionSpace
    columns: tuple[str, ...]
    fps: float
    provenance: dict[str, Any]


def _described(archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], name: str) -> _About:
    missing = sorted(part for part in PARTS if f"{part}.npy" not in members)
    if missing:
        raise TrackError(
            "{name} is not a motion track: it has no {missing}.", name=name, missing=", ".join(missing)
        )

    def part(of: str, most: int = ABOUT_BYTES) -> np.ndarray:
        return read_array(archive, members[f"{of}.npy"], most)

    version, space_name, fps = int(part("version")), str(part("space")), float(part("fps"))
    if version > FORMAT_VERSION:
        newer = f"a newer version (format {version})"
        raise TrackError(f"{{name}} was written by {newer}; update this one to read it.", name=name)
    space = space_named(space_name)
    if space is None:
        told = "{name} is in the motion space {reason}; known here: {known}."
        raise TrackError(told, Foreign(repr(space_name)), name=name, known=", ".join(SPACES))
    columns = tuple(map(str, part("columns", ABOUT_BYTES + COLUMN_BYTES * space.dim).tolist()))
    if sorted(columns) != sorted(space.columns):
        told = f"does not hold the {space.dim} columns of the {space.name} space."
        raise TrackError(f"{{name}} {told}", name=name)
    if not (np.isfinite(fps) and fps > 0):
        raise TrackError("{name} holds no usable motion: its frame rate is no number above 0.", name=name)
    provenance = parse_json(str(part("provenance"))) if "provenance.npy" in members else {}
    return _About(space, columns, fps, provenance if isinstance(provenance, dict) else {})


def _check_numbers(data: np.ndarray, name: str) -> None:
    peaks = [np.abs(data[part]).max() for part in slices(*data.shape)]
    largest = float(np.max(peaks, initial=0))  # NaN where there is one
    if not np.isfinite(largest) or len(data) == 0:
        why = "numbers that are not finite, or no rows."
        raise TrackError(f"{{name}} holds no usable motion: {why}", name=name)
    if largest > LARGEST:
        right = "blendshapes lie between 0 and 1, head angles in degrees."
        raise TrackError(f"{{name}} holds values up to {largest:g}; {right}", name=name)


def _rows(archive: zipfile.ZipFile, member: zipfile.ZipInfo, about: _About, name: str) -> np.ndarray:
    """The array `DATA` as float32 (T, dim), read in stretches."""
    dim = about.space.dim
    too_large = TrackError("{name} is too large to be a motion track.", name=name)
    if not about.space.vertices and member.file_size > MAX_BYTES:
        raise too_large
    if member.file_size > LARGE_BYTES and member.file_size > MOST_PACKED * member.compress_size:
        raise too_large
    with open_member(archive, member) as file:
        header = read_array_header(file)
        kind = np.dtype(header.kind)
        if len(header.shape) != 2 or header.shape[1] != dim:
            told = f"does not hold the {dim} columns of the {about.space.name} space."
            raise TrackError(f"{{name}} {told}", name=name)
        if kind.kind not in "fiu":
            raise ValueError(f"numbers of the kind {kind}")
        rows = header.shape[0]
        if rows / about.fps > MAX_SECONDS:
            raise _too_long(rows / about.fps, about.fps, name)
        if header.by_columns:  # as another program may have saved it: nothing but the whole can be turned
            if member.file_size > LARGE_BYTES:
                raise too_large
            whole = np.frombuffer(_exactly(file, rows * dim * kind.itemsize), kind)
            return gathered([whole.reshape(header.shape, order="F")], dim)
        row = dim * kind.itemsize
        stretches = (
            np.frombuffer(_exactly(file, (part.stop - part.start) * row), kind).reshape(-1, dim)
            for part in slices(rows, dim)
        )
        return gathered(stretches, dim)


def _too_long(seconds: float, fps: float, name: str) -> TrackError:
    lasts = f"{seconds / 3600:.3g} hours at its {fps:g} frames/s"
    return TrackError(f"{{name}} would last {lasts}; give its true frame rate.", name=name)


def _exactly(file: IO[bytes], count: int) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise EOFError("fewer numbers than announced")
    return data
