"""The hosts aggregate: which machines this Fleet has seen, when each was silent, lost or draining, and why.

One aggregate with the id `fleet`. It records changes only: free memory and heartbeats are in no event. The server's own
machine, `local`, answers as long as the server runs, so nothing is recorded of it. It cannot be drained: without other
hosts there is no other place, and with them a session works there only if it asks for it.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from fleet.core.decider import Decider
from fleet.core.messages import Command, Event
from fleet.errors import Rejected
from fleet.limits import HOSTS_KNOWN_MAX
from fleet.ports import LOCAL, EngineDown, EngineUp, HostEvent, HostInfo, hosts

HOSTS_ID: Final = "fleet"

HostPhase = Literal["up", "silent", "lost"]
"""`silent`: it does not answer, and its processes may still run. `lost`: no process of Fleet runs there any more."""


class HostFacts(msgspec.Struct, frozen=True):
    """What a host is, without what changes by itself. The fields are those of `fleet.ports.HostInfo`."""

    epoch: str
    address: str
    root: str
    labels: Mapping[str, str]
    cpus: float
    memory_bytes: int
    version: str
    opencode_version: str | None
    git_version: str
    python_version: str
    engine_version: str
    lease_s: float = 0.0


class NoteNews(Command, frozen=True, kw_only=True):
    """Record what the port `Hosts` reports, as far as it is new."""

    news: HostEvent


class DrainHost(Command, frozen=True, kw_only=True):
    """Place no further sessions on this host."""

    name: str


class UndrainHost(Command, frozen=True, kw_only=True):
    """Place sessions on this host again."""

    name: str


HostsCommand = NoteNews | DrainHost | UndrainHost


class HostSeen(Event, frozen=True, kw_only=True):
    """The host answered for the first time, or with other facts about itself, such as a new epoch of its agent."""

    name: str
    facts: HostFacts


class HostSilent(Event, frozen=True, kw_only=True):
    """The host does not answer. Its processes may still run."""

    name: str
    evidence: str


class HostLost(Event, frozen=True, kw_only=True):
    """The host has not answered for longer than the grace: no process of Fleet runs there any more."""

    name: str
    evidence: str


class HostReturned(Event, frozen=True, kw_only=True):
    """The host answers again, after it was silent or lost since `away_since_ms`."""

    name: str
    away_since_ms: int


class HostDraining(Event, frozen=True, kw_only=True):
    """A person has decided that no further sessions are placed on this host."""

    name: str


class HostUndrained(Event, frozen=True, kw_only=True):
    """A person has decided that sessions are placed on this host again."""

    name: str


class EngineLost(Event, frozen=True, kw_only=True):
    """The engine of the hosts does not answer: nothing can be placed on them."""

    evidence: str


class EngineBack(Event, frozen=True, kw_only=True):
    """The engine answers again, after it did not since `away_since_ms`."""

    away_since_ms: int


HostsEvent = HostSeen | HostSilent | HostLost | HostReturned | HostDraining | HostUndrained | EngineLost | EngineBack


class KnownHost(msgspec.Struct, frozen=True):
    """A host since its first answer; `evidence` is why it is silent or lost."""

    name: str
    facts: HostFacts | None = None
    phase: HostPhase = "up"
    since_ms: int = 0
    evidence: str = ""
    draining_since_ms: int | None = None


class State(msgspec.Struct, frozen=True):
    """The hosts by name, in the order in which they were first seen, and the engine if it is lost."""

    id: str
    hosts: Mapping[str, KnownHost] = {}
    engine_lost: EngineLost | None = None

    @property
    def draining(self) -> frozenset[str]:
        """The names of the hosts on which no further sessions are placed."""
        return frozenset(each.name for each in self.hosts.values() if each.draining_since_ms is not None)

    @property
    def reachable(self) -> tuple[str, ...]:
        """The names of the hosts that answer."""
        return tuple(each.name for each in self.hosts.values() if each.phase == "up" and each.facts is not None)

    def host(self, name: str) -> KnownHost:
        """Return what is recorded of a host; of `local` and others without a record, that they answer."""
        return self.hosts.get(name) or KnownHost(name)

    def takes_sessions(self, name: str) -> bool:
        """Return whether a host answers and is not drained."""
        host = self.host(name)
        return host.phase == "up" and host.draining_since_ms is None

    @property
    def lost(self) -> frozenset[str]:
        """The names of the hosts that are lost."""
        return frozenset(each.name for each in self.hosts.values() if each.phase == "lost")


def initial(hosts_id: str) -> State:
    """Return the state before the first host."""
    return State(hosts_id)


def decide(command: HostsCommand, state: State) -> tuple[HostsEvent, ...]:
    """Return the events that `command` causes. Raises `Rejected` host_not_found, host_local."""
    match command:
        case NoteNews(news=news, at_ms=at_ms):
            return _noted(news, at_ms, state)
        case DrainHost(name=name, at_ms=at_ms):
            return () if _drains(name, state) else (HostDraining(name=name, at_ms=at_ms),)
        case UndrainHost(name=name, at_ms=at_ms):
            return (HostUndrained(name=name, at_ms=at_ms),) if _drains(name, state) else ()


def _noted(news: HostEvent, at_ms: int, state: State) -> tuple[HostsEvent, ...]:
    match news:
        case hosts.HostUp(info=info):
            return _up(info, at_ms, state)
        case hosts.HostSilent(name=name, evidence=evidence):
            answers = name in state.hosts and state.hosts[name].phase == "up"
            return (HostSilent(name=name, evidence=evidence, at_ms=at_ms),) if answers else ()
        case hosts.HostLost(name=name, evidence=evidence):
            is_there = name in state.hosts and state.hosts[name].phase != "lost"
            return (HostLost(name=name, evidence=evidence, at_ms=at_ms),) if is_there else ()
        case EngineDown(evidence=evidence):
            return () if state.engine_lost else (EngineLost(evidence=evidence, at_ms=at_ms),)
        case EngineUp():
            lost = state.engine_lost
            return () if lost is None else (EngineBack(away_since_ms=lost.at_ms, at_ms=at_ms),)


def facts_of(info: HostInfo) -> HostFacts:
    """Return the part of a host's answer that is recorded."""
    return HostFacts(**{name: getattr(info, name) for name in HostFacts.__struct_fields__})


