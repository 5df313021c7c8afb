"""How a session ends, and how it comes back: instances that end, stop, resume."""

import pytest
from msgspec.structs import replace

from fleet.core.session import effects as e
from fleet.core.session.commands import MoveSession, ResumeSession, SessionCommand, StopSession
from fleet.core.session.decide import SESSION
from fleet.core.session.decide_reports import ended_early
from fleet.core.session.events import (
    InstanceDetached,
    ResumeRequested,
    SessionCompleted,
    SessionEvent,
    SessionResumed,
    SessionSettled,
    SessionStopped,
    StopRequested,
)
from fleet.core.session.report_commands import ReportDetached, ReportSessionStopped
from fleet.core.session.turn_events import TurnEnded, TurnFailed
from fleet.core.session.values import ProvisionStep, TurnOutcome
from tests.core import sessions as s
from tests.core.given import given

TERMINATED = StopRequested(at_ms=s.AT)
OVER = ReportSessionStopped(evidence="nothing runs", at_ms=s.AT)
STOPPED = SessionStopped(evidence="nothing runs", at_ms=s.AT)
WHY = "the session was stopped"
ENDED: dict[str, tuple[SessionEvent, ...]] = {
    "completed": s.COMPLETED,
    "disconnected": s.DISCONNECTED,
    "stopped": s.STOPPED,
}
ended = pytest.mark.parametrize(("phase", "history"), ENDED.items(), ids=ENDED.keys())

# --------------------------------------------------------------------------------------------------- instances that go


def test_idle_session_is_completed_when_its_instance_stops_in_order() -> None:
    story = given(SESSION, "s1", *s.FINISHED).when(s.instance_ended(orderly=True))
    story = story.then(SessionCompleted(instance_id="i1", evidence="why", at_ms=s.AT)).pending()
    assert (story.state.phase, story.state.opencode.instance_id, story.state.ended_at_ms) == ("completed", None, s.AT)


@pytest.mark.parametrize(
    ("history", "orderly"),
    [
        (s.FINISHED, False),
        (s.IDLE, False),
        *((h, o) for h in (s.SENDING, s.ACTIVE, s.WAITING, s.ABORTING) for o in (True, False)),
    ],
)
def test_session_is_disconnected_when_its_instance_is_lost_or_stops_during_a_turn(
    history: tuple[SessionEvent, ...], orderly: bool
) -> None:
    before = given(SESSION, "s1", *history)
    story = before.when(s.instance_ended(orderly=orderly)).then(s.disconnected()).pending()
    assert (story.state.phase, story.state.opencode.instance_id, story.state.evidence) == ("disconnected", None, "why")
    assert story.state.turn == before.state.turn


def test_the_end_of_the_instance_during_the_check_of_a_resumed_session_disconnects_it() -> None:
    given(SESSION, "s1", *s.RESUMED).when(s.instance_ended("i2", orderly=True)).then(s.disconnected("i2"))


def test_session_in_error_stays_in_error_when_its_instance_ends() -> None:
    story = given(SESSION, "s1", *s.FAILED).when(s.instance_ended(orderly=True)).then(s.detached()).pending()
    assert (story.state.phase, story.state.opencode.instance_id) == ("error", None)
    story.when(s.submit("p2")).then(s.accepted("p2"), ResumeRequested(at_ms=s.AT)).pending("workspace")


@pytest.mark.parametrize("history", [s.IDLE, s.SENDING, s.ACTIVE, s.WAITING, s.RESUMED])
def test_lost_host_disconnects_its_sessions_which_wait_for_a_person_or_resume(
    history: tuple[SessionEvent, ...],
) -> None:
    instance = "i2" if history is s.RESUMED else "i1"
    ended = s.instance_ended(instance, host_lost=True)
    given(SESSION, "s1", *history).when(ended).then(s.disconnected(instance)).pending()
    story = given(SESSION, "s1", *s.roaming(*history)).when(ended)
    story = story.then(s.disconnected(instance), ResumeRequested(at_ms=s.AT)).pending("workspace")
    assert story.state.phase == "disconnected"
    given(SESSION, "s1", *s.roaming(*history)).when(s.instance_ended(instance)).then(s.disconnected(instance))


