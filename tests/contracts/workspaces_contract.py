"""What every implementation of the `Workspaces` port keeps. Subclass it and give it a `world` fixture."""

from contextlib import AbstractContextManager
from typing import Protocol

import pytest
import trio

from fleet.errors import Rejected
from fleet.ports import Condition, Strategy, Workspaces, WorkspaceSpec

ID = "01936f2e-0000-7000-8000-0000000000{:02x}"
MAKING: tuple[Strategy, ...] = ("worktree", "clone")


class World(Protocol):
    """A disk with the adapter on it. Names become paths inside of the allowed roots."""

    @property
    def workspaces(self) -> Workspaces: ...

    def restart(self) -> None:
        """Make a new adapter on the same disk."""

    def path(self, name: str) -> str: ...
    def directory(self, name: str) -> str: ...
    def file(self, name: str) -> str: ...
    def unreadable(self, name: str) -> str: ...
    def as_stranger(self) -> AbstractContextManager[None]:
        """Act inside of the block as a user without rights to what is unreadable."""
        ...

    def link(self, name: str, target: str) -> str: ...
    def outside(self) -> str: ...
    def repository(self, name: str) -> str: ...
    def empty_repository(self, name: str) -> str: ...
    def detach(self, repository: str) -> None: ...
    def add_branch(self, repository: str, branch: str) -> None: ...
    def add_remote_branch(self, repository: str, name: str) -> None: ...
    def branches(self, repository: str) -> set[str]: ...
    def head(self, repository: str) -> str: ...
    def write(self, directory: str, name: str) -> None:
        """Leave a file in a checkout."""

    def commit(self, directory: str) -> str:
        """Commit something in a checkout."""
        ...

    def tear(self, spec: WorkspaceSpec) -> None:
        """Turn a finished checkout into what a crash in the middle of making it leaves."""

    def is_there(self, directory: str) -> bool: ...


async def new_spec(
    world: World,
    directory: str,
    strategy: Strategy,
    branch: str | None = None,
    base_ref: str | None = None,
    *,
    title: str = "Fix it",
    number: int = 1,
) -> WorkspaceSpec:
    source = await world.workspaces.inspect(directory)
    workspace_id = ID.format(number)
    place, chosen = world.workspaces.plan(workspace_id, strategy, source, branch, title)
    return WorkspaceSpec(workspace_id, strategy, source.directory, place, chosen, base_ref)


async def check(world: World, spec: WorkspaceSpec) -> None:
    await world.workspaces.check(spec, await world.workspaces.inspect(spec.source_directory))


async def refusal_of_check(world: World, spec: WorkspaceSpec) -> Rejected:
    with pytest.raises(Rejected) as caught:
        await check(world, spec)
    return caught.value


class CancelAtStep(trio.abc.Instrument):
    """Cancels a scope right before the n-th step of the task that made it: a crash at any point."""

    def __init__(self, step: int) -> None:
        self._left = step
        self._task = trio.lowlevel.current_task()
        self.scope = trio.CancelScope()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            self._left -= 1
            if self._left == 0:
                self.scope.cancel()


