"""Processes behind a shim: they outlive their starter, and end with their lease or with their guard."""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from fleet.adapters.opencode import detached, shim
from fleet.adapters.opencode.detached import Lease
from fleet.adapters.opencode.identity import identify
from fleet.adapters.opencode.process import LocalOpenCodeHost
from fleet.errors import Unavailable
from fleet.ports import Exit, ProcessIdentity
from tests.adapters.opencode.test_process import ANNOUNCE, HEALTHY, Machine, eventually

LEASE_S = 1.0
LEFT = 'setsid sleep 1000 & echo $! > "$HOME/shell"'


class Node:
    """A machine whose lease ends as soon as it is not renewed; nothing on it is left running."""

    def __init__(self, root: Path) -> None:
        self.machine = Machine(root, detached=True)
        self.root = root
        self.directory = self.machine.directory
        self.lease = Lease(root / "lease", 1000.0)
        self.lease.renew(self.lease.token())

    def host(self, body: str, data_dir: str = "data") -> LocalOpenCodeHost:
        return self.machine.host(body, data_dir)

    def guard(self, instance_id: str) -> int:
        return int(json.loads((self.files(instance_id) / "process").read_bytes())["guard"]["pid"])

    def files(self, instance_id: str) -> Path:
        return self.root / "data" / "instances" / instance_id

    async def shell(self) -> int:
        file = self.root / "shell"
        await eventually(lambda: file.exists() and file.read_text().strip() != "")
        return int(file.read_text())


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path.resolve())


@pytest.fixture(autouse=True)
def quick_guards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detached, "LEASE_POLL_S", 0.05)
    monkeypatch.setattr(detached, "REMNANTS_POLL_S", 0.05)
    monkeypatch.setattr(detached, "TERM_GRACE_S", 0.3)


@asynccontextmanager
async def heard(node: Node) -> AsyncGenerator[None]:
    """The host hears its server while the block runs; its lease ends LEASE_S after the block."""
    lease = node.machine.lease = Lease(node.root / "lease", LEASE_S)

    async def renew() -> None:
        while True:
            lease.renew(lease.token())
            await trio.sleep(0.02)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(renew)
        yield
        nursery.cancel_scope.cancel()


