"""How long a lost machine holds up the sessions that are resumed elsewhere by themselves, from the log alone."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fleet.core.hosts import HostLost, HostReturned
from fleet.core.instance.events import InstanceRequested
from fleet.core.session.events import ProvisionFailed, SessionCreated, SessionDisconnected, SessionResumed
from fleet.events.envelope import Recorded


class Absence(NamedTuple):
    """A machine went away at this Unix time in milliseconds."""

    machine: str
    began_ms: int


class Resumed(NamedTuple):
    """A session was resumed on another machine, so many seconds after its own went away, and after it was lost."""

    session: str
    machine: str
    away_s: float
    lost_s: float


def resumed_elsewhere(events: Sequence[Recorded], absences: Sequence[Absence]) -> Iterator[Resumed]:
    """Yield the sessions that were resumed by themselves after the loss of their host."""
    hosts: dict[str, str] = {}
    by_itself: set[str] = set()
    lost_ms: dict[str, int] = {}
    waiting: dict[str, tuple[str, int, int]] = {}
    for recorded in events:
        event, session = recorded.event, recorded.stream.partition("-")[2]
        match event:
            case SessionCreated():
                by_itself |= {session} if event.settings.on_host_loss == "resume" else set()
            case InstanceRequested():
                hosts[event.instance_id] = event.host
            case HostLost():
                lost_ms[event.name] = event.at_ms
            case HostReturned():
                lost_ms.pop(event.name, None)
            case SessionDisconnected() if session in by_itself and (name := hosts[event.instance_id]) in lost_ms:
                away_ms = [each.began_ms for each in absences if each.machine == name and each.began_ms < event.at_ms]
                waiting[session] = (name, max(away_ms, default=lost_ms[name]), lost_ms[name])
            case ProvisionFailed():
                waiting.pop(session, None)
            case SessionResumed() if session in waiting:
                name, away, lost = waiting.pop(session)
                yield Resumed(session, name, (event.at_ms - away) / 1000, (event.at_ms - lost) / 1000)
            case _:
                pass
