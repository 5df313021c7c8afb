"""The machine that one simulated Fleet after the other runs on: disks, OpenCode's world, and the crashes between.

`Machine` is what a crash leaves; `Incarnation` is one run of Fleet, from its start to its crash or orderly end. Callers
come in through `Machine.call`, like requests through an API: a crash loses their answers.
"""

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any, Final, TypeVar

import trio
from msgspec.structs import replace

from fleet.actors.context import Policy, Ports
from fleet.actors.fleet import Fleet
from fleet.actors.supervision import Supervision
from fleet.adapters.files import LocalFiles
from fleet.adapters.local_hosts import LocalHosts
from fleet.errors import Problem, Unavailable
from fleet.events.catalog import make_registry
from fleet.events.envelope import Recorded
from fleet.limits import IDLE_TIMEOUT_S, INSTANCES_MAX
from fleet.ports import LOCAL, HostPorts, Hosts, OnOutput, ProcessIdentity, Script, ScriptEnd
from fleet.projections.projections import Stores
from tests.fakes.clock import FakeClock, FakeIds
from tests.fakes.cluster import FakeCluster
from tests.fakes.faulty import faulty
from tests.fakes.hosts import FakeHosts
from tests.fakes.machine import FakeMachine
from tests.fakes.memory_blobs import MemoryBlobs
from tests.fakes.memory_log import MemoryDisk, MemoryLog
from tests.fakes.memory_store import MemoryStore
from tests.fakes.opencode_host import FakeOpenCodeHost
from tests.fakes.opencode_process import FakeProcess
from tests.fakes.removals import FakeRemovals
from tests.fakes.scripts import FakeScripts, FakeScriptsWorld, JoinedScripts
from tests.fakes.shells import FakeShells
from tests.fakes.trees import FakeTrees
from tests.fakes.webhooks import FakeSender, MemoryWebhookSecrets
from tests.fakes.workspaces import FakeDisk, FakeWorkspaces
from tests.simulation.bugs import Bugs, an_os_error
from tests.simulation.witness import Witness

REGISTRY: Final = make_registry()
DOOR_GRACE_S = 5.0
Answer = TypeVar("Answer")


class AfterSteps(trio.abc.Instrument):
    """Calls `act` once, before the n-th step from now of any task: between any two steps."""

    def __init__(self, steps: int, act: Callable[[], None]) -> None:
        self._left = steps
        self._act = act
        self._armed = True
        trio.lowlevel.add_instrument(self)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._left -= 1
        if self._left == 0:
            self.disarm()
            self._act()

    def disarm(self) -> None:
        if self._armed:
            self._armed = False
            trio.lowlevel.remove_instrument(self)


class WatchedHost(FakeOpenCodeHost):
    """A host that notes a second process of one instance beside a living one, and one process too many."""

    def __init__(self, machine: "Machine", node: FakeMachine | None = None) -> None:
        world = machine.world if node is None else node.world
        super().__init__(world, repeats=node is not None)
        self._watched = world
        self._overlaps = machine.overlaps
        self._crowds = machine.crowds
        self._instances_max = machine.policy.instances_max if node is None else INSTANCES_MAX

    async def spawn(self, instance_id: str, directory: str) -> ProcessIdentity:
        if directory not in self._watched.disk.directories:
            raise Unavailable("directory_missing", f"OpenCode cannot be started in {directory}")
        try:
            return await super().spawn(instance_id, directory)
        finally:
            if sum(process.instance_id == instance_id for process in self._watched.living()) > 1:
                self._overlaps.append(instance_id)
            if (living := len(self._watched.living())) > self._instances_max:
                self._crowds.append(f"{living} processes live, {self._instances_max} may: {instance_id} is the newest")


@dataclass
class Ran:
    """A set-up or teardown that was started, and its exit code: None while it runs, or where it was ended."""

    at_ms: int
    script: Script
    code: int | None = None

    @property
    def workspace_id(self) -> str:
        return self.script.marker.removeprefix("setup-")


class WatchedScripts(FakeScripts):
    """Scripts that are noted with their time; a second one that the same Fleet starts in a workspace is an overlap."""

    def __init__(self, machine: "Machine") -> None:
        super().__init__(machine.scripts)
        self._machine = machine
        self._started_by: dict[str, int] = {}

    async def run(self, script: Script, on_output: OnOutput) -> ScriptEnd:
        fleet = self._machine.incarnations
        if script.marker in self.running and self._started_by.get(script.marker) == fleet:
            self._machine.overlaps.append(script.marker)
        self._started_by[script.marker] = fleet
        ran = Ran(self._machine.clock.now_ms(), script)
        self._machine.ran.append(ran)
        end = await super().run(script, on_output)
        ran.code = end.code
        return end


