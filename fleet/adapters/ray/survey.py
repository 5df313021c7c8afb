"""A survey of a cluster, for `fleet doctor --cluster`: its machines, what reaches them, and the servers that use them.

It needs no agent, so that it also says why a machine has none: a probe runs on each machine while the survey lasts. The
survey is made in a process of its own (surveyor.py), and read from its standard output. The same process releases what
a server that has ended holds, before it looks.
"""

import os
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
import trio

from fleet.adapters.opencode.binary import resolve_binary, version
from fleet.adapters.ray.frames import HOST_LABEL
from fleet.adapters.ray.presence import Presence, end_processes, hosts_root, presences
from fleet.adapters.ray.served import inherited_from_engine
from fleet.adapters.self_description import SelfDescription
from fleet.errors import Unavailable
from fleet.limits import RELEASE_S, SURVEY_S
from fleet.ports import HostInfo


class Surveyed(msgspec.Struct, frozen=True):
    """A machine that is in the cluster. `info` is None if its probe did not answer, and `problem` says why.

    `skew_ms` is how far its clock is ahead of the server's. `is_reachable` says whether the server reaches a port that
    the machine's kernel has chosen, as OpenCode's is. `presences` are those of servers, on a machine that is a host.
    """

    address: str
    labels: Mapping[str, str]
    is_head: bool
    info: HostInfo | None = None
    problem: str = ""
    skew_ms: int = 0
    is_reachable: bool = False
    presences: tuple[Presence, ...] = ()

    @property
    def host(self) -> str | None:
        """The host that the machine is, None if it is none."""
        return self.labels.get(HOST_LABEL)


class Server(msgspec.Struct, frozen=True, rename="camel"):
    """A Fleet server that uses the cluster: the id of its data directory, and what it holds.

    `agents` are the hosts with an agent of it, `reserved_on` those with a reservation; "" stands for a machine that is
    still to be started. `connected_from` is the address of the machine from which it is connected, "" if it is not.
    """

    id: str
    agents: tuple[str, ...] = ()
    reserved_on: tuple[str, ...] = ()
    reservations: int = 0
    cpus: float = 0.0
    memory_mb: int = 0
    connected_from: str = ""


class Survey(msgspec.Struct, frozen=True):
    """All machines of a cluster, or why there is no answer. The versions are those of the server's machine."""

    machines: tuple[Surveyed, ...] = ()
    failure: str = ""
    servers: tuple[Server, ...] = ()
    engine_version: str = ""
    python_version: str = ""

    def presences_of(self, server: str) -> tuple[Presence, ...]:
        """Return what the server with this id has on each host, by name."""
        found = [each for machine in self.machines for each in machine.presences if each.server == server]
        return tuple(sorted(found, key=lambda each: each.host))

    def sign_of_life(self, server: Server, within_s: float) -> str | None:
        """Return what says that the server may be at work, None if nothing does.

        It is connected, was heard, or its OpenCode runs: that ends with the lease, until which the server may return.
        """
        if server.connected_from:
            return f"it is connected to the cluster from {server.connected_from}"
        here = self.presences_of(server.id)
        if running := [each for each in here if each.opencode]:
            return f"its OpenCode runs on {', '.join(each.host for each in running)}, until its lease there ends"
        heard_ago_s = self.heard_ago_s(server.id)
        if heard_ago_s is not None and heard_ago_s < within_s:
            return f"it was heard {heard_ago_s:.0f} s ago"
        return None

    def heard_ago_s(self, server: str) -> float | None:
        """Return how long ago a machine of the cluster has last heard the server, None if none remembers it."""
        return min(
            (each.heard_ago_s for each in self.presences_of(server) if each.heard_ago_s is not None), default=None
        )


class Probe:
    """Runs on a machine, in a process of Ray, as the machine's agent would."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._listener: socket.socket | None = None

    def look(self, engine_version: str) -> bytes:
        """Return the encoded `HostInfo` of the machine."""
        return msgspec.msgpack.encode(trio.run(self._look, engine_version))

    async def _look(self, engine_version: str) -> HostInfo:
        environment = inherited_from_engine(os.environ)
        try:
            found = await version(resolve_binary(environment.get("FLEET_OPENCODE"), environment), environment)
        except Unavailable:
            found = None
        root = Path(os.environ.get("FLEET_HOST_ROOT") or Path.home())
        described = SelfDescription(
            "",
            epoch="",
            root=root,
            opencode_version=lambda: found,
            address=self._address,
            engine_version=engine_version,
        )
        return await described.look()

    def clock_ms(self) -> int:
        """Return the time of the machine in Unix milliseconds."""
        return time.time_ns() // 1_000_000

    def presences(self, host: str | None, released: str | None) -> bytes:
        """End the processes of the server `released`; then return the encoded presences of servers on this host."""
        root = hosts_root(os.environ)
        if host is not None and released is not None:
            trio.run(end_processes, root, released, host)
        return msgspec.msgpack.encode(() if host is None else tuple(presences(root, host)))

    def listen(self) -> int:
        """Listen on a port that the kernel chooses until the probe ends, and return it."""
        self._listener = socket.create_server((self._address, 0))
        return int(self._listener.getsockname()[1])


async def survey(address: str, environment: Mapping[str, str], *, release: str | None = None) -> Survey:
    """Make a survey of the cluster at `address`. It takes some seconds.

    With `release`, first end the agents and processes of the server with this id, and free what it has reserved.
    """
    command = [sys.executable, "-m", "fleet.adapters.ray.surveyor", address, *([] if release is None else [release])]
    limit_s = SURVEY_S if release is None else RELEASE_S
    with trio.move_on_after(limit_s):
        done = await trio.run_process(
            command,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            env={**environment, "RAY_USAGE_STATS_ENABLED": "0"},
        )
        try:
            return msgspec.json.decode(done.stdout, type=Survey)
        except msgspec.MsgspecError:
            return Survey(failure=f"the survey ended with code {done.returncode}: {_end_of(done.stderr)}")
    return Survey(
        failure=f"no answer within {limit_s:g} s; the server's own machine has to be in the cluster: run `ray start`"
    )


def _end_of(stderr: bytes) -> str:
    return stderr.decode(errors="replace").strip().rpartition("\n")[2] or "it printed nothing"
