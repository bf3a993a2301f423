"""docs/api.md names every route, field, status and limit that there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from sadtalker_ext.api import Limits
from sadtalker_ext.api.intake import FORMATS, VALUE_FIELDS, closed_knobs, file_fields
from sadtalker_ext.api.jobs import CANCELLED, DONE, FAILED, QUEUED, RUNNING
from sadtalker_ext.api.openapi import DESCRIPTIONS
from sadtalker_ext.options import knobs
from sadtalker_ext.options.presets import PRESETS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("method", "path"), DESCRIPTIONS)
def test_every_route(method, path):
    assert f"`{method} {path.replace('{job_id}', 'ID')}`" in PAGE


@pytest.mark.parametrize(
    "name",
    [
        *file_fields(),
        *VALUE_FIELDS,
        *FORMATS,
        *PRESETS,
        QUEUED,
        RUNNING,
        DONE,
        FAILED,
        CANCELLED,
        *closed_knobs(),
    ],
)
def test_every_name(name):
    assert f"`{name}`" in PAGE


def test_every_status():
    for description in DESCRIPTIONS.values():
        for status in description.errors:
            assert f"| {status} |" in PAGE


def test_the_limits():
    limits = Limits()
    for row in (
        f"{limits.json_bytes >> 20} MB as JSON, {limits.form_bytes >> 20} MB as a form",
        f"{limits.picture_pixels // 10**6} megapixels",
        f"{limits.text_characters} characters",
        f"| jobs that wait | {limits.queued} |",
        f"| finished jobs | {limits.kept}, {limits.keep_bytes >> 30} GB, one hour |",
    ):
        assert row in PAGE
    assert limits.seconds == limits.keep_seconds == 3600


def test_closed_options_exist():
    assert set(closed_knobs()) < {knob.name for knob in knobs()}
