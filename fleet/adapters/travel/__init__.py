"""The ports `Workspaces`, `Trees` and `Removals` of another host, for which repositories and work travel.

A host has the same adapters as the server (fleet/adapters/git), on its own disk. The classes here ask them, move the
objects that each side lacks (courier.py), and translate places. The server has everything: after `take` and `keep` it
does not need the host for diffs, files of the past, forks and restores. `travelling` makes all three.
"""

from fleet.adapters.travel.composition import HostAdapters, Travelling, travelling
from fleet.adapters.travel.courier import Courier, Head, Repositories
from fleet.adapters.travel.places import HostPlaces
from fleet.adapters.travel.travelling_removals import TravellingRemovals
from fleet.adapters.travel.travelling_trees import TravellingTrees
from fleet.adapters.travel.travelling_workspaces import TravellingWorkspaces

__all__ = [
    "Courier",
    "Head",
    "HostAdapters",
    "HostPlaces",
    "Repositories",
    "Travelling",
    "TravellingRemovals",
    "TravellingTrees",
    "TravellingWorkspaces",
    "travelling",
]
