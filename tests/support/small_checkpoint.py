"""A small weight file and its entry in the catalogue, for tests of where such files are and come from."""

from __future__ import annotations

import hashlib
import json
import struct

from sadtalker_ext import checkpoints as weights

SHAPE = (4, 3)


def safetensors(tensors: dict[str, tuple[int, ...]], filler: bytes = b"\0") -> bytes:
    """A safetensors file of float32 tensors with these shapes."""
    header, offset = {}, 0
    for name, shape in tensors.items():
        size = 4
        for side in shape:
            size *= side
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    packed = json.dumps(header).encode()
    return struct.pack("<Q", len(packed)) + packed + filler * offset


WHOLE = safetensors({"net.weight": SHAPE, "net.bulk": (100, 1000)}, b"\1")
PLAIN = weights.Checkpoint(
    id="thing",
    file="thing.safetensors",
    engine="instant",
    use="tests",
    page="https://example.org/thing",
    licence="free",
    size=len(WHOLE),
    sha256=hashlib.sha256(WHOLE).hexdigest(),
    signature={"net.weight": SHAPE},
)
