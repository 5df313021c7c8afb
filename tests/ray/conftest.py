"""One cluster for all tests of Ray: a head and the machines n1 and n2, with tokens. It soon notices a lost machine."""

import os
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from fleet.rehearsal.home import furnish, without_models
from tests.e2e.conftest import opencode_binary

SETTINGS = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "600",
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_worker_niceness": "0",  # with 15, its default, a busy machine hardly lets the agents and OpenCode run
}


class RayCluster:
    """The cluster in its own process. `environment` is that of its machines and of the servers that use it."""

    def __init__(self, process: "subprocess.Popen[str]", environment: Mapping[str, str], root: Path) -> None:
        self._process = process
        self.environment = environment
        self.opencode = Path(environment["FLEET_OPENCODE"])
        self.root = root
        self.address = self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line, "the cluster has ended"
        return line

    def order(self, verb: str, name: str) -> None:
        """Have a machine killed ("kill") or added ("add"); of the "head" it is what keeps the state of the cluster."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{verb} {name}\n")
        self._process.stdin.flush()
        assert self._answer() == "done"


__all__ = ["opencode_binary"]  # a fixture of the end-to-end tests


@contextmanager
def started(command: Sequence[str], environment: Mapping[str, str], root: Path) -> Generator[RayCluster]:
    """Run a cluster with a command that prints its address and ends with its input."""
    process = subprocess.Popen(
        [sys.executable, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    try:
        yield RayCluster(process, environment, root)
    finally:
        process.communicate()  # it ends with its input


@contextmanager
def running(opencode: Path, command: Sequence[str], **more: str) -> Generator[RayCluster]:
    """Run a cluster with a command, as `started` does, in a new home. `more` is in its environment."""
    with TemporaryDirectory(prefix="ray") as place:  # short: a socket's path has a limit of 107 bytes
        root = Path(place)
        token = root / "token"
        token.write_text("0123456789abcdef" * 4)
        token.chmod(0o600)
        furnish(root / "home/config/opencode")
        environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(root / "home"),
            **{f"XDG_{kind}_HOME": str(root / "home" / kind.lower()) for kind in ("DATA", "CONFIG", "STATE", "CACHE")},
            **without_models(root / "home/models.json"),
            "FLEET_OPENCODE": str(opencode),
            **SETTINGS,
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_TMPDIR": place,
            "RAY_gcs_storage": "rocksdb",
            "RAY_gcs_storage_path": str(root / "gcs"),
            "FLEET_HOST_ROOT": str(root / "hosts"),
            "PYTHONPATH": str(Path(__file__).parents[2]),
            **more,
        }
        try:
            with started(command, environment, root) as cluster:
                yield cluster
        finally:
            for each in psutil.process_iter():
                with suppress(psutil.Error):
                    if each.environ().get("HOME") == environment["HOME"]:
                        each.kill()


@pytest.fixture(scope="session")
def cluster(opencode_binary: Path) -> Generator[RayCluster]:
    with running(opencode_binary, ("-m", "tests.ray.cluster", "n1", "n2")) as cluster:
        yield cluster
