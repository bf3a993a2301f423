"""The commanded opening survives a trip through a video's metadata."""

from __future__ import annotations

import base64
import json
import zlib

import numpy as np
import pytest

from sadtalker_ext.tracks.trace import FULL_SCALE, MAX_BYTES, decode_opening, encode_opening


def test_round_trip_keeps_openings_to_a_thousandth():
    opening = np.abs(np.sin(np.arange(250) / 7)) * 0.15
    document = json.loads(json.dumps(encode_opening(opening, 29.97)))
    decoded = decode_opening(document)
    assert decoded is not None
    values, fps = decoded
    assert fps == 29.97
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, opening, atol=FULL_SCALE / 255 / 2 + 1e-7)


def test_openings_beyond_the_scale_are_cut():
    decoded = decode_opening(encode_opening(np.array([-0.1, 0.5]), 25))
    assert decoded is not None
    np.testing.assert_allclose(decoded[0], [0, FULL_SCALE], atol=1e-6)


def test_a_long_video_keeps_its_beginning():
    opening = np.random.default_rng(0).uniform(0, FULL_SCALE, 200_000)
    document = encode_opening(opening, 25)
    assert len(base64.b64decode(str(document["opening"]))) <= MAX_BYTES
    decoded = decode_opening(document)
    assert decoded is not None
    kept = len(decoded[0])
    assert 0.7 * MAX_BYTES < kept < len(opening)
    np.testing.assert_allclose(decoded[0], opening[:kept], atol=0.001)


@pytest.mark.parametrize(
    "document",
    [
        None,
        "text",
        {},
        {"fps": 25},
        {"fps": True, "opening": ""},
        {"fps": 25, "opening": "not base64!"},
        {"fps": 25, "opening": base64.b64encode(b"not zlib").decode()},
        {"fps": 25, "opening": base64.b64encode(zlib.compress(b"")).decode()},
        {"fps": 25, "opening": base64.b64encode(zlib.compress(b"cut short" * 9)[:-6]).decode()},
        {"fps": 0, "opening": base64.b64encode(zlib.compress(b"abc")).decode()},
        {"fps": float("nan"), "opening": base64.b64encode(zlib.compress(b"abc")).decode()},
    ],
)
def test_other_documents_are_none(document):
    assert decode_opening(document) is None


def test_a_decompression_bomb_is_refused():
    bomb = base64.b64encode(zlib.compress(bytes(10_000_000), 9)).decode()
    assert decode_opening({"fps": 25, "opening": bomb}) is None
