"""Starts processes that outlive this one (`shim.py`), and ends them with a lease: for a host that is not the server's.

The server's own machine needs no lease: a server that starts there again has the log, and finds every process.
"""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

import trio

from fleet.adapters.opencode import shim
from fleet.adapters.opencode.identity import is_alive
from fleet.adapters.opencode.processes import Launch, gone
from fleet.errors import Unavailable
from fleet.limits import (
    ENVIRONMENT_SCAN_S,
    KILL_GRACE_S,
    LEASE_POLL_S,
    PROCESS_POLL_S,
    REMNANTS_POLL_S,
    TERM_GRACE_S,
)
from fleet.ports import Exit, ProcessIdentity

_SHIM: Final = (sys.executable, "-I", "-S", shim.__file__)
_LIBRARIES: Final = "LD_LIBRARY_PATH"  # some installations of Python do not start without it


class Lease:
    """The lease of a host, in a file: the newest moment of its clock that the server is known to have heard of.

    A renewal takes the token that this host gave with an earlier answer. So it proves that the server had that answer,
    however late the renewal arrives: when the server has heard nothing for `length_s`, the lease is over.
    """

    def __init__(self, file: Path, length_s: float) -> None:
        self.file = file
        self.length_s = length_s

    def token(self) -> str:
        """Return the token for an answer that is given now."""
        return shim.lease_token(shim.clock_s())

    def renew(self, token: str) -> bool:
        """Renew the lease up to the token's moment; return whether the token is of this boot. Raises OSError."""
        at_s = shim.lease_s(token)
        if at_s is None:
            return False
        if at_s > (self.leased_s() or 0.0):
            descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(descriptor, shim.lease_token(at_s).encode(), 0)  # in place: it takes no room on a full disk
            finally:
                os.close(descriptor)
        return True

    def leased_s(self) -> float | None:
        """Return the moment of the lease on the host's clock, None without a lease in this boot."""
        return shim.read_lease(self.file)

    def is_over(self, margin_s: float = 0.0) -> bool:
        """Return whether the lease has ended, `margin_s` ago at least."""
        leased_s = self.leased_s()
        return leased_s is None or shim.clock_s() - leased_s > self.length_s + margin_s


class DetachedProcesses:
    """`Processes` behind shims; `instances` has a directory for each instance."""

    def __init__(self, instances: Path, lease: Lease) -> None:
        self._instances = instances
        self._lease = lease

    def require(self) -> None:
        """Refuse to start a process that would be ended at once: this call has come late."""
        if self._lease.is_over():
            raise Unavailable(
                "host_unreachable",
                f"this host has not heard the server for {self._lease.length_s:g} s, so no process is started on it",
            )

    async def start(self, instance_id: str, launch: Launch) -> ProcessIdentity:
        """Start a process behind a shim; or return the one that runs, such as that of an agent that was killed."""
        deadline_s = trio.current_time() + KILL_GRACE_S
        while True:
            said = await self._ask(instance_id, launch)
            if "busy" not in said:
                return _identity(said)
            if (running := self.running(instance_id)) is not None:
                return running
            if trio.current_time() > deadline_s:
                raise OSError("another start of this instance does not end")
            await trio.sleep(PROCESS_POLL_S)  # a former process has just ended, or another start is on its way

    async def _ask(self, instance_id: str, launch: Launch) -> dict[str, Any]:
        """Run the shim, and return its report. Raises OSError with that of the executable."""
        asked = {
            **launch._asdict(),
            "log": str(launch.log),
            "files": str(self._instances / instance_id),
            "lease": str(self._lease.file),
            "leased_s": self._lease.leased_s() or 0.0,
            "lease_length_s": self._lease.length_s,
            "poll_s": LEASE_POLL_S,
            "term_grace_s": TERM_GRACE_S,
            "scan_s": ENVIRONMENT_SCAN_S,
            "remnants_poll_s": REMNANTS_POLL_S,
        }
        said = await _run(instance_id, json.dumps(asked).encode())
        if (number := said.get("errno")) is not None:
            raise OSError(number, os.strerror(number))
        return said

    def running(self, instance_id: str) -> ProcessIdentity | None:
        """Return the live process of the instance, also one that another process has started."""
        said = self._read(instance_id, shim.PROCESS_FILE)
        identity = None if said is None else _identity(said)
        return identity if identity is not None and is_alive(identity) else None

    def exit(self, instance_id: str, identity: ProcessIdentity) -> Exit | None:
        """Read what the guard has written; while it lives and has not written yet, the process counts as running."""
        if is_alive(identity):
            return None
        is_guarded = self._is_guarded(instance_id, identity)
        said = self._read(instance_id, shim.EXIT_FILE)
        if said is not None and _identity(said["of"]) == identity:
            return Exit(**said["exit"])
        return None if is_guarded else Exit()

    async def wait(self, instance_id: str, identity: ProcessIdentity) -> Exit:
        """Wait for the end of the process, and for the guard to write it down."""
        await gone(identity)
        with trio.move_on_after(KILL_GRACE_S):  # a guard that is itself suspended writes nothing
            while (how := self.exit(instance_id, identity)) is None:  # noqa: ASYNC110 - a file wakes no task
                await trio.sleep(PROCESS_POLL_S)
            return how
        return Exit()

    def _is_guarded(self, instance_id: str, identity: ProcessIdentity) -> bool:
        said = self._read(instance_id, shim.PROCESS_FILE)
        return said is not None and _identity(said) == identity and is_alive(_identity(said["guard"]))

    def _read(self, instance_id: str, name: str) -> dict[str, Any] | None:
        with suppress(OSError, ValueError):
            return cast("dict[str, Any]", json.loads((self._instances / instance_id / name).read_bytes()))
        return None


async def _run(instance_id: str, order: bytes) -> dict[str, Any]:
    """Run the shim, and return what it says. It takes 0.1 s, and is not cancelled: no stop would find its process."""
    environment = {_LIBRARIES: os.environ[_LIBRARIES]} if _LIBRARIES in os.environ else {}
    output = b""
    with trio.CancelScope(shield=True):
        done = await trio.run_process(
            [*_SHIM, instance_id],  # the id is for people who list processes
            stdin=order,
            env=environment,
            cwd="/",
            capture_stdout=True,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        output = done.stdout
    if not output:
        raise OSError("the shim that starts it has failed")
    return cast("dict[str, Any]", json.loads(output))


def _identity(said: dict[str, Any]) -> ProcessIdentity:
    return ProcessIdentity(said["pid"], said["started_at"], said["boot_id"])
