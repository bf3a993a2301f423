"""A weight file into the names and shapes of its tensors, read without loading them or running code in it."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

PRESENT, MISSING, DAMAGED, WRONG, UNSAFE = "present", "missing", "damaged", "wrong kind", "unsafe"

HEADER_LIMIT = 100_000_000  # bytes of JSON that the safetensors format allows
PICKLE_LIMIT = 64_000_000  # bytes; descriptions of tensors are far smaller
DEPTH_LIMIT = 6  # of dictionaries in dictionaries
_LEGACY_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
_ITEM_BYTES: Mapping[str, int] = {
    "Double": 8, "Long": 8, "ComplexFloat": 8, "ComplexDouble": 16, "Float": 4, "Int": 4, "Half": 2,
    "BFloat16": 2, "Short": 2, "Char": 1, "Byte": 1, "Bool": 1, "Untyped": 1,
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
    """Why a file cannot be used. state: `DAMAGED`, `WRONG` or `UNSAFE`; reason: continues the file's name."""

    def __init__(self, state: str, reason: str) -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason


@dataclass(frozen=True)
class Contents:
    """What is in a weight file. kind: safetensors, torch or torchscript. tensors: shapes by dotted name."""

    kind: str
    tensors: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def read_contents(path: Path) -> Contents:
    """Names and shapes of the tensors in a file, and whether all its bytes are there.

    Reads the headers only, so it is quick for files of any size; damage inside the numbers is found by their
    sha256 alone. Raises `Fault`, and `OSError` where the file cannot be opened.
    """
    size = path.stat().st_size
    if size == 0:
        raise Fault(DAMAGED, "is empty")
    with path.open("rb") as file:
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
        if head[8:9] == b"{" or path.suffix == ".safetensors":
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
    try:
        header = json.loads(file.read(length))
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        tensors = {name: tuple(int(side) for side in entry["shape"]) for name, entry in entries.items()}
        end = 8 + length + max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise Fault(DAMAGED, "has a damaged header") from None
    _check_length(size, end)
    return Contents("safetensors", tensors)


def _check_length(size: int, expected: int) -> None:
    if size < expected:
        raise Fault(DAMAGED, f"is cut off: {size:,} of {expected:,} bytes are there")
    if size > expected:
        raise Fault(DAMAGED, f"is longer than it says: {size:,} instead of {expected:,} bytes")


def _read_zip(file: IO[bytes]) -> Contents:
    try:
        with zipfile.ZipFile(file) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            name = next((name for name in entries if name.endswith("/data.pkl") or name == "data.pkl"), None)
            if name is None:
                raise Fault(WRONG, "is a zip archive, but not a torch file")
            root = name.removesuffix("data.pkl")
            if f"{root}constants.pkl" in entries:
                return Contents("torchscript")
            if entries[name].file_size > PICKLE_LIMIT:
                raise Fault(WRONG, "describes more tensors than a torch file can hold")
            with archive.open(name) as packed:
                reader = _Reader(packed)
                tensors = _tensors(_load(reader))
            for key, (kind, count) in reader.storages.items():
                entry = entries.get(f"{root}data/{key}")
                if entry is None or entry.file_size < count * _item_bytes(kind):
                    raise Fault(DAMAGED, "lacks some of its numbers")
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, OSError):
        raise Fault(DAMAGED, "is cut off or damaged") from None
    return Contents("torch", tensors)


def _read_legacy(file: IO[bytes], size: int) -> Contents:
    for _ in range(3):  # magic number, protocol, the writing system
        _load(_Reader(file))
    reader = _Reader(file)
    tensors = _tensors(_load(reader))
    keys = _load(_Reader(file))
    if not isinstance(keys, list):
        raise Fault(DAMAGED, "is damaged")
    for key in keys:
        kind, _ = reader.storages.get(str(key), ("Byte", 0))
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


class _Inert:
    """Stands for a name in a pickle: takes whatever is done to it and does nothing."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *arguments: object, **named: object) -> _Inert:
        return self

    __setstate__ = append = __setitem__ = __call__


class _Reader(pickle.Unpickler):
    """Reads the structure of a torch pickle: tensors become their shapes, and no name is ever imported.

    storages: of each key, the kind of number and how many there are.
    """

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, encoding="utf-8")
        self.storages: dict[str, tuple[str, int]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._utils" and name in _TENSOR_BUILDERS:
            return _tensor
        if module == "torch._utils" and name in _WRAPPERS:
            return _first
        torch_value = module == "torch" and name.startswith(_DTYPES)
        storage = module in ("torch", "torch.storage", "torch.cuda") and name.endswith("Storage")
        if torch_value or storage or (module, name) in _PLAIN:
            return _Inert(name)
        raise Fault(UNSAFE, f"would run {module}.{name} when loaded, which weights never need")

    def persistent_load(self, pid: Any) -> Any:
        if isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage":
            kind = pid[1].name if isinstance(pid[1], _Inert) else str(pid[1])
            self.storages[str(pid[2])] = (kind, int(pid[4]))
        return None


def _tensor(storage: object, offset: object, shape: Any, *rest: object) -> _Tensor:
    return _Tensor(tuple(int(side) for side in shape))


def _first(value: object, *rest: object) -> object:
    return value


def _load(reader: _Reader) -> Any:
    try:
        return reader.load()
    except Fault:
        raise
    except Exception:  # a damaged pickle can raise anything
        raise Fault(DAMAGED, "is cut off or damaged") from None


def _tensors(value: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors in nested dictionaries, by their keys joined with dots."""
    found: dict[str, tuple[int, ...]] = {}

    def walk(value: Any, name: str, depth: int) -> None:
        if isinstance(value, _Tensor):
            found[name] = value.shape
        elif isinstance(value, dict) and depth < DEPTH_LIMIT:
            for key, inner in value.items():
                walk(inner, f"{name}.{key}" if name else str(key), depth + 1)

    walk(value, "", 0)
    return found
