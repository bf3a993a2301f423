"""Jobs of the REST API from POST to DELETE: states, queue, paging, expiry, results."""

from __future__ import annotations

import io
import json
import threading
from typing import Any

import numpy as np
import pytest

from sadtalker_ext.api.jobs import Jobs
from sadtalker_ext.errors import AudioError, Cancelled, Named
from sadtalker_ext.tracks.files import load_track

JOBS = "/sadtalker/v1/jobs"


def post(client: Any, encoded: str, **fields: Any) -> Any:
    return client.post(JOBS, json={"picture": encoded, "idle": 1, **fields})


def submit(client: Any, encoded: str, **fields: Any) -> str:
    answer = post(client, encoded, **fields)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def threads() -> list[str]:
    """The threads of queues that are alive."""
    return [thread.name for thread in threading.enumerate() if thread.name == "sadtalker-jobs"]


def folders(temp: Any) -> list[str]:
    return [path.name for root in temp.iterdir() for path in root.iterdir() if path.is_dir()]


def test_a_job_from_request_to_video(client, encoded, picture, wait, maker, temp):
    answer = post(client, encoded, manner_preset="Lively", options={"seed": 3, "gaze": 0.5})
    assert answer.status_code == 202
    document = answer.json()
    assert answer.headers["location"] == document["links"]["self"] == f"{JOBS}/{document['id']}"
    done = wait(client, document["id"])
    assert (done["state"], done["progress"], done["error"]) == ("done", 1.0, None)
    assert done["video"]["frames"] == 5
    assert done["notices"] == ["A notice."]
    assert done["expires_in"] == 3600
    request = maker.requests[0]
    assert (request.options.seed, request.options.gaze, request.options.head_motion) == (3, 0.5, 1.5)
    assert request.options.idle == 1
    video = client.get(done["links"]["video"])
    assert (video.status_code, video.headers["content-type"]) == (200, "video/mp4")
    assert video.content == maker.content
    assert client.get(done["links"]["metadata"]).json() == {"seed": 7}
    # What was sent is gone; the video and the track stay.
    assert sorted(path.name for path in request.output.parent.iterdir()) == ["track.npz", "video.mp4"]
    assert client.delete(done["links"]["self"]).json() == {"id": document["id"], "state": "removed"}
    assert client.get(done["links"]["self"]).status_code == 404
    assert client.get(done["links"]["video"]).status_code == 404
    assert folders(temp) == []


@pytest.mark.parametrize("is_form", [False, True])
def test_the_former_name_of_a_field(client, encoded, picture, wait, maker, is_form):
    maker.held.clear()
    if is_form:
        files = {"picture": ("a.png", picture, "image/png")}
        answer = client.post(JOBS, data={"idle": "1", "preset": "Lively"}, files=files)
    else:
        answer = post(client, encoded, preset="Lively", options={"lips": "codetalker"})
    assert answer.status_code == 202, answer.text
    told = "preset is now called manner_preset."
    assert answer.json()["notices"] == [told]
    assert "notices" not in post(client, encoded, manner_preset="Lively").json()
    maker.held.set()
    assert wait(client, answer.json()["id"])["notices"] == [told, "A notice."]
    request = maker.requests[0]
    assert request.options.head_motion == 1.5
    assert request.options.lips == ("auto" if is_form else "codes")


def test_the_picture_arrives_as_it_was_sent(client, encoded, picture, wait, maker):
    maker.held.clear()
    for value in (encoded, f"data:image/png;base64,{encoded}", encoded[:40] + "\n " + encoded[40:]):
        submit(client, value)
        maker.wait_begun()
        assert maker.requests[-1].picture.read_bytes() == picture
        client.delete(f"{JOBS}/{client.get(JOBS).json()['jobs'][0]['id']}")
        wait(client, client.get(JOBS).json()["jobs"][0]["id"])


