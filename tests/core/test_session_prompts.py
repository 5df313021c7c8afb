"""Prompts wait in order, run one at a time, and each turn ends as what it was."""

import pytest
from msgspec.structs import replace

from fleet.core.session import effects as e
from fleet.core.session.commands import AbortTurn, SessionCommand, SubmitPrompt, WithdrawPrompt
from fleet.core.session.decide import SESSION
from fleet.core.session.events import SessionEvent, SessionSettled
from fleet.core.session.report_commands import ReportPromptDelivered
from fleet.core.session.turn_events import (
    AbortRequested,
    MessageRecorded,
    PartRecorded,
    PromptAccepted,
    PromptDelivered,
    RequestClosed,
    TurnContinued,
    TurnFailed,
    TurnStarted,
)
from fleet.core.session.values import Model, NewTurnIds, TurnOutcome, raw
from fleet.limits import (
    ATTACHMENTS_MAX,
    PROMPT_TEXT_BYTES_MAX,
    QUEUE_BYTES_MAX,
    QUEUE_PROMPTS_MAX,
    TRANSCRIPT_KNOWN_MAX,
)
from fleet.ports import Attachment, Tokens
from tests.core import sessions as s
from tests.core.given import given

PICTURE = Attachment("image/png", "a.png", "data:image/png;base64,AA==")


def queue_of(*names: str) -> tuple[SessionEvent, ...]:
    return (*s.ACTIVE, *(s.accepted(name) for name in names))


def test_a_prompt_to_an_idle_session_starts_a_turn_at_once() -> None:
    story = given(SESSION, "s1", *s.IDLE).when(s.submit("p1")).then(s.accepted("p1"), s.started(1, "p1"))
    story = story.pending("deliver:1:i1")
    turn = story.state.turn
    assert turn is not None
    assert story.effects == (
        e.DeliverPrompt("deliver:1:i1", "i1", "ses_1", "/trees/w1", "msg_p1", ("prt_p100",), turn.prompt, 1),
    )
    story = story.when(ReportPromptDelivered(message_id="msg_p1", at_ms=s.AT)).then(
        PromptDelivered(message_id="msg_p1", at_ms=s.AT)
    )
    story.pending("follow:1:i1").when(ReportPromptDelivered(message_id="msg_p1", at_ms=s.AT)).then()


def test_parts_of_a_prompt_have_different_ids() -> None:
    command = SubmitPrompt(
        prompt_id="p1",
        text="look",
        at_ms=s.AT,
        new_ids=s.new_ids("p1"),
        attachments=(PICTURE, PICTURE),
        agent="plan",
        model=Model("a", "b"),
    )
    story = (
        given(SESSION, "s1", *s.IDLE)
        .when(command)
        .then(
            PromptAccepted(
                prompt_id="p1",
                text="look",
                at_ms=s.AT,
                attachments=(PICTURE, PICTURE),
                agent="plan",
                model=Model("a", "b"),
            ),
            TurnStarted(
                number=1, prompt_id="p1", message_id="msg_p1", part_ids=("prt_p100", "prt_p101", "prt_p102"), at_ms=s.AT
            ),
        )
    )
    turn = story.state.turn
    assert turn is not None
    assert (turn.prompt.attachments, turn.prompt.agent, turn.prompt.model) == (
        (PICTURE, PICTURE),
        "plan",
        Model("a", "b"),
    )


def test_ids_of_prompt_parts_differ_and_have_the_same_length() -> None:
    ids = NewTurnIds("msg_1", "prt_abcdef").part_ids(1 + ATTACHMENTS_MAX)
    assert len(set(ids)) == 1 + ATTACHMENTS_MAX
    assert {len(one) for one in ids} == {len("prt_abcdef")}
    assert list(ids) == sorted(ids)


def test_prompts_run_one_at_a_time_in_their_order() -> None:
    story = given(SESSION, "s1", *s.ACTIVE).when(s.submit("p2")).then(s.accepted("p2"))
    story = story.when(s.submit("p3")).then(s.accepted("p3")).pending("follow:1:i1")
    story = story.when(s.turn_ended(1, ids="x")).then(s.ended(1, "finished"), s.started(2, "p2", "x"))
    story = story.pending("deliver:2:i1").when(s.turn_ended(2, ids="y"))
    story = story.then(s.ended(2, "finished"), s.started(3, "p3", "y"))
    story = story.when(s.turn_ended(3)).then(s.ended(3, "finished")).pending()
    assert (story.state.phase, story.state.last_outcome, story.state.turns) == ("idle", "finished", 3)


