"""Random walks: an aggregate is given any commands in any order, and checked after each.

A walk draws each command either from those that an effect in flight may send back, which leads deep, or from all, which
leads astray. What must hold for every aggregate is asserted here; what holds for one alone, by its `check`.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import strategies as st

from fleet.core.decider import Decider, fold
from fleet.errors import Rejected
from tests.core.given import Keyed

Command = TypeVar("Command")
State = TypeVar("State")
Event = TypeVar("Event")
Effect = TypeVar("Effect", bound=Keyed)

STEPS_MAX = 40


def walk(
    data: st.DataObject,
    decider: Decider[Command, State, Event, Effect],
    commands: Callable[[State], st.SearchStrategy[Command]],
    check: Callable[[State, tuple[Event, ...]], None],
) -> tuple[State, tuple[Event, ...]]:
    """Return where the walk ended, and its log. `check` sees each state together with the log that led to it."""
    state = decider.initial("it")
    log: tuple[Event, ...] = ()
    for _ in range(data.draw(st.integers(1, STEPS_MAX), label="steps")):
        command = data.draw(commands(state))
        try:
            events = decider.decide(command, state)
        except Rejected:  # its code is checked where it is made (errors.py); nothing has changed
            continue
        assert decider.decide(command, state) == events, "decide is a function"
        state = _apply(decider, state, events)
        log = (*log, *events)
        check(state, log)
    assert fold(decider, decider.initial("it"), log) == state
    return state, log


def _apply(decider: Decider[Command, State, Event, Effect], state: State, events: tuple[Event, ...]) -> State:
    ordered: set[str] = set()
    running = _by_key(decider.pending(state))
    for event in events:
        before = _by_key(decider.pending(state))
        state = decider.evolve(state, event)
        after = _by_key(decider.pending(state))
        reaction = _by_key(decider.react(state, event))
        assert reaction.items() <= after.items(), "an effect is ordered that a crash would forget"
        assert after.keys() - before.keys() <= reaction.keys(), "an effect would only run after a crash"
        assert all(before.get(key) != effect for key, effect in reaction.items()), "a running effect is started again"
        assert all(running.get(key) != effect for key, effect in reaction.items()), "one is ended and ordered again"
        ordered |= reaction.keys()
    assert ordered <= _by_key(decider.pending(state)).keys(), "an effect is ordered and made void by one decision"
    return state


def _by_key(effects: tuple[Any, ...]) -> dict[str, Any]:
    keyed = {effect.key: effect for effect in effects}
    assert len(keyed) == len(effects), "two effects with one key"
    return keyed
