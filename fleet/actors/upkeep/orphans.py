"""Finds the processes that carry the marker of this data directory and that no instance owns.

There should be none: all processes of an instance are stopped before its end is recorded, and the next start stops the
others (recovery.py).
"""

from collections.abc import Callable, Collection

from fleet.core.instance.state import State
from fleet.ports import FoundProcess, OpenCodeHost


async def find_orphans(
    host: OpenCodeHost, instance: Callable[[str], State | None], scripts: Collection[str] = ()
) -> tuple[FoundProcess, ...]:
    """Return the orphans; `instance` gives the state of an id at the moment of the call.

    `scripts` are the markers of set-ups and teardowns that run now.
    """
    suspects = [
        process
        for process in await host.find()
        if process.instance_id not in scripts and not _looked_after(instance(process.instance_id))
    ]
    if not suspects:
        return ()
    living = await host.find()  # a process that was stopped meanwhile is not an orphan
    return tuple(process for process in suspects if process in living)


def _looked_after(state: State | None) -> bool:
    return state is not None and state.keeps_processes