@pytest.mark.parametrize(
    ("history", "report", "instance"),
    [
        (s.ON_INSTANCE, s.instance_ended(host_lost=True), "i1"),
        (s.ON_INSTANCE, replace(s.provision_failed("conversation"), detail="why", host_lost=True), "i1"),
        ((*s.CREATED, s.WORKSPACE), replace(s.provision_failed("instance"), detail="why", host_lost=True), ""),
    ],
)
def test_a_session_whose_host_is_lost_during_its_creation_is_disconnected_or_begins_again(
    history: tuple[SessionEvent, ...], report: SessionCommand, instance: str
) -> None:
    story = given(SESSION, "s1", *history, s.accepted("p1")).when(report).then(s.disconnected(instance)).pending()
    assert (story.state.phase, story.state.evidence, story.state.provisioning) == ("disconnected", "why", None)
    assert [each.kind for each in story.state.notifications] == ["disconnected"]
    story.when(ResumeSession(at_ms=s.AT)).then(ResumeRequested(at_ms=s.AT)).pending("workspace")
    story = given(SESSION, "s1", *s.roaming(*history)).when(report)
    story.then(s.disconnected(instance), ResumeRequested(at_ms=s.AT)).pending("workspace")


def test_a_resume_whose_host_is_lost_fails_or_begins_again() -> None:
    report = replace(s.provision_failed("instance", "host_unreachable"), host_lost=True)
    failed, history = s.failed("instance", "host_unreachable"), (s.disconnected(), ResumeRequested(at_ms=s.AT))
    given(SESSION, "s1", *s.IDLE, *history, s.WORKSPACE).when(report).then(failed).pending()
    story = given(SESSION, "s1", *s.roaming(*s.IDLE), *history, s.WORKSPACE).when(report)
    story.then(failed, ResumeRequested(at_ms=s.AT)).pending("workspace")


@pytest.mark.parametrize("history", [s.SENDING, s.ACTIVE, s.WAITING, s.ABORTING])
def test_turn_that_ended_with_its_host_is_not_run_again_on_another_host(history: tuple[SessionEvent, ...]) -> None:
    resumed = (s.disconnected(), ResumeRequested(at_ms=s.AT), s.WORKSPACE, s.attached("i2"))
    story = given(SESSION, "s1", *history, s.accepted("p2"), *resumed)
    opening = story.effects[0]
    assert isinstance(opening, e.OpenConversation)
    assert (opening.opened_by, opening.instance_id) == ("i1", "i2")
    story = story.when(s.conversation_open(restored=True)).pending("settle:i2")
    assert story.state.last_outcome == ("aborted" if history is s.ABORTING else "interrupted")
    assert story.state.opencode.opened_by == "i2"
    assert "can be sent again" in next(each.evidence for each in story.events if isinstance(each, TurnEnded))
    if history is not s.ABORTING:  # else the prompt came after the abort
        story.when(s.settled()).then(SessionSettled(evidence="nothing runs", at_ms=s.AT)).pending()


def test_parent_gets_a_callback_about_a_turn_that_ended_with_its_host() -> None:
    resumed = (s.disconnected(), ResumeRequested(at_ms=s.AT), s.WORKSPACE, s.attached("i2"))
    story = given(SESSION, "s1", *s.child(*s.ACTIVE), *resumed).when(s.conversation_open(restored=True))
    assert [each.outcome for each in story.state.callbacks.sent] == ["interrupted"]


