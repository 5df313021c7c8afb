"""What a session does or said last: one short line for everything that OpenCode sends; and what its context holds."""

import msgspec
import pytest
from hypothesis import given as generate
from hypothesis import strategies as st

from fleet.core.session.activity import Activity, head, last_line, of_part, of_request
from fleet.core.session.consequences import queue_paused
from fleet.core.session.context import context_of
from fleet.core.session.decide import SESSION
from fleet.core.session.events import BudgetExceeded, SessionDisconnected, SessionEvent
from fleet.core.session.state import ContextSize, State
from fleet.core.session.turn_events import (
    AbortRequested,
    MessageRecorded,
    PartRecorded,
    RequestAnswered,
    TurnEnded,
    TurnFailed,
)
from fleet.core.session.values import Answer, raw
from fleet.limits import HEAD_CHARS, REQUESTS_REMEMBERED_MAX
from tests.core import sessions as s
from tests.core.given import given


@pytest.mark.parametrize(
    ("part", "shown"),
    [
        ({"type": "text", "text": "One\ntwo  three\n\n"}, Activity("text", "two three", 9)),
        ({"type": "reasoning", "text": "Hm", "time": {"start": 5}}, Activity("reasoning", "Hm", 5)),
        ({"type": "reasoning", "text": "Hm", "time": {"start": 50}}, Activity("reasoning", "Hm", 9)),
        ({"type": "text", "text": " \n"}, None),
        ({"type": "text", "text": "made by OpenCode", "synthetic": True}, None),
        ({"type": "step-start"}, None),
        ({"type": "tool", "tool": "bash"}, Activity("tool", "", 9, "bash")),
        (
            {"type": "tool", "tool": "bash", "state": {"title": "Run", "input": {"command": "a\nb"}}},
            Activity("tool", "a b", 9, "bash"),
        ),
        (
            {"type": "tool", "tool": "edit", "state": {"title": "x.py", "input": {"filePath": "/a/x.py"}}},
            Activity("tool", "x.py", 9, "edit"),
        ),
        (
            {"type": "tool", "tool": "grep", "state": {"input": {"pattern": "x"}, "time": {"start": 3}}},
            Activity("tool", "x", 3, "grep"),
        ),
        (
            {"type": "tool", "tool": "odd", "state": {"input": {"command": 7, "title": []}}},
            Activity("tool", "", 9, "odd"),
        ),
        ({"type": "tool", "state": []}, None),
        ({"type": 7}, None),
        ([], None),
    ],
)
def test_activity_of_a_message_part_is_one_line(part: object, shown: Activity | None) -> None:
    assert of_part(msgspec.json.encode(part), 9) == shown


def test_activity_of_a_body_that_is_not_json_is_empty() -> None:
    assert of_part(b"{", 9) is None
    assert of_request(b"{", 9) == Activity("request", "", 9)
    assert context_of(b"{", 9) is None


@pytest.mark.parametrize(
    ("request_body", "shown"),
    [
        (
            {"permission": "bash", "patterns": ["rm -rf build", "ls"]},
            Activity("request", "rm -rf build; ls", 9, "bash"),
        ),
        (
            {"permission": "bash", "patterns": ["ls", "wc -l"], "metadata": {"command": "ls | wc -l"}},
            Activity("request", "ls | wc -l", 9, "bash"),
        ),
        (
            {"permission": "edit", "patterns": ["a.py"], "metadata": {"command": 1}},
            Activity("request", "a.py", 9, "edit"),
        ),
        ({"permission": "edit", "patterns": ["a.py"], "metadata": None}, Activity("request", "a.py", 9, "edit")),
        ({"type": "bash", "title": "rm"}, Activity("request", "rm", 9, "bash")),
        ({"questions": [{"question": "Which?"}, {"question": "Why?"}]}, Activity("request", "Which?; Why?", 9)),
    ],
)
def test_activity_of_a_request_says_what_it_asks_for(request_body: object, shown: Activity) -> None:
    assert of_request(msgspec.json.encode(request_body), 9) == shown


@generate(st.text())
def test_activity_line_is_short_and_has_no_line_break(text: str) -> None:
    for line in (head(text), last_line(text)):
        assert len(line) <= HEAD_CHARS
        assert len(line.splitlines()) <= 1
        assert line == line.strip()


@generate(st.text(st.sampled_from("ab \n\t\u00a0"), max_size=5 * HEAD_CHARS))
def test_a_head_is_its_words_with_one_space_between_them(text: str) -> None:
    assert head(text) == " ".join(text[: 4 * HEAD_CHARS].split())[:HEAD_CHARS]


