"""Word to the parent: once for each outcome, in order, the true one, and none before the child has come to rest."""

import pytest

from fleet.core.session import effects as e
from fleet.core.session.commands import ResumeSession, SessionCommand, SetBudget, StopSession
from fleet.core.session.decide import SESSION
from fleet.core.session.events import (
    CallbackDelivered,
    CallbackDropped,
    CallbackOrdered,
    CallbackUndelivered,
    SessionEvent,
    WorkspaceAttached,
)
from fleet.core.session.report_commands import (
    ReportCallbackDelivered,
    ReportCallbackDropped,
    ReportCallbackUndelivered,
    ReportSessionStopped,
)
from fleet.core.session.state import Callback, State
from fleet.core.session.turn_events import AbortRequested
from fleet.core.session.values import Budget, Outcome, TurnOutcome
from fleet.limits import CALLBACKS_REMEMBERED_MAX
from tests.core import sessions as s
from tests.core.given import Story, given

Told = Story[SessionCommand, State, SessionEvent, e.Effect]
OVER = ReportSessionStopped(evidence="nothing runs", at_ms=s.AT)


def outcomes(story: Told) -> list[Outcome]:
    """Return the outcomes that the last command has ordered callbacks for."""
    return [event.outcome for event in story.events if isinstance(event, CallbackOrdered)]


def child(*history: SessionEvent) -> Told:
    return given(SESSION, "s1", *s.child(*history))


def delivered(number: int) -> ReportCallbackDelivered:
    return ReportCallbackDelivered(number=number, at_ms=s.AT)


def undelivered(number: int, reason: str = "it has stopped") -> ReportCallbackUndelivered:
    return ReportCallbackUndelivered(number=number, reason=reason, at_ms=s.AT)


def dropped(number: int) -> ReportCallbackDropped:
    return ReportCallbackDropped(number=number, reason="the parent was erased", at_ms=s.AT)


def resumed(story: Told, instance: str = "i2") -> Told:
    return story.when(s.workspace_ready()).when(s.instance_ready(instance)).when(s.conversation_open())


def run(story: Told, number: int) -> Told:
    """Run a turn to its end, and deliver the callback to the parent."""
    return story.when(s.submit(f"p{number}")).when(s.turn_ended(number))


# --------------------------------------------------------------------------------------------------------- outcomes


@pytest.mark.parametrize("outcome", ["finished", "aborted", "interrupted"])
def test_a_callback_names_the_outcome_of_the_turn(outcome: TurnOutcome) -> None:
    story = child(*s.ACTIVE).when(s.turn_ended(1, outcome)).pending("callback:1")
    assert outcomes(story) == [outcome]
    (effect,) = story.effects
    assert isinstance(effect, e.NotifyParent)
    assert (effect.parent_id, effect.number) == ("s0", 1)
    assert f"has ended: {outcome}." in effect.text


def test_an_aborted_turn_is_never_reported_as_finished() -> None:
    story = child(*s.ABORTING).when(s.turn_ended(1, "finished"))
    assert outcomes(story) == ["aborted"]
    assert "finished" not in story.state.callbacks.sent[0].text


def test_a_failed_turn_is_reported_as_an_error() -> None:
    story = child(*s.ACTIVE).when(s.turn_failed(1)).pending("callback:1")
    assert outcomes(story) == ["error"]
    assert "no credit" in story.state.callbacks.sent[0].text


@pytest.mark.parametrize("history", [s.CREATED, s.IDLE, s.ACTIVE, s.WAITING, s.RESUMED, s.LOST_TURN])
def test_a_child_that_is_stopped_before_its_turn_ends_is_reported_as_stopped(
    history: tuple[SessionEvent, ...],
) -> None:
    story = child(*history, s.accepted("p2")).when(StopSession(at_ms=s.AT)).when(OVER).pending("callback:1")
    assert outcomes(story) == ["stopped"]


@pytest.mark.parametrize(
    ("code", "outcome"),
    [("git_failed", "error"), ("workspace_gone", "disconnected"), ("session_gone", "disconnected")],
)
@pytest.mark.parametrize("history", [s.CREATED, (*s.RESUMING, s.accepted("p2"))])
def test_a_child_that_cannot_start_is_reported(history: tuple[SessionEvent, ...], code: str, outcome: str) -> None:
    story = child(*history).when(s.provision_failed("workspace", code)).pending("callback:1")
    assert outcomes(story) == [outcome]


@pytest.mark.parametrize(
    ("history", "keys"),
    [
        (s.ON_INSTANCE, ("callback:1",)),
        ((*s.RESUMING, s.accepted("p2"), s.WORKSPACE, s.attached("i1")), ("leave:i1", "callback:1")),
    ],
)
def test_a_child_whose_instance_ends_while_it_starts_is_reported(
    history: tuple[SessionEvent, ...], keys: tuple[str, ...]
) -> None:
    assert outcomes(child(*history).when(s.instance_ended()).pending(*keys)) == ["error"]


