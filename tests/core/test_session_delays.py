"""The reasons of a delayed turn: their events, and when a person is notified."""

import pytest

from fleet.core.session.decide import SESSION
from fleet.core.session.events import SessionEvent
from fleet.core.session.report_commands import ReportPromptDelivered, ReportTurnDelayed
from fleet.core.session.turn_events import TurnDelayed
from tests.core import sessions as s
from tests.core.given import given


def report(reason: str, *, is_long: bool = False, number: int = 1) -> ReportTurnDelayed:
    return ReportTurnDelayed(number=number, reason=reason, at_ms=s.AT, is_long=is_long)


def delayed(reason: str, *, is_long: bool = False) -> TurnDelayed:
    return TurnDelayed(number=1, reason=reason, at_ms=s.AT, is_long=is_long)


def test_reason_of_a_delayed_turn_is_its_evidence_until_the_next_reason() -> None:
    story = given(SESSION, "s1", *s.ACTIVE).when(report("")).then()
    story = story.when(report("bash has run for 1 min")).then(delayed("bash has run for 1 min"))
    assert story.state.evidence == "turn 1: bash has run for 1 min"
    story = story.when(report("bash has run for 1 min")).then()
    story = story.when(report("")).then(delayed(""))
    assert story.state.evidence == "turn 1: OpenCode continues"


def test_long_delay_notifies_a_person_once_for_each_turn() -> None:
    story = given(SESSION, "s1", *s.ACTIVE).when(report("a")).when(report("a", is_long=True))
    story = story.then(delayed("a", is_long=True)).when(report("b", is_long=True)).then(delayed("b"))
    assert [(each.kind, each.text) for each in story.state.notifications] == [("delayed", "a")]


@pytest.mark.parametrize("history", [s.ABORTING, s.WAITING, s.FINISHED, s.LOST_TURN, s.STOPPED])
def test_ended_or_waiting_turn_has_no_reason_of_a_delay(history: tuple[SessionEvent, ...]) -> None:
    given(SESSION, "s1", *history).when(report("a", is_long=True)).then()


def test_reason_of_a_delay_of_another_turn_is_ignored() -> None:
    given(SESSION, "s1", *s.ACTIVE).when(report("a", number=2)).then()


def test_a_request_that_arrives_before_the_prompt_is_confirmed_is_the_evidence() -> None:
    story = given(SESSION, "s1", *s.SENDING, s.request("r1")).when(
        ReportPromptDelivered(message_id="msg_p1", at_ms=s.AT)
    )
    assert story.state.evidence == "turn 1: a permission waits for an answer"
