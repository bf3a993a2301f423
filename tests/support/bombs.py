"""Pickles of a few bytes that ask for gigabytes, for ever, or for the end of the process."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Callable


def _laughs(opened: bytes, member: bytes, close: bytes) -> bytes:
    """Each of sixty containers holds the one before a hundred times. member: its key, or nothing."""
    levels = b"".join(
        opened
        + b"("
        + b"".join((member and member % item) + b"h%c" % number for item in range(100))
        + close
        + b"q%c0" % (number + 1)
        for number in range(60)
    )
    return b"\x80\x02)q\x000" + levels + b"h\x3c."


def _keys(key: Callable[[int], object], count: int = 40_000) -> bytes:
    """A dictionary of these keys."""
    return pickle.dumps({key(number): None for number in range(count)}, 2)


def _alike(key: Callable[[int], object], count: int = 40_000) -> bytes:
    """The same where the keys have one hash: made without ever having the dictionary."""
    keys = b"".join(pickle.dumps(key(number), 2)[2:-1] + b"N" for number in range(count))
    return b"\x80\x02}(" + keys + b"u."


ONE_HASH = 2**61 - 1  # a whole number's hash is its rest by this one
PICKLES: dict[str, bytes] = {
    "nested tuple as a key": b"\x80\x02})" + b"\x85" * 60_000 + b"K\x01s.",
    "nested tuple in a tuple as a key": b"\x80\x02}K\x01)" + b"\x85" * 60_000 + b"\x86K\x01s.",
    "tuples of tuples as a key": _laughs(b"", b"", b"t")[:-3] + b"}h\x3cK\x01s.",
    "frozensets of frozensets as a key": b"\x80\x04(\x91" + b"(\x85\x91" * 9 + b"}\x8c\x01as.",
    "lists of lists": _laughs(b"]", b"", b"e"),
    "dictionaries of dictionaries": _laughs(b"}", b"K%c", b"u"),
    "a list as a key": b"\x80\x02}]K\x01s.",
    "a memo of gigabytes": b"\x80\x02}r\xff\xff\xff\x0f.",
    "a memo of gigabytes, written out": b"\x80\x02}p999999999\n.",
    "a memo before the first": b"\x80\x02}p-1\n.",
    "a number of two gigabytes": b"\x80\x02\x8b\xff\xff\xff\x7f\x01.",
    "a number of less than nothing": b"\x80\x02\x8b\xff\xff\xff\xff\x01.",
    "a long number": b"\x80\x02\x8b" + struct.pack("<i", 100_000) + b"\x7f" * 100_000 + b".",
    "a long number, written out": b"L" + b"9" * 100_000 + b"L\n.",
    "a text of many exabytes": b"\x80\x04\x8d" + b"\xff" * 8 + b"x.",
    "bytes of many exabytes": b"\x80\x05\x8e" + b"\xff" * 7 + b"\x7f.",
    "a byte array of many exabytes": b"\x80\x05\x96" + b"\xff" * 7 + b"\x7f.",
    "a frame of many exabytes": b"\x80\x04\x95" + b"\xff" * 7 + b"\x7f",
    "a registered class": b"\x80\x02\x82\x01.",
    "a registered class of a large number": b"\x80\x02\x84\xff\xff\xff\x7f.",
    "a buffer elsewhere": b"\x80\x05\x97\x98.",
    "calls of many arguments": b"\x80\x02ctorch\nSize\nq\x00(" + b"K\x01" * 50_000
    + b"tq\x010" + b"h\x00h\x01R0" * 50_000 + b"N.",
    "too many values": b"\x80\x02(" + b"K\x01" * 600_000 + b"t.",
    "marks without an end": b"\x80\x02" + b"(" * 600_000,
    "nothing on the stack": b"\x80\x02.",
    "a call of a number": b"\x80\x02K\x01)R.",
    "an end too early": b"\x80\x02}(X",
    "keys of one hash": _alike(lambda number: number * ONE_HASH),
    "negative keys of one hash": _alike(lambda number: -number * ONE_HASH),
    "a few keys of one hash": _alike(lambda number: 7 + number * ONE_HASH, 10),
    "keys that are written out": b"\x80\x02}(" + b"".join(
        b"L%dL\nN" % (number * ONE_HASH) for number in range(40_000)) + b"u.",
    "keys in tuples of one hash": _alike(lambda number: (number * ONE_HASH,)),
    "keys behind a text, of one hash": _alike(lambda number: ("a", number * ONE_HASH)),
    "one key after the other, of one hash": b"\x80\x02}" + b"".join(
        pickle.dumps(number * ONE_HASH, 2)[2:-1] + b"Ns" for number in range(40_000)) + b".",
    "numbers in no order as keys": _keys(lambda number: number * 7919 << 20),
    "odd numbers as keys": _keys(lambda number: (number * 0.7) * 2.0**61),
    "negative numbers as keys": _keys(lambda number: -number * 5),
    "tuples of numbers as keys": _keys(lambda number: (number, number)),
}  # fmt: skip


def in_zip(pickle: bytes, method: int = zipfile.ZIP_STORED, root: str = "archive") -> bytes:
    """A file as torch.save writes it, with this description of its tensors."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(f"{root}/data.pkl", pickle)
        archive.writestr(f"{root}/version", b"3")
    return file.getvalue()


def encrypted(whole: bytes) -> bytes:
    """A zip archive whose members say that they are encrypted."""
    out = bytearray(whole)
    for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = whole.find(mark)
        while at >= 0:
            out[at + offset] |= 1
            at = whole.find(mark, at + 1)
    return bytes(out)


def of_header(header: bytes, numbers: bytes = b"") -> bytes:
    """A safetensors file with this header."""
    return struct.pack("<Q", len(header)) + header + numbers
