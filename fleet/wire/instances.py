"""Response bodies of OpenCode's processes; see items.py."""

from fleet.wire.enums import InstanceStatus, StopReason
from fleet.wire.items import WireItem


class ExitItem(WireItem, kw_only=True):
    """How a process ended: its exit code or signal; both null if it was not a child of this server."""

    code: int | None
    signal: int | None


class StopStepItem(WireItem, kw_only=True):
    """A step of stopping a process and its tools' processes: `term`, `term_again`, `kill` or `sweep`."""

    step: str
    pids: list[int]


class InstanceItem(WireItem, kw_only=True):
    """An OpenCode process, running or ended, on the machine `host`. `memoryBytes` is null if it has ended."""

    id: str
    host: str
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
    """A live process of this Fleet without an instance. `server` is false for a process that a tool started."""

    pid: int
    instance_id: str
    server: bool
