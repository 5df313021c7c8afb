"""The items of OpenCode's processes: instances, and processes that no instance owns."""

from typing import cast

from fleet.core.times import rfc3339
from fleet.ports import FoundProcess
from fleet.projections.lives import Life
from fleet.wire.enums import InstanceStatus
from fleet.wire.instances import ExitItem, InstanceItem, OrphanItem, StopStepItem


def instance_item(life: Life, memory_bytes: int | None) -> InstanceItem:
    """Return what the API shows of an instance."""
    state, ended_at_ms = life.state, life.ended_at_ms
    return InstanceItem(
        id=state.id,
        host=state.host,
        status=cast("InstanceStatus", state.phase),  # one that is not born is in no view
        status_since=rfc3339(state.since_ms),
        evidence=state.evidence,
        directory=state.directory,
        pid=None if state.identity is None else state.identity.pid,
        version=None if state.endpoint is None else state.endpoint.version,
        memory_bytes=memory_bytes,
        sessions=list(state.sessions),
        created_at=rfc3339(state.created_at_ms),
        ended_at=None if ended_at_ms is None else rfc3339(ended_at_ms),
        stop_reason=state.stop_reason,
        exit=None if life.exit is None else ExitItem(code=life.exit.code, signal=life.exit.signal),
        steps=[StopStepItem(step=step.step, pids=list(step.pids)) for step in life.steps],
    )


def orphan_item(process: FoundProcess) -> OrphanItem:
    """Return what the API shows of a process that no instance owns."""
    return OrphanItem(pid=process.identity.pid, instance_id=process.instance_id, server=process.server)
