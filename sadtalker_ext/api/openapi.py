"""What /docs and /openapi.json of the host say about our routes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ..options import knobs
from ..options.knob import Knob
from .intake import FORMATS, file_fields

PER_PAGE, MOST_PER_PAGE, MOST_PAGES = 20, 100, 10**9
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string", "description": "what is wrong and what to do"}},
}
BASE64 = "in JSON the content of the file in base64, or a data: URI; in a form a file"
_ID = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
JOB_ID = {"name": "job_id", "in": "path", "required": True, "schema": _ID}
_NPZ_OR_CSV = {"type": "string", "enum": ["npz", "csv"], "default": "npz"}
TRACK_FORMAT = {"name": "format", "in": "query", "required": False, "schema": _NPZ_OR_CSV}


@dataclass(frozen=True)
class Description:
    """One route. body: JSON schema by field; required: those that are always needed, any_of: one of these is,
    at least; files: that are files.

    kinds: media types of its answer. errors: meaning by status, beside 401.
    """

    summary: str
    text: str
    status: int = 200
    parameters: tuple[Mapping[str, Any], ...] = ()
    body: Mapping[str, Mapping[str, Any]] | None = None
    required: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ("application/json",)
    errors: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))

    def responses(self, *, locked: bool) -> dict[int | str, dict[str, Any]]:
        """For FastAPI's `responses`."""
        types = {kind: "object" if kind == "application/json" else "string" for kind in self.kinds}
        answer: dict[str, Any] = {kind: {"schema": {"type": type_}} for kind, type_ in types.items()}
        error = {"application/json": {"schema": ERROR}}
        errors = {**({401: "name or password are missing or wrong"} if locked else {}), **self.errors}
        told: dict[int | str, Any] = {self.status: {"description": self.summary, "content": answer}}
        return told | {status: {"description": why, "content": error} for status, why in errors.items()}

    def extra(self) -> dict[str, Any]:
        """For FastAPI's `openapi_extra`."""
        extra: dict[str, Any] = {}
        if self.parameters:
            extra["parameters"] = [dict(parameter) for parameter in self.parameters]
        if self.body is not None:
            as_json = {name: dict(schema) for name, schema in self.body.items()}
            as_form = {name: self._in_form(name, schema) for name, schema in self.body.items()}
            bodies = {"application/json": as_json, "multipart/form-data": as_form}
            whole: dict[str, Any] = {"type": "object", "additionalProperties": False}
            if self.required:
                whole["required"] = [*self.required]
            if self.any_of:
                whole["anyOf"] = [{"required": [name]} for name in self.any_of]
            content = {kind: {"schema": {**whole, "properties": body}} for kind, body in bodies.items()}
            extra["requestBody"] = {"required": True, "content": content}
        return extra

    def _in_form(self, name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        if name in self.files:
            return {**schema, "format": "binary"}
        return dict(schema)


def _file(meaning: str) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "description": f"{meaning}; {BASE64}"}


def _file_of(knob: Knob) -> dict[str, Any]:
    only = f"engine {knob.engine}" if knob.engine else ""
    if knob.files == "mesh":  # of which fewer kinds are taken here, and never as the picture
        return _file(f"mesh of a head, .ply or .obj ({only}, in the place of picture)")
    return _file(f"{knob.help} ({only})" if only else knob.help)


def _number(name: str, default: int, meaning: str, most: int) -> dict[str, Any]:
    schema = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    return {"name": name, "in": "query", "required": False, "description": meaning, "schema": schema}


