"""Notifications, sessions that wait in a queue, and prompts that are commands of OpenCode."""

import pytest

from fleet.core.session import effects as e
from fleet.core.session.commands import ReadNotifications, SubmitPrompt
from fleet.core.session.decide import SESSION
from fleet.core.session.events import (
    BudgetExceeded,
    CallbackOrdered,
    CallbackUndelivered,
    NotificationsRead,
    ProvisionDelayed,
    SessionCreated,
    SessionEvent,
)
from fleet.core.session.report_commands import ReportProvisionDelayed
from fleet.core.session.state import State
from fleet.core.session.turn_events import PromptAccepted, TurnFailed
from fleet.core.session.values import ProvisionStep
from fleet.limits import NOTIFICATIONS_MAX
from tests.core import sessions as s
from tests.core.given import given


def told(state: State) -> list[tuple[int, str, str, bool]]:
    return [(n.number, n.kind, n.text, n.read) for n in state.notifications]


def read(*numbers: int) -> ReadNotifications:
    return ReadNotifications(numbers=numbers, at_ms=s.AT)


EXCEEDED = BudgetExceeded(what="1 of 1 USD are used", at_ms=s.AT)


@pytest.mark.parametrize(
    ("history", "event", "kind", "text"),
    [
        (s.ACTIVE, s.ended(1, "finished"), "finished", "three signs"),
        (s.ABORTING, s.ended(1, "aborted"), "aborted", "three signs"),
        (s.ACTIVE, s.ended(1, "interrupted"), "interrupted", "three signs"),
        (s.ACTIVE, TurnFailed(number=1, code="APIError", detail="no credit", at_ms=s.AT), "error", "no credit"),
        (s.CREATED, s.failed("workspace"), "error", "no"),
        (s.ACTIVE, s.request("r1"), "request", "a permission waits for an answer"),
        (s.ACTIVE, s.disconnected(), "disconnected", "why"),
        (s.IDLE, EXCEEDED, "budget", "1 of 1 USD are used"),
        (
            (*s.child(*s.IDLE), CallbackOrdered(number=1, outcome="finished", text="", at_ms=s.AT)),
            CallbackUndelivered(number=1, reason="it has stopped", at_ms=s.AT),
            "callback",
            "it has stopped",
        ),
    ],
)
def test_event_that_needs_a_person_makes_a_notification(
    history: tuple[SessionEvent, ...], event: SessionEvent, kind: str, text: str
) -> None:
    assert told(given(SESSION, "s1", *history, event).state) == [(1, kind, text, False)]


@pytest.mark.parametrize(
    "history", [s.ACTIVE, s.ABORTING, s.COMPLETED[len(s.FINISHED) :], s.RESUMED[len(s.FINISHED) :]]
)
def test_normal_progress_makes_no_notification(history: tuple[SessionEvent, ...]) -> None:
    begun = given(SESSION, "s1", *(() if isinstance(history[0], SessionCreated) else s.FINISHED))
    before = told(begun.state)
    state = begun.state
    for event in history:
        state = SESSION.evolve(state, event)
    assert [n for n in told(state) if n[1] != "disconnected"] == before


def test_only_the_named_notifications_are_marked_as_read() -> None:
    story = given(SESSION, "s1", *s.WAITING, s.request("r2"), s.ended(1, "finished"))
    story = (
        story.when(read(2, 9))
        .then(NotificationsRead(numbers=(2,), at_ms=s.AT))
        .when(read(2))
        .then()
        .when(read())
        .then()
    )
    assert [number for number, _, _, seen in told(story.state) if seen] == [2]
    story = story.when(ReadNotifications(numbers=None, at_ms=s.AT)).then(NotificationsRead(numbers=(1, 3), at_ms=s.AT))
    story = story.when(ReadNotifications(numbers=None, at_ms=s.AT)).then()
    assert all(seen for *_, seen in told(story.state))


def test_newest_notifications_are_kept_and_numbers_are_never_reused() -> None:
    requests = [s.request(f"r{n}") for n in range(NOTIFICATIONS_MAX + 3)]
    state = given(SESSION, "s1", *s.ACTIVE, *requests).state
    assert [n.number for n in state.notifications] == list(range(4, NOTIFICATIONS_MAX + 4))
    assert state.notified == NOTIFICATIONS_MAX + 3


# --------------------------------------------------------------------------------------------------------------- delay


def delayed(step: ProvisionStep = "instance", reason: str = "waits in line") -> ReportProvisionDelayed:
    return ReportProvisionDelayed(step=step, reason=reason, at_ms=s.AT)


@pytest.mark.parametrize("history", [s.IN_WORKSPACE, (*s.RESUMING, s.WORKSPACE)])
def test_a_session_that_waits_in_the_queue_reports_each_reason_once(history: tuple[SessionEvent, ...]) -> None:
    story = given(SESSION, "s1", *history).when(delayed())
    story = story.then(ProvisionDelayed(step="instance", reason="waits in line", at_ms=s.AT)).pending("instance")
    assert story.state.evidence == "waits in line"
    story = story.when(delayed()).then().when(delayed(reason="too little memory"))
    story.then(ProvisionDelayed(step="instance", reason="too little memory", at_ms=s.AT)).when(s.instance_ready()).then(
        s.attached("i1")
    )


@pytest.mark.parametrize("history", [s.CREATED, s.ON_INSTANCE, s.IDLE, s.ACTIVE, s.BROKEN, s.STOPPED, s.DISCONNECTED])
def test_a_late_report_of_a_delay_changes_nothing(history: tuple[SessionEvent, ...]) -> None:
    given(SESSION, "s1", *history).when(delayed()).then()


# ------------------------------------------------------------------------------------------------------------ commands


@pytest.mark.parametrize("arguments", ["", "two words"])
def test_command_of_opencode_is_a_prompt_whose_text_may_be_empty(arguments: str) -> None:
    command = SubmitPrompt(prompt_id="p1", text=arguments, at_ms=s.AT, new_ids=s.new_ids(), command="review")
    story = given(SESSION, "s1", *s.IDLE).when(command)
    story = story.then(PromptAccepted(prompt_id="p1", text=arguments, at_ms=s.AT, command="review"), s.started(1, "p1"))
    (effect,) = story.pending("deliver:1:i1").effects
    assert isinstance(effect, e.DeliverPrompt)
    assert (effect.prompt.command, effect.prompt.text) == ("review", arguments)


def test_command_of_opencode_waits_in_the_queue_as_a_prompt_does() -> None:
    command = SubmitPrompt(prompt_id="p2", text="", at_ms=s.AT, new_ids=s.new_ids(), command="review")
    story = (
        given(SESSION, "s1", *s.ACTIVE)
        .when(command)
        .then(PromptAccepted(prompt_id="p2", text="", at_ms=s.AT, command="review"))
    )
    story = story.when(s.turn_ended(1, ids="x")).then(s.ended(1, "finished"), s.started(2, "p2", "x"))
    assert story.state.turn is not None
    assert story.state.turn.prompt.command == "review"