def _up(info: HostInfo, at_ms: int, state: State) -> tuple[HostsEvent, ...]:
    if info.name == LOCAL:
        return ()
    seen, facts = state.hosts.get(info.name), facts_of(info)
    events: list[HostsEvent] = []
    if seen is not None and seen.phase != "up":
        events.append(HostReturned(name=info.name, away_since_ms=seen.since_ms, at_ms=at_ms))
    if seen is None or seen.facts != facts:
        events.append(HostSeen(name=info.name, facts=facts, at_ms=at_ms))
    return tuple(events)


def _drains(name: str, state: State) -> bool:
    if name == LOCAL:
        raise Rejected(
            "host_local", "a session works on the server's machine if it asks for it, or if there is no other"
        )
    if name not in state.hosts:
        raise Rejected("host_not_found", f"this Fleet has never seen a host {name!r}")
    return name in state.draining


def evolve(state: State, event: HostsEvent) -> State:
    """Return the state after `event`."""
    match event:
        case EngineLost():
            return replace(state, engine_lost=event)
        case EngineBack():
            return replace(state, engine_lost=None)
        case _:
            known = state.hosts.get(event.name)
            host = _changed(known or KnownHost(event.name, since_ms=event.at_ms), event)
            return replace(state, hosts={**(state.hosts if known else _with_room(state.hosts)), event.name: host})


def _changed(host: KnownHost, event: HostsEvent) -> KnownHost:
    match event:
        case HostSeen(facts=facts):
            return replace(host, facts=facts)
        case HostSilent(evidence=evidence, at_ms=at_ms):
            return replace(host, phase="silent", since_ms=at_ms, evidence=evidence)
        case HostLost(evidence=evidence, at_ms=at_ms):
            return replace(host, phase="lost", since_ms=at_ms, evidence=evidence)
        case HostReturned(at_ms=at_ms):
            return replace(host, phase="up", since_ms=at_ms, evidence="")
        case HostDraining(at_ms=at_ms):
            return replace(host, draining_since_ms=at_ms)
        case _:
            return replace(host, draining_since_ms=None)


def _with_room(known: Mapping[str, KnownHost]) -> Mapping[str, KnownHost]:
    """Return the hosts without the one that has been lost for the longest time, where they are too many."""
    lost = [each for each in known.values() if each.phase == "lost"]
    if len(known) < HOSTS_KNOWN_MAX or not lost:
        return known
    gone = min(lost, key=lambda each: each.since_ms)
    return {name: each for name, each in known.items() if each is not gone}


def _none(*_: object) -> tuple[()]:
    """Order no effect."""
    return ()


HOSTS: Final[Decider[HostsCommand, State, HostsEvent, object]] = Decider("hosts", initial, decide, evolve, _none, _none)
