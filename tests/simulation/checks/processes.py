"""Process safety: at most one process per instance, and none that no instance wants."""

from collections import Counter
from collections.abc import Iterator

from fleet.core.instance.state import LIVE
from tests.simulation.evidence import Evidence


def one_process_per_instance(evidence: Evidence) -> Iterator[str]:
    """An instance never had two living processes, whenever a crash came between spawn and record (law 4)."""
    for instance_id in evidence.overlaps:
        yield f"instance {instance_id} had two processes at the same time"
    for instance_id, count in Counter(instance for instance, _ in evidence.living()).items():
        if count > 1:
            yield f"instance {instance_id} has {count} processes"


def processes_are_owned(evidence: Evidence) -> Iterator[str]:
    """At rest every process and every shell of a tool belongs to an instance that is live, and the other way round."""
    living = dict(evidence.living())
    for instance_id, identity in living.items():
        state = evidence.views.instances.get(instance_id)
        if state is None or state.phase not in LIVE or state.identity != identity:
            yield f"process {identity.pid} of {instance_id} is left over: the instance is {state and state.phase}"
    for state in evidence.views.instances:
        if state.phase in LIVE and state.id not in living:
            yield f"instance {state.id} is {state.phase}, and its process is gone"
    for instance_id in evidence.tools():
        yield f"a tool's shell of {instance_id} is left over"


def instances_are_used(evidence: Evidence) -> Iterator[str]:
    """At rest a live instance has sessions, and sessions and instances agree on who uses whom."""
    sessions, instances = evidence.views.sessions, evidence.views.instances
    for instance in instances:
        if instance.phase in LIVE and not instance.sessions:
            yield f"instance {instance.id} is {instance.phase}, and no session uses it"
        for session_id in instance.sessions:
            session = sessions.get(session_id)
            if session is None or session.opencode.instance_id != instance.id:
                yield f"instance {instance.id} ({instance.phase}) is kept for {session_id}, which does not use it"
    for session in sessions:
        used = None if session.opencode.instance_id is None else instances.get(session.opencode.instance_id)
        if used is not None and (used.phase not in LIVE or session.id not in used.sessions):
            yield f"session {session.id} ({session.phase}) uses {used.id}, which is {used.phase}"
