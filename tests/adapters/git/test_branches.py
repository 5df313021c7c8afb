"""Branches of real repositories: their order, and names and configuration that a person made to do harm."""

import subprocess
from pathlib import Path

import pytest

from fleet.core.times import rfc3339
from fleet.errors import Rejected
from fleet.limits import OPENCODE_TIME_MS_MAX
from fleet.ports import Branch
from tests.adapters.git.world import GitWorld, git
from tests.contracts.branches_contract import BranchesContract


class TestGitBranches(BranchesContract):
    """The contract."""


async def listed(world: GitWorld, directory: str, query: str = "") -> tuple[Branch, ...]:
    return await world.workspaces.branches(await world.workspaces.inspect(directory), query)


def committed(repository: str, branch: str, at: str) -> None:
    """Make a branch whose newest commit was made at this time."""
    who = f"A <a@example.org> {at}"
    text = f"tree {git(repository, 'rev-parse', 'HEAD^{tree}')}\nauthor {who}\ncommitter {who}\n\n{branch}\n"
    argv = ["git", "-C", repository, "hash-object", "-t", "commit", "-w", "--literally", "--stdin"]
    commit = subprocess.run(argv, input=text, check=True, capture_output=True, text=True).stdout.strip()
    git(repository, "update-ref", f"refs/heads/{branch}", commit)


async def test_the_newest_branch_comes_first(world: GitWorld) -> None:
    repository = world.repository("shop")
    for number, name in enumerate(("old", "newer", "newest")):
        committed(repository, name, f"{4_000_000_000 + number} +0200")
    found = await listed(world, repository)
    assert [branch.name for branch in found] == ["newest", "newer", "old", "main"]
    assert found[0].committed_ms == 4_000_000_002_000


async def test_commit_time_beyond_the_calendar_is_clamped(world: GitWorld) -> None:
    repository = world.repository("shop")
    committed(repository, "far", "99999999999999 +0000")
    (far,) = await listed(world, repository, "far")
    assert far.committed_ms == OPENCODE_TIME_MS_MAX
    assert rfc3339(far.committed_ms).startswith("9999-")


async def test_another_name_of_a_branch_is_left_out(world: GitWorld) -> None:
    repository = world.repository("shop")
    git(repository, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(repository, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    git(repository, "update-ref", "refs/remotes/origin/tree", "HEAD^{tree}")
    git(repository, "tag", "v1")
    assert {branch.name for branch in await listed(world, repository)} == {"main", "origin/main"}


async def test_a_work_tree_may_have_any_name(world: GitWorld) -> None:
    repository = world.repository("shop")
    place = world.path("new\nline\n*")
    git(repository, "worktree", "add", "-q", "-b", "topic", place)
    assert {branch.name: branch.checked_out_at for branch in await listed(world, repository)} == {
        "main": repository,
        "topic": place,
    }
    assert [branch.current for branch in await listed(world, place, "topic")] == [True]


async def test_branch_name_that_is_not_utf_8_is_left_out(world: GitWorld) -> None:
    repository = world.repository("shop")
    packed = Path(repository, ".git", "packed-refs")
    head = git(repository, "rev-parse", "HEAD").encode()
    packed.write_bytes(head + b" refs/heads/caf\xe9\n" + head + b" refs/heads/plain\n")
    assert {branch.name for branch in await listed(world, repository)} == {"main", "plain"}


async def test_a_bare_repository_has_branches(world: GitWorld) -> None:
    bare = world.path("bare.git")
    git(world.repository("shop"), "clone", "-q", "--bare", ".", bare)
    assert [(branch.name, branch.kind) for branch in await listed(world, bare)] == [("main", "local")]


async def test_the_repository_has_to_be_inside_of_the_roots(world: GitWorld) -> None:
    git(world.base, "init", "-q")
    git(world.base, "commit", "-q", "--allow-empty", "-m", "Home")
    with pytest.raises(Rejected) as caught:
        await listed(world, world.directory("notes"))
    assert caught.value.code == "directory_outside_roots"
