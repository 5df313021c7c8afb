"""The two ways to start a process: as a child of this one (`ChildProcesses`), or detached from it (`detached.py`)."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import trio

from fleet.adapters.opencode.identity import boot_id, identify, is_alive, open_pidfd
from fleet.limits import PROCESS_POLL_S
from fleet.ports import Exit, ProcessIdentity


class Launch(NamedTuple):
    """What to start: its output goes to `log`; `markers`, a part of the environment, are those of its instance."""

    arguments: tuple[str, ...]
    directory: str
    environment: Mapping[str, str]
    markers: Mapping[str, str]
    log: Path


class Processes(Protocol):
    """Starts the servers of instances, and knows how they ended."""

    def require(self) -> None:
        """Raise `Unavailable` if no process may be started now."""
        ...

    async def start(self, instance_id: str, launch: Launch) -> ProcessIdentity:
        """Start a process in a session and process group of its own. Raises OSError."""
        ...

    def running(self, instance_id: str) -> ProcessIdentity | None:
        """Return the live process that was started for the instance, None where none is known."""
        ...

    def exit(self, instance_id: str, identity: ProcessIdentity) -> Exit | None:
        """Return how the process ended, None while it runs."""
        ...

    async def wait(self, instance_id: str, identity: ProcessIdentity) -> Exit:
        """Wait for the end of the process."""
        ...


class ChildProcesses:
    """Starts processes as children. How a process ended that an earlier Fleet has started is not known."""

    def __init__(self) -> None:
        self._children: dict[str, trio.Process] = {}

    def require(self) -> None:
        """Do nothing: processes may always be started."""

    async def start(self, instance_id: str, launch: Launch) -> ProcessIdentity:
        """Start a child."""
        with launch.log.open("ab") as log:
            process = await trio.lowlevel.open_process(
                launch.arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=launch.directory,
                env=launch.environment,
                start_new_session=True,
            )
        self._children = {key: child for key, child in self._children.items() if child.returncode is None}
        self._children[instance_id] = process
        # the identity of an ended child equals that of no live process
        return identify(process.pid) or ProcessIdentity(process.pid, 0.0, boot_id())

    def running(self, instance_id: str) -> ProcessIdentity | None:
        """Return the identity of the instance's child; reap it if it has ended."""
        child = self._children.get(instance_id)
        return identify(child.pid) if child is not None and child.poll() is None else None

    def exit(self, instance_id: str, identity: ProcessIdentity) -> Exit | None:
        """Return the exit of a child; that of another process is empty."""
        if (child := self._child(instance_id, identity)) is None:
            return None if is_alive(identity) else Exit()
        return None if child.poll() is None else _exit(child)

    async def wait(self, instance_id: str, identity: ProcessIdentity) -> Exit:
        """Wait for the end of a child, or of another process."""
        if (child := self._child(instance_id, identity)) is None:
            await gone(identity)
            return Exit()
        await child.wait()
        return _exit(child)

    def _child(self, instance_id: str, identity: ProcessIdentity) -> trio.Process | None:
        child = self._children.get(instance_id)
        return child if child is not None and child.pid == identity.pid else None


def _exit(child: trio.Process) -> Exit:
    code = child.returncode
    return Exit(signal=-code) if code is not None and code < 0 else Exit(code=code)


async def gone(identity: ProcessIdentity) -> None:
    """Wait until a process that is not a child of this one has ended."""
    try:
        pinned = open_pidfd(identity.pid)
    except ProcessLookupError:
        return
    if pinned is None:
        while is_alive(identity):  # noqa: ASYNC110 - the platform wakes no task when another parent's child ends
            await trio.sleep(PROCESS_POLL_S)
        return
    try:
        if is_alive(identity):
            await trio.lowlevel.wait_readable(pinned)
    finally:
        os.close(pinned)
