"""What every actor promises: it moves, is drawn onto other frames, says what it cannot do, and is closed."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sadtalker_ext import load_speech
from sadtalker_ext.engines import ENGINES, Actor
from sadtalker_ext.errors import Cancelled, EngineError, OptionsError
from sadtalker_ext.host import Run
from sadtalker_ext.options import Options

FIVE = ((40, 52), (88, 52), (64, 76), (48, 96), (80, 96))  # eyes, nose, mouth corners of a 128-px face
OPTIONS = Options(points=FIVE, fps=5.0)


@pytest.fixture
def picture() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 255, (128, 160, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((128, 128)).resize((320, 128))


def opened(picture: Image.Image, run: Run | None = None) -> Actor:
    engine, run = ENGINES["instant"], run or Run()
    return engine.open(engine.subject(picture, OPTIONS, run), OPTIONS, run)


def test_motion_and_frames_have_the_length_of_the_speech(picture, demo_speech):
    speech = load_speech(demo_speech, end=0.9)
    actor = opened(picture)
    track = actor.motion(speech)
    assert len(track) == actor.frames(speech) == 5
    assert track.space == actor.space
    frames = list(actor.draw(track))
    assert {frame.shape for frame in frames} == {(actor.size[1], actor.size[0], 3)}
    assert len(frames) == 5


def test_what_moves_is_drawn_into_other_frames(picture):
    actor = opened(picture)
    track = actor.motion(load_speech((np.zeros(16000, np.float32), 16000))).with_columns({"jawOpen": 1.0})
    own = list(actor.draw(track))
    below = [np.full_like(frame, number) for number, frame in enumerate(own)]
    drawn = list(actor.draw(track, onto=below))
    rest = np.asarray(picture)
    assert len(drawn) == len(own)
    for number, (frame, alone) in enumerate(zip(drawn, own, strict=True)):
        moved = (alone != rest).any(axis=2)
        assert moved.any()
        assert not moved.all()
        assert np.array_equal(frame[moved], alone[moved])
        assert (frame[~moved] == number).all()
        assert (below[number] == number).all()  # what was given is left as it was


def test_two_speakers_share_a_picture(picture):
    left = opened(picture)
    others = Options(points=tuple((x + 160, y) for x, y in FIVE), fps=5.0)
    engine = ENGINES["instant"]
    right = engine.open(engine.subject(picture, others, Run()), others, Run())
    silence = load_speech((np.zeros(16000, np.float32), 16000))
    tracks = [actor.motion(silence).with_columns({"jawOpen": 1.0}) for actor in (left, right)]
    both = list(right.draw(tracks[1], onto=left.draw(tracks[0])))
    rest = np.asarray(picture)
    assert (both[-1][:, :128] != rest[:, :128]).any()
    assert (both[-1][:, 160:288] != rest[:, 160:288]).any()


def test_an_engine_that_cannot_listen_piece_by_piece_says_so(picture):
    with pytest.raises(EngineError, match="needs the whole speech"):
        opened(picture).listen()


def test_motion_alone_needs_a_face_only_where_it_depends_on_it():
    silence = load_speech((np.zeros(16000, np.float32), 16000))
    assert len(ENGINES["instant"].open(None, OPTIONS, Run()).motion(silence)) == 5
    with pytest.raises(OptionsError, match="depends on the face; give a picture"):
        ENGINES["sadtalker"].open(None, OPTIONS, Run()).motion(silence)


def test_cancelling_between_frames(picture):
    looks = []

    def check() -> None:
        looks.append(1)
        if len(looks) > 40:
            raise Cancelled

    actor = opened(picture, Run(check=check))
    track = actor.motion(load_speech((np.zeros(160000, np.float32), 16000))).with_columns({"jawOpen": 1.0})
    frames = actor.draw(track)
    looks.extend([1] * 30)
    with pytest.raises(Cancelled):
        list(frames)


def test_a_closed_actor_has_let_go_of_its_subject(picture):
    actor = opened(picture)
    assert actor.portrait is not None
    actor.close()
    assert actor.portrait is None
