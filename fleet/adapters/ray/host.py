"""A host of the cluster: its ports ask the agent of the host, and repositories and work travel (adapters/travel)."""

from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

from fleet.adapters.ray.frames import FilePart
from fleet.adapters.ray.link import HostLink
from fleet.adapters.ray.machine import Reach
from fleet.adapters.ray.remote import RemoteOpenCodeHost, RemoteScripts
from fleet.adapters.travel import Head, HostAdapters, Repositories, travelling
from fleet.limits import PARCEL_PIECE_BYTES
from fleet.ports import Files, HostPorts, Removals, Shells, Transfer, Trees, Workspaces


class HeadPorts(NamedTuple):
    """What hosts need of the server: its own adapters, and a directory for packs on their way."""

    head: Head
    parcels: Path
    repositories: Repositories = "bundle"
    reach: Reach = "direct"


def ray_host(link: HostLink, own: HeadPorts) -> HostPorts:
    """Return the ports of the host behind `link`."""
    node = HostAdapters(
        cast("Workspaces", link.port("workspaces")),
        cast("Trees", link.port("trees")),
        cast("Removals", link.port("removals")),
        cast("Transfer", link.port("transfer")),
        partial(_put_file, link),
    )

    def root() -> str:
        if link.last is None:
            raise link.unreachable("it has not been heard since the server has started")
        return link.last.info.root

    travels = travelling(
        link.host, root, node, head=own.head, parcels=own.parcels / link.host, repositories=own.repositories
    )
    return HostPorts(
        name=link.host,
        opencode=RemoteOpenCodeHost(link, own.reach),
        workspaces=travels.workspaces,
        trees=travels.trees,
        removals=travels.removals,
        files=cast("Files", link.port("files")),
        scripts=RemoteScripts(link),
        shells=cast("Shells", link.port("shells")),
    )


async def _put_file(link: HostLink, name: str, offset: int, file: Path) -> int:
    """Let the sidecar read the piece of the file (see `PutFile`): it runs on this machine."""
    part = FilePart(str(file), offset, PARCEL_PIECE_BYTES)
    return cast("int", await link.port("transfer", part).call("put", name, offset, memoryview(b"")))
