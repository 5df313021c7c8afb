"""The ports for hosts: the machines on which sessions work, what each can do, and which has room for a session.

The machine of the server is the host `local`. It is always there, and existing directories are on it. Other hosts come
from an engine (`fleet/adapters/ray`): each has its own copies of the repositories, its own workspaces and processes.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import msgspec

from fleet.ports.files import Files
from fleet.ports.host import OpenCodeHost
from fleet.ports.removals import Removals
from fleet.ports.setups import Scripts
from fleet.ports.shells import Shells
from fleet.ports.trees import Trees
from fleet.ports.workspaces import Workspaces

LOCAL: Final = "local"
"""The name of the server's own machine."""

OnDelay = Callable[[str], Awaitable[None]]
"""Receives the reason why something has to wait, as words that follow "waits for"."""


class Need(msgspec.Struct, frozen=True):
    """What a session needs of a host: its name or labels if they matter, cores, and memory in MiB.

    It may not be one of the hosts in `avoid`, which are drained.
    """

    host: str | None = None
    labels: Mapping[str, str] = {}
    cpus: float = 0.0
    memory_mb: int = 0
    avoid: frozenset[str] = frozenset()


class HostInfo(msgspec.Struct, frozen=True):
    """What a host says of itself.

    `epoch` is new whenever its agent has started. `address` is where OpenCode processes can be reached, `root` the
    directory of its workspaces. The versions are those of Fleet, OpenCode (None: not found), git, Python and the engine
    ("" on `local`). `clock_ms` is its clock in Unix milliseconds when it answered. `lease_s` is how long its processes
    run without the server.
    """

    name: str
    epoch: str
    address: str
    root: str
    version: str
    opencode_version: str | None
    git_version: str
    python_version: str
    engine_version: str
    labels: Mapping[str, str]
    cpus: float
    memory_bytes: int
    memory_free_bytes: int
    disk_free_bytes: int
    clock_ms: int
    lease_s: float = 0.0


class HostUp(msgspec.Struct, frozen=True):
    """The host answers, for the first time, again, or with news about itself."""

    info: HostInfo


class HostSilent(msgspec.Struct, frozen=True):
    """The host does not answer. Its processes may still run."""

    name: str
    evidence: str


class HostLost(msgspec.Struct, frozen=True):
    """The host has not answered for longer than the grace, so its lease has ended: no process of Fleet runs there."""

    name: str
    evidence: str


class EngineDown(msgspec.Struct, frozen=True):
    """The engine does not answer: nothing can be placed, and nothing is known about the hosts."""

    evidence: str


class EngineUp(msgspec.Struct, frozen=True):
    """The engine answers again."""


HostEvent = HostUp | HostSilent | HostLost | EngineDown | EngineUp


class Host(Protocol):
    """One machine. Its ports raise `Unavailable` host_unreachable while it does not answer.

    A call that failed so may have been carried out. Every call can be repeated: it is idempotent by the ids in it.
    """

    @property
    def name(self) -> str:
        """Its name, which stays the same when it restarts."""
        ...

    @property
    def opencode(self) -> OpenCodeHost:
        """Its OpenCode processes."""
        ...

    @property
    def workspaces(self) -> Workspaces:
        """Its workspaces. A source is a directory on the server's machine; its repository is copied to the host."""
        ...

    @property
    def trees(self) -> Trees:
        """Snapshots of its workspaces. The server's machine stores all of them."""
        ...

    @property
    def removals(self) -> Removals:
        """Its removals and restores. Preserved work is in the source's repository on the server's machine."""
        ...

    @property
    def files(self) -> Files:
        """The files in its workspaces."""
        ...

    @property
    def scripts(self) -> Scripts:
        """Its set-ups."""
        ...

    @property
    def shells(self) -> Shells:
        """The shells of its agents."""
        ...


class HostPorts(msgspec.Struct, frozen=True):
    """A `Host` as a value: its name and its ports."""

    name: str
    opencode: OpenCodeHost
    workspaces: Workspaces
    trees: Trees
    removals: Removals
    files: Files
    scripts: Scripts
    shells: Shells


class Hosts(Protocol):
    """All hosts of one Fleet."""

    def host(self, name: str) -> Host:
        """Return the host, whether it answers or not. Raises `Rejected` host_unknown for a name that was never seen."""
        ...

    async def require(self, need: Need) -> None:
        """Raise the `Rejected` with which `reserve` would refuse the need now."""
        ...

    async def reserve(self, slot: str, need: Need, preferred: tuple[str, ...], delayed: OnDelay) -> str:
        """Reserve room for `slot` and return the name of the host: the first of `preferred` with room, or any other.

        `local` is for those that name it. The same slot gets the same host until it is released. If none has room it
        waits, and reports by `delayed` for what; an engine with an autoscaler may start a host meanwhile. Raises
        `Rejected` host_unknown, host_unsuitable if no host can ever fulfil the need; `Unavailable` engine_down.
        """
        ...

    async def release(self, slot: str) -> None:
        """Give the room of a slot back. Idempotent."""
        ...

    async def slots(self) -> Mapping[str, str]:
        """Return the slots for which room is reserved on other hosts than `local`, each with its host.

        Raises `Unavailable` engine_down.
        """
        ...

    def watch(self) -> AbstractAsyncContextManager[AsyncIterator[HostEvent]]:
        """Follow the hosts and the engine: first the state of each as it is known, then every change."""
        ...
