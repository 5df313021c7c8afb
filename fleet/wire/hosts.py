"""The bodies about hosts, the machines on which sessions work; see items.py."""

from fleet.wire.enums import HostStatus
from fleet.wire.items import WireItem


class HostItem(WireItem, kw_only=True):
    """A machine on which sessions work; `local` is the server's own.

    `evidence` says why it is silent or lost, `draining` that no further sessions are placed there; a silent host may
    be draining too. `processes` are OpenCode processes, `sessions` those that have not ended, or were disconnected.
    What the host has not said is null: free memory and disk are as it said last.
    """

    name: str
    status: HostStatus
    status_since: str
    evidence: str
    draining: bool
    cores: float | None
    memory_bytes: int | None
    memory_free_bytes: int | None
    disk_free_bytes: int | None
    processes: int
    sessions: int
    version: str | None
    opencode_version: str | None
    git_version: str | None
    python_version: str | None
    engine_version: str | None
    labels: dict[str, str]
    epoch: str | None
    address: str | None


class EngineItem(WireItem, kw_only=True):
    """The engine of the other hosts. While it does not answer, no session is placed there; sessions that run continue.

    `since` is null if it answers, or if there is none.
    """

    answers: bool
    since: str | None
    evidence: str
