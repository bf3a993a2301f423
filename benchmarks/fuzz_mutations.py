"""Bytes of a well-made file into those of a damaged or hostile one: mutations that know what they break.

Every function takes a `random.Random` and bytes and returns bytes; the same generator gives the same bytes.
"""

from __future__ import annotations

import io
import json
import pickle
import pickletools
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

Mutation = Callable[[Random, bytes], bytes]

NUMBERS = [
    0,
    1,
    -1,
    127,
    128,
    255,
    256,
    32767,
    65535,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**53,
    2**63 - 1,
    2**64 - 1,
]
TEXT_NUMBERS = [
    "0", "-0", "-1", "1e999", "-1e999", "1e-999", "NaN", "Infinity", "-Infinity", "9" * 30, "9" * 5000, "-" + "9" * 25,
    "1e308", "0x10", "1_000", "１", "1.5", "nan", "inf", "1,5", "", "+", "1e", "007", "true", "null",
]  # fmt: skip
TEXTS = [
    "", "\x1b[31mRED\x1b[0m", "\x1b]0;title\x07", "a\nb", "a\r\nb", "\x00", "\x9b31m", "\u202egnp.exe", "\u2066x", "\ud800",
    "x" * 5000, "../../etc/passwd", "{0}", "{path}", "%s%n", "é" * 300, "👩\u200d👩", "\u2028", "$(id)", "<script>", "'; --",
]  # fmt: skip


def noise(rng: Random, data: bytes) -> bytes:
    """Bits turned, pieces lost, doubled, moved and overwritten, wherever they are."""
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4, 12])):
        at = rng.randrange(len(out) + 1)
        size = min(rng.choice([1, 2, 4, 8, 32, 200]), len(out) - at)
        act = rng.randrange(7)
        if act == 0 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif act == 1:
            out[at : at + size] = bytes([rng.choice([0, 255, 0x80, 0x7F])]) * size
        elif act == 2:
            del out[at : at + size]
        elif act == 3:
            out[at:at] = out[at : at + size] * rng.choice([1, 2, 50])
        elif act == 4:
            out[at : at + size] = rng.randbytes(size)
        elif act == 5:
            number = rng.choice(NUMBERS) & (2**64 - 1)
            width, order = rng.choice([1, 2, 4, 8]), rng.choice(["little", "big"])
            packed = (number & (256**width - 1)).to_bytes(width, order)
            out[at : at + width] = packed
        else:
            other = rng.randrange(len(out) + 1)
            out[at:at] = out[other : other + size]
    if rng.random() < 0.12:
        del out[rng.randrange(len(out) + 1) :]
    return bytes(out)


def either(*ways: Mutation) -> Mutation:
    """One of the ways, drawn anew each time."""
    return lambda rng, data: rng.choice(ways)(rng, data)


# --- text ------------------------------------------------------------------------------------------------------


def words(rng: Random, data: bytes) -> bytes:
    """Numbers and words of a text file, and whole lines of it, replaced, doubled or lost."""
    lines = data.decode("utf-8", "replace").split("\n")
    for _ in range(rng.choice([1, 1, 3, 10])):
        at = rng.randrange(len(lines))
        act = rng.randrange(6)
        parts = re.split(r"([\s,;:/]+)", lines[at])
        if act < 3:
            parts[rng.randrange(len(parts))] = rng.choice([*TEXT_NUMBERS, *TEXTS])
            lines[at] = "".join(parts)
        elif act == 3:
            lines[at : at + 1] = [lines[at]] * rng.choice([0, 2, 300])
            lines = lines or [""]
        elif act == 4:
            lines[at] = lines[at] * rng.choice([2, 300]) + rng.choice(["", "\\", ","])
        else:
            lines[at] = rng.choice(TEXTS) + lines[at]
    return "\n".join(lines).encode("utf-8", rng.choice(["surrogatepass", "replace"]))


# --- JSON ------------------------------------------------------------------------------------------------------


