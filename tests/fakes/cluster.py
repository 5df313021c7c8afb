"""A cluster of fake machines: what a crash of Fleet leaves of them, their faults, and the room reserved on them.

`FakeCluster` is the engine with its machines (machine.py has one of them); tests/fakes/hosts.py is the port `Hosts` on
it, made again by each start of Fleet. A machine hears the head while both have power, the cable is in, and the engine
works. Nothing polls: each change wakes those that wait for one.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

import trio

from fleet.errors import Rejected
from fleet.ports import LOCAL, Need
from tests.fakes.machine import FakeMachine
from tests.fakes.workspaces import FakeDisk

LEASE_S: Final = 120.0
MARGIN_S: Final = 10.0
SILENT_S: Final = 6.0


@dataclass(frozen=True)
class Slot:
    """Room for one session on a machine."""

    host: str
    cpus: float
    memory_mb: int


@dataclass(frozen=True)
class Reserved:
    """A reservation that was made, and when, for checkers."""

    slot: str
    host: str
    at_s: float


@dataclass
class Autoscaler:
    """Brings machines up while a person waits for room that they would have, and removes them when they are empty."""

    cpus: float = 4.0
    memory_mb: int = 8192
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    start_s: float = 20.0
    idle_s: float = 60.0
    machines_max: int = 2
    coming: int = 0
    made: int = 0


class FakeCluster:
    """The engine and its machines. `nursery` must outlive every simulated Fleet; cancel it at the end.

    `local` is the server's own machine: it is always there, and no fault reaches it. `lease_s` is how long a process
    lives on a machine that does not hear the head, `lease_s + margin_s` how long the head waits before it calls a
    silent machine lost.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        seed: int = 0,
        *,
        disk: FakeDisk | None = None,
        lease_s: float = LEASE_S,
        margin_s: float = MARGIN_S,
        cpus: float = 8.0,
        memory_mb: int = 16_384,
    ) -> None:
        self.nursery = nursery
        self.seed = seed
        self.random = Random(f"{seed} cluster")
        self.lease_s = lease_s
        self.margin_s = margin_s
        self.engine_up = True
        self.head_up = False
        self.machines: dict[str, FakeMachine] = {}
        self.slots: dict[str, Slot] = {}
        self.reserved: list[Reserved] = []
        self.autoscaler: Autoscaler | None = None
        self._changed = trio.Event()
        self.local = self.add(LOCAL, cpus=cpus, memory_mb=memory_mb, disk=disk)

    def add(
        self,
        name: str,
        *,
        cpus: float = 4.0,
        memory_mb: int = 8192,
        labels: Mapping[str, str] | None = None,
        disk: FakeDisk | None = None,
    ) -> FakeMachine:
        """Add a machine, which is up at once."""
        machine = FakeMachine(self, name, cpus=cpus, memory_mb=memory_mb, labels=labels or {}, disk=disk)
        self.machines[name] = machine
        self.changed()
        return machine

    @property
    def nodes(self) -> list[FakeMachine]:
        """All machines but the server's."""
        return [machine for machine in self.machines.values() if machine.name != LOCAL]

    # -------------------------------------------------------------------------------------------------------- changes

    def changed(self) -> None:
        """Let machines and waiters look at what they hear and what there is now."""
        for machine in self.machines.values():
            machine.listen()
        self._changed.set()
        self._changed = trio.Event()

    @property
    def change(self) -> trio.Event:
        """The event that the next change sets."""
        return self._changed

    def grow(self) -> None:
        """Give every machine room for all."""
        for machine in self.machines.values():
            machine.cpus, machine.memory_mb = 1024.0, 1 << 20
        self.changed()

    def engine_down(self) -> None:
        """The engine answers nothing; machines run on, and do not hear the head."""
        self.engine_up = False
        self.changed()

    def engine_back(self) -> None:
        self.engine_up = True
        self.changed()

    def head_is(self, *, up: bool) -> None:
        """Fleet starts to speak to the machines, or has ended."""
        self.head_up = up
        self.changed()

    # ---------------------------------------------------------------------------------------------------- reservations

    def require(self, need: Need) -> None:
        """Raise the `Rejected` of a need that no machine can ever fulfil."""
        if need.host is not None and need.host not in self.machines:
            raise Rejected("host_unknown", f"there is no host {need.host!r}", field="host")
        if not any(self._suits(machine, need) for machine in self.machines.values()) and not self._could_come(need):
            raise Rejected("host_unsuitable", f"no host has what {_words(need)} asks for", field="host")

    def find_room(self, slot: str, need: Need, preferred: tuple[str, ...]) -> str | None:
        """Reserve room on a machine that answers, the first of `preferred` if possible; None if none has room now."""
        held = self.slots.get(slot)
        if held is not None:
            return held.host
        order = [name for name in preferred if name in self.machines]
        load = Counter(slot.host for slot in self.slots.values())
        order += sorted(
            (each for each in self.machines if each not in order),
            key=lambda each: (load[each] / max(self.machines[each].cpus, 1.0), each),
        )
        for name in order:
            machine = self.machines[name]
            if name not in need.avoid and machine.answers and self._suits(machine, need) and self._fits(machine, need):
                self.slots[slot] = Slot(name, need.cpus, need.memory_mb)
                self.reserved.append(Reserved(slot, name, trio.current_time()))
                return name
        return None

    def release(self, slot: str) -> None:
        if self.slots.pop(slot, None) is not None:
            self.changed()

    def shortage(self, need: Need) -> str:
        """Return what a person with this need waits for."""
        machine = None if need.host is None else self.machines[need.host]
        if machine is not None and not machine.answers:
            return f"the host {machine.name}, which does not answer"
        return f"room on {_words(need)}"

    def _suits(self, machine: FakeMachine, need: Need) -> bool:
        """Whether the machine could fulfil the need if it were empty."""
        chosen = need.host == machine.name or (need.host is None and machine.name != LOCAL)
        named = chosen and need.labels.items() <= machine.labels.items()
        return named and not machine.gone and need.cpus <= machine.cpus and need.memory_mb <= machine.memory_mb

    def _fits(self, machine: FakeMachine, need: Need) -> bool:
        slots = [slot for slot in self.slots.values() if slot.host == machine.name]
        cpus, memory_mb = sum(slot.cpus for slot in slots), sum(slot.memory_mb for slot in slots)
        return cpus + need.cpus <= machine.cpus and memory_mb + need.memory_mb <= machine.memory_mb

    # ------------------------------------------------------------------------------------------------------ autoscaler

    def _could_come(self, need: Need) -> bool:
        scaler = self.autoscaler
        if scaler is None or need.host is not None or not need.labels.items() <= scaler.labels.items():
            return False
        return need.cpus <= scaler.cpus and need.memory_mb <= scaler.memory_mb

    def ask_for_machine(self, need: Need) -> bool:
        """Let the autoscaler start a machine for the need; return whether one will come."""
        scaler = self.autoscaler
        if scaler is None or not self._could_come(need):
            return False
        if scaler.coming == 0 and sum(each.elastic and not each.gone for each in self.nodes) < scaler.machines_max:
            scaler.coming += 1
            self.nursery.start_soon(self._start_machine, scaler)
        return scaler.coming > 0

    async def _start_machine(self, scaler: Autoscaler) -> None:
        await trio.sleep(scaler.start_s)
        scaler.coming -= 1
        scaler.made += 1
        machine = self.add(f"elastic-{scaler.made}", cpus=scaler.cpus, memory_mb=scaler.memory_mb, labels=scaler.labels)
        machine.elastic = True
        self.nursery.start_soon(self._remove_idle, scaler, machine)

    async def _remove_idle(self, scaler: Autoscaler, machine: FakeMachine) -> None:
        """End a machine of the autoscaler that has held nothing for a while."""
        while not machine.gone:
            await trio.sleep(scaler.idle_s)
            held = any(slot.host == machine.name for slot in self.slots.values())
            if not held and not machine.disk.checkouts and not machine.world.living():
                machine.remove()


def _words(need: Need) -> str:
    parts = [need.host or "any host", *(f"{name}={value}" for name, value in need.labels.items())]
    return ", ".join((*parts, f"{need.cpus:g} cores", f"{need.memory_mb} MiB"))
