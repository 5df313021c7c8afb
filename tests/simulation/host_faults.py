"""What goes wrong with other machines: power, network, agents, the engine, and calls that get lost or come twice."""

from collections.abc import Awaitable, Callable
from random import Random

import trio

from fleet.actors.caller import Caller
from fleet.actors.fleet import Fleet
from fleet.core.hosts import HOSTS_ID
from tests.fakes.machine import FakeMachine
from tests.simulation.machine import Machine

TRANSFER_S = 0.02


class HostFaults:
    """A seeded bringer of trouble to the machines beside the server's. `calm` ends what lasts."""

    def __init__(self, machine: Machine, random: Random) -> None:
        self._machine = machine
        self._cluster = machine.cluster
        self._random = random

    def weights(self) -> dict[Callable[[], Awaitable[None]], int]:
        """Return what may go wrong, by weight: nothing without such machines."""
        if not self._cluster.nodes:
            return {}
        return {
            self._cut: 10,
            self._power_off: 8,
            self._restart_agent: 5,
            self._stop_engine: 5,
            self._lose_calls: 8,
            self._double_calls: 6,
            self._slow_down: 5,
        }

    def calm(self) -> None:
        """Bring every machine back, and the engine."""
        for node in self._cluster.nodes:
            node.lost_calls = node.lost_answers = node.doubled_calls = 0.0
            node.transfer_s = TRANSFER_S
            node.mend()
            node.power_on()
        self._cluster.engine_back()

    def _a_node(self) -> FakeMachine:
        return self._random.choice(self._cluster.nodes)

    def _a_while(self) -> float:
        """Return how long something lasts: shorter than the lease, about as long, or longer than a loss takes."""
        lease_s = self._cluster.lease_s
        return self._random.choice((1.0, 8.0, lease_s * 0.5, lease_s + 5, lease_s + self._cluster.margin_s + 20))

    async def _cut(self) -> None:
        node = self._a_node()
        node.cut()
        try:
            await trio.sleep(self._a_while())
        finally:
            node.mend()

    async def _power_off(self) -> None:
        node = self._a_node()
        if not node.powered:
            return
        node.power_off()
        if self._random.random() < 0.4:
            self._machine.lose_disk(node)
        try:
            await trio.sleep(self._a_while())
        finally:
            node.power_on()

    async def _restart_agent(self) -> None:
        node = self._a_node()
        node.agent_up = False
        self._cluster.changed()
        try:
            await trio.sleep(self._random.choice((0.5, 3.0, 15.0)))
        finally:
            node.agent_up = True
            node.restart_agent()

    async def _stop_engine(self) -> None:
        self._cluster.engine_down()
        try:
            await trio.sleep(self._random.choice((1.0, 10.0, 40.0)))
        finally:
            self._cluster.engine_back()

    async def _lose_calls(self) -> None:
        node = self._a_node()
        node.lost_calls, node.lost_answers = self._random.choice(((0.3, 0.0), (0.0, 0.3), (0.2, 0.2)))
        await trio.sleep(self._random.choice((2.0, 20.0)))
        node.lost_calls = node.lost_answers = 0.0

    async def _double_calls(self) -> None:
        node = self._a_node()
        node.doubled_calls = 0.5
        await trio.sleep(self._random.choice((2.0, 20.0)))
        node.doubled_calls = 0.0

    async def _slow_down(self) -> None:
        node = self._a_node()
        node.transfer_s = self._random.choice((0.5, 5.0, 30.0))
        await trio.sleep(self._random.choice((5.0, 40.0)))
        node.transfer_s = TRANSFER_S


async def undrain(machine: Machine) -> None:
    """Let every machine take sessions again."""

    async def undrain_all(fleet: Fleet) -> None:
        known = fleet.views.hosts.get(HOSTS_ID)
        for name in () if known is None else known.draining:
            await fleet.hosts.undrain(name, Caller())

    await machine.call(undrain_all)
