"""Command lines that read damaged and hostile files of every kind."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import fuzz_mutations as mutate
from fuzz_formats import anything, legacy_torch
from fuzz_inputs import COMMENT_BYTES, Stock, document

from sadtalker_ext.checkpoints import CATALOG
from sadtalker_ext.options import knobs
from sadtalker_ext.video.gif import append_comment
from sadtalker_ext.video.metadata import to_json


@dataclass
class Case:
    """A command line, and the names of what it may leave beside its inputs."""

    arguments: list[str]
    outputs: tuple[str, ...] = ()


Build = Callable[[Random, Stock, Path], Case]


def _put(folder: Path, name: str, data: bytes) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path)


def _no_file(rng: Random, path: Path) -> None:
    """What has a file's name and is none."""
    act = rng.randrange(4)
    if act == 0:
        os.mkfifo(path)
    elif act == 1:
        path.mkdir()
    else:
        path.symlink_to(rng.choice(["/dev/zero", "/nowhere", path.name]))


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
            data = legacy_torch(rng, stock[source])
        else:
            data = anything(source)(rng, stock[source])
        _put(models, rng.choice(names), data)
    if rng.random() < 0.05:
        odd = models / rng.choice(names)
        odd.unlink(missing_ok=True)
        _no_file(rng, odd)
    command = rng.choice(
        [
            ["engines"],
            ["engines", "--json"],
            ["models"],
            ["models", "--json"],
            ["models", "verify"],
            [
                "animate",
                str(folder / "p.png"),
                "--idle",
                "0.2",
                "-o",
                str(folder / "o.mp4"),
                "--engine",
                "sadtalker",
            ],
        ]
    )
    return Case([*command, "--models-dir", str(models)])


def _in_zip(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("archive/data.pkl"), data)
    return file.getvalue()


def motion(rng: Random, stock: Stock, folder: Path) -> Case:
    """A bad motion file to export, to clean, or to evaluate with."""
    name = rng.choice(["a.npz", "a.npz", "a.npz", "mesh.npz", "a.csv", "a.csv"])
    track = _put(folder, name, anything(name)(rng, stock[name]))
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
        _put(folder, name, anything(source)(rng, data) if name == spoilt else data)
    at = [str(folder / name) for name in ("p.npy", "t.npy")]
    lips = str(folder / ("l.pkl" if "l.pkl" in files else "l.txt"))
    whom = ["--person", rng.choice(["ann", "carl"])] if rng.random() < 0.5 else []
    return Case(
        ["evaluate-mesh", *at, "--template", str(folder / ("m" + template[1:])), "--lips", lips, *whom]
    )


def sound(rng: Random, stock: Stock, folder: Path) -> Case:
    """A bad recording."""
    name = rng.choice(["a.wav", "a.wav", "a.mp3", "a.m4a", "a.ogg", "a.flac", "a.mp4", "a.webm", "a.mkv"])
    heard = _put(folder, "s" + name[1:], anything(name)(rng, stock[name]))
    picture = _put(folder, "p.png", stock["a.png"])
    return Case(
        ["motion", picture, heard, "-o", str(folder / "o.npz"), "--lips", "visemes", "--end", "5"], ("o.npz",)
    )


def picture(rng: Random, stock: Stock, folder: Path) -> Case:
    """A bad picture."""
    name = rng.choice(["a.png", "a.png", "a.jpg", "a.jpg", "a.webp", "a.gif", "a.bmp", "a.tiff"])
    shown = _put(folder, "p" + name[1:], anything(name)(rng, stock[name]))
    return Case(["animate", shown, "--preview-face", str(folder / "o.png")], ("o.png",))


def video(rng: Random, stock: Stock, folder: Path) -> Case:
    """A bad video to inspect, or whose head is followed."""
    name = rng.choice(["a.mp4", "a.mp4", "a.webm", "a.mkv", "b.gif"])
    seen = _put(folder, "v" + name[1:], anything(name)(rng, stock[name]))
    if rng.random() < 0.7:
        return Case(["inspect", seen])
    if rng.random() < 0.5:
        return Case(["evaluate", seen])
    target = str(folder / "o.npz")
    return Case(
        ["motion", _put(folder, "p.png", stock["a.png"]), "--idle", "0.3", "-o", target, "--ref-pose", seen],
        ("o.npz",),
    )


def places(rng: Random, stock: Stock, folder: Path) -> Case:
    """Something odd in one of the two places of a command line, or what belongs into the other one."""
    good = {"picture": "a.png", "sound": "a.wav", "motion": "a.npz"}
    command, *wanted = rng.choice(
        [("animate", "picture", "sound"), ("motion", "picture", "sound"), ("render", "picture", "motion")]
    )
    odd = rng.choice([1, 1, 0])
    named = []
    for number, role in enumerate(wanted):
        if number != odd:
            named.append(_put(folder, f"{role}{Path(good[role]).suffix}", stock[good[role]]))
            continue
        source = rng.choice(
            ["a.png", "a.jpg", "a.gif", "a.tiff", "a.wav", "a.mp4", "a.npz", "a.csv", "w.pth"]
        )
        path = folder / f"odd{rng.choice([Path(source).suffix, '.bin', '.npz', '.wav', '.dds'])}"
        if rng.random() < 0.3:
            _no_file(rng, path)
        else:
            _put(folder, path.name, rng.choice([anything(source), mutate.noise])(rng, stock[source]))
        named.append(str(path))
    target = "o.npz" if command == "motion" else "o.mp4"
    lips = [] if command == "render" else ["--lips", "visemes"]
    # An ending in 0.2 s: what happens to be well-made must not take long.
    return Case([command, *named, "-o", str(folder / target), *lips, "--end", "0.2"], (target,))


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
    "weights": (weights, 30),
    "motion": (motion, 18),
    "metadata": (metadata, 14),
    "meshes": (meshes, 14),
    "sound": (sound, 6),
    "picture": (picture, 10),
    "video": (video, 3),
    "options": (options, 5),
    "places": (places, 4),
}
