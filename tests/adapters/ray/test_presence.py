"""What a server has on a machine of the cluster, and how its processes end."""

import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import pytest
import trio

from fleet.adapters.ray.presence import Presence, directory_of, end_processes, hosts_root, lease_of, presences
from fleet.adapters.ray.survey import Probe


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLEET_HOST_ROOT", str(tmp_path / "hosts"))
    return hosts_root(os.environ)


@contextmanager
def shell(root: Path, server: str | None, host: str) -> Generator["subprocess.Popen[bytes]"]:
    """Run a process that an agent of a session of this server has left on the host."""
    directory = directory_of(root, server, host)
    (directory / "workspaces" / "w1").mkdir(parents=True, exist_ok=True)
    own = {"FLEET_INSTANCE_ID": "i1", "FLEET_DATA_DIR": str(directory)}
    environment = own if server is None else {**own, "FLEET_DATA_ID": server}
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_what_servers_have_on_a_machine_is_found_without_them(root: Path) -> None:
    with shell(root, "d1", "n1"), shell(root, None, "n1"), shell(root, "d2", "n2"):
        lease = lease_of(directory_of(root, "d1", "n1"), 60.0)
        lease.renew(lease.token())
        heard_s = time.time() - 3600
        os.utime(lease.file, (heard_s, heard_s))
        first, unnamed = presences(root, "n1")
        assert first.heard_ago_s == pytest.approx(3600, abs=60)
        assert msgspec.structs.replace(first, heard_ago_s=None) == Presence(
            "d1", "n1", f"{root}/d1/n1", workspaces=1, heard_ago_s=None, processes=1, opencode=0
        )
        assert (unnamed.server, unnamed.heard_ago_s, unnamed.processes) == ("fleet", None, 1)


async def test_only_the_processes_of_the_released_server_end_and_its_files_stay(root: Path) -> None:
    with ExitStack() as stack:
        mine, elsewhere, others, unnamed = (
            stack.enter_context(shell(root, *whose))
            for whose in (("d1", "n1"), ("d1", "n2"), ("d2", "n1"), (None, "n1"))
        )
        work = directory_of(root, "d1", "n1") / "workspaces" / "w1" / "work.txt"
        work.write_text("only here\n")
        await end_processes(root, "d1", "n1")
        assert mine.wait() == -9
        assert [each.poll() for each in (elsewhere, others, unnamed)] == [None] * 3
        await end_processes(root, "fleet", "n1")
        assert unnamed.wait() == -9
        assert work.read_text() == "only here\n"
    await end_processes(root, "d9", "n1")
    assert not directory_of(root, "d9", "n1").exists()


async def test_probe_of_a_machine_without_a_name_finds_and_ends_nothing(root: Path) -> None:
    with shell(root, "d1", "n1") as process:
        assert await _found(None, "d1") == ()
        assert [each.processes for each in await _found("n1", None)] == [1]
        assert process.poll() is None
        assert [each.processes for each in await _found("n1", "d1")] == [0]


async def _found(host: str | None, released: str | None) -> tuple[Presence, ...]:
    encoded = await trio.to_thread.run_sync(Probe("127.0.0.1").presences, host, released)
    return msgspec.msgpack.decode(encoded, type=tuple[Presence, ...])
