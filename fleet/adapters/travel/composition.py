"""Composes the three ports of another host from its own adapters and those of the server."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fleet.adapters.travel.courier import Courier, Head, PutFile, Repositories
from fleet.adapters.travel.places import HostPlaces
from fleet.adapters.travel.travelling_removals import TravellingRemovals
from fleet.adapters.travel.travelling_trees import TravellingTrees
from fleet.adapters.travel.travelling_workspaces import TravellingWorkspaces
from fleet.ports import Removals, Transfer, Trees, Workspaces


class HostAdapters(NamedTuple):
    """The adapters of a host on its own disk, reached by an engine."""

    workspaces: Workspaces
    trees: Trees
    removals: Removals
    transfer: Transfer
    put_file: PutFile | None = None


class Travelling(NamedTuple):
    """The ports of a host, as the server uses them."""

    workspaces: TravellingWorkspaces
    trees: TravellingTrees
    removals: TravellingRemovals


def travelling(
    name: str,
    root: Callable[[], str],
    node: HostAdapters,
    *,
    head: Head,
    parcels: Path,
    repositories: Repositories = "bundle",
) -> Travelling:
    """Return the ports of the host `name`.

    `root` returns the host's real root directory (`HostInfo.root`). `head` are the server's adapters,
    `parcels` is a directory of the server for packs on their way.
    """
    places = HostPlaces(name, root)
    courier = Courier(name, node.transfer, head, parcels, repositories, put_file=node.put_file)
    return Travelling(
        TravellingWorkspaces(head, node.workspaces, places, courier),
        TravellingTrees(head.trees, node.trees, places, courier),
        TravellingRemovals(head, node.removals, places, courier),
    )
