"""Who gets into the REST API, and how it sits on a host's app."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from sadtalker_ext import api
from sadtalker_ext.api import Jobs, credentials, mount
from sadtalker_ext.errors import OptionsError

V1 = "/sadtalker/v1"
USERS = {"ann": "se:cret", "bob": "pässwörd"}
ROUTES = [
    ("GET", "version"),
    ("GET", "engines"),
    ("GET", "models"),
    ("GET", "schema"),
    ("GET", "voices"),
    ("POST", "detect"),
    ("GET", "jobs"),
    ("POST", "jobs"),
    ("GET", "jobs/x"),
    ("DELETE", "jobs/x"),
    ("GET", "jobs/x/video"),
    ("GET", "jobs/x/track"),
    ("GET", "jobs/x/metadata"),
    ("PUT", "jobs"),
    ("GET", "nothing/here"),
]


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("", None),
        (" \n", None),
        ("ann:x", {"ann": "x"}),
        ("ann:x,bob:y:z", {"ann": "x", "bob": "y:z"}),
        (" ann:x , bob:y \n eve:z,", {"ann": "x", "bob": "y", "eve": "z"}),
    ],
)
def test_names_and_passwords_as_the_host_takes_them(text, expected):
    assert credentials(text) == expected


@pytest.mark.parametrize("text", ["ann", "ann:", ":x", "ann:x,bob", ",", "\n,\n ,"])
def test_what_cannot_be_understood_never_opens_the_api(text):
    with pytest.raises(OptionsError):
        credentials(text)


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("ann", "wrong"),
        basic("ann", "pässwörd"),  # another user's
        basic("", ""),
        basic("eve", "se:cret"),
        {"Authorization": "Basic"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic YW5u"},
        {"Authorization": "Bearer abc"},
        {"Authorization": b"Basic \xff\xfe"},
        {"Cookie": "access-token=ann"},
    ],
)
def test_no_route_without_a_password(serve, method, path, headers):
    answer = serve(USERS).request(method, f"{V1}/{path}", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize("user", USERS)
def test_every_user_gets_in(serve, user):
    client = serve(USERS)
    answer = client.get(f"{V1}/version", headers=basic(user, USERS[user]))
    assert (answer.status_code, answer.json()["api"]) == (200, 1)


def test_nobody_sees_the_jobs_of_others(serve, encoded, wait):
    client = serve(USERS)
    ann, bob = (basic(user, password) for user, password in USERS.items())
    job = client.post(f"{V1}/jobs", json={"picture": encoded, "idle": 1}, headers=ann).json()["id"]
    done = wait(client, job, headers=ann)
    assert done["state"] == "done"
    for link in done["links"].values():
        assert client.get(link, headers=bob).status_code == 404
    assert client.delete(done["links"]["self"], headers=bob).status_code == 404
    assert client.get(f"{V1}/jobs", headers=bob).json()["total"] == 0
    assert client.get(f"{V1}/jobs", headers=ann).json()["total"] == 1


def test_ids_cannot_be_guessed(client, encoded):
    ids = {client.post(f"{V1}/jobs", json={"picture": encoded, "idle": 1}).json()["id"] for _ in range(5)}
    assert len(ids) == 5
    assert all(len(job) == 32 and int(job, 16) for job in ids)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 202),
        ({"Origin": "http://testserver"}, 202),
        ({"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}, 202),
        ({"Origin": "http://inner:1", "X-Forwarded-Host": "inner:1"}, 202),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_forms_of_other_sites_are_refused(client, picture, headers, status):
    answer = client.post(
        f"{V1}/jobs", files={"picture": ("p", picture, "")}, data={"idle": "1"}, headers=headers
    )
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "image/png"])
def test_what_browsers_send_without_asking_is_not_taken(client, kind):
    for path in ("jobs", "detect"):
        answer = client.post(f"{V1}/{path}", content=b'{"idle": 1}', headers={"Content-Type": kind})
        assert answer.status_code == 415
        assert "application/json" in answer.json()["error"]


def test_wrong_methods_and_paths(client):
    answer = client.put(f"{V1}/jobs")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST, HEAD")
    assert "GET, POST" in answer.json()["error"]
    assert client.get(f"{V1}/detect").status_code == 405
    for path in ("", "nothing", "jobs/x/y", "jobs/..%2F..%2Fversion", "jobs/%2e%2e/%2e%2e/etc/passwd/video"):
        answer = client.get(f"{V1}/{path}")
        assert answer.status_code == 404
        assert list(answer.json()) == ["error"]
    assert client.head(f"{V1}/version").status_code == 200


def test_documents_are_not_cached_or_guessed_at(client):
    headers = client.get(f"{V1}/version").headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("users", [None, USERS])
def test_the_hosts_documentation_keeps_working(serve, users):
    app = FastAPI()

    @app.get("/host/thing")
    def thing() -> dict[str, int]:
        return {"x": 1}

    before = TestClient(app).get("/openapi.json").json()
    client = serve(users, app=app)
    after = client.get("/openapi.json").json()
    assert "/host/thing" in before["paths"]
    assert after["paths"]["/host/thing"] == before["paths"]["/host/thing"]
    ours = {path for path in after["paths"] if path.startswith(V1)}
    assert ours == {f"{V1}/{path}" for path in (
        "version", "engines", "models", "schema", "voices", "detect", "jobs", "jobs/{job_id}",
        "jobs/{job_id}/video", "jobs/{job_id}/track", "jobs/{job_id}/metadata",
    )}  # fmt: skip
    operation = after["paths"][f"{V1}/jobs"]["post"]
    assert set(operation["requestBody"]["content"]) == {"application/json", "multipart/form-data"}
    assert set(operation["responses"]) >= {"202", "413", "422", "429"}
    assert ("security" in operation) == (users is not None)
    names = [op["operationId"] for path in after["paths"].values() for op in path.values()]
    assert len(names) == len(set(names))
    assert client.get("/docs").status_code == 200


def test_mounting_again_replaces_the_routes(serve, encoded):
    app = FastAPI()
    serve(app=app)
    count = len(app.router.routes)
    client = serve(USERS, app=app)
    assert len(app.router.routes) == count
    assert client.get(f"{V1}/version").status_code == 401


def test_the_queue_stays_over_a_reload(monkeypatch, shell, temp, encoded, wait, maker):
    monkeypatch.setattr(api, "_jobs", None)
    first_app, second_app = FastAPI(), FastAPI()
    jobs = mount(first_app, shell)
    jobs._make = maker
    try:
        job = TestClient(first_app).post(f"{V1}/jobs", json={"picture": encoded, "idle": 1}).json()["id"]
        wait(TestClient(first_app), job)
        assert mount(second_app, shell) is jobs
        assert TestClient(second_app).get(f"{V1}/jobs/{job}").json()["state"] == "done"
        jobs.close()
        other = mount(FastAPI(), shell)
        assert other is not jobs
        other.close()
    finally:
        jobs.close()


def test_below_a_subpath(shell, temp, encoded, maker):
    app = FastAPI(root_path="/sd")
    jobs = Jobs(shell, make=maker)
    mount(app, shell, None, jobs)
    try:
        answer = TestClient(app).post(f"{V1}/jobs", json={"picture": encoded, "idle": 1})
        assert answer.headers["location"] == f"/sd{V1}/jobs/{answer.json()['id']}"
    finally:
        jobs.close()


def test_on_a_gradio_app_that_runs_already(serve, encoded, wait, maker):
    gradio = pytest.importorskip("gradio", reason="gradio is not installed")
    from gradio.routes import App
    from starlette.middleware.gzip import GZipMiddleware

    with gradio.Blocks(analytics_enabled=False) as blocks:
        gradio.Textbox()
    app: Any = App.create_app(blocks, app_kwargs={"docs_url": "/docs"})

    @app.middleware("http")
    async def look(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    app.add_middleware(GZipMiddleware, minimum_size=1000)
    with TestClient(app) as running:
        assert running.get("/docs").status_code == 200
    client = serve(USERS, app=app)
    ann = basic("ann", "se:cret")
    assert client.get(f"{V1}/version").status_code == 401
    job = client.post(f"{V1}/jobs", json={"picture": encoded, "idle": 1}, headers=ann).json()["id"]
    done = wait(client, job, headers=ann)
    assert client.get(done["links"]["video"], headers=ann).content == maker.content
    part = client.get(done["links"]["video"], headers={**ann, "Range": "bytes=1000-3999"})
    assert (part.status_code, part.content) == (206, maker.content[1000:4000])
    assert f"{V1}/jobs" in client.get("/openapi.json").json()["paths"]
