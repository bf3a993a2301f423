"""Motion tracks into files and back: .npz, and .csv as the Live Link Face app writes it."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from ..errors import OutputError, Place, TrackError
from ..system.archives import write_arrays
from ..system.outputs import check_new_file, write_whole
from ..system.paths import existing_file, user_path
from .livelink import read_livelink, write_livelink
from .rows import gathered, slices
from .spaces import ARKIT, SPACES, space_named
from .track import MotionTrack

FORMAT_VERSION = 1  # of our .npz
SUFFIXES = (".npz", ".csv")
LARGEST = 360.0  # of any value; what is beyond it is no motion, and overflows what is computed from it
MAX_SECONDS = 86400.0  # longer ones have a wrong frame rate
MAX_BYTES = 2**31  # unpacked; a day of coefficients at 60 frames/s has 1.1 GB. Vertices may be more.
DATA = "data.npy"  # where our .npz has the numbers
# What zipfile and numpy raise for damaged, encrypted and absurd archives.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, ValueError, EOFError, KeyError, RuntimeError, MemoryError, TypeError,
)  # fmt: skip


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
        raise TrackError(f"{source.name} is not a motion track; give a .npz or a Live Link Face .csv file.")
    if problem:
        raise TrackError("The motion track {path!r} {problem}.", Place(path), problem=problem)
    try:
        if suffix == ".npz":
            track = _read_npz(source)
        else:
            track = read_livelink(source.read_bytes(), source.name, fps)
    except OSError as error:
        raise TrackError("Cannot read {path} ({error}).", source, error) from error
    if track.duration > MAX_SECONDS:
        lasts = f"{track.duration / 3600:.3g} hours at its {track.fps:g} frames/s"
        raise TrackError(f"{source.name} would last {lasts}; give its true frame rate.")
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
    name = source.name
    damaged = TrackError(f"{name} is damaged or not a motion track; save it again.")
    try:
        with zipfile.ZipFile(source) as archive:
            sizes = {member.filename: member.file_size for member in archive.infolist()}
            if sum(size for member, size in sizes.items() if member != DATA) > MAX_BYTES:
                raise TrackError(f"{name} is too large to be a motion track.")
            # Pickled objects could run code: they are refused.
            with np.load(source, allow_pickle=False) as stored:
                parts = {key: stored[key] for key in stored.files if key != "data"}
                missing = {"version", "space", "columns", "fps", "data"} - set(stored.files)
            if missing:
                raise TrackError(f"{name} is not a motion track: it has no {', '.join(sorted(missing))}.")
            version, space_name = int(parts["version"]), str(parts["space"])
            columns, fps = [str(column) for column in parts["columns"]], float(parts["fps"])
            provenance = json.loads(str(parts.get("provenance", "{}")))
            if version > FORMAT_VERSION:
                newer = f"a newer version (format {version})"
                raise TrackError(f"{name} was written by {newer}; update this one to read it.")
            space = space_named(space_name)
            if space is None:
                known = ", ".join(SPACES)
                raise TrackError(f"{name} is in the motion space {space_name!r}; known here: {known}.")
            if not space.vertices and sizes[DATA] > MAX_BYTES:
                raise TrackError(f"{name} is too large to be a motion track.")
            data = _rows(archive, space.dim) if sorted(columns) == sorted(space.columns) else None
    except _DAMAGE as error:
        raise damaged from error
    if data is None:
        raise TrackError(f"{name} does not hold the {space.dim} columns of the {space.name} space.")
    peaks = [np.abs(data[part]).max() for part in slices(*data.shape)]
    largest = float(np.max(peaks, initial=0))  # NaN where there is one
    if not (np.isfinite(fps) and fps > 0 and np.isfinite(largest)) or len(data) == 0:
        why = "a rate, or numbers, that are not finite, or no rows."
        raise TrackError(f"{name} holds no usable motion: {why}")
    if largest > LARGEST:
        right = "blendshapes lie between 0 and 1, head angles in degrees."
        raise TrackError(f"{name} holds values up to {largest:g}; {right}")
    if tuple(columns) != space.columns:
        places = {column: place for place, column in enumerate(columns)}
        order = [places[column] for column in space.columns]
        data = gathered((data[part][:, order] for part in slices(*data.shape)), space.dim)
    return MotionTrack(space, fps, data, provenance if isinstance(provenance, dict) else {})


def _rows(archive: zipfile.ZipFile, dim: int) -> np.ndarray | None:
    """The array `DATA` as float32 (T, dim), read in stretches; None where it has another shape."""
    with archive.open(DATA) as file:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in read:
            raise ValueError(f"format {version}")
        shape, by_columns, dtype = read[version](file)
        if len(shape) != 2 or shape[1] != dim:
            return None
        if dtype.kind not in "fiu":
            raise ValueError(f"numbers of the kind {dtype}")
        if by_columns:  # as another program may have saved it: nothing but the whole can be turned
            whole = np.frombuffer(_exactly(file, shape[0] * dim * dtype.itemsize), dtype)
            return whole.reshape(shape, order="F").astype(np.float32)
        row = dim * dtype.itemsize
        stretches = (
            np.frombuffer(_exactly(file, (part.stop - part.start) * row), dtype).reshape(-1, dim)
            for part in slices(shape[0], dim)
        )
        return gathered(stretches, dim)


def _exactly(file: IO[bytes], count: int) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise EOFError("fewer numbers than announced")
    return data
