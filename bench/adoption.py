"""How long does Fleet take to adopt 50 OpenCode processes that lived on while it was gone?

Fifty real ones would take 15 GB, so they are stand-ins (stand_in.py) with the markers, password files and logs that
`LocalOpenCodeHost` gives: Fleet finds them, proves who they are, and follows the events of each as ever. A smaller
round has real ones. Adopted means that Fleet holds a connection to every one and calls each of them ready.

Run: python -m bench adoption
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil
import trio

from bench.figures import ROUNDS, Figure, show
from bench.sample_log import Author, Stream
from bench.server import READY_TIMEOUT_S, Server, create_session, fleet, make_repository
from fleet.adapters.clock import SystemClock
from fleet.adapters.opencode.client import USERNAME
from fleet.adapters.opencode.files import InstanceFiles
from fleet.adapters.opencode.identity import DATA_MARKER, INSTANCE_MARKER, identify
from fleet.adapters.opencode.process import LocalOpenCodeHost
from fleet.core.instance.events import InstanceReady, InstanceRequested, InstanceSpawned, SessionAttached
from fleet.events.catalog import make_registry
from fleet.events.envelope import Cause
from fleet.events.lmdb_log import LmdbLog
from fleet.ports import Endpoint, ProcessIdentity

INSTANCES = 50
REAL_INSTANCES = 3
_STAND_IN = Path(__file__).with_name("stand_in.py")
_VERSION = "1.18.33"
_LEAVE = ("--leave-running", "true")
_POLL_S = 0.005


class Living(NamedTuple):
    """A process that waits to be adopted."""

    instance_id: str
    process: "subprocess.Popen[bytes]"
    identity: ProcessIdentity
    created_at_s: float
    port: int
    password: str


class Adoption(NamedTuple):
    """Seconds since the start of Fleet's process: until it is ready, and until everything is adopted."""

    ready_s: float
    adopted_s: float


# ----------------------------------------------------------------------------------------------------------- stand-ins


@contextmanager
def _stand_ins(data_dir: Path, instance_ids: Iterable[str]) -> Generator[list[Living]]:
    """Run a stand-in for each instance while the block runs."""
    started: list[tuple[str, subprocess.Popen[bytes], str]] = []
    try:
        for instance_id in instance_ids:
            password = InstanceFiles(data_dir, instance_id).make_password()
            started.append((instance_id, _launch(data_dir, instance_id, password), password))
        yield [_living(data_dir, *each) for each in started]
    finally:
        for _, process, _ in started:
            process.communicate()  # closes its standard input, and with that it ends


def _launch(data_dir: Path, instance_id: str, password: str) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        INSTANCE_MARKER: instance_id,
        DATA_MARKER: str(data_dir),
        "OPENCODE_SERVER_USERNAME": USERNAME,
        "OPENCODE_SERVER_PASSWORD": password,
    }
    command = [sys.executable, "-I", "-S", str(_STAND_IN), "serve"]
    with InstanceFiles(data_dir, instance_id).log.open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )


def _living(data_dir: Path, instance_id: str, process: "subprocess.Popen[bytes]", password: str) -> Living:
    port = _port(data_dir, instance_id)
    identity = identify(process.pid)
    if identity is None:
        raise RuntimeError("a stand-in has ended: run stand_in.py by hand to see why")
    return Living(instance_id, process, identity, psutil.Process(process.pid).create_time(), port, password)


def _port(data_dir: Path, instance_id: str) -> int:
    """Wait until the process has announced its port, and return it."""
    files = InstanceFiles(data_dir, instance_id)
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    while (port := files.announced_port()) is None:
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"a process has not announced its port within {READY_TIMEOUT_S:g} s")
        time.sleep(_POLL_S)
    return port


# --------------------------------------------------------------------------------------------------------- the history


def _history(author: Author, living: Living) -> list[Stream]:
    """Return the streams of an instance that is ready and of its one session, which is idle after some turns."""
    session_id, directory, streams = author.task(living.instance_id)
    events = [
        InstanceRequested(instance_id=living.instance_id, key=directory, directory=directory, at_ms=author.tick()),
        SessionAttached(session_id=session_id, directory=directory, at_ms=author.tick()),
        InstanceSpawned(identity=living.identity, at_ms=author.tick()),
        InstanceReady(endpoint=Endpoint(living.port, _VERSION), at_ms=author.tick()),
    ]
    workspace, (stream, session_events) = streams
    return [(f"instance-{living.instance_id}", events), workspace, (stream, session_events[:-1])]  # not completed


async def _write(data_dir: Path, streams: Iterable[Stream]) -> None:
    with LmdbLog.open(data_dir, make_registry(), SystemClock()) as log:
        async with trio.open_nursery() as running:
            await running.start(log.run)
            for stream, events in streams:
                await log.append(stream, 0, events, Cause())
            log.stop()


# ------------------------------------------------------------------------------------------------------------ measuring


