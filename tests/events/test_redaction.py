"""Redaction of exports: what a rule names is taken out, whatever the data looks like."""

import json

from msgspec.json import encode

from fleet.events.codec import Header, digest_payload
from fleet.events.codec import encode as encode_record
from fleet.events.export import export_line
from fleet.events.redaction import parse_rule, redact


def line(payload: bytes) -> bytes:
    salt = bytes(16)
    header = Header(
        *("session.part-recorded", 1, 1, "session-s", 1, 0, "system", None, None, None),
        *(b"", digest_payload(salt, payload), bytes(32)),
    )
    return export_line(encode_record(header, salt, payload)[0])


def test_data_that_holds_a_signature_is_taken_out() -> None:
    raw = line(encode({"body": {"text": "a secret thought", "metadata": {"provider": {"signature": "c2ln"}}}}))
    taken = json.loads(redact(raw, [parse_rule("transcripts")]))
    assert (taken["data"], taken["redacted"]) == ({}, "transcripts")
