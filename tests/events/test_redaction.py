"""Redaction of exports: what a rule names is taken out, whatever the data looks like."""

import json
from typing import Any

import pytest
from msgspec.json import encode

from fleet.events.codec import Header, digest_payload, no_proof
from fleet.events.codec import encode as encode_record
from fleet.events.export import export_line
from fleet.events.redaction import parse_rule, redact


def line(payload: bytes) -> bytes:
    salt = bytes(16)
    header = Header(
        *("session.part-recorded", 1, 1, "session-s", 1, 0, "system", None, None, None),
        *(b"", digest_payload(salt, payload), bytes(32)),
    )
    return export_line(encode_record(header, salt, payload)[0], no_proof)


def test_data_that_holds_a_signature_is_taken_out() -> None:
    raw = line(encode({"body": {"text": "a secret thought", "metadata": {"provider": {"signature": "c2ln"}}}}))
    taken = json.loads(redact(raw, [parse_rule("transcripts")]))
    assert (taken["data"], taken["redacted"]) == ({}, "transcripts")


@pytest.mark.parametrize(
    "data",
    [
        {"text": 'she said "open sesame"\nand left'},
        {"body": {"parts": [{"said": 'she said "open sesame"\nand left'}]}},
        {"body": json.dumps({"text": 'she said "open sesame"\nand left'})},
        {'she said "open sesame"\nand left': 1},
    ],
)
def test_a_text_is_found_as_it_was_written(data: dict[str, Any]) -> None:
    rule = parse_rule('text:"open sesame"\nand')
    assert json.loads(redact(line(encode(data)), [rule]))["redacted"] == "text"
    assert redact(line(encode({"text": "open"})), [rule]) == line(encode({"text": "open"}))
