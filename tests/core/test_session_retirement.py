"""An idle session gives its instance back; a stopped one can be erased, and then it is gone for good."""

from typing import get_args

import pytest

from fleet.core.session import effects as e
from fleet.core.session.commands import (
    AbortTurn,
    EditSession,
    EraseSession,
    ReadNotifications,
    ResumeSession,
    SessionCommand,
    SetBudget,
    StopSession,
)
from fleet.core.session.decide import SESSION
from fleet.core.session.events import (
    CallbackOrdered,
    InstanceDetached,
    ResumeRequested,
    SessionErased,
    SessionEvent,
    SessionSettled,
    SessionStopped,
    StopRequested,
)
from fleet.core.session.evolve import evolve
from fleet.core.session.report_commands import ReportCallbackDelivered, ReportDetached, ReportSessionStopped
from fleet.core.session.state import State
from fleet.core.session.transitions import TABLE
from fleet.core.session.turn_events import AbortRequested
from fleet.core.session.values import Budget
from fleet.errors import Rejected
from tests.core import sessions as s
from tests.core.given import given

ERASE = EraseSession(at_ms=s.AT)
ERASED = SessionErased(at_ms=s.AT)
SILENT = ReportSessionStopped(evidence="silent", at_ms=s.AT, leaves=True)
LEFT = ReportDetached(instance_id="i1", at_ms=s.AT)

# ---------------------------------------------------------------------------------------------------------- retirement


def test_an_idle_session_is_completed_and_leaves_its_instance() -> None:
    story = given(SESSION, "s1", *s.FINISHED).when(s.retire()).then(s.RETIRED[-1]).pending("leave:i1")
    assert story.effects == (e.DetachInstance("leave:i1", "i1", "ses_1", "/trees/w1"),)
    assert (story.state.phase, story.state.opencode.instance_id, story.state.ended_at_ms) == ("completed", None, s.AT)
    story = story.when(s.retire()).then().when(LEFT).then(InstanceDetached(instance_id="i1", at_ms=s.AT)).pending()
    story.when(LEFT).then()


@pytest.mark.parametrize("situation", [n for n in s.LIVING if n != "idle" and not n.startswith("error")])
def test_a_session_at_work_keeps_its_instance(situation: str) -> None:
    given(SESSION, "s1", *s.LIVING[situation]).when(s.retire()).then()


def test_a_session_in_error_releases_its_instance_and_a_prompt_resumes_it() -> None:
    story = given(SESSION, "s1", *s.FAILED).when(s.retire()).pending("leave:i1").when(s.retire()).then()
    assert (story.state.phase, story.state.opencode.instance_id, story.state.opencode.detaching_from) == (
        "error",
        None,
        "i1",
    )
    story = story.when(LEFT).then(InstanceDetached(instance_id="i1", at_ms=s.AT)).pending()
    story.when(s.submit("p2")).then(s.accepted("p2"), ResumeRequested(at_ms=s.AT)).pending("workspace")


def test_a_session_that_was_prompted_since_keeps_its_instance() -> None:
    given(SESSION, "s1", *s.FINISHED).when(s.retire(s.AT - 1)).then()
    story = given(SESSION, "s1", *s.FINISHED).when(s.submit("p2")).when(s.retire()).then()
    story.pending("deliver:2:i1")


def test_prompt_to_a_completed_session_is_refused_and_names_resume() -> None:
    given(SESSION, "s1", *s.RETIRED).when(s.submit("p2")).then_rejected("session_completed", says='"resume": true')


def test_stopping_session_is_not_completed_for_idleness() -> None:
    given(SESSION, "s1", *s.FINISHED, StopRequested(at_ms=s.AT)).when(s.retire()).then().pending("end")


def test_waiting_prompts_survive_a_resume() -> None:
    held = (*s.ACTIVE, s.accepted("p2"), AbortRequested(number=1, at_ms=s.AT), s.ended(1, "aborted"))
    story = given(SESSION, "s1", *held).when(s.retire()).when(LEFT)
    assert [prompt.prompt_id for prompt in story.state.queue.prompts] == ["p2"]
    story = story.when(s.submit("p3", resume=True)).when(s.workspace_ready()).when(s.instance_ready("i2"))
    story = story.when(s.conversation_open()).when(s.settled("x"))
    story.then(SessionSettled(evidence="nothing runs", at_ms=s.AT), s.started(2, "p2", "x"))


def test_a_resumed_session_is_attached_after_it_has_detached() -> None:
    story = given(SESSION, "s1", *s.RETIRED).when(s.submit("p2", resume=True)).pending("workspace", "leave:i1")
    story = story.when(s.workspace_ready()).then(s.WORKSPACE).pending("leave:i1")
    story = story.when(LEFT).then(InstanceDetached(instance_id="i1", at_ms=s.AT)).pending("instance")
    assert SESSION.react(story.state, InstanceDetached(instance_id="i1", at_ms=s.AT)) == story.effects
    story.when(s.instance_ready("i1")).then(s.attached("i1")).pending("conversation:i1")


def test_the_end_of_an_instance_that_is_being_detached_is_ignored() -> None:
    given(SESSION, "s1", *s.RETIRED).when(s.instance_ended()).then().pending("leave:i1").when(LEFT).pending()


def test_a_stop_ends_a_pending_detachment() -> None:
    story = given(SESSION, "s1", *s.RETIRED).when(StopSession(at_ms=s.AT)).pending("end")
    assert story.effects == (e.EndSession("end", "i1", "ses_1", "/trees/w1"),)
    story = (
        story.when(ReportSessionStopped(evidence="over", at_ms=s.AT))
        .then(SessionStopped(evidence="over", at_ms=s.AT))
        .pending()
    )
    story.when(LEFT).then()