def test_an_idle_session_leaves_a_drained_host_and_any_other_stays() -> None:
    move = MoveSession(evidence="n1 is drained", at_ms=s.AT)
    leaves = SessionCompleted(instance_id="i1", evidence="n1 is drained", at_ms=s.AT, leaves=True)
    story = given(SESSION, "s1", *s.FINISHED).when(move).then(leaves, ResumeRequested(at_ms=s.AT))
    story.pending("workspace", "leave:i1").when(move).then()
    for history in (s.ACTIVE, s.WAITING, s.COMPLETED, s.DISCONNECTED, s.FAILED, s.RESUMED):
        given(SESSION, "s1", *history).when(move).then()


def test_a_prompt_that_waits_when_a_turn_ends_on_a_drained_host_runs_on_the_next_host() -> None:
    end = replace(s.turn_ended(1), moves="n1 is drained")
    leaves = SessionCompleted(instance_id="i1", evidence="n1 is drained", at_ms=s.AT, leaves=True)
    story = given(SESSION, "s1", *s.ACTIVE, s.accepted("p2")).when(end)
    story = story.then(s.ended(1, "finished"), leaves, ResumeRequested(at_ms=s.AT)).pending("workspace", "leave:i1")
    assert [each.prompt_id for each in story.state.queue.prompts] == ["p2"]
    there = (*story.events, s.WORKSPACE, InstanceDetached(instance_id="i1", at_ms=s.AT), s.attached("i2"))
    resumed = given(SESSION, "s1", *s.ACTIVE, s.accepted("p2"), *there)
    resumed = resumed.when(s.conversation_open(restored=True)).when(s.settled())
    assert resumed.state.turn is not None
    assert resumed.state.turn.prompt.prompt_id == "p2"
    alone = given(SESSION, "s1", *s.ACTIVE).when(end)
    alone.then(s.ended(1, "finished"))  # the upkeep moves an idle session


def test_parent_gets_no_callback_before_the_prompts_that_moved_have_run() -> None:
    history = s.child(*s.ACTIVE, s.accepted("p2"))
    story = given(SESSION, "s1", *history).when(replace(s.turn_ended(1), moves="n1 is drained"))
    assert story.state.callbacks.sent == ()


@pytest.mark.parametrize("situation", s.LIVING)
def test_the_end_of_another_instance_is_ignored(situation: str) -> None:
    given(SESSION, "s1", *s.LIVING[situation]).when(s.instance_ended("i9")).then()


@pytest.mark.parametrize("history", ENDED.values(), ids=ENDED.keys())
def test_a_second_report_of_the_end_of_an_instance_changes_nothing(history: tuple[SessionEvent, ...]) -> None:
    given(SESSION, "s1", *history).when(s.instance_ended()).then()


# ------------------------------------------------------------------------------------------------------------- stop


@pytest.mark.parametrize("situation", s.LIVING)
def test_session_can_be_stopped_in_every_phase(situation: str) -> None:
    before = given(SESSION, "s1", *s.LIVING[situation])
    story = before.when(StopSession(at_ms=s.AT)).then(TERMINATED).pending("end")
    assert story.effects == (e.EndSession("end", before.state.opencode.instance_id, "ses_1", "/trees/w1"),)
    story = story.when(StopSession(at_ms=s.AT)).then().when(OVER)
    turn = () if before.state.turn is None else (s.ended(1, "aborted", WHY),)
    story = story.then(*turn, STOPPED).pending()
    state = story.state
    assert (state.phase, state.turn, state.requests, state.opencode.instance_id) == ("stopped", None, (), None)
    assert (state.ended_at_ms, state.stopping) == (s.AT, False)
    story.when(StopSession(at_ms=s.AT)).then().when(OVER).then()


def test_stop_aborts_the_turn_and_withdraws_waiting_prompts() -> None:
    story = given(SESSION, "s1", *s.WAITING, s.accepted("p2"), s.accepted("p3")).when(StopSession(at_ms=s.AT))
    story = story.when(OVER).then(s.ended(1, "aborted", WHY), s.withdrawn("p2", WHY), s.withdrawn("p3", WHY), STOPPED)
    assert (story.state.queue.prompts, story.state.last_outcome) == ((), "aborted")


