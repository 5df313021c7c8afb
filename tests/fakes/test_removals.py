"""The fake passes the contract, and names the processes that a test puts into a workspace."""

import pytest

from fleet.errors import Rejected
from tests.contracts.removals_contract import RemovalsContract, worked
from tests.fakes.removals import FakeRemovals
from tests.fakes.test_workspaces import FakeWorld


class RemovalWorld(FakeWorld):
    def restart(self) -> None:
        super().restart()
        self.removals = FakeRemovals(self.disk)

    def work(self, directory: str) -> object:
        made = self._checkout(directory)
        return list(made.work), dict(self.disk.contents.get(directory, {}))

    def destroy(self, repository: str) -> None:
        del self.disk.repositories[repository]
        self.disk.directories.discard(repository)

    def is_kept(self, repository: str, workspace_id: str) -> bool:
        return workspace_id in self.disk.kept

    def make_unborn(self, directory: str) -> None:
        made = self._checkout(directory)
        made.unborn = "fresh"
        if made.spec.strategy == "worktree" and made.spec.branch is not None:
            del self.disk.repositories[made.spec.source_directory].branches[made.spec.branch]

    def reaches(self, repository: str, ref: str, commit: str) -> bool:
        return f"commit {commit}" in self.disk.kept[ref.rpartition("/")[2]].work


@pytest.fixture
def world(autojump_clock: object) -> RemovalWorld:
    return RemovalWorld()


class TestFakeRemovals(RemovalsContract):
    async def test_a_process_that_works_there_is_named(self, world: RemovalWorld) -> None:
        spec = await worked(world, "worktree")
        kept = await world.removals.keep(spec)
        world.disk.busy[spec.directory] = [4711]
        with pytest.raises(Rejected, match="4711") as caught:
            await world.removals.remove(spec, kept)
        assert caught.value.code == "workspace_busy"
