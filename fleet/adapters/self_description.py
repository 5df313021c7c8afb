"""What this machine is and has free: the facts that a host reports of itself."""

import os
import platform
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import psutil
import trio

from fleet import __version__
from fleet.limits import GIT_VERSION_TIMEOUT_S
from fleet.ports import HostInfo

_NO_LABELS: Final[Mapping[str, str]] = {}


class SelfDescription:
    """This machine as the host `name`; `root` is the directory of its workspaces."""

    def __init__(
        self,
        name: str,
        *,
        epoch: str,
        root: Path,
        opencode_version: Callable[[], str | None],
        address: str = "127.0.0.1",
        labels: Mapping[str, str] = _NO_LABELS,
        engine_version: str = "",
    ) -> None:
        self._name = name
        self._epoch = epoch
        self._root = root
        self._opencode_version = opencode_version
        self._address = address
        self._labels = labels
        self._engine_version = engine_version
        self._git_version = ""

    async def look(self) -> HostInfo:
        """Return what it is and has free now."""
        if not self._git_version:  # it may be installed meanwhile
            self._git_version = await _read_git_version()
        memory = psutil.virtual_memory()
        existing = next(each for each in (self._root, *self._root.parents) if each.exists())
        return HostInfo(
            name=self._name,
            epoch=self._epoch,
            address=self._address,
            root=str(self._root),
            version=__version__,
            opencode_version=self._opencode_version(),
            git_version=self._git_version,
            python_version=platform.python_version(),
            engine_version=self._engine_version,
            labels=self._labels,
            cpus=float(_cores()),
            memory_bytes=memory.total,
            memory_free_bytes=memory.available,
            disk_free_bytes=shutil.disk_usage(existing).free,
            clock_ms=time.time_ns() // 1_000_000,
        )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


async def _read_git_version() -> str:
    """Return the version of git, "" where there is none that answers."""
    with trio.move_on_after(GIT_VERSION_TIMEOUT_S):
        try:
            done = await trio.run_process(["git", "--version"], capture_stdout=True, capture_stderr=True, check=False)
        except OSError:
            return ""
        return done.stdout.decode(errors="replace").removeprefix("git version ").strip()
    return ""
