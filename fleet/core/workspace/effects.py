"""The effects of a workspace: the outside work that its events ask for.

A removal first preserves what exists only there and logs where (`WorkPreserved`); only then it removes files (law 9).
"""

from typing import Final

import msgspec

from fleet.core.workspace.commands import (
    ReportPrepareFailed,
    ReportRemovalFailed,
    ReportRestoreFailed,
    WorkspaceCommand,
)
from fleet.core.workspace.events import (
    WorkspaceErased,
    WorkspaceEvent,
    WorkspaceMoved,
    WorkspaceRemovalRequested,
    WorkspaceRequested,
    WorkspaceRestoreRequested,
)
from fleet.core.workspace.state import State
from fleet.ports import PreservedWork, WorkspaceSpec


class Prepare(msgspec.Struct, frozen=True):
    """Create the workspace, then `ReportPrepared`; if that fails, discard it, then `ReportPrepareFailed`.

    With `saved` it existed on another host, or on this one, and is restored from that work.
    """

    key: str
    spec: WorkspaceSpec
    saved: PreservedWork | None = None


class Remove(msgspec.Struct, frozen=True):
    """Preserve what exists only there, `ReportPreserved`, remove it, `ReportRemoved`; or `ReportRemovalFailed`."""

    key: str
    spec: WorkspaceSpec


class Restore(msgspec.Struct, frozen=True):
    """Restore it from the preserved work, then `ReportRestored` or `ReportRestoreFailed`."""

    key: str
    spec: WorkspaceSpec
    kept: PreservedWork


class EraseWorkspaceRecords(msgspec.Struct, frozen=True):
    """Erase the payloads of the workspace's events. Nothing is reported: the stream has ended."""

    key: str


Effect = Prepare | Remove | Restore | EraseWorkspaceRecords


def pending(state: State) -> tuple[Effect, ...]:
    """Return the effects that are ordered and not yet reported done."""
    if state.phase == "erased":
        return (EraseWorkspaceRecords("erase"),)
    if state.spec is None:
        return ()
    if state.phase == "preparing":
        return (Prepare("prepare", state.spec, state.saved),)
    if state.phase == "removing":
        return (Remove("remove", state.spec),)
    if state.phase == "restoring" and state.kept is not None:
        return (Restore("restore", state.spec, state.kept),)
    return ()


def failure(effect: Effect, code: str, detail: str, at_ms: int) -> WorkspaceCommand | None:
    """Return the report that `effect` has failed; None for an erasure, which is retried until it succeeds."""
    if isinstance(effect, EraseWorkspaceRecords):
        return None
    if isinstance(effect, Prepare):
        return ReportPrepareFailed(code=code, detail=detail, at_ms=at_ms)
    if isinstance(effect, Remove):
        return ReportRemovalFailed(code=code, detail=detail, at_ms=at_ms)
    return ReportRestoreFailed(code=code, detail=detail, at_ms=at_ms)


_ORDERS: Final = frozenset(
    (WorkspaceRequested, WorkspaceMoved, WorkspaceRemovalRequested, WorkspaceRestoreRequested, WorkspaceErased)
)


def react(state: State, event: WorkspaceEvent) -> tuple[Effect, ...]:
    """Return the effects that `event` orders, given the state after it."""
    return pending(state) if type(event) in _ORDERS else ()
