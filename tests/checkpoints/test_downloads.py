"""Weight files are fetched from a server on this machine, whatever that server does."""

from __future__ import annotations

import struct
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from sadtalker_ext import checkpoints as weights
from sadtalker_ext.checkpoints import DAMAGED, MISSING, PRESENT, transfer
from sadtalker_ext.errors import Cancelled, WeightsError
from sadtalker_ext.host import CancelToken


def test_a_download_arrives_whole_with_its_progress(files: Any, here: Path):
    seen: list[weights.Transfer] = []
    path = weights.download(files.offer(), here, seen.append)
    assert path == here / "thing.safetensors"
    assert path.read_bytes() == files.whole
    assert [p.name for p in here.iterdir()] == ["thing.safetensors"]
    assert {t.phase for t in seen} == {"download", "check"}
    amounts = [t.done for t in seen if t.phase == "download"]
    assert amounts == sorted(amounts)
    assert amounts[-1] == len(files.whole)
    assert weights.status(files.offer(), here).state == PRESENT


def test_what_is_there_is_not_fetched_again(files: Any, here: Path):
    weights.download(files.offer(), here)
    weights.download(files.offer(), here)
    assert len(files.asked) == 1


def test_a_broken_connection_is_resumed_where_it_ended(files: Any, here: Path):
    files.drops = [100_000, 70_000]
    assert weights.download(files.offer(), here).read_bytes() == files.whole
    assert files.asked == ["", "bytes=100000-", "bytes=170000-"]


def test_a_server_that_ignores_ranges_is_read_from_the_start(files: Any, here: Path):
    files.ranges, files.drops = False, [100_000]
    assert weights.download(files.offer(), here).read_bytes() == files.whole
    assert files.asked == ["", "bytes=100000-"]


def test_a_server_that_always_breaks_off_is_given_up_and_the_part_kept(files: Any, here: Path):
    files.ranges, files.drops = False, [100_000] * 9
    with pytest.raises(WeightsError, match=r"127\.0\.0\.1: the connection was closed early.*is kept"):
        weights.download(files.offer(), here)
    assert [p.name for p in here.iterdir()] == ["thing.safetensors.part"]
    assert len(files.asked) < 9
    found = weights.status(files.offer(), here)
    assert (found.state, found.part) == (MISSING, 100_000)


def test_a_cancelled_download_goes_on_later(files: Any, here: Path):
    files.slow = 0.02
    token = CancelToken()

    def stop(transfer: weights.Transfer) -> None:
        if transfer.done > 50_000:
            token.cancel()

    with pytest.raises(Cancelled):
        weights.download(files.offer(), here, stop, token)
    assert not (here / "thing.safetensors").exists()
    arrived = (here / "thing.safetensors.part").stat().st_size
    assert arrived > 50_000
    files.slow = 0.0
    assert weights.download(files.offer(), here).read_bytes() == files.whole
    assert files.asked[-1] == f"bytes={arrived}-"


def test_a_whole_part_is_only_verified(files: Any, here: Path):
    here.mkdir(parents=True)
    (here / "thing.safetensors.part").write_bytes(files.whole)
    weights.download(files.offer(), here)
    assert files.asked == []
    (here / "thing.safetensors").rename(here / "thing.safetensors.part")
    weights.download(files.offer(size=None), here)  # its size is not known: the server says there is no more
    assert files.asked == [f"bytes={len(files.whole)}-"]


def test_the_beginning_of_another_file_is_thrown_away(files: Any, here: Path):
    here.mkdir(parents=True)
    part = here / "thing.safetensors.part"
    part.write_bytes(b"x" * 90_000)
    assert weights.download(files.offer(), here).read_bytes() == files.whole
    assert files.asked == ["bytes=90000-", ""]
    (here / "thing.safetensors").unlink()
    part.write_bytes(b"x" * (len(files.whole) + 5))
    assert weights.download(files.offer(size=None), here).read_bytes() == files.whole


def test_the_mirror_is_asked_when_the_first_source_fails(files: Any, here: Path):
    files.refusals = [404]
    checkpoint = files.offer(urls=(files.url, files.url + "?mirror"))
    assert weights.download(checkpoint, here).read_bytes() == files.whole
    assert len(files.asked) == 2


