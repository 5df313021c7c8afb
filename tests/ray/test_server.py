"""A real server whose sessions work on hosts of a cluster, with the real OpenCode and the rehearsal model.

It reaches OpenCode through the agents of the hosts only; tests/ray/test_hosts.py reaches it directly.
"""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.server import Server, git, repository, until
from tests.ray.conftest import RayCluster


class ServerWithHosts(Server):
    """A server with the hosts of a cluster."""

    def __init__(self, root: Path, cluster: RayCluster) -> None:
        super().__init__(root, cluster.opencode)
        self._cluster = cluster

    def command(self, *arguments: str) -> list[str]:
        hosts = ("--hosts", "ray", "--ray-address", self._cluster.address, "--host-reach", "agent")
        return super().command(*hosts, *arguments)

    def environment(self) -> dict[str, str]:
        # The sidecar runs the same source as the server.
        given = self._cluster.environment.items()
        engine = {name: value for name, value in given if name.startswith("RAY_") or name == "PYTHONPATH"}
        return super().environment() | engine


@pytest.fixture(scope="module")
def server(cluster: RayCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = ServerWithHosts(tmp_path_factory.mktemp("server").resolve(), cluster)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def source(server: Server) -> Path:
    """A repository of which all sessions are: on one host they share a process."""
    return repository(server.root / "project")


def test_a_session_on_another_host_outlives_a_crash_of_the_server(
    server: Server, cluster: RayCluster, source: Path
) -> None:
    item = server.create(source, 'write b.txt: "two"', isolationStrategy="worktree", host="n2", cpus=1, memoryMb=100)
    item = server.settled(item["id"])
    assert (item["host"], item["turns"]) == ("n2", 1)
    assert item["directory"].startswith(str(cluster.root))
    assert (Path(item["directory"]).parents[2] / "opencode.db").exists()  # not the one of this user's other hosts
    assert git(source, "for-each-ref", "refs/fleet/kept") != ""  # the work is on the server already

    server.prompt(item["id"], 'bash "sleep 300"')
    server.became(item["id"], "active")
    before = server.call("GET", f"/instances/{item['instanceId']}")
    server.end(signal.SIGKILL)
    server.start()
    found = until(lambda: server.call("GET", f"/instances/{item['instanceId']}"), "the instance")
    assert (found["pid"], found["status"]) == (before["pid"], "ready")
    assert server.session(item["id"])["status"] == "active"
    server.call("POST", f"/sessions/{item['id']}/abort")
    server.became(item["id"], "idle")
    server.prompt(item["id"], 'say "Still here."')
    server.settled(item["id"], 3)
    assert server.texts(item["id"])[-1] == "Still here."
    hosts = {each["name"]: each for each in server.call("GET", "/hosts")}
    assert {name: each["status"] for name, each in hosts.items()} == {"local": "up", "n1": "up", "n2": "up"}
    assert (hosts["n2"]["sessions"], hosts["n2"]["labels"], hosts["n2"]["cores"]) == (1, {"disk": "fast"}, 4)
    server.call("DELETE", f"/sessions/{item['id']}")
    server.became(item["id"], "stopped")


def test_without_the_head_of_the_cluster_sessions_continue_and_none_is_placed(
    server: Server, cluster: RayCluster, source: Path
) -> None:
    item = server.create(source, 'say "Before."', isolationStrategy="worktree", host="n2", cpus=1, memoryMb=100)
    server.settled(item["id"])
    cluster.order("kill", "head")
    try:
        away = until(lambda: _engine(server, answers=False), "the loss of the engine")
        assert "head of the cluster has not answered" in away["evidence"]
        server.prompt(item["id"], 'write c.txt: "three"')
        assert server.settled(item["id"], 2)["outcome"] == "finished"
        body = {"directory": str(source), "isolationStrategy": "worktree", "host": "n2", "cpus": 1, "memoryMb": 100}
        late = server.refused(503, "engine_down", "POST", "/sessions", body)["sessionId"]
    finally:
        cluster.order("add", "head")
    until(lambda: _engine(server, answers=True), "the return of the engine")
    server.call("POST", f"/sessions/{late}/resume")
    server.became(late, "idle")
    server.prompt(late, 'say "After."')
    assert server.settled(late)["host"] == "n2"
    assert server.texts(late) == ["After."]


def _engine(server: Server, *, answers: bool) -> dict[str, Any] | None:
    """Return what the server says of the engine, once it answers, or does not."""
    item: dict[str, Any] = server.call("GET", "/hosts/engine")
    return item if item["answers"] is answers else None
