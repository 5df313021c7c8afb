"""Starts a process that outlives its starter, keeps how it ended, and ends it with the lease of its host.

`detached.py` runs this file as `python -I -S shim.py`, with a JSON order on its stdin; it imports the standard library
only. The shim forks and ends at once; what remains is a guard, in a session of its own, and its child, the process.

    starter - shim (ends)  - guard - process (its own session and group)

The guard reports the child's identity on stdout, waits for the child, and writes its exit to a file. It ends the child,
and everything with the same markers, when the lease has ended. If the guard is killed, the kernel kills
the child (PR_SET_PDEATHSIG), because nothing would end it with the lease. A guard holds a lock, so an instance has one
process at most. It runs on Linux.

A lease is a time of the host's own clock since its boot (CLOCK_BOOTTIME: it never jumps, and counts a suspension).
"""

import ctypes
import fcntl
import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

PROCESS_FILE: Final = "process"
EXIT_FILE: Final = "exit"
LOCK_FILE: Final = "guard.lock"

_PDEATHSIG: Final = 1  # PR_SET_PDEATHSIG
_DEFAULTS: Final = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ)
_DEAF_TO: Final = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)


def boot_id() -> str:
    """Return the id of the machine's current boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def clock_s() -> float:
    """Return the seconds since the boot, a suspension included."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def lease_token(at_s: float) -> str:
    """Return the lease that was given at this time of the clock, in milliseconds. All have the same length."""
    return f"{boot_id()} {int(at_s * 1000):016d}"


def lease_s(token: str) -> float | None:
    """Return when the lease was given; None if it is of another boot, later than now, or damaged.

    It may be read from a file while its content is overwritten in place, which takes no room on a full disk. Such a
    mixture of two leases is not later than now, or is not taken.
    """
    boot, _, milliseconds = token.strip().partition(" ")
    try:
        at_s = int(milliseconds) / 1000
    except ValueError:
        return None
    return at_s if boot == boot_id() and at_s <= clock_s() else None


def read_lease(file: Path) -> float | None:
    """Return when the lease in the file was given, None without one."""
    try:
        return lease_s(file.read_text(errors="replace"))
    except OSError:
        return None


def _identity(pid: int) -> dict[str, Any]:
    """Return the identity of a process that is not reaped, as `identity.identify` does for a live one."""
    stat = Path(f"/proc/{pid}/stat").read_bytes()
    started_at = float(stat[stat.rindex(b")") + 2 :].split()[19])
    return {"pid": pid, "started_at": started_at, "boot_id": boot_id()}


def main() -> None:
    """Fork the guard and end."""
    order = json.load(sys.stdin)
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")  # a guard keeps no directory busy
    _Guard(order).run()


