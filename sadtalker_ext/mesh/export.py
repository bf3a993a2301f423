"""A motion track and the mesh that it moves into files that other programs read.

.glb: an animated glTF. .npy: the vertices of every frame. A folder whose name ends in obj or ply: a mesh a
frame.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import IO

import numpy as np

from ..errors import MeshError, OutputError, Place, TrackError
from ..face.geometry import rotation_from_pose
from ..host import Check, Report, nothing
from ..system import leftovers
from ..system.foreign import JSON_BYTES, parse_json, read_file
from ..system.outputs import check_name, check_new_file, check_parent, move_folder, refusal, write_whole
from ..system.paths import user_path
from ..tracks import ARKIT, ARKIT_BLENDSHAPES, MotionTrack
from .few_shapes import few_shapes
from .figure import Figure, TemplateFigure
from .gltf import Animated, Turning, write_glb
from .neutral import DOWN, NeutralHead, neutral_head, shape_weights
from .normals import Normals
from .retarget import to_arkit
from .srgb import to_srgb
from .template import Template

FILES = (".glb", ".npy")
SEQUENCES = ("obj", "ply")
KNOWN = ".glb, .npy, or a folder whose name ends in obj/ or ply/ (such as talk_obj/)"
FRAME_NAME = "frame_{:06d}.{}"
OWN_FRAME = re.compile(r"frame_\d{6,}\.(obj|ply)")
FOLDER_FILE = "metadata.json"  # marks a folder as one that we wrote
WRITER = "sadtalker_ext"
MOST_FPS = 240.0  # frames/s


@dataclass(frozen=True)
class Exported:
    """What was written. shapes: morph targets of a .glb, else 0. largest_error: how far any vertex of a .glb
    is from where it should be, in shares of the head's width; 0 elsewhere."""

    path: Path
    frames: int
    vertices: int
    shapes: int = 0
    largest_error: float = 0.0


