"""Another host keeps the contracts of `Workspaces`, `Trees` and `Removals`.

What the server decides alone, such as checks of names, is tested with the server's own adapter.
"""

from pathlib import Path

import pytest

from tests.adapters.travel.world import HostWorld
from tests.contracts.removals_contract import RemovalsContract
from tests.contracts.trees_contract import TreesContract
from tests.contracts.workspaces_contract import WorkspacesContract


@pytest.fixture
def world(tmp_path: Path, template: Path, home: Path) -> HostWorld:
    return HostWorld(tmp_path, template)


class TestTravellingWorkspaces:
    """The contract, as far as the host does the work."""

    steps_between_crashes = 301

    test_checkout = WorkspacesContract.test_makes_a_checkout_on_its_own_branch
    test_used_branch = WorkspacesContract.test_refuses_a_branch_of_another_workspace
    test_base = WorkspacesContract.test_begins_at_a_base
    test_crash = WorkspacesContract.test_finishes_after_a_crash_at_any_step
    test_discard = WorkspacesContract.test_discards_an_unused_workspace
    test_discard_of_commits = WorkspacesContract.test_keeps_a_branch_with_commits
    test_strays = WorkspacesContract.test_finds_strays


class TestTravellingRemovals:
    """The contract, as far as the host does the work."""

    steps_between_crashes = 1501

    test_not_kept = RemovalsContract.test_what_is_not_kept_is_not_removed
    test_taken_branch = RemovalsContract.test_a_branch_taken_meanwhile_is_not_moved
    test_lost_source = RemovalsContract.test_a_clone_whose_source_is_gone_stays
    test_crash = RemovalsContract.test_nothing_is_lost_by_a_crash_at_any_step


class TreesOfHost(HostWorld):
    def directory(self, name: str) -> str:
        directory = self.first.root / name
        directory.mkdir()
        return str(directory)

    def write(self, directory: str, name: str, content: bytes = b"work\n") -> None:
        path = Path(directory, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def remove(self, directory: str, name: str) -> None:
        Path(directory, name).unlink()


class TestTravellingTrees(TreesContract):
    """The contract."""

    @pytest.fixture
    def world(self, tmp_path: Path, template: Path, home: Path) -> TreesOfHost:
        return TreesOfHost(tmp_path, template)
