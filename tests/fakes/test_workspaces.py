"""The fake passes the contract, and shows its half-made state to checkers."""

from contextlib import AbstractContextManager, nullcontext

import pytest
import trio

from fleet.ports import WorkspaceSpec
from tests.contracts.branches_contract import BranchesContract
from tests.contracts.workspaces_contract import WorkspacesContract, new_spec
from tests.fakes.workspaces import FakeCheckout, FakeDisk, FakeWorkspaces


class FakeWorld:
    def __init__(self) -> None:
        # The parent's rights do not matter to the fake: `unreadable` lists what may not be read.
        self.disk = FakeDisk(directories={"/elsewhere"})
        self.restart()

    def restart(self) -> None:
        self.workspaces = FakeWorkspaces(self.disk, allowed_roots=("/allowed",))

    def path(self, name: str) -> str:
        return f"/allowed/{name}"

    def directory(self, name: str) -> str:
        self.disk.directories.add(self.path(name))
        return self.path(name)

    def file(self, name: str) -> str:
        self.disk.files.add(self.path(name))
        return self.path(name)

    def unreadable(self, name: str) -> str:
        self.disk.unreadable.add(self.path(name))
        return self.directory(name)

    def as_stranger(self) -> AbstractContextManager[None]:
        return nullcontext()

    def link(self, name: str, target: str) -> str:
        self.disk.links[self.path(name)] = target
        return self.path(name)

    def outside(self) -> str:
        return "/elsewhere"

    def repository(self, name: str) -> str:
        return self.disk.add_repository(self.path(name)).top

    def empty_repository(self, name: str) -> str:
        repository = self.disk.add_repository(self.path(name))
        repository.branches.clear()
        repository.names.clear()
        return repository.top

    def detach(self, repository: str) -> None:
        self.disk.repositories[repository].head = self.head(repository)

    def add_branch(self, repository: str, branch: str) -> None:
        self.disk.repositories[repository].branches[branch] = self.head(repository)

    def add_remote_branch(self, repository: str, name: str) -> None:
        self.disk.repositories[repository].remotes[name] = self.head(repository)

    def branches(self, repository: str) -> set[str]:
        return set(self.disk.repositories[repository].branches)

    def head(self, repository: str) -> str:
        commit = self.disk.repositories[repository].commit("HEAD")
        assert commit is not None
        return commit

    def write(self, directory: str, name: str) -> None:
        self._checkout(directory).work.append(f"file {name}")

    def commit(self, directory: str) -> str:
        commit = "c" * 40
        if directory in self.disk.repositories:
            repository = self.disk.repositories[directory]
            repository.names[commit] = repository.branches["main"] = commit
        else:
            self._checkout(directory).work.append(f"commit {commit}")
        return commit

    def tear(self, spec: WorkspaceSpec) -> None:
        self._checkout(spec.directory).whole = False
        self.disk.directories.discard(spec.directory)

    def is_there(self, directory: str) -> bool:
        return directory in self.disk.directories

    def _checkout(self, directory: str) -> FakeCheckout:
        made = self.disk.checkout_at(directory)
        assert made is not None
        return made


@pytest.fixture
def world(autojump_clock: object) -> FakeWorld:
    return FakeWorld()


class TestFakeBranches(BranchesContract):
    """The contract."""


class TestFakeWorkspaces(WorkspacesContract):
    async def test_a_crash_shows_a_half_made_checkout(self, world: FakeWorld) -> None:
        spec = await new_spec(world, world.repository("shop"), "worktree")
        with trio.move_on_after(0.005):
            await world.workspaces.prepare(spec)
        half = world.disk.checkouts[spec.workspace_id]
        assert not half.whole
        assert world.disk.made[spec.workspace_id] == 0
        world.restart()
        await world.workspaces.prepare(spec)
        assert world.disk.made[spec.workspace_id] == 1