class Incarnation:
    """One run of Fleet. `up` is set when it takes requests, `gone` when nothing of it runs any more."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        self._engine: FakeHosts | None = None
        self.log = MemoryLog(machine.disk, REGISTRY, machine.clock, salts=machine.salts.randbytes)
        host = WatchedHost(machine)
        workspaces = FakeWorkspaces(machine.directories)
        local = HostPorts(
            name=LOCAL,
            opencode=faulty(host, machine.fault),
            workspaces=faulty(workspaces, machine.fault),
            trees=faulty(FakeTrees(machine.directories), machine.fault),
            removals=faulty(FakeRemovals(machine.directories), machine.fault, after=False),
            files=faulty(LocalFiles(), machine.fault),
            scripts=faulty(WatchedScripts(machine), machine.fault),
            shells=faulty(machine.shells, machine.fault),
        )
        ports = Ports(
            clock=machine.clock,
            ids=machine.ids,
            hosts=self._hosts(local),
            webhook_secrets=faulty(machine.webhook_secrets, machine.fault),
            sender=machine.sender,
        )
        blobs = MemoryBlobs(machine.disk)
        stores = Stores(self.log, blobs, machine.store)
        self._supervision = Supervision(ports, stores, policy=machine.policy, threads=False)
        self.fleet = self._supervision.fleet
        self.log.listen(machine.spring)
        self.up = trio.Event()
        self.gone = trio.Event()
        self.stopping = trio.Event()
        self.killed = False
        self._scope = trio.CancelScope()
        self._connections: dict[trio.CancelScope, None] = {}

    def _hosts(self, local: HostPorts) -> Hosts:
        """Return the server's machine alone, or all of the cluster."""
        if not self._machine.cluster.nodes:
            return LocalHosts(local)
        hosts = self._engine = FakeHosts(self._machine.cluster, {LOCAL: local})
        return hosts

    def _leave_cluster(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    async def run(self) -> None:
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    await nursery.start(self._supervision.run, self.stopping)
                    self.up.set()
        finally:
            self._leave_cluster()
            self.up.set()
            self.hang_up()
            self.gone.set()

    @contextmanager
    def connection(self) -> Generator[trio.CancelScope]:
        """A request or stream: it is cut off when this Fleet goes."""
        with trio.CancelScope() as scope:
            self._connections[scope] = None
            try:
                yield scope
            finally:
                del self._connections[scope]

    @property
    def takes_requests(self) -> bool:
        return self.up.is_set() and not (self.killed or self.stopping.is_set() or self.gone.is_set())

    def hang_up(self) -> None:
        for scope in list(self._connections):
            scope.cancel()

    def kill(self) -> None:
        """kill -9: nothing more becomes durable, no caller gets a reply."""
        self.killed = True
        self._machine.bugs.due.clear()
        self.log.crash()
        self._leave_cluster()
        self._scope.cancel()
        self.hang_up()

    async def stop(self) -> None:
        """An orderly shutdown: the gateway closes, running requests get a moment, then everything stops in reverse."""
        if self._connections:
            await trio.sleep(DOOR_GRACE_S)
        self.hang_up()
        self.stopping.set()
        await self.gone.wait()
        if not (self.killed or self._machine.policy.leave_running):
            self._machine.note_leftovers()


class Machine:
    """Disks, processes, clock and randomness of one seed. `run` keeps a Fleet up until `close`."""

    def __init__(self, seed: int, nursery: trio.Nursery, *, nodes: int = 0) -> None:
        self.random = Random(f"{seed} machine")
        self.salts = Random(f"{seed} salts")
        self.policy = Policy(
            sharing=self.random.choice(("shared", "shared", "directory")),
            instances_max=self.random.choice((1, 2, 3, INSTANCES_MAX, INSTANCES_MAX)),
            idle_timeout_s=self.random.choice((4.0, 20.0, IDLE_TIMEOUT_S, IDLE_TIMEOUT_S)),
        )
        self.disk = MemoryDisk()
        self.store = MemoryStore()
        self.directories = FakeDisk()
        self.webhook_secrets = MemoryWebhookSecrets()
        self.sender = FakeSender()
        self.scripts = FakeScriptsWorld()
        self.shells = FakeShells()
        self.clock = FakeClock()
        self.ids = FakeIds(self.clock, seed)
        self.overlaps: list[str] = []
        self.crowds: list[str] = []
        self.leftovers: list[str] = []
        self.ran: list[Ran] = []
        self.moved: dict[str, str] = {}
        self.committed: dict[str, list[str]] = {}
        self.os_errors: tuple[int, ...] = ()
        self.bugs = Bugs()
        self._awaited: list[tuple[type[Any], trio.Event]] = []
        self.traps: list[tuple[type[Any], int]] = []
        self._armed: list[AfterSteps] = []
        chance = Random(f"{seed} cluster")
        self.cluster = FakeCluster(nursery, seed, disk=self.directories, lease_s=chance.choice((20.0, 120.0)))
        self.world = self.cluster.local.world
        self.witness = Witness(self.cluster)
        for number in range(nodes):
            self._add_node(f"node-{number}", chance)
        self.incarnations = 0
        self._fleet: Incarnation | None = None
        self._changed = trio.Event()
        self._closing = False
        self._downtime_s = 0.0

    def _add_node(self, name: str, chance: Random) -> None:
        labels = {"gpu": chance.choice(("true", "false")), "zone": chance.choice("ab")}
        node = self.cluster.add(name, cpus=chance.choice((2.0, 4.0, 8.0)), memory_mb=8192, labels=labels)
        node.scripts = JoinedScripts(WatchedScripts(self))
        node.opencode = WatchedHost(self, node)

    def lose_disk(self, node: FakeMachine) -> None:
        """Put an empty disk into a machine: of what agents did there, what the head was told to be done remains."""
        kept = self.directories.kept
        for workspace_id in node.disk.checkouts:
            saved = kept[workspace_id].work if workspace_id in kept else ()
            if workspace_id in self.committed:
                self.committed[workspace_id] = [each for each in self.committed[workspace_id] if each in saved]
        node.world.written = [each for each in node.world.written if each.message_id in self.witness.reported]
        node.wipe()

    @property
    def machines(self) -> list[FakeMachine]:
        """The server's machine and all others."""
        return list(self.cluster.machines.values())

    def living(self) -> list[FakeProcess]:
        """All processes that live, on all machines."""
        return [process for machine in self.machines for process in machine.world.living()]

    def machine_at(self, directory: str) -> FakeMachine:
        """Return the machine that has a directory; the server's if none has."""
        found = (each for each in self.machines if directory in each.disk.directories)
        return next(found, self.cluster.local)

    async def run(self) -> None:
        while not self._closing:
            fleet = self._fleet = Incarnation(self)
            self.incarnations += 1
            self._tell()
            await fleet.run()
            self._fleet = None
            await trio.sleep(self._downtime_s)

    async def close(self) -> None:
        """Stop Fleet in order, for good."""
        fleet = await self.fleet()
        self._closing = True
        await fleet.stop()

    async def fleet(self) -> Incarnation:
        """Return the Fleet that takes requests now, waiting for it."""
        while True:
            fleet = self._fleet
            if fleet is not None:
                await fleet.up.wait()
                if fleet.takes_requests:
                    return fleet
                await fleet.gone.wait()
            if self._fleet is None:
                await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def call(self, order: Callable[[Fleet], Awaitable[Answer]]) -> Answer | Problem | None:
        """Return the answer, the problem that came instead, or None: the connection broke before either."""
        fleet = await self.fleet()
        answer: Answer | Problem | None = None
        with fleet.connection():
            try:
                answer = await order(fleet.fleet)
            except Problem as problem:
                answer = problem
        return None if fleet.killed else answer

    # -------------------------------------------------------------------------------------------------------- faults

    def crash(self, *, downtime_s: float = 0.0) -> None:
        """Kill Fleet now; the next one starts after `downtime_s`."""
        if self._fleet is not None and not self._fleet.gone.is_set():
            self._downtime_s = downtime_s
            self._fleet.kill()

    def crash_after(self, steps: int) -> None:
        """Crash before the n-th step from now."""
        self._armed.append(AfterSteps(steps, self.crash))

    def spring(self, commit: Sequence[Recorded]) -> None:
        """A trap (kind of event, steps) lets a crash follow the next such event by so many steps."""
        self.witness.see(commit)
        if self.traps and any(isinstance(recorded.event, self.traps[0][0]) for recorded in commit):
            self.crash_after(self.traps.pop(0)[1])
        noticed = [event for kind, event in self._awaited if any(isinstance(each.event, kind) for each in commit)]
        for event in noticed:
            event.set()
        self._awaited = [(kind, event) for kind, event in self._awaited if not event.is_set()]

    async def restart_at(self, kind: type[Any], patience_s: float, *, downtime_s: float = 0.0) -> None:
        """Stop Fleet in order at the next event of that kind, or after `patience_s`."""
        noticed = trio.Event()
        self._awaited.append((kind, noticed))
        with trio.move_on_after(patience_s):
            await noticed.wait()
        await self.restart(downtime_s=downtime_s)

    def fault(self) -> Exception | None:
        """Return what the next call of a port meets: a bug, an error of the operating system, or nothing."""
        return self.bugs.meet(self.random) or an_os_error(self.os_errors, self.random)

    def relax(self) -> None:
        """The next Fleet may start as many processes as sessions need, and has room; no crash is due any more."""
        self.policy = replace(self.policy, instances_max=INSTANCES_MAX)
        self.cluster.grow()
        self.traps.clear()
        for crash in self._armed:
            crash.disarm()

    async def restart(self, *, downtime_s: float = 0.0) -> None:
        """Stop Fleet in order; the next one starts after `downtime_s`."""
        fleet = await self.fleet()
        self._downtime_s = downtime_s
        await fleet.stop()

    def note_leftovers(self) -> None:
        """Note what runs although a Fleet has just ended in order."""
        self.leftovers += [f"the server of {process.instance_id}" for process in self.world.living()]
        self.leftovers += [f"a tool's shell of {tool.instance_id}" for tool in self.world.orphans]

    def lose_views(self) -> None:
        """A person deletes the disposable views; a running Fleet keeps its own until it goes."""
        self.store = MemoryStore()
