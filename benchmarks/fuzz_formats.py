"""Files of known formats into damaged and hostile ones: arrays, archives, weights, pictures, containers."""

from __future__ import annotations

import io
import pickletools
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

from fuzz_mutations import BOMBS, NUMBERS, TEXTS, Mutation, either, json_text, noise, pickled, words

# --- arrays and archives ------------------------------------------------------------------------------------

DESCRIPTIONS = [
    "<f4",
    ">f8",
    "|O",
    "<U9",
    "|V8",
    "<f99",
    "[('a','<f4')]",
    "<M8[s]",
    "|b1",
    "<c16",
    "<i8",
    "|S0",
    "<U999999999",
]
SHAPES = [
    "()",
    "(0,)",
    "(-1, 55)",
    "(3, 55)",
    "(99999999999,)",
    "(2**40,)",
    "(1,)*9",
    "(" * 300 + ")" * 300,
    "(3, 55, 1)",
    "(1e3,)",
    "(3L, 55L)",
    "(" + "1" * 40 + "!)",
    "(" + "1L" * 200 + "!)",
    "(" + "3, " * 180 + "x)",
    "(,)",
]


def array(rng: Random, data: bytes) -> bytes:
    """The header of a .npy file, which Python code would read, or its numbers."""
    if not data.startswith(b"\x93NUMPY") or rng.random() < 0.25:
        return noise(rng, data)
    length = struct.unpack_from("<H", data, 8)[0]
    text, rest = data[10 : 10 + length].decode("latin1"), data[10 + length :]
    act = rng.randrange(6)
    if act == 0:
        text = re.sub(r"'descr': '[^']*'", lambda _: f"'descr': {rng.choice(DESCRIPTIONS)!r}", text)
    elif act == 1:
        text = re.sub(r"'shape': \([^)]*\)", lambda _: f"'shape': {rng.choice(SHAPES)}", text)
    elif act == 2:
        text = text.replace("False", rng.choice(["True", "None", "1", "__import__('os')"]))
    elif act == 3:
        text = rng.choice(
            [
                "{" * 5000,
                "(" * 9000,
                "-" * 9000 + "1",
                "{'a':" * 500,
                "lambda: 1",
                "\x00",
                "'" * 7,
                "{**{}}",
                "[1]*9",
                " ",
            ]
        )
    elif act == 4:
        text = words(rng, text.encode()).decode("latin1")
    else:
        rest = (
            noise(rng, rest)
            if rng.random() < 0.5
            else struct.pack("<d", rng.choice([float("nan"), float("inf"), 1e300])) * (len(rest) // 8)
        )
    version, layout = rng.choice([(1, "<H"), (1, "<H"), (2, "<I"), (3, "<I"), (9, "<H")])
    packed = text.encode("utf-8", "replace")
    limit = 65535 if layout == "<H" else 2**32 - 1
    size = rng.choice([len(packed)] * 6 + [limit, 0])
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack(layout, min(size, limit)) + packed + rest


def _member(name: str, method: int) -> zipfile.ZipInfo:
    """Without the time, which would make every archive another one."""
    made = zipfile.ZipInfo(name)
    made.compress_type = method
    return made


def members(mutate: Callable[[str], Mutation]) -> Mutation:
    """Of zip archives: what their members hold, what they are called, and how they are packed."""

    def act(rng: Random, data: bytes) -> bytes:
        if rng.random() < 0.15:
            return noise(rng, data)
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                parts = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
        except Exception:
            return noise(rng, data)
        for _ in range(rng.choice([1, 1, 2])):
            at = rng.randrange(len(parts))
            name, content = parts[at]
            how = rng.randrange(10)
            if how < 6:
                parts[at] = name, mutate(name)(rng, content)
            elif how == 6:
                parts.append((name, mutate(name)(rng, content)))
            elif how == 7:
                del parts[at]
            elif how == 8:
                parts[at] = (
                    rng.choice(
                        ["/", "../x", "a/data.pkl", "\x1b[31m.npy", "x" * 300, "data.npy", "version.npy"]
                    ),
                    content,
                )
            else:
                parts[at] = (
                    name,
                    content[: rng.randrange(len(content) + 1)]
                    + b"\0" * rng.choice([0, 100, 30_000_000 if rng.random() < 0.2 else 9]),
                )
            parts = parts or [("x", b"")]
        method = rng.choice(
            [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED] * 3 + [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2]
        )
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            for name, content in parts:
                archive.writestr(_member(name, method), content)
            if rng.random() < 0.04:
                for number in range(rng.choice([10, 20_000])):
                    archive.writestr(_member(f"many/{number}", method), b"")
        whole = bytearray(out.getvalue())
        for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
            if rng.random() < 0.06:
                for found in re.finditer(re.escape(mark), bytes(whole)):
                    whole[found.start() + offset] |= 1
        if rng.random() < 0.1:  # sizes that are not true
            at = bytes(whole).rfind(b"PK\x01\x02")
            whole[at + 20 : at + 28] = struct.pack(
                "<II", rng.choice(NUMBERS) & 0xFFFFFFFF, rng.choice(NUMBERS) & 0xFFFFFFFF
            )
        if rng.random() < 0.05:  # the end record
            at = bytes(whole).rfind(b"PK\x05\x06")
            whole[at + 8 : at + 20] = b"".join(
                struct.pack("<H", rng.choice(NUMBERS) & 0xFFFF) for _ in range(6)
            )
        return bytes(whole)

    return act


def safetensors(rng: Random, data: bytes) -> bytes:
    """The header of a safetensors file, and its length."""
    if rng.random() < 0.15:
        return noise(rng, data)
    (length,) = struct.unpack_from("<Q", data)
    text, rest = json_text(rng, data[8 : 8 + length]), data[8 + length :]
    size = len(text) if rng.random() < 0.85 else rng.choice(NUMBERS) & (2**64 - 1)
    return (
        struct.pack("<Q", size)
        + text
        + (rest if rng.random() < 0.9 else rest[: rng.randrange(len(rest) + 1)])
    )


# --- pictures and containers --------------------------------------------------------------------------------


def png(rng: Random, data: bytes) -> bytes:
    """Chunks of a PNG, with their check sums made good again so that the damage gets through."""
    if not data.startswith(b"\x89PNG") or rng.random() < 0.2:
        return noise(rng, data)
    chunks, at = [], 8
    while at + 8 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    for _ in range(rng.choice([1, 1, 3])):
        at = rng.randrange(len(chunks))
        kind, body = chunks[at]
        act = rng.randrange(6)
        if act == 0:
            chunks[at] = kind, noise(rng, body)
        elif act == 1:
            chunks[0] = (
                b"IHDR",
                struct.pack(
                    ">II5B",
                    *(rng.choice([0, 1, 64, 300, 20_000, 2**31 - 1]) for _ in range(2)),
                    rng.choice([1, 2, 4, 8, 16, 99]),
                    rng.choice([0, 2, 3, 4, 6, 7]),
                    0,
                    0,
                    rng.choice([0, 1]),
                ),
            )
        elif act == 2:
            packed = zlib.compress(b"x" * rng.choice([10, 5_000_000]))
            body = {
                b"tEXt": b"parameters\0" + rng.choice(TEXTS).encode("utf-8", "replace"),
                b"zTXt": b"parameters\0\0" + packed,
                b"iTXt": b"parameters\0\1\0\0\0" + packed,
                b"iCCP": b"p\0\0" + packed,
                b"eXIf": exif(rng),
            }
            name = rng.choice(list(body))
            chunks.insert(1, (name, body[name]))
        elif act == 3:
            chunks.insert(at, chunks[rng.randrange(len(chunks))])
        elif act == 4:
            chunks[at] = (
                rng.choice([b"acTL", b"fcTL", b"tRNS", b"PLTE", b"gAMA", b"\0\0\0\0"]),
                noise(rng, body),
            )
        elif len(chunks) > 1:
            del chunks[at]
    whole = data[:8]
    for kind, body in chunks:
        whole += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return whole


def exif(rng: Random) -> bytes:
    """An EXIF block of drawn fields: odd types, counts and offsets."""
    order = rng.choice(["<", ">"])
    fields = rng.choice([1, 3, 40, 65_535]) if rng.random() < 0.3 else 2
    block = struct.pack(
        order + "2sHI",
        b"II" if order == "<" else b"MM",
        rng.choice([42, 42, 42, 43, 0]),
        rng.choice([8, 8, 0, 2**32 - 1]),
    )
    block += struct.pack(order + "H", fields)
    for _ in range(min(fields, 40)):
        tag, kind = rng.choice([0x112, 0x112, 0x8769, 0x8825, 0x10F, 0x9286]), rng.randrange(14)
        block += struct.pack(
            order + "HHII",
            tag,
            kind,
            rng.choice([1, 1, 0, 2**32 - 1]),
            rng.choice([0, 1, 3, 6, 8, 99, 2**32 - 1]),
        )
    return block


def jpeg(rng: Random, data: bytes) -> bytes:
    """Segments of a JPEG: EXIF put in, lengths and sizes changed."""
    act = rng.randrange(4)
    if act == 0:
        block = b"Exif\0\0" + exif(rng)
        return data[:2] + b"\xff\xe1" + struct.pack(">H", min(len(block) + 2, 65535)) + block + data[2:]
    if act == 1:
        at = data.find(rng.choice([b"\xff\xc0", b"\xff\xda", b"\xff\xdb", b"\xff\xc4"]))
        if at >= 0:
            return data[:at] + noise(rng, data[at : at + 20]) + data[at + 20 :]
    return noise(rng, data)


def boxes(rng: Random, data: bytes) -> bytes:
    """Boxes of an mp4, or any bytes of a container: sizes, names and contents."""
    names = [
        m.start()
        for m in re.finditer(
            rb"moov|trak|mdia|minf|stbl|stsd|stts|stsz|stco|stsc|udta|meta|ilst|tkhd|mvhd|hdlr|data|elst|mp4a|avc1|esds",
            data,
        )
    ]
    if not names or rng.random() < 0.4:
        return noise(rng, data)
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 3])):
        at = rng.choice(names)
        act = rng.randrange(4)
        if act == 0 and at >= 4:
            out[at - 4 : at] = struct.pack(">I", rng.choice(NUMBERS) & 0xFFFFFFFF)
        elif act == 1:
            out[at : at + 4] = rng.choice([b"free", b"moov", b"trak", b"\0\0\0\0", b"udta"])
        else:
            stretch = rng.choice([4, 16, 64])
            changed = noise(rng, bytes(out[at + 4 : at + 4 + stretch]))[:stretch]
            out[at + 4 : at + 4 + len(changed)] = changed
    return bytes(out)


