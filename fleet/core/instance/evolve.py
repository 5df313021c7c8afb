"""Evolves an instance by each event, and has the table of which event may come in which phase."""

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, Final, get_args

import msgspec
from msgspec.structs import replace

from fleet.core.instance import events
from fleet.core.instance.commands import StopReason
from fleet.core.instance.state import PHASES, State
from fleet.core.transition_table import StatePatch, patch_of, read_table
from fleet.limits import ALLOWANCES_KEPT

TABLE: Final = read_table(
    """
    event                  absent    starting  ready        unreachable  stopping  stopped  lost
    InstanceRequested      starting  x         x            x            x         x        x
    SessionAttached        x         =         =            =            x         x        x
    SessionDetached        x         =         =            =            =         =        =
    InstanceSpawned        x         =         x            x            x         x        x
    InstanceReady          x         ready     x            x            x         x        x
    InstanceStartFailed    x         stopping  x            x            x         x        x
    InstanceUnreachable    x         x         unreachable  =            x         x        x
    InstanceReachable      x         x         x            ready        x         x        x
    InstanceLost           x         lost      lost         lost         lost      x        x
    InstanceStopRequested  x         stopping  stopping     stopping     x         x        x
    InstanceStopped        x         x         x            x            stopped   x        x
    RemnantsKilled         x         x         x            x            x         x        =
    PermissionAllowed      x         x         =            =            x         x        x
    PermissionRulesRead    x         x         =            =            x         x        x
    """,
    PHASES,
    get_args(events.InstanceEvent),
)


def evolve(state: State, event: events.InstanceEvent) -> State:
    """Return the state after `event`. Raises `ImpossibleEvent` for what the table refuses."""
    return replace(state, **patch_of(TABLE, _CHANGES, state, event, "an instance"), changed_at_ms=event.at_ms)


def _requested(_: State, event: events.InstanceRequested) -> StatePatch:
    return {
        "key": event.key,
        "directory": event.directory,
        "host": event.host,
        "created_at_ms": event.at_ms,
        "evidence": "to be spawned",
    }


def _attached(state: State, event: events.SessionAttached) -> StatePatch:
    return {"sessions": {**state.sessions, event.session_id: event.directory}}


def _detached(state: State, event: events.SessionDetached) -> StatePatch:
    sessions = {s: d for s, d in state.sessions.items() if s != event.session_id}
    in_use = set(sessions.values())  # OpenCode releases any other directory, and reads it again when it is used again
    return {"sessions": sessions, "rules": {d: rules for d, rules in state.rules.items() if d in in_use}}


def _spawned(_: State, event: events.InstanceSpawned) -> StatePatch:
    return {"identity": event.identity, "evidence": f"spawned as process {event.identity.pid}"}


def _ready(_: State, event: events.InstanceReady) -> StatePatch:
    where = event.endpoint
    return {"endpoint": where, "evidence": f"OpenCode {where.version} listens on port {where.port}"}


def _start_failed(_: State, event: events.InstanceStartFailed) -> StatePatch:
    return {"failure_code": event.code, "evidence": event.detail, "stop_reason": "failed"}


def _unreachable(_: State, event: events.InstanceUnreachable) -> StatePatch:
    return {"evidence": event.evidence}


def _reachable(_: State, __: events.InstanceReachable) -> StatePatch:
    return {"evidence": "answers again"}


def _lost(state: State, event: events.InstanceLost) -> StatePatch:
    never_ready = event.host_lost and state.phase == "starting"
    return {
        "evidence": event.evidence,
        "swept": event.host_lost,
        "host_lost": event.host_lost,
        **({"failure_code": "host_unreachable"} if never_ready else {}),
    }


_WHY: Final[Mapping[StopReason, str]] = {
    "unused": "no session uses it",
    "shutdown": "Fleet was shut down",
    "failed": "it could not be used",
    "hung": "it did not answer, and its process was found stopped",
}


def _stop_requested(_: State, event: events.InstanceStopRequested) -> StatePatch:
    return {"stop_reason": event.reason, "evidence": _WHY[event.reason]}


def _nothing(_: State, __: Any) -> StatePatch:
    return {}


def _allowed(state: State, event: events.PermissionAllowed) -> StatePatch:
    return {"allowed": (*state.allowed, event)[-ALLOWANCES_KEPT:]}


def rules_digest(event: events.PermissionRulesRead) -> str:
    """Return a short digest that shows whether the rules have changed."""
    return blake2b(msgspec.json.encode((event.directory, event.agents)), digest_size=8).hexdigest()


def _rules_read(state: State, event: events.PermissionRulesRead) -> StatePatch:
    return {"rules": {**state.rules, event.directory: rules_digest(event)}}


def _swept(_: State, __: events.RemnantsKilled) -> StatePatch:
    return {"swept": True}


_CHANGES: Final[Mapping[type[Any], Callable[[State, Any], StatePatch]]] = {
    events.InstanceRequested: _requested,
    events.SessionAttached: _attached,
    events.SessionDetached: _detached,
    events.InstanceSpawned: _spawned,
    events.InstanceReady: _ready,
    events.InstanceStartFailed: _start_failed,
    events.InstanceUnreachable: _unreachable,
    events.InstanceReachable: _reachable,
    events.InstanceLost: _lost,
    events.InstanceStopRequested: _stop_requested,
    events.InstanceStopped: _nothing,
    events.RemnantsKilled: _swept,
    events.PermissionAllowed: _allowed,
    events.PermissionRulesRead: _rules_read,
}
