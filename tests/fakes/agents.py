"""Agents of fake machines for `FakeBackend`: each answers heartbeats and records how far its lease was renewed."""

import trio

from fleet.adapters.ray.calls import Served
from fleet.adapters.ray.frames import Node
from fleet.adapters.ray.machine import PORTS, Beat, Machine, ScriptOutput, ScriptRuns
from fleet.errors import Unavailable
from fleet.ports import Exit, HostInfo, OpenCodeHost, ProcessIdentity, Recipe, Script, ScriptEnd


class FakeAgent:
    """`machine.Machine` and what else a test asks for. `leased_s` is the moment up to which the server was heard."""

    def __init__(self, name: str, version: str) -> None:
        self.name = name
        self.version = version
        self.epoch = f"{name}-1"
        self.leased_s: float | None = None
        self.rehearsal: bool | None = None
        self.lease_s = 120.0
        self.git_version = "2.39"
        self.disk_free_bytes = 100 << 30
        self.says_name = name
        self.beats_too_much = False
        self.exits: dict[str, Exit] = {}
        self.scripts: dict[str, str] = {}
        self.ends: dict[str, ScriptEnd] = {}

    def served(self) -> Served:
        named = {"machine": Machine, "opencode": OpenCodeHost, "scripts": ScriptRuns}
        return Served({**PORTS, **named}, dict.fromkeys(named, self))

    async def beat(self, token: str, processes: tuple[ProcessIdentity, ...]) -> Beat:
        if token:
            self.leased_s = max(self.leased_s or 0.0, float(token))
        memory = tuple(each.pid * 1000 for each in processes) + ((1,) if self.beats_too_much else ())
        return Beat(
            self._info(), str(trio.current_time()), self.lease_s, memory, (False,) * len(processes), tuple(self.scripts)
        )

    def _info(self) -> HostInfo:
        return HostInfo(
            self.says_name,
            self.epoch,
            "10.0.0.1",
            f"/hosts/{self.name}",
            self.version,
            "1.18.33",
            self.git_version,
            "3.11",
            "2.60",
            {},
            8.0,
            16 << 30,
            8 << 30,
            self.disk_free_bytes,
            1000,
        )

    async def offer_rehearsal(self, offered: bool) -> None:
        self.rehearsal = offered

    async def password(self, instance_id: str) -> str:
        return f"secret of {instance_id}"

    async def wait_exit(self, instance_id: str, identity: ProcessIdentity) -> Exit:
        while instance_id not in self.exits:  # noqa: ASYNC110 - a test sets it
            await trio.sleep(1)
        return self.exits[instance_id]

    async def find(self) -> tuple[()]:
        await trio.sleep(5)
        return ()

    async def read(self, directory: str) -> Recipe | None:
        return None

    async def start(self, script: Script) -> None:
        self.scripts.setdefault(script.marker, "")

    async def output(self, marker: str, offset: int) -> ScriptOutput:
        while len(self._written(marker)) <= offset and marker not in self.ends:  # noqa: ASYNC110 - likewise
            await trio.sleep(1)
        return ScriptOutput(self.scripts[marker][offset:], self.ends.get(marker))

    def _written(self, marker: str) -> str:
        if marker not in self.scripts:
            raise Unavailable("host_unreachable", "the host's agent was started again")
        return self.scripts[marker]

    async def forget(self, marker: str) -> None:
        self.scripts.pop(marker, None)


def node_of(name: str, cpus: float = 4.0, **labels: str) -> Node:
    return Node({"fleet-host": name, "ray.io/node-id": "abc", **labels}, "10.0.0.1", cpus, 8 << 30)
