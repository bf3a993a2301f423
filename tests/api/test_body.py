"""JSON of requests: one reader for all JSON of strangers, with the words of the API."""

from __future__ import annotations

from typing import Any

import pytest

from sadtalker_ext.api.body import parse_json
from sadtalker_ext.api.replies import Refusal


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[" * 300 + "]" * 300, "The request is nested too deep."),
        ('{"a":' * 900 + "1" + "}" * 900, "The request is nested too deep."),
        ("[" + "1," * 2000 + "1]", "The request holds too many values"),
        ("9" * 100_000, "The request is not valid JSON (999"),
        ("-" + "9" * 5000, "The request is not valid JSON (-999"),
        ("[1e999]", "not valid JSON (1e999 is no finite number"),
        ("NaN", "not valid JSON (NaN is no finite number"),
        ("{", "The request is not valid JSON (Expecting"),
        ("\xff", "The request is not valid JSON"),
    ],
    ids=lambda text: text[:12],
)
def test_refusals_are_sentences(text: str, told: str) -> None:
    for given in (text, bytearray(text.encode("latin1"))):
        with pytest.raises(Refusal) as caught:
            parse_json(given, "The request", 1000)
        assert caught.value.status == 400
        assert told in caught.value.sentence
        assert len(caught.value.sentence) < 200


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, -2.5, null, true, "é"]}', {"a": [1, -2.5, None, True, "é"]}),
        ("\ufeff[1]", [1]),
        ("7", 7),
        ('{"a": 1, "a": 2}', {"a": 2}),
    ],
)
def test_documents_are_read(text: str, value: Any) -> None:
    assert parse_json(bytearray(text.encode()), "The request", 1000) == value


def test_a_long_text_is_no_reason_to_refuse() -> None:
    """Pictures come in base64."""
    assert (
        len(parse_json(bytearray(b'{"picture": "' + b"A" * 9_000_000 + b'"}'), "x", 10)["picture"])
        == 9_000_000
    )
