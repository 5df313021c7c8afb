"""What moves between the server and other hosts, and what is left when a host is lost."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from fleet.adapters.git import GitRemovals
from fleet.errors import Rejected
from fleet.ports import FileContent, Strategy, WorkspaceSpec
from tests.adapters.git.test_removals import files, spread_out
from tests.adapters.travel.world import TravelWorld, git, refs
from tests.contracts.removals_contract import made
from tests.contracts.workspaces_contract import ordered

# ------------------------------------------------------------------------------------------------- a host that is lost


def _everything(checkout: str) -> None:
    git(checkout, "branch", "-m", "renamed")
    git(checkout, "commit", "-q", "--allow-empty", "-m", "More")
    spread_out(Path(checkout))


def _detached(checkout: str) -> None:
    git(checkout, "checkout", "-q", "--detach")
    git(checkout, "commit", "-q", "--allow-empty", "-m", "More")


def _amended(checkout: str) -> None:
    git(checkout, "commit", "-q", "--amend", "--allow-empty", "-m", "Other")


def _nothing(checkout: str) -> None:
    pass


@pytest.mark.parametrize(
    ("strategy", "work"),
    [
        ("worktree", _everything),
        ("clone", _everything),
        ("worktree", _detached),
        ("worktree", _amended),
        ("clone", _nothing),
    ],
)
async def test_work_of_a_lost_host_is_restored_on_another(
    world: TravelWorld, strategy: Strategy, work: Callable[[str], None]
) -> None:
    order = await made(world, strategy)
    if work is not _nothing:
        world.commit(order.directory)
        await world.removals.keep(order)
    work(order.directory)
    before, branch = world.work(order.directory), git(order.directory, "branch", "--show-current")
    kept = await world.removals.keep(order)
    second, directory = await world.moved(order, kept)
    assert world.work(directory) == before
    assert git(directory, "branch", "--show-current") == branch
    again = await second.ports.removals.keep(order)
    assert (again.branch, again.head) == (kept.branch, kept.head)
    if kept.commit is not None:
        assert world.reaches(order.source_directory, f"refs/fleet/kept/{order.workspace_id}", kept.commit)
    assert await second.ports.workspaces.fault(order) is None


async def test_trees_of_a_lost_host_are_read_and_laid_out_elsewhere(world: TravelWorld) -> None:
    order = await made(world, "worktree")
    first = await world.trees.take(order.workspace_id, order.directory)
    spread_out(Path(order.directory))
    Path(order.directory, "src").mkdir(exist_ok=True)
    second = await world.trees.take(order.workspace_id, order.directory)
    was = files(order.directory)
    await world.removals.keep(order)
    world.first.destroy()
    world.restart()
    changed = {change.file for change in await world.trees.diff(order.workspace_id, first, second)}
    assert {"README.md", "link", "new/deep/empty", "run", "src/shop.py", "staged", "\\xff name\n"} == changed
    assert await world.trees.read(order.workspace_id, second, "run") == FileContent(b"#!/bin/sh\n", 10)
    other = world.machine("n2")
    fork = await ordered(world, order.source_directory, "worktree", number=2)
    prepared = await other.ports.workspaces.prepare(fork)
    await other.ports.trees.lay_out(order.workspace_id, second, prepared.directory)
    assert files(prepared.directory) == was
    assert await other.ports.trees.compare(order.workspace_id, second, prepared.directory) == ()
    here = await world.server.prepare(await _local(world, order.source_directory))
    await world.server_trees.lay_out(order.workspace_id, second, here.directory)
    assert files(here.directory) == was


async def _local(world: TravelWorld, source: str) -> WorkspaceSpec:
    seen = await world.server.inspect(source)
    directory, branch = world.server.plan("local", "worktree", seen, None, "Fork")
    return WorkspaceSpec("local", "worktree", source, directory, branch)


async def test_a_tree_costs_only_what_is_new(world: TravelWorld) -> None:
    order = await made(world, "worktree")
    Path(order.directory, "large").write_bytes(os.urandom(100_000))
    await world.trees.take(order.workspace_id, order.directory)
    store = Path(world.base, "fleet", "trees", order.workspace_id, "objects")
    Path(order.directory, "small").write_text("x\n")
    await world.trees.take(order.workspace_id, order.directory)
    stored = sorted(path.stat().st_size for path in store.rglob("*") if path.is_file())
    assert sum(size > 50_000 for size in stored) == 1
    assert sum(stored) < 110_000  # files of the source are borrowed


async def test_a_workspace_is_prepared_on_another_host_before_and_after_its_work_was_saved(world: TravelWorld) -> None:
    repository = world.repository("shop")
    order = await ordered(world, repository, "worktree", base_ref="HEAD")
    first = await world.workspaces.prepare(order)
    world.commit(repository)
    second = world.machine("n2").ports
    again = await second.workspaces.prepare(order)
    assert (again.branch, again.head) == (first.branch, first.head)
    commit = world.commit(again.directory)
    kept = await second.removals.keep(order)
    third = world.machine("n3").ports
    await third.removals.restore(order, kept)
    assert (await third.workspaces.prepare(order)).head == commit


async def test_the_server_alone_restores_and_removes_the_work_of_a_lost_host(world: TravelWorld) -> None:
    order = await made(world, "worktree")
    world.commit(order.directory)
    spread_out(Path(order.directory))
    before = world.work(order.directory)
    kept = await world.removals.keep(order)
    world.first.destroy()
    here = replace(order, directory=f"{world.root}/{order.workspace_id}/shop")
    alone = GitRemovals(world.server)
    assert (await alone.keep(here)).commit == kept.commit
    await alone.restore(here, kept)
    assert world.work(here.directory) == before
    await alone.remove(here, await alone.keep(here))
    assert world.branches(order.source_directory) == {"main"}


async def test_a_host_that_returns_has_its_later_work_kept_beside(world: TravelWorld) -> None:
    order = await made(world, "worktree")
    source = order.source_directory
    world.commit(order.directory)
    kept = await world.removals.keep(order)
    second = world.machine("n2")
    await second.ports.removals.restore(order, kept)
    directory = f"{second.root}/workspaces/{order.workspace_id}/shop"
    Path(directory, "second").write_text("x\n")
    here = await second.ports.removals.keep(order)
    first = world.first.ports.removals
    assert await first.keep(order) == kept
    Path(order.directory, "late").write_text("x\n")
    late = await first.keep(order)
    assert late.ref == f"refs/fleet/returned/{order.workspace_id}-n1"
    assert git(source, "show", f"{late.ref}:late") == "x"
    await first.remove(order, late)
    assert not world.is_there(order.directory)
    assert str(order.branch) in world.branches(source)
    assert await second.ports.removals.keep(order) == here
    await second.ports.removals.remove(order, here)
    assert world.branches(source) == {"main"}
    assert world.reaches(source, f"refs/fleet/kept/{order.workspace_id}", str(here.commit))


# ------------------------------------------------------------------------------------------------------------ branches


async def test_branches_tags_and_stashes_of_a_host_come_to_the_source(world: TravelWorld) -> None:
    order = await made(world, "worktree")
    source, own = order.source_directory, str(order.branch)
    assert world.branches(source) == {"main", own}
    git(order.directory, "tag", "v1")
    for number in range(2):
        Path(order.directory, "README.md").write_text(f"{number}\n")
        git(order.directory, "stash", "push", "-q")
    git(order.directory, "branch", "side")
    one = world.commit(order.directory)
    await world.removals.keep(order)
    assert refs(source, "refs/heads")[f"refs/heads/{own}"] == one
    assert {"side", "main", own} == world.branches(source)
    assert set(refs(source, "refs/tags")) == {"refs/tags/v1"}
    stashes = refs(source, "refs/fleet/hosts/n1/stash")
    assert sorted(git(source, "show", f"{at}:README.md") for at in stashes.values()) == ["0", "1"]
    git(source, "branch", "-D", "side")
    _amended(order.directory)
    await world.removals.keep(order)
    assert refs(source, "refs/heads")[f"refs/heads/{own}"] == world.head(order.directory)
    assert "side" not in world.branches(source)


async def test_a_branch_that_is_used_on_the_server_is_not_moved(world: TravelWorld) -> None:
    order = await made(world, "worktree")
    source, own = order.source_directory, str(order.branch)
    begun = world.head(source)
    git(source, "checkout", "-q", own)
    commit = world.commit(order.directory)
    kept = await world.removals.keep(order)
    assert (world.head(source), refs(source, "refs/fleet/hosts/n1/heads")) == (
        begun,
        {f"refs/fleet/hosts/n1/heads/{own}": commit},
    )
    second, directory = await world.moved(order, kept)
    assert world.head(directory) == commit
    git(source, "checkout", "-q", "main")
    await second.ports.removals.keep(order)
    assert refs(source, "refs/heads")[f"refs/heads/{own}"] == commit


async def test_commits_of_both_sides_stay(world: TravelWorld) -> None:
    order = await made(world, "worktree")
    source, own = order.source_directory, str(order.branch)
    there = world.commit(order.directory)
    git(source, "checkout", "-q", own)
    Path(source, "new").write_text("here\n")
    git(source, "add", "new")
    git(source, "commit", "-q", "-m", "Here")
    here = world.head(source)
    git(source, "checkout", "-q", "main")
    kept = await world.removals.keep(order)
    assert refs(source, f"refs/heads/{own}") == {f"refs/heads/{own}": here}
    assert world.reaches(source, str(kept.ref), there)
    world.first.destroy()
    with pytest.raises(Rejected) as caught:
        await world.machine("n2").ports.removals.restore(order, kept)
    assert caught.value.code == "branch_exists"


async def test_a_branch_becomes_a_directory_of_branches_on_the_host(world: TravelWorld) -> None:
    order = await made(world, "worktree")
    git(order.directory, "checkout", "-q", "-b", "a")
    first = world.commit(order.directory)
    await world.removals.keep(order)
    git(order.directory, "checkout", "-q", "--detach")
    git(order.directory, "branch", "-D", "a")
    git(order.directory, "branch", "a/b")
    await world.removals.keep(order)
    assert refs(order.source_directory, "refs/fleet/hosts/n1")["refs/fleet/hosts/n1/heads/a/b"] == first
