"""`fleet ps`: every process there ever was, from a server that runs and from the log of one that does not."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import trio

from fleet.adapters.clock import SystemClock
from fleet.adapters.opencode.identity import DATA_MARKER, INSTANCE_MARKER, identify
from fleet.core.instance.events import (
    InstanceLost,
    InstanceReady,
    InstanceRequested,
    InstanceSpawned,
    InstanceStopped,
    InstanceStopRequested,
    RemnantsKilled,
    SessionAttached,
    SessionDetached,
)
from fleet.events.catalog import make_registry
from fleet.events.envelope import Cause
from fleet.events.lmdb_log import LmdbLog
from fleet.ports import Endpoint, Exit, ProcessIdentity, StopStep
from fleet.rehearsal.home import furnish, without_models
from tests.cli.test_app import fleet

GONE = ProcessIdentity(4_000_000, 1.0, "another boot")


def ps(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return fleet("ps", "--data-dir", str(root / "data"), *arguments, XDG_CONFIG_HOME=str(root))


def write_log(root: Path, **streams: list[Any]) -> None:
    """Leave a log as a server that has ended does; each stream is an instance."""

    async def write() -> None:
        with LmdbLog.open(root / "data", make_registry(), SystemClock()) as log:
            async with trio.open_nursery() as nursery:
                await nursery.start(log.run)
                for instance_id, events in streams.items():
                    await log.append(f"instance-{instance_id}", 0, events, Cause())
                log.stop()

    trio.run(write)


def started(instance_id: str, identity: ProcessIdentity, at_ms: int = 1000) -> list[Any]:
    return [
        InstanceRequested(instance_id=instance_id, key="key", directory="/work/project", at_ms=at_ms),
        SessionAttached(session_id="a-session", directory="/work/project", at_ms=at_ms),
        InstanceSpawned(identity=identity, at_ms=at_ms),
        InstanceReady(endpoint=Endpoint(4096, "1.2.3"), at_ms=at_ms),
    ]


def stopped(instance_id: str) -> list[Any]:
    steps = (StopStep("term", (4_000_000,)), StopStep("sweep", (4_000_001,)))
    detached = SessionDetached(session_id="a-session", at_ms=2000)
    return [
        *started(instance_id, GONE),
        InstanceStopRequested(reason="unused", at_ms=2000),
        detached,
        InstanceStopped(steps=steps, at_ms=3000),
    ]


@contextmanager
def marked(root: Path, instance_id: str) -> Generator[ProcessIdentity]:
    """Run a process that looks as if an instance's tool had started it."""
    marks = {INSTANCE_MARKER: instance_id, DATA_MARKER: str((root / "data").resolve())}
    with subprocess.Popen(["sleep", "60"], env={**os.environ, **marks}) as process:
        try:
            identity = identify(process.pid)
            assert identity is not None
            yield identity
        finally:
            process.kill()


