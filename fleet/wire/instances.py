"""Response bodies of OpenCode's processes; see items.py."""

from fleet.wire.enums import InstanceStatus, StopReason
from fleet.wire.items import WireItem


class ExitItem(WireItem, kw_only=True):
    """How a process ended: its exit code or signal; both null where it was not this server's child."""

    code: int | None
    signal: int | None


class StopStepItem(WireItem, kw_only=True):
    """What was done to stop a process and what its tools had started: `term`, `term_again`, `kill`, `sweep`."""

    step: str
    pids: list[int]


class InstanceItem(WireItem, kw_only=True):
    """An OpenCode process, and what became of it. `memoryBytes` is null where the process does not live."""

    id: str
    status: InstanceStatus
    status_since: str
    evidence: str
    directory: str
    pid: int | None
    version: str | None
    memory_bytes: int | None
    sessions: list[str]
    created_at: str
    ended_at: str | None
    stop_reason: StopReason | None
    exit: ExitItem | None
    steps: list[StopStepItem]


class OrphanItem(WireItem, kw_only=True):
    """A live process of this Fleet that no instance looks after. `server` is false for what a tool has started."""

    pid: int
    instance_id: str
    server: bool
