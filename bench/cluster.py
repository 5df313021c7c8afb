"""What does a host of a Ray cluster cost against the server's own machine? With the real Ray and the real OpenCode.

A cluster of a head and one machine runs on this one, so its network is the loopback. One server has sessions on both
hosts; its model answers at once, from a process of its own. Calls are an echo, through the sidecar and from a program
of Ray (ray_call.py). What a repository's way to another host costs is measured in travel.py.

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
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil
import trio

from bench.figures import Figure, show
from bench.first_delta import first_delta_ms, through_fleet
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
from fleet.adapters.ray.calls import Remote
from fleet.adapters.ray.engine import Engine, sidecar
from fleet.adapters.ray.frames import Adopt, PortCall
from fleet.rehearsal.config import opencode_config
from tests.ray.conftest import SETTINGS, RayCluster, started
from tests.ray.opener import Echo

CALLS = 500
TURNS = 25
CREATES = 4
WARM_S_AT_MOST = 0.5
OVERHEAD_MS_AT_MOST = 5.0
HOSTS: Final = ("n1", "local")
_HEARD_S = 60.0


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
    with started(("-m", "tests.ray.cluster", "n1"), environment, root) as cluster:
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


@contextmanager
def _server(root: Path, cluster: RayCluster, home: Path) -> Generator[Server]:
    """Run a server that uses the cluster, and the model, and wait for the host."""
    port = free_port()
    configuration = home / "config/opencode/opencode.json"
    configuration.parent.mkdir(parents=True, exist_ok=True)
    configuration.write_text(json.dumps(opencode_config(f"http://127.0.0.1:{port}/v1")), "utf-8")
    options = ("--rehearsal", "never", "--hosts", "ray", "--ray-address", cluster.address)
    with (
        running([*FLEET, "rehearsal", "--port", str(port)], port, "/health", os.environ),
        fleet(root / "data", *options, home=home, further=_of_ray(cluster.environment)) as server,
    ):
        deadline_s = time.monotonic() + _HEARD_S
        while "n1" not in (host["name"] for host in server.http.get("/api/hosts").raise_for_status().json()):
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


def _first_words(server: Server, repository: Path) -> dict[str, float]:
    """Return the median from a prompt to the first word on each host, in ms."""
    made: dict[str, Any] = {host: create_session(server, repository, host=host)["session"]["id"] for host in HOSTS}
    taken: dict[str, list[float]] = {host: [] for host in HOSTS}
    with through_fleet(server, made["n1"]) as there, through_fleet(server, made["local"]) as here:
        sides = {"n1": there, "local": here}
        for turn in range(TURNS + 1):  # the first turn has OpenCode make a title
            for host in HOSTS[:: 1 if turn % 2 else -1]:  # the turn before has left the machine something to do
                taken[host].append(first_delta_ms(sides[host]))
    return {host: statistics.median(each[1:]) for host, each in taken.items()}


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
        repository = make_repository(root / "repository")
        with _ray(root, home) as cluster:
            through, direct = trio.run(_sidecar_ms, cluster), _direct_ms(cluster)
            with _server(root, cluster, home) as server:
                created = _creates(server, repository)
                words = _first_words(server, repository)
                memory_mb = _memory_of_agent_mb()
    more_s, more_ms = created["n1"] - created["local"], words["n1"] - words["local"]
    return show(
        "cluster: a host of a Ray cluster, against the server's own machine",
        [
            Figure("a call through the sidecar, against one of a program of Ray", through, "ms", direct),
            Figure("a session on a repository that is there", created["n1"], "s", created["local"]),
            Figure("what the host adds to it", more_s, "s", at_most=WARM_S_AT_MOST),
            Figure("from a prompt to the first word, p50", words["n1"], "ms", words["local"]),
            Figure("what the host adds to it, p50", more_ms, "ms", at_most=OVERHEAD_MS_AT_MOST),
            Figure("memory of the agent", memory_mb, "MB"),
        ],
    )


if __name__ == "__main__":
    main()
