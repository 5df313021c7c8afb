"""Response bodies of workspaces."""

from fleet.wire.enums import NotCarriedKind, Strategy, WorkspaceStatus
from fleet.wire.items import KeptItem, WireItem


class NotCarriedItem(WireItem, kw_only=True):
    """Something of the source that a workspace does not have. `detail` says what is missing and what helps."""

    what: NotCarriedKind
    detail: str


class TeardownItem(WireItem, kw_only=True):
    """How the teardown ended that ran before a removal; `output` is the end of what it wrote.

    `exitCode` is null where it did not run to its end, and `detail` says why.
    """

    exit_code: int | None
    detail: str
    output: str
    at: str


class PortsItem(WireItem, kw_only=True):
    """Ports of the loopback address that are the workspace's alone: `count` of them, from `first` on."""

    first: int
    count: int


class WorkspaceItem(WireItem, kw_only=True):
    """A workspace. `branch` is the one that was checked out when it was made.

    `notCarried` lists what of the source did not come along, such as hooks, filters, LFS contents or submodules.
    """

    id: str
    title: str | None
    status: WorkspaceStatus
    isolation_strategy: Strategy
    source_directory: str
    directory: str
    branch: str | None
    sessions: list[str]
    failure: str | None
    kept: KeptItem | None
    not_carried: list[NotCarriedItem]
    teardown: TeardownItem | None
    ports: PortsItem | None


class WorkspaceDetail(WorkspaceItem, kw_only=True):
    """A workspace, looked at now. `currentBranch` is null when detached, `dirty` tells whether work is not committed.

    Both are null where there is nothing to look at, or the look takes longer than 5 s.
    """

    current_branch: str | None
    dirty: bool | None
