"""What does a host of a Ray cluster cost against the server's own machine? With the real Ray and the real OpenCode.

A cluster of a head and two machines runs on this one, so its network is the loopback. One server has sessions on the
first host and its own; its model answers at once, from a process of its own. Calls are an echo, through the sidecar and
from a program of Ray (ray_call.py). A large repository travels to the first host as all of them do, and by `git clone`
from git's own server. In the end Ray is killed on the first host, and a session of it is resumed on the second.

Run: python -m bench cluster
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import psutil
import trio

from bench.figures import ROUNDS, Figure, show
from bench.first_delta import Side, first_delta_ms, straight, through_fleet
from bench.server import (
    FLEET,
    Server,
    create_session,
    fleet,
    free_port,
    make_repository,
    opencode_binary,
    opencode_environment,
    running,
)
from bench.travel import RATIO_AT_MOST, make_large_repository, new_spec, timed
from fleet import __version__
from fleet.adapters.git import GitTrees, GitWorkspaces
from fleet.adapters.ray.calls import Remote
from fleet.adapters.ray.engine import Engine, sidecar
from fleet.adapters.ray.frames import Adopt, Dismiss, PortCall
from fleet.adapters.ray.host import HeadPorts, ray_host
from fleet.adapters.ray.link import HostLink
from fleet.adapters.ray.machine import Options
from fleet.adapters.travel import Head
from fleet.rehearsal.config import opencode_config
from fleet.rehearsal.script import fenced
from tests.ray.conftest import SETTINGS, RayCluster, started
from tests.ray.opener import Echo

CALLS = 500
TURNS = 60
CREATES = 4
WARM_S_AT_MOST = 0.5
OVERHEAD_MS_AT_MOST = 5.0
HOSTS: Final = ("n1", "local")
GRACE_S = 30
BEYOND_GRACE_S_AT_MOST = 10.0
_AFTER_EACH_OTHER: Final = (0, 1, 3, 2)
"""Over four turns, each side comes once after each other one: what a turn has left running slows the next."""
_HEARD_S = 60.0
_RESUMED_S = 120.0


@contextmanager
def _ray(root: Path, home: Path) -> Generator[RayCluster]:
    token = root / "token"
    token.write_text("0123456789abcdef" * 4)
    token.chmod(0o600)
    environment = {
        **opencode_environment(home),
        **SETTINGS,
        "RAY_worker_niceness": "0",  # 15 by default, and the server on the same machine would come first
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_TMPDIR": str(root),
        "FLEET_HOST_ROOT": str(root / "hosts"),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    environment["FLEET_OPENCODE"] = opencode_binary(environment)
    with started(("-m", "tests.ray.cluster", "n1", "n2"), environment, root) as cluster:
        yield cluster


async def _sidecar_ms(cluster: RayCluster) -> float:
    """Return the median of a call through a sidecar, in ms."""
    engine = Engine(
        sidecar(cluster.address, cluster.environment, "calls", "tests.ray.opener:open_echo"), lambda _: None
    )

    async def send(name: str, body: bytes, limit_s: float | None) -> bytes:
        return await engine.order(PortCall("n1", "echo", name, body, limit_s))

    taken: list[float] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        await engine.order(Adopt("n1", b""))
        echo = Remote(Echo, send)
        for _ in range(CALLS):
            started_s = time.perf_counter()
            await echo.call("repeat", "hello")
            taken.append((time.perf_counter() - started_s) * 1000)
        nursery.cancel_scope.cancel()
    return statistics.median(taken[CALLS // 5 :])


def _direct_ms(cluster: RayCluster) -> float:
    command = [sys.executable, "-m", "bench.ray_call", cluster.address, str(CALLS)]
    done = subprocess.run(command, env=dict(cluster.environment), check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


async def _repository_s(cluster: RayCluster, place: Path) -> tuple[float, float]:
    """Return the best times of a worktree of a large repository that the host has never seen, and of a clone, in s."""
    head, trees = GitWorkspaces(place / "workspaces", [place]), GitTrees(place / "trees")
    engine = Engine(sidecar(cluster.address, cluster.environment, "repositories"), lambda _: None)
    link, port = HostLink("n1", engine), free_port()
    host = ray_host(link, HeadPorts(Head(head, trees), place / "parcels"))
    serve = [
        "git",
        "daemon",
        "--export-all",
        f"--base-path={place}",
        "--listen=127.0.0.1",
        f"--port={port}",
        str(place),
    ]
    there: list[float] = []
    cloned: list[float] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(trio.run_process, serve, capture_stderr=True))
        await nursery.start(engine.run)
        await engine.order(Adopt("n1", msgspec.msgpack.encode(Options("n1", __version__, 600.0))))
        await link.beat()
        link.heard()
        for number in range(ROUNDS):  # a repository at another place is another one
            repository = (place / f"repository{number - 1}").rename(place / f"repository{number}")
            spec = await new_spec(host.workspaces, repository, f"w{number}")
            there.append(await timed(partial(host.workspaces.prepare, spec)))
            clone = ["git", "clone", "-q", f"git://127.0.0.1:{port}/{repository.name}", str(place / f"clone{number}")]
            cloned.append(await timed(partial(trio.run_process, clone)))
        await engine.order(Dismiss("n1"))
        nursery.cancel_scope.cancel()
    return min(there), min(cloned)


@contextmanager
def _server(root: Path, cluster: RayCluster, home: Path) -> Generator[Server]:
    """Run a server that uses the cluster, and the model, and wait for the host."""
    port = free_port()
    configuration = home / "config/opencode/opencode.json"
    configuration.parent.mkdir(parents=True, exist_ok=True)
    configuration.write_text(json.dumps(opencode_config(f"http://127.0.0.1:{port}/v1")), "utf-8")
    engine = ("--hosts", "ray", "--ray-address", cluster.address, "--host-grace-s", str(GRACE_S))
    with (
        running([*FLEET, "rehearsal", "--port", str(port)], port, "/health", os.environ),
        fleet(
            root / "data", "--rehearsal", "never", *engine, home=home, further=_of_ray(cluster.environment)
        ) as server,
    ):
        deadline_s = time.monotonic() + _HEARD_S
        while not {"n1", "n2"} <= {host["name"] for host in server.http.get("/api/hosts").raise_for_status().json()}:
            if time.monotonic() > deadline_s:
                raise RuntimeError("the host does not answer: run it by hand to see why")
            time.sleep(0.1)
        yield server


def _of_ray(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith("RAY_")}


def _creates(server: Server, repository: Path) -> dict[str, float]:
    """Return the best time of a worktree session on each host, in s, after a first one there."""
    taken: dict[str, list[float]] = {host: [] for host in HOSTS}
    for _ in range(CREATES):
        for host in HOSTS:
            started_s = time.perf_counter()
            create_session(server, repository, host=host)
            taken[host].append(time.perf_counter() - started_s)
    return {host: min(each[1:]) for host, each in taken.items()}


class _Words(NamedTuple):
    """From a prompt to the first word on a host, in ms: the median, and what Fleet has added in each of the turns."""

    through_ms: float
    added_ms: float


def _first_words(server: Server, repository: Path, root: Path) -> dict[str, _Words]:
    """Measure turns through Fleet and straight to the same process, because processes differ by some ms."""
    with ExitStack() as opened:
        ways: list[tuple[str, Side]] = []
        for host, files in zip(HOSTS, ("hosts", "data"), strict=True):
            made = create_session(server, repository, host=host)
            ways += [
                (host, opened.enter_context(through_fleet(server, made["session"]["id"]))),
                (f"{host}, straight", opened.enter_context(straight(server, root / files, made))),
            ]
        turns: list[dict[str, float]] = []
        for turn in range(TURNS + 1):
            ordered = [ways[(turn + each) % len(ways)] for each in _AFTER_EACH_OTHER]
            turns.append({name: first_delta_ms(side) for name, side in ordered})
    del turns[0]  # it has OpenCode make a title
    return {
        host: _Words(
            statistics.median(turn[host] for turn in turns),
            statistics.median(turn[host] - turn[f"{host}, straight"] for turn in turns),
        )
        for host in HOSTS
    }


def _resumed_s(server: Server, cluster: RayCluster, repository: Path) -> float:
    """Kill Ray on a host with a session, and return how long after its grace the session is idle on another, in s."""
    body = {"directory": str(repository), "isolationStrategy": "worktree", "host": "n1", "cpus": 0, "memoryMb": 0}
    made = server.http.post("/api/sessions", json={**body, "title": "Bench", "onHostLoss": "resume"})
    path = f"/api/sessions/{made.raise_for_status().json()['session']['id']}"
    server.http.post(f"{path}/prompt", json={"text": fenced('write note.txt: "A note."')}).raise_for_status()
    _await_session(server, path, {"status": "idle", "turns": 1})
    cluster.order("kill", "n1")
    began_s = time.monotonic()
    _await_session(server, path, {"status": "idle", "host": "n2"})
    return time.monotonic() - began_s - GRACE_S


def _await_session(server: Server, path: str, wanted: Mapping[str, object]) -> None:
    deadline_s = time.monotonic() + _RESUMED_S
    while not wanted.items() <= server.http.get(path).raise_for_status().json().items():
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"a session does not become {dict(wanted)}: run it by hand to see why")
        time.sleep(0.05)


def _memory_of_agent_mb() -> float:
    """Return the memory of the agent that has served the sessions: the largest, the others only echo."""
    sizes = [
        process.info["memory_info"].rss
        for process in psutil.process_iter(["cmdline", "memory_info"])
        if process.info["cmdline"] and process.info["cmdline"][0].startswith("ray::HostAgent")
    ]
    return float(max(sizes)) / 1e6


def main() -> list[Figure]:
    """Measure, print and return."""
    with tempfile.TemporaryDirectory(prefix="ray") as temporary:  # short: a socket's path has a limit of 107 bytes
        root = Path(temporary).resolve()
        home = root / "home"
        repository, large = make_repository(root / "repository"), root / "large"
        large.mkdir()
        make_large_repository(large / "repository-1")
        with _ray(root, home) as cluster:
            through, direct = trio.run(_sidecar_ms, cluster), _direct_ms(cluster)
            sent_s, cloned_s = trio.run(_repository_s, cluster, large)
            with _server(root, cluster, home) as server:
                created = _creates(server, repository)
                words = _first_words(server, repository, root)
                memory_mb = _memory_of_agent_mb()
                beyond_s = _resumed_s(server, cluster, repository)
    more_s, more_ms = created["n1"] - created["local"], words["n1"].added_ms - words["local"].added_ms
    return show(
        "cluster: a host of a Ray cluster, against the server's own machine",
        [
            Figure("a call through the sidecar, against one of a program of Ray", through, "ms", direct),
            Figure(
                "a 50 MB repository to a new host, against git clone",
                sent_s,
                "s",
                cloned_s,
                at_most=RATIO_AT_MOST * cloned_s,
            ),
            Figure("a session on a repository that is there", created["n1"], "s", created["local"]),
            Figure("what the host adds to it", more_s, "s", at_most=WARM_S_AT_MOST),
            Figure("from a prompt to the first word, p50", words["n1"].through_ms, "ms", words["local"].through_ms),
            Figure("what the host adds to it, p50", more_ms, "ms", at_most=OVERHEAD_MS_AT_MOST),
            Figure("memory of the agent", memory_mb, "MB"),
            Figure(
                "a lost host to resumed elsewhere, after the grace",
                beyond_s,
                "s",
                at_most=BEYOND_GRACE_S_AT_MOST,
            ),
        ],
    )


if __name__ == "__main__":
    main()
