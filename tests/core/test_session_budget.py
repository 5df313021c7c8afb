"""A budget pauses a session between two turns, never within one, until a person sets another budget."""

import pytest
from msgspec.structs import replace

from fleet.core.session.commands import ResumeSession, SetBudget, SubmitPrompt, WithdrawPrompt
from fleet.core.session.consequences import used_up
from fleet.core.session.decide import SESSION
from fleet.core.session.events import (
    BudgetExceeded,
    BudgetSet,
    ResumeRequested,
    SessionDisconnected,
    SessionEvent,
    StopRequested,
)
from fleet.core.session.report_commands import ReportTurnEnded, ReportTurnFailed
from fleet.core.session.state import SessionUsage, State
from fleet.core.session.turn_events import AbortRequested, RequestClosed, TurnContinued, TurnFailed
from fleet.core.session.values import Budget
from fleet.ports import Tokens
from tests.core import sessions as s
from tests.core.given import Story, given

ONE = Budget(usd=1)
WORDS = "1.0000 of 1 USD are used"
EXCEEDED = BudgetExceeded(what=WORDS, at_ms=s.AT)
SPENT: tuple[SessionEvent, ...] = s.limited(ONE, *s.ACTIVE, s.paid(1.0))
"""A turn runs that has used up the budget."""
PAUSED: tuple[SessionEvent, ...] = (*SPENT, s.accepted("p2"), s.ended(1, "finished"), EXCEEDED)
SPENT_IN_ERROR: tuple[SessionEvent, ...] = (
    *SPENT,
    TurnFailed(number=1, code="APIError", detail="no credit", at_ms=s.AT),
)


def set_budget(budget: Budget | None, ids: str = "x") -> SetBudget:
    return SetBudget(budget=budget, at_ms=s.AT, new_ids=s.new_ids(ids))


def budget_set(budget: Budget | None) -> BudgetSet:
    return BudgetSet(budget=budget, at_ms=s.AT)


def test_turn_that_exceeds_the_budget_finishes_before_the_queue_pauses() -> None:
    story = given(SESSION, "s1", *s.limited(ONE, *s.ACTIVE), s.accepted("p2"))
    story = story.when(s.transcript(s.message("msg_a", cost_usd=1.0))).pending("follow:1:i1")
    assert not any(isinstance(event, BudgetExceeded) for event in story.events)
    story = story.when(s.turn_ended(1)).then(s.ended(1, "finished"), EXCEEDED).pending()
    assert (story.state.phase, story.state.usage.exceeded, story.state.evidence) == ("idle", WORDS, f"paused: {WORDS}")
    assert [prompt.prompt_id for prompt in story.state.queue.prompts] == ["p2"]


def test_a_prompt_to_a_paused_session_waits_without_a_second_notification() -> None:
    story = given(SESSION, "s1", *PAUSED).when(s.submit("p3")).then(s.accepted("p3")).pending()
    story.when(WithdrawPrompt(prompt_id="p2", at_ms=s.AT)).then(s.withdrawn("p2", "withdrawn")).pending()


@pytest.mark.parametrize("budget", [None, Budget(usd=1.5), Budget(tokens=5), Budget()])
def test_a_budget_with_room_releases_the_queue(budget: Budget | None) -> None:
    story = given(SESSION, "s1", *PAUSED).when(set_budget(budget))
    story = story.then(budget_set(budget), s.started(2, "p2", "x")).pending("deliver:2:i1")
    assert (story.state.settings.budget, story.state.usage.exceeded) == (budget, None)


def test_a_budget_without_room_pauses_at_once_and_says_so() -> None:
    story = given(SESSION, "s1", *PAUSED).when(set_budget(Budget(usd=0.5)))
    story.then(budget_set(Budget(usd=0.5)), BudgetExceeded(what="1.0000 of 0.5 USD are used", at_ms=s.AT)).pending()


def test_the_same_budget_again_changes_nothing() -> None:
    given(SESSION, "s1", *PAUSED).when(set_budget(ONE)).then()


def test_a_budget_that_is_set_while_a_turn_runs_counts_at_its_end() -> None:
    story = given(SESSION, "s1", *s.ACTIVE, s.paid(1.0), s.accepted("p2")).when(set_budget(ONE)).then(budget_set(ONE))
    story.pending("follow:1:i1").when(s.turn_ended(1)).then(s.ended(1, "finished"), EXCEEDED).pending()


def test_failed_turn_that_exceeds_the_budget_pauses_the_queue() -> None:
    story = given(SESSION, "s1", *SPENT).when(s.turn_failed(1))
    story = story.then(TurnFailed(number=1, code="APIError", detail="no credit", at_ms=s.AT), EXCEEDED).pending()
    story = story.when(s.submit("p2")).then(s.accepted("p2")).pending()
    story.when(set_budget(None)).then(budget_set(None), s.started(2, "p2", "x")).pending("deliver:2:i1")


def test_cost_of_a_late_message_counts_before_the_next_turn() -> None:
    story = given(SESSION, "s1", *s.limited(ONE, *s.FINISHED)).when(s.transcript(s.message("msg_a", cost_usd=1.0)))
    story.when(s.submit("p2")).then(s.accepted("p2"), EXCEEDED).pending()


def test_queue_paused_for_another_reason_stays_paused_after_a_new_budget() -> None:
    held = (*SPENT, s.accepted("p2"), AbortRequested(number=1, at_ms=s.AT), s.ended(1, "aborted"), EXCEEDED)
    story = given(SESSION, "s1", *held).when(set_budget(None)).then(budget_set(None)).pending()
    story.when(s.submit("p3")).then(s.accepted("p3"), s.started(2, "p2", "p3"))


