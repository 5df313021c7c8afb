"""Transition tables: each reads as it is drawn, and names each phase and event (law 3)."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import pytest

from fleet.core.instance import evolve as instance_evolve
from fleet.core.instance import state as instance_state
from fleet.core.instance.events import InstanceEvent
from fleet.core.session import state as session_state
from fleet.core.session.events import SessionEvent
from fleet.core.transition_table import read_table
from fleet.core.workspace import evolve as workspace_evolve
from fleet.core.workspace import state as workspace_state
from fleet.core.workspace.events import WorkspaceEvent

Lamp = Literal["off", "on"]
LAMP: tuple[Lamp, ...] = get_args(Lamp)


class Pressed: ...


class Broken: ...


EVENTS = (Pressed, Broken)


def test_transition_table_is_read_from_its_text() -> None:
    table = read_table("event off on\nPressed on off\nBroken x =", LAMP, EVENTS)
    assert table == {("off", Pressed): "on", ("on", Pressed): "off", ("off", Broken): None, ("on", Broken): "on"}


@pytest.mark.parametrize(
    ("why", "text"),
    [
        ("a row is missing", "event off on\nPressed on off"),
        ("a row is unknown", "event off on\nPressed on off\nBroken x =\nPulled x x"),
        ("rows change places", "event off on\nBroken x =\nPressed on off"),
        ("a row stands twice", "event off on\nPressed on off\nPressed on off\nBroken x ="),
        ("a column is missing", "event off\nPressed on\nBroken x"),
        ("a column is unknown", "event off on dim\nPressed on off off\nBroken x = ="),
        ("columns change places", "event on off\nPressed off on\nBroken = x"),
        ("a cell is missing", "event off on\nPressed on\nBroken x ="),
        ("a cell is too many", "event off on\nPressed on off off\nBroken x ="),
        ("a cell names no phase", "event off on\nPressed on dim\nBroken x ="),
    ],
)
def test_transition_table_that_is_not_total_is_refused(why: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_table(text, LAMP, EVENTS)


TABLES: list[tuple[Mapping[tuple[Any, type[Any]], Any], tuple[str, ...], tuple[type[Any], ...]]] = [
    (session_state.TABLE, session_state.PHASES, get_args(SessionEvent)),
    (instance_evolve.TABLE, instance_state.PHASES, get_args(InstanceEvent)),
    (workspace_evolve.TABLE, workspace_state.PHASES, get_args(WorkspaceEvent)),
]


@pytest.mark.parametrize(("table", "phases", "events"), TABLES)
def test_transition_tables_define_every_event_in_every_phase(
    table: Mapping[tuple[Any, type[Any]], Any], phases: tuple[str, ...], events: tuple[type[Any], ...]
) -> None:
    assert set(table) == {(phase, event) for phase in phases for event in events}
    assert set(table.values()) <= {None, *phases}


@pytest.mark.parametrize(("table", "phases", "events"), TABLES)
def test_transition_tables_reach_every_phase(
    table: Mapping[tuple[Any, type[Any]], Any], phases: tuple[str, ...], events: tuple[type[Any], ...]
) -> None:
    entered = {to for (phase, _), to in table.items() if to not in (None, phase)}
    assert entered == set(phases) - {"absent"}


@pytest.mark.parametrize(("table", "phases", "events"), TABLES)
def test_only_the_first_event_applies_to_an_absent_aggregate(
    table: Mapping[tuple[Any, type[Any]], Any], phases: tuple[str, ...], events: tuple[type[Any], ...]
) -> None:
    assert [event for event in events if table["absent", event] is not None] == [events[0]]
    assert all(table[phase, events[0]] != "absent" for phase in phases)
