"""Signals the process group of a program that Fleet started in a session of its own, and ends it."""

import os
import signal
from contextlib import suppress

import trio

from fleet.limits import GIT_TERM_GRACE_S, KILL_GRACE_S


def signal_group(process: trio.Process, number: signal.Signals) -> None:
    """Send a signal to the group of `process`; it may have ended."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


async def end_group(process: trio.Process) -> None:
    """Terminate the group, and kill it after `GIT_TERM_GRACE_S`. To be called in a shielded scope."""
    if process.returncode is None:
        signal_group(process, signal.SIGTERM)
        with trio.move_on_after(GIT_TERM_GRACE_S):
            await process.wait()
        # Even if the program itself has ended, its children may still run.
        signal_group(process, signal.SIGKILL)
        with trio.move_on_after(KILL_GRACE_S):
            await process.wait()