def test_when_no_source_has_it_the_sentence_says_what_to_do(files: Any, here: Path):
    files.refusals = [404, 503]
    checkpoint = files.offer(urls=(files.url, files.url + "?mirror"))
    with pytest.raises(WeightsError) as caught:
        weights.download(checkpoint, here)
    told = str(caught.value)
    assert "404" in told
    assert "503" in told
    assert files.offer().page in told
    assert str(here) in told
    assert list(here.iterdir()) == []


def test_a_redirect_is_followed_also_when_resuming(files: Any, here: Path):
    files.redirect, files.drops = True, [100_000]
    assert weights.download(files.offer(), here).read_bytes() == files.whole
    assert files.asked == ["", "bytes=100000-"]


def test_a_file_of_another_size_is_not_fetched(files: Any, here: Path):
    files.data = files.whole + b"more"
    with pytest.raises(WeightsError, match=r"offers .* bytes instead of"):
        weights.download(files.offer(), here)
    assert list(here.iterdir()) == []


def test_a_web_page_is_not_taken_for_the_file(files: Any, here: Path):
    files.data, files.content_type = b"<html>sign in</html>", "text/html; charset=utf-8"
    with pytest.raises(WeightsError, match="web page"):
        weights.download(files.offer(size=None), here)
    assert list(here.iterdir()) == []


def test_a_file_that_is_not_the_published_one_is_refused(files: Any, here: Path):
    files.data = files.whole[:-1] + b"\2"
    with pytest.raises(WeightsError, match="sha256 differs"):
        weights.download(files.offer(), here)
    assert list(here.iterdir()) == []


def test_a_leading_part_of_the_hash_is_enough(files: Any, here: Path):
    weights.download(files.offer(sha256=files.offer().sha256[:10]), here)
    (here / "thing.safetensors").unlink()
    with pytest.raises(WeightsError, match="sha256"):
        weights.download(files.offer(sha256="0" * 10), here)


def test_a_server_that_falls_silent_is_left(files: Any, here: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transfer, "TIMEOUT", 0.1)
    files.silence = 0.5
    with pytest.raises(WeightsError, match="timed out"):
        weights.download(files.offer(), here)
    assert not (here / "thing.safetensors").exists()


def test_without_permission_nothing_is_asked(files: Any, here: Path):
    with pytest.raises(WeightsError, match=r"switched off.*example.org"):
        weights.download(files.offer(), here, allowed=False)
    assert files.asked == []
    assert not here.exists()


def test_a_file_without_an_address_names_the_page(files: Any, here: Path):
    with pytest.raises(WeightsError, match=r"example\.org"):
        weights.download(files.offer(urls=()), here)


def test_only_web_addresses_are_opened(files: Any, here: Path, tmp_path: Path):
    source = tmp_path / "thing.safetensors"
    source.write_bytes(files.whole)
    with pytest.raises(WeightsError, match="http"):
        weights.download(files.offer(urls=(source.as_uri(),)), here)


