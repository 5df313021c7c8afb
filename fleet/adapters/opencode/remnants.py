"""Ends the processes that an instance or a script has left running.

A shell that an agent started has its own process session and outlives its turn. Only processes with a marker of this
Fleet are ended, because the others belong to people; `end_in` ends no server.
"""

import os
import signal
from contextlib import suppress

import psutil
import trio

from fleet.adapters.opencode.identity import Owner, marked, send
from fleet.core.paths import is_inside
from fleet.limits import ENVIRONMENT_SCAN_S, REMNANT_GRACE_S
from fleet.ports import FoundProcess


async def kill_marked(owner: Owner, instance_id: str) -> tuple[int, ...]:
    """Kill processes with the marker until none is found, because a process may fork meanwhile. Return the pids."""
    killed: set[int] = set()
    while found := await trio.to_thread.run_sync(marked, owner, instance_id):
        killed.update(process.identity.pid for process in found if send(process.identity, signal.SIGKILL))
        await trio.sleep(ENVIRONMENT_SCAN_S)
    return tuple(sorted(killed))


async def end_in(owner: Owner, directory: str, instance_id: str | None) -> tuple[int, ...]:
    """End the processes in the directory that are not servers until none is found. Return the pids."""
    ended: set[int] = set()
    deadline_s = trio.current_time() + REMNANT_GRACE_S
    while found := await trio.to_thread.run_sync(_remnants, owner, directory, instance_id):
        late = trio.current_time() >= deadline_s
        for process in found:
            if (late or process.identity.pid not in ended) and send(
                process.identity, signal.SIGKILL if late else signal.SIGTERM
            ):
                ended.add(process.identity.pid)
        await trio.sleep(ENVIRONMENT_SCAN_S)
    return tuple(sorted(ended))


def _remnants(owner: Owner, directory: str, instance_id: str | None) -> list[FoundProcess]:
    real = os.path.realpath(directory)
    return [each for each in marked(owner, instance_id) if not each.server and _works_in(each.identity.pid, real)]


def _works_in(pid: int, directory: str) -> bool:
    with suppress(psutil.Error, OSError):
        return is_inside(psutil.Process(pid).cwd(), (directory,))
    return False
