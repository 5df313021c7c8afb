"""Ways to spoil what a history has made of workspaces."""

import copy
from typing import Any

from msgspec.structs import replace

from fleet.core.session.events import SetupEnded, SetupOutput, SetupSkipped
from fleet.core.trust import RecipeAllowed
from fleet.core.workspace.events import WorkspaceTornDown
from fleet.core.workspace.state import PortRange
from fleet.ports import WorkspaceSpec
from fleet.projections.runner import Runner
from fleet.projections.views import make_views
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import MemoryLog
from tests.fakes.memory_store import MemoryStore
from tests.fakes.workspaces import FakeCheckout
from tests.simulation.evidence import Evidence
from tests.simulation.machine import REGISTRY


def leave_half_a_checkout(evidence: Evidence) -> None:
    evidence.directories = copy.copy(evidence.directories)
    spec = WorkspaceSpec("x", "worktree", "/src/shop", "/fleet/workspaces/x/shop", "fleet/x")
    evidence.directories.checkouts = {**evidence.directories.checkouts, "x": FakeCheckout(spec, "1", True)}


def lose_the_checkouts(evidence: Evidence) -> None:
    evidence.directories = copy.copy(evidence.directories)
    evidence.directories.checkouts = {}


def leave_a_branch(evidence: Evidence) -> None:
    evidence.directories = copy.deepcopy(evidence.directories)
    next(iter(evidence.directories.repositories.values())).branches["fleet/left-behind"] = "1"


def share_ports(evidence: Evidence) -> None:
    evidence.views = make_views()
    Runner(MemoryLog(evidence.disk, REGISTRY, FakeClock()), MemoryStore(), evidence.views).open()
    one, other, *_ = list(evidence.views.workspaces)
    for state in (one, other):
        evidence.views.workspaces.index(state.id, replace(state, ports=PortRange(20_000, 10)))


def leave_out(evidence: Evidence, *kinds: type[Any]) -> None:
    """Leave all events of these kinds out of the history."""
    evidence.__dict__["history"] = [each for each in evidence.history if not isinstance(each.event, kinds)]


def allow_nothing(evidence: Evidence) -> None:
    leave_out(evidence, RecipeAllowed)


def work_before_the_set_up(evidence: Evidence) -> None:
    leave_out(evidence, SetupEnded, SetupSkipped)


def lose_the_output_of_a_set_up(evidence: Evidence) -> None:
    leave_out(evidence, SetupOutput)


def tear_nothing_down(evidence: Evidence) -> None:
    leave_out(evidence, WorkspaceTornDown)


def lose_the_directories(evidence: Evidence) -> None:
    evidence.directories = copy.copy(evidence.directories)
    evidence.directories.directories = set()


def lose_the_commits(evidence: Evidence) -> None:
    lose_the_checkouts(evidence)
    evidence.directories.kept = {}


def lose_the_trees(evidence: Evidence) -> None:
    evidence.directories = copy.copy(evidence.directories)
    evidence.directories.trees = {}
