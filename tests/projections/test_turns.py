"""The turns of a session, after all that may happen: what they cost together, and what they were at any moment."""

from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.core.session.activity import head
from fleet.core.session.decide import SESSION
from fleet.core.session.events import SessionEvent
from fleet.core.session.state import State
from fleet.core.session.turn_events import (
    ChangesRecorded,
    MessageRecorded,
    PromptAccepted,
    PromptDelivered,
    PromptEdited,
    TurnStarted,
    TurnSteered,
)
from fleet.core.session.values import Totals
from fleet.events.envelope import Cause, Recorded
from fleet.projections.index_queries import Charge
from fleet.projections.index_store import IndexStore
from fleet.projections.turns import Asked, TurnFold
from tests.core import sessions as s
from tests.core.test_session_laws import commands
from tests.core.walks import walk


def recorded(log: tuple[SessionEvent, ...]) -> list[Recorded]:
    """Return the events as the log holds them; every other position belongs to another stream."""
    cause = Cause("token:ann")
    return [Recorded(2 * n, "session-s1", n, "", 1, 0, cause, b"", event) for n, event in enumerate(log, 1)]


def folded(events: list[Recorded]) -> TurnFold:
    turns = TurnFold()
    for event in events:
        turns.apply(event)
    for charge in charges(events):
        turns.charge(*charge)
    return turns


def charges(events: list[Recorded]) -> list[tuple[int, int, Charge]]:
    """Return what each message has cost more: a later version of it is charged to the turn that had it first."""
    turn: int | None = None
    paid: dict[str, tuple[int | None, Charge]] = {}
    found: list[tuple[int, int, Charge]] = []
    for recorded in events:
        event = recorded.event
        if isinstance(event, TurnStarted):
            turn = event.number
        if isinstance(event, MessageRecorded):
            payer, before = paid.get(event.message_id, (turn, Charge()))
            now = Charge(event.cost_usd, event.tokens)
            paid[event.message_id] = payer, now
            if payer is not None and now != before:
                more = Charge(now.cost_usd - before.cost_usd, now.tokens - before.tokens)
                found.append((recorded.position, payer, more))
    return found


def unpaid(log: tuple[SessionEvent, ...]) -> float:
    """Return what the messages cost in the end that were recorded before the first turn."""
    first = next((n for n, event in enumerate(log) if isinstance(event, TurnStarted)), len(log))
    before = {event.message_id for event in log[:first] if isinstance(event, MessageRecorded)}
    costs = {event.message_id: event.cost_usd for event in log if isinstance(event, MessageRecorded)}
    return sum(costs[message_id] for message_id in before)


@settings(max_examples=150)
@given(st.data())
def test_costs_of_turns_add_up_to_the_session_at_any_position(data: st.DataObject) -> None:
    def nothing(*_: object) -> None:
        pass

    state: State
    state, log = walk(data, SESSION, commands, nothing)
    events = recorded(log)
    turns = folded(events)
    assert [turn.number for turn in turns.at(None)] == list(range(1, len(turns.at(None)) + 1))
    with closing(IndexStore(None)) as index:
        if events:
            index.apply("session-s1", events)
        assert index.charges(index.stream("session-s1"), 0, 10_000) == charges(events)
    if state.phase != "erased":
        assert sum(turn.cost_usd for turn in turns.at(None)) == pytest.approx(state.usage.cost_usd - unpaid(log))
        assert [turn.number for turn in turns.at(None) if turn.ended_at_ms is None] == (
            [] if state.turn is None else [state.turn.number]
        )
    for position in range(2 * len(events) + 2):
        assert turns.at(position) == folded([e for e in events if e.position <= position]).at(None)


def test_turn_has_its_actor_prompt_and_end() -> None:
    before = (
        *s.FINISHED,
        PromptAccepted(prompt_id="p2", text="Tidy\n  up " + "x" * 300, at_ms=s.AT),
        s.started(2, "p2"),
    )
    steered = (
        PromptDelivered(message_id="msg_p2", at_ms=s.AT),
        PromptAccepted(prompt_id="p3", text="and test", at_ms=s.AT),
        TurnSteered(number=2, prompt_id="p3", message_id="msg_p3", part_ids=("prt_p300",), at_ms=s.AT),
        PromptDelivered(message_id="msg_p3", at_ms=s.AT),
    )
    changed = ChangesRecorded(
        number=2,
        tree="t2",
        turn_manifest="turn",
        session_manifest="session",
        totals=Totals(9, 9, 9),
        overlaps=(),
        at_ms=s.AT,
        turn_totals=Totals(1, 2, 3),
    )
    log = (*before, *steered, s.paid(0.5, 7), s.paid(0.75, 9), changed, s.ended(2, "finished"))
    turn = folded(recorded(log)).at(None)[-1]
    assert turn.asked == Asked(("Tidy up " + "x" * 300)[:200], "token:ann")
    assert (turn.cost_usd, turn.tokens.output, turn.changes) == (0.75, 9, Totals(1, 2, 3))
    assert [(each.message_id, each.asked.head) for each in turn.steered] == [("msg_p3", "and test")]
    assert (turn.outcome, turn.ended_at_ms, turn.end_position) == ("finished", s.AT, 2 * len(log))
    assert turn.position == 2 * (len(before))


def test_steering_prompt_that_arrives_after_the_end_is_not_in_the_turn() -> None:
    steering = (
        PromptAccepted(prompt_id="p3", text="and test", at_ms=s.AT),
        TurnSteered(number=1, prompt_id="p3", message_id="msg_p3", part_ids=("prt_p300",), at_ms=s.AT),
    )
    log = (*s.ACTIVE, *steering, s.ended(1, "finished"), s.started(2, "p3"))
    turns = folded(recorded(log))
    assert [len(turn.steered) for turn in turns.at(None)] == [0, 0]
    assert turns.at(None)[1].asked.head == "and test"
    assert [len(turn.steered) for turn in turns.at(2 * (len(s.ACTIVE) + 2))] == [1]


def test_a_command_whose_arguments_were_edited_keeps_its_name() -> None:
    accepted = PromptAccepted(prompt_id="p2", text="HEAD", at_ms=s.AT, command="review")
    log = (*s.FINISHED, accepted, PromptEdited(prompt_id="p2", text="HEAD~2", at_ms=s.AT), s.started(2, "p2"))
    assert folded(recorded(log)).at(None)[-1].asked.head == "/review HEAD~2"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        (" a \n\tb ", "a b"),
        ("x" * 500, "x" * 200),
        (" " * 300 + "deep", "deep"),
        ("a" + " " * 900 + "b", "a"),
    ],
)
def test_the_head_of_a_text_is_one_line(text: str, line: str) -> None:
    assert head(text) == line