def anything(name: str) -> Mutation:
    """The mutation for files of that name."""
    ending = name.rpartition(".")[2].lower()
    torch_file = either(members(anything), members(anything), lambda rng, data: pickled(rng, data))
    return {
        "npy": array,
        "pkl": pickled,
        "json": json_text,
        "png": png,
        "jpg": jpeg,
        "mp4": boxes,
        "csv": either(words, words, noise),
        "obj": either(words, words, noise),
        "txt": either(words, noise),
        "ply": either(words, noise, noise),
        "npz": members(anything),
        "pth": torch_file,
        "safetensors": safetensors,
    }.get(ending, noise)


def legacy_torch(rng: Random, data: bytes) -> bytes:
    """A file of the older kind of torch.save: pickles one after the other, then numbers."""
    file = io.BytesIO(data)
    pieces: list[bytes] = []
    for _number in range(3):
        start = file.tell()
        try:
            for _ in pickletools.genops(file):  # to its end, without running it
                pass
        except ValueError:
            return noise(rng, data)
        pieces.append(data[start : file.tell()])
    rest: Any = data[file.tell() :]
    act = rng.randrange(4)
    if act == 0:
        pieces[rng.randrange(3)] = pickled(rng, pieces[rng.randrange(3)])
    elif act == 1:
        rest = rng.choice(BOMBS)(rng) + rest
    else:
        rest = noise(rng, rest)
    return b"".join(pieces) + rest
