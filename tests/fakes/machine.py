"""One fake machine of a cluster: its disk, its OpenCode, its network and power, and the lease of its processes.

What the head asks of it is carried out in tasks of the machine's own: they survive a crash of Fleet, and end with the
machine's power. `periods` are the machine's own record of when it heard the head, for checkers.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast

import trio

from fleet.errors import Unavailable
from fleet.limits import MIB
from fleet.ports import Exit, HostInfo
from tests.fakes.clock import EPOCH_MS
from tests.fakes.opencode import FakeOpenCodeWorld
from tests.fakes.opencode_host import FakeOpenCodeHost
from tests.fakes.removals import FakeRemovals
from tests.fakes.scripts import FakeScripts, FakeScriptsWorld, JoinedScripts
from tests.fakes.shells import FakeShells
from tests.fakes.trees import FakeTrees
from tests.fakes.workspaces import FakeDisk, FakeWorkspaces

if TYPE_CHECKING:
    from tests.fakes.cluster import FakeCluster

CALL_TIMEOUT_S: Final = 10.0
LOCAL_ROOT: Final = "/fleet/workspaces"
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
WAITS: Final = frozenset(("wait_exit", "wait_ready", "run"))
"""Calls that last: they are not carried out twice."""


@dataclass
class Period:
    """A time in which the machine heard the head; `end_s` is None while it does."""

    start_s: float
    end_s: float | None = None


class Work:
    """A call that is carried out on a machine. It is not over if the machine or its agent has ended before."""

    def __init__(self, act: Callable[[], Awaitable[Any]]) -> None:
        self._act = act
        self.scope = trio.CancelScope()
        self.ended = trio.Event()
        self.is_over = False
        self.result: Any = None
        self.error: Exception | None = None

    async def run(self) -> None:
        with self.scope:
            try:
                self.result = await self._act()
            except Exception as error:
                self.error = error
            self.is_over = True
        self.ended.set()


class FakeMachine:
    """A machine. The server's own is one of them, and always hears and answers."""

    def __init__(
        self,
        cluster: "FakeCluster",
        name: str,
        *,
        cpus: float,
        memory_mb: int,
        labels: Mapping[str, str],
        disk: FakeDisk | None = None,
    ) -> None:
        self.cluster = cluster
        self.name = name
        self.cpus = cpus
        self.memory_mb = memory_mb
        self.labels = dict(labels)
        self.is_local = not cluster.machines
        self.root = LOCAL_ROOT if self.is_local else f"/hosts/{name}/workspaces"
        self.disk = FakeDisk() if disk is None else disk
        self.world = FakeOpenCodeWorld(cluster.nursery, cluster.seed + len(cluster.machines), disk=self.disk)
        self.opencode = FakeOpenCodeHost(self.world, repeats=not self.is_local)
        self.workspaces = FakeWorkspaces(self.disk, self.root)
        self.trees = FakeTrees(self.disk)
        self.removals = FakeRemovals(self.disk)
        self.scripts: FakeScripts | JoinedScripts = FakeScripts(FakeScriptsWorld())
        self.shells = FakeShells()
        self.disk_free_bytes = 100 * 1024**3
        self.powered = True
        self.connected = True
        self.agent_up = True
        self.elastic = False
        self.gone = False
        self.has_lost_disk = False
        self.boots = 1
        self.transfer_s = 0.02
        self.lost_calls = 0.0
        self.lost_answers = 0.0
        self.doubled_calls = 0.0
        self.periods: list[Period] = []
        self._lease: trio.CancelScope | None = None
        self._work: set[Work] = set()
        self._waiting: set[trio.CancelScope] = set()

    # ------------------------------------------------------------------------------------------------ what it hears

    @property
    def answers(self) -> bool:
        """Whether calls of the head arrive, as far as the machine and the engine are concerned."""
        return self.is_local or (self.powered and self.connected and self.agent_up and self.cluster.engine_up)

    @property
    def hears(self) -> bool:
        """Whether heartbeats of the head arrive."""
        return self.answers and self.cluster.head_up

    @property
    def epoch(self) -> str:
        return f"{self.name}-{self.boots}"

    @property
    def info(self) -> HostInfo:
        return HostInfo(
            name=self.name,
            epoch=self.epoch,
            address=f"10.77.0.{list(self.cluster.machines).index(self.name) + 10}",
            root=self.root,
            version="1.0.0",
            opencode_version=self.world.version,
            git_version="2.47.0",
            python_version="3.11.7",
            engine_version="" if self.is_local else "2.60.0",
            labels=dict(self.labels),
            cpus=self.cpus,
            memory_bytes=self.memory_mb * MIB,
            memory_free_bytes=self.world.free_memory_bytes,
            disk_free_bytes=self.disk_free_bytes,
            clock_ms=EPOCH_MS + int(trio.current_time() * 1000),
        )

    def listen(self) -> None:
        """Take note of whether the head is heard, and whether calls that are under way can be answered."""
        if self.is_local:
            return
        self.world.set_online(online=self.powered and self.connected)
        heard = bool(self.periods) and self.periods[-1].end_s is None
        if self.hears and not heard:
            self.periods.append(Period(trio.current_time()))
            self._renew()
        elif heard and not self.hears:
            self.periods[-1].end_s = trio.current_time()
            self._lease = trio.CancelScope()
            self.cluster.nursery.start_soon(self._end_with_the_lease, self._lease)
        patience_s = trio.current_time() + CALL_TIMEOUT_S
        for scope in self._waiting:
            scope.deadline = float("inf") if self.answers else min(scope.deadline, patience_s)

    def _renew(self) -> None:
        if self._lease is not None:
            self._lease.cancel()
            self._lease = None

    async def _end_with_the_lease(self, scope: trio.CancelScope) -> None:
        with scope:
            await trio.sleep(self.cluster.lease_s)
            self.end_processes()

    def end_processes(self) -> None:
        """End every process here, as shims do when the lease is over."""
        for process in self.world.living():
            process.die(Exit(signal=15))
        self.world.orphans.clear()

    # -------------------------------------------------------------------------------------------------------- calls

    async def call(
        self, function: Callable[Arguments, Awaitable[Result]], *arguments: Arguments.args, **options: Arguments.kwargs
    ) -> Result:
        """Carry a call of the head out, here and to its end; what is returned may not reach the head.

        Raises `Unavailable` host_unreachable where no answer comes: the call may have been carried out all the same.
        """
        if self.is_local:
            return await function(*arguments, **options)
        await self._arrive()
        act = partial(function, *arguments, **options)
        work = self._start(act)
        if getattr(function, "__name__", "") not in WAITS and self._by_chance(self.doubled_calls):
            self._start(act)
        await self._answered(work)
        if not work.is_over or self._by_chance(self.lost_answers):
            raise self.unreachable("the call was interrupted, and may have been carried out")
        if work.error is not None:
            raise work.error
        return cast("Result", work.result)

    async def _arrive(self) -> None:
        """Take the way to the machine."""
        if not self.cluster.engine_up:
            await trio.lowlevel.checkpoint()
            raise self.unreachable("the engine does not answer")
        with trio.CancelScope(deadline=trio.current_time() + CALL_TIMEOUT_S):
            await trio.sleep(self.cluster.random.uniform(0.001, 0.005))
            while not self.answers:
                await self.cluster.change.wait()
        if not self.answers or self._by_chance(self.lost_calls):
            raise self.unreachable(f"it has not answered for {CALL_TIMEOUT_S:.0f} s")

    async def _answered(self, work: Work) -> None:
        """Wait for the end of the work, as long as an answer may come. A head that lives cancels what it gives up."""
        with trio.CancelScope() as waiting:
            self._waiting.add(waiting)
            if not self.answers:
                waiting.deadline = trio.current_time() + CALL_TIMEOUT_S
            try:
                await work.ended.wait()
            except trio.Cancelled:
                if self.hears:
                    work.scope.cancel()
                raise
            finally:
                self._waiting.discard(waiting)

    def _start(self, act: Callable[[], Awaitable[Any]]) -> Work:
        work = Work(act)
        self._work.add(work)
        self.cluster.nursery.start_soon(self._carry_out, work)
        return work

    async def _carry_out(self, work: Work) -> None:
        await work.run()
        self._work.discard(work)

    def _by_chance(self, chance: float) -> bool:
        return chance > 0 and self.cluster.random.random() < chance

    def unreachable(self, why: str) -> Unavailable:
        return Unavailable("host_unreachable", f"the host {self.name!r} does not answer: {why}", retry_after_s=2)

    # -------------------------------------------------------------------------------------------------------- faults

    def cut(self) -> None:
        """Pull the cable: everything here runs on."""
        self.connected = False
        self.cluster.changed()

    def mend(self) -> None:
        """Put the cable back."""
        self.connected = True
        self.cluster.changed()

    def power_off(self) -> None:
        """No process is left, and nothing that was asked is carried out."""
        self.powered = False
        for work in self._work:
            work.scope.cancel()
        self.world.set_online(online=False)
        self.world.reboot()
        self.cluster.changed()

    def power_on(self, *, blank: bool = False) -> None:
        """Start the machine, if it is off, with another epoch. `blank`: with an empty disk."""
        if self.powered:
            return
        if blank:
            self.wipe()
        self.powered = True
        self.restart_agent()

    def restart_agent(self) -> None:
        """The agent starts again: what was asked of the one before is not answered, and processes live on."""
        self.boots += 1
        for scope in (*(work.scope for work in self._work), *self._waiting):
            scope.cancel()
        self.cluster.changed()

    def wipe(self) -> None:
        """Put an empty disk in."""
        self.has_lost_disk = True
        self.disk.__dict__.update(FakeDisk().__dict__)
        self.world.forget()
        self.shells.variables.clear()

    def remove(self) -> None:
        """Remove the machine for good."""
        self.gone = True
        self.power_off()
