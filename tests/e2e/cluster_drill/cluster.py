"""The Ray cluster of the drill: a head beside the server, which keeps its state in a file, and machines under it.

Each `ray start` runs in a loop, as a service manager would run it. Health checks are those that docs/cluster.md names.
"""

import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from tests.e2e.cluster_drill.machines import HEAD_ADDRESS, Machine
from tests.e2e.server import ROOT

PORT: Final = 6379
MODEL_PORT: Final = 7800
"""Of the model that each machine has for itself."""
ADDRESS: Final = f"{HEAD_ADDRESS}:{PORT}"
_SETTINGS: Final = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "600",
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "5",
}
_AGENT: Final = "ray::HostAgent"
_SMALL: Final = ("--include-log-monitor=false", "--object-store-memory=80000000", "--disable-usage-stats")


class Cluster:
    """A head and machines in the directory `root`; `variables` are in the environment of all of them."""

    def __init__(self, root: Path, variables: Mapping[str, str], count: int) -> None:
        self.root = root
        self.ray_directory = root / "ray"
        self.settings = {
            **_SETTINGS,
            **variables,
            "RAY_AUTH_TOKEN_PATH": str(root / "token"),
            "RAY_TMPDIR": str(self.ray_directory),
        }
        self._head: subprocess.Popen[bytes] | None = None
        self.machines = tuple(
            Machine(number, root / f"n{number}", (self.ray_directory,)) for number in range(1, count + 1)
        )
        root.mkdir(parents=True)
        self.ray_directory.mkdir()
        token = root / "token"
        token.write_text("0123456789abcdef" * 4)
        token.chmod(0o600)

    def environment(self, directory: Path) -> dict[str, str]:
        """Return the environment of a machine whose home is in `directory`."""
        home = directory / "home"
        home.mkdir(parents=True, exist_ok=True)
        return {
            **self.settings,
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "FLEET_HOST_ROOT": str(directory / "fleet"),
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
        }

    def start(self) -> None:
        """Start everything."""
        self.start_head()
        for machine in self.machines:
            self.boot(machine)

    def start_head(self) -> None:
        """Start the head of the cluster, with the state that it had."""
        environment = {
            **self.environment(self.root / "head"),
            "RAY_gcs_storage": "rocksdb",
            "RAY_gcs_storage_path": str(self.root / "gcs"),
        }
        options = ("--head", "--num-cpus=0", f"--port={PORT}", "--include-dashboard=false")
        # It must not see the raylets of the machines: it would take one of them for a cluster that runs here.
        alone = ("unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc")
        with (self.root / "head.log").open("ab") as log:
            self._head = subprocess.Popen(
                [*alone, "sh", "-c", _forever(*options, f"--node-ip-address={HEAD_ADDRESS}")],
                env=environment,
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill_head(self) -> None:
        """Kill all that Ray runs on the head's machine; the server is not Ray's."""
        assert self._head is not None
        for each in psutil.Process(self._head.pid).children():
            _kill(each)
        self._head.wait()

    def boot(self, machine: Machine) -> None:
        """Switch a machine on; it joins the cluster by itself."""
        machine.boot()
        options = (f"--address={ADDRESS}", f"--node-ip-address={machine.address}", "--num-cpus=4")
        # A session that asks for a side may work on any machine but one.
        sides = (f"side-{side}=yes" for side, other in enumerate(self.machines) if other is not machine)
        labels = "--labels=" + ",".join((f"fleet-host={machine.name}", *sides))
        model = shlex.join([sys.executable, "-m", "tests.e2e.cluster_drill.model", str(MODEL_PORT)])
        for command in (_forever(*options, labels, "--memory=4000000000"), model):
            machine.start(command, self.environment(machine.directory), self.root / f"{machine.name}.log")

    def kill_raylet(self, machine: Machine) -> None:
        """Kill Ray's own process on the machine; its workers, such as the agent, end with it."""
        for each in machine.processes():
            if _name(each) == "raylet":
                _kill(each)

    def kill_agent(self, machine: Machine) -> None:
        """Kill Fleet's agent on the machine."""
        for each in machine.processes():
            if _name(each).startswith(_AGENT):
                _kill(each)


def _forever(*options: str) -> str:
    """Return the shell command that runs `ray start`, and runs it again when it ends."""
    start = shlex.join([sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *_SMALL, *options])
    return f"while :; do {start}; sleep 1; done"


def _name(process: psutil.Process) -> str:
    """Return the name that a process has given itself, or that of its program."""
    try:
        return (process.cmdline() or [""])[0].rpartition("/")[2]
    except psutil.Error:
        return ""


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGKILL)