def test_stopping_session_starts_no_turn() -> None:
    story = given(SESSION, "s1", *s.ACTIVE, s.accepted("p2"), TERMINATED)
    story = story.when(s.turn_ended(1)).then(s.ended(1, "finished")).pending("end")
    story = story.when(s.submit("p3")).then_rejected("session_stopped", says="is being stopped")
    story = story.when(ResumeSession(at_ms=s.AT)).then_rejected("session_not_ready", says="is being stopped")
    story.when(OVER).then(s.withdrawn("p2", WHY), STOPPED)


@pytest.mark.parametrize("situation", ["created", "created, instance ready", "resuming"])
def test_stop_cancels_the_provisioning(situation: str) -> None:
    story = given(SESSION, "s1", *s.LIVING[situation], TERMINATED)
    for report in (s.workspace_ready(), s.instance_ready(), s.conversation_open(), s.provision_failed("workspace")):
        story = story.when(report).then().pending("end")


@pytest.mark.parametrize("history", [s.IDLE, s.ACTIVE, s.WAITING, s.FAILED, s.ON_INSTANCE])
def test_the_end_of_the_instance_during_a_stop_only_detaches_it(history: tuple[SessionEvent, ...]) -> None:
    story = given(SESSION, "s1", *history, TERMINATED).when(s.instance_ended()).then(s.detached()).pending("end")
    assert story.effects == SESSION.react(story.state, s.detached()), "nothing else would end the wait for the instance"
    assert story.effects == (e.EndSession("end", None, "ses_1", "/trees/w1"),)
    assert story.when(OVER).state.phase == "stopped"


def test_report_of_a_stop_that_was_not_requested_is_ignored() -> None:
    given(SESSION, "s1", *s.ACTIVE).when(OVER).then()


def test_a_stopped_session_that_is_being_resumed_is_stopped_again() -> None:
    story = given(SESSION, "s1", *s.STOPPED).when(s.submit("p2", resume=True)).pending("workspace")
    story = story.when(StopSession(at_ms=s.AT)).then(TERMINATED).pending("end")
    story.when(OVER).then(s.withdrawn("p2", WHY), STOPPED).pending()


def test_a_stopped_session_detaches_from_the_instance_of_a_failed_resume() -> None:
    story = given(SESSION, "s1", *s.STOPPED, ResumeRequested(at_ms=s.AT), s.WORKSPACE, s.attached("i2"))
    story = story.when(s.provision_failed("conversation", "session_gone")).pending("leave:i2")
    assert story.state.opencode.instance_id is None
    story = story.when(ReportDetached(instance_id="i2", at_ms=s.AT)).pending()
    story.when(StopSession(at_ms=s.AT)).then()


# -------------------------------------------------------------------------------------------------------------- resume


@ended
def test_an_ended_session_refuses_prompts_and_names_resume(phase: str, history: tuple[SessionEvent, ...]) -> None:
    story = given(SESSION, "s1", *history).when(s.submit("p2"))
    story.then_rejected(f"session_{phase}", says="/api/sessions/s1/resume").then_rejected(
        f"session_{phase}", says='"resume": true'
    )


@ended
def test_an_ended_session_can_be_resumed(phase: str, history: tuple[SessionEvent, ...]) -> None:
    story = given(SESSION, "s1", *history).when(ResumeSession(at_ms=s.AT)).then(ResumeRequested(at_ms=s.AT))
    story = story.pending("workspace").when(ResumeSession(at_ms=s.AT)).then()
    assert story.state.phase == phase
    story = story.when(s.workspace_ready()).then(s.WORKSPACE).pending("instance")
    story = story.when(s.instance_ready("i2")).then(s.attached("i2")).pending("conversation:i2")
    opening = story.effects[0]
    assert isinstance(opening, e.OpenConversation)
    assert opening.exists, "a resume looks for the session that was there, it makes no other"
    story = (
        story.when(s.conversation_open())
        .then(SessionResumed(instance_id="i2", opencode_id="ses_1", at_ms=s.AT))
        .pending("settle:i2")
    )
    assert (story.state.phase, story.state.ended_at_ms) == ("active", None)
    story = story.when(s.settled()).then(SessionSettled(evidence="nothing runs", at_ms=s.AT)).pending()
    assert (story.state.phase, story.state.opencode.instance_ids) == ("idle", ("i1", "i2"))


