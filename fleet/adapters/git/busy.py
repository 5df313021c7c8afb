"""Proof that no process has its working directory in a place that is to go."""

import os

import psutil
import trio

from fleet.core.paths import is_inside
from fleet.errors import Rejected


async def require_not_busy(directory: str) -> None:
    """Raise `Rejected` workspace_busy, naming the pids, where a process works in `directory` or below.

    Processes of other users, whose working directory nobody may ask for, do not count.
    """
    pids = await pids_in(directory)
    if pids:
        raise Rejected(
            "workspace_busy",
            f"Processes have their working directory in {directory!r}: {', '.join(map(str, pids))}",
            hint="Stop them, or wait until they end, then try again.",
            extra={"pids": list(pids)},
        )


async def pids_in(directory: str) -> tuple[int, ...]:
    """Return the processes that have their working directory there or below."""
    return await trio.to_thread.run_sync(_pids_in, directory)


def _pids_in(directory: str) -> tuple[int, ...]:
    real = os.path.realpath(directory)
    pids: list[int] = []
    for process in psutil.process_iter():
        try:
            if is_inside(process.cwd(), (real,)):
                pids.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return tuple(pids)
