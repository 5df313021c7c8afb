"""Waiting prompts: they are withdrawn, edited, or sent into the running turn."""

import pytest
from msgspec.structs import replace

from fleet.core.session.commands import EditPrompt, SessionCommand, SteerPrompt, WithdrawPrompt
from fleet.core.session.decide import SESSION
from fleet.core.session.events import ResumeRequested, SessionEvent, SessionResumed
from fleet.core.session.report_commands import ReportPromptDelivered
from fleet.core.session.turn_events import (
    AbortRequested,
    PromptAccepted,
    PromptDelivered,
    PromptEdited,
    PromptWithdrawn,
    TurnStarted,
    TurnSteered,
)
from fleet.core.session.values import Model, TurnOutcome
from fleet.limits import MIB, PROMPT_TEXT_BYTES_MAX, QUEUE_BYTES_MAX
from fleet.ports import Attachment
from tests.core import sessions as s
from tests.core.given import given

WAITING_TWO = (*s.ACTIVE, s.accepted("p2"), s.accepted("p3"))
RETURNED = (
    *s.ACTIVE,
    s.accepted("p2"),
    TurnSteered(number=1, prompt_id="p2", message_id="msg_s", part_ids=("prt_s00",), at_ms=s.AT),
    AbortRequested(number=1, at_ms=s.AT),
    s.ended(1, "aborted"),
)
"""The turn was aborted before the prompt that was to steer it had arrived: it waits again, and no turn starts."""


def edit(name: str = "p2", text: str = "do that") -> EditPrompt:
    return EditPrompt(prompt_id=name, text=text, at_ms=s.AT)


def steer(name: str = "p2") -> SteerPrompt:
    return SteerPrompt(prompt_id=name, at_ms=s.AT, new_ids=s.new_ids("s"))


def test_edited_prompt_keeps_its_place_in_the_queue() -> None:
    story = (
        given(SESSION, "s1", *WAITING_TWO).when(edit()).then(PromptEdited(prompt_id="p2", text="do that", at_ms=s.AT))
    )
    assert [(prompt.prompt_id, prompt.text) for prompt in story.state.queue.prompts] == [
        ("p2", "do that"),
        ("p3", "do it"),
    ]
    story = story.pending("follow:1:i1").when(edit()).then()
    story = story.when(s.turn_ended(1, ids="x")).then(s.ended(1, "finished"), s.started(2, "p2", "x"))
    assert story.state.turn is not None
    assert story.state.turn.prompt.text == "do that"


@pytest.mark.parametrize("history", [s.CREATED, s.FAILED, s.COMPLETED, s.LOST_TURN, s.RESUMING])
def test_waiting_prompt_can_be_edited_for_every_reason_of_its_wait(history: tuple[SessionEvent, ...]) -> None:
    given(SESSION, "s1", *history, s.accepted("p2")).when(edit()).then(
        PromptEdited(prompt_id="p2", text="do that", at_ms=s.AT)
    )


def test_edit_of_a_prompt_keeps_attachments_agent_and_model() -> None:
    picture = Attachment("image/png", "a.png", "data:image/png;base64,AA")
    accepted = PromptAccepted(
        prompt_id="p2", text="x", at_ms=s.AT, attachments=(picture,), agent="plan", model=Model("p", "m")
    )
    story = (
        given(SESSION, "s1", *s.ACTIVE, accepted)
        .when(edit(text=""))
        .then(PromptEdited(prompt_id="p2", text="", at_ms=s.AT))
    )
    (prompt,) = story.state.queue.prompts
    assert (prompt.attachments, prompt.agent, prompt.model) == ((picture,), "plan", Model("p", "m"))


@pytest.mark.parametrize(
    ("text", "code"),
    [("  ", "prompt_empty"), ("x" * (PROMPT_TEXT_BYTES_MAX + 1), "too_large"), ("do that", "prompt_not_found")],
)
def test_refused_edit_of_a_prompt_changes_nothing(text: str, code: str) -> None:
    name = "p9" if code == "prompt_not_found" else "p2"
    given(SESSION, "s1", *WAITING_TWO).when(edit(name, text)).then_rejected(code)


