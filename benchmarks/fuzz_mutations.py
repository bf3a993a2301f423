"""Bytes of a well-made file into those of a damaged or hostile one: mutations that know what they break.

Every function takes a `random.Random` and bytes and returns bytes; the same generator gives the same bytes.
"""

from __future__ import annotations

import json
import pickle
import pickletools
import re
import struct
from collections.abc import Callable
from random import Random

MOST = 1_000_000  # bytes that a mutation adds, more or less

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
    "0",
    "-0",
    "-1",
    "1e999",
    "-1e999",
    "1e-999",
    "NaN",
    "Infinity",
    "-Infinity",
    "9" * 30,
    "9" * 5000,
    "-" + "9" * 25,
    "1e308",
    "0x10",
    "1_000",
    "１",
    "1.5",
    "nan",
    "inf",
    "1,5",
    "",
    "+",
    "1e",
    "007",
    "true",
    "null",
]
TEXTS = [
    "",
    "\x1b[31mRED\x1b[0m",
    "\x1b]0;title\x07",
    "a\nb",
    "a\r\nb",
    "\x00",
    "\x9b31m",
    "\u202egnp.exe",
    "\u2066x",
    "\ud800",
    "x" * 5000,
    "../../etc/passwd",
    "{0}",
    "{path}",
    "%s%n",
    "é" * 300,
    "👩\u200d👩",
    "\u2028",
    "$(id)",
    "<script>",
    "'; --",
]


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
        if len(out) > 2 * len(data) + MOST:
            break
    if rng.random() < 0.12:
        del out[rng.randrange(len(out) + 1) :]
    return bytes(out)


def either(*ways: Mutation) -> Mutation:
    """One of the ways, drawn anew each time."""
    return lambda rng, data: rng.choice(ways)(rng, data)


# --- text ---------------------------------------------------------------------------------------------------


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
        if sum(map(len, lines)) > MOST:
            break
    return "\n".join(lines).encode("utf-8", rng.choice(["surrogatepass", "replace"]))


# --- JSON ---------------------------------------------------------------------------------------------------


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
    except (ValueError, RecursionError):
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
            break
    text = json.dumps(document)
    for marked, plain in texts.items():
        text = text.replace(marked, plain)
    return text.encode("utf-8", "surrogatepass")


# --- pickles ------------------------------------------------------------------------------------------------


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


def _colliding(rng: Random) -> bytes:
    """A dictionary of keys that have one hash, or that can be foreseen."""
    step = rng.choice([2**61 - 1, 1 - 2**61, 1 << 20, -5])
    wrap = rng.choice([b"", b"\x85", b"N\x86"])
    keys = (number * step for number in range(rng.choice([10, 30_000])))
    return b"\x80\x02}(" + b"".join(pickle.dumps(key, 2)[2:-1] + wrap + b"N" for key in keys) + b"u."


BOMBS: list[Callable[[Random], bytes]] = [
    _colliding,
    _laughs,
    _nest,
    lambda rng: b"\x80\x02}r" + struct.pack("<I", rng.choice(NUMBERS) & 0xFFFFFFFF) + b".",
    lambda rng: b"\x80\x02}p" + str(rng.choice(NUMBERS)).encode() + b"\n.",
    lambda rng: (
        b"\x80\x02\x8b"
        + struct.pack("<I", rng.choice(NUMBERS) & 0xFFFFFFFF)
        + b"\xff" * rng.choice([1, 9, 5000])
        + b"."
    ),
    lambda rng: (
        b"\x80\x04"
        + rng.choice([b"\x8d", b"\x8e", b"\x96", b"\x95"])
        + struct.pack("<Q", rng.choice(NUMBERS) & (2**64 - 1))
        + b"x."
    ),
    lambda rng: b"L" + b"9" * rng.choice([10, 5000, 100_000]) + b"L\n.",
    lambda rng: rng.choice([b"\x82\x01", b"\x83\x01\x00", b"\x84\x01\x00\x00\x00"]) + b".",
    lambda rng: rng.choice(
        [b"Pabc\n.", b"K\x01Q.", b"(K\x01K\x02tQ.", b"((X\x07\x00\x00\x00storagetQ.", b"\x97\x98."]
    ),
    lambda rng: (
        b"c"
        + rng.choice([b"os\nsystem", b"builtins\neval", b"torch\nload", b"\x1b[31m\nx" * 3, b"numpy\ndtype"])
        + b"\n(S'x'\ntR."
    ),
    lambda rng: (
        b"\x80\x02("
        + b"K\x01" * rng.choice([3, 400_000])
        + rng.choice([b"t.", b"l.", b"d.", b"\x91.", b"}s."])
    ),
    lambda rng: (
        b"\x80\x02X"
        + struct.pack("<I", 50_000)
        + b"\xed\xa0\x80" * 16_666
        + b"xx"
        + rng.choice([b".", b"q\x000}h\x00K\x01s."])
    ),
    lambda rng: (
        b"\x80\x02"
        + b"cnumpy\ndtype\n(X\x02\x00\x00\x00"
        + rng.choice([b"f4", b"O8", b"V9"])
        + b"K\x00K\x01tRq\x00."
    ),
]


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
            pieces[at] += rng.choice(
                [
                    b"0",
                    b"1",
                    b"2",
                    b"(",
                    b"t",
                    b"R",
                    b"b",
                    b"s",
                    b"u",
                    b"e",
                    b"a",
                    b"}",
                    b"]",
                    b")",
                    b"N",
                    b"K\xff",
                    b"J\xff\xff\xff\xff",
                    b"G\x7f\xf0\x00\x00\x00\x00\x00\x00",
                    b"\x85",
                    b"\x86",
                    b"Q",
                    b"h\x00",
                    b"o",
                    b"\x81",
                    b"\x93",
                    b".",
                ]
            )
        else:
            pieces[at] = noise(rng, pieces[at])
        if sum(map(len, pieces)) > MOST:
            break
    return b"".join(pieces)