def _adoption(data_dir: Path, ports: Sequence[int], options: Sequence[str], home: Path | None = None) -> Adoption:
    """Start Fleet, and leave the processes running for the next round."""
    with fleet(data_dir, *options, *_LEAVE, home=home) as server:
        since_s = time.perf_counter()
        _await_connections(server, set(ports))
        adopted_s = server.ready_s + time.perf_counter() - since_s
        phases = [instance["status"] for instance in _instances(server)]
    if phases != ["ready"] * len(ports):
        raise RuntimeError(f"Fleet has not adopted {len(ports)} processes, it calls its instances {phases}")
    return Adoption(server.ready_s, adopted_s)


def _await_connections(server: Server, ports: set[int]) -> None:
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    while missing := ports - _connected(server.process):
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"Fleet follows the events of {len(ports) - len(missing)} of {len(ports)} processes")
        time.sleep(_POLL_S)


def _connected(process: psutil.Process) -> set[int]:
    """Return the ports that the process is connected to; an adopted OpenCode is asked for its events, nothing else."""
    connections = process.net_connections("tcp")
    return {end.raddr.port for end in connections if end.status == psutil.CONN_ESTABLISHED and end.raddr}


def _instances(server: Server) -> list[Any]:
    answer = server.http.get("/api/instances")
    answer.raise_for_status()
    listed: list[Any] = answer.json()
    return listed


def _empty_start_s() -> float:
    with tempfile.TemporaryDirectory() as empty, fleet(Path(empty), "--rehearsal", "never") as server:
        return server.ready_s


async def _bare_work(processes: Sequence[Living]) -> float:
    """Return the seconds that the least takes: is it the process that was started, and is it healthy?"""
    started_s = time.perf_counter()
    async with httpx.AsyncClient(trust_env=False) as http, trio.open_nursery() as nursery:
        for living in processes:
            nursery.start_soon(_prove, http, living)
    return time.perf_counter() - started_s


async def _prove(http: httpx.AsyncClient, living: Living) -> None:
    if psutil.Process(living.process.pid).create_time() != living.created_at_s:
        raise RuntimeError(f"process {living.process.pid} is another one now")
    url = f"http://127.0.0.1:{living.port}/global/health"
    (await http.get(url, auth=(USERNAME, living.password))).raise_for_status()


def _best(adoptions: Iterable[Adoption]) -> Adoption:
    return Adoption(*(min(column) for column in zip(*adoptions, strict=True)))


def _with_stand_ins(data_dir: Path) -> tuple[Adoption, float, float]:
    """Return the best adoption, empty start and bare work, in seconds."""
    author = Author()
    author.now_ms = int(time.time() * 1000)  # sessions that have been idle for long would be shut down
    adoptions: list[Adoption] = []
    empty: list[float] = []
    bare: list[float] = []
    with _stand_ins(data_dir, [author.uuid() for _ in range(INSTANCES)]) as living:
        trio.run(_write, data_dir, [stream for each in living for stream in _history(author, each)])
        for _ in range(ROUNDS):
            adoptions.append(_adoption(data_dir, [each.port for each in living], ("--rehearsal", "never")))
            empty.append(_empty_start_s())
            bare.append(trio.run(_bare_work, living))
    return _best(adoptions), min(empty), min(bare)


def _with_opencode(root: Path) -> Adoption:
    data_dir, home = root / "data", root / "home"
    options = ("--rehearsal", "always", "--instance-policy", "directory")
    repository = make_repository(root / "repository")
    try:
        with fleet(data_dir, *options, *_LEAVE, home=home) as server:
            for _ in range(REAL_INSTANCES):
                create_session(server, repository)
            ports = [_port(data_dir, instance["id"]) for instance in _instances(server)]
        return _best([_adoption(data_dir, ports, options, home) for _ in range(ROUNDS)])
    finally:
        trio.run(_stop_all, data_dir)


async def _stop_all(data_dir: Path) -> None:
    host = LocalOpenCodeHost(data_dir)
    for instance_id in {found.instance_id for found in await host.find()}:
        await host.stop(instance_id, None)


def main() -> list[Figure]:
    """Measure, print and return seconds."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary).resolve()
        adoption, empty_s, bare_s = _with_stand_ins(root / "stand-ins")
        real = _with_opencode(root / "opencode")
    return show(
        f"adoption: a restart while {INSTANCES} OpenCode processes live, against a start on an empty log",
        [
            Figure("from the process's start to ready", adoption.ready_s, "s", empty_s),
            Figure("from the process's start to all adopted", adoption.adopted_s, "s", empty_s),
            Figure("what they add, against proof and health by hand", adoption.adopted_s - empty_s, "s", bare_s),
            Figure(f"{REAL_INSTANCES} real OpenCode processes, to all adopted", real.adopted_s, "s", empty_s),
        ],
    )


if __name__ == "__main__":
    main()
