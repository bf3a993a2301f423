"""Well-made small files of every kind that the program reads, and the command lines that read them."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import subprocess
import wave
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import fuzz_mutations as mutate
import numpy as np
from PIL import Image

from sadtalker_ext.checkpoints import CATALOG
from sadtalker_ext.options import knobs
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
class Case:
    """A command line, and the names of what it may leave beside its inputs."""

    arguments: list[str]
    outputs: tuple[str, ...] = ()


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
        "software": "sadtalker_ext", "version": "0.1.0", "engine": "instant", "picture": "me.png", "speech": "hello.wav", "seed": 3,
        "options": {"engine": "instant", "yaw": [0.0, 20.0], "crf": 20, "face_at": [10.0, 20.0], "still": True, "lips": "phones"},
        "motion": {"lips": {"from": "phones", "text": "hello"}, "head": [1, 2, 3]}, "face": [30.0, 40.0, 200.0, 220.0],
        "region": [10, 20, 240, 250], "lips": {"fps": 25.0, "opening": "eJxjYGBgAAAABAAB"},
    }  # fmt: skip


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
    head = f"ply\nformat {{}} 1.0\nelement vertex {VERTICES}\nproperty float x\nproperty float y\nproperty float z\n"
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


# --- cases -----------------------------------------------------------------------------------------------------

Build = Callable[[Random, Stock, Path], Case]


def _put(folder: Path, name: str, data: bytes) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path)


def weights(rng: Random, stock: Stock, folder: Path) -> Case:
    """One or two bad files in a models folder, under any name, and every command that lists engines."""
    models = folder / "models"
    names = [entry.file for entry in CATALOG] + [
        "x.pth",
        "thing.ckpt",
        "a b.safetensors",
        "\x1b[31mred.pth",
        "é.pt",
        "vocaset_stage1.pth",
    ]
    for _ in range(rng.choice([1, 1, 2])):
        source = rng.choice(["w.safetensors", "w.safetensors", "w.pth", "w.pth", "old.pth", "bomb"])
        if source == "bomb":
            data = _in_zip(rng.choice(mutate.BOMBS)(rng))
        elif source == "old.pth":
            data = mutate.legacy_torch(rng, stock[source])
        else:
            data = mutate.anything(source)(rng, stock[source])
        _put(models, rng.choice(names), data)
    if rng.random() < 0.05:
        odd = models / rng.choice(names)
        odd.unlink(missing_ok=True)
        act = rng.randrange(4)
        if act == 0:
            os.mkfifo(odd)
        elif act == 1:
            odd.mkdir()
        else:
            odd.symlink_to(rng.choice(["/dev/zero", "/nowhere", odd.name]))
    command = rng.choice([["engines"], ["engines", "--json"], ["models"], ["models", "--json"], ["models", "verify"],
        ["animate", str(folder / "p.png"), "--idle", "0.2", "-o", str(folder / "o.mp4"), "--engine", "sadtalker"]])  # fmt: skip
    return Case([*command, "--models-dir", str(models)])


def _in_zip(data: bytes) -> bytes:
    import zipfile

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", data)
    return file.getvalue()


def motion(rng: Random, stock: Stock, folder: Path) -> Case:
    """A bad motion file to export, to clean, or to evaluate with."""
    name = rng.choice(["a.npz", "a.npz", "a.npz", "mesh.npz", "a.csv", "a.csv"])
    track = _put(folder, name, mutate.anything(name)(rng, stock[name]))
    if name == "mesh.npz":
        mesh = _put(folder, "m.obj", stock["a.obj"])
        return Case(["export", track, str(folder / "o.npy"), "--template", mesh], ("o.npy",))
    if rng.random() < 0.1:
        return Case(["motion", "--denoise", track, "-o", str(folder / "o.npz")], ("o.npz",))
    return Case(["export", track, str(folder / "o.npy")], ("o.npy",))


def metadata(rng: Random, stock: Stock, folder: Path) -> Case:
    """A video, or a folder of pictures, that says strange things of how it was made."""
    text = (
        mutate.json_text(rng, to_json(document()).encode())
        if rng.random() < 0.9
        else rng.choice(mutate.TEXTS).encode("utf-8", "replace")
    )
    kind = rng.choice(["mp4", "mp4", "gif", "folder"])
    if kind == "folder":
        stored = json.dumps(
            {
                "writer": "sadtalker_ext",
                "frames": 1,
                "fps": [25, 1],
                "width": 64,
                "height": 64,
                "document": "@",
            }
        )
        told = stored.replace('"@"', text.decode("utf-8", "replace")).encode("utf-8", "replace")
        _put(folder / "v", "metadata.json", mutate.json_text(rng, told) if rng.random() < 0.5 else told)
        _put(folder / "v", "frame_000001.png", stock["a.png"])
        path = str(folder / "v")
    elif kind == "gif":
        path = _put(folder, "v.gif", stock["b.gif"])
        append_comment(Path(path), text.decode("utf-8", "replace").encode("ascii", "replace").decode())
    else:
        packed = stock["a.mp4"]
        at = packed.index(b'{"software"')
        new = text[:COMMENT_BYTES].ljust(COMMENT_BYTES)
        path = _put(folder, "v.mp4", packed[:at] + new + packed[at + COMMENT_BYTES :])
    if rng.random() < 0.06:
        return Case(["evaluate", path, *rng.choice([[], ["--json"]])])
    return Case(["inspect", path, *rng.choice([[], ["--json"]])])


def meshes(rng: Random, stock: Stock, folder: Path) -> Case:
    """A bad mesh, collection of meshes, region or motion of vertices."""
    files = {"p.npy": "a.npy", "t.npy": "a.npy", "l.txt": "lips.txt", "m.obj": "a.obj"}
    template = rng.choice(["a.obj", "a.ply", "b.ply", "0.pkl", "2.pkl", "4.pkl"])
    files["m" + template[1:]] = template
    if rng.random() < 0.3:
        files["l.pkl"] = "masks.pkl"
    spoilt = rng.choice(["m" + template[1:]] * 4 + [name for name in files if name != "m.obj"])
    for name, source in files.items():
        data = stock[source]
        _put(folder, name, mutate.anything(source)(rng, data) if name == spoilt else data)
    at = [str(folder / name) for name in ("p.npy", "t.npy")]
    lips = str(folder / ("l.pkl" if "l.pkl" in files else "l.txt"))
    whom = ["--person", rng.choice(["ann", "carl"])] if rng.random() < 0.5 else []
    return Case(
        ["evaluate-mesh", *at, "--template", str(folder / ("m" + template[1:])), "--lips", lips, *whom]
    )


def sound(rng: Random, stock: Stock, folder: Path) -> Case:
    """A bad recording."""
    name = rng.choice(["a.wav", "a.wav", "a.mp3", "a.m4a", "a.ogg", "a.flac", "a.mp4", "a.webm", "a.mkv"])
    heard = _put(folder, "s" + name[1:], mutate.anything(name)(rng, stock[name]))
    picture = _put(folder, "p.png", stock["a.png"])
    return Case(
        ["motion", picture, heard, "-o", str(folder / "o.npz"), "--lips", "visemes", "--end", "5"], ("o.npz",)
    )


def picture(rng: Random, stock: Stock, folder: Path) -> Case:
    """A bad picture."""
    name = rng.choice(["a.png", "a.png", "a.jpg", "a.jpg", "a.webp", "a.gif", "a.bmp", "a.tiff"])
    shown = _put(folder, "p" + name[1:], mutate.anything(name)(rng, stock[name]))
    return Case(["animate", shown, "--preview-face", str(folder / "o.png")], ("o.png",))


def video(rng: Random, stock: Stock, folder: Path) -> Case:
    """A bad video to inspect, or whose head is followed."""
    name = rng.choice(["a.mp4", "a.mp4", "a.webm", "a.mkv", "b.gif"])
    seen = _put(folder, "v" + name[1:], mutate.anything(name)(rng, stock[name]))
    if rng.random() < 0.7:
        return Case(["inspect", seen])
    if rng.random() < 0.5:
        return Case(["evaluate", seen])
    target = str(folder / "o.npz")
    return Case(
        ["motion", _put(folder, "p.png", stock["a.png"]), "--idle", "0.3", "-o", target, "--ref-pose", seen],
        ("o.npz",),
    )


def options(rng: Random, stock: Stock, folder: Path) -> Case:
    """Any mix of flags and values, mostly wrong."""
    good = _put(folder, "p.png", stock["a.png"]), _put(folder, "s.wav", stock["a.wav"])
    values = [
        *mutate.TEXT_NUMBERS,
        *mutate.TEXTS,
        "0.5",
        "1",
        "0.5",
        "1",
        "2",
        "10,20",
        "instant",
        "codetalker",
        "auto",
        "gfpgan",
        "none",
    ]
    mixed: list[str] = []
    for knob in rng.sample(knobs(), rng.choice([1, 2, 5])):
        mixed.append(knob.flag)
        if knob.kind != "bool":
            right = str(knob.default) if knob.default is not None else rng.choice(list(knob.choices) or ["1"])
            several = {"ramp": 2, "points": 5}.get(knob.kind, 1)
            mixed += [rng.choice([right, rng.choice(values)]) for _ in range(several)]
    command = rng.choice(
        ["motion", "motion", "motion", "render", "inspect", "export", "engines", "models", "frob", "animate"]
    )
    named = (
        rng.sample([*good, *values, str(folder / "none.npz")], rng.choice([0, 1, 2]))
        if rng.random() < 0.5
        else list(good)
    )
    if command == "motion":
        named += ["-o", str(folder / rng.choice(["o.npz", "o.csv", "o.txt"])), "--lips", "visemes"]
    if command in ("animate", "render"):
        named += [
            "-o",
            str(folder / rng.choice(["o.xyz", "no/o.mp4", "o.mp4" if rng.random() < 0.1 else "o"])),
        ]
    words = [command, *named, *mixed]
    words = [
        word.replace("\0", "").encode("utf-8", "replace").decode() for word in words
    ]  # no system passes these on
    return Case(words, ("o.npz", "o.csv", "o.mp4"))


# What is drawn how often; the slow kinds seldom.
KINDS: dict[str, tuple[Build, int]] = {
    "weights": (weights, 30), "motion": (motion, 18), "metadata": (metadata, 14), "meshes": (meshes, 14), "sound": (sound, 6),
    "picture": (picture, 10), "video": (video, 3), "options": (options, 5),
}  # fmt: skip