def test_edit_of_a_prompt_cannot_exceed_the_limit_of_the_queue() -> None:
    long = replace(s.accepted("p2"), text="x" * MIB)
    many = tuple(replace(long, prompt_id=f"q{n}") for n in range(QUEUE_BYTES_MAX // MIB - 1))
    story = given(SESSION, "s1", *s.ACTIVE, *many, replace(s.accepted("p2"), text="x" * MIB))
    story.when(edit("p2", "short")).then(PromptEdited(prompt_id="p2", text="short", at_ms=s.AT))
    full = given(SESSION, "s1", *s.ACTIVE, *many, long, s.accepted("p3"))
    full.when(edit("p3", "longer than before")).then_rejected("queue_full", says="40 MiB")
    full.when(edit("p3", "do i")).then(PromptEdited(prompt_id="p3", text="do i", at_ms=s.AT))


def test_a_prompt_that_runs_or_has_run_cannot_be_edited() -> None:
    given(SESSION, "s1", *s.ACTIVE).when(edit("p1")).then_rejected("prompt_not_found")
    given(SESSION, "s1", *s.FINISHED).when(edit("p1")).then_rejected("prompt_not_found")


@pytest.mark.parametrize("history", [s.ACTIVE, s.WAITING])
def test_waiting_prompt_is_sent_into_the_running_turn(history: tuple[SessionEvent, ...]) -> None:
    story = given(SESSION, "s1", *history, s.accepted("p2"), s.accepted("p3")).when(steer("p3"))
    story = story.then(
        TurnSteered(number=1, prompt_id="p3", message_id="msg_s", part_ids=("prt_s00",), at_ms=s.AT)
    ).pending("follow:1:i1", "steer:p3:i1")
    assert [prompt.prompt_id for prompt in story.state.queue.prompts] == ["p2"]
    story = story.when(steer("p3")).then()  # it is on its way
    story = (
        story.when(ReportPromptDelivered(message_id="msg_s", at_ms=s.AT))
        .then(PromptDelivered(message_id="msg_s", at_ms=s.AT))
        .pending("follow:1:i1")
    )
    story.when(steer("p3")).then_rejected("prompt_not_found")
    story.when(s.turn_ended(1, ids="x")).then(s.ended(1, "finished"), s.started(2, "p2", "x"))


def test_steering_prompt_keeps_its_attachments() -> None:
    accepted = PromptAccepted(
        prompt_id="p2", text="x", at_ms=s.AT, attachments=(Attachment("image/png", "a.png", "data:,"),) * 2
    )
    story = given(SESSION, "s1", *s.ACTIVE, accepted).when(steer())
    story.then(
        TurnSteered(
            number=1, prompt_id="p2", message_id="msg_s", part_ids=("prt_s00", "prt_s01", "prt_s02"), at_ms=s.AT
        )
    )


def test_a_steering_prompt_that_the_turn_s_end_overtook_begins_the_next_turn_under_its_ids() -> None:
    story = given(SESSION, "s1", *WAITING_TWO).when(steer("p3"))
    started = TurnStarted(number=2, prompt_id="p3", message_id="msg_s", part_ids=("prt_s00",), at_ms=s.AT)
    story.when(s.turn_ended(1)).then(s.ended(1, "finished"), started).pending("deliver:2:i1")


@pytest.mark.parametrize("command", [edit(), steer()])
def test_prompt_that_opencode_may_hold_is_neither_changed_nor_sent_into_a_turn(command: SessionCommand) -> None:
    given(SESSION, "s1", *RETURNED).when(command).then_rejected("prompt_sent", says="OpenCode may hold it")
    running = (*RETURNED, s.accepted("p5"), PromptWithdrawn(prompt_id="p5", reason="withdrawn", at_ms=s.AT))
    given(SESSION, "s1", *running).when(WithdrawPrompt(prompt_id="p2", at_ms=s.AT)).then(s.withdrawn("p2", "withdrawn"))


@pytest.mark.parametrize(
    ("history", "says"),
    [
        (s.SENDING, "is being sent to OpenCode"),
        (s.ABORTING, "is being aborted"),
        (s.FAILED, "no turn runs"),
        (s.CREATED, "no turn runs"),
        (s.COMPLETED, "no turn runs"),
        (s.LOST_TURN, "no turn runs"),
        (s.RESUMED, "no turn runs"),
    ],
)
def test_a_prompt_that_cannot_steer_a_turn_stays_in_the_queue(history: tuple[SessionEvent, ...], says: str) -> None:
    story = given(SESSION, "s1", *history, s.accepted("p2"))
    before = story.state
    story.when(steer()).then_rejected("turn_not_steerable", says=says)
    assert story.state == before


def test_command_of_opencode_is_a_turn_of_its_own() -> None:
    command = replace(s.accepted("p2"), command="review")
    given(SESSION, "s1", *s.ACTIVE, command).when(steer()).then_rejected("invalid", says="/review is a command")
    given(SESSION, "s1", *s.ACTIVE, command).when(edit(text="")).then(PromptEdited(prompt_id="p2", text="", at_ms=s.AT))


def test_an_unknown_prompt_is_not_found() -> None:
    given(SESSION, "s1", *WAITING_TWO).when(steer("p9")).then_rejected("prompt_not_found")
    given(SESSION, "s1", *s.ACTIVE).when(steer("p1")).then_rejected("prompt_not_found")


TAKEN_UP = (
    *s.LOST_TURN,
    ResumeRequested(at_ms=s.AT),
    s.WORKSPACE,
    s.attached("i2"),
    SessionResumed(instance_id="i2", opencode_id="ses_1", at_ms=s.AT),
)
"""The turn was cut off with its process, and is looked for on another one."""


def test_prompt_waits_until_a_resumed_turn_is_known_to_run() -> None:
    story = given(SESSION, "s1", *TAKEN_UP).when(s.submit("p2", steer=True)).then(s.accepted("p2"))
    story.when(steer()).then_rejected("turn_not_steerable", says="has not been seen to work on it")
    earlier = replace(s.paid(0, name="msg_b"), created_ms=s.AT - 1)
    given(SESSION, "s1", *TAKEN_UP, s.accepted("p2"), earlier).when(steer()).then_rejected("turn_not_steerable")
    answer = replace(earlier, created_ms=s.AT)
    story = given(SESSION, "s1", *TAKEN_UP, s.accepted("p2"), answer).when(steer())
    story.then(TurnSteered(number=1, prompt_id="p2", message_id="msg_s", part_ids=("prt_s00",), at_ms=s.AT))


@pytest.mark.parametrize("outcome", ["interrupted", "finished"])
def test_prompt_after_an_interrupted_turn_runs_with_every_outcome_of_that_turn(outcome: TurnOutcome) -> None:
    end = s.turn_ended(1, outcome, ids="x")
    given(SESSION, "s1", *TAKEN_UP, s.accepted("p2")).when(end).then(s.ended(1, outcome), s.started(2, "p2", "x"))
    waited = given(SESSION, "s1", *s.ACTIVE, s.accepted("p2"), *TAKEN_UP[len(s.ACTIVE) :]).when(end)
    assert waited.state.turns == (2 if outcome == "finished" else 1)
    waited.when(s.submit("p3")).then(s.accepted("p3"), *([] if outcome == "finished" else [s.started(2, "p2", "p3")]))
