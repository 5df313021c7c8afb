"""The faults of the drill. Each happens to one machine, the server or the head, lasts for a while, and is repaired."""

import time
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final, NamedTuple

import trio

from tests.e2e.cluster_drill.cluster import Cluster
from tests.e2e.cluster_drill.figures import Absence
from tests.e2e.cluster_drill.machines import Machine
from tests.e2e.drill.drill import Victim

GRACE_S: Final = 35
"""The grace that the server of the drill is configured with, in seconds."""
LONG_S: Final = GRACE_S + 20.0
"""A machine that is away for so long is lost: the grace, and the time to notice."""


class Stage(NamedTuple):
    """What faults happen to."""

    cluster: Cluster
    server: Victim
    random: Random
    note: Callable[[str], None]
    absences: list[Absence]

    def machine(self) -> Machine:
        """Choose a machine."""
        return self.random.choice(self.cluster.machines)

    def while_s(self) -> float:
        """Choose how long a machine is away: for a moment, or until it is lost."""
        return self.random.uniform(2, 8) if self.random.random() < 0.5 else LONG_S

    def goes(self, machine: Machine) -> None:
        """Note that a machine goes away now."""
        self.absences.append(Absence(machine.name, time.time_ns() // 1_000_000))


Fault = Callable[[Stage], Awaitable[None]]


async def _power_off(stage: Stage) -> None:
    machine, seconds = stage.machine(), stage.while_s()
    stage.note(f"{machine.name} loses its power for {seconds:.0f} s")
    stage.goes(machine)
    machine.power_off()
    await trio.sleep(seconds)
    stage.note(f"{machine.name} is switched on")
    await trio.to_thread.run_sync(stage.cluster.boot, machine)


async def _partition(stage: Stage) -> None:
    machine, seconds = stage.machine(), stage.while_s()
    stage.note(f"{machine.name} loses its network for {seconds:.0f} s")
    stage.goes(machine)
    machine.cut()
    await trio.sleep(seconds)
    stage.note(f"{machine.name} has its network again")
    machine.join()


async def _agent(stage: Stage) -> None:
    machine = stage.machine()
    stage.note(f"the agent on {machine.name} is killed")
    await trio.to_thread.run_sync(stage.cluster.kill_agent, machine)


async def _raylet(stage: Stage) -> None:
    machine = stage.machine()
    stage.note(f"Ray on {machine.name} is killed")
    await trio.to_thread.run_sync(stage.cluster.kill_raylet, machine)


async def _server(stage: Stage) -> None:
    stage.note("the server is killed")
    stage.server.die()
    await trio.sleep(stage.random.uniform(0, GRACE_S / 7))
    await stage.server.begin()
    stage.note("the server is ready again")


async def _head(stage: Stage) -> None:
    seconds = stage.random.uniform(0, 10)
    stage.note(f"the head of the cluster is killed, for {seconds:.0f} s")
    await trio.to_thread.run_sync(stage.cluster.kill_head)
    await trio.sleep(seconds)
    stage.cluster.start_head()
    stage.note("the head of the cluster is started")


FAULTS: Final[dict[str, Fault]] = {
    "agent": _agent,
    "raylet": _raylet,
    "server": _server,
    "head": _head,
    "partition": _partition,
    "power": _power_off,
}
"""By name; `make drill-cluster KINDS="agent raylet"` takes these only."""
