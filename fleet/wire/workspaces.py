"""Response bodies of workspaces."""

from fleet.wire.enums import NotCarriedKind, Strategy, WorkspaceStatus
from fleet.wire.items import KeptItem, WireItem
from fleet.wire.returned_work import ReturnedItem


class NotCarriedItem(WireItem, kw_only=True):
    """A part of the source that a workspace does not have. `detail` says what is missing and what to do."""

    what: NotCarriedKind
    detail: str


class TeardownItem(WireItem, kw_only=True):
    """The result of the teardown before a removal; `output` is the end of its output.

    `exitCode` is null if it did not run to its end, and `detail` says why.
    """

    exit_code: int | None
    detail: str
    output: str
    at: str


class PortsItem(WireItem, kw_only=True):
    """Loopback ports that only this workspace has: `count` of them, from `first` on."""

    first: int
    count: int


class WorkspaceItem(WireItem, kw_only=True):
    """A workspace. `branch` is the one that was checked out when it was made.

    `host` is the machine that it is on. `notCarried` lists parts of the source that it does not have: hooks, filters,
    LFS contents, submodules and others.
    `returned` is newer work that was found on hosts from which the workspace has moved.
    """

    id: str
    title: str | None
    host: str | None
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
    returned: list[ReturnedItem]


class WorkspaceDetail(WorkspaceItem, kw_only=True):
    """A workspace with its state now. `currentBranch` is null when detached; `dirty`: it has uncommitted work.

    Both are null if there is no git repository, or if reading it takes longer than 5 s.
    """

    current_branch: str | None
    dirty: bool | None
