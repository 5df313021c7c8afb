"""What every implementation of the `Removals` port keeps. Subclass it and give it a `world` fixture."""

from typing import Protocol

import pytest
import trio
from msgspec.structs import replace

from fleet.errors import Problem, Rejected
from fleet.ports import PreservedWork, Preview, Removals, Strategy, WorkspaceSpec
from tests.contracts.workspaces_contract import MAKING, CancelAtStep, new_spec
from tests.contracts.workspaces_contract import World as WorkspacesWorld


class World(WorkspacesWorld, Protocol):
    """A disk with both adapters on it."""

    @property
    def removals(self) -> Removals: ...

    def work(self, directory: str) -> object:
        """Return all work in a checkout, comparable."""

    def destroy(self, repository: str) -> None:
        """Take a source repository away."""

    def is_kept(self, repository: str, workspace_id: str) -> bool: ...

    def make_unborn(self, directory: str) -> None:
        """Switch a checkout to the branch `fresh`, which has no commit, and delete the branch that it was on."""

    def reaches(self, repository: str, ref: str, commit: str) -> bool: ...


async def made(world: World, strategy: Strategy, *, branch: str | None = None) -> WorkspaceSpec:
    spec = await new_spec(world, world.repository("shop"), strategy, branch)
    await world.workspaces.prepare(spec)
    return spec


async def worked(world: World, strategy: Strategy) -> WorkspaceSpec:
    spec = await made(world, strategy)
    world.commit(spec.directory)
    world.write(spec.directory, "work")
    return spec


