"""Bytes of strangers: bounded JSON, files that are none, and failures that become one sentence."""

from __future__ import annotations

import errno
import json
import lzma
import os
import tokenize
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory import traced_peak

from sadtalker_ext.errors import Cancelled, VideoError
from sadtalker_ext.system.foreign import damage_as, open_file, parse_json, read_file

TOLD = VideoError("It is damaged.")


@pytest.mark.parametrize(
    "error",
    [
        RecursionError(), OSError(errno.EINVAL, "x"), OverflowError(),
        RuntimeError(), SyntaxError(), AttributeError(),
        tokenize.TokenError(), lzma.LZMAError(), AssertionError(), StopIteration(), UnicodeError(),
    ],
    ids=repr,
)  # fmt: skip
def test_whatever_is_raised_becomes_the_sentence(error: Exception) -> None:
    with pytest.raises(VideoError, match="damaged") as caught, damage_as(TOLD):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error", [VideoError("Another."), Cancelled(), PermissionError(), KeyboardInterrupt()]
)
def test_what_is_said_already_is_let_through(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, damage_as(TOLD):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(), OSError(errno.EMFILE, "x"), OSError(errno.ENFILE, "x"), OSError(errno.ENOMEM, "x"),
        RuntimeError("unable to mmap 8 bytes: Cannot allocate memory (12)"),
    ],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("passing", [(), (VideoError,), None])
def test_a_shortage_is_no_damage(error: Exception, passing: Any) -> None:
    settings = {} if passing is None else {"passing": passing}
    with pytest.raises(type(error)) as caught, damage_as(TOLD, **settings):
        raise error
    assert caught.value is error


def test_the_sentence_can_say_what_went_wrong() -> None:
    with pytest.raises(VideoError, match="It is 7"), damage_as(lambda error: VideoError(f"It is {error}.")):
        raise ValueError(7)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_documents_come_back(value: Any) -> None:
    text = json.dumps(value)
    assert parse_json(text) == parse_json(text.encode(), strict=True) == value


STRANGE = [
    "NaN", "-Infinity", "1e999", "-1e999", "9" * 30, "9" * 5000, "-" + "9" * 25, '{"a":1,"a":2}', "[1e999]",
    '{"a":{"b":NaN}}',
]  # fmt: skip


@pytest.mark.parametrize("text", STRANGE, ids=lambda text: text[:20])
def test_strict_documents_hold_nothing_strange(text: str) -> None:
    with pytest.raises(ValueError):
        parse_json(text, strict=True)
    assert "inf" not in repr(parse_json(text))
    assert "nan" not in repr(parse_json(text))


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[1,", "\xff", "nan", "{1:2}", "[" * 100_000 + "]" * 100_000, "[" * 300 + "]" * 300,
        '{"a":' * 50_000 + "1" + "}" * 50_000, "[" + "[]," * 400_000 + "[]]", '"' + "x" * 9_000_000 + '"',
        "[" + "1," * 2_000_000 + "1]",
    ],
    ids=lambda text: text[:9],
)  # fmt: skip
def test_what_is_no_document_of_ours(text: str) -> None:
    for given_text in (text, text.encode("latin1")):
        assert traced_peak(lambda text=given_text: refused(text)) < 60e6


def refused(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no such files")
def test_only_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("pipe", "zero", "", "none"):
        with pytest.raises(OSError):
            open_file(tmp_path / name)
        with pytest.raises(OSError):
            read_file(tmp_path / name, 10)


def test_no_more_than_asked_for_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_file(path, 5) == b"12345"
    with pytest.raises(ValueError, match="more than 4 bytes"):
        read_file(path, 4)
