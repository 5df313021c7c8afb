"""The supervisor: it starts children in order, stops them in reverse order, and reacts when one crashes.

Rules kept here alone:
- a child is data (`ChildSpec`), and it is started once the one before it is ready;
- it is stopped in three steps: its `stopping` event is set, `stop_grace_s` pass, it is cancelled; in reverse order;
- a crash is logged with its real errors, stripped of the cancellations that may surround them, and answered by a
  restart with back-off (fleet/backoff.py), until there are too many (actors/runtime/restart.py): then the supervisor
  stops the others and raises `RestartsExceeded` with the causes, so that its own supervisor decides;
- a child that fails before the supervisor is ready fails the start: an error at start-up is reported, not retried.

Children added at run time (`add_child`) are independent of each other and are stopped all at once. With
`escalate=False` each child has a restart budget of its own, and a child that exceeds it is given up alone. child.py
describes a child, supervision.py has the tree.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import structlog
import trio

from fleet.actors.runtime.child import Child, ChildPhase, ChildSpec, Readiness, Tally, real_part
from fleet.actors.runtime.restart import permit_restart
from fleet.backoff import backoff_s
from fleet.errors import Unavailable
from fleet.limits import CHILDREN_MAX, RESTART_INTENSITY, RESTART_WINDOW_S

_log = structlog.get_logger(__name__)

Strategy = Literal["one_for_one", "rest_for_one"]
"""What a crash restarts: the child alone; the child and those that were started after it."""


class RestartsExceeded(Exception):  # noqa: N818 - what happened, as in OTP
    """A child crashed too often. `causes` are its last crashes; the cause of this error is the group of them."""

    def __init__(self, supervisor: str, child: str, causes: Sequence[Exception], window_s: float) -> None:
        super().__init__(
            f"{supervisor}: {child} ended {len(causes)} times within {window_s:g} s, the last time with: {causes[-1]!r}"
        )
        self.child = child
        self.causes = tuple(causes)
        self.__cause__ = ExceptionGroup(f"the ends of {child}", list(causes))


class UnexpectedEnd(Exception):  # noqa: N818 - it is what happened
    """A child returned without a request to stop."""


class ChildStatistics(NamedTuple):
    """The statistics of a child; `restarts` are those since the supervisor started."""

    name: str
    phase: str
    restarts: int


class SupervisorStatistics(NamedTuple):
    """The statistics of a supervisor."""

    name: str
    children: tuple[ChildStatistics, ...]
    restarts: int
    given_up: int


class Supervisor:
    """Runs children. `run` fits a `ChildSpec`, so that supervisors nest.

    `children` are started in order. `intensity` restarts are allowed within `window_s` seconds. `jitter` gives numbers
    in 0..1. `on_gone(name, error)` is called when a child has ended without a restart: with None after a stop or a
    normal end, with the error after a crash. It must not raise.
    """

    def __init__(
        self,
        name: str,
        children: Sequence[ChildSpec] = (),
        *,
        strategy: Strategy = "one_for_one",
        intensity: int = RESTART_INTENSITY,
        window_s: float = RESTART_WINDOW_S,
        escalate: bool = True,
        children_max: int = CHILDREN_MAX,
        jitter: Callable[[], float] = random.random,
        on_gone: Callable[[str, Exception | None], None] | None = None,
    ) -> None:
        self.name = name
        self._specs = tuple(children)
        self._strategy = strategy
        self._intensity = intensity
        self._window_s = window_s
        self._escalate = escalate
        self._children_max = children_max
        self._jitter = jitter
        self._on_gone = on_gone
        self._nursery: trio.Nursery | None = None
        self._restarts = 0
        self._given_up = 0
        self._prepare()

    async def run(
        self, stopping: trio.Event, *, task_status: trio.TaskStatus["Supervisor"] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Start the children, keep them running, and stop them in reverse when `stopping` is set.

        Raises what a child raised before the supervisor was ready, and `RestartsExceeded` later.
        """
        self._prepare()
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._relay, stopping, name=f"{self.name} stop relay")
            try:
                if await self._start_all():
                    self._ready = True
                    task_status.started(self)
                    if self._strategy == "rest_for_one":
                        nursery.start_soon(self._keep_order, name=f"{self.name} restarts")
                    await self._leaving.wait()
                await self._stop_all()
                nursery.cancel_scope.cancel()
            finally:
                self._nursery = None  # it may end with its last task from here on, and accepts no further one
        if self._failure is not None:
            raise self._failure

    async def add_child(self, spec: ChildSpec) -> Any:
        """Start another child, wait until it is ready and return the value that it gave to `task_status.started`.

        Raises an error that the child raised before it was ready (it is not added then); `Unavailable` overloaded if
        there are too many children, stopping if the supervisor does not run; ValueError for a name that is in use.
        """
        if self._strategy != "one_for_one":
            raise ValueError(
                f"{self.name} is {self._strategy}: its children are fixed, add to a one_for_one supervisor"
            )
        if spec.name in self._children:
            raise ValueError(f"{self.name} has a child {spec.name} already")
        if len(self._children) >= self._children_max:
            raise Unavailable("overloaded", f"{self.name} runs {self._children_max} children already", retry_after_s=5)
        child = self._children[spec.name] = Child(spec, self._tally_for(), dynamic=True)
        try:
            return await self._start(child)
        except BaseException:
            if self._children.get(spec.name) is child:
                del self._children[spec.name]
            raise

    async def stop_child(self, name: str) -> None:
        """Stop a child (ask, wait, cancel) and remove it, even before a restart. An unknown name is no error."""
        child = self._children.get(name)
        if child is not None:
            await self._stop(child)
            if self._children.get(name) is child:
                self._forget(child, None)

    def statistics(self) -> SupervisorStatistics:
        """Return the statistics of the children."""
        return SupervisorStatistics(
            name=self.name,
            children=tuple(
                ChildStatistics(child.spec.name, child.phase.value, child.restarts) for child in self._children.values()
            ),
            restarts=self._restarts,
            given_up=self._given_up,
        )

    # ------------------------------------------------------------------------------------------------ start and stop

    def _prepare(self) -> None:
        self._leaving = trio.Event()
        self._crashed = trio.Event()
        self._revival = trio.CancelScope()
        self._failure: Exception | None = None
        self._ready = False
        self._tally = Tally(self._intensity)
        self._children: dict[str, Child] = {}
        for spec in self._specs:
            if spec.name in self._children:
                raise ValueError(f"{self.name} has two children named {spec.name}")
            self._children[spec.name] = Child(spec, self._tally_for(), dynamic=False)

    def _tally_for(self) -> Tally:
        return self._tally if self._escalate else Tally(self._intensity)

    async def _relay(self, stopping: trio.Event) -> None:
        await stopping.wait()
        self._leave(None)

    def _leave(self, failure: Exception | None) -> None:
        """Begin to stop, because of `failure` or on request."""
        if not self._leaving.is_set():
            self._failure = failure
            self._leaving.set()
            self._revival.cancel()

    async def _start_all(self) -> bool:
        with trio.CancelScope() as self._revival:
            try:
                for child in tuple(self._children.values()):
                    await self._start(child)
            except Exception as error:
                self._leave(error)
        return not self._leaving.is_set()

    async def _stop_all(self) -> None:
        async with trio.open_nursery() as nursery:
            for child in tuple(self._children.values()):
                if child.dynamic:
                    nursery.start_soon(self.stop_child, child.spec.name)
        for child in reversed(tuple(self._children.values())):
            await self._stop(child)

    async def _start(self, child: Child) -> Any:
        if self._nursery is None or self._leaving.is_set():
            raise Unavailable("stopping", f"{self.name} does not run: {child.spec.name} cannot be started")
        child.renew()
        child.phase = ChildPhase.STARTING
        return await self._nursery.start(self._incarnate, child, name=f"{self.name}/{child.spec.name}")

    async def _stop(self, child: Child) -> None:
        child.stopping.set()
        if child.revival is not None:
            child.revival.cancel()
        with trio.move_on_after(child.spec.stop_grace_s):
            await child.done.wait()
            child.phase = ChildPhase.ENDED
            return
        _log.warning("child_cancelled", supervisor=self.name, child=child.spec.name, grace_s=child.spec.stop_grace_s)
        child.scope.cancel()
        await child.done.wait()
        child.phase = ChildPhase.ENDED

    def _forget(self, child: Child, error: Exception | None) -> None:
        """Remove a dynamic child that has ended; keep the place of a static one."""
        child.phase = ChildPhase.ENDED
        if child.dynamic:
            del self._children[child.spec.name]
        if self._on_gone is not None:
            self._on_gone(child.spec.name, error)

    # --------------------------------------------------------------------------------------------- ends and restarts

    async def _incarnate(self, child: Child, *, task_status: trio.TaskStatus[Any]) -> None:
        """Run one incarnation. An error before it is ready goes to the starter, a later one to `_ended`."""
        error: Exception | None = None
        try:
            with child.scope:
                await child.spec.start(child.stopping, task_status=Readiness(child, task_status))
        except BaseException as raised:
            error, rest = real_part(raised)
            if rest is not None:
                if error is not None:
                    _log.error("child_crashed", supervisor=self.name, child=child.spec.name, exc_info=error)
                raise rest from None
        finally:
            child.done.set()
        if child.phase is ChildPhase.STARTING:
            child.phase = ChildPhase.ENDED
            raise error or UnexpectedEnd(f"{child.spec.name} ended before it was ready")
        self._ended(child, error)

    def _ended(self, child: Child, error: Exception | None) -> None:
        """Decide what follows when a ready child has ended."""
        if error is not None:
            _log.error("child_crashed", supervisor=self.name, child=child.spec.name, exc_info=error)
        if child.stopping.is_set() or self._leaving.is_set():
            return
        restart = child.spec.restart
        if restart == "temporary" or (restart == "transient" and error is None):
            self._forget(child, error)
        elif not self._ready:
            self._leave(error or UnexpectedEnd(f"{child.spec.name} ended while {self.name} was starting"))
        elif self._permit(child, error or UnexpectedEnd(f"{child.spec.name} ended without a request to stop")):
            self._revive(child)

    def _permit(self, child: Child, error: Exception) -> bool:
        """Record another restart and its delay, or give up."""
        tally = child.tally
        tally.causes.append(error)
        restarts = permit_restart(tally.restarts_s, trio.current_time(), self._intensity, self._window_s)
        if restarts is None:
            self._give_up(child, RestartsExceeded(self.name, child.spec.name, tuple(tally.causes), self._window_s))
            return False
        tally.restarts_s = restarts
        child.restarts += 1
        child.phase = ChildPhase.WAITING
        self._restarts += 1
        child.delay_s = backoff_s(len(restarts), self._jitter())
        return True

    def _give_up(self, child: Child, failure: RestartsExceeded) -> None:
        self._given_up += 1
        _log.error("child_given_up", supervisor=self.name, child=child.spec.name, exc_info=failure)
        if self._escalate:
            child.phase = ChildPhase.ENDED
            self._leave(failure)
        else:
            self._forget(child, failure)

    def _revive(self, child: Child) -> None:
        if self._strategy == "rest_for_one":
            self._revival.cancel()  # the children being restarted depend on this child or precede it
            self._crashed.set()
        elif self._nursery is not None:
            self._nursery.start_soon(self._restart_one, child, name=f"{self.name}/{child.spec.name} restart")

    async def _restart_one(self, child: Child) -> None:
        with trio.CancelScope() as child.revival:
            while True:
                await trio.sleep(child.delay_s)
                if await self._restarted(child):
                    break
        child.revival = None

    async def _restarted(self, child: Child) -> bool:
        """Start `child` again and return whether that is decided: it runs, or it has been given up."""
        try:
            await self._start(child)
        except Exception as error:  # every error of a child is a crash of it
            if self._leaving.is_set():
                return True
            _log.error("child_failed_to_restart", supervisor=self.name, child=child.spec.name, exc_info=error)
            return not self._permit(child, error)
        return True

    async def _keep_order(self) -> None:
        """Restart, for rest_for_one, from the first child that is down, again whenever one more goes down."""
        children = tuple(self._children.values())
        while True:
            await self._crashed.wait()
            self._crashed = trio.Event()
            while waiting := [place for place, child in enumerate(children) if child.phase is ChildPhase.WAITING]:
                with trio.CancelScope() as self._revival:
                    await self._restart_from(children[waiting[0] :])

    async def _restart_from(self, children: Sequence[Child]) -> None:
        first, *rest = children
        for child in reversed(rest):
            await self._stop(child)
        await trio.sleep(first.delay_s)
        for child in children:
            if not await self._restarted(child):
                return