def test_a_prompt_waits_while_a_request_is_open() -> None:
    given(SESSION, "s1", *s.WAITING).when(s.submit("p2")).then(s.accepted("p2")).pending("follow:1:i1")


def test_a_prompt_waits_while_a_resumed_session_is_checked() -> None:
    story = given(SESSION, "s1", *s.RESUMED).when(s.submit("p2")).then(s.accepted("p2")).pending("settle:i2")
    settled = SessionSettled(evidence="nothing runs", at_ms=s.AT)
    story.when(s.settled("x")).then(settled, s.started(2, "p2", "x")).pending("deliver:2:i2")


@pytest.mark.parametrize("history", [queue_of("p2"), s.SENDING])
def test_the_same_prompt_again_changes_nothing(history: tuple[SessionEvent, ...]) -> None:
    name = "p2" if s.accepted("p2") in history else "p1"
    given(SESSION, "s1", *history).when(s.submit(name)).then()


def test_a_waiting_prompt_can_be_withdrawn_once() -> None:
    story = given(SESSION, "s1", *queue_of("p2", "p3")).when(WithdrawPrompt(prompt_id="p2", at_ms=s.AT))
    story = story.then(s.withdrawn("p2", "withdrawn"))
    story = story.when(WithdrawPrompt(prompt_id="p2", at_ms=s.AT)).then_rejected("prompt_not_found", says="p2")
    story.when(s.turn_ended(1, ids="x")).then(s.ended(1, "finished"), s.started(2, "p3", "x"))


def test_a_running_prompt_cannot_be_withdrawn() -> None:
    given(SESSION, "s1", *s.ACTIVE).when(WithdrawPrompt(prompt_id="p1", at_ms=s.AT)).then_rejected("prompt_not_found")


def test_queue_of_prompts_has_a_limit_in_number() -> None:
    full = queue_of(*(f"p{n}" for n in range(2, 2 + QUEUE_PROMPTS_MAX)))
    story = given(SESSION, "s1", *full).when(s.submit("p2")).then()
    story = story.when(s.submit("more")).then_rejected("queue_full", says="Wait until a turn ends.")
    assert story.rejected is not None
    assert story.rejected.retry_after_s
    story.when(WithdrawPrompt(prompt_id="p5", at_ms=s.AT)).when(s.submit("more")).then(s.accepted("more"))