@pytest.mark.parametrize("end", [s.instance_ended(), s.instance_ended(orderly=True)])
def test_a_disconnected_child_is_not_reported_before_it_ends(end: SessionCommand) -> None:
    story = child(*s.ACTIVE).when(end).pending()
    story = resumed(story.when(ResumeSession(at_ms=s.AT))).when(s.turn_ended(1)).pending("callback:1")
    assert outcomes(story) == ["finished"]


@pytest.mark.parametrize("end", [s.turn_ended(1), s.turn_failed(1), s.instance_ended()])
def test_a_session_without_a_parent_sends_no_callback(end: SessionCommand) -> None:
    given(SESSION, "s1", *s.ACTIVE).when(end).pending()


def test_a_turn_with_prompts_waiting_behind_it_is_not_reported() -> None:
    story = child(*s.ACTIVE, s.accepted("p2")).when(s.turn_ended(1)).pending("deliver:2:i1")
    assert outcomes(story) == []
    story = story.when(s.turn_ended(2)).pending("callback:1")
    assert outcomes(story) == ["finished"]


def test_an_aborted_child_with_a_paused_queue_is_reported() -> None:
    story = child(*s.ACTIVE, s.accepted("p2"), AbortRequested(number=1, at_ms=s.AT)).when(s.turn_ended(1, "aborted"))
    assert outcomes(story) == ["aborted"]


# ------------------------------------------------------------------------------------------------------ what is owed


def test_the_end_of_a_reported_child_sends_no_second_callback() -> None:
    story = child(*s.ACTIVE).when(s.turn_ended(1)).when(delivered(1)).when(StopSession(at_ms=s.AT)).when(OVER)
    assert outcomes(story) == []
    story.pending()


@pytest.mark.parametrize("end", [s.retire(), s.instance_ended(orderly=True), s.instance_ended()])
def test_the_instance_end_of_a_reported_idle_child_is_no_outcome(end: SessionCommand) -> None:
    story = child(*s.ACTIVE).when(s.turn_ended(1)).when(delivered(1)).when(end)
    assert outcomes(story) == []
    story = story.when(ResumeSession(at_ms=s.AT)).when(s.provision_failed("workspace", "workspace_gone"))
    assert outcomes(story) == []


def test_each_prompt_to_a_child_leads_to_its_own_callback() -> None:
    story = child(*s.ACTIVE).when(s.turn_ended(1)).when(delivered(1))
    assert not story.state.callbacks.owed
    story = story.when(s.submit("p2"))
    assert story.state.callbacks.owed
    story = story.when(s.turn_ended(2)).pending("callback:2")
    assert outcomes(story) == ["finished"]


def test_a_prompt_that_waited_for_the_budget_has_its_own_callback() -> None:
    budget = Budget(usd=1)
    history = s.limited(budget, *s.ACTIVE, s.paid(1.0), s.accepted("p2"))
    story = child(*history).when(s.turn_ended(1))
    assert outcomes(story) == ["finished"]
    story = (
        story.when(SetBudget(budget=None, at_ms=s.AT, new_ids=s.new_ids("x"))).when(delivered(1)).when(s.turn_ended(2))
    )
    assert outcomes(story.pending("callback:2")) == ["finished"]


def test_a_prompt_that_outlived_a_failed_creation_has_its_own_callback() -> None:
    story = child(*s.CREATED, s.accepted("p1")).when(s.provision_failed("workspace"))
    assert outcomes(story) == ["error"]
    story = resumed(story.when(ResumeSession(at_ms=s.AT))).when(s.settled()).when(s.turn_ended(1))
    assert outcomes(story) == ["finished"]


def test_a_turn_that_outlived_a_failed_resume_has_its_own_callback() -> None:
    story = child(*s.LOST_TURN).when(ResumeSession(at_ms=s.AT)).when(s.provision_failed("workspace"))
    assert outcomes(story) == ["error"]
    story = story.when(ResumeSession(at_ms=s.AT)).when(s.provision_failed("workspace"))
    assert outcomes(story) == [], "it is the same turn, and it has still not ended"
    story = resumed(story.when(ResumeSession(at_ms=s.AT))).when(s.turn_ended(1))
    assert outcomes(story) == ["finished"]


# ---------------------------------------------------------------------------------------------------------- delivery


def test_callbacks_are_numbered_and_delivered_one_by_one_in_order() -> None:
    story = run(child(*s.IDLE), 1)
    story = run(run(story, 2), 3).pending("callback:1")
    assert [callback.number for callback in story.state.callbacks.sent] == [1, 2, 3]
    story = story.when(delivered(1)).then(CallbackDelivered(number=1, at_ms=s.AT)).pending("callback:2")
    story = (
        story.when(dropped(2))
        .then(CallbackDropped(number=2, reason="the parent was erased", at_ms=s.AT))
        .pending("callback:3")
    )
    story = story.when(delivered(3)).then(CallbackDelivered(number=3, at_ms=s.AT)).pending()
    assert [callback.status for callback in story.state.callbacks.sent] == ["delivered", "dropped", "delivered"]