def test_session_created_with_an_exceeded_budget_does_not_start_its_prompt() -> None:
    none = Budget(tokens=0)
    story = given(SESSION, "s1", *s.limited(none, *s.ON_INSTANCE), s.accepted("p1")).when(s.conversation_open())
    story.then(s.OPENED, BudgetExceeded(what="0 of 0 tokens are used", at_ms=s.AT)).pending()


def test_a_lost_turn_continues_although_the_budget_is_used_up() -> None:
    story = given(SESSION, "s1", *SPENT, s.disconnected()).when(ResumeSession(at_ms=s.AT)).when(s.workspace_ready())
    story = story.when(s.instance_ready("i2")).when(s.conversation_open()).pending("follow:1:i2")
    story.when(s.turn_ended(1)).then(s.ended(1, "finished"), EXCEEDED)


def test_a_session_that_is_being_stopped_is_not_paused() -> None:
    story = given(SESSION, "s1", *SPENT, StopRequested(at_ms=s.AT)).when(s.turn_ended(1))
    story.then(s.ended(1, "finished")).pending("end")


COMING_UP: dict[str, tuple[SessionEvent, ...]] = {
    "resumed": (ResumeRequested(at_ms=s.AT),),
    "resumed, workspace ready": (ResumeRequested(at_ms=s.AT), s.WORKSPACE),
    "resumed, instance ready": (ResumeRequested(at_ms=s.AT), s.WORKSPACE, s.attached("i2")),
}


@pytest.mark.parametrize("steps", COMING_UP.values(), ids=COMING_UP.keys())
@pytest.mark.parametrize("history", [s.limited(ONE, *s.HALF_OPEN), (*SPENT_IN_ERROR, s.detached())])
def test_new_budget_starts_no_turn_during_provisioning(
    history: tuple[SessionEvent, ...], steps: tuple[SessionEvent, ...]
) -> None:
    before = given(SESSION, "s1", *history, s.accepted("p2"), *steps)
    story = before.when(set_budget(None)).then(budget_set(None))
    assert story.effects == before.effects


def test_new_budget_starts_no_turn_after_a_resume_that_failed_half_way() -> None:
    history = (*SPENT_IN_ERROR, s.detached(), s.accepted("p2"), *COMING_UP["resumed, instance ready"])
    story = given(SESSION, "s1", *history).when(s.provision_failed("conversation", "session_gone"))
    story.then(s.failed("conversation", "session_gone")).when(set_budget(None)).then(budget_set(None)).pending()


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (Budget(), None),
        (Budget(usd=2.01, tokens=16, minutes=3.1), None),
        (Budget(usd=2), "2.0000 of 2 USD are used"),
        (Budget(usd=1.5, tokens=1, minutes=1), "2.0000 of 1.5 USD are used"),
        (Budget(tokens=15), "15 of 15 tokens are used"),
        (Budget(minutes=3), "3.0 of 3 minutes are used"),
        (Budget(usd=9, minutes=2.5), "3.0 of 2.5 minutes are used"),
    ],
)
def test_budget_counts_dollars_minutes_and_tokens_of_all_kinds(budget: Budget, words: str | None) -> None:
    state = State("s1", usage=SessionUsage(cost_usd=2.0, tokens=Tokens(1, 2, 3, 4, 5)), running_ms=180_000)
    assert used_up(state, budget) == words


def test_budget_counts_only_minutes_in_which_a_turn_runs() -> None:
    minute = 60_000
    ran = ReportTurnEnded(
        number=1, outcome="finished", evidence="three signs", at_ms=s.AT + 2 * minute, new_ids=s.new_ids("x")
    )
    story = given(SESSION, "s1", *s.ACTIVE).when(ran)
    assert story.state.running_ms == 2 * minute
    later = SubmitPrompt(prompt_id="p2", text="more", at_ms=s.AT + 10 * minute, new_ids=s.new_ids("p2"))
    story = story.when(later).when(ReportTurnFailed(number=2, code="APIError", detail="no", at_ms=s.AT + 11 * minute))
    assert story.state.running_ms == 3 * minute


def test_budget_does_not_count_minutes_without_a_process_or_waiting_for_a_person() -> None:
    minute = 60_000
    story = given(SESSION, "s1", *s.ACTIVE, SessionDisconnected(instance_id="i1", evidence="gone", at_ms=s.AT + minute))
    assert story.state.running_ms == minute
    story = given(SESSION, "s1", *s.ACTIVE)
    for event in (
        replace(s.request("r1"), at_ms=s.AT + minute),
        RequestClosed(request_id="r1", at_ms=s.AT + 9 * minute),
        TurnContinued(at_ms=s.AT + 9 * minute),
        replace(s.ended(1, "finished"), at_ms=s.AT + 10 * minute),
    ):
        story = Story(SESSION, SESSION.evolve(story.state, event))
    assert story.state.running_ms == 2 * minute


def test_new_budget_ends_a_pause_and_the_evidence_says_so() -> None:
    story = given(SESSION, "s1", *s.limited(ONE, *s.ACTIVE), s.paid(1.0)).when(s.turn_ended(1))
    assert story.state.evidence.startswith("paused")
    assert "another budget" in story.when(set_budget(Budget(usd=9))).state.evidence