@ended
def test_prompt_with_resume_resumes_an_ended_session(phase: str, history: tuple[SessionEvent, ...]) -> None:
    story = given(SESSION, "s1", *history).when(s.submit("p2", resume=True))
    story = story.then(s.accepted("p2"), ResumeRequested(at_ms=s.AT)).pending("workspace")
    story = story.when(s.submit("p3", resume=True)).then(s.accepted("p3")).when(s.workspace_ready())
    story = story.when(s.instance_ready("i2")).when(s.conversation_open()).pending("settle:i2")
    settled = SessionSettled(evidence="nothing runs", at_ms=s.AT)
    story.when(s.settled("x")).then(settled, s.started(2, "p2", "x")).pending("deliver:2:i2")


@ended
@pytest.mark.parametrize(
    ("step", "code", "done"),
    [
        ("workspace", "workspace_gone", ()),
        ("instance", "opencode_missing", (s.WORKSPACE,)),
        ("conversation", "session_gone", (s.WORKSPACE, s.attached("i2"))),
    ],
)
def test_a_resume_that_fails_leaves_the_session_as_it_was(
    phase: str, history: tuple[SessionEvent, ...], step: ProvisionStep, code: str, done: tuple[SessionEvent, ...]
) -> None:
    story = given(SESSION, "s1", *history, ResumeRequested(at_ms=s.AT), *done)
    story = story.when(s.provision_failed(step, code)).then(s.failed(step, code))
    if step == "conversation":
        story = story.pending("leave:i2").when(ReportDetached(instance_id="i2", at_ms=s.AT))
    story = story.pending()
    assert (story.state.phase, story.state.opencode.instance_id) == (phase, None)
    assert story.state.failure is not None
    assert story.state.failure.code == code
    story.when(ResumeSession(at_ms=s.AT)).then(ResumeRequested(at_ms=s.AT)).pending("workspace")


@pytest.mark.parametrize(
    "situation",
    ["created", "created, instance ready", "active", "active, sending", "active, resumed", "waiting_input"],
)
def test_a_working_session_cannot_be_resumed(situation: str) -> None:
    given(SESSION, "s1", *s.LIVING[situation]).when(ResumeSession(at_ms=s.AT)).then_rejected(
        "session_active", says="nothing to resume"
    )


def test_a_resume_clears_the_error_of_a_session() -> None:
    story = given(SESSION, "s1", *s.FAILED).when(ResumeSession(at_ms=s.AT)).then(ResumeRequested(at_ms=s.AT))
    story = story.when(s.workspace_ready()).when(s.instance_ready("i1")).when(s.conversation_open())
    story = story.when(s.settled("x"))
    assert (story.state.phase, story.state.failure, story.state.opencode.instance_id) == ("idle", None, "i1")


@pytest.mark.parametrize("history", [s.IDLE, s.FINISHED])
def test_resume_of_an_idle_session_changes_nothing(history: tuple[SessionEvent, ...]) -> None:
    given(SESSION, "s1", *history).when(ResumeSession(at_ms=s.AT)).then()


def test_the_end_of_the_instance_during_a_resume_fails_the_resume() -> None:
    story = given(SESSION, "s1", *s.RESUMING, s.WORKSPACE, s.attached("i2")).when(s.instance_ended("i2"))
    story = story.then(s.failed("conversation", "opencode_exited", ended_early("why")), s.detached("i2")).pending(
        "leave:i2"
    )
    assert story.state.phase == "disconnected"
    story.when(ResumeSession(at_ms=s.AT)).then(ResumeRequested(at_ms=s.AT))


