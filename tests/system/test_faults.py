"""What nobody foresaw is one sentence, and a log that is small and tells no secrets."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from pathlib import Path

import pytest

from sadtalker_ext.system import faults


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    (tmp_path / "temp").mkdir()
    return tmp_path / "cache"


def fault(text: str = "strange") -> Exception:
    try:
        raise KeyError(text)
    except KeyError as error:
        return error


def test_the_sentence_names_the_log_which_has_the_trace(cache: Path) -> None:
    sentence = faults.report(fault())
    path = cache / "sadtalker" / faults.NAME
    assert str(path) in sentence
    assert "KeyError: 'strange'" in sentence
    assert len(sentence.splitlines()) == 1
    assert "Traceback" in path.read_text()
    assert sys.platform == "win32" or path.stat().st_mode & 0o077 == 0


def test_one_line_without_control_characters_whatever_the_error_says() -> None:
    sentence = faults.report(RuntimeError("a\nb\x1b[31m\r" + "x" * 5000))
    assert sentence.isprintable()
    assert len(sentence) < 1000


def test_the_log_stays_small_and_keeps_the_newest(cache: Path) -> None:
    for number in range(20):
        faults.log(fault(f"number {number} " + "x" * 40_000))
    faults.log(fault("y" * 3_000_000))
    path = cache / "sadtalker" / faults.NAME
    assert path.stat().st_size <= faults.MOST_BYTES
    assert "number 19" in path.read_text()
    assert "number 0 " not in path.read_text()


def test_no_secrets(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["sadtalker", "serve", "--auth", "ann:open-sesame,bob:hunter2"])
    monkeypatch.setenv("SADTALKER_AUTH", "eve:tiramisu")
    monkeypatch.setenv("SOME_API_KEY", "k-123456789")
    told = "open-sesame hunter2 tiramisu k-123456789 hf_abcdefghijk https://me:word@host/x password=pumpkin"
    sentence = faults.report(fault(f"{told} {Path.home()}/file"))
    text = (cache / "sadtalker" / faults.NAME).read_text()
    for secret in ("sesame", "hunter2", "tiramisu", "k-1234", "hf_abc", "me:word", "pumpkin"):
        assert secret not in text
        assert secret not in sentence
    assert "https://" in text


@pytest.mark.parametrize(
    "told",
    [
        "password" + " " * 300 + "pumpkin", "password" + " " * 300 + "=" + " " * 300 + "pumpkin",
        "secret : pumpkin", "'token': 'pumpkin'", "Authorization: Bearer pumpkin",
        "authorization=Basic pumpkin", "Bearer pumpkin",
    ],
    ids=lambda told: " ".join(told.split()),
)  # fmt: skip
def test_a_secret_is_found_whatever_lies_between(cache: Path, told: str) -> None:
    faults.report(fault(told))
    assert "pumpkin" not in (cache / "sadtalker" / faults.NAME).read_text()


def test_blanks_behind_a_word_do_not_hold_it_up(cache: Path) -> None:
    faults.report(fault("password" + " " * faults.ENTRY_CHARACTERS))  # took minutes when each was tried twice
    assert (cache / "sadtalker" / faults.NAME).exists()


def test_another_place_where_the_first_cannot_be_written(cache: Path, tmp_path: Path) -> None:
    cache.write_bytes(b"a file")
    sentence = faults.report(fault())
    assert str(tmp_path / "temp") in sentence
    assert any("KeyError" in path.read_text() for path in (tmp_path / "temp").rglob(faults.NAME))


def test_where_nothing_can_be_written_the_sentence_says_so(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.write_bytes(b"a file")
    monkeypatch.setattr(tempfile, "tempdir", str(cache))
    sentence = faults.report(fault())
    assert "KeyError: 'strange'" in sentence
    assert "No log of it could be written" in sentence


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_only_a_plain_file_of_ours_is_written(cache: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "precious").write_bytes(b"x")
    folder = cache / "sadtalker"
    folder.mkdir(parents=True)
    if kind == "link":
        (folder / faults.NAME).symlink_to(tmp_path / "precious")
    elif kind == "pipe":
        os.mkfifo(folder / faults.NAME)
    else:
        (folder / faults.NAME).mkdir()
    assert str(tmp_path / "temp") in faults.report(fault())
    assert (tmp_path / "precious").read_bytes() == b"x"


def test_logs_on_a_terminal_show_the_sentence(cache: Path) -> None:
    error = fault()
    record = logging.LogRecord("x", logging.ERROR, "", 0, "It failed", (), (KeyError, error, None))
    told = faults.BriefFormatter().format(record)
    assert told.startswith("It failed\n")
    assert "Traceback" not in told
    assert "Traceback" in (cache / "sadtalker" / faults.NAME).read_text()
