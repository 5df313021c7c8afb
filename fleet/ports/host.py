"""The port for OpenCode processes on this machine: start them, find them again, stop them."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from fleet.ports.opencode import OpenCode
from fleet.ports.transcript import Message, OpenCodeSession, RecordedMessage


class ProcessIdentity(msgspec.Struct, frozen=True):
    """The identity of a process: a pid may be reused, a pid with its start time and boot id is unique.

    `started_at` is in clock ticks or seconds since boot, as the platform gives it: compared for equality only.
    """

    pid: int
    started_at: float
    boot_id: str


class Endpoint(msgspec.Struct, frozen=True):
    """Where a ready OpenCode listens: a port, and the IP address of its host."""

    port: int
    version: str
    address: str = "127.0.0.1"


class Exit(msgspec.Struct, frozen=True):
    """How a process ended: exit code or signal number; both None when it was not a child of Fleet.

    `reason` says why it was ended, None when it ended by itself or by a stop.
    """

    code: int | None = None
    signal: int | None = None
    reason: str | None = None


class FoundProcess(msgspec.Struct, frozen=True):
    """A live process with the marker of an instance. `server` is False for processes that its tools started."""

    instance_id: str
    identity: ProcessIdentity
    server: bool


class StopStep(msgspec.Struct, frozen=True):
    """One step of a stop, for the log: `term`, `term_again`, `kill`, `sweep`; and its result."""

    step: str
    pids: tuple[int, ...] = ()


class OpenCodeHost(Protocol):
    """Starts, finds and stops `opencode serve` processes on this machine."""

    @property
    def known_version(self) -> str | None:
        """The version of the executable, None while it is unknown."""
        ...

    async def spawn(self, instance_id: str, directory: str) -> ProcessIdentity:
        """Start a process with `directory` as its working directory; a live process of the instance is returned.

        It gets its own session and process group, a log file for its output, a new password in a file of mode 0600, and
        the marker `FLEET_INSTANCE_ID` in its environment. Raises `Unavailable`: opencode_missing,
        opencode_not_executable.
        """
        ...

    async def wait_ready(self, instance_id: str, identity: ProcessIdentity) -> Endpoint:
        """Wait until it listens and is healthy. Raises `Unavailable` opencode_exited (with the log's tail)."""
        ...

    async def wait_exit(self, instance_id: str, identity: ProcessIdentity) -> Exit:
        """Wait until the process has ended."""
        ...

    async def stop(self, instance_id: str, identity: ProcessIdentity | None) -> tuple[StopStep, ...]:
        """TERM, TERM again, KILL, then sweep by marker until no process of the instance is left. Idempotent."""
        ...

    async def end_in(self, directory: str, instance_id: str | None = None) -> tuple[int, ...]:
        """End the processes that tools left running in the directory or below (TERM, then KILL), and return their pids.

        These have the marker of the instance, or of any instance for None, and are not servers.
        """
        ...

    async def find(self) -> tuple[FoundProcess, ...]:
        """Return every live process that carries a marker of this data directory."""
        ...

    def memory_bytes(self, identity: ProcessIdentity) -> int | None:
        """Return the resident memory, None when the process is gone."""
        ...

    async def copy_messages(self, messages: tuple[Message, ...], session: OpenCodeSession) -> None:
        """Copy messages of another session into `session`, under new ids, which are the same in every attempt.

        Existing messages stay unchanged. Raises `Problem` opencode_refused; some copies may exist then.
        """
        ...

    async def restore_messages(self, messages: tuple[RecordedMessage, ...], session: OpenCodeSession) -> None:
        """Add messages of `session` that another host's OpenCode had, under their own ids.

        Existing messages stay unchanged. Raises `Problem` opencode_refused; some messages may exist then.
        """
        ...

    async def move_session(self, session: OpenCodeSession, directory: str) -> None:
        """Let a session whose directory does not exist any more work in another; one that exists stays its directory.

        Raises `Problem` opencode_refused.
        """
        ...

    async def delete_session(self, session_id: str) -> None:
        """Delete a session from OpenCode's store without a process of Fleet's; see `OpenCode.delete_session`.

        Raises `Problem` opencode_refused.
        """
        ...

    async def forget_directory(self, directory: str) -> None:
        """Delete the contents of files that OpenCode has kept of a work tree that is gone. Raises `OSError`."""
        ...

    def is_suspended(self, identity: ProcessIdentity) -> bool:
        """Return whether a signal or a debugger has stopped the process, so that it cannot respond."""
        ...

    def free_memory_bytes(self) -> int:
        """Return the memory that is available to another process."""
        ...

    def connect(self, instance_id: str, endpoint: Endpoint) -> AbstractAsyncContextManager[OpenCode]:
        """Open a client for a ready process, with its password."""
        ...