_BODY_ERRORS = {
    400: "the body cannot be read",
    413: "the body is too large",
    415: "neither JSON nor a form",
    422: "something in it cannot be used",
    503: "too much at one time",
}
_NO_JOB = {404: "no such job, or it expired"}
_NOT_DONE = {**_NO_JOB, 409: "the job is not done, or made no video"}
_PICTURE = {"picture": _file("the portrait: PNG, JPEG, WebP, GIF, BMP or TIFF")}
_JOB_BODY: Mapping[str, Mapping[str, Any]] = {
    **_PICTURE,
    "speech": _file("the recording: any sound or video"),
    "text": {"type": "string", "description": "to be spoken, in the place of a recording"},
    "voice": {"type": "string", "description": "id of a voice for the text"},
    "idle": {"type": "number", "description": "seconds of quiet presence, in the place of speech"},
    "track": _file("motion to be rendered again: .npz or Live Link Face .csv"),
    **{knob.name: _file_of(knob) for knob in knobs() if knob.kind == "path"},
    "manner_preset": {"type": "string", "description": "a manner of moving; GET schema lists them"},
    "preset": {"type": "string", "description": "the former name of manner_preset", "deprecated": True},
    "options": {"type": "object", "description": "see GET schema; in a form as JSON text"},
    "format": {"type": "string", "enum": list(FORMATS), "description": "of the video (default mp4)"},
}

DESCRIPTIONS: Mapping[tuple[str, str], Description] = MappingProxyType(
    {
        ("GET", "version"): Description("Version and limits", "Version, place, formats, limits of requests."),
        ("GET", "engines"): Description(
            "Engines", "Which engines are ready, and how to get what is missing."
        ),
        ("GET", "models"): Description("Weight files", "Each weight file, and whether it is here and whole."),
        ("GET", "schema"): Description(
            "Options", "JSON schema of the options of a job; x-presets: the presets and what they set."
        ),
        ("GET", "voices"): Description("Voices", "Voices of the speech programs on the server, for text."),
        ("POST", "detect"): Description(
            "Faces of a picture",
            "Box, five points (both eyes, nose tip, both mouth corners, left first as seen), size and score "
            "of each face, largest first, in pixels of the picture.",
            body=_PICTURE | {"detector": {"type": "string", "enum": ["auto", "mediapipe", "face-alignment"]}},
            required=("picture",),
            files=("picture",),
            errors=_BODY_ERRORS,
        ),
        ("GET", "jobs"): Description(
            "Jobs",
            "The caller's jobs, newest first.",
            parameters=(
                _number("page", 1, "from 1", MOST_PAGES),
                _number("per_page", PER_PAGE, f"at most {MOST_PER_PAGE}", MOST_PER_PAGE),
            ),
            errors={422: "no such number of a page, or an unknown parameter"},
        ),
        ("POST", "jobs"): Description(
            "Make a video",
            "Queues a job: a picture (for the engine codetalker none, or template) with one of speech, text, "
            "idle or track. Answers 202 with its id.",
            status=202,
            body=_JOB_BODY,
            any_of=("speech", "text", "idle", "track", "options"),
            files=file_fields(),
            errors={**_BODY_ERRORS, 429: "too many jobs are waiting"},
        ),
        ("GET", "jobs/{job_id}"): Description(
            "State of a job",
            "queued (with its position), running (with progress 0..1), done, failed or cancelled.",
            parameters=(JOB_ID,),
            errors=_NO_JOB,
        ),
        ("DELETE", "jobs/{job_id}"): Description(
            "Cancel or remove a job",
            "Cancels one that waits (200) or runs (202: it ends soon); removes one that has ended, with its "
            "files.",
            parameters=(JOB_ID,),
            errors=_NO_JOB,
        ),
        ("GET", "jobs/{job_id}/video"): Description(
            "The video",
            "Parts of it can be asked for with a Range header.",
            parameters=(JOB_ID,),
            kinds=tuple(FORMATS.values()),
            errors={**_NOT_DONE, 416: "the range lies outside the file"},
        ),
        ("GET", "jobs/{job_id}/track"): Description(
            "The motion track",
            "As .npz, or as Live Link Face .csv.",
            parameters=(JOB_ID, TRACK_FORMAT),
            kinds=("application/octet-stream", "text/csv"),
            errors={**_NOT_DONE, 422: "no such format, or an unknown parameter"},
        ),
        ("GET", "jobs/{job_id}/metadata"): Description(
            "What made the video",
            "The metadata document of the video.",
            parameters=(JOB_ID,),
            errors=_NOT_DONE,
        ),
    }
)
