"""Identifies processes: whether a process id still means the same process, and which processes are Fleet's.

No signal is sent to a pid whose identity was not verified at that moment (on Linux a pidfd pins the process). A process
belongs to Fleet only if its environment has the markers of the instance and of the data directory, so processes of
another Fleet are never found. All calls block for microseconds, except `marked`, which reads every process of the
machine. `process` decides what is signalled and when.

A copy of a data directory holds the same instances, so a process belongs to a Fleet only if it also has the id of that
Fleet's data directory (events/directory_identity.py). Processes of a version that set no such id are known by the path.
"""

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from fleet.ports import FoundProcess, ProcessIdentity

INSTANCE_MARKER: Final = "FLEET_INSTANCE_ID"
DATA_MARKER: Final = "FLEET_DATA_DIR"
DATA_ID_MARKER: Final = "FLEET_DATA_ID"
_CHILD_OF_OPENCODE: Final = "OPENCODE_PID"  # OpenCode puts its pid into the environment of all that it starts


class Owner(NamedTuple):
    """The data directory that processes belong to: its real path, and its id, None where it has none yet."""

    directory: str
    data_id: str | None = None

    def markers(self) -> dict[str, str]:
        """Return the variables that a process of this owner gets."""
        own = {DATA_MARKER: self.directory}
        return own if self.data_id is None else {**own, DATA_ID_MARKER: self.data_id}

    def owns(self, environment: Mapping[str, str]) -> bool:
        """Return whether a process with this environment has the markers of this owner."""
        if environment.get(DATA_MARKER) != self.directory:
            return False
        return environment.get(DATA_ID_MARKER) in (None, self.data_id)


def boot_id() -> str:
    """Return the id of the machine's current boot."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"{psutil.boot_time():.0f}"


def identify(pid: int) -> ProcessIdentity | None:
    """Return the identity of the live process with `pid`, None where there is none; a zombie is not alive."""
    started_at = _started_at(pid)
    return None if started_at is None else ProcessIdentity(pid, started_at, boot_id())


def _started_at(pid: int) -> float | None:
    if sys.platform != "linux":
        return _created_at(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()  # the name in front may contain spaces and brackets
    return None if fields[0] in (b"Z", b"X") else float(fields[19])


def _created_at(pid: int) -> float | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def is_alive(identity: ProcessIdentity) -> bool:
    """Return whether this process is alive."""
    return identify(identity.pid) == identity


def send(identity: ProcessIdentity, number: signal.Signals, *, group: bool = False) -> bool:
    """Signal the process, or with `group` its process group; return False if it has ended.

    A group is signalled only while its verified leader is alive, because its number cannot be reused then.
    """
    try:
        if group:
            return is_alive(identity) and _signal_group(identity.pid, number)
        return _signal_pinned(identity, number)
    except ProcessLookupError:
        return False


def _signal_group(leader: int, number: signal.Signals) -> bool:
    if os.getpgid(leader) != leader:
        os.kill(leader, number)
    else:
        os.killpg(leader, number)
    return True


def _signal_pinned(identity: ProcessIdentity, number: signal.Signals) -> bool:
    pinned = open_pidfd(identity.pid)
    try:
        if not is_alive(identity):
            return False
        if sys.platform == "linux" and pinned is not None:
            signal.pidfd_send_signal(pinned, number)
        else:
            os.kill(identity.pid, number)
        return True
    finally:
        if pinned is not None:
            os.close(pinned)


def open_pidfd(pid: int) -> int | None:
    """Return a descriptor that becomes readable when the process has exited; None where the system has none.

    Raises `ProcessLookupError` where no process has `pid`.
    """
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except OSError:
        return None  # a kernel or a sandbox without pidfds


def is_foreign(identity: ProcessIdentity, owner: Owner) -> bool:
    """Return whether the process has the markers of another data directory: the log of a copy names it, too."""
    try:
        environment = _environment(psutil.Process(identity.pid))
    except psutil.Error:
        return False
    return DATA_MARKER in environment and not owner.owns(environment)


def marked(owner: Owner, instance_id: str | None = None) -> tuple[FoundProcess, ...]:
    """Return the live processes with the markers of `owner`, and of `instance_id` unless it is None."""
    return tuple(_found(owner, instance_id))


def _found(owner: Owner, instance_id: str | None) -> Iterator[FoundProcess]:
    for process in psutil.process_iter():
        identity = identify(process.pid)
        if identity is None or process.pid == os.getpid():
            continue
        environment = _environment(process)
        found = environment.get(INSTANCE_MARKER)
        if found is None or not owner.owns(environment) or instance_id not in (None, found):
            continue
        if is_alive(identity):  # the environment belongs to the same process
            yield FoundProcess(found, identity, _is_server(process, environment))


def _environment(process: psutil.Process) -> Mapping[str, str]:
    """Return the environment that the process was started with; empty if it cannot be read or the process has ended."""
    try:
        return dict(process.environ())
    except (psutil.Error, OSError):
        return {}


def _is_server(process: psutil.Process, environment: Mapping[str, str]) -> bool:
    """Fleet's own servers lead their session and have the arguments of `serve`; those of tools have OpenCode's pid."""
    if environment.get(_CHILD_OF_OPENCODE) is not None:
        return False
    try:
        return os.getsid(process.pid) == process.pid and "serve" in process.cmdline()
    except (psutil.Error, OSError):
        return False


def memory_bytes(identity: ProcessIdentity) -> int | None:
    """Return the resident memory of the process, None when it is gone."""
    try:
        resident = int(psutil.Process(identity.pid).memory_info().rss)
    except (psutil.Error, OSError):
        return None
    return resident if is_alive(identity) else None


def is_suspended(identity: ProcessIdentity) -> bool:
    """Return whether a signal or a debugger has stopped the process."""
    try:
        return is_alive(identity) and psutil.Process(identity.pid).status() in (
            psutil.STATUS_STOPPED,
            psutil.STATUS_TRACING_STOP,
        )
    except psutil.Error:
        return False
