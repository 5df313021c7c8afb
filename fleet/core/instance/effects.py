"""The effects of an instance: the outside work that its events ask for.

`pending` also recovers from a crash. Where a spawn's identity was never logged, its processes are found by their marker
and killed, and the spawn is repeated. A ready process is found and operated again. A session that was not informed of
the end of its instance is informed.
"""

from typing import Final

import msgspec

from fleet.core.instance import events
from fleet.core.instance.commands import InstanceCommand, ReportStartFailed
from fleet.core.instance.state import LIVE, OVER, State
from fleet.ports import Endpoint, ProcessIdentity


class SpawnProcess(msgspec.Struct, frozen=True):
    """Kill what an earlier attempt left, spawn the process, then `ReportSpawned` or `ReportStartFailed`."""

    key: str
    instance_id: str
    directory: str


class AwaitReady(msgspec.Struct, frozen=True):
    """Wait until the process accepts requests, then `ReportReady` or `ReportStartFailed`."""

    key: str
    instance_id: str
    identity: ProcessIdentity


class OperateProcess(msgspec.Struct, frozen=True):
    """Connect to the process, follow its events and check that it lives, until `ReportLost`."""

    key: str
    instance_id: str
    identity: ProcessIdentity
    endpoint: Endpoint


class StopProcess(msgspec.Struct, frozen=True):
    """Abort the turns and stop the process, or kill the remnants of a lost one; then `ReportInstanceStopped`."""

    key: str
    instance_id: str
    identity: ProcessIdentity | None
    endpoint: Endpoint | None
    directories: tuple[str, ...]


class InformSession(msgspec.Struct, frozen=True):
    """Notify the session that this instance has ended, then `ReportInformed`."""

    key: str
    instance_id: str
    session_id: str
    orderly: bool
    evidence: str
    host_lost: bool = False


Effect = SpawnProcess | AwaitReady | OperateProcess | StopProcess | InformSession


def pending(state: State) -> tuple[Effect, ...]:
    """Return the effects that are ordered and not yet reported done."""
    if state.phase == "starting":
        if state.identity is None:
            return (SpawnProcess("spawn", state.id, state.directory),)
        return (AwaitReady("await", state.id, state.identity),)
    if state.phase in LIVE and state.identity is not None and state.endpoint is not None:
        return (OperateProcess("operate", state.id, state.identity, state.endpoint),)
    if state.phase in OVER:
        return (*_stop(state), *_inform(state))
    return ()


def _stop(state: State) -> tuple[Effect, ...]:
    if state.phase == "stopped" or (state.swept and state.phase == "lost"):
        return ()
    directories = tuple(sorted(set(state.sessions.values())))
    endpoint = state.endpoint if state.phase == "stopping" else None
    return (StopProcess("stop", state.id, state.identity, endpoint, directories),)


def _inform(state: State) -> tuple[Effect, ...]:
    return tuple(
        InformSession(f"inform:{session}", state.id, session, state.orderly, state.evidence, state.host_lost)
        for session in state.sessions
    )


_ORDERS_NOTHING: Final = frozenset(
    (
        events.SessionAttached,
        events.SessionDetached,
        events.InstanceUnreachable,
        events.InstanceReachable,
        events.InstanceStopped,
        events.RemnantsKilled,
        events.PermissionAllowed,
    )
)


def react(state: State, event: events.InstanceEvent) -> tuple[Effect, ...]:
    """Return the effects that `event` orders, given the state after it."""
    return () if type(event) in _ORDERS_NOTHING else pending(state)


def failure(effect: Effect, code: str, detail: str, at_ms: int) -> InstanceCommand | None:
    """Return the report that `effect` has failed; None if the effect must not be given up."""
    return (
        ReportStartFailed(code=code, detail=detail, at_ms=at_ms)
        if isinstance(effect, SpawnProcess | AwaitReady)
        else None
    )
