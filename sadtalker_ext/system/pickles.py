"""A pickle into the structure of what it holds, by an interpreter of its own that can do nothing but that.

The module pickle cannot be bounded: a few bytes ask for gigabytes, a key that is hashed for ever or ends the
process. Here everything costs, nothing is imported, and a name means what the caller's table says.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable, Iterable
from typing import IO, Any

INSTRUCTIONS = 500_000  # of one pickle, and values that they handle; ten thousand tensors take as many
TEXT_BYTES = 16_000_000  # of all texts and arrays in it
NUMBER_BYTES = 64  # of a whole number
LINE_BYTES = 40  # of a number, or of a name in the memo, that is written out
NAME_CHARACTERS = 200  # of a module, or of what is in it
HASHED = 16  # values in a tuple that is a key
MOST_KEY = 1 << 60  # of a whole number: larger ones can be chosen so that all of them have one hash
# Hashes of numbers can be foreseen, and keys chosen of which each has to pass all before it. So each pays
# for those, and a tuple, which is compared slowly, for more; twenty thousand numbers in no order are free.
PASSED_KEYS = 200_000_000
TUPLE_COST = 16


class Unsafe(Exception):
    """What data never need: a call of a name that is not in the table, or something outside the file."""


class Broken(ValueError):
    """Bytes that are no pickle, one that is cut off, or more than any file of data asks for."""


class Opaque:
    """Stands for what a name means that nobody asks for: takes whatever is done to it and does nothing."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *arguments: object) -> Opaque:
        return self


_MARK = object()
Find = Callable[[str, str], Any]


class Reader:
    """Reads one pickle after the other; each `load` has the whole budget.

    file: at the beginning of a pickle. find(module, name): what a name stands for: a class or a function that
    takes what the pickle calls it with, or an `Opaque`; raises `Unsafe`. persistent: what a reference to
    something outside the file stands for. encoding: of texts of Python 2. most: bytes of texts.
    """

    def __init__(
        self,
        file: IO[bytes],
        find: Find,
        persistent: Callable[[Any], Any] | None = None,
        *,
        encoding: str = "latin1",
        most: int = TEXT_BYTES,
        instructions: int = INSTRUCTIONS,
    ) -> None:
        self._file, self._find, self._persistent, self._encoding = file, find, persistent, encoding
        self._most, self._instructions = most, instructions

    def load(self) -> Any:
        """The value; `Broken` or `Unsafe` where there is none to be had."""
        self._stack: list[Any] = []
        self._memo: list[Any] = []  # no dictionary: places can be chosen as keys can
        self._memorized = 0
        self._left, self._bytes_left, self._passes_left = self._instructions, self._most, PASSED_KEYS
        read, codes = self._file.read, _CODES
        while (code := read(1)) != b".":
            self.spend(1)
            act = codes.get(code)
            if act is None:
                raise Broken("cut off" if not code else "an unknown instruction")
            act(self)
        return self._pop()

    def spend(self, values: int) -> None:
        """Counts values that are handled beyond the instruction itself."""
        self._left -= values
        if self._left < 0:
            raise Broken("more values than any such file holds")

    def spend_bytes(self, count: int) -> None:
        """Counts bytes that are kept, or made from others."""
        self._bytes_left -= count
        if self._bytes_left < 0:
            raise Broken("more bytes than any such file holds")

    # --- bytes ---------------------------------------------------------------------------------------------

    def take(self, count: int) -> bytes:
        if count < 0:
            raise Broken("a text of less than nothing")
        self.spend_bytes(count)
        data = self._file.read(count)
        if len(data) != count:
            raise Broken("cut off")
        return data

    def number(self, layout: str) -> int:
        found: int = struct.unpack(layout, self.take(struct.calcsize(layout)))[0]
        return found

    def line(self, most: int = LINE_BYTES) -> bytes:
        data = self._file.readline(min(most, max(0, self._bytes_left)) + 2)
        if not data.endswith(b"\n"):
            raise Broken("a line without an end")
        self.spend_bytes(len(data))
        return data[:-1]

    def texts(self, data: bytes) -> str:
        return data.decode(self._encoding, "replace")

    # --- stack and memo ------------------------------------------------------------------------------------

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        if not self._stack or self._stack[-1] is _MARK:
            raise Broken("nothing where a value should be")
        return self._stack.pop()

    def pop(self, count: int) -> list[Any]:
        taken = [self._pop() for _ in range(count)]
        return taken[::-1]

    def top(self) -> Any:
        value = self._pop()
        self.push(value)
        return value

    def to_mark(self) -> list[Any]:
        """Takes everything above the last mark, and that."""
        taken: list[Any] = []
        while self._stack:
            value = self._stack.pop()
            if value is _MARK:
                return taken[::-1]
            taken.append(value)
        raise Broken("no mark")

    def drop(self) -> None:
        if not self._stack:
            raise Broken("nothing to drop")
        self._stack.pop()

    def put(self, place: int) -> None:
        if not 0 <= place <= self._instructions:
            raise Broken("a memo of more values than the file can hold")
        value = self.top()
        if place >= len(self._memo):
            self._memo += [_MARK] * (place + 1 - len(self._memo))
        self._memorized += self._memo[place] is _MARK
        self._memo[place] = value

    def get(self, place: int) -> None:
        if not 0 <= place < len(self._memo) or self._memo[place] is _MARK:
            raise Broken("nothing in the memo")
        self.push(self._memo[place])

    def memoize(self) -> None:
        self.put(self._memorized)

    # --- what instructions do ------------------------------------------------------------------------------

    def name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise Broken("a name that is no text")
        self.push(self._find(module[:NAME_CHARACTERS], name[:NAME_CHARACTERS]))

    def call(self, function: Any, arguments: Any) -> None:
        if not isinstance(arguments, (tuple, list)) or isinstance(function, _DATA) or not callable(function):
            raise Broken("a call of what is no function")
        self.spend(len(arguments))
        self.push(function(*arguments))

    def refer(self, target: Any) -> None:
        if self._persistent is None:
            raise Unsafe("a reference to something outside the file")
        self.push(self._persistent(target))

    def build(self) -> None:
        target, state = self.pop(2)
        if hasattr(target, "__setstate__") and not isinstance(target, _DATA):
            target.__setstate__(state)
        self.push(target)

    def extend(self, items: list[Any]) -> None:
        target = self.top()
        if isinstance(target, list):
            target += items
        elif not isinstance(target, Opaque):
            raise Broken("items of what is no list")

    def fill(self, items: list[Any]) -> None:
        target = self.top()
        if isinstance(target, Opaque):
            return
        if not isinstance(target, dict) or len(items) % 2:
            raise Broken("items of what is no dictionary")
        self.enter(target, zip(items[::2], items[1::2], strict=True))

    def enter(self, target: dict[Any, Any], pairs: Iterable[tuple[Any, Any]]) -> None:
        """Fills a dictionary; `Broken` for what is no key, or would take too long to find its place."""
        for key, value in pairs:
            self._passes_left -= _passed(checked_key(key), len(target))
            if self._passes_left < 0:
                raise Broken("more keys than any such file has")
            target[key] = value

    def ordered(self, pairs: Any = ()) -> dict[Any, Any]:
        """What `collections.OrderedDict` makes of pairs."""
        self.spend(len(pairs))
        made: dict[Any, Any] = {}
        self.enter(made, pairs)
        return made