class RemovalsContract:
    steps_between_crashes = 53

    @pytest.mark.parametrize("strategy", MAKING)
    async def test_keeps_nothing_where_nothing_was_done(self, world: World, strategy: Strategy) -> None:
        spec = await made(world, strategy)
        kept = await world.removals.keep(spec)
        assert (kept.ref, kept.commit, kept.branch) == (None, None, spec.branch)
        await world.removals.remove(spec, kept)
        assert not world.is_there(spec.directory)
        assert world.branches(spec.source_directory) == {"main"}
        await world.removals.restore(spec, kept)
        assert (await world.workspaces.inspect(spec.directory)).branch == spec.branch

    @pytest.mark.parametrize("strategy", MAKING)
    async def test_work_survives_its_workspace(self, world: World, strategy: Strategy) -> None:
        spec = await worked(world, strategy)
        work, head = world.work(spec.directory), (await world.workspaces.inspect(spec.directory)).head
        kept = await world.removals.keep(spec)
        assert kept.ref == f"refs/fleet/kept/{spec.workspace_id}"
        assert (kept.branch, kept.head) == (spec.branch, head)
        assert world.work(spec.directory) == work
        await world.removals.remove(spec, kept)
        assert not world.is_there(spec.directory)
        assert world.branches(spec.source_directory) == {"main"}
        world.restart()
        await world.removals.restore(spec, kept)
        assert world.work(spec.directory) == work
        seen = await world.workspaces.inspect(spec.directory)
        assert (seen.branch, seen.head) == (spec.branch, head)
        assert world.is_kept(spec.source_directory, spec.workspace_id)

    @pytest.mark.parametrize("strategy", MAKING)
    async def test_commits_survive_where_head_has_none_and_their_branch_is_deleted(
        self, world: World, strategy: Strategy
    ) -> None:
        spec = await made(world, strategy)
        commit = world.commit(spec.directory)
        world.make_unborn(spec.directory)
        kept = await world.removals.keep(spec)
        assert (kept.branch, kept.head) == ("fresh", None)
        assert (await world.removals.preview(spec)).kept.ref == kept.ref
        await world.removals.remove(spec, kept)
        assert kept.ref is not None
        assert world.reaches(spec.source_directory, kept.ref, commit)
        await world.removals.restore(spec, kept)
        seen = await world.workspaces.inspect(spec.directory)
        assert (seen.branch, seen.head) == ("fresh", None)

    @pytest.mark.parametrize("strategy", MAKING)
    @pytest.mark.parametrize("has_work", [True, False])
    async def test_a_preview_is_what_happens_and_changes_nothing(
        self, world: World, strategy: Strategy, has_work: bool
    ) -> None:
        spec = await (worked(world, strategy) if has_work else made(world, strategy))
        work = world.work(spec.directory)
        preview = await world.removals.preview(spec)
        assert await world.removals.preview(spec) == preview
        assert not world.is_kept(spec.source_directory, spec.workspace_id)
        assert world.work(spec.directory) == work
        kept = await world.removals.keep(spec)
        assert preview == Preview(replace(kept, commit=None))
        assert await world.removals.preview(spec) == preview
        await world.removals.remove(spec, kept)
        assert (await world.removals.preview(spec)).kept.ref == kept.ref
        assert not world.is_there(spec.directory)

    async def test_a_preview_refuses_what_cannot_be_removed(self, world: World) -> None:
        existing = await new_spec(world, world.directory("notes"), "existing")
        with pytest.raises(Rejected) as caught:
            await world.removals.preview(existing)
        assert caught.value.code == "invalid"
        spec = await worked(world, "clone")
        world.destroy(spec.source_directory)
        with pytest.raises(Problem) as gone:
            await world.removals.preview(spec)
        assert gone.value.code == "directory_missing"

    @pytest.mark.parametrize("strategy", MAKING)
    async def test_every_step_can_be_repeated(self, world: World, strategy: Strategy) -> None:
        spec = await worked(world, strategy)
        work = world.work(spec.directory)
        kept = await world.removals.keep(spec)
        assert await world.removals.keep(spec) == kept
        for _ in range(2):
            await world.removals.remove(spec, kept)
            assert (await world.removals.keep(spec)).commit == kept.commit
        for _ in range(2):
            await world.removals.restore(spec, kept)
            assert world.work(spec.directory) == work
        assert (await world.removals.keep(spec)).commit == kept.commit

    @pytest.mark.parametrize("strategy", MAKING)
    async def test_what_changed_since_is_not_removed(self, world: World, strategy: Strategy) -> None:
        spec = await worked(world, strategy)
        kept = await world.removals.keep(spec)
        world.write(spec.directory, "later")
        work = world.work(spec.directory)
        with pytest.raises(Rejected) as caught:
            await world.removals.remove(spec, kept)
        assert caught.value.code == "workspace_dirty"
        assert world.work(spec.directory) == work
        await world.removals.remove(spec, await world.removals.keep(spec))

    @pytest.mark.parametrize("strategy", MAKING)
    async def test_work_after_nothing_was_kept_is_not_removed(self, world: World, strategy: Strategy) -> None:
        spec = await made(world, strategy)
        kept = await world.removals.keep(spec)
        world.commit(spec.directory)
        with pytest.raises(Rejected) as caught:
            await world.removals.remove(spec, kept)
        assert caught.value.code == "workspace_dirty"
        assert world.is_there(spec.directory)

    @pytest.mark.parametrize("strategy", MAKING)
    async def test_what_is_not_kept_is_not_removed(self, world: World, strategy: Strategy) -> None:
        spec = await worked(world, strategy)
        invented = PreservedWork(f"refs/fleet/kept/{spec.workspace_id}", "d" * 40, spec.branch, None)
        with pytest.raises(Rejected) as caught:
            await world.removals.remove(spec, invented)
        assert caught.value.code == "workspace_dirty"
        assert world.is_there(spec.directory)

    async def test_an_existing_directory_is_never_removed(self, world: World) -> None:
        spec = await new_spec(world, world.directory("notes"), "existing")
        for step in (world.removals.keep(spec), world.removals.remove(spec, PreservedWork(None, None, None, None))):
            with pytest.raises(Rejected) as caught:
                await step
            assert caught.value.code == "invalid"
        assert world.is_there(spec.directory)

    async def test_a_branch_that_was_there_stays(self, world: World) -> None:
        repository = world.repository("shop")
        world.add_branch(repository, "old")
        spec = await new_spec(world, repository, "worktree", "old")
        await world.workspaces.prepare(spec)
        await world.removals.remove(spec, await world.removals.keep(spec))
        assert world.branches(repository) == {"main", "old"}

    async def test_a_branch_taken_meanwhile_is_not_moved(self, world: World) -> None:
        spec = await worked(world, "worktree")
        kept = await world.removals.keep(spec)
        await world.removals.remove(spec, kept)
        world.add_branch(spec.source_directory, str(spec.branch))
        with pytest.raises(Rejected) as caught:
            await world.removals.restore(spec, kept)
        assert caught.value.code == "branch_exists"
        assert caught.value.hint
        assert not world.is_there(spec.directory)

    async def test_a_clone_whose_source_is_gone_stays(self, world: World) -> None:
        spec = await worked(world, "clone")
        work = world.work(spec.directory)
        world.destroy(spec.source_directory)
        with pytest.raises(Problem) as caught:
            await world.removals.keep(spec)
        assert caught.value.code == "directory_missing"
        with pytest.raises(Problem):
            await world.removals.remove(spec, PreservedWork(None, None, spec.branch, None))
        assert world.work(spec.directory) == work

    @pytest.mark.parametrize("strategy", MAKING)
    async def test_nothing_is_lost_by_a_crash_at_any_step(self, world: World, strategy: Strategy) -> None:
        spec = await worked(world, strategy)
        work = world.work(spec.directory)
        for number in range(40):
            crash = CancelAtStep(1 + number * self.steps_between_crashes)
            trio.lowlevel.add_instrument(crash)
            with crash.scope:
                await world.removals.remove(spec, await world.removals.keep(spec))
            trio.lowlevel.remove_instrument(crash)
            world.restart()
            kept = await world.removals.keep(spec)
            assert kept.commit is not None
            await world.removals.remove(spec, kept)
            assert not world.is_there(spec.directory)
            crash_again = CancelAtStep(1 + number * self.steps_between_crashes)
            trio.lowlevel.add_instrument(crash_again)
            with crash_again.scope:
                await world.removals.restore(spec, kept)
            trio.lowlevel.remove_instrument(crash_again)
            world.restart()
            await world.removals.restore(spec, kept)
            assert world.work(spec.directory) == work
            if not crash.scope.cancelled_caught and not crash_again.scope.cancelled_caught:
                break
        else:
            pytest.fail("a removal takes more steps than this test crashes at")