def test_a_callback_behind_another_is_not_ordered_before_its_turn() -> None:
    story = run(run(child(*s.IDLE), 1), 2)
    assert SESSION.react(story.state, story.events[-1]) == ()
    story = story.when(delivered(1))
    assert [effect.key for effect in SESSION.react(story.state, story.events[0])] == ["callback:2"]


def test_a_callback_is_retried_until_the_parent_takes_it() -> None:
    story = (
        run(child(*s.IDLE), 1)
        .when(undelivered(1))
        .then(CallbackUndelivered(number=1, reason="it has stopped", at_ms=s.AT))
    )
    story = story.pending("callback:1").when(undelivered(1, "its queue is full")).then().pending("callback:1")
    assert [(c.status, c.reason) for c in story.state.callbacks.sent] == [("undelivered", "it has stopped")]
    story = story.when(delivered(1)).then(CallbackDelivered(number=1, at_ms=s.AT)).pending()
    assert [(c.status, c.reason) for c in story.state.callbacks.sent] == [("delivered", "")]


@pytest.mark.parametrize("last", [delivered(1), dropped(1)])
@pytest.mark.parametrize("again", [delivered(1), undelivered(1), dropped(1)])
def test_a_delivered_or_dropped_callback_does_not_change_again(last: SessionCommand, again: SessionCommand) -> None:
    run(child(*s.IDLE), 1).when(last).when(again).then().pending()


@pytest.mark.parametrize("report", [delivered(7), undelivered(7), dropped(7)])
def test_reports_about_an_unknown_callback_change_nothing(report: SessionCommand) -> None:
    run(child(*s.IDLE), 1).when(report).then().pending("callback:1")


@pytest.mark.parametrize("history", [s.STOPPED, s.COMPLETED, s.DISCONNECTED, s.FAILED])
def test_callback_is_delivered_in_every_later_phase_of_the_child(history: tuple[SessionEvent, ...]) -> None:
    ordered = CallbackOrdered(number=1, outcome="finished", text="text", at_ms=s.AT)
    child(*history, ordered).pending("callback:1").when(delivered(1)).pending()


def test_a_callback_is_delivered_while_the_next_turn_runs() -> None:
    run(child(*s.IDLE), 1).when(s.submit("p2")).pending("deliver:2:i1", "callback:1")


def test_old_callbacks_are_discarded_but_waiting_ones_are_kept() -> None:
    story = run(run(child(*s.IDLE), 1), 2).when(delivered(2))
    total = CALLBACKS_REMEMBERED_MAX + 5
    for number in range(3, total):
        story = run(story, number).when(delivered(number))
    story = run(story, total)
    numbers = [callback.number for callback in story.state.callbacks.sent]
    assert numbers == [1, *range(total - CALLBACKS_REMEMBERED_MAX, total), total]
    story.pending("callback:1").when(delivered(1)).pending(f"callback:{total}")


# ------------------------------------------------------------------------------------------------------------- text


def test_a_callback_names_outcome_changes_cost_and_directory() -> None:
    story = child(*s.ACTIVE, s.paid(0.125)).when(s.changes()).when(s.turn_ended(1))
    assert story.state.callbacks.sent == (
        Callback(
            1,
            "finished",
            'Session "Title" (s1) has ended: finished.\n'
            "Details: turn 1 finished: three signs\n"
            "Files changed: 2 (+10 -3)\n"
            "Cost: 0.1250 USD\n"
            "Directory: /trees/w1, branch fleet/title",
            s.AT,
        ),
    )


def test_a_child_outside_of_git_has_no_branch_and_may_have_changed_nothing() -> None:
    plain = WorkspaceAttached(workspace_id="w1", directory="/plain", branch=None, at_ms=s.AT)
    history = tuple(plain if isinstance(event, WorkspaceAttached) else event for event in s.ACTIVE)
    text = child(*history).when(s.turn_ended(1)).state.callbacks.sent[0].text
    assert text.endswith("\nFiles changed: 0 (+0 -0)\nCost: 0.0000 USD\nDirectory: /plain")


def test_a_callback_from_a_child_does_not_release_a_paused_queue() -> None:
    word = s.submit("callback:child:1")
    held = given(
        SESSION, "s1", *s.ACTIVE, s.accepted("p2"), AbortRequested(number=1, at_ms=s.AT), s.ended(1, "aborted")
    )
    story = held.when(word)
    assert (story.state.turn, [p.prompt_id for p in story.state.queue.prompts]) == (None, ["p2", "callback:child:1"])
    story = story.when(s.submit("p3"))
    assert (story.state.turns, [p.prompt_id for p in story.state.queue.prompts]) == (2, ["callback:child:1", "p3"])


def test_a_callback_from_a_child_starts_a_turn_if_the_queue_is_empty() -> None:
    story = given(SESSION, "s1", *s.ACTIVE, AbortRequested(number=1, at_ms=s.AT), s.ended(1, "aborted"))
    assert story.when(s.submit("callback:child:1")).state.turns == 2