_PLAIN_KEYS = (str, bytes, int, float, type(None))  # bool is an int
_DATA = (str, bytes, bytearray, int, float, tuple, list, dict, type(None))


def checked_key(key: Any) -> Any:
    """What can be a key at once: plain values, and short tuples of them; `Broken` for all else."""
    parts = key if isinstance(key, tuple) else (key,)
    if len(parts) > HASHED or not all(isinstance(part, (*_PLAIN_KEYS, Opaque)) for part in parts):
        raise Broken("a key that is no plain value")
    if any(isinstance(part, int) and abs(part) >= MOST_KEY for part in parts):
        raise Broken("a key that is no such number")
    return key


def _passed(key: Any, there: int) -> int:
    """How many keys this one may have to pass, at worst, in a dictionary of that many."""
    if isinstance(key, (str, bytes)) or (isinstance(key, int) and 0 <= key <= there + 1):
        return 0  # of a hash that nobody foresees, or counted up: each has its own place
    return there * (TUPLE_COST if isinstance(key, tuple) else 1)


def _whole(data: bytes) -> int:
    if len(data) > NUMBER_BYTES:
        raise Broken("a number without end")
    return int.from_bytes(data, "little", signed=True)


def _sized(layout: str) -> Callable[[Reader], int]:
    def size(reader: Reader) -> int:
        return reader.number(layout)

    return size


def _int_line(reader: Reader) -> int:
    text = reader.line()
    return {b"00": False, b"01": True}.get(text, int(text.rstrip(b"L") or b"0"))


def _string_line(reader: Reader) -> str:
    text = reader.line(TEXT_BYTES)
    if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in b"'\"":
        raise Broken("a text without quotes")
    plain = codecs.escape_decode(text[1:-1])[0]
    return reader.texts(plain if isinstance(plain, bytes) else plain.encode("latin1"))


def _push(make: Callable[[Reader], Any]) -> Callable[[Reader], None]:
    return lambda reader: reader.push(make(reader))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def _new(reader: Reader) -> None:
    reader.call(*reader.pop(2))


def _new_with_names(reader: Reader) -> None:
    made, arguments, named = reader.pop(3)
    if named:
        raise Broken("a call with names")
    reader.call(made, arguments)


def _object(reader: Reader) -> None:
    made, *arguments = reader.to_mark() or [None]
    reader.call(made, arguments)


def _instance(reader: Reader) -> None:
    module, name = reader.line(NAME_CHARACTERS), reader.line(NAME_CHARACTERS)
    arguments = reader.to_mark()
    reader.name(_text(module), _text(name))
    reader.call(reader.pop(1)[0], arguments)