@pytest.mark.parametrize(
    ("history", "keys"),
    [
        (s.SENDING, ("deliver:1:i2",)),
        (s.ACTIVE, ("follow:1:i2",)),
        (s.WAITING, ("follow:1:i2",)),
        (s.ABORTING, ("follow:1:i2", "stop:1:i2")),
    ],
)
def test_a_turn_continues_in_the_next_instance_under_the_same_ids(
    history: tuple[SessionEvent, ...], keys: tuple[str, ...]
) -> None:
    before = given(SESSION, "s1", *history, s.accepted("p2"))
    story = before.when(s.instance_ended()).when(ResumeSession(at_ms=s.AT)).when(s.workspace_ready())
    story = story.when(s.instance_ready("i2")).when(s.conversation_open("other")).pending(*keys)
    effect = story.effects[0]
    assert isinstance(effect, e.DeliverPrompt | e.FollowTurn)
    assert (effect.message_id, effect.number, effect.instance_id) == ("msg_p1", 1, "i2")
    assert not isinstance(effect, e.DeliverPrompt) or effect.part_ids == ("prt_p100",)
    turn = before.state.turn
    assert story.state.turn == (turn and replace(turn, resumed_at_ms=s.AT))
    outcome: TurnOutcome = "aborted" if history is s.ABORTING else "finished"
    story = story.when(s.settled()).then().when(s.turn_ended(1, ids="x"))
    story.then(s.ended(1, outcome), s.started(2, "p2", "x"))


# --------------------------------------------------------------------------------------------------- a new conversation

ANEW = ResumeSession(at_ms=s.AT, opencode_id="ses_2")


def test_a_new_conversation_is_made_under_its_own_id() -> None:
    story = (
        given(SESSION, "s1", *s.COMPLETED)
        .when(ANEW)
        .then(ResumeRequested(at_ms=s.AT, opencode_id="ses_2"))
        .pending("workspace")
    )
    story = story.when(s.workspace_ready()).when(s.instance_ready("i2"))
    (effect,) = story.effects
    assert isinstance(effect, e.OpenConversation)
    assert (effect.opencode_id, effect.exists, effect.origin) == ("ses_2", False, None)
    assert (story.state.opencode.session_id, story.state.opencode.earlier_session_ids) == ("ses_2", ("ses_1",))


def test_new_conversation_ends_the_turn_of_the_old_one() -> None:
    story = given(SESSION, "s1", *s.ACTIVE, s.accepted("p2"), s.disconnected()).when(ANEW)
    assert [type(event) for event in story.events] == [TurnEnded, ResumeRequested]
    assert (story.state.turn, story.state.last_outcome, story.state.queue.paused) == (None, "interrupted", True)


def test_conversation_that_may_still_run_is_not_replaced() -> None:
    history = (*s.FINISHED, SessionCompleted(instance_id="i1", evidence="why", at_ms=s.AT, leaves=True))
    given(SESSION, "s1", *history).when(ANEW).then_rejected("session_not_ready")


@pytest.mark.parametrize("history", [s.FINISHED, s.ACTIVE, s.CREATED])
def test_a_session_that_has_not_ended_keeps_its_conversation(history: tuple[SessionEvent, ...]) -> None:
    given(SESSION, "s1", *history).when(ANEW).then_rejected("session_active")


def test_session_with_a_lost_conversation_refuses_prompts_until_it_is_found_or_replaced() -> None:
    lost = TurnFailed(number=1, code="session_gone", detail="no", at_ms=s.AT)
    story = given(SESSION, "s1", *s.ACTIVE, lost).when(s.submit("p2", resume=True))
    story = story.then_rejected("session_gone", says='"fresh": true')
    story = story.when(ANEW).when(s.submit("p2"))
    assert [prompt.prompt_id for prompt in story.state.queue.prompts] == ["p2"]