def json_value(rng: Random) -> str:
    """A value that surprises, as JSON spells it."""
    kind = rng.randrange(8)
    if kind == 0:
        return rng.choice([number for number in TEXT_NUMBERS if number])
    if kind == 1:
        return json.dumps(rng.choice(TEXTS))
    if kind == 2:
        depth = rng.choice([3, 60, 2000, 100_000])
        return "[" * depth + "]" * depth
    if kind == 3:
        depth = rng.choice([3, 60, 1500])
        return '{"a":' * depth + "1" + "}" * depth
    if kind == 4:
        return (
            "["
            + ",".join(rng.choice(["1", "[]", "{}", '"x"', "null"]) for _ in range(rng.choice([1, 4, 3000])))
            + "]"
        )
    return rng.choice(
        ["null", "true", "[]", "{}", '""', "[1,2,3,4]", "[[[]]]", '{"":0}', "5", "-7", "[0,0]", "[1e999]"]
    )


def json_text(rng: Random, data: bytes) -> bytes:
    """Values and names of a JSON document replaced, doubled and lost; what is around them stays well-made."""
    try:
        document = json.loads(data)
    except ValueError:
        return noise(rng, data)
    if rng.random() < 0.08:
        return noise(rng, data)
    texts: dict[str, str] = {}

    def mark(text: str) -> str:
        texts[f'"@{len(texts)}@"'] = text
        return f"@{len(texts) - 1}@"

    for _ in range(rng.choice([1, 1, 2, 5])):
        inside = [document]
        holder = document
        while inside:
            holder = rng.choice(inside)
            values = list(holder.values() if isinstance(holder, dict) else holder)
            inside = [value for value in values if isinstance(value, (dict, list)) and value]
            if rng.random() < 0.35:
                break
        if not isinstance(holder, (dict, list)) or not holder:
            break
        place = rng.choice(list(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))
        act = rng.randrange(8)
        if act < 5:
            holder[place] = mark(json_value(rng))
        elif act == 5:
            holder.pop(place)
        elif isinstance(holder, dict):
            name = json.dumps(rng.choice([*TEXTS, *map(str, holder)]))
            holder[mark(name)] = mark(json_value(rng)) if act == 6 else holder.pop(place)
        else:
            holder *= rng.choice([2, 300])
    text = json.dumps(document)
    for marked, plain in texts.items():
        text = text.replace(marked, plain)
    return text.encode("utf-8", "surrogatepass")


# --- pickles ---------------------------------------------------------------------------------------------------


def _laughs(rng: Random) -> bytes:
    opened, one, close = rng.choice(
        [(b"]", b"h\x00", b"e"), (b"}", b"K\x00h\x00", b"u"), (b"", b"h\x00", b"t")]
    )
    levels = b"" if opened else b")q\x000"
    out = b"\x80\x02" + (levels or opened + b"q\x000")
    for number in range(1, rng.choice([5, 60])):
        before = one.replace(b"h\x00", b"h" + bytes([number - 1]))
        out += opened + b"(" + before * rng.choice([2, 100]) + close + b"q" + bytes([number]) + b"0"
    last = b"h" + bytes([number])
    return out + rng.choice([last, b"}" + last + b"K\x01s"]) + b"."


def _nest(rng: Random) -> bytes:
    depth, wrap = rng.choice([100, 20_000, 400_000]), rng.choice([b"\x85", b"]q\x00a", b"l"])
    deep = {b"\x85": b")" + b"\x85" * depth, b"l": b"(" * depth + b"l" * depth}.get(
        wrap, b"]" + b"]" * depth + b"a" * depth
    )
    return b"\x80\x02" + rng.choice([b"}" + deep + b"K\x01s.", deep + b"."])