class WorkspacesContract:
    steps_between_crashes = 9

    # ------------------------------------------------------------------------------------------------------ inspect

    async def test_inspects_a_repository(self, world: World) -> None:
        repository = world.repository("shop")
        seen = await world.workspaces.inspect(repository)
        assert (seen.directory, seen.top, seen.branch) == (repository, repository, "main")
        assert seen.head == world.head(repository)

    async def test_inspects_what_is_not_git(self, world: World) -> None:
        seen = await world.workspaces.inspect(world.directory("notes"))
        assert (seen.repository, seen.top, seen.branch, seen.head) == (None, None, None, None)

    @pytest.mark.parametrize("strategy", MAKING)
    async def test_reports_the_state_of_a_checkout(self, world: World, strategy: Strategy) -> None:
        spec = await new_spec(world, world.repository("repo"), strategy, "topic")
        await world.workspaces.prepare(spec)
        assert await world.workspaces.condition(spec.directory) == Condition("topic", dirty=False)
        world.write(spec.directory, "new.txt")
        assert await world.workspaces.condition(spec.directory) == Condition("topic", dirty=True)

    async def test_what_is_not_git_has_no_condition(self, world: World) -> None:
        assert await world.workspaces.condition(world.directory("plain")) is None

    async def test_resolves_symlinks(self, world: World) -> None:
        target = world.directory("real")
        assert (await world.workspaces.inspect(world.link("alias", target))).directory == target

    async def test_refuses_bad_directories(self, world: World) -> None:
        bad = {
            world.path("nowhere"): "directory_missing",
            world.file("file"): "not_a_directory",
            world.outside(): "directory_outside_roots",
            world.link("out", world.outside()): "directory_outside_roots",
        }
        for directory, code in bad.items():
            for look in (world.workspaces.inspect, world.workspaces.require):
                with pytest.raises(Rejected) as caught:
                    await look(directory)
                assert (caught.value.code, caught.value.field) == (code, "directory")

    async def test_refuses_an_unreadable_directory(self, world: World) -> None:
        directory = world.unreadable("secret")
        with world.as_stranger(), pytest.raises(Rejected) as caught:
            await world.workspaces.inspect(directory)
        assert caught.value.code == "directory_unreadable"

    # --------------------------------------------------------------------------------------------------------- plan

    async def test_plans_own_names(self, world: World) -> None:
        spec = await new_spec(world, world.repository("shop"), "worktree", title="Größe: fix\n--force")
        assert spec.branch == "fleet/groe-fix-force-00000001"
        assert spec.directory.endswith(f"/{spec.workspace_id}/shop")

    async def test_keeps_a_branch_that_was_asked_for(self, world: World) -> None:
        assert (await new_spec(world, world.repository("shop"), "clone", "topic")).branch == "topic"

    async def test_plans_the_source_itself_for_existing(self, world: World) -> None:
        directory = world.directory("notes")
        spec = await new_spec(world, directory, "existing")
        assert (spec.directory, spec.branch) == (directory, None)

    # -------------------------------------------------------------------------------------------------------- check

    @pytest.mark.parametrize("strategy", MAKING)
    async def test_refuses_a_directory_outside_of_git(self, world: World, strategy: Strategy) -> None:
        refused = await refusal_of_check(world, await new_spec(world, world.directory("notes"), strategy))
        assert (refused.code, refused.field) == ("not_a_repository", "isolationStrategy")

    @pytest.mark.parametrize("strategy", MAKING)
    async def test_refuses_a_repository_without_a_commit(self, world: World, strategy: Strategy) -> None:
        refused = await refusal_of_check(world, await new_spec(world, world.empty_repository("new"), strategy))
        assert (refused.code, refused.field) == ("repository_empty", "directory")

    @pytest.mark.parametrize("strategy", MAKING)
    @pytest.mark.parametrize(
        "branch",
        [
            *("-b", "--upload-pack=touch x", "HEAD", "@", "@{-1}", "a..b"),
            *("a b", "a\nb", "a\0b", ".a", "a/.b", "a.lock"),
            *("/a", "a/", "a//b", "a.", "a~1", "a^", "a:b", "a?", "a*", "a[", "a\\b", "x" * 241, "\ud800"),
            *("refs/heads/x", "refs/tags/x", "refs/x"),
        ],
    )
    async def test_refuses_a_bad_branch_name(self, world: World, strategy: Strategy, branch: str) -> None:
        refused = await refusal_of_check(world, await new_spec(world, world.repository("shop"), strategy, branch))
        assert (refused.code, refused.field) == ("branch_invalid", "branch")

    @pytest.mark.parametrize("branch", ["a/-b/_", "ümlaut/日本", "a-b_c.d/e", "$(touch)", "x;y", "x&'\"", "main2"])
    async def test_takes_an_unusual_branch_name(self, world: World, branch: str) -> None:
        spec = await new_spec(world, world.repository("shop"), "worktree", branch)
        await check(world, spec)
        assert (await world.workspaces.prepare(spec)).branch == branch

    @pytest.mark.parametrize("base", ["nope", "-x", "--all", "HEAD^{tree}x", "a\nb", "a\0b", "", "\ud800"])
    async def test_refuses_an_unknown_base(self, world: World, base: str) -> None:
        refused = await refusal_of_check(world, await new_spec(world, world.repository("shop"), "worktree", None, base))
        assert (refused.code, refused.field) == ("base_ref_unknown", "baseRef")

    async def test_refuses_a_branch_that_is_checked_out(self, world: World) -> None:
        repository = world.repository("shop")
        refused = await refusal_of_check(world, await new_spec(world, repository, "worktree", "main"))
        assert (refused.code, refused.field) == ("branch_checked_out", "branch")
        assert refused.extra == {"checkedOutAt": repository}

    async def test_refuses_a_branch_of_another_workspace(self, world: World) -> None:
        repository = world.repository("shop")
        first = await new_spec(world, repository, "worktree", "topic")
        await world.workspaces.prepare(first)
        refused = await refusal_of_check(world, await new_spec(world, repository, "worktree", "topic", number=2))
        assert refused.extra == {"checkedOutAt": first.directory}

    @pytest.mark.parametrize("strategy", MAKING)
    async def test_refuses_a_base_for_a_branch_that_exists(self, world: World, strategy: Strategy) -> None:
        repository = world.repository("shop")
        world.add_branch(repository, "old")
        refused = await refusal_of_check(world, await new_spec(world, repository, strategy, "old", "HEAD"))
        assert (refused.code, refused.field) == ("branch_exists", "branch")

    async def test_refuses_a_branch_below_or_above_another(self, world: World) -> None:
        repository = world.repository("shop")
        world.add_branch(repository, "a/b")
        for branch in ("a", "a/b/c", "main/x"):
            refused = await refusal_of_check(world, await new_spec(world, repository, "worktree", branch))
            assert refused.code == "branch_exists"

    async def test_refuses_a_branch_for_existing(self, world: World) -> None:
        refused = await refusal_of_check(world, await new_spec(world, world.repository("shop"), "existing", "topic"))
        assert (refused.code, refused.field) == ("branch_invalid", "branch")

    # ------------------------------------------------------------------------------------------------------ prepare

    async def test_uses_an_existing_directory(self, world: World) -> None:
        directory = world.directory("notes")
        prepared = await world.workspaces.prepare(await new_spec(world, directory, "existing"))
        assert (prepared.directory, prepared.repository) == (directory, None)

    @pytest.mark.parametrize("strategy", MAKING)
    async def test_makes_a_checkout_on_its_own_branch(self, world: World, strategy: Strategy) -> None:
        repository = world.repository("shop")
        spec = await new_spec(world, repository, strategy)
        await check(world, spec)
        prepared = await world.workspaces.prepare(spec)
        made = await world.workspaces.inspect(spec.directory)
        assert (prepared.directory, prepared.branch, prepared.head) == (spec.directory, spec.branch, made.head)
        assert (prepared.repository, prepared.head) == (made.repository, world.head(repository))

    @pytest.mark.parametrize("strategy", MAKING)
    async def test_only_a_worktree_adds_a_branch_to_the_source(self, world: World, strategy: Strategy) -> None:
        repository = world.repository("shop")
        await world.workspaces.prepare(await new_spec(world, repository, strategy, "topic"))
        assert world.branches(repository) == ({"main", "topic"} if strategy == "worktree" else {"main"})

    @pytest.mark.parametrize("strategy", MAKING)
    async def test_resumes_work_on_a_branch(self, world: World, strategy: Strategy) -> None:
        repository = world.repository("shop")
        world.add_branch(repository, "old")
        assert (await world.workspaces.prepare(await new_spec(world, repository, strategy, "old"))).branch == "old"

    @pytest.mark.parametrize("strategy", MAKING)
    async def test_begins_at_a_base(self, world: World, strategy: Strategy) -> None:
        repository = world.repository("shop")
        base = world.head(repository)
        world.commit(repository)
        assert world.head(repository) != base
        prepared = await world.workspaces.prepare(await new_spec(world, repository, strategy, "topic", base))
        assert (prepared.branch, prepared.head) == ("topic", base)

    @pytest.mark.parametrize("strategy", MAKING)
    async def test_works_from_a_detached_head(self, world: World, strategy: Strategy) -> None:
        repository = world.repository("shop")
        world.detach(repository)
        assert (await world.workspaces.inspect(repository)).branch is None
        prepared = await world.workspaces.prepare(await new_spec(world, repository, strategy, "topic"))
        assert (prepared.branch, prepared.head) == ("topic", world.head(repository))

    @pytest.mark.parametrize("strategy", MAKING)
    async def test_preparing_again_changes_nothing(self, world: World, strategy: Strategy) -> None:
        spec = await new_spec(world, world.repository("shop"), strategy, "topic", "HEAD")
        first = await world.workspaces.prepare(spec)
        world.write(spec.directory, "work")
        world.restart()
        assert await world.workspaces.prepare(spec) == first
        assert world.is_there(spec.directory)

    async def test_concurrent_worktrees_of_one_repository(self, world: World) -> None:
        repository = world.repository("shop")
        specs = [await new_spec(world, repository, "worktree", number=number) for number in range(8)]
        async with trio.open_nursery() as nursery:
            for spec in specs:
                nursery.start_soon(world.workspaces.prepare, spec)
        branches = {(await world.workspaces.inspect(spec.directory)).branch for spec in specs}
        assert branches == {spec.branch for spec in specs}
        assert len(branches) == 8

    @pytest.mark.parametrize("checked", [True, False])
    @pytest.mark.parametrize("strategy", MAKING)
    async def test_finishes_after_a_crash_at_any_step(self, world: World, strategy: Strategy, checked: bool) -> None:
        repository = world.repository("shop")
        for number in range(60):
            crash = CancelAtStep(1 + number * self.steps_between_crashes)
            spec = await new_spec(world, repository, strategy, number=number, base_ref="HEAD")
            if checked:
                await check(world, spec)
            trio.lowlevel.add_instrument(crash)
            with crash.scope:
                await world.workspaces.prepare(spec)
            trio.lowlevel.remove_instrument(crash)
            world.restart()
            prepared = await world.workspaces.prepare(spec)
            assert (prepared.directory, prepared.branch) == (spec.directory, spec.branch)
            if not crash.scope.cancelled_caught:
                break
        else:
            pytest.fail("prepare takes more steps than this test crashes at")

    @pytest.mark.parametrize("strategy", MAKING)
    async def test_finishes_a_torn_checkout(self, world: World, strategy: Strategy) -> None:
        spec = await new_spec(world, world.repository("shop"), strategy)
        first = await world.workspaces.prepare(spec)
        world.tear(spec)
        world.restart()
        assert await world.workspaces.prepare(spec) == first

    # ------------------------------------------------------------------------------------------------------ discard

    @pytest.mark.parametrize("strategy", MAKING)
    async def test_discards_an_unused_workspace(self, world: World, strategy: Strategy) -> None:
        repository = world.repository("shop")
        spec = await new_spec(world, repository, strategy)
        await world.workspaces.discard(spec)
        await world.workspaces.prepare(spec)
        await world.workspaces.discard(spec)
        assert not world.is_there(spec.directory)
        assert world.branches(repository) == {"main"}
        assert await world.workspaces.strays(frozenset()) == ()
        await world.workspaces.prepare(spec)

    @pytest.mark.parametrize("strategy", MAKING)
    async def test_discards_a_torn_checkout(self, world: World, strategy: Strategy) -> None:
        repository = world.repository("shop")
        spec = await new_spec(world, repository, strategy)
        await world.workspaces.prepare(spec)
        world.tear(spec)
        await world.workspaces.discard(spec)
        assert not world.is_there(spec.directory)
        assert world.branches(repository) == {"main"}

    @pytest.mark.parametrize("strategy", MAKING)
    async def test_does_not_discard_a_file_of_a_person(self, world: World, strategy: Strategy) -> None:
        spec = await new_spec(world, world.repository("shop"), strategy)
        await world.workspaces.prepare(spec)
        world.write(spec.directory, "work")
        with pytest.raises(Rejected) as caught:
            await world.workspaces.discard(spec)
        assert caught.value.code == "workspace_dirty"
        assert world.is_there(spec.directory)

    async def test_keeps_a_branch_with_commits(self, world: World) -> None:
        repository = world.repository("shop")
        spec = await new_spec(world, repository, "worktree", "topic")
        await world.workspaces.prepare(spec)
        world.commit(spec.directory)
        await world.workspaces.discard(spec)
        assert world.branches(repository) == {"main", "topic"}

    async def test_keeps_a_branch_that_was_there(self, world: World) -> None:
        repository = world.repository("shop")
        world.add_branch(repository, "old")
        spec = await new_spec(world, repository, "worktree", "old")
        await world.workspaces.prepare(spec)
        await world.workspaces.discard(spec)
        assert world.branches(repository) == {"main", "old"}

    async def test_does_not_discard_a_clone_with_commits(self, world: World) -> None:
        spec = await new_spec(world, world.repository("shop"), "clone")
        await world.workspaces.prepare(spec)
        world.commit(spec.directory)
        with pytest.raises(Rejected) as caught:
            await world.workspaces.discard(spec)
        assert caught.value.code == "workspace_dirty"

    async def test_discarding_an_existing_directory_touches_nothing(self, world: World) -> None:
        spec = await new_spec(world, world.directory("notes"), "existing")
        await world.workspaces.discard(spec)
        assert world.is_there(spec.directory)

    # ------------------------------------------------------------------------------------------------------- strays

    async def test_finds_strays(self, world: World) -> None:
        repository = world.repository("shop")
        specs = [await new_spec(world, repository, "worktree", number=number) for number in (1, 2)]
        for spec in specs:
            await world.workspaces.prepare(spec)
        (stray,) = await world.workspaces.strays(frozenset({specs[0].workspace_id}))
        assert stray.endswith(f"/{specs[1].workspace_id}")
