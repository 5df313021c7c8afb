"""Redaction of exports: what a rule names is taken out of all kinds of data."""

import json
from typing import Any

import pytest
from msgspec.json import encode

from fleet.events.codec import Header, digest_payload, no_proof
from fleet.events.codec import encode as encode_record
from fleet.events.envelope import Cause
from fleet.events.export import export_line, export_page, verify_export
from fleet.events.redaction import Redaction, RedactionRule, only_between, only_session, parse_rule
from tests.events.samples import Counted, Opened, reworded, sample_registry
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import MemoryDisk, MemoryLog


def line(payload: bytes) -> bytes:
    salt = bytes(16)
    header = Header(
        *("session.part-recorded", 1, 1, "session-s", 1, 0, "system", None, None, None),
        *(b"", digest_payload(salt, payload), bytes(32)),
    )
    return export_line(encode_record(header, salt, payload)[0], no_proof)


def test_data_that_holds_a_signature_is_taken_out() -> None:
    raw = line(encode({"body": {"text": "a secret thought", "metadata": {"provider": {"signature": "c2ln"}}}}))
    taken = json.loads(Redaction([parse_rule("transcripts")]).redact(raw))
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
    assert json.loads(Redaction([rule]).redact(line(encode(data))))["redacted"] == "text"
    assert Redaction([rule]).redact(line(encode({"text": "open"}))) == line(encode({"text": "open"}))


async def replaced_lines() -> list[bytes]:
    """Return the export of two events of a session, a stored response about it, and the orders that replaced them."""
    log = MemoryLog(MemoryDisk(), sample_registry(), FakeClock())
    await log.append("session-a", 0, [Opened("old"), Counted(1, "old")], Cause())
    await log.append("answer-a", 0, [Opened("old")], Cause())
    new = b'{"title":"new"}', b'{"amount":1,"note":"new"}', b'{"title":"answer"}'
    await log.append("session-a", 2, [reworded((1, new[0]), (2, new[1]))], Cause())
    await log.append("session-a", 3, [reworded((3, new[2]))], Cause())
    first = (
        b'{"replaced":[{"position":1,"payload":{"title":"new"}},{"position":2,"payload":{"amount":1,"note":"newest"}}]}'
    )
    await log.append("session-a", 4, [reworded((2, b'{"amount":1,"note":"newest"}'), (4, first))], Cause())
    return export_page(log, 0, 6)[0].splitlines(keepends=True)


HELD, UNPROVED = "orders with data that is taken out", "data whose order is not in the export"


@pytest.mark.parametrize(
    ("rule", "marks"),
    [
        (
            parse_rule("type:session.callbacks-erased"),
            [UNPROVED, UNPROVED, UNPROVED, *["type:session.callbacks-erased"] * 3],
        ),
        (parse_rule("type:sample.counted"), [UNPROVED, "type:sample.counted", None, HELD, None, HELD]),
        (parse_rule("text:newest"), [UNPROVED, "text", None, "text", None, "text"]),
        (parse_rule("session:a"), ["session:a"] * 6),
        (only_session("a"), [None, None, "outside of session a", None, HELD, None]),
        (only_between(0, 5), [UNPROVED, UNPROVED, None, UNPROVED, None, "outside of events 1 to 5"]),
    ],
)
async def test_redacted_export_has_no_data_that_it_cannot_prove_and_none_in_an_order(
    rule: RedactionRule, marks: list[str | None]
) -> None:
    redaction, lines = Redaction([rule]), await replaced_lines()
    redacted = list(map(redaction.redact, lines))
    more = redaction.finish(len(lines))
    redacted = redacted if more is None else list(map(more, redacted))
    assert verify_export(redacted).first_break is None
    assert [json.loads(each).get("redacted") for each in redacted] == marks


async def test_part_of_an_export_leaves_out_data_whose_order_comes_later() -> None:
    redaction, lines = Redaction(()), (await replaced_lines())[:5]
    assert list(map(redaction.redact, lines)) == lines
    more = redaction.finish(5)
    assert more is not None
    cut = list(map(more, lines))
    assert [json.loads(each).get("redacted") for each in cut] == [UNPROVED, UNPROVED, None, UNPROVED, None]
    assert verify_export(cut).first_break is None
    assert redaction.finish(6) is None