def test_session_detaches_from_a_silent_instance_once_nothing_runs_there() -> None:
    story = given(SESSION, "s1", *s.ACTIVE).when(StopSession(at_ms=s.AT)).when(SILENT)
    story = story.then(
        s.ended(1, "aborted", "the session was stopped"), SessionStopped(evidence="silent", at_ms=s.AT, leaves=True)
    )
    assert story.pending("leave:i1").effects == (e.DetachInstance("leave:i1", "i1", "ses_1", "/trees/w1"),)
    story.when(ERASE).then_rejected("session_not_ready", says="nothing left to end")
    story.when(LEFT).then(InstanceDetached(instance_id="i1", at_ms=s.AT)).pending().when(ERASE).then(ERASED)


def test_detaching_session_can_be_stopped_again() -> None:
    story = given(SESSION, "s1", *s.ACTIVE).when(StopSession(at_ms=s.AT)).when(SILENT).when(StopSession(at_ms=s.AT))
    assert story.pending("end").effects == (e.EndSession("end", "i1", "ses_1", "/trees/w1"),)
    story.when(SILENT).then(SessionStopped(evidence="silent", at_ms=s.AT, leaves=True)).pending("leave:i1")
    story.when(ReportSessionStopped(evidence="over", at_ms=s.AT)).then(
        SessionStopped(evidence="over", at_ms=s.AT)
    ).pending()


def test_session_does_not_detach_from_an_instance_that_has_ended() -> None:
    story = given(SESSION, "s1", *s.ACTIVE).when(StopSession(at_ms=s.AT)).when(s.instance_ended())
    story.when(SILENT).pending()


@pytest.mark.parametrize("history", [s.IDLE, s.COMPLETED, s.STOPPED])
def test_report_of_a_detachment_that_was_not_requested_changes_nothing(history: tuple[SessionEvent, ...]) -> None:
    given(SESSION, "s1", *history).when(LEFT).then()


# ------------------------------------------------------------------------------------------------------------- erasure


def test_erased_session_has_no_data_but_that_it_was_erased() -> None:
    rich = s.child(
        *s.limited(Budget(usd=1), *s.STOPPED), CallbackOrdered(number=1, outcome="stopped", text="text", at_ms=s.AT)
    )
    story = given(SESSION, "s1", *rich).when(ERASE).then(ERASED).pending("erase")
    assert story.effects == (e.EraseRecords("erase"),) == SESSION.react(story.state, ERASED)
    assert story.state == State("s1", "erased", since_ms=s.AT, changed_at_ms=s.AT)


@pytest.mark.parametrize("situation", s.LIVING)
def test_a_session_that_has_not_stopped_cannot_be_erased(situation: str) -> None:
    given(SESSION, "s1", *s.LIVING[situation]).when(ERASE).then_rejected("session_not_ready", says="Stop it first")


@pytest.mark.parametrize(
    "more",
    [
        (ResumeRequested(at_ms=s.AT),),
        (ResumeRequested(at_ms=s.AT), StopRequested(at_ms=s.AT)),
        (s.accepted("p2"), ResumeRequested(at_ms=s.AT), s.failed("workspace")),
        (ResumeRequested(at_ms=s.AT), s.WORKSPACE, s.attached("i2"), s.failed("conversation")),
    ],
    ids=("comes back", "ends again", "a prompt waits", "has an instance"),
)
def test_stopped_session_with_an_unfinished_end_is_not_erased(more: tuple[SessionEvent, ...]) -> None:
    story = given(SESSION, "s1", *s.STOPPED, *more).when(ERASE).then_rejected("session_not_ready", says="Stop it")
    story.when(StopSession(at_ms=s.AT)).when(ReportSessionStopped(evidence="over", at_ms=s.AT)).when(ERASE).then(ERASED)


def test_erased_session_rejects_every_command() -> None:
    story = given(SESSION, "s1", *s.ERASED)
    story.when(s.create()).then().pending("erase")
    commands: tuple[SessionCommand, ...] = (
        *(ERASE, s.submit(resume=True), ResumeSession(at_ms=s.AT), StopSession(at_ms=s.AT), AbortTurn(at_ms=s.AT)),
        *(
            SetBudget(budget=None, at_ms=s.AT, new_ids=s.new_ids()),
            ReadNotifications(numbers=None, at_ms=s.AT),
            s.retire(),
            s.workspace_ready(),
        ),
        *(
            ReportCallbackDelivered(number=1, at_ms=s.AT),
            EditSession(at_ms=s.AT, title="New"),
            ReportSessionStopped(evidence="over", at_ms=s.AT),
        ),
    )
    for command in commands:
        story.when(command).then_rejected("session_not_found", says="s1").pending("erase")


@pytest.mark.parametrize("event", get_args(SessionEvent), ids=lambda event: event.__name__)
def test_no_event_is_possible_in_an_erased_session(event: type[SessionEvent]) -> None:
    assert TABLE["erased", event] is None


def test_only_a_stopped_session_can_have_been_erased() -> None:
    for phase in ("created", "active", "idle", "completed", "disconnected", "error"):
        assert TABLE[phase, SessionErased] is None
    assert evolve(given(SESSION, "s1", *s.STOPPED).state, ERASED).phase == "erased"


def test_a_command_to_an_erased_session_is_rejected_as_not_found() -> None:
    with pytest.raises(Rejected, match="no session s1"):
        SESSION.decide(ERASE, given(SESSION, "s1", *s.ERASED).state)