class _Guard:
    """Starts the process of an order, and waits for its end or that of the lease."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._order = order
        self._files = Path(order["files"])
        self._leased_s: float = order["leased_s"]
        self._identity: dict[str, Any] = {}

    def run(self) -> None:
        for number in _DEAF_TO:  # it ends with its process, not before
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        lock = os.open(self._files / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _report({"busy": True})
            return
        with suppress(FileNotFoundError):
            (self._files / EXIT_FILE).unlink()
        pid, error = self._start()
        if error:
            _report({"errno": error})
            return
        self._identity = _identity(pid)
        with suppress(OSError):  # the reader of the report knows it
            _write(self._files / PROCESS_FILE, {**self._identity, "guard": _identity(os.getpid())})
        _report(self._identity)
        _forget_stdio()
        is_written = self._await_end(pid)
        os.close(lock)
        if is_written:  # otherwise it must end now: a reader waits for the file only as long as the guard lives
            self._await_remnants()

    def _start(self) -> tuple[int, int]:
        """Fork the process. Return its pid, and the number of the error if it could not be executed, 0 if it was."""
        reading, writing = os.pipe()  # closed by a successful exec
        guard = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                _become(self._order, guard)
            except OSError as error:
                os.write(writing, str(error.errno).encode())
            finally:
                os._exit(127)
        os.close(writing)
        said = os.read(reading, 16)
        os.close(reading)
        if said:
            os.waitpid(pid, 0)
        return pid, int(said or b"0")

    def _await_end(self, pid: int) -> bool:
        reason = None
        while (status := self._ended(pid, self._order["poll_s"])) is None:
            if self._is_over():
                reason = f"the server was not heard for {clock_s() - self._leased_s:.0f} s"
                status = self._end(pid)
                break
        is_written = self._write_exit(status, reason)
        if reason is not None:
            self._kill_marked()
        return is_written

    def _end(self, pid: int) -> int:
        os.killpg(pid, signal.SIGTERM)
        status = self._ended(pid, self._order["term_grace_s"])
        if status is None:
            os.killpg(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
        return status

    def _ended(self, pid: int, patience_s: float) -> int | None:
        """Wait for the end of the process, and return its status; None if it runs after so long."""
        deadline_s = time.monotonic() + patience_s
        while True:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                return status
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return None
            signal.sigtimedwait((signal.SIGCHLD,), left_s)

    def _is_over(self) -> bool:
        """Return whether the lease is over. The newest lease that was ever read counts."""
        found_s = read_lease(Path(self._order["lease"]))
        self._leased_s = max(self._leased_s, found_s or 0.0)
        return bool(clock_s() - self._leased_s > self._order["lease_length_s"])

    def _write_exit(self, status: int, reason: str | None) -> bool:
        code = os.waitstatus_to_exitcode(status)
        how = {"signal": -code} if code < 0 else {"code": code}
        with suppress(OSError):
            _write(self._files / EXIT_FILE, {"of": self._identity, "exit": {**how, "reason": reason}})
            return True
        return False

    def _await_remnants(self) -> None:
        """Stay while processes with the markers run, such as shells of tools: they end with the lease, too."""
        while _marked(self._order["markers"]):
            if self._is_over():
                self._kill_marked()
                return
            time.sleep(self._order["remnants_poll_s"])

    def _kill_marked(self) -> None:
        while found := _marked(self._order["markers"]):
            for pid in found:
                _kill(pid, self._order["markers"])
            time.sleep(self._order["scan_s"])


def _become(order: dict[str, Any], guard: int) -> None:
    """Replace this process, a child of the guard, by the one of the order. Raises OSError."""
    os.setsid()
    for number in _DEFAULTS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != guard:  # it was killed before the kernel knew
        os._exit(127)
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(order["directory"])
    os.execve(order["arguments"][0], order["arguments"], order["environment"])  # noqa: S606 - the caller's executable


def _marked(markers: dict[str, str]) -> list[int]:
    """Return the live processes that have all the markers in their environment."""
    pids = (int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit())
    return [pid for pid in pids if _has(pid, markers)]


def _has(pid: int, markers: dict[str, str]) -> bool:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return all(os.fsencode(f"{name}={value}") in environment for name, value in markers.items())


def _kill(pid: int, markers: dict[str, str]) -> None:
    """Kill the process if it still has the markers: a descriptor of it pins the process, a pid does not."""
    with suppress(OSError):
        pinned = os.pidfd_open(pid)
        try:
            if _has(pid, markers):
                signal.pidfd_send_signal(pinned, signal.SIGKILL)
        finally:
            os.close(pinned)


def _report(words: dict[str, Any]) -> None:
    with suppress(OSError):  # the starter is gone
        os.write(1, json.dumps(words).encode())


def _forget_stdio() -> None:
    """Close the starter's pipes: it reads the report until then."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)


def _write(file: Path, content: dict[str, Any]) -> None:
    """Replace a file in one step."""
    new = file.with_name(f"{file.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        json.dump(content, opened)
    new.replace(file)


if __name__ == "__main__":
    main()
