"""How a turn has ended, told from what OpenCode's store holds."""

from typing import Literal

import pytest

from fleet.core.turn_result import TurnResult, assistant_messages, is_unread, turn_result
from fleet.limits import TURN_INCOMPLETE_GRACE_S, TURN_START_GRACE_S
from fleet.ports import Message, MessageInfo


def step(finish: str | None, completed_ms: int | None = 1000) -> MessageInfo:
    return MessageInfo("msg_1", "ses_1", "assistant", 900, b"{}", completed_ms=completed_ms, finish=finish)


@pytest.mark.parametrize("finish", ["tool-calls", "unknown"])
@pytest.mark.parametrize(("aborting", "outcome"), [(False, "interrupted"), (True, "aborted")])
def test_a_turn_whose_process_died_between_two_steps_has_not_finished(
    finish: str, aborting: bool, outcome: str
) -> None:
    result = turn_result([step(finish)], idle_s=0, aborting=aborting, error=None, process_since_ms=1001)
    assert result is not None
    assert result.outcome == outcome


@pytest.mark.parametrize(("finish", "process_since_ms"), [("stop", 1001), ("length", 1001), ("tool-calls", 999)])
def test_turn_has_finished_if_its_process_lives_or_its_last_message_is_final(
    finish: str, process_since_ms: int
) -> None:
    result = turn_result([step(finish)], idle_s=0, aborting=False, error=None, process_since_ms=process_since_ms)
    assert result is not None
    assert result.outcome == "finished"


def said(name: str, role: Literal["user", "assistant"] = "assistant") -> Message:
    return Message(MessageInfo(name, "ses_1", role, 900, b"{}"), ())


def broken(name: str, message: str | None = None) -> MessageInfo:
    return MessageInfo("msg_1", "ses_1", "assistant", 900, b"{}", error_name=name, error_message=message)


def judged(
    turn: list[MessageInfo], *, idle_s: float = 0, aborting: bool = False, error: tuple[str, str] | None = None
) -> TurnResult | None:
    return turn_result(turn, idle_s=idle_s, aborting=aborting, error=error)


def test_all_answers_after_a_prompt_belong_to_its_turn() -> None:
    compacted = [said("a1"), said("p1", "user"), said("a2"), said("summary", "user"), said("a3")]
    assert [each.id for each in assistant_messages(compacted, "p1")] == ["a2", "a3"]
    assert assistant_messages(compacted[:2], "p1") == []


def test_all_answers_belong_to_the_turn_if_its_prompt_is_not_listed() -> None:
    assert [each.id for each in assistant_messages([said("a1"), said("a2")], "p1")] == ["a1", "a2"]


@pytest.mark.parametrize("aborting", [False, True])
def test_opencode_says_that_a_turn_was_aborted(aborting: bool) -> None:
    result = judged([step("tool-calls"), broken("MessageAbortedError")], aborting=aborting)
    assert result is not None
    assert result.outcome == "aborted"


@pytest.mark.parametrize(("message", "detail"), [("no credit", "no credit"), (None, "APIError"), ("", "APIError")])
def test_an_error_fails_the_turn(message: str | None, detail: str) -> None:
    assert judged([broken("APIError", message)]) == TurnResult("failed", detail, "APIError")


def test_known_error_fails_a_turn_whose_last_message_stays_unfinished() -> None:
    error = ("APIError", "no credit")
    turn = [step(None, completed_ms=None)]
    assert judged(turn, idle_s=TURN_INCOMPLETE_GRACE_S - 0.1, error=error) is None
    assert judged(turn, idle_s=TURN_INCOMPLETE_GRACE_S, error=error) == TurnResult("failed", "no credit", "APIError")


def test_last_message_decides_the_outcome_of_a_turn() -> None:
    result = judged([broken("APIError"), step("stop")])
    assert result is not None
    assert result.outcome == "finished"


@pytest.mark.parametrize("last", [step(None, None), step("stop", None), step(None)])
@pytest.mark.parametrize(("aborting", "outcome"), [(False, "interrupted"), (True, "aborted")])
def test_unfinished_message_is_waited_for_before_the_outcome_is_decided(
    last: MessageInfo, aborting: bool, outcome: str
) -> None:
    assert judged([last], idle_s=TURN_INCOMPLETE_GRACE_S - 0.1, aborting=aborting) is None
    result = judged([last], idle_s=TURN_INCOMPLETE_GRACE_S, aborting=aborting)
    assert result is not None
    assert result.outcome == outcome


def test_abort_before_the_first_answer_is_waited_for() -> None:
    assert judged([], idle_s=TURN_INCOMPLETE_GRACE_S - 0.1, aborting=True) is None
    result = judged([], idle_s=TURN_INCOMPLETE_GRACE_S, aborting=True)
    assert result is not None
    assert result.outcome == "aborted"


@pytest.mark.parametrize(("message", "detail"), [("no such agent", "no such agent"), ("", "UnknownError")])
def test_an_error_without_an_answer_fails_the_turn(message: str, detail: str) -> None:
    error = ("UnknownError", message)
    assert judged([], idle_s=TURN_INCOMPLETE_GRACE_S - 0.1, error=error) is None
    assert judged([], idle_s=TURN_INCOMPLETE_GRACE_S, error=error) == TurnResult("failed", detail, "UnknownError")


def test_turn_without_answer_or_error_is_waited_for() -> None:
    assert judged([], idle_s=TURN_START_GRACE_S - 0.1) is None
    result = judged([], idle_s=TURN_START_GRACE_S)
    assert result is not None
    assert result.outcome == "interrupted"


def test_a_prompt_that_steered_the_turn_has_to_be_answered_before_it_is_over() -> None:
    messages = [said("p1", "user"), said("a1"), said("p2", "user")]
    assert is_unread(messages, "p1")
    assert not is_unread(messages[:2], "p1")
    assert not is_unread(messages[:1], "p1")
    done = [step("stop")]
    unread = turn_result(done, idle_s=TURN_START_GRACE_S - 0.1, aborting=False, error=None, unread=True)
    assert unread is None
    result = turn_result(done, idle_s=TURN_START_GRACE_S, aborting=False, error=None, unread=True)
    assert result is not None
    assert result.outcome == "interrupted"
