"""A worktree that is made by what its check has read, in a repository that has changed since."""

import pytest
from trio.testing import MockClock

from fleet.errors import Rejected
from fleet.limits import CHECK_COUNTS_S
from tests.adapters.git.world import GitWorld, git
from tests.contracts.workspaces_contract import check, new_spec


async def test_continues_on_a_branch_that_a_person_made_after_the_check(world: GitWorld) -> None:
    repository = world.repository("shop")
    spec = await new_spec(world, repository, "worktree", "topic")
    await check(world, spec)
    git(repository, "branch", "topic")
    assert (await world.workspaces.prepare(spec)).branch == "topic"
    await world.workspaces.discard(spec)
    assert git(repository, "branch", "--list", "topic").strip() == "topic"
    assert git(repository, "for-each-ref", "refs/fleet") == ""


async def test_refuses_a_branch_that_another_workspace_got_after_the_check(world: GitWorld) -> None:
    repository = world.repository("shop")
    specs = [await new_spec(world, repository, "worktree", "topic", number=number) for number in (1, 2)]
    for spec in specs:
        await check(world, spec)
    await world.workspaces.prepare(specs[0])
    with pytest.raises(Rejected) as caught:
        await world.workspaces.prepare(specs[1])
    assert caught.value.code == "branch_checked_out"
    assert not world.is_there(specs[1].directory)


async def test_refuses_a_branch_that_came_after_the_check_for_a_base(world: GitWorld) -> None:
    repository = world.repository("shop")
    spec = await new_spec(world, repository, "worktree", "topic", "HEAD")
    await check(world, spec)
    git(repository, "branch", "topic/part")
    with pytest.raises(Rejected) as caught:
        await world.workspaces.prepare(spec)
    assert caught.value.code == "branch_exists"
    assert git(repository, "for-each-ref", "refs/fleet") == ""


async def test_begins_at_the_present_commit_if_the_check_was_long_ago(world: GitWorld, mock_clock: MockClock) -> None:
    repository = world.repository("shop")
    checked = git(repository, "rev-parse", "HEAD")
    specs = [await new_spec(world, repository, "worktree", number=number) for number in (1, 2)]
    for spec in specs:
        await check(world, spec)
    git(repository, "commit", "-q", "--allow-empty", "-m", "Go on")
    soon = await world.workspaces.prepare(specs[0])
    mock_clock.jump(CHECK_COUNTS_S + 1)
    late = await world.workspaces.prepare(specs[1])
    assert (soon.head, late.head) == (checked, git(repository, "rev-parse", "HEAD"))
