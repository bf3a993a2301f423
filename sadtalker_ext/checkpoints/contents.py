"""A weight file into the names and shapes of its tensors, read without loading them or running code in it."""

from __future__ import annotations

import errno
import io
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ..errors import cleaned
from ..system.archives import open_zip, read_member
from ..system.foreign import damage_as, open_file, parse_json
from ..system.pickles import Broken, Opaque, Reader, Unsafe, checked_key

PRESENT, MISSING, DAMAGED, WRONG, UNSAFE = "present", "missing", "damaged", "wrong kind", "unsafe"
UNREADABLE = "unreadable"  # the file may be good
# What the system says of a name that leads to no file; None: `open_file` found that it is something else.
NO_FILE = (None, errno.ENOENT, errno.ELOOP, errno.EISDIR, errno.ENOTDIR)

HEADER_LIMIT = 8_000_000  # bytes of JSON; the format allows more, and forty thousand tensors have as much
PICKLE_LIMIT = 16_000_000  # bytes; descriptions of tensors are far smaller
DEPTH_LIMIT = 6  # of dictionaries in dictionaries
WALKED = 500_000  # values in dictionaries, however often they are named
MOST_TENSORS = 100_000
NAME_CHARACTERS = 500  # of a tensor's name
SIDES = 32  # of a tensor
MOST_NUMBERS = 1 << 48  # in a tensor, and of bytes in a file
REASON_CHARACTERS = 80  # of what a file says of itself
_LEGACY_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
_ITEM_BYTES: Mapping[str, int] = {
    "Double": 8, "Long": 8, "ComplexFloat": 8, "ComplexDouble": 16, "Float": 4, "Int": 4, "Half": 2,
    "BFloat16": 2, "Short": 2, "Char": 1, "Byte": 1, "Bool": 1, "Untyped": 1,
}  # fmt: skip
_SAFETENSORS_BYTES: Mapping[str, int] = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
    "F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip
# Names in a pickle that stand for plain values; every one becomes an inert stand-in.
_PLAIN = {
    ("torch", "Size"), ("torch", "device"), ("torch.nn.parameter", "Parameter"),
    ("numpy", "dtype"), ("numpy", "ndarray"), ("_codecs", "encode"), ("builtins", "set"),
    ("numpy.core.multiarray", "scalar"), ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"), ("numpy._core.multiarray", "_reconstruct"),
    ("torch.serialization", "_get_layout"),
}  # fmt: skip
_TENSOR_BUILDERS = {"_rebuild_tensor", "_rebuild_tensor_v2"}
_WRAPPERS = {"_rebuild_parameter", "_rebuild_parameter_with_state"}
_DTYPES = ("float", "bfloat", "int", "uint", "complex", "bool", "half", "double", "long")


class Fault(Exception):
    """Why a file cannot be used.

    state: `DAMAGED`, `WRONG`, `UNSAFE` or `UNREADABLE`. reason: continues the file's name.
    """

    def __init__(self, state: str, reason: str) -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason


def unreadable(error: OSError | MemoryError) -> Fault:
    """What to say of a file of which, this time, nothing is known."""
    if isinstance(error, MemoryError):
        return Fault(UNREADABLE, "cannot be read (there is not enough memory)")
    state = DAMAGED if error.errno in NO_FILE else UNREADABLE
    return Fault(state, f"cannot be read ({cleaned(str(error.strerror or error), REASON_CHARACTERS)})")


@dataclass(frozen=True)
class Contents:
    """What is in a weight file. kind: safetensors, torch or torchscript. tensors: shapes by dotted name."""

    kind: str
    tensors: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def read_contents(path: Path) -> Contents:
    """Names and shapes of the tensors in a file, and whether all its bytes are there.

    Reads the headers only, so it is quick for files of any size; damage inside the numbers is found by their
    sha256 alone. Time and memory are bounded, whatever is in the file. Raises `Fault`; `OSError` where the
    file cannot be read or is none, and `MemoryError`, which tell nothing of what is in it.
    """
    with (
        open_file(path) as file,
        damage_as(Fault(DAMAGED, "is cut off or damaged"), passing=(Fault, OSError)),
    ):
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        return _read(file, size, named=path.suffix == ".safetensors")


