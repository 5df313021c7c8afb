"""A real server whose sessions work on hosts of a cluster, with the real OpenCode and the rehearsal model."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.server import Server, git, repository, until
from tests.ray.conftest import RayCluster


class ServerWithHosts(Server):
    """A server with the hosts of a cluster."""

    def __init__(self, root: Path, cluster: RayCluster) -> None:
        super().__init__(root, cluster.opencode)
        self._cluster = cluster

    def command(self, *arguments: str) -> list[str]:
        return super().command("--hosts", "ray", "--ray-address", self._cluster.address, *arguments)

    def environment(self) -> dict[str, str]:
        engine = {name: value for name, value in self._cluster.environment.items() if name.startswith("RAY_")}
        return super().environment() | engine


@pytest.fixture
def server(cluster: RayCluster, tmp_path: Path) -> Iterator[Server]:
    server = ServerWithHosts(tmp_path.resolve(), cluster)
    try:
        server.start()
        yield server
    finally:
        server.close()


def test_a_session_on_another_host_outlives_a_crash_of_the_server(server: Server, cluster: RayCluster) -> None:
    source = repository(server.root / "project")
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
