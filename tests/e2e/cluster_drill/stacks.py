"""Lets a process tell on SIGUSR1, on its standard error, what each of its threads and of trio's tasks waits for."""

import faulthandler
import signal
import sys
import traceback
from types import FrameType
from typing import Any

import trio


def install() -> None:
    """Tell the stacks on SIGUSR1 from now on."""
    signal.signal(signal.SIGUSR1, _tell)
    faulthandler.register(signal.SIGUSR1, all_threads=True, chain=True)  # also while Python runs nothing


def _tell(_number: int, _frame: FrameType | None) -> None:
    try:
        _tell_of(trio.lowlevel.current_root_task(), 0)
    except RuntimeError:
        print("trio does not run in this thread", file=sys.stderr)
    sys.stderr.flush()


def _tell_of(task: trio.lowlevel.Task | None, depth: int) -> None:
    if task is None:
        return
    print(f"{'  ' * depth}- {task.name}", file=sys.stderr)
    for frame, line in _frames(task.coro):
        for text in traceback.format_list(traceback.StackSummary.extract(iter([(frame, line)]))):
            print("".join(f"{'  ' * depth}    {each.strip()}\n" for each in text.splitlines()), end="", file=sys.stderr)
    for nursery in task.child_nurseries:
        for child in nursery.child_tasks:
            _tell_of(child, depth + 1)


def _frames(coroutine: Any) -> list[tuple[FrameType, int]]:
    """Return the frames of a coroutine that waits, the outermost first."""
    found: list[tuple[FrameType, int]] = []
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        frame = frame or getattr(coroutine, "ag_frame", None)
        if frame is not None:
            found.append((frame, frame.f_lineno))
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return found