def _read(file: IO[bytes], size: int, *, named: bool) -> Contents:
    if size == 0:
        raise Fault(DAMAGED, "is empty")
    head = file.read(512)
    file.seek(0)
    if head.startswith(b"version https://git-lfs"):
        raise Fault(WRONG, "is a Git LFS pointer, not the file itself")
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise Fault(WRONG, "is a web page that was saved under this name")
    if head.startswith(b"PK\x03\x04"):
        return _read_zip(file)
    if head.startswith(_LEGACY_MAGIC):
        return _read_legacy(file, size)
    if head[8:9] == b"{" or named:
        return _read_safetensors(file, size)
    if _LEGACY_MAGIC.startswith(head):
        raise Fault(DAMAGED, "is cut off")
    raise Fault(WRONG, "is neither a safetensors nor a torch file")


def _read_safetensors(file: IO[bytes], size: int) -> Contents:
    if size < 8:
        raise Fault(DAMAGED, "is cut off")
    (length,) = struct.unpack("<Q", file.read(8))
    if not 2 <= length <= HEADER_LIMIT:
        raise Fault(WRONG, "is not a safetensors file")
    if 8 + length > size:
        raise Fault(DAMAGED, "is cut off")
    with damage_as(Fault(DAMAGED, "has a damaged header")):
        header = parse_json(file.read(length), strict=True)
        tensors = {name: _shape(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
        spans = [_span(header[name], tensors[name]) for name in tensors]
        end = 0
        for begin, end_of_this in sorted(spans):
            if begin != end:
                raise ValueError("numbers of two tensors in one place, or of none")
            end = end_of_this
    _check_length(size, 8 + length + end)
    return Contents("safetensors", tensors)


def _shape(sides: Any) -> tuple[int, ...]:
    """The sides of a tensor; `ValueError` for what is no shape of one."""
    if not isinstance(sides, (list, tuple)) or len(sides) > SIDES or not all(map(_counts, sides)):
        raise ValueError("no shape")
    if math.prod(sides) > MOST_NUMBERS:
        raise ValueError("more numbers than there can be")
    return tuple(sides)


def _counts(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_NUMBERS


def _span(entry: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[int, int]:
    """From where to where the numbers of a tensor lie; `ValueError` where they are not as many as it has."""
    begin, end = entry["data_offsets"]
    if not _counts(begin) or not _counts(end) or begin > end or not isinstance(entry["dtype"], str):
        raise ValueError("no place of numbers")
    item, count = _SAFETENSORS_BYTES.get(entry["dtype"]), math.prod(shape)
    if 8 * (end - begin) < count or (item is not None and end - begin != item * count):  # a bit each at least
        raise ValueError("another count of numbers")
    return begin, end


def _check_length(size: int, expected: int) -> None:
    if size < expected:
        raise Fault(DAMAGED, f"is cut off: {size:,} of {expected:,} bytes are there")
    if size > expected:
        raise Fault(DAMAGED, f"is longer than it says: {size:,} instead of {expected:,} bytes")


def _read_zip(file: IO[bytes]) -> Contents:
    with open_zip(file) as (archive, entries):
        name = next((name for name in entries if name.endswith("/data.pkl") or name == "data.pkl"), None)
        if name is None:
            raise Fault(WRONG, "is a zip archive, but not a torch file")
        root = name.removesuffix("data.pkl")
        if f"{root}constants.pkl" in entries:
            return Contents("torchscript")
        if entries[name].file_size > PICKLE_LIMIT:
            raise Fault(WRONG, "describes more tensors than a torch file can hold")
        pickle = io.BytesIO(read_member(archive, entries[name], PICKLE_LIMIT))
        described = _Described(pickle)
        tensors = _tensors(described.load())
        for key, (kind, count) in described.storages.items():
            entry = entries.get(f"{root}data/{key}")
            if entry is None or entry.file_size < count * _item_bytes(kind):
                raise Fault(DAMAGED, "lacks some of its numbers")
    return Contents("torch", tensors)


def _read_legacy(file: IO[bytes], size: int) -> Contents:
    for _ in range(3):  # magic number, protocol, the writing system
        _Described(file).load()
    described = _Described(file)
    tensors = _tensors(described.load())
    keys = _Described(file).load()
    if not isinstance(keys, list):
        raise Fault(DAMAGED, "is damaged")
    for key in keys:
        kind, _ = described.storages.get(str(checked_key(key)), ("Byte", 0))
        head = file.read(8)
        if len(head) < 8:
            raise Fault(DAMAGED, "is cut off")
        (count,) = struct.unpack("<q", head)
        if count < 0 or file.tell() + count * _item_bytes(kind) > size:
            raise Fault(DAMAGED, "is cut off")
        file.seek(count * _item_bytes(kind), 1)
    return Contents("torch", tensors)


def _item_bytes(kind: str) -> int:
    return _ITEM_BYTES.get(kind.removesuffix("Storage"), 1)


@dataclass(frozen=True)
class _Tensor:
    shape: tuple[int, ...]


class _Described:
    """Reads the structure of a torch pickle: tensors become their shapes, and no name is ever imported.

    storages: of each key, the kind of number and how many there are.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._reader = Reader(file, self._find, self._storage, encoding="utf-8", most=PICKLE_LIMIT)
        self.storages: dict[str, tuple[str, int]] = {}

    def load(self) -> Any:
        try:
            return self._reader.load()
        except Unsafe as error:
            raise Fault(
                UNSAFE, f"holds {cleaned(str(error), REASON_CHARACTERS)}, which weights never need"
            ) from None

    def _find(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return self._reader.ordered
        if module == "torch._utils" and name in _TENSOR_BUILDERS:
            return _tensor
        if module == "torch._utils" and name in _WRAPPERS:
            return _first
        torch_value = module == "torch" and name.startswith(_DTYPES)
        storage = module in ("torch", "torch.storage", "torch.cuda") and name.endswith("Storage")
        if torch_value or storage or (module, name) in _PLAIN:
            return Opaque(name)
        called = cleaned(f"{module}.{name}", REASON_CHARACTERS)
        raise Fault(UNSAFE, f"would run {called} when loaded, which weights never need")

    def _storage(self, pid: Any) -> None:
        if isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage":
            stored, key, count = pid[1], pid[2], pid[4]
            if not isinstance(key, (str, int)) or not _counts(count):
                raise Broken("numbers without a place")
            kind = stored.name if isinstance(stored, Opaque) else "Byte"
            self.storages[str(key)] = (kind, count)


def _tensor(storage: object, offset: object, shape: Any, *rest: object) -> _Tensor:
    return _Tensor(_shape(shape))


def _first(value: object, *rest: object) -> object:
    return value


def _tensors(value: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors in nested dictionaries, by their keys joined with dots."""
    found: dict[str, tuple[int, ...]] = {}
    left = WALKED

    def walk(value: Any, name: str, depth: int) -> None:
        nonlocal left
        left -= 1
        if left < 0 or len(found) > MOST_TENSORS:
            raise Fault(DAMAGED, "describes more tensors than a file can hold")
        if isinstance(value, _Tensor):
            found[name] = value.shape
        elif isinstance(value, dict) and depth < DEPTH_LIMIT:
            for key, inner in value.items():
                if not isinstance(key, (str, int)):
                    continue
                inside = f"{name}.{key}" if name else str(key)
                if len(inside) <= NAME_CHARACTERS:
                    walk(inner, inside, depth + 1)

    walk(value, "", 0)
    return found
