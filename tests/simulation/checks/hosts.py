"""Many machines: what runs where, for how long, and what the server's machine has of it.

The machines' own records say what ran when: of Fleet's log these checks use only where it places things.
"""

from collections.abc import Iterator

import trio

from fleet.core.hosts import HostDraining, HostUndrained
from fleet.core.instance.state import LIVE
from tests.fakes.clock import EPOCH_MS
from tests.fakes.machine import FakeMachine
from tests.simulation.evidence import Evidence

SHIM_S = 1.0
"""A shim looks at the lease this often."""


def no_session_runs_at_two_places(evidence: Evidence) -> Iterator[str]:
    """No two processes, on one machine or on two, ran turns of one session at the same time."""
    owners = {
        opencode_id: session_id
        for session_id, states in evidence.states(evidence.views.sessions).items()
        for _, state in states
        for opencode_id in (state.opencode.session_id, *state.opencode.earlier_session_ids)
    }
    runs: dict[str, list[tuple[float, float, str]]] = {}
    for machine in evidence.machines:
        for worked in machine.world.worked:
            owner = owners.get(worked.session_id, worked.session_id)
            end_s = trio.current_time() if worked.end_s is None else worked.end_s
            runs.setdefault(owner, []).append((worked.start_s, end_s, f"{worked.instance_id} on {machine.name}"))
    for session_id, times in runs.items():
        times.sort()
        last_s, one = 0.0, ""
        for start_s, end_s, other in times:
            if start_s < last_s and one != other:
                yield f"session {session_id} ran in {one} until {last_s:.3f} s, and from {start_s:.3f} s in {other}"
            last_s, one = max((last_s, one), (end_s, other))


def no_process_outlives_its_lease(evidence: Evidence) -> Iterator[str]:
    """A process ends with the lease after its machine has heard the head for the last time."""
    for machine in evidence.nodes:
        for start_s, end_s in _silences(machine):
            over_s = start_s + evidence.lease_s + SHIM_S
            for process in machine.world.processes:
                ended_s = trio.current_time() if process.end_s is None else process.end_s
                if process.start_s < end_s and over_s < min(ended_s, end_s):
                    yield f"process {process.identity.pid} of {machine.name} lived {ended_s - over_s:.1f} s too long"


def _silences(machine: FakeMachine) -> Iterator[tuple[float, float]]:
    """Yield the times in which the machine did not hear the head, after it had."""
    starts = [period.start_s for period in machine.periods[1:]] + [trio.current_time()]
    for period, next_s in zip(machine.periods, starts, strict=True):
        if period.end_s is not None:
            yield period.end_s, next_s


def processes_are_where_the_log_places_them(evidence: Evidence) -> Iterator[str]:
    """At rest each process runs on the host of its instance, and on no other."""
    for machine in evidence.machines:
        for process in machine.world.living():
            state = evidence.views.instances.get(process.instance_id)
            if state is None or state.phase not in LIVE or state.host != machine.name:
                place = None if state is None else f"{state.phase} on {state.host}"
                yield f"process {process.instance_id} runs on {machine.name}, and the log says {place}"


def draining_hosts_get_no_new_session(evidence: Evidence) -> Iterator[str]:
    """From the moment when the draining of a host is in the log, only sessions with their last room there get room."""
    draining: dict[str, list[list[float]]] = {}
    for recorded in evidence.history:
        at_s = (recorded.recorded_at_ms - EPOCH_MS) / 1000
        if isinstance(recorded.event, HostDraining):
            draining.setdefault(recorded.event.name, []).append([at_s, float("inf")])
        elif isinstance(recorded.event, HostUndrained):
            draining[recorded.event.name][-1][1] = at_s
    host_of: dict[str, str] = {}
    for reserved in evidence.reserved:
        if host_of.get(reserved.slot) == reserved.host:
            continue
        host_of[reserved.slot] = reserved.host
        for start_s, end_s in draining.get(reserved.host, ()):
            if start_s + 0.1 < reserved.at_s < end_s:
                yield f"room for {reserved.slot} was reserved on {reserved.host}, which is drained"


def no_reservation_is_left(evidence: Evidence) -> Iterator[str]:
    """When all sessions are stopped, no room is reserved."""
    yield from (f"room for {slot} is still reserved" for slot in evidence.left_slots)


def what_was_reported_done_is_on_the_head(evidence: Evidence) -> Iterator[str]:
    """When a turn is reported as finished, its files are in a tree and in the work that is kept on the head."""
    yield from evidence.unreported
