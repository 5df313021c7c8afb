"""The workspace roots aggregate: clients' choices, which narrow the configured roots and never widen them.

One aggregate with the id `fleet`. While no root is chosen, all configured roots apply.
"""

from typing import Final

import msgspec
from msgspec.structs import replace

from fleet.core.decider import Decider
from fleet.core.messages import Command, Event
from fleet.core.paths import is_inside
from fleet.errors import Rejected
from fleet.limits import WORKSPACE_ROOTS_MAX

ROOTS_ID: Final = "fleet"


class AddWorkspaceRoot(Command, frozen=True, kw_only=True):
    """Add this real directory, which is inside a configured root, to the chosen roots."""

    path: str


class RemoveWorkspaceRoot(Command, frozen=True, kw_only=True):
    """Remove this directory from the chosen roots. When none is left, all configured roots apply again."""

    path: str


WorkspaceRootCommand = AddWorkspaceRoot | RemoveWorkspaceRoot


class WorkspaceRootAdded(Event, frozen=True, kw_only=True):
    """From now on sessions may work here."""

    path: str


class WorkspaceRootRemoved(Event, frozen=True, kw_only=True):
    """From now on sessions may not work here, unless another root allows it."""

    path: str


WorkspaceRootEvent = WorkspaceRootAdded | WorkspaceRootRemoved


class State(msgspec.Struct, frozen=True):
    """The chosen roots, oldest first."""

    id: str
    paths: tuple[str, ...] = ()


def initial(roots_id: str) -> State:
    """Return the state before any choice."""
    return State(roots_id)


def decide(command: WorkspaceRootCommand, state: State) -> tuple[WorkspaceRootEvent, ...]:
    """Return the events that `command` causes. Raises `Rejected` root_not_found, roots_full."""
    match command:
        case AddWorkspaceRoot(path=path, at_ms=at_ms):
            if path in state.paths:
                return ()
            if len(state.paths) >= WORKSPACE_ROOTS_MAX:
                raise Rejected("roots_full", f"{WORKSPACE_ROOTS_MAX} workspace roots are chosen already")
            return (WorkspaceRootAdded(path=path, at_ms=at_ms),)
        case RemoveWorkspaceRoot(path=path, at_ms=at_ms):
            if path not in state.paths:
                raise Rejected("root_not_found", f"{path} is not one of the chosen workspace roots")
            return (WorkspaceRootRemoved(path=path, at_ms=at_ms),)


def evolve(state: State, event: WorkspaceRootEvent) -> State:
    """Return the state after `event`."""
    match event:
        case WorkspaceRootAdded(path=path):
            return replace(state, paths=(*state.paths, path))
        case WorkspaceRootRemoved(path=path):
            return replace(state, paths=tuple(kept for kept in state.paths if kept != path))


def allowed(configured: tuple[str, ...], chosen: tuple[str, ...]) -> tuple[str, ...]:
    """Return the roots below which sessions may work: of a configured and a chosen root, the inner one.

    A chosen root outside of all configured roots allows nothing, but it still counts as a choice.
    """
    if not chosen:
        return configured
    inner = [a for a in chosen if is_inside(a, configured)] + [b for b in configured if is_inside(b, chosen)]
    return tuple(dict.fromkeys(inner))


def _none(*_: object) -> tuple[()]:
    """Order no effect."""
    return ()


ROOTS: Final[Decider[WorkspaceRootCommand, State, WorkspaceRootEvent, object]] = Decider(
    "roots", initial, decide, evolve, _none, _none
)