def _global(reader: Reader) -> None:
    module, name = reader.line(NAME_CHARACTERS), reader.line(NAME_CHARACTERS)
    reader.name(_text(module), _text(name))


def _refuse(what: str) -> Callable[[Reader], None]:
    def refuse(reader: Reader) -> None:
        raise Unsafe(what)

    return refuse


def _pop_mark(reader: Reader) -> None:
    reader.to_mark()


def _skip(count: int) -> Callable[[Reader], None]:
    """Passes over the version, or the length of what follows."""

    def skip(reader: Reader) -> None:
        reader.take(count)

    return skip


def _set_items(reader: Reader) -> None:
    reader.to_mark()
    if not isinstance(reader.top(), Opaque):
        raise Broken("items of what is no set")


def _frozen_set(reader: Reader) -> None:
    reader.to_mark()
    reader.push(Opaque("frozenset"))


_REGISTRY = _refuse("a number of the extension registry")
_BUFFER = _refuse("a buffer outside the file")
_CODES: dict[bytes, Callable[[Reader], None]] = {
    b"(": lambda reader: reader.push(_MARK),
    b"0": lambda reader: reader.drop(),
    b"1": _pop_mark,
    b"2": lambda reader: reader.push(reader.top()),
    b"N": lambda reader: reader.push(None),
    b"\x88": lambda reader: reader.push(True),
    b"\x89": lambda reader: reader.push(False),
    b"I": _push(_int_line),
    b"L": _push(_int_line),
    b"F": _push(lambda reader: float(reader.line())),
    b"J": _push(_sized("<i")),
    b"K": _push(_sized("<B")),
    b"M": _push(_sized("<H")),
    b"G": _push(_sized(">d")),
    b"\x8a": _push(lambda reader: _whole(reader.take(reader.number("<B")))),
    b"\x8b": _push(lambda reader: _whole(reader.take(reader.number("<i")))),
    b"S": _push(_string_line),
    b"T": _push(lambda reader: reader.texts(reader.take(reader.number("<i")))),
    b"U": _push(lambda reader: reader.texts(reader.take(reader.number("<B")))),
    b"V": _push(lambda reader: reader.line(TEXT_BYTES).decode("raw-unicode-escape")),
    b"X": _push(lambda reader: _text(reader.take(reader.number("<I")))),
    b"\x8c": _push(lambda reader: _text(reader.take(reader.number("<B")))),
    b"\x8d": _push(lambda reader: _text(reader.take(reader.number("<Q")))),
    b"B": _push(lambda reader: reader.take(reader.number("<I"))),
    b"C": _push(lambda reader: reader.take(reader.number("<B"))),
    b"\x8e": _push(lambda reader: reader.take(reader.number("<Q"))),
    b"\x96": _push(lambda reader: bytearray(reader.take(reader.number("<Q")))),
    b"]": lambda reader: reader.push([]),
    b"}": lambda reader: reader.push({}),
    b")": lambda reader: reader.push(()),
    b"\x8f": lambda reader: reader.push(Opaque("set")),
    b"l": _push(lambda reader: reader.to_mark()),
    b"t": _push(lambda reader: tuple(reader.to_mark())),
    b"\x85": _push(lambda reader: tuple(reader.pop(1))),
    b"\x86": _push(lambda reader: tuple(reader.pop(2))),
    b"\x87": _push(lambda reader: tuple(reader.pop(3))),
    b"d": lambda reader: _dictionary(reader),
    b"a": lambda reader: reader.extend(reader.pop(1)),
    b"e": lambda reader: reader.extend(reader.to_mark()),
    b"s": lambda reader: reader.fill(reader.pop(2)),
    b"u": lambda reader: reader.fill(reader.to_mark()),
    b"\x90": _set_items,
    b"\x91": _frozen_set,
    b"p": lambda reader: reader.put(int(reader.line())),
    b"q": lambda reader: reader.put(reader.number("<B")),
    b"r": lambda reader: reader.put(reader.number("<I")),
    b"\x94": lambda reader: reader.memoize(),
    b"g": lambda reader: reader.get(int(reader.line())),
    b"h": lambda reader: reader.get(reader.number("<B")),
    b"j": lambda reader: reader.get(reader.number("<I")),
    b"c": _global,
    b"\x93": lambda reader: reader.name(*reader.pop(2)),
    b"R": _new,
    b"\x81": _new,
    b"\x92": _new_with_names,
    b"o": _object,
    b"i": _instance,
    b"b": lambda reader: reader.build(),
    b"P": lambda reader: reader.refer(_text(reader.line(NAME_CHARACTERS))),
    b"Q": lambda reader: reader.refer(reader.pop(1)[0]),
    b"\x80": _skip(1),
    b"\x95": _skip(8),
    b"\x82": _REGISTRY,
    b"\x83": _REGISTRY,
    b"\x84": _REGISTRY,
    b"\x97": _BUFFER,
    b"\x98": _BUFFER,
}


def _dictionary(reader: Reader) -> None:
    items = reader.to_mark()
    reader.push({})
    reader.fill(items)