BOMBS: list[Callable[[Random], bytes]] = [
    _laughs,
    _nest,
    lambda rng: b"\x80\x02}r" + struct.pack("<I", rng.choice(NUMBERS) & 0xFFFFFFFF) + b".",
    lambda rng: b"\x80\x02}p" + str(rng.choice(NUMBERS)).encode() + b"\n.",
    lambda rng: b"\x80\x02\x8b" + struct.pack("<I", rng.choice(NUMBERS) & 0xFFFFFFFF) + b"\xff" * rng.choice([1, 9, 5000]) + b".",
    lambda rng: b"\x80\x04" + rng.choice([b"\x8d", b"\x8e", b"\x96", b"\x95"]) + struct.pack("<Q", rng.choice(NUMBERS) & (2**64 - 1)) + b"x.",
    lambda rng: b"L" + b"9" * rng.choice([10, 5000, 100_000]) + b"L\n.",
    lambda rng: rng.choice([b"\x82\x01", b"\x83\x01\x00", b"\x84\x01\x00\x00\x00"]) + b".",
    lambda rng: rng.choice([b"Pabc\n.", b"K\x01Q.", b"(K\x01K\x02tQ.", b"((X\x07\x00\x00\x00storagetQ.", b"\x97\x98."]),
    lambda rng: b"c" + rng.choice([b"os\nsystem", b"builtins\neval", b"torch\nload", b"\x1b[31m\nx" * 3, b"numpy\ndtype"]) + b"\n(S'x'\ntR.",
    lambda rng: b"\x80\x02(" + b"K\x01" * rng.choice([3, 400_000]) + rng.choice([b"t.", b"l.", b"d.", b"\x91.", b"}s."]),
    lambda rng: b"\x80\x02X" + struct.pack("<I", 50_000) + b"\xed\xa0\x80" * 16_666 + b"xx" + rng.choice([b".", b"q\x000}h\x00K\x01s."]),
    lambda rng: b"\x80\x02" + b"cnumpy\ndtype\n(X\x02\x00\x00\x00" + rng.choice([b"f4", b"O8", b"V9"]) + b"K\x00K\x01tRq\x00." ,
]  # fmt: skip


def pickled(rng: Random, data: bytes) -> bytes:
    """Instructions of a pickle lost, doubled, moved and put in; or a bomb in its place."""
    if rng.random() < 0.3:
        return rng.choice(BOMBS)(rng)
    try:
        starts = [place or 0 for _, _, place in pickletools.genops(data)]
    except Exception:
        return noise(rng, data)
    pieces = [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]
    for _ in range(rng.choice([1, 2, 6])):
        at = rng.randrange(len(pieces))
        act = rng.randrange(5)
        if act == 0:
            pieces[at] = b""
        elif act == 1:
            pieces[at] *= rng.choice([2, 3, 500])
        elif act == 2:
            pieces[at], pieces[at - 1] = pieces[at - 1], pieces[at]
        elif act == 3:
            pieces[at] += rng.choice([b"0", b"1", b"2", b"(", b"t", b"R", b"b", b"s", b"u", b"e", b"a", b"}", b"]", b")", b"N", b"K\xff",
                b"J\xff\xff\xff\xff", b"G\x7f\xf0\x00\x00\x00\x00\x00\x00", b"\x85", b"\x86", b"Q", b"h\x00", b"o", b"\x81", b"\x93", b"."])  # fmt: skip
        else:
            pieces[at] = noise(rng, pieces[at])
    return b"".join(pieces)


# --- arrays and archives ---------------------------------------------------------------------------------------

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
                archive.writestr(name, content)
            if rng.random() < 0.04:
                for number in range(rng.choice([10, 20_000])):
                    archive.writestr(f"many/{number}", b"")
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


# --- pictures and containers -----------------------------------------------------------------------------------


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
            chunks[0] = b"IHDR", struct.pack(">II5B", *(rng.choice([0, 1, 64, 300, 20_000, 2**31 - 1]) for _ in range(2)),
                rng.choice([1, 2, 4, 8, 16, 99]), rng.choice([0, 2, 3, 4, 6, 7]), 0, 0, rng.choice([0, 1]))  # fmt: skip
        elif act == 2:
            packed = zlib.compress(b"x" * rng.choice([10, 5_000_000]))
            body = {b"tEXt": b"parameters\0" + rng.choice(TEXTS).encode("utf-8", "replace"), b"zTXt": b"parameters\0\0" + packed,
                b"iTXt": b"parameters\0\1\0\0\0" + packed, b"iCCP": b"p\0\0" + packed, b"eXIf": exif(rng)}  # fmt: skip
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
        "npy": array, "pkl": pickled, "json": json_text, "png": png, "jpg": jpeg, "mp4": boxes, "csv": either(words, words, noise),
        "obj": either(words, words, noise), "txt": either(words, noise), "ply": either(words, noise, noise),
        "npz": members(anything), "pth": torch_file, "safetensors": safetensors,
    }.get(ending, noise)  # fmt: skip


def legacy_torch(rng: Random, data: bytes) -> bytes:
    """A file of the older kind of torch.save: pickles one after the other, then numbers."""
    file = io.BytesIO(data)
    pieces: list[bytes] = []
    for _ in range(3):
        start = file.tell()
        try:
            pickle.load(file)
        except Exception:
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