def test_a_full_disk_is_a_sentence(files: Any, here: Path, monkeypatch: pytest.MonkeyPatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(WeightsError, match="too full"):
        weights.download(files.offer(), here)
    assert list(here.iterdir()) == []


def test_a_disk_that_fills_up_meanwhile_is_a_sentence_and_the_part_stays(
    files: Any, here: Path, monkeypatch: pytest.MonkeyPatch
):
    real = transfer.read_chunk

    def read(response: object) -> bytes:
        if (here / "thing.safetensors.part").stat().st_size > 50_000:
            raise_full()
        return real(response)

    def raise_full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(transfer, "read_chunk", read)
    monkeypatch.setattr(transfer, "CHUNK", 30_000)
    with pytest.raises(WeightsError, match=r"No space left.*room"):
        weights.download(files.offer(), here)
    assert [p.name for p in here.iterdir()] == ["thing.safetensors.part"]


def test_a_folder_that_cannot_be_made_is_a_sentence(files: Any, tmp_path: Path):
    (tmp_path / "models").write_text("a file")
    with pytest.raises(WeightsError, match="cannot be written into"):
        weights.download(files.offer(), tmp_path / "models" / "SadTalker")


def test_two_downloads_of_one_file_do_not_mix(files: Any, here: Path):
    files.slow = 0.05
    token = CancelToken()
    ended: list[str] = []

    def first() -> None:
        try:
            weights.download(files.offer(), here, None, token)
        except Cancelled:
            ended.append("cancelled")

    thread = threading.Thread(target=first)
    thread.start()
    assert files.served.wait(10)
    with pytest.raises(WeightsError, match="being downloaded already"):
        weights.download(files.offer(), here)
    token.cancel()
    thread.join(10)
    assert ended == ["cancelled"]


def test_a_damaged_file_is_replaced_and_one_of_another_kind_is_not(files: Any, here: Path):
    here.mkdir(parents=True)
    target = here / "thing.safetensors"
    target.write_bytes(files.whole[:1000])
    assert weights.status(files.offer(), here).state == DAMAGED
    assert weights.download(files.offer(), here).read_bytes() == files.whole
    other = struct.pack("<Q", 2) + b"{}"  # a safetensors file without tensors
    target.write_bytes(other)
    with pytest.raises(WeightsError, match="move it away"):
        weights.download(files.offer(), here)
    assert target.read_bytes() == other


def test_a_damaged_file_stays_when_its_download_fails(files: Any, here: Path):
    here.mkdir(parents=True)
    (here / "thing.safetensors").write_bytes(files.whole[:1000])
    files.refusals = [404]
    with pytest.raises(WeightsError):
        weights.download(files.offer(), here)
    assert (here / "thing.safetensors").read_bytes() == files.whole[:1000]


def test_a_mirror_of_the_hub_is_used_where_one_is_named(
    files: Any, here: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HF_ENDPOINT", files.url.rsplit("/", 1)[0] + "/")
    checkpoint = files.offer(urls=("https://huggingface.co/someone/thing.safetensors",))
    assert weights.download(checkpoint, here).read_bytes() == files.whole


def wait_for(condition: object, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_a_background_download_can_be_watched_cancelled_and_resumed(files: Any, here: Path):
    files.slow = 0.05
    downloads, checkpoint = weights.Downloads(), files.offer()
    assert downloads.job(checkpoint) is None
    downloads.start(checkpoint, here)
    downloads.start(checkpoint, here)  # a second click changes nothing
    wait_for(lambda: downloads.job(checkpoint).transfer is not None)
    assert downloads.running
    downloads.cancel(checkpoint)
    wait_for(lambda: not downloads.running)
    job = downloads.job(checkpoint)
    assert job.cancelled
    assert not job.error
    files.slow = 0.0
    downloads.start(checkpoint, here)
    wait_for(lambda: not downloads.running)
    assert weights.status(checkpoint, here).state == PRESENT
    assert len(files.asked) == 2


def test_a_failed_background_download_keeps_its_sentence(files: Any, here: Path):
    files.refusals = [404]
    downloads, checkpoint = weights.Downloads(), files.offer()
    downloads.start(checkpoint, here)
    wait_for(lambda: not downloads.running)
    assert "404" in downloads.job(checkpoint).error


@pytest.mark.parametrize("stated", ["", "9" * 5000, "-1", "many"])
@pytest.mark.parametrize("about", [None, 200_000])
def test_a_file_of_unknown_size_has_an_end(
    files: Any, here: Path, monkeypatch: pytest.MonkeyPatch, stated: str, about: int | None
):
    monkeypatch.setattr(weights.catalog, "MOST_BYTES", 400_000)
    files.endless, files.stated = True, stated
    with pytest.raises(WeightsError, match=r"127\.0\.0\.1: it sends more than 400 kB"):
        weights.download(files.offer(size=None, about=about), here)
    assert list(here.iterdir()) == []


def test_more_than_a_file_can_have_is_not_begun(files: Any, here: Path):
    files.stated = str(10**12)
    with pytest.raises(WeightsError, match=r"127\.0\.0\.1: it offers 1000000 MB, which is too much"):
        weights.download(files.offer(size=None), here)
    assert list(here.iterdir()) == []


def test_what_cannot_be_verified_is_not_fetched(files: Any, here: Path):
    with pytest.raises(WeightsError, match=r"no published sha256.*put it into"):
        weights.download(files.offer(sha256=""), here)
    assert files.asked == []


def test_whatever_has_an_address_has_a_hash_and_a_bound():
    for checkpoint in weights.CATALOG:
        if checkpoint.urls:
            assert len(checkpoint.sha256) >= 10, checkpoint.id
            assert set(checkpoint.sha256) <= set("0123456789abcdef"), checkpoint.id
            assert checkpoint.most_bytes <= 4e9, checkpoint.id
