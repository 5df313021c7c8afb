"""A child of a supervisor: its specification, and the state of its current incarnation.

supervisor.py decides what follows when a child ends.
"""

from collections import deque
from enum import Enum
from typing import Any, Literal, NamedTuple, Protocol, cast

import trio

from fleet.limits import CHILD_STOP_GRACE_S

Restart = Literal["permanent", "transient", "temporary"]
"""When a child that ended is started again: always; after a crash; never."""


class Start(Protocol):
    """Runs one incarnation of a child, from start to end.

    It calls `task_status.started(value)` when it is ready, and returns soon after `stopping` is set.
    """

    async def __call__(self, stopping: trio.Event, *, task_status: trio.TaskStatus[Any]) -> None:
        """Run."""
        ...


class ChildSpec(NamedTuple):
    """A child: its name (unique in its supervisor), how it runs, when it is restarted, how long it may take to stop."""

    name: str
    start: Start
    restart: Restart = "permanent"
    stop_grace_s: float = CHILD_STOP_GRACE_S


class ChildPhase(Enum):
    """The phase of a child."""

    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"  # it crashed and will be restarted
    ENDED = "ended"


class Tally:
    """The restarts that count against one budget, and their causes."""

    __slots__ = ("causes", "restarts_s")

    def __init__(self, intensity: int) -> None:
        self.restarts_s: tuple[float, ...] = ()
        self.causes: deque[Exception] = deque(maxlen=intensity + 1)


class Child:
    """A child and its present incarnation, with its `scope`, `stopping` and `done`."""

    __slots__ = ("delay_s", "done", "dynamic", "phase", "restarts", "revival", "scope", "spec", "stopping", "tally")

    def __init__(self, spec: ChildSpec, tally: Tally, *, dynamic: bool) -> None:
        self.spec = spec
        self.tally = tally
        self.dynamic = dynamic
        self.phase = ChildPhase.ENDED
        self.restarts = 0
        self.delay_s = 0.0
        self.renew()
        self.done.set()
        self.revival: trio.CancelScope | None = None

    def renew(self) -> None:
        """Prepare another incarnation."""
        self.scope = trio.CancelScope()
        self.stopping = trio.Event()
        self.done = trio.Event()


class Readiness:
    """Records that a child is ready before its starter is notified: the child may crash in between."""

    __slots__ = ("_child", "_task_status")

    def __init__(self, child: Child, task_status: trio.TaskStatus[Any]) -> None:
        self._child = child
        self._task_status = task_status

    def started(self, value: Any = None) -> None:
        """See `trio.TaskStatus.started`."""
        self._child.phase = ChildPhase.RUNNING
        self._task_status.started(value)


def real_part(error: BaseException) -> tuple[Exception | None, BaseException | None]:
    """Split `error` into real errors and those that only unwind (cancellations, KeyboardInterrupt, SystemExit).

    A group that mixes both is easily mistaken for a cancellation, so code that catches one logs the first part.
    """
    if isinstance(error, Exception):
        return error, None
    if isinstance(error, BaseExceptionGroup):
        return cast("BaseExceptionGroup[BaseException]", error).split(Exception)
    return None, error
