"""Machines for the drill: namespaces of the kernel on one bridge, each with its own network, processes and mounts.

The drill itself runs in such a namespace (`make drill-cluster`), so everything ends with it; its bridge is the network
of the machine of the server. A machine that loses power loses all its processes at once and keeps its files.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psutil

HEAD_ADDRESS: Final = "10.77.0.1"
_BRIDGE: Final = "machines"
_FIRST: Final = 10  # the last byte of the first machine's address

_INIT: Final = """
import os, time
while True:
    try:
        os.wait()
    except ChildProcessError:
        time.sleep(0.1)
"""
"""The first process of a machine: it reaps what has lost its parent, and lives until the power is off."""


def run(*command: str) -> None:
    """Run a command of the system. Raises `CalledProcessError`."""
    subprocess.run(command, check=True, capture_output=True)


def make_network() -> None:
    """Make the bridge; the caller's own machine is on it, at HEAD_ADDRESS."""
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", _BRIDGE, "type", "bridge")
    run("ip", "address", "add", f"{HEAD_ADDRESS}/24", "dev", _BRIDGE)
    run("ip", "link", "set", _BRIDGE, "up")


class Machine:
    """A machine with a directory of its own; `mounts` are directories that it alone sees the content of."""

    def __init__(self, number: int, directory: Path, mounts: tuple[Path, ...]) -> None:
        self.name = f"n{number}"
        self.address = f"10.77.0.{_FIRST + number}"
        self.directory = directory
        self._mounts = mounts
        self._link = f"link-{self.name}"
        self._init: subprocess.Popen[bytes] | None = None
        self._network = 0

    @property
    def is_on(self) -> bool:
        """Whether it has power."""
        return self._init is not None

    def boot(self) -> None:
        """Switch it on."""
        binds = [f"mount --bind {self.directory / mount.name} {mount}" for mount in self._mounts]
        for mount in self._mounts:
            (self.directory / mount.name).mkdir(parents=True, exist_ok=True)
        begin = "; ".join((*binds, "mount -t tmpfs tmpfs /dev/shm", f"hostname {self.name}", "ip link set lo up"))
        init = f'set -e; {begin}; exec "$0" -I -S -c "$1"'
        spaces = ("--net", "--pid", "--mount", "--uts", "--fork", "--kill-child", "--mount-proc")
        self._init = subprocess.Popen(["unshare", *spaces, "sh", "-c", init, sys.executable, _INIT])
        self._network = self._await_network()
        run("ip", "link", "add", self._link, "type", "veth", "peer", "name", "eth0", "netns", str(self._pid()))
        run("ip", "link", "set", self._link, "master", _BRIDGE, "up")
        self._inside("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        self._inside("ip", "link", "set", "eth0", "up")

    def _await_network(self) -> int:
        own = _network_of(os.getpid())
        for _ in range(200):
            time.sleep(0.05)
            pid = self._pid()
            found = _network_of(pid) if pid and psutil.Process(pid).name().startswith("python") else own
            if found != own:
                return found
        raise AssertionError(f"{self.name} does not boot")

    def _pid(self) -> int:
        """Return the pid of its first process, as the drill sees it."""
        assert self._init is not None
        children = psutil.Process(self._init.pid).children()
        return children[0].pid if children else 0

    def power_off(self) -> None:
        """Take away its power: the kernel kills every process of a namespace with the first one."""
        assert self._init is not None
        os.kill(self._pid(), signal.SIGKILL)
        self._init.wait()
        self._init = None

    def cut(self) -> None:
        """Pull its network cable. Nothing tells either side."""
        run("ip", "link", "set", self._link, "down")

    def join(self) -> None:
        """Put its network cable back."""
        run("ip", "link", "set", self._link, "up")

    def _inside(self, *command: str) -> None:
        run("nsenter", "-t", str(self._pid()), "-n", *command)

    def start(self, command: str, environment: Mapping[str, str], log: Path) -> None:
        """Run a shell command on it, which continues by itself."""
        enter = ("nsenter", "-t", str(self._pid()), "-m", "-u", "-n", "-p")
        with log.open("ab") as output:
            subprocess.Popen(
                [*enter, "setsid", "sh", "-c", command],
                env=environment,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def processes(self) -> list[psutil.Process]:
        """Return its processes, as the drill sees them."""
        return [each for each in psutil.process_iter() if self.is_on and _network_of(each.pid) == self._network]


def _network_of(pid: int) -> int:
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    except OSError:
        return 0
