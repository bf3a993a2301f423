"""The interpreter of pickles: data come back as pickle gives them, and nothing asks for more than it is."""

from __future__ import annotations

import contextlib
import io
import pickle
from typing import Any

import pytest
from bombs import ONE_HASH, PICKLES
from hypothesis import given
from hypothesis import strategies as st
from memory import traced_peak

from sadtalker_ext.system.pickles import Broken, Opaque, Reader, Unsafe

WALKED = ("lists of lists", "dictionaries of dictionaries")
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(1 - 2**60, 2**60 - 1), inner)
    ),
    max_leaves=20,
)


def read(data: bytes, **settings: Any) -> Any:
    def find(module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return lambda text, encoding: text.encode(encoding)
        if module in ("builtins", "__builtin__"):
            return {"bytes": bytes, "bytearray": bytearray}[name]
        if module == "torch":
            return Opaque(name)
        raise Unsafe(f"{module}.{name}")

    return Reader(io.BytesIO(data), find, **settings).load()


@given(PLAIN, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_data_come_back(value: Any, protocol: int) -> None:
    assert read(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_is_named_twice_is_one_thing(protocol: int) -> None:
    inner = ["x"]
    loop: list[Any] = [inner, inner, {"a": inner}]
    loop.append(loop)
    found = read(pickle.dumps(loop, protocol))
    assert found[0] is found[1] is found[2]["a"]
    assert found[3] is found


def test_pickles_follow_each_other() -> None:
    reader = Reader(io.BytesIO(pickle.dumps([1], 2) + pickle.dumps("b", 4)), lambda module, name: None)
    assert [reader.load(), reader.load()] == [[1], "b"]


@pytest.mark.parametrize("name", [name for name in PICKLES if name not in WALKED])
def test_bombs_are_refused_within_bounds(name: str) -> None:
    def load() -> None:
        with pytest.raises((Broken, Unsafe)):
            read(PICKLES[name])

    assert traced_peak(load) < 100e6


@pytest.mark.parametrize("name", WALKED)
def test_what_is_only_large_when_it_is_walked_costs_nothing(name: str) -> None:
    assert traced_peak(lambda: read(PICKLES[name])) < 5e6


@pytest.mark.parametrize(
    "value",
    [
        {number: number for number in range(100_000)},
        {number: number for number in range(1, 30_000)},
        {(1 << 47) + 16 * number: [] for number in range(5000)},  # addresses, as optimizers' states have them
        {-number / 3: None for number in range(5000)},
        {("a", number): None for number in range(2000)},
        {f"{number}": None for number in range(50_000)},
        {b"%d" % number: None for number in range(20_000)},
        {person: {frame: 7 for frame in range(900, 1300)} for person in range(200)},  # frames of a corpus
        {True: 1, None: 2, -1: 3, -2: 4, 1.5: 5},
    ],
    ids=lambda value: repr(value)[:30],
)
def test_keys_of_data_are_read(value: dict[Any, Any]) -> None:
    for protocol in (0, 2, 4):
        assert read(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("make", [lambda number: number * ONE_HASH, lambda number: (number, -number)])
def test_keys_in_pairs_pay_too(make: Any) -> None:
    reader = Reader(io.BytesIO(), lambda module, name: None)
    pairs = [(make(number), None) for number in range(40_000)]
    with contextlib.suppress(Broken):
        reader.load()
    with pytest.raises(Broken, match="key"):
        reader.ordered(pairs)


def test_the_memo_may_have_gaps() -> None:
    assert read(b"\x80\x04K\x01q\x050K\x02\x940h\x05h\x01\x86.") == (1, 2)
    with pytest.raises(Broken, match="memo"):
        read(b"\x80\x04K\x01q\x050h\x03.")


def test_what_stands_for_a_name_takes_what_is_done_to_it() -> None:
    made = read(b"\x80\x02ctorch\nSize\n)R(K\x01K\x02eN}X\x01\x00\x00\x00aK\x01sb.".replace(b"eN}", b"e}"))
    assert isinstance(made, Opaque)
    assert made.name == "Size"


def test_references_to_outside_are_the_callers() -> None:
    assert read(b"\x80\x02K\x07Q.", persistent=lambda target: target + 1) == 8
    assert read(b"Pabc\n.", persistent=lambda target: target) == "abc"
    with pytest.raises(Unsafe):
        read(b"\x80\x02K\x07Q.")


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    with contextlib.suppress(Unsafe, ValueError, TypeError, KeyError, SyntaxError, OverflowError):
        read(data)
