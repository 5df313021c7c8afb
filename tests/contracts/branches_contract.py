"""What every implementation of `Workspaces.branches` keeps. Subclass it and give it a `world` fixture."""

import pytest

from fleet.errors import Rejected
from tests.contracts.workspaces_contract import World, new_spec


class BranchesContract:
    async def test_lists_local_and_remote_branches(self, world: World) -> None:
        repository = world.repository("shop")
        world.add_branch(repository, "feature/login")
        world.add_remote_branch(repository, "origin/main")
        spec = await new_spec(world, repository, "worktree", "topic")
        await world.workspaces.prepare(spec)
        listed = await world.workspaces.branches(await world.workspaces.inspect(repository), "")
        assert {branch.commit for branch in listed} == {world.head(repository)}
        assert {(each.name, each.kind, each.current, each.checked_out_at) for each in listed} == {
            ("main", "local", True, repository),
            ("feature/login", "local", False, None),
            ("topic", "local", False, spec.directory),
            ("origin/main", "remote", False, None),
        }
        seen = await world.workspaces.branches(await world.workspaces.inspect(spec.directory), "topic")
        assert [(each.name, each.current) for each in seen] == [("topic", True)]

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("LOG", {"feature/login"}),
            ("feature/", {"feature/login"}),
            ("nowhere", set[str]()),
            ("--format=%(refname)", set[str]()),
            ("*", set[str]()),
            ("refs/heads", set[str]()),
            ("a\0b", set[str]()),
            ("\ud800", set[str]()),
        ],
    )
    async def test_finds_branches_by_a_part_of_their_name(self, world: World, query: str, names: set[str]) -> None:
        repository = world.repository("shop")
        world.add_branch(repository, "feature/login")
        source = await world.workspaces.inspect(repository)
        assert {branch.name for branch in await world.workspaces.branches(source, query)} == names

    async def test_a_repository_without_a_commit_has_no_branch(self, world: World) -> None:
        source = await world.workspaces.inspect(world.empty_repository("new"))
        assert await world.workspaces.branches(source, "") == ()

    async def test_what_is_not_git_has_no_branches(self, world: World) -> None:
        source = await world.workspaces.inspect(world.directory("notes"))
        with pytest.raises(Rejected) as caught:
            await world.workspaces.branches(source, "")
        assert (caught.value.code, caught.value.field, bool(caught.value.hint)) == (
            "not_a_repository",
            "directory",
            True,
        )