def test_a_form_does_what_json_does(client, picture, demo_speech, wait, maker):
    maker.held.clear()
    fields = {
        "manner_preset": "Presenter",
        "options": json.dumps({"seed": 5, "yaw": [0, 10]}),
        "format": "gif",
    }
    sent = {
        "picture": ("me.PNG", picture, "image/png"),
        "speech": ("../../etc/pass wd.wav", demo_speech.read_bytes(), "audio/wav"),
    }
    answer = client.post(JOBS, data=fields, files=sent)
    assert answer.status_code == 202, answer.text
    maker.wait_begun()
    request = maker.requests[0]
    assert (request.options.seed, request.options.yaw, request.output.suffix) == (5, (0.0, 10.0), ".gif")
    assert request.speech.read_bytes() == demo_speech.read_bytes()
    assert sorted(path.name for path in request.output.parent.iterdir()) == ["picture.png", "speech.wav"]
    maker.held.set()
    done = wait(client, answer.json()["id"])
    assert client.get(done["links"]["video"]).headers["content-type"] == "image/gif"


def test_an_empty_file_chooser_counts_as_nothing(client, picture, wait, maker):
    sent = {"picture": ("a.png", picture, "image/png"), "track": ("none.npz", b"", "")}
    answer = client.post(JOBS, data={"idle": "1.5", "text": "", "voice": "", "speech": ""}, files=sent)
    assert answer.status_code == 202, answer.text
    wait(client, answer.json()["id"])
    assert maker.requests[0].options.idle == 1.5


def test_ref_videos_are_uploads(client, picture, wait, maker):
    sent = {
        "picture": ("a.png", picture, "image/png"),
        "ref_pose": ("pose.mp4", b"not really", "video/mp4"),
    }
    answer = client.post(JOBS, data={"idle": "1"}, files=sent)
    assert answer.status_code == 202, answer.text
    wait(client, answer.json()["id"])
    request = maker.requests[0]
    assert request.options.ref_pose == str(request.output.with_name("ref_pose.mp4"))
    assert request.options.ref_blink is None


def test_a_track_can_be_fetched_and_rendered_again(client, encoded, picture, wait, maker, tmp_path):
    done = wait(client, submit(client, encoded))
    npz = client.get(done["links"]["track"])
    csv = client.get(done["links"]["track"] + "?format=csv")
    assert npz.headers["content-disposition"].startswith("attachment")
    assert csv.headers["content-type"].startswith("text/csv")
    for suffix, content in ((".npz", npz.content), (".csv", csv.content)):
        path = tmp_path / f"track{suffix}"
        path.write_bytes(content)
        assert len(load_track(path)) == 5
        sent = {"picture": ("a.png", picture, "image/png"), "track": ("motion", content, "")}
        answer = client.post(JOBS, files=sent)
        assert answer.status_code == 202, answer.text
        wait(client, answer.json()["id"])
        assert maker.requests[-1].track.suffix == suffix
        assert maker.requests[-1].options.fps == 25.0
    assert client.get(done["links"]["track"] + "?format=xml").status_code == 422


def test_one_job_runs_while_the_others_know_their_place(client, encoded, wait, maker, clock):
    maker.held.clear()
    ids = [submit(client, encoded) for _ in range(3)]
    maker.wait_begun()
    clock.now += 12.0
    documents = [client.get(f"{JOBS}/{job}").json() for job in ids]
    assert [d["state"] for d in documents] == ["running", "queued", "queued"]
    assert [d["position"] for d in documents] == [None, 1, 2]
    assert 0.3 < documents[0]["progress"] < 1
    assert documents[0]["stage"] == "Rendering 2/4"
    assert documents[0]["eta"] >= 0
    assert documents[0]["seconds"] == 12.0
    maker.held.set()
    for job in ids:
        assert wait(client, job)["state"] == "done"
    assert len(maker.requests) == 3


def test_a_job_waits_for_the_other_work_of_the_host(client, encoded, wait, maker, shell):
    shell.gate.acquire()
    first, second = submit(client, encoded), submit(client, encoded)
    waiting = client.get(f"{JOBS}/{first}").json()
    while waiting["stage"] == "Waiting":  # until the queue's thread has taken it
        waiting = client.get(f"{JOBS}/{first}").json()
    assert (waiting["state"], waiting["position"]) == ("queued", 1)
    assert client.get(f"{JOBS}/{second}").json()["position"] == 2
    assert client.delete(f"{JOBS}/{first}").json()["state"] == "cancelled"
    shell.gate.release()
    assert wait(client, second)["state"] == "done"
    assert client.get(f"{JOBS}/{first}").json()["state"] == "cancelled"
    assert len(maker.requests) == 1  # the cancelled one was never begun
    assert shell.tasks == [f"task({first})", f"task({second})"]


