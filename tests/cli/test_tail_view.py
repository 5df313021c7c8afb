"""What `fleet tail` and `--wait` show of a stream, on a terminal: each word once, in the order in which it was said."""

import io
from typing import Any

import pytest
from rich.text import Text

from fleet.cli.sanitize import SafeConsole
from fleet.cli.tail_view import StreamPrinter
from fleet.wire.frames import Delta, Event, Frame, InFlightPart, InFlightSession, PartChanged, Snapshot

OWN, OTHER = "ses_own", "ses_of_a_sub_agent"
SESSION = "0198c0de-0000-7000-8000-000000000000"


def event(kind: str, /, **data: Any) -> Event:
    return Event(1, f"session-{SESSION}", 1, f"session.{kind}", "2026-01-01T00:00:00Z", "agent", data)


def recorded(part_id: str, kind: str, text: str = "", **more: Any) -> Event:
    return event("part-recorded", message_id="m", part_id=part_id, body={"type": kind, "text": text, **more})


def begun(part_id: str, kind: str, text: str = "") -> PartChanged:
    return PartChanged(SESSION, OWN, {"id": part_id, "messageID": "m", "type": kind, "text": text})


def grown(part_id: str, text: str) -> Delta:
    return Delta(SESSION, OWN, "m", part_id, "text", text)


def flying(*parts: tuple[str, str, str]) -> Snapshot:
    return Snapshot(9, [InFlightSession(SESSION, "active", [InFlightPart(OWN, "m", *part) for part in parts])])


def told(*frames: Frame) -> list[str]:
    """Return the lines that a terminal shows then."""
    out = io.StringIO()
    printer = StreamPrinter(SafeConsole(file=out, force_terminal=True), own=OWN)
    for frame in frames:
        printer.print(frame)
    printer.end()
    return [line for line in Text.from_ansi(out.getvalue()).plain.splitlines() if line]


TRUE = "  ✓ bash true"
TOOL = recorded("t", "tool", tool="bash", state={"status": "completed", "input": {"command": "true"}})


@pytest.mark.parametrize(
    ("frames", "lines"),
    [
        # OpenCode reports the end of the reasoning only after the text has begun.
        (
            [
                begun("r", "reasoning"),
                grown("r", "Let me "),
                grown("r", "think."),
                begun("x", "text"),
                grown("x", "MARK"),
                recorded("r", "reasoning", "Let me think."),
                grown("x", "ER"),
                recorded("x", "text", "MARKER"),
            ],
            ["Let me think.", "MARKER"],
        ),
        # What stands between the beginning of a text and its end parts it, and repeats nothing.
        (
            [begun("x", "text"), grown("x", "MARK"), TOOL, recorded("x", "text", "MARKER")],
            ["MARK", TRUE, "ER"],
        ),
        (
            [begun("x", "text"), grown("x", "MARKER"), TOOL, recorded("x", "text", "MARKER")],
            ["MARKER", TRUE],
        ),
        # OpenCode cuts off the end that is only space.
        ([begun("x", "text"), grown("x", "MARKER\n\n"), recorded("x", "text", "MARKER")], ["MARKER"]),
        # A part may have a text when it is first heard of.
        ([begun("x", "text", "MAR"), grown("x", "KER"), recorded("x", "text", "MARKER")], ["MARKER"]),
        # A reader that was away has the snapshot.
        (
            [begun("x", "text"), grown("x", "MA"), flying(("r", "reasoning", "So"), ("x", "text", "MARKER"))],
            ["MA", "So", "RKER"],
        ),
        # A text that OpenCode has rewritten is printed again.
        ([begun("x", "text"), grown("x", "Wrong"), recorded("x", "text", "Right")], ["Wrong", "Right"]),
        # No stream sent it.
        ([recorded("r", "reasoning", "So"), recorded("x", "text", "one\ntwo\n")], ["So", "one", "two"]),
        # What the person has said is shown as a prompt.
        ([event("message-recorded", message_id="m", role="user"), begun("x", "text", "Do it")], []),
    ],
)
def test_tail_prints_every_word_once_and_in_order(frames: list[Frame], lines: list[str]) -> None:
    assert told(*frames) == lines


def test_text_of_a_sub_agent_is_printed_with_a_mark_when_complete() -> None:
    growing = PartChanged(SESSION, OTHER, {"id": "s", "messageID": "n", "type": "text", "text": "Lo"})
    more = Delta(SESSION, OTHER, "n", "s", "text", "ok")
    whole = recorded("s", "text", "Look\nthere")
    whole.data["opencode_id"] = OTHER
    frames: list[Frame] = [
        begun("x", "text"),
        grown("x", "MARK"),
        growing,
        more,
        whole,
        recorded("x", "text", "MARKER"),
    ]
    assert told(*frames) == ["MARK", "  | Look", "  | there", "ER"]


def test_tail_prints_a_question_with_its_choices() -> None:
    question = {"question": "Which colour?", "options": [{"label": "Red"}, {"label": "Blue"}]}
    asked = event("request-opened", kind="question", body={"questions": [question]})
    assert told(asked) == ["? Which colour? (Red, Blue) (`fleet answer`)"]


def test_tail_prints_a_session_in_the_same_colour_in_every_run() -> None:
    out = io.StringIO()
    StreamPrinter(SafeConsole(file=out, force_terminal=True), {SESSION: "One"}).print(event("resumed", at_ms=1))
    assert out.getvalue().startswith("\x1b[92mOne ")


def test_tail_prints_a_permission_request_with_the_whole_command() -> None:
    body = {"permission": "bash", "patterns": ["ls \x1b]0;; evil \x07"]}
    assert told(event("request-opened", kind="permission", body=body)) == [
        "? may it: bash ls \\x1b]0;; evil \\x07 (`fleet answer`)"
    ]
