"""The REST API with the real pipeline: a video, its track and its metadata; faces of the demo picture."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("imageio_ffmpeg")
pytest.importorskip("mediapipe", reason="the demo portrait's face is found by mediapipe")

import talkative
from PIL import Image

from sadtalker_ext.api.intake import make_video
from sadtalker_ext.audio import load_speech
from sadtalker_ext.tracks.files import save_track
from sadtalker_ext.video import probe, read_metadata

JOBS = "/sadtalker/v1/jobs"


@pytest.fixture(scope="module")
def small_portrait() -> bytes:
    """The demo portrait at 256 pixels, for speed."""
    root = Path(__file__).resolve().parents[2]
    with Image.open(root / "sadtalker_ext" / "assets" / "demo" / "portrait.png") as image:
        file = io.BytesIO()
        image.convert("RGB").resize((256, 256)).save(file, "PNG")
    return file.getvalue()


def test_idle_video_and_its_motion_again(serve, wait, small_portrait, tmp_path):
    client = serve(make=make_video)
    sent = {"picture": base64.b64encode(small_portrait).decode(), "idle": 0.4, "options": {"seed": 11}}
    answer = client.post(JOBS, json=sent)
    assert answer.status_code == 202, answer.text
    done = wait(client, answer.json()["id"])
    assert done["state"] == "done", done
    assert done["video"]["frames"] == 10
    path = tmp_path / "talking.mp4"
    path.write_bytes(client.get(done["links"]["video"]).content)
    facts = probe(path)
    assert (facts.width, facts.height, facts.frames) == (256, 256, 10)
    metadata = client.get(done["links"]["metadata"]).json()
    assert metadata["seed"] == 11
    assert read_metadata(path) == metadata
    assert not any(str(tmp_path) in str(value) for value in metadata.values())
    track = client.get(done["links"]["track"], params={"format": "csv"}).content
    again = client.post(
        JOBS, files={"picture": ("p.png", small_portrait, ""), "track": ("motion.csv", track, "text/csv")}
    )
    assert again.status_code == 202, again.text
    done = wait(client, again.json()["id"])
    assert (done["state"], done["video"]["frames"]) == ("done", 10), done


def test_every_stage_is_heard(serve, wait, picture, monkeypatch, tmp_path):
    talkative.install(monkeypatch)
    client = serve(make=make_video)
    sent = {"picture": ("p.png", picture, ""), "speech": ("s.wav", talkative.recording(), "")}
    done = wait(client, client.post(JOBS, files=sent).json()["id"])
    assert done["state"] == "done", done
    talkative.assert_told(done["notices"], talkative.OF_SPEECH)

    track = save_track(talkative.motion(), tmp_path / "motion.npz").read_bytes()
    job = client.post(JOBS, files={**sent, "track": ("t.npz", track, "")}).json()["id"]
    talkative.assert_told(wait(client, job)["notices"], talkative.OF_A_TRACK)

    former = {"options": '{"lips": "codetalker"}', "preset": "Lively"}
    told = wait(client, client.post(JOBS, files=sent, data=former).json()["id"])["notices"]
    assert told[:2] == ["preset is now called manner_preset.", "lips codetalker is now called codes."]
    talkative.assert_told(told[2:], talkative.OF_SPEECH)


def test_speech_into_webm(serve, wait, small_portrait, demo_speech, tmp_path):
    client = serve(make=make_video)
    answer = client.post(
        JOBS,
        data={
            "options": '{"end": 0.8, "lips": "visemes"}',
            "format": "webm",
            "manner_preset": "Still portrait",
        },
        files={"picture": ("p.png", small_portrait, ""), "speech": ("s.wav", demo_speech.read_bytes(), "")},
    )
    done = wait(client, answer.json()["id"])
    assert done["state"] == "done", done
    path = tmp_path / "talking.webm"
    path.write_bytes(client.get(done["links"]["video"]).content)
    facts = probe(path)
    assert facts.frames == 20
    assert facts.has_audio


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"speech": ("s.wav", b"RIFF nothing", "")}, "is not an audio or video file"),
        ({"speech": ("s.m3u8", b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "")}, "is not an audio or video file"),
    ],
)
def test_unusable_speech_is_a_sentence(serve, wait, small_portrait, files, told, tmp_path):
    client = serve(make=make_video)
    answer = client.post(JOBS, files={"picture": ("p.png", small_portrait, ""), **files})
    ended = wait(client, answer.json()["id"])
    assert ended["state"] == "failed"
    assert told in ended["error"]
    assert str(tmp_path) not in ended["error"]


def test_a_picture_without_a_face(serve, wait, encoded):
    client = serve(make=make_video)
    ended = wait(client, client.post(JOBS, json={"picture": encoded, "idle": 1}).json()["id"])
    assert ended["state"] == "failed"
    assert "No face was found in picture" in ended["error"]
    assert "with points:" in ended["error"]


def test_speech_that_is_too_long(serve, wait, small_portrait, demo_speech):
    client = serve(make=make_video, seconds=1.0)
    sent: dict[str, Any] = {
        "picture": ("p.png", small_portrait, ""),
        "speech": ("s.wav", demo_speech.read_bytes(), ""),
    }
    assert load_speech(demo_speech).duration > 1
    ended = wait(client, client.post(JOBS, files=sent).json()["id"])
    assert ended["error"] == "The speech is longer than 1 s; send a shorter piece."
    # With an end it is only heard up to there.
    answer = client.post(JOBS, files=sent, data={"options": '{"end": 0.4, "lips": "visemes"}'})
    assert wait(client, answer.json()["id"])["state"] == "done"


def test_faces_of_a_picture(client, demo_portrait, small_portrait):
    answer = client.post("/sadtalker/v1/detect", files={"picture": ("p", demo_portrait.read_bytes(), "")})
    found = answer.json()
    assert (answer.status_code, found["width"], found["height"], len(found["faces"])) == (200, 512, 512, 1)
    face = found["faces"][0]
    assert face["number"] == 1
    x0, y0, x1, y1 = face["box"]
    assert face["size"] == pytest.approx(max(x1 - x0, y1 - y0), abs=0.2)
    (left, right, nose, mouth_left, mouth_right) = face["points"]
    assert x0 < left[0] < nose[0] < right[0] < x1
    assert left[1] < nose[1] < mouth_left[1]
    assert mouth_left[0] < mouth_right[0]
    # Half the size, half the numbers; and the points are what a job takes as points.
    small = base64.b64encode(small_portrait).decode()
    half = client.post("/sadtalker/v1/detect", json={"picture": small}).json()["faces"][0]
    assert half["points"] == pytest.approx([pytest.approx([x / 2, y / 2], abs=4) for x, y in face["points"]])
    sent = {"picture": small, "idle": 1, "options": {"points": half["points"]}}
    assert client.post(JOBS, json=sent).status_code == 202


def test_no_face_is_no_error(client, encoded):
    answer = client.post("/sadtalker/v1/detect", json={"picture": encoded})
    assert (answer.status_code, answer.json()["faces"]) == (200, [])


def test_cancelling_the_real_work(serve, wait, small_portrait, temp):
    client = serve(make=make_video)
    sent = {"picture": base64.b64encode(small_portrait).decode(), "idle": 600}
    job = client.post(JOBS, json=sent).json()["id"]
    while client.get(f"{JOBS}/{job}").json()["progress"] < 0.301:  # rendering
        assert client.get(f"{JOBS}/{job}").json()["state"] in ("queued", "running")
    assert client.delete(f"{JOBS}/{job}").status_code == 202
    assert wait(client, job)["state"] == "cancelled"
    assert [path.name for root in temp.iterdir() for path in root.iterdir() if path.is_dir()] == []
