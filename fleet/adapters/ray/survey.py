"""A survey of the machines of a cluster, for `fleet doctor --cluster`: what each one has, and what reaches it.

It needs no agent, so that it also says why a machine has none: a probe runs on each machine while the survey lasts. The
survey is made in a process of its own (surveyor.py), and read from its standard output.
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
from fleet.adapters.ray.served import inherited_from_engine
from fleet.adapters.self_description import SelfDescription
from fleet.errors import Unavailable
from fleet.limits import SURVEY_S
from fleet.ports import HostInfo


class Surveyed(msgspec.Struct, frozen=True):
    """A machine that is in the cluster. `info` is None if its probe did not answer, and `problem` says why.

    `skew_ms` is how far its clock is ahead of the server's. `is_reachable` says whether the server reaches a port that
    the machine's kernel has chosen, as OpenCode's is.
    """

    address: str
    labels: Mapping[str, str]
    is_head: bool
    info: HostInfo | None = None
    problem: str = ""
    skew_ms: int = 0
    is_reachable: bool = False


class Survey(msgspec.Struct, frozen=True):
    """All machines of a cluster, or why there is no answer. The versions are those of the server's machine.

    `agents` are the hosts with an agent, for each server by the namespace of its agents.
    """

    machines: tuple[Surveyed, ...] = ()
    failure: str = ""
    agents: Mapping[str, tuple[str, ...]] = {}
    engine_version: str = ""
    python_version: str = ""


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

    def listen(self) -> int:
        """Listen on a port that the kernel chooses until the probe ends, and return it."""
        self._listener = socket.create_server((self._address, 0))
        return int(self._listener.getsockname()[1])


async def survey(address: str, environment: Mapping[str, str]) -> Survey:
    """Make a survey of the cluster at `address`. It takes some seconds."""
    command = [sys.executable, "-m", "fleet.adapters.ray.surveyor", address]
    with trio.move_on_after(SURVEY_S):
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
        failure=f"no answer within {SURVEY_S:g} s; the server's own machine has to be in the cluster: run `ray start`"
    )


def _end_of(stderr: bytes) -> str:
    return stderr.decode(errors="replace").strip().rpartition("\n")[2] or "it printed nothing"