@contextmanager
def serving(root: Path) -> Generator[str]:
    """Run a server on the data directory, and give its address."""
    program = [sys.executable, "-c", "from fleet.cli import main; main()", "serve"]
    options = ["--port", "0", "--data-dir", str(root / "data"), "--rehearsal", "always"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FLEET_")}
    furnish(root / "config/opencode")
    own = clean | {"XDG_CONFIG_HOME": str(root / "config")} | without_models(root / "models.json")
    said = root / "server.log"
    with said.open("wb") as log, subprocess.Popen([*program, *options], env=own, stdout=log, stderr=log) as server:
        try:
            deadline = time.monotonic() + 60
            while (ready := re.search(r"is ready at (\S+)", said.read_text())) is None:
                assert server.poll() is None, said.read_text()
                assert time.monotonic() < deadline, said.read_text()
                time.sleep(0.05)
            yield ready.group(1)
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(60) == 0, said.read_text()


def test_fleet_ps_without_a_data_directory_says_that_no_fleet_ever_ran(tmp_path: Path) -> None:
    done = ps(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "No Fleet has ever run" in done.stderr
    assert not (tmp_path / "data").exists()


def test_fleet_ps_reads_the_end_of_each_process_from_the_log(tmp_path: Path) -> None:
    lost = [*started("two", GONE), InstanceLost(exit=Exit(signal=9), evidence="the process is gone", at_ms=2500)]
    write_log(tmp_path, one=stopped("one"), two=[*lost, RemnantsKilled(steps=(), at_ms=2600)])
    done = ps(tmp_path)
    assert done.returncode == 0, done.stderr
    two, two_became, one, one_became = done.stdout.splitlines()
    assert two.startswith("lost         process 4000000  two  ")
    assert "the process is gone; ended by signal 9" in two_became
    assert one.startswith("stopped      process 4000000  one  1970-01-01T00:00:01.000Z to 1970-01-01T00:00:03.000Z")
    assert "no session uses it; term 4000000; sweep 4000001" in one_became


def test_fleet_ps_in_json_has_the_fields_of_the_api(tmp_path: Path) -> None:
    write_log(tmp_path, one=stopped("one"))
    (item,) = msgspec.json.decode(ps(tmp_path, "--json").stdout)
    assert (item["id"], item["status"], item["stopReason"], item["memoryBytes"]) == ("one", "stopped", "unused", None)
    assert item["steps"] == [{"step": "term", "pids": [4_000_000]}, {"step": "sweep", "pids": [4_000_001]}]


def test_process_that_continues_without_its_server_is_no_orphan(tmp_path: Path) -> None:
    with marked(tmp_path, "one") as identity:
        write_log(tmp_path, one=started("one", identity))
        assert "it runs without a server" in ps(tmp_path).stdout
        done = ps(tmp_path, "--orphans")
        assert (done.returncode, done.stdout) == (0, "")


def test_fleet_ps_names_an_orphan_and_ends_with_1(tmp_path: Path) -> None:
    write_log(tmp_path, one=stopped("one"))
    with marked(tmp_path, "one") as orphan, marked(tmp_path, "never-heard-of") as stranger:
        done = ps(tmp_path, "--orphans")
        found = msgspec.json.decode(ps(tmp_path, "--orphans", "--json").stdout)
    assert done.returncode == 1
    assert f"process {orphan.pid} of instance one (started by a tool)" in done.stdout
    expected = {(orphan.pid, "one"), (stranger.pid, "never-heard-of")}
    assert {(each["pid"], each["instanceId"]) for each in found} == expected
    assert ps(tmp_path, "--orphans").stdout == ""


def test_fleet_ps_asks_a_running_server(tmp_path: Path) -> None:
    write_log(tmp_path, one=stopped("one"))
    offline = ps(tmp_path, "--json").stdout
    with serving(tmp_path) as url:
        by_lock = ps(tmp_path, "--json", "--port", url.rpartition(":")[2])
        elsewhere = ps(tmp_path, "--port", "1")
        by_url = fleet("ps", "--json", "--url", url, XDG_CONFIG_HOME=str(tmp_path))
        by_variable = fleet("ps", "--json", FLEET_URL=url, XDG_CONFIG_HOME=str(tmp_path))
        with marked(tmp_path, "one") as orphan:
            orphans = ps(tmp_path, "--orphans", "--url", url)
    assert (by_lock.returncode, by_lock.stdout) == (0, offline)
    assert (by_url.returncode, by_url.stdout) == (0, offline)
    assert (by_variable.returncode, by_variable.stdout) == (0, offline)
    assert elsewhere.returncode == 1
    assert "does not listen on port 1: give its --port or --url" in elsewhere.stderr
    assert orphans.returncode == 1
    assert f"process {orphan.pid} of instance one" in orphans.stdout


def test_address_without_a_server_is_named(tmp_path: Path) -> None:
    done = ps(tmp_path, "--url", "http://127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr.startswith("fleet: The server at http://127.0.0.1:1 cannot be asked: ")
