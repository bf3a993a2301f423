"""Well-made small files of every kind that the program reads, and the command lines that read them."""

from __future__ import annotations

import io
import json
import pickle
import struct
import subprocess
import wave
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sadtalker_ext.checkpoints import CATALOG
from sadtalker_ext.system.ffmpeg import ffmpeg_executable
from sadtalker_ext.system.paths import ASSETS
from sadtalker_ext.tracks import MotionTrack, vertex_space
from sadtalker_ext.tracks.files import save_track
from sadtalker_ext.video.gif import append_comment
from sadtalker_ext.video.metadata import to_json

COMMENT_BYTES = 6000  # of room for a document in the mp4 of the stock
VERTICES = 9
SECONDS = 0.6


@dataclass
class Stock:
    """Files by name, made once."""

    files: dict[str, bytes] = field(default_factory=dict)

    def __getitem__(self, name: str) -> bytes:
        return self.files[name]


def made(folder: Path) -> Stock:
    """The stock; folder: an empty one to work in."""
    stock = Stock()
    portrait = Image.open(ASSETS / "demo" / "portrait.png").convert("RGB").resize((256, 256))
    for name, options in (
        ("a.png", {}),
        ("a.jpg", {"quality": 85}),
        ("a.webp", {}),
        ("a.gif", {}),
        ("a.bmp", {}),
        ("a.tiff", {}),
    ):
        file = io.BytesIO()
        portrait.save(file, name[2:].replace("jpg", "jpeg"), **options)  # type: ignore[arg-type]
        stock.files[name] = file.getvalue()
    _sounds(stock, folder)
    _motion(stock, folder)
    _videos(stock, folder)
    _meshes(stock)
    _weights(stock)
    return stock


def _sounds(stock: Stock, folder: Path) -> None:
    with wave.open(str(ASSETS / "demo" / "speech.wav")) as source:
        rate, frames = source.getframerate(), source.readframes(round(SECONDS * source.getframerate()))
        shape = source.getnchannels(), source.getsampwidth()
    file = io.BytesIO()
    with wave.open(file, "wb") as target:
        target.setnchannels(shape[0])
        target.setsampwidth(shape[1])
        target.setframerate(rate)
        target.writeframes(frames)
    stock.files["a.wav"] = file.getvalue()
    (folder / "a.wav").write_bytes(file.getvalue())
    for name in ("a.mp3", "a.m4a", "a.ogg", "a.flac"):
        _ffmpeg("-i", folder / "a.wav", folder / name)
        stock.files[name] = (folder / name).read_bytes()


def _ffmpeg(*arguments: Any) -> None:
    subprocess.run([ffmpeg_executable(), "-y", "-v", "error", *map(str, arguments)], check=True)


def _motion(stock: Stock, folder: Path) -> None:
    from sadtalker_ext.tracks import ARKIT

    draw = np.random.default_rng(0)
    track = MotionTrack(
        ARKIT, 25.0, draw.uniform(0, 0.5, (6, ARKIT.dim)), {"seed": 3, "lips": {"from": "phones"}}
    )
    mesh = MotionTrack(vertex_space(VERTICES), 25.0, draw.normal(0, 0.01, (4, 3 * VERTICES)), {})
    for name, made in (("a.npz", track), ("a.csv", track), ("mesh.npz", mesh)):
        stock.files[name] = save_track(made, folder / name).read_bytes()
    file = io.BytesIO()
    np.save(file, draw.normal(0, 1, (4, VERTICES, 3)).astype(np.float32))
    stock.files["a.npy"] = file.getvalue()


