"""What a Fleet server has on a machine of the cluster: files, processes, and when it was last heard there.

It is read from the machine itself, so it needs neither that server nor its agent. `end_processes` ends processes alone:
files stay, because work may exist only there.
"""

import time
from collections.abc import Iterator, Mapping
from os.path import realpath
from pathlib import Path

import msgspec
import trio

from fleet.adapters.opencode.detached import Lease
from fleet.adapters.opencode.identity import Owner, marked
from fleet.adapters.opencode.process import LocalOpenCodeHost
from fleet.adapters.ray.frames import namespace_of

_WITHOUT_ID = namespace_of(None)
_LEASE = "lease"


class Presence(msgspec.Struct, frozen=True, rename="camel"):
    """What the server with the id `server` has on the host. `opencode` counts those `processes` that are OpenCode.

    `heard_ago_s` is the age of its last heartbeat there, None without one.
    """

    server: str
    host: str
    directory: str
    workspaces: int
    heard_ago_s: float | None
    processes: int
    opencode: int


def hosts_root(environment: Mapping[str, str]) -> Path:
    """Return the directory of a machine below which Fleet's servers have theirs."""
    named = environment.get("FLEET_HOST_ROOT")
    return Path(realpath(named or Path.home() / ".local" / "share" / "fleet-host"))


def directory_of(root: Path, data_id: str | None, host: str) -> Path:
    """Return the directory that a server has as this host, which may share the file system with others."""
    return root / (data_id or _WITHOUT_ID) / host


def lease_of(directory: Path, length_s: float) -> Lease:
    """Return the lease of the server with this directory."""
    return Lease(directory / _LEASE, length_s)


def presences(root: Path, host: str) -> Iterator[Presence]:
    """Yield what each server has on this machine as the host."""
    for directory in sorted(root.glob(f"*/{host}")):
        server = directory.parent.name
        found = marked(_owner(directory, server))
        yield Presence(
            server,
            host,
            str(directory),
            workspaces=sum(1 for _ in (directory / "workspaces").glob("*")),
            heard_ago_s=_age_s(directory / _LEASE),
            processes=len(found),
            opencode=sum(each.server for each in found),
        )


def _owner(directory: Path, server: str) -> Owner:
    return Owner(str(directory), _data_id(server))


def _data_id(server: str) -> str | None:
    return None if server == _WITHOUT_ID else server


def _age_s(file: Path) -> float | None:
    """Return the age of a file. A lease is overwritten with each heartbeat, and its own clock ends with the boot."""
    try:
        return max(time.time() - file.stat().st_mtime, 0.0)
    except OSError:
        return None


async def end_processes(root: Path, server: str, host: str) -> None:
    """End all processes that the server has on this machine as the host: OpenCode, its tools, and scripts."""
    directory = directory_of(root, _data_id(server), host)
    if not directory.is_dir():
        return
    opencode = LocalOpenCodeHost(directory, data_id=_data_id(server), lease=lease_of(directory, 0.0))
    async with trio.open_nursery() as nursery:
        for instance_id in {each.instance_id for each in await opencode.find()}:
            nursery.start_soon(opencode.stop, instance_id, None)
