"""What a host does around its after-generation scripts, and a pipeline that only pretends to make videos."""

from __future__ import annotations

import base64
import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import fake_webui
from PIL import Image

from sadtalker_ext.a1111 import webui_shell
from sadtalker_ext.errors import FaceNotFoundError
from sadtalker_ext.request import Result
from sadtalker_ext.tracks import MotionTrack

SPEECH = base64.b64encode(b"RIFF....WAVE, as far as this test looks").decode()
NO_FACE = (1, 1, 1)  # the colour of pictures without one


def prepared(host, tmp_path, monkeypatch):
    fake = fake_webui.FakeWebUI(host, tmp_path, monkeypatch)
    names = ("after_generation", "animate_batch")
    for name in names:  # its class is made of the host's
        monkeypatch.delitem(sys.modules, f"sadtalker_ext.a1111.{name}", raising=False)
    webui_shell._shell = None
    fake.module = importlib.import_module("sadtalker_ext.a1111.after_generation")
    fake.batch = importlib.import_module("sadtalker_ext.a1111.animate_batch")
    fake.script = fake.module.AfterGeneration()
    fake.requests = []
    monkeypatch.setattr(fake.batch, "perform", pretender(fake))
    yield fake
    webui_shell._shell = None


def pretender(fake):
    """Stands in for the pipeline: writes a file, and tells what it was asked for."""

    def perform(request, *, progress, cancel, host):
        cancel.check()
        speech = None if request.speech is None else request.speech.read_bytes()
        output = request.output
        fake.requests.append((request, speech, fake.state.textinfo))
        if request.picture.getpixel((0, 0)) == NO_FACE:
            raise FaceNotFoundError("No face was found in the picture; give five points.")
        output.write_bytes(b"video")
        track = MotionTrack.rest(1, 25.0)
        return Result(output, 1, 25.0, 0.04, 0.1, "instant", request.options, track, {}, ("A notice.",))

    return perform


def batch(tmp_path, count=2, *, saved=True, grid=False, n_iter=1, colour=(9, 9, 9), **more):
    """What the host hands to `postprocess`: p, processed."""
    pictures = []
    for number in range(count):
        picture = Image.new("RGB", (64, 64), colour)
        if saved:
            path = tmp_path / f"{number:05}-1234.png"
            picture.save(path)
            picture.already_saved_as = str(path)
        pictures.append(picture)
    infotexts = [f"picture {number}" for number in range(count)]
    first = 0
    if grid:
        pictures.insert(0, Image.new("RGB", (128, 64), (5, 5, 5)))
        infotexts.insert(0, "grid")
        first = 1
    p = SimpleNamespace(
        n_iter=n_iter, batch_size=count // n_iter, extra_generation_params={"Sampler": "x"}, **more
    )
    processed = SimpleNamespace(
        images=pictures,
        infotexts=infotexts,
        index_of_first_image=first,
        comments="a comment of the host\n",
        extra_generation_params=p.extra_generation_params,
    )
    return p, processed


def comments(processed) -> list[str]:
    first, *others = processed.comments.splitlines()
    assert first == "a comment of the host"
    return others


def videos(processed) -> list[Path]:
    prefix = "SadTalker video: "
    return [Path(line[len(prefix) :]) for line in comments(processed) if line.startswith(prefix)]
