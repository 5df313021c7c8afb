"""Clusters of their own, for `make drill-cluster`: one that speaks TLS, and one that starts and removes machines."""

import socket
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme

from fleet.adapters.ray.heard_host import HostDeadlines
from fleet.adapters.ray.hosts import RayHosts
from fleet.adapters.ray.survey import survey
from fleet.errors import Problem
from fleet.ports import HostLost, Need, WorkspaceSpec
from tests.patience import PATIENCE_S
from tests.ray.conftest import RayCluster, running
from tests.ray.test_hosts import lost, ray_hosts, repository

pytestmark = pytest.mark.long


def own_address() -> str:
    """Return the address that Ray gives to machines here."""
    from ray import util

    ray: Any = util  # it has no types
    return str(ray.get_node_ip_address())


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path.resolve()


@pytest.fixture
def encrypted(opencode_binary: Path, tmp_path: Path) -> Generator[RayCluster]:
    """A cluster of which every connection is encrypted."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", own_address())
    files = {name: tmp_path / name for name in ("authority", "certificate", "key")}
    authority.cert_pem.write_to_path(files["authority"])
    certificate.cert_chain_pems[0].write_to_path(files["certificate"])
    certificate.private_key_pem.write_to_path(files["key"])
    with running(
        opencode_binary,
        ("-m", "tests.ray.cluster", "n1", "n2"),
        RAY_USE_TLS="1",
        RAY_TLS_CA_CERT=str(files["authority"]),
        RAY_TLS_SERVER_CERT=str(files["certificate"]),
        RAY_TLS_SERVER_KEY=str(files["key"]),
    ) as cluster:
        yield cluster


async def test_hosts_of_an_encrypted_cluster_take_work_and_others_get_the_reason(
    encrypted: RayCluster, place: Path
) -> None:
    async with ray_hosts(encrypted, place, "tls") as setting:
        assert await setting.hosts.reserve("s1", Need(host="n1", cpus=1), (), _nothing) == "n1"
        host = setting.hosts.host("n1")
        source = await host.workspaces.inspect(str(repository(place)))
        directory, branch = host.workspaces.plan("w1", "worktree", source, None, "Task")
        prepared = await host.workspaces.prepare(
            WorkspaceSpec("w1", "worktree", source.directory, directory, branch, host="n1")
        )
        assert Path(prepared.directory, "a.txt").read_text() == "one\n"
    found = await survey(encrypted.address, encrypted.environment)
    assert len(found.machines) == 3
    assert {each.problem for each in found.machines} == {""}
    plain = await survey(encrypted.address, {**encrypted.environment, "RAY_USE_TLS": "0"})
    assert "only one of the two has RAY_USE_TLS=1" in plain.failure


@pytest.fixture(params=[{}])
def elastic(opencode_binary: Path, request: pytest.FixtureRequest) -> Generator[RayCluster]:
    """A cluster that has no machine but its head, starts a1 and a2 for those who wait, and soon removes idle ones."""
    with socket.create_server(("", 0)) as free:
        port = free.getsockname()[1]
    command = ("-m", "tests.ray.elastic", f"{own_address()}:{port}", "a1", "a2")
    more = {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1", **request.param}
    with running(opencode_binary, command, **more) as cluster:
        yield cluster


async def test_a_waiting_session_starts_a_machine_and_only_one_without_a_session_goes(
    elastic: RayCluster, place: Path
) -> None:
    said: list[str] = []

    async def delayed(reason: str) -> None:
        said.append(reason)
        await trio.lowlevel.checkpoint()

    async with ray_hosts(elastic, place, "elastic", deadlines=HostDeadlines(unused_s=2.0), names=set()) as setting:
        need = Need(cpus=2)
        await _elastic(setting.hosts, need)
        first = await setting.hosts.reserve("s1", need, (), delayed)
        second = await setting.hosts.reserve("s2", need, (), delayed)
        assert {first, second} == {"a1", "a2"}
        assert said == ["a machine that starts, with 2 cores on a host"] * 2
        await setting.hosts.release("s2")
        assert "the cluster has removed its machine" in await lost(setting.hosts, HostLost, second)
        assert await setting.hosts.slots() == {"s1": first}
        assert await setting.hosts.host(first).opencode.find() == ()


@pytest.mark.parametrize(
    "elastic",
    [{"RAY_enable_autoscaler_v2": "1", "RAY_NODE_TYPE_NAME": "ray.head.default"}],  # as `ray up` and KubeRay set them
    indirect=True,
)
async def test_a_session_waits_for_a_machine_of_version_2_of_the_autoscaler(elastic: RayCluster, place: Path) -> None:
    """The fake machines do not start there."""
    said = trio.Event()

    async def delayed(reason: str) -> None:
        assert reason == "a machine that starts, with 2 cores on a host"
        said.set()
        await trio.lowlevel.checkpoint()

    async with ray_hosts(elastic, place, "elastic", names=set()) as setting, trio.open_nursery() as nursery:
        await _elastic(setting.hosts, Need(cpus=2))
        nursery.start_soon(setting.hosts.reserve, "s1", Need(cpus=2), (), delayed)
        with trio.fail_after(60):
            await said.wait()
        nursery.cancel_scope.cancel()


async def _elastic(hosts: RayHosts, need: Need) -> None:
    """Wait until it is known that the cluster can start machines."""
    with trio.fail_after(PATIENCE_S):
        while True:
            try:
                return await hosts.require(need)
            except Problem:
                await trio.sleep(0.2)
    raise AssertionError


async def _nothing(_reason: str) -> None:
    await trio.lowlevel.checkpoint()