def answer(message_id: str, opencode_id: str = "ses_1", *, created_ms: int = 1, **info: object) -> MessageRecorded:
    body = raw(msgspec.json.encode({"id": message_id, **info}))
    return MessageRecorded(
        message_id=message_id, opencode_id=opencode_id, role="assistant", at_ms=s.AT, body=body, created_ms=created_ms
    )


def text(message_id: str, words: str) -> PartRecorded:
    body = raw(msgspec.json.encode({"type": "text", "text": words}))
    return PartRecorded(part_id=f"prt_{words}", message_id=message_id, type="text", at_ms=s.AT, body=body)


def after(*events: SessionEvent) -> State:
    return given(SESSION, "s1", *s.ACTIVE, *events).state


def test_activity_is_of_the_prompt_first_then_of_the_newest_answer() -> None:
    state = after()
    assert state.last_line is not None
    assert (state.last_line.kind, state.last_line.text) == ("prompt", state.asked)
    own = state.opencode.session_id
    first = (answer("msg_a", own), text("msg_a", "First"))
    for events, words in (
        ((text("msg_user", "the prompt itself"),), state.asked),
        (first, "First"),
        ((*first, answer("msg_sub", "ses_sub"), text("msg_sub", "of a sub-agent")), "First"),
        ((*first, answer("msg_b", own), text("msg_a", "late"), text("msg_b", "Second")), "Second"),
        ((*first, answer("msg_b", own), text("msg_b", "")), "First"),
    ):
        line = after(*events).last_line
        assert line is not None
        assert line.text == words


def test_the_context_size_is_that_of_the_newest_answer_with_tokens() -> None:
    own = after().opencode.session_id
    tokens = {"input": 100, "output": 20, "reasoning": 3, "cache": {"read": 10, "write": 1}}
    told = answer("msg_a", own, created_ms=5, tokens=tokens, providerID="p", modelID="m")
    context = ContextSize(134, 5, "p", "m")
    assert after(told).context == context
    assert after(told, answer("msg_b", own, created_ms=6)).context == context
    assert after(told, answer("msg_b", own, created_ms=4, tokens={"input": 1})).context == context
    assert after(told, answer("msg_s", "ses_sub", created_ms=6, tokens={"input": 1})).context == context
    assert after(told, answer("msg_b", own, created_ms=6, tokens={"input": 1})).context == ContextSize(1, 6)
    assert context_of(msgspec.json.encode({"tokens": {"input": 1e300, "output": -5}}), 1) == ContextSize(10**12, 1)


def test_remembered_answers_to_requests_have_a_limit() -> None:
    events: list[SessionEvent] = [s.request(f"r{n}") for n in range(REQUESTS_REMEMBERED_MAX + 2)]
    events += [
        RequestAnswered(request_id=f"r{n}", answer=Answer("once"), at_ms=s.AT, actor="local")
        for n in range(REQUESTS_REMEMBERED_MAX + 2)
    ]
    answered = after(*events).answered
    assert len(answered) == REQUESTS_REMEMBERED_MAX
    assert (answered[0].request_id, answered[-1].reply, answered[-1].actor) == ("r2", "once", "local")


def test_a_paused_queue_says_why() -> None:
    waiting = s.accepted("p9")
    for events, said in (
        ((), None),
        ((waiting,), None),
        ((waiting, AbortRequested(number=1, at_ms=s.AT)), "is being aborted"),
        ((waiting, TurnEnded(number=1, outcome="finished", evidence="", at_ms=s.AT)), None),
        ((AbortRequested(number=1, at_ms=s.AT), TurnEnded(number=1, outcome="aborted", evidence="", at_ms=s.AT)), None),
        (
            (
                waiting,
                AbortRequested(number=1, at_ms=s.AT),
                TurnEnded(number=1, outcome="aborted", evidence="", at_ms=s.AT),
            ),
            "was aborted",
        ),
        ((waiting, TurnFailed(number=1, code="x", detail="", at_ms=s.AT)), "failed"),
        ((waiting, SessionDisconnected(instance_id="i1", evidence="", at_ms=s.AT)), "is disconnected: resume it"),
        ((BudgetExceeded(what="2 of 2 USD are used", at_ms=s.AT),), "the budget is used up: 2 of 2 USD"),
    ):
        why = queue_paused(after(*events))
        assert why is None if said is None else said in (why or ""), (events, why)