def document() -> dict[str, Any]:
    """What the program writes into its videos."""
    return {
        "software": "sadtalker_ext",
        "version": "0.1.0",
        "engine": "instant",
        "picture": "me.png",
        "speech": "hello.wav",
        "seed": 3,
        "options": {
            "engine": "instant",
            "yaw": [0.0, 20.0],
            "crf": 20,
            "face_at": [10.0, 20.0],
            "still": True,
            "lips": "phones",
        },
        "motion": {"lips": {"from": "phones", "text": "hello"}, "head": [1, 2, 3]},
        "face": [30.0, 40.0, 200.0, 220.0],
        "region": [10, 20, 240, 250],
        "lips": {"fps": 25.0, "opening": "eJxjYGBgAAAABAAB"},
    }


def _videos(stock: Stock, folder: Path) -> None:
    (folder / "f.png").write_bytes(stock["a.png"])
    comment = to_json(document()).ljust(COMMENT_BYTES)
    inputs = [
        "-loop",
        "1",
        "-t",
        "0.3",
        "-i",
        folder / "f.png",
        "-i",
        folder / "a.wav",
        "-shortest",
        "-vf",
        "scale=128:128",
    ]
    for name in ("a.mp4", "a.webm", "a.mkv"):
        _ffmpeg(*inputs, "-metadata", f"comment={comment}", folder / name)
        stock.files[name] = (folder / name).read_bytes()
    _ffmpeg("-loop", "1", "-t", "0.2", "-i", folder / "f.png", folder / "b.gif")
    append_comment(folder / "b.gif", to_json(document()))
    stock.files["b.gif"] = (folder / "b.gif").read_bytes()


def _meshes(stock: Stock) -> None:
    draw = np.random.default_rng(1)
    points = draw.normal(0, 1, (VERTICES, 3)).astype(np.float32)
    faces = [[0, 1, 2], [2, 3, 4], [4, 5, 6], [6, 7, 8]]
    lines = [f"v {x} {y} {z}" for x, y, z in points] + [f"f {a + 1}/1/1 {b + 1} {c + 1}" for a, b, c in faces]
    stock.files["a.obj"] = "\n".join(lines).encode()
    head = f"ply\nformat {{}} 1.0\nelement vertex {VERTICES}\n"
    head += "".join(f"property float {axis}\n" for axis in "xyz")
    head += f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    rows = [" ".join(map(str, row)) for row in points.tolist()] + [
        " ".join(map(str, [3, *face])) for face in faces
    ]
    stock.files["a.ply"] = (head.format("ascii") + "\n".join(rows) + "\n").encode()
    packed = points.tobytes() + b"".join(struct.pack("<B3i", 3, *face) for face in faces)
    stock.files["b.ply"] = head.format("binary_little_endian").encode() + packed
    for protocol in (0, 2, 4):
        stock.files[f"{protocol}.pkl"] = pickle.dumps({"ann": points, "bob": points + 1}, protocol)
    stock.files["masks.pkl"] = pickle.dumps(
        {"lips": np.arange(3), "forehead": np.arange(4), "eye_region": np.arange(2)}, 2
    )
    stock.files["lips.txt"] = b"0, 1, 2, 5"


def _weights(stock: Stock) -> None:
    import torch

    checkpoint = next(entry for entry in CATALOG if entry.id == "mapping-109")
    tensors = {
        name: torch.zeros(tuple(min(side, 3) for side in shape))
        for name, shape in checkpoint.signature.items()
    }
    tensors |= {"net.weight": torch.zeros(4, 3), "net.bias": torch.zeros(4, dtype=torch.half)}
    header, at = {}, 0
    for name, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        kind = "F16" if tensor.dtype == torch.half else "F32"
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [at, at + size]}
        at += size
    packed = json.dumps(header).encode()
    stock.files["w.safetensors"] = struct.pack("<Q", len(packed)) + packed + b"\0" * at
    nested: dict[str, Any] = {"mapping": tensors, "epoch": 3, "args": ("a", 1.5, None)}
    for name, new in (("w.pth", True), ("old.pth", False)):
        file = io.BytesIO()
        torch.save(nested, file, _use_new_zipfile_serialization=new)
        stock.files[name] = file.getvalue()