def test_cancelling_a_running_job(client, encoded, wait, maker, temp):
    maker.held.clear()
    job = submit(client, encoded)
    maker.wait_begun()
    answer = client.get(f"{JOBS}/{job}/video")
    assert (answer.status_code, answer.json()["error"].startswith("The job is running")) == (409, True)
    assert client.delete(f"{JOBS}/{job}").status_code == 202
    ended = wait(client, job)
    assert (ended["state"], ended["error"]) == ("cancelled", "Cancelled; nothing was written.")
    assert folders(temp) == []
    assert client.get(f"{JOBS}/{job}/video").status_code == 409
    assert client.delete(f"{JOBS}/{job}").json()["state"] == "removed"


def test_cancelling_a_waiting_job(client, encoded, wait, maker, temp):
    maker.held.clear()
    running, waiting = submit(client, encoded), submit(client, encoded)
    maker.wait_begun()
    answer = client.delete(f"{JOBS}/{waiting}")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert len(folders(temp)) == 1
    maker.held.set()
    assert wait(client, running)["state"] == "done"
    assert len(maker.requests) == 1


@pytest.mark.parametrize(
    ("error", "state", "told"),
    [
        (
            AudioError(
                "The end must come after {start}; use {head_motion}.",
                start=Named("start"),
                head_motion=Named("head_motion"),
            ),
            "failed",
            "start; use head_motion",
        ),
        (Cancelled(), "cancelled", "Cancelled"),
        (RuntimeError("/secret/path"), "failed", "RuntimeError"),
    ],
)
def test_a_job_that_fails_says_why(client, encoded, wait, maker, temp, error, state, told):
    maker.error = error
    ended = wait(client, submit(client, encoded))
    assert ended["state"] == state
    assert told in ended["error"]
    assert "--" not in ended["error"]
    assert "secret" not in ended["error"]
    assert "video" not in ended
    assert folders(temp) == []
    answer = client.get(f"{JOBS}/{ended['id']}/track")
    assert answer.status_code == 409


def test_the_queue_outlives_what_would_end_a_thread(client, encoded, wait, maker):
    maker.error = SystemExit(1)
    assert wait(client, submit(client, encoded))["state"] == "failed"
    maker.error = None
    assert wait(client, submit(client, encoded))["state"] == "done"


def test_errors_name_no_folder(client, encoded, wait, maker):
    maker.held.clear()
    job = submit(client, encoded)
    maker.wait_begun()
    folder = maker.requests[0].output.parent
    maker.error = AudioError("The audio file {path!r} is an empty file.", path=folder / "speech.wav")
    maker.held.set()
    assert wait(client, job)["error"] == "The audio file 'speech.wav' is an empty file."


def test_a_full_queue_says_so(serve, encoded, maker, temp):
    client = serve(queued=2)
    maker.held.clear()
    submit(client, encoded)
    maker.wait_begun()
    submit(client, encoded)
    submit(client, encoded)
    answer = post(client, encoded)
    assert answer.status_code == 429
    assert answer.headers["retry-after"]
    assert "2 jobs are waiting" in answer.json()["error"]
    assert len(folders(temp)) == 3


def test_pages(client, encoded, wait):
    ids = [submit(client, encoded) for _ in range(5)]
    for job in ids:
        wait(client, job)
    first = client.get(JOBS, params={"page": 1, "per_page": 2}).json()
    assert [job["id"] for job in first["jobs"]] == ids[:2:-1]
    assert (first["total"], first["pages"], first["page"], first["per_page"]) == (5, 3, 1, 2)
    last = client.get(JOBS, params={"page": 3, "per_page": 2}).json()
    assert [job["id"] for job in last["jobs"]] == ids[:1]
    assert client.get(JOBS, params={"page": 4, "per_page": 2}).json()["jobs"] == []
    for wrong in ({"page": 0}, {"page": "x"}, {"per_page": 101}, {"per_page": "-1"}, {"page": "²"}):
        assert client.get(JOBS, params=wrong).status_code == 422


