"""A mesh, ways of its vertices and their weights over time into one glTF 2.0 file (.glb) with morph targets.

Written by own code: the format is one JSON text and one block of numbers, and the libraries for it want the
whole block in memory, or know no morph targets.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np

from ..host import Check, nothing

MAGIC, VERSION = b"glTF", 2
JSON_CHUNK, BINARY_CHUNK = b"JSON", b"BIN\x00"
FLOAT, UNSIGNED_INT, UNSIGNED_BYTE = 5126, 5125, 5121
ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963
COMPONENTS = {FLOAT: "<f4", UNSIGNED_INT: "<u4", UNSIGNED_BYTE: "u1"}
SHAPES = {1: "SCALAR", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
SMALL = 1 << 20  # values that are written at once


@dataclass(frozen=True, eq=False)
class Turning:
    """A joint at `pivot` (3,) turned by `quaternions` (T, 4), x y z w; vertices take `share` (V,)."""

    pivot: np.ndarray
    quaternions: np.ndarray
    share: np.ndarray


@dataclass(frozen=True, eq=False)
class Animated:
    """A mesh and its motion.

    vertices: (V, 3). faces: (F, 3). normals: (V, 3). ways: names and (V, 3) of the morph targets. weights:
    (T, targets). times: (T,) seconds. colours: linear (V, 3), or None. extras: any facts, as plain values.
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    ways: Sequence[tuple[str, np.ndarray]]
    weights: np.ndarray
    times: np.ndarray
    colours: np.ndarray | None = None
    turning: Turning | None = None
    extras: Mapping[str, object] = field(default_factory=dict)


def write_glb(animated: Animated, file: IO[bytes], check: Check = nothing) -> None:
    """Write the file, piece by piece; `check` is called between pieces."""
    document = _Document()
    attributes = {
        "POSITION": document.add(animated.vertices, FLOAT, ARRAY_BUFFER, bounds=True),
        "NORMAL": document.add(animated.normals, FLOAT, ARRAY_BUFFER),
    }
    if animated.colours is not None:
        attributes["COLOR_0"] = document.add(animated.colours, FLOAT, ARRAY_BUFFER)
    turning = animated.turning
    if turning is not None:
        joints = np.zeros((len(animated.vertices), 4), np.uint8)
        joints[:, 1] = 1
        shares = np.zeros((len(animated.vertices), 4), np.float32)
        shares[:, 0], shares[:, 1] = 1 - turning.share, turning.share
        attributes["JOINTS_0"] = document.add(joints, UNSIGNED_BYTE, ARRAY_BUFFER)
        attributes["WEIGHTS_0"] = document.add(shares, FLOAT, ARRAY_BUFFER)
    primitive: dict[str, Any] = {
        "attributes": attributes,
        "indices": document.add(animated.faces.reshape(-1), UNSIGNED_INT, ELEMENT_ARRAY_BUFFER),
        "material": 0,
    }
    targets = [{"POSITION": document.add(way, FLOAT, ARRAY_BUFFER, bounds=True)} for _, way in animated.ways]
    mesh: dict[str, Any] = {"primitives": [primitive]}
    node: dict[str, Any] = {"mesh": 0, "name": "head"}
    nodes, scene = [node], [0]
    times = document.add(animated.times, FLOAT, None, bounds=True)
    samplers: list[dict[str, Any]] = []
    channels: list[dict[str, Any]] = []

    def animate(output: int, target: int, path: str) -> None:
        channels.append({"sampler": len(samplers), "target": {"node": target, "path": path}})
        samplers.append({"input": times, "output": output, "interpolation": "LINEAR"})

    if targets:
        primitive["targets"] = targets
        names = [name for name, _ in animated.ways]
        mesh |= {"weights": [0.0] * len(targets), "extras": {"targetNames": names}}
        animate(document.add(animated.weights.reshape(-1), FLOAT, None), 0, "weights")
    tree: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "sadtalker_ext", "extras": dict(animated.extras)},
        "scene": 0,
        "scenes": [{"nodes": scene}],
        "nodes": nodes,
        "meshes": [mesh],
        "materials": [{
            "doubleSided": True,
            "pbrMetallicRoughness": {
                "metallicFactor": 0.0, "roughnessFactor": 0.6,
                "baseColorFactor": [1, 1, 1, 1] if animated.colours is not None else [0.58, 0.5, 0.44, 1],
            },
        }],
    }  # fmt: skip
    if turning is not None:
        inverse = np.tile(np.eye(4, dtype=np.float32), (2, 1, 1))
        inverse[1, :3, 3] = -turning.pivot
        columns = inverse.transpose(0, 2, 1).reshape(2, 16)  # glTF's matrices go column by column
        tree["skins"] = [{"joints": [1, 2], "inverseBindMatrices": document.add(columns, FLOAT, None)}]
        node["skin"] = 0
        nodes += [
            {"name": "neck", "children": [2]},
            {"name": "skull", "translation": [float(value) for value in turning.pivot]},
        ]
        scene.append(1)
        animate(document.add(turning.quaternions, FLOAT, None), 2, "rotation")
    if channels:
        tree["animations"] = [{"name": "speech", "samplers": samplers, "channels": channels}]
    document.write(tree, file, check)


class _Document:
    """Arrays that follow one another in the file's block of numbers."""

    def __init__(self) -> None:
        self._arrays: list[tuple[np.ndarray, str]] = []
        self._accessors: list[dict[str, Any]] = []
        self._views: list[dict[str, Any]] = []
        self._length = 0

    def add(self, values: np.ndarray, component: int, target: int | None, *, bounds: bool = False) -> int:
        """Number of the accessor of an array (N,) or (N, k)."""
        width = 1 if values.ndim == 1 else values.shape[1]
        kind = COMPONENTS[component]
        size = values.size * np.dtype(kind).itemsize
        view = {"buffer": 0, "byteOffset": self._length, "byteLength": size}
        if target is not None:
            view["target"] = target
        accessor: dict[str, Any] = {
            "bufferView": len(self._views), "componentType": component, "count": len(values),
            "type": SHAPES[width],
        }  # fmt: skip
        if bounds:
            exact = values.astype(kind).reshape(len(values), width)
            accessor |= {"min": exact.min(0).tolist(), "max": exact.max(0).tolist()}
        self._views.append(view)
        self._accessors.append(accessor)
        self._arrays.append((values, kind))
        self._length += size + _padding(size)
        return len(self._accessors) - 1

    def write(self, tree: dict[str, Any], file: IO[bytes], check: Check) -> None:
        tree |= {
            "accessors": self._accessors,
            "bufferViews": self._views,
            "buffers": [{"byteLength": self._length}],
        }
        text = json.dumps(tree, separators=(",", ":"), default=str).encode()
        text += b" " * _padding(len(text))
        file.write(MAGIC + struct.pack("<II", VERSION, 12 + 8 + len(text) + 8 + self._length))
        file.write(struct.pack("<I", len(text)) + JSON_CHUNK + text)
        file.write(struct.pack("<I", self._length) + BINARY_CHUNK)
        for values, kind in self._arrays:
            check()
            flat = values.reshape(-1)
            for start in range(0, len(flat), SMALL):
                file.write(np.ascontiguousarray(flat[start : start + SMALL], kind).data)
            file.write(b"\x00" * _padding(values.size * np.dtype(kind).itemsize))


def _padding(size: int) -> int:
    return -size % 4