async def test_a_process_outlives_the_process_that_started_it(node: Node) -> None:
    """The starter here is another Python, which is killed: its parent is not in its ancestry any more."""
    host = node.host(HEALTHY)
    await host.learn_version()
    starter = f"""
import os, sys, trio
from pathlib import Path
from fleet.adapters.opencode.detached import Lease
from fleet.adapters.opencode.process import LocalOpenCodeHost
async def main():
    root = Path({str(node.root)!r})
    environment = {{"PATH": os.environ["PATH"], "HOME": str(root)}}
    lease = Lease(root / "lease", 1000.0)
    host = LocalOpenCodeHost(root / "data", str(root / "opencode"), environment=environment, lease=lease)
    identity = await host.spawn("i", str(root))
    print(identity.pid, flush=True)
    os.killpg(0, 9)
trio.run(main)
"""
    done = await trio.run_process(
        [sys.executable, "-c", starter],
        capture_stdout=True,
        check=False,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == -signal.SIGKILL
    identity = identify(int(done.stdout))
    assert identity is not None
    assert await host.spawn("i", node.directory) == identity  # adopted, not started again
    assert [(found.identity, found.server) for found in await host.find()] == [(identity, True)]
    assert (await host.wait_ready("i", identity)).version == "1.18.33"
    async with trio.open_nursery() as nursery:
        ended: list[Exit] = []

        async def wait() -> None:
            ended.append(await host.wait_exit("i", identity))

        nursery.start_soon(wait)
        assert [step.step for step in await host.stop("i", identity)] == ["term"]
    assert ended == [Exit(signal=15)]
    assert await LocalOpenCodeHost(node.root / "data", lease=node.lease).wait_exit("i", identity) == Exit(signal=15)


async def test_the_end_of_the_lease_ends_the_process_and_what_its_tools_left(node: Node) -> None:
    async with heard(node):
        host = node.host(f"trap '' TERM; {LEFT}; {ANNOUNCE}; while :; do sleep 0.05; done")
        identity = await host.spawn("i", node.directory)
        shell = await node.shell()
        await trio.sleep(LEASE_S + 0.2)
        assert identify(identity.pid) == identity
    how = await host.wait_exit("i", identity)
    assert how.signal == signal.SIGKILL
    assert how.reason is not None
    assert how.reason.startswith("the server was not heard for ")
    await eventually(lambda: identify(shell) is None)
    await eventually(lambda: identify(node.guard("i")) is None)
    with pytest.raises(Unavailable) as refused:
        await host.spawn("another", node.directory)
    assert refused.value.code == "host_unreachable"


async def test_what_tools_left_running_ends_with_the_lease_after_the_end_of_the_process(node: Node) -> None:
    async with heard(node):
        host = node.host(f"{LEFT}; {ANNOUNCE}; exit 3")
        identity = await host.spawn("i", node.directory)
        assert await host.wait_exit("i", identity) == Exit(code=3)
        shell = await node.shell()
    await eventually(lambda: identify(shell) is None)


async def test_a_process_dies_with_its_guard(node: Node) -> None:
    host = node.host(f"{LEFT}; {ANNOUNCE}; exec sleep 1000")
    identity = await host.spawn("i", node.directory)
    shell = await node.shell()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        os.kill(node.guard("i"), number)
    assert identify(identity.pid) == identity
    os.kill(node.guard("i"), signal.SIGKILL)
    assert await host.wait_exit("i", identity) == Exit()  # no one has seen how
    assert identify(shell) is not None
    assert [step.step for step in await host.stop("i", identity)] == ["sweep"]
    again = await host.spawn("i", node.directory)
    assert again != identity
    await host.stop("i", again)


async def test_what_has_lost_its_guard_ends_with_the_lease(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.adapters.opencode.process.LEASE_MARGIN_S", 0.0)
    monkeypatch.setattr("fleet.adapters.opencode.process.REMNANTS_POLL_S", 0.05)
    async with heard(node):
        host = node.host(f"{LEFT}; {ANNOUNCE}; exec sleep 1000")
        identity = await host.spawn("i", node.directory)
        shell = await node.shell()
        os.kill(node.guard("i"), signal.SIGKILL)
        await host.wait_exit("i", identity)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(host.enforce_lease)
        await eventually(lambda: identify(shell) is None)
        nursery.cancel_scope.cancel()


async def test_calls_that_are_delivered_twice_start_one_process(node: Node) -> None:
    """The second host is that of an agent that has restarted, and knows nothing of the first one's start."""
    hosts = [node.host(f'echo >> "$HOME/starts"; {ANNOUNCE}; exec sleep 1000') for _ in range(2)]
    started: list[ProcessIdentity] = []

    async def spawn(host: LocalOpenCodeHost) -> None:
        started.append(await host.spawn("i", node.directory))

    async with trio.open_nursery() as nursery:
        for host in (*hosts, *hosts):
            nursery.start_soon(spawn, host)
    assert len(set(started)) == 1
    assert (node.root / "starts").read_text() == "\n"
    await hosts[0].stop("i", None)


async def test_the_guard_shows_no_secret_and_keeps_no_directory_busy(node: Node) -> None:
    host = node.host(HEALTHY)
    work = node.root / "work"
    work.mkdir()
    identity = await host.spawn("i", str(work))
    password = (node.files("i") / "password").read_bytes()
    guard = Path(f"/proc/{node.guard('i')}")
    assert password not in (guard / "cmdline").read_bytes() + (guard / "environ").read_bytes()
    assert str(guard.joinpath("cwd").readlink()) == "/"
    assert str(Path(f"/proc/{identity.pid}/cwd").readlink()) == str(work)
    await host.stop("i", identity)
    await eventually(lambda: identify(int(guard.name)) is None)


async def test_a_new_process_of_an_instance_has_no_exit_of_the_former(node: Node) -> None:
    host = node.host("exit 4")
    former = await host.spawn("i", node.directory)
    assert await host.wait_exit("i", former) == Exit(code=4)
    second = await host.spawn("i", node.directory)
    assert await host.wait_exit("i", former) == Exit()
    assert await host.wait_exit("i", second) == Exit(code=4)


def tokens(lease: Lease, *at_s: float) -> Iterator[str]:
    return (shim.lease_token(each) for each in at_s)


def test_a_lease_is_renewed_by_proof_of_an_answer_only(node: Node) -> None:
    lease = Lease(node.root / "other", 10.0)
    assert lease.is_over()
    now_s = shim.clock_s()
    late, later, future = tokens(lease, now_s - 8, now_s - 12, now_s + 100)
    assert not lease.renew("damaged")
    assert not lease.renew(future)
    assert not lease.renew(late.replace(late[:8], "00000000"))  # of another boot
    assert lease.leased_s() is None
    assert lease.renew(late)
    assert lease.renew(later)  # it was overtaken on its way
    assert lease.leased_s() == pytest.approx(now_s - 8, abs=0.002)
    assert not lease.is_over()
    assert Lease(lease.file, 5.0).is_over()
    assert not Lease(lease.file, 5.0).is_over(margin_s=5.0)
    lease.file.write_text("damaged")
    assert lease.is_over()