def test_results_expire(client, encoded, wait, clock, temp):
    done = wait(client, submit(client, encoded))
    clock.now += 3599.0
    assert client.get(f"{JOBS}/{done['id']}").json()["expires_in"] == 1
    clock.now += 2.0
    assert client.get(done["links"]["video"]).status_code == 404
    assert client.get(JOBS).json()["total"] == 0
    assert folders(temp) == []


def test_few_results_are_kept(serve, encoded, wait, temp):
    client = serve(kept=2)
    ids = [wait(client, submit(client, encoded))["id"] for _ in range(4)]
    assert [job["id"] for job in client.get(JOBS).json()["jobs"]] == [ids[3], ids[2]]
    assert len(folders(temp)) == 2


def test_large_results_push_out_older_ones_but_not_themselves(serve, encoded, wait, maker, temp):
    client = serve(keep_bytes=len(maker.content) + 5000)
    wait(client, submit(client, encoded))
    last = wait(client, submit(client, encoded))
    assert [job["id"] for job in client.get(JOBS).json()["jobs"]] == [last["id"]]
    assert client.get(last["links"]["video"]).content == maker.content
    assert len(folders(temp)) == 1


def test_a_result_that_somebody_deleted_is_gone(client, encoded, wait, maker):
    done = wait(client, submit(client, encoded))
    maker.requests[0].output.unlink()
    assert client.get(done["links"]["video"]).status_code == 404
    maker.requests[0].output.with_name("track.npz").unlink()
    assert client.get(done["links"]["track"]).status_code == 404
    assert client.get(done["links"]["track"] + "?format=csv").status_code in (404, 422)


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-99", 0, 100),
        ("bytes=100-", 100, None),
        ("bytes=-10", -10, None),
        ("bytes=0-999999", 0, None),
        ("Bytes = 5 - 7", 5, 8),
    ],
)
def test_parts_of_a_video(client, encoded, wait, maker, asked, start, end):
    done = wait(client, submit(client, encoded))
    answer = client.get(done["links"]["video"], headers={"Range": asked})
    if asked[0] == "B":  # the unit is lower case in the standard; other spellings mean the whole
        assert answer.status_code == 200
        return
    assert answer.status_code == 206
    assert answer.content == maker.content[start:end]
    size = len(maker.content)
    first = start % size
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(answer.content) - 1}/{size}"


def test_odd_ranges(client, encoded, wait, maker):
    done = wait(client, submit(client, encoded))
    for asked in (
        "bytes=5-2",
        "bytes=a-b",
        "bytes=0-1,4-5",
        "lines=1-2",
        "bytes=-",
        "bytes=" + "9" * 50 + "-",
    ):
        answer = client.get(done["links"]["video"], headers={"Range": asked})
        assert (answer.status_code, len(answer.content)) == (200, len(maker.content))
    for asked in ("bytes=10240-", "bytes=999999999-", "bytes=-0"):
        answer = client.get(done["links"]["video"], headers={"Range": asked})
        assert answer.status_code == 416
        assert answer.headers["content-range"] == "bytes */10240"
        assert "error" in answer.json()
    head = client.head(done["links"]["video"])
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == "10240"


def test_closing_ends_everything(serve, encoded, maker, temp, shell):
    client = serve()
    maker.held.clear()
    submit(client, encoded)
    maker.wait_begun()
    submit(client, encoded)
    assert len(threads()) == 1
    client.jobs.close()
    assert threads() == []
    assert list(temp.iterdir()) == []
    answer = post(client, encoded)
    assert (answer.status_code, "error" in answer.json()) == (503, True)
    client.jobs.close()


def test_an_unused_queue_has_no_thread_and_no_folder(temp, shell):
    jobs = Jobs(shell)
    assert threads() == []
    assert list(temp.iterdir()) == []
    jobs.close()


def test_the_track_that_comes_back_is_exact(client, encoded, wait):
    done = wait(client, submit(client, encoded))
    with np.load(io.BytesIO(client.get(done["links"]["track"]).content)) as stored:
        assert stored["data"].shape == (5, 55)
