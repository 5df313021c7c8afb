"""The witness: sees every second which processes of Fleet live on which machine, and how old the machine's lease is.

It asks the kernel and the file system only. Agents leave traces of their own: every prompt has them write the machine
and the time to a file that all machines share (`ticks`).
"""

import time
from pathlib import Path
from typing import Final, NamedTuple

import psutil
import trio

from fleet.adapters.opencode import shim
from tests.e2e.cluster_drill.machines import Machine

MARKER: Final = "FLEET_INSTANCE_ID"
_EVERY_S: Final = 1.0


class Sight(NamedTuple):
    """What was seen on a machine: the processes with a marker, and the age of the lease, None without one."""

    at_ms: int
    machine: str
    processes: tuple[str, ...]
    lease_age_s: float | None


class Tick(NamedTuple):
    """An agent was at work for a prompt."""

    session: str
    marker: str
    machine: str
    at_s: float


class Witness:
    """Watches machines, in a thread for each look."""

    def __init__(self, machines: tuple[Machine, ...], ticks: Path) -> None:
        self._machines = machines
        self._ticks = ticks
        self.sights: list[Sight] = []

    async def watch(self) -> None:
        """Look again and again."""
        while True:
            self.sights.extend(await trio.to_thread.run_sync(self.look))
            await trio.sleep(_EVERY_S)

    def look(self) -> list[Sight]:
        """Look at all machines now."""
        return [
            Sight(time.time_ns() // 1_000_000, each.name, _marked(each), _lease_age_s(each)) for each in self._machines
        ]

    def ticks(self) -> list[Tick]:
        """Read what agents have written, in the order of time."""
        found: list[Tick] = []
        for file in self._ticks.iterdir():
            session, _, marker = file.name.rpartition("_")
            for line in file.read_text().splitlines():
                machine, _, seconds = line.partition(" ")
                found.append(Tick(session, marker, machine, float(seconds)))
        return sorted(found, key=lambda each: each.at_s)


def _marked(machine: Machine) -> tuple[str, ...]:
    found: list[str] = []
    for each in machine.processes():
        try:
            if MARKER in each.environ() and each.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{each.pid} {' '.join(each.cmdline())[:60]}")
        except (psutil.Error, OSError):
            continue
    return tuple(found)


def _lease_age_s(machine: Machine) -> float | None:
    leased = [shim.read_lease(file) for file in (machine.directory / "fleet").glob("*/*/lease")]
    known = [each for each in leased if each is not None]
    return shim.clock_s() - max(known) if known else None
