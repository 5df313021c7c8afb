"""The instance's state, its transition table, and `evolve`."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, get_args

import msgspec
from msgspec.structs import replace

from fleet.core.instance import messages as m
from fleet.core.table import ImpossibleEvent, read_table
from fleet.limits import ALLOWANCES_KEPT
from fleet.ports import Endpoint, ProcessIdentity

Phase = Literal["unborn", "starting", "ready", "unreachable", "stopping", "stopped", "lost"]
PHASES: Final[tuple[Phase, ...]] = get_args(Phase)
LIVE: Final[frozenset[Phase]] = frozenset(("ready", "unreachable"))
OVER: Final[frozenset[Phase]] = frozenset(("stopping", "stopped", "lost"))

TABLE: Final = read_table(
    """
    event                  unborn    starting  ready        unreachable  stopping  stopped  lost
    InstanceRequested      starting  x         x            x            x         x        x
    SessionAttached        x         =         =            =            x         x        x
    SessionDetached        x         =         =            =            =         =        =
    InstanceSpawned        x         =         x            x            x         x        x
    InstanceReady          x         ready     x            x            x         x        x
    InstanceStartFailed    x         stopping  x            x            x         x        x
    InstanceUnreachable    x         x         unreachable  x            x         x        x
    InstanceReachable      x         x         x            ready        x         x        x
    InstanceLost           x         x         lost         lost         x         x        x
    InstanceStopRequested  x         stopping  stopping     stopping     x         x        x
    InstanceStopped        x         x         x            x            stopped   x        x
    InstanceSwept          x         x         x            x            x         x        =
    PermissionAllowed      x         x         =            =            x         x        x
    """,
    PHASES,
    get_args(m.Event),
)


class State(msgspec.Struct, frozen=True):
    """An instance.

    `sessions` maps those that use it, or do not know yet that it has ended, to their directories. `orderly`: it was
    stopped on purpose. `swept` is False as long as a lost process may have left something running. `allowed` are the
    last things that people have allowed for good.
    """

    id: str
    phase: Phase = "unborn"
    since_ms: int = 0
    evidence: str = ""
    key: str = ""
    directory: str = ""
    sessions: dict[str, str] = {}
    identity: ProcessIdentity | None = None
    endpoint: Endpoint | None = None
    stop_reason: m.StopReason | None = None
    failure_code: str | None = None
    swept: bool = True
    created_at_ms: int = 0
    changed_at_ms: int = 0
    allowed: tuple[m.PermissionAllowed, ...] = ()

    @property
    def orderly(self) -> bool:
        """Whether it ended because Fleet wanted it to."""
        return self.stop_reason in ("unused", "shutdown")

    @property
    def keeps_processes(self) -> bool:
        """Whether its own effects look after its processes: use them, adopt them, or stop and sweep them."""
        return self.phase not in ("unborn", "stopped", "lost") or not self.swept


def initial(instance_id: str) -> State:
    """Return the state of an instance that does not exist yet."""
    return State(id=instance_id)


def evolve(state: State, event: m.Event) -> State:
    """Return the state after `event`. Raises `ImpossibleEvent` for what the table refuses."""
    kind = type(event)
    phase = TABLE[state.phase, kind]
    if phase is None:
        raise ImpossibleEvent(f"{kind.__name__} in an instance that is {state.phase}")
    changes = _CHANGES[kind](state, event)
    changes["changed_at_ms"] = event.at_ms
    if phase != state.phase:
        changes["phase"] = phase
        changes["since_ms"] = event.at_ms
    return replace(state, **changes)


Changes = dict[str, Any]


def _requested(_: State, event: m.InstanceRequested) -> Changes:
    return {
        "key": event.key,
        "directory": event.directory,
        "created_at_ms": event.at_ms,
        "evidence": "to be spawned",
    }


def _attached(state: State, event: m.SessionAttached) -> Changes:
    return {"sessions": {**state.sessions, event.session_id: event.directory}}


def _detached(state: State, event: m.SessionDetached) -> Changes:
    return {"sessions": {s: d for s, d in state.sessions.items() if s != event.session_id}}


def _spawned(_: State, event: m.InstanceSpawned) -> Changes:
    return {"identity": event.identity, "evidence": f"spawned as process {event.identity.pid}"}


def _ready(_: State, event: m.InstanceReady) -> Changes:
    where = event.endpoint
    return {"endpoint": where, "evidence": f"OpenCode {where.version} listens on port {where.port}"}


def _start_failed(_: State, event: m.InstanceStartFailed) -> Changes:
    return {"failure_code": event.code, "evidence": event.detail, "stop_reason": "failed"}


def _unreachable(_: State, event: m.InstanceUnreachable) -> Changes:
    return {"evidence": event.evidence}


def _reachable(_: State, __: m.InstanceReachable) -> Changes:
    return {"evidence": "answers again"}


def _lost(_: State, event: m.InstanceLost) -> Changes:
    return {"evidence": event.evidence, "swept": False}


_WHY: Final[Mapping[m.StopReason, str]] = {
    "unused": "no session uses it",
    "shutdown": "Fleet was shut down",
    "failed": "it could not be used",
    "hung": "it did not answer, and its process was found stopped",
}


def _stop_requested(_: State, event: m.InstanceStopRequested) -> Changes:
    return {"stop_reason": event.reason, "evidence": _WHY[event.reason]}


def _nothing(_: State, __: Any) -> Changes:
    return {}


def _allowed(state: State, event: m.PermissionAllowed) -> Changes:
    return {"allowed": (*state.allowed, event)[-ALLOWANCES_KEPT:]}


def _swept(_: State, __: m.InstanceSwept) -> Changes:
    return {"swept": True}


_CHANGES: Final[Mapping[type[Any], Callable[[State, Any], Changes]]] = {
    m.InstanceRequested: _requested,
    m.SessionAttached: _attached,
    m.SessionDetached: _detached,
    m.InstanceSpawned: _spawned,
    m.InstanceReady: _ready,
    m.InstanceStartFailed: _start_failed,
    m.InstanceUnreachable: _unreachable,
    m.InstanceReachable: _reachable,
    m.InstanceLost: _lost,
    m.InstanceStopRequested: _stop_requested,
    m.InstanceStopped: _nothing,
    m.InstanceSwept: _swept,
    m.PermissionAllowed: _allowed,
}
