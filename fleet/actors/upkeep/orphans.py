"""Finds the processes that carry the marker of this data directory and that no instance owns.

There should be none: everything that an instance leaves is ended before its own end is recorded, and a start stops the
rest (recovery.py).
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
    living = await host.find()  # one that its instance's stop has ended meanwhile is no orphan
    return tuple(process for process in suspects if process in living)


def _looked_after(state: State | None) -> bool:
    return state is not None and state.keeps_processes