def test_queue_of_prompts_has_a_limit_in_bytes() -> None:
    large = Attachment("text/plain", "large.txt", "x" * (QUEUE_BYTES_MAX // 2))
    story = given(SESSION, "s1", *s.ACTIVE)
    for name in ("p2", "p3"):
        story = story.when(replace(s.submit(name), attachments=(large,)))
    story.when(s.submit("p4")).then_rejected("queue_full", says="MiB of prompts")
    story.when(s.turn_ended(1)).when(s.submit("p4")).then(s.accepted("p4"))


@pytest.mark.parametrize(
    ("command", "code", "field"),
    [
        (s.submit(text=""), "prompt_empty", "text"),
        (s.submit(text=" \n"), "prompt_empty", "text"),
        (s.submit(text="ä" * (PROMPT_TEXT_BYTES_MAX // 2 + 1)), "too_large", "text"),
        (
            SubmitPrompt(
                prompt_id="p1",
                text="x",
                at_ms=s.AT,
                new_ids=s.new_ids(),
                attachments=(PICTURE,) * (ATTACHMENTS_MAX + 1),
            ),
            "invalid",
            "attachments",
        ),
    ],
)
def test_empty_or_oversized_prompt_is_refused(command: SubmitPrompt, code: str, field: str) -> None:
    story = given(SESSION, "s1", *s.IDLE).when(command).then_rejected(code)
    assert story.rejected is not None
    assert story.rejected.field == field


def test_prompt_may_have_only_attachments_up_to_the_limits() -> None:
    given(SESSION, "s1", *s.ACTIVE).when(
        SubmitPrompt(prompt_id="p2", text="", at_ms=s.AT, new_ids=s.new_ids(), attachments=(PICTURE,) * ATTACHMENTS_MAX)
    ).then(PromptAccepted(prompt_id="p2", text="", at_ms=s.AT, attachments=(PICTURE,) * ATTACHMENTS_MAX)).when(
        s.submit("p3", text="x" * PROMPT_TEXT_BYTES_MAX)
    ).then(PromptAccepted(prompt_id="p3", text="x" * PROMPT_TEXT_BYTES_MAX, at_ms=s.AT))


# --------------------------------------------------------------------------------------------------- ends of a turn


@pytest.mark.parametrize("history", [s.SENDING, s.ACTIVE, s.WAITING])
def test_an_error_ends_the_turn_and_pauses_the_queue_until_the_next_prompt(history: tuple[SessionEvent, ...]) -> None:
    story = given(SESSION, "s1", *history, s.accepted("p2")).when(s.turn_failed(1))
    story = story.then(TurnFailed(number=1, code="APIError", detail="no credit", at_ms=s.AT)).pending()
    state = story.state
    assert (state.phase, state.queue.paused, state.last_outcome, state.requests) == ("error", True, "error", ())
    assert state.failure is not None
    assert (state.failure.code, state.failure.step) == ("APIError", None)
    story = story.when(s.submit("p3")).then(s.accepted("p3"), s.started(2, "p2", "p3")).pending("deliver:2:i1")
    assert (story.state.phase, story.state.failure, story.state.queue.paused) == ("active", None, False)
    story.when(s.turn_ended(2, ids="x")).then(s.ended(2, "finished"), s.started(3, "p3", "x"))


@pytest.mark.parametrize("outcome", ["aborted", "interrupted"])
def test_an_abort_pauses_the_queue_until_the_next_prompt(outcome: TurnOutcome) -> None:
    story = given(SESSION, "s1", *queue_of("p2")).when(AbortTurn(at_ms=s.AT))
    story = story.when(s.turn_ended(1, outcome)).then(s.ended(1, outcome)).pending()
    assert (story.state.phase, story.state.queue.paused, story.state.last_outcome) == ("idle", True, outcome)
    story.when(s.submit("p3")).then(s.accepted("p3"), s.started(2, "p2", "p3"))


def test_an_interrupted_turn_pauses_the_queue() -> None:
    story = given(SESSION, "s1", *queue_of("p2")).when(s.turn_ended(1, "interrupted")).then(s.ended(1, "interrupted"))
    assert story.state.queue.paused


def test_a_prompt_after_the_abort_is_not_paused() -> None:
    story = given(SESSION, "s1", *s.ABORTING).when(s.submit("p2")).then(s.accepted("p2"))
    story.when(s.turn_ended(1, "aborted", "x")).then(s.ended(1, "aborted"), s.started(2, "p2", "x"))


@pytest.mark.parametrize("history", [s.SENDING, s.ACTIVE, s.WAITING])
def test_abort_is_requested_once_and_the_turn_is_observed_to_its_end(history: tuple[SessionEvent, ...]) -> None:
    before = given(SESSION, "s1", *history)
    story = before.when(AbortTurn(at_ms=s.AT)).then(AbortRequested(number=1, at_ms=s.AT))
    assert story.state.phase == before.state.phase
    story.pending(before.effects[0].key, "stop:1:i1").when(AbortTurn(at_ms=s.AT)).then()


def test_aborted_turn_never_has_the_outcome_finished() -> None:
    story = given(SESSION, "s1", *s.ABORTING).when(s.turn_ended(1, "finished")).then(s.ended(1, "aborted"))
    assert story.state.last_outcome == "aborted"


def test_turn_is_observed_under_the_message_id_that_opencode_assigned() -> None:
    story = given(SESSION, "s1", *s.SENDING).when(
        ReportPromptDelivered(message_id="msg_p1", at_ms=s.AT, kept_as="msg_own")
    )
    story = story.then(PromptDelivered(message_id="msg_p1", at_ms=s.AT, kept_as="msg_own"))
    (effect,) = story.effects
    assert isinstance(effect, e.FollowTurn)
    assert effect.message_id == "msg_own"
    assert SESSION.react(story.state, story.events[0]) == (effect,)


RUNS = ("active", "active, sending", "waiting_input", "created, to be set up")
"""A turn, or commands that set the workspace up."""


@pytest.mark.parametrize("situation", [name for name in s.LIVING if name not in RUNS])
def test_abort_without_a_running_turn_is_refused(situation: str) -> None:
    given(SESSION, "s1", *s.LIVING[situation]).when(AbortTurn(at_ms=s.AT)).then()


@pytest.mark.parametrize(
    "report", [s.turn_ended(1), s.turn_failed(1), ReportPromptDelivered(message_id="msg_p1", at_ms=s.AT), s.settled()]
)
@pytest.mark.parametrize("history", [s.FINISHED, s.FAILED, s.COMPLETED, s.LOST_TURN, s.STOPPED])
def test_late_reports_of_a_turn_are_ignored(history: tuple[SessionEvent, ...], report: SessionCommand) -> None:
    given(SESSION, "s1", *history).when(report).then()


def test_reports_of_another_turn_are_ignored() -> None:
    story = given(SESSION, "s1", *s.FINISHED, s.accepted("p2"), s.started(2, "p2"))
    for report in (
        s.turn_ended(1),
        s.turn_failed(1),
        ReportPromptDelivered(message_id="msg_p1", at_ms=s.AT),
        s.turn_ended(3),
        s.settled(),
    ):
        story = story.when(report).then()


# ---------------------------------------------------------------------------------------------------------- requests


def test_requests_make_the_session_wait_until_the_last_is_closed() -> None:
    story = given(SESSION, "s1", *s.ACTIVE).when(s.request_opened("r1")).then(s.request("r1")).pending("follow:1:i1")
    assert story.state.phase == "waiting_input"
    story = story.when(s.request_opened("r1")).then().when(s.request_opened("r2")).then(s.request("r2"))
    story = story.when(s.request_closed("r1")).then(RequestClosed(request_id="r1", at_ms=s.AT))
    assert story.state.phase == "waiting_input"
    story = story.when(s.request_closed("r1")).then()
    story = story.when(s.request_closed("r2")).then(
        RequestClosed(request_id="r2", at_ms=s.AT), TurnContinued(at_ms=s.AT)
    )
    assert (story.state.phase, story.state.requests) == ("active", ())


@pytest.mark.parametrize("end", [s.turn_ended(1, "aborted"), s.turn_failed(1), s.instance_ended()])
def test_no_request_outlives_its_turn(end: SessionCommand) -> None:
    story = given(SESSION, "s1", *s.WAITING).when(end)
    assert story.state.requests == ()
    story.when(s.request_closed("r1")).then()


@pytest.mark.parametrize("history", [s.IDLE, s.FAILED, s.COMPLETED, s.DISCONNECTED, s.STOPPED, s.CREATED])
def test_request_of_an_idle_session_is_ignored(history: tuple[SessionEvent, ...]) -> None:
    given(SESSION, "s1", *history).when(s.request_opened("r1")).then()


def test_resumed_session_becomes_idle_although_opencode_lists_a_stale_request() -> None:
    story = given(SESSION, "s1", *s.RESUMED).when(s.request_opened("r1")).pending("settle:i2").when(s.settled())
    assert (story.state.phase, story.state.requests) == ("idle", ())


# -------------------------------------------------------------------------------------------------------- transcript


def recorded(name: str, body: str = "1", cost_usd: float = 0.0, output: int = 0) -> MessageRecorded:
    tokens = Tokens(output=output)
    return MessageRecorded(
        message_id=name,
        opencode_id="ses_1",
        role="assistant",
        at_ms=s.AT,
        body=raw(body.encode()),
        cost_usd=cost_usd,
        tokens=tokens,
        created_ms=s.AT,
    )


def part_recorded(name: str, body: str = "1") -> PartRecorded:
    return PartRecorded(
        part_id=name, message_id="msg_a", type="text", at_ms=s.AT, body=raw(body.encode()), opencode_id="ses_1"
    )


def test_a_known_message_is_not_recorded_again_and_the_last_write_wins() -> None:
    story = given(SESSION, "s1", *s.ACTIVE).when(s.transcript(s.message("msg_a", s.part("prt_1"))))
    story = story.then(recorded("msg_a"), part_recorded("prt_1"))
    story = story.when(s.transcript(s.message("msg_a", s.part("prt_1")))).then()
    story = story.when(s.transcript(s.message("msg_a", s.part("prt_1", "2"), s.part("prt_2"))))
    story = story.then(part_recorded("prt_1", "2"), part_recorded("prt_2"))
    story.when(s.transcript(s.message("msg_a", s.part("prt_1", "2"), body="2"))).then(recorded("msg_a", "2"))


def test_a_users_message_is_recorded_once() -> None:
    """OpenCode adds its own summary of the diffs to it at the end of each turn."""
    told = s.message("msg_u", s.part("prt_1"))
    said, summed_up = (
        replace(told, info=replace(told.info, role="user", raw=body)) for body in (b"{}", b'{"summary":{"diffs":[]}}')
    )
    story = given(SESSION, "s1", *s.ACTIVE).when(s.transcript(said))
    story = story.then(replace(recorded("msg_u", "{}"), role="user"), part_recorded("prt_1", "1"))
    story.when(s.transcript(summed_up)).then()


def test_parts_are_recorded_when_they_are_finished() -> None:
    story = given(SESSION, "s1", *s.ACTIVE).when(s.transcript(s.message("msg_a", s.part("prt_1", finished=False))))
    story.then(recorded("msg_a"))


def test_the_cost_of_a_message_counts_once_with_its_last_value() -> None:
    story = given(SESSION, "s1", *s.ACTIVE)
    story = story.when(s.transcript(s.message("msg_a", body="1", cost_usd=0.25, output=10)))
    story = story.when(s.transcript(s.message("msg_a", body="2", cost_usd=0.75, output=30)))
    story = story.when(s.transcript(s.message("msg_b", body="1", cost_usd=0.5, output=5)))
    assert (story.state.usage.cost_usd, story.state.usage.tokens.output) == (1.25, 35)


def test_a_late_message_of_the_turn_before_is_not_charged_twice() -> None:
    story = given(SESSION, "s1", *queue_of("p2"))
    story = story.when(s.transcript(s.message("msg_a", body="1", cost_usd=0.25, output=10))).when(s.turn_ended(1))
    assert story.state.turns == 2
    story = story.when(s.transcript(s.message("msg_a", body="1", cost_usd=0.25, output=10))).then()
    story = story.when(s.transcript(s.message("msg_a", body="2", cost_usd=0.5, output=20)))
    assert (story.state.usage.cost_usd, story.state.usage.tokens.output) == (0.5, 20)


def test_only_the_newest_messages_of_earlier_turns_are_remembered() -> None:
    names = [f"msg_{n:04d}" for n in range(TRANSCRIPT_KNOWN_MAX + 5)]
    paid = [s.message(name, cost_usd=0.25) for name in names]
    story = given(SESSION, "s1", *queue_of("p2")).when(s.transcript(*paid)).when(s.turn_ended(1))
    assert list(story.state.digest_by_id) == list(story.state.usage.by_message) == names[5:]
    story.when(s.transcript(paid[-1])).then()


@pytest.mark.parametrize("history", [s.FINISHED, s.FAILED, s.COMPLETED, s.LOST_TURN, s.STOPPED])
def test_a_message_that_is_read_late_is_still_recorded(history: tuple[SessionEvent, ...]) -> None:
    given(SESSION, "s1", *history).when(s.transcript(s.message("msg_a"))).then(recorded("msg_a"))


@pytest.mark.parametrize("stop", [AbortTurn(at_ms=s.AT), s.turn_failed(1)], ids=("aborted", "failed"))
def test_a_steering_prompt_waits_after_an_aborted_or_failed_turn(stop: SessionCommand) -> None:
    story = given(SESSION, "s1", *s.ACTIVE).when(s.submit("p2", steer=True)).when(stop).when(s.turn_ended(1, "aborted"))
    assert [prompt.prompt_id for prompt in story.state.queue.prompts] == ["p2"]
    assert (story.state.turns, story.state.queue.paused) == (1, True)
    story = story.when(s.submit("p3"))
    assert (story.state.turns, [prompt.prompt_id for prompt in story.state.queue.prompts]) == (2, ["p3"])
