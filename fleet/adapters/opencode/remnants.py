"""What tools have left running in a directory: found by the marker and the working directory, and ended.

A shell that an agent started runs in a session of its own and outlives its turn. Rule kept here: a server is never
ended this way, nor anything without a marker of this Fleet: that is a person's.
"""

import os
import signal
from contextlib import suppress

import psutil
import trio

from fleet.adapters.opencode.identity import marked, send
from fleet.core.paths import is_inside
from fleet.limits import ENVIRONMENT_SCAN_S, REMNANT_GRACE_S
from fleet.ports import FoundProcess


async def end_in(data_dir: str, directory: str, instance_id: str | None) -> tuple[int, ...]:
    """End it and return it, when nothing is found there any more. A process may fork while it is looked at."""
    ended: set[int] = set()
    deadline_s = trio.current_time() + REMNANT_GRACE_S
    while found := await trio.to_thread.run_sync(_remnants, data_dir, directory, instance_id):
        late = trio.current_time() >= deadline_s
        for process in found:
            if (late or process.identity.pid not in ended) and send(
                process.identity, signal.SIGKILL if late else signal.SIGTERM
            ):
                ended.add(process.identity.pid)
        await trio.sleep(ENVIRONMENT_SCAN_S)
    return tuple(sorted(ended))


def _remnants(data_dir: str, directory: str, instance_id: str | None) -> list[FoundProcess]:
    real = os.path.realpath(directory)
    return [each for each in marked(data_dir, instance_id) if not each.server and _works_in(each.identity.pid, real)]


def _works_in(pid: int, directory: str) -> bool:
    with suppress(psutil.Error, OSError):
        return is_inside(psutil.Process(pid).cwd(), (directory,))
    return False