def check_export(path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Refuses, before any work, a place where an export cannot go; returns the path with `~` expanded.

    Raises `OutputError`: an unknown ending, a missing or unwritable folder, or what exists already.
    """
    target = user_path(path)
    if not os.fspath(path) or not target.name:
        raise OutputError("{path!r} does not name an output; choose {known}.", Place(path), known=KNOWN)
    if _kind(path) in SEQUENCES:
        check_name(target)
        check_parent(target)
        if target.exists():
            _check_folder(target, overwrite)
    else:
        check_new_file(target, overwrite)
    return target


def export_track(
    track: MotionTrack,
    path: str | os.PathLike[str],
    *,
    template: Template | None = None,
    fps: float | None = None,
    overwrite: bool = False,
    check: Check = nothing,
    report: Report = nothing,
) -> Exported:
    """Write a track as `path` says (see `KNOWN`); nothing is left of a failure.

    template: the mesh of a vertex track; None shows it on the neutral head, approximately, as `arkit` tracks
    always are. fps: frames per second of what is written, default the track's. check: called between frames;
    what it raises ends the export. report: told frames done and in all.
    Raises `OutputError`, `MeshError` or `TrackError` with what is wrong.
    """
    target = check_export(path, overwrite)
    kind = _kind(path)
    if template is not None and track.space == ARKIT:
        raise MeshError(
            "A motion of blendshapes (arkit) does not move the vertices of a template; leave the template "
            "out, and it is written on the neutral head."
        )
    if fps is not None:
        if not 0 < fps <= MOST_FPS:
            raise TrackError(
                f"{{fps}} must be above 0 and at most {MOST_FPS:g} frames/s, not {fps:g}.", "fps"
            )
        track = track.resampled(fps)
    figure: Figure
    if template is None:
        track, figure = to_arkit(track), neutral_head()
    else:
        figure = _figure(template, kind)
        template.require(track.space.dim // 3, f"the motion, which is in the {track.space.name} space,")

    def poses() -> Iterator[np.ndarray]:
        for number, vertices in enumerate(figure.poses(track), 1):
            check()
            yield vertices
            report(number, len(track))

    written = Exported(target, len(track), len(figure.vertices))
    if kind in SEQUENCES:
        _write_folder(target, kind, figure, poses(), track, overwrite)
        return written
    if kind == "npy":
        write_whole(
            target, overwrite, lambda file: _write_npy(file, poses(), len(track), figure.vertices.size)
        )
        return written
    animated, error = _animated(figure, track, check)
    write_whole(target, overwrite, lambda file: write_glb(animated, file, check))
    return Exported(target, len(track), len(figure.vertices), len(animated.ways), error)


def _figure(template: Template, kind: str) -> TemplateFigure:
    if kind == "npy" and template.faces is None:  # of which no triangle is written
        template = replace(template, faces=np.zeros((1, 3), np.int32))
    return TemplateFigure(template)


def _kind(path: str | os.PathLike[str]) -> str:
    """ "glb", "npy", "obj" or "ply" by the path's ending; `OutputError` for any other."""
    text, name = os.fspath(path), Path(path).name.lower()
    if text.endswith(("/", os.sep)) or Path(path).is_dir():
        for kind in SEQUENCES:
            if name.endswith(kind):
                return kind
    elif Path(name).suffix in FILES:
        return Path(name).suffix[1:]
    raise OutputError(f"A motion is exported as {KNOWN}; {text!r} is none of these.")


def _animated(figure: Figure, track: MotionTrack, check: Check) -> tuple[Animated, float]:
    """The motion as morph targets, and the largest error in shares of the head's width."""
    rest = figure.vertices
    times = (np.arange(len(track)) / track.fps).astype(np.float32)
    facts: dict[str, object] = {"fps": track.fps, "frames": len(track), "motion": dict(track.provenance)}
    normals = Normals(rest, np.asarray(figure.faces, np.intp)).of(rest)
    if isinstance(figure, NeutralHead):
        ways = [(name, figure.blendshapes[name]) for name in ARKIT_BLENDSHAPES]
        turning = _turning(figure, track)
        weights = shape_weights(track)
        return Animated(
            rest, figure.faces, normals, ways, weights, times, figure.colours, turning, facts
        ), 0.0
    width = float(np.ptp(rest[:, 0])) or 1.0
    found = few_shapes(track.data, width, check=check)
    facts["largestError"] = found.largest_error
    named = [(f"motion{number:02d}", way) for number, way in enumerate(found.ways)]
    animated = Animated(rest, figure.faces, normals, named, found.weights, times, figure.colours, None, facts)
    return animated, found.largest_error / width


def _turning(head: NeutralHead, track: MotionTrack) -> Turning | None:
    angles = track.data[:, ARKIT.indices(["pose"])]
    if not angles.any():
        return None
    turns = [_quaternion(DOWN @ rotation_from_pose(*row) @ DOWN) for row in angles.astype(float)]
    quaternions = np.array(turns)
    for before, after in pairwise(quaternions):
        if before @ after < 0:  # the same turn, but a player would go the long way round
            after *= -1
    return Turning(head.pivot, quaternions.astype(np.float32), head.head_share)


def _quaternion(matrix: np.ndarray) -> np.ndarray:
    """x, y, z, w of a rotation matrix: the eigenvector of its quadratic form (Bar-Itzhack 2000)."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    form = np.array([
        [a - e - i, d + b, g + c, h - f], [d + b, e - a - i, h + f, c - g],
        [g + c, h + f, i - a - e, d - b], [h - f, c - g, d - b, a + e + i],
    ])  # fmt: skip
    found = np.linalg.eigh(form)[1][:, -1]
    return found if found[3] >= 0 else -found


def _write_npy(file: IO[bytes], poses: Iterator[np.ndarray], frames: int, dim: int) -> None:
    """Row by row, not through a mapped file: on a full disk that would end the process."""
    header = {"descr": "<f4", "fortran_order": False, "shape": (frames, dim)}
    np.lib.format.write_array_header_2_0(file, header)
    for vertices in poses:
        file.write(np.ascontiguousarray(vertices, "<f4").data)


def _write_folder(
    target: Path, kind: str, figure: Figure, poses: Iterator[np.ndarray], track: MotionTrack, overwrite: bool
) -> None:
    made = leftovers.beside(target)
    write = _PlyWriter(figure).write if kind == "ply" else _ObjWriter(figure).write
    facts = {"writer": WRITER, "frames": len(track), "fps": track.fps, "motion": dict(track.provenance)}
    try:
        made.mkdir()
        for number, vertices in enumerate(poses, 1):
            with (made / FRAME_NAME.format(number, kind)).open("wb") as file:
                write(vertices, file)
        (made / FOLDER_FILE).write_text(json.dumps(facts, indent=1, default=str) + "\n", encoding="utf-8")
        old: list[Path] = []
        if target.exists():
            _check_folder(target, overwrite)
            old = [file for file in target.iterdir() if OWN_FRAME.fullmatch(file.name)]
        move_folder(made, target, old)
    except OSError as error:
        raise refusal(target, error) from error
    finally:
        leftovers.remove(made)


def _check_folder(target: Path, overwrite: bool) -> None:
    if not target.is_dir():
        raise OutputError("{path} is a file; choose another name for the folder of meshes.", target)
    if not any(target.iterdir()):
        return
    try:
        document = parse_json(read_file(target / FOLDER_FILE, JSON_BYTES))
    except (OSError, ValueError):
        document = None
    if not isinstance(document, Mapping) or document.get("writer") != WRITER:
        raise OutputError(
            "The folder {path} holds files that are not meshes of ours; choose another name.", target
        )
    if not overwrite:
        raise OutputError("The folder {path} holds a result already; {another_name}.", "another_name", target)


class _ObjWriter:
    """Meshes as Wavefront .obj, with their vertices in order."""

    def __init__(self, figure: Figure) -> None:
        corners = np.asarray(figure.faces) + 1
        self._faces = ("f %d %d %d\n" * len(corners) % tuple(corners.reshape(-1).tolist())).encode()
        self._line = "v %.7g %.7g %.7g\n" * len(figure.vertices)

    def write(self, vertices: np.ndarray, file: IO[bytes]) -> None:
        file.write((self._line % tuple(vertices.reshape(-1).tolist())).encode())
        file.write(self._faces)


class _PlyWriter:
    """Meshes as binary .ply, with their vertices in order and colours where there are some."""

    def __init__(self, figure: Figure) -> None:
        kinds = [("x", "<f4"), ("y", "<f4"), ("z", "<f4")]
        names = "property float x\nproperty float y\nproperty float z\n"
        if figure.colours is not None:
            kinds += [("red", "u1"), ("green", "u1"), ("blue", "u1")]
            names += "property uchar red\nproperty uchar green\nproperty uchar blue\n"
        self._rows = np.zeros(len(figure.vertices), kinds)
        if figure.colours is not None:
            codes = to_srgb(np.clip(figure.colours, 0, 1))
            for number, name in enumerate(("red", "green", "blue")):
                self._rows[name] = np.round(codes[:, number] * 255)
        faces = np.zeros(len(figure.faces), [("count", "u1"), ("corners", "<i4", 3)])
        faces["count"], faces["corners"] = 3, figure.faces
        self._faces = faces.tobytes()
        self._header = (
            f"ply\nformat binary_little_endian 1.0\nelement vertex {len(figure.vertices)}\n{names}"
            f"element face {len(figure.faces)}\nproperty list uchar int vertex_indices\nend_header\n"
        ).encode()

    def write(self, vertices: np.ndarray, file: IO[bytes]) -> None:
        for number, name in enumerate("xyz"):
            self._rows[name] = vertices[:, number]
        file.write(self._header)
        file.write(self._rows.tobytes())
        file.write(self._faces)
