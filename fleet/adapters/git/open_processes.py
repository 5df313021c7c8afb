"""Verifies that no process has its working directory in a directory that will be removed."""

import os
import shlex
import time

import psutil
import trio

from fleet.core.paths import is_inside
from fleet.errors import Rejected
from fleet.limits import BUSY_COMMAND_CHARS_MAX, BUSY_PROCESSES_LISTED_MAX
from fleet.ports import Busy


async def require_not_busy(directory: str) -> None:
    """Raise `Rejected` workspace_busy with the processes whose working directory is `directory` or below.

    Processes of other users are ignored, because their working directory cannot be read.
    """
    found = await busy_in(directory)
    if found:
        listed = ", ".join(each.words for each in found[:BUSY_PROCESSES_LISTED_MAX])
        raise Rejected(
            "workspace_busy",
            f"processes have their working directory in {directory!r}: {listed}",
            hint="Stop them, or wait until they end, then try again; use force=true to end those of sessions.",
            extra={"pids": [each.pid for each in found]},
        )


async def busy_in(directory: str) -> tuple[Busy, ...]:
    """Return the processes whose working directory is `directory` or below."""
    return await trio.to_thread.run_sync(_busy_in, directory)


def _busy_in(directory: str) -> tuple[Busy, ...]:
    real = os.path.realpath(directory)
    found: list[Busy] = []
    for process in psutil.process_iter():
        try:
            if is_inside(process.cwd(), (real,)):
                age_s = max(0, int(time.time() - process.create_time()))
                command = shlex.join(process.cmdline()) or process.name()
                found.append(Busy(process.pid, command[:BUSY_COMMAND_CHARS_MAX], age_s))
        except (psutil.Error, OSError):
            continue
    return tuple(found)
