"""The port for OpenCode processes on this machine: start them, find them again, stop them."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from fleet.ports.opencode import OpenCode
from fleet.ports.transcript import Message, OpenCodeSession


class ProcessIdentity(msgspec.Struct, frozen=True):
    """Proof of which process is meant: a pid is reused, a pid with its start time and boot is not.

    `started_at` is in clock ticks or seconds since boot, as the platform gives it: compared for equality only.
    """

    pid: int
    started_at: float
    boot_id: str


class Endpoint(msgspec.Struct, frozen=True):
    """Where a ready OpenCode listens."""

    port: int
    version: str


class Exit(msgspec.Struct, frozen=True):
    """How a process ended: exit code or signal number; both None when it was not our child."""

    code: int | None = None
    signal: int | None = None


class FoundProcess(msgspec.Struct, frozen=True):
    """A live process that carries the marker of one of our instances. `server` is False for what its tools started."""

    instance_id: str
    identity: ProcessIdentity
    server: bool


class StopStep(msgspec.Struct, frozen=True):
    """One step of a stop, for the log: `term`, `term_again`, `kill`, `sweep`; and what it reached."""

    step: str
    pids: tuple[int, ...] = ()


class OpenCodeHost(Protocol):
    """Starts, finds and stops `opencode serve` processes on this machine."""

    @property
    def known_version(self) -> str | None:
        """The version of the executable, None while it has not said it."""
        ...

    async def spawn(self, instance_id: str, directory: str) -> ProcessIdentity:
        """Start a process with `directory` as its working directory.

        Own session and process group, output to a log file, a fresh password in a file of mode 0600, the marker
        `FLEET_INSTANCE_ID` in its environment. Raises `Unavailable`: opencode_missing, opencode_not_executable.
        """
        ...

    async def wait_ready(self, instance_id: str, identity: ProcessIdentity) -> Endpoint:
        """Wait until it listens and is healthy. Raises `Unavailable` opencode_exited (with the log's tail)."""
        ...

    async def wait_exit(self, instance_id: str, identity: ProcessIdentity) -> Exit:
        """Wait until the process is gone; at once where it is gone already."""
        ...

    async def stop(self, instance_id: str, identity: ProcessIdentity | None) -> tuple[StopStep, ...]:
        """TERM, TERM again, KILL, then sweep by marker until no process of the instance is left. Idempotent."""
        ...

    async def end_in(self, directory: str, instance_id: str | None = None) -> tuple[int, ...]:
        """End what tools have left running in the directory or below (TERM, then KILL), and return the pids.

        Those are processes that carry the marker of the instance, for None of any instance, and are no servers.
        """
        ...

    async def find(self) -> tuple[FoundProcess, ...]:
        """Return every live process that carries a marker of this data directory."""
        ...

    def memory_bytes(self, identity: ProcessIdentity) -> int | None:
        """Return the resident memory, None when the process is gone."""
        ...

    async def copy_messages(self, messages: tuple[Message, ...], session: OpenCodeSession) -> None:
        """Give `session` copies of another one's messages, under ids of their own, which are the same every time.

        What it has already is left as it is. Raises `Problem` opencode_refused; some of them may be there then.
        """
        ...

    def is_suspended(self, identity: ProcessIdentity) -> bool:
        """Say whether the process was stopped by a signal or a debugger: it can't answer."""
        ...

    def free_memory_bytes(self) -> int:
        """Return the memory that another process could have."""
        ...

    def connect(self, instance_id: str, endpoint: Endpoint) -> AbstractAsyncContextManager[OpenCode]:
        """Open a client for a ready process, with its password."""
        ...
