"""What moves between the server and other hosts, and what is left when a host is lost."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from fleet.adapters.git import GitRemovals, returned_refs
from fleet.errors import Rejected
from fleet.ports import FileContent, Strategy, WorkspaceSpec
from tests.adapters.git.test_removals import files, spread_out
from tests.adapters.travel.world import TravelWorld, git, refs
from tests.contracts.removals_contract import made
from tests.contracts.workspaces_contract import new_spec

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
    spec = await made(world, strategy)
    if work is not _nothing:
        world.commit(spec.directory)
        await world.removals.keep(spec)
    work(spec.directory)
    before, branch = world.work(spec.directory), git(spec.directory, "branch", "--show-current")
    kept = await world.removals.keep(spec)
    second, directory = await world.moved(spec, kept)
    assert world.work(directory) == before
    assert git(directory, "branch", "--show-current") == branch
    again = await second.ports.removals.keep(spec)
    assert (again.branch, again.head) == (kept.branch, kept.head)
    if kept.commit is not None:
        assert world.reaches(spec.source_directory, f"refs/fleet/kept/{spec.workspace_id}", kept.commit)
    assert await second.ports.workspaces.fault(spec) is None


async def test_trees_of_a_lost_host_are_read_and_laid_out_elsewhere(world: TravelWorld) -> None:
    spec = await made(world, "worktree")
    first = await world.trees.take(spec.workspace_id, spec.directory)
    spread_out(Path(spec.directory))
    Path(spec.directory, "src").mkdir(exist_ok=True)
    second = await world.trees.take(spec.workspace_id, spec.directory)
    was = files(spec.directory)
    await world.removals.keep(spec)
    world.first.destroy()
    world.restart()
    changed = {change.file for change in await world.trees.diff(spec.workspace_id, first, second)}
    assert {"README.md", "link", "new/deep/empty", "run", "src/shop.py", "staged", "\\xff name\n"} == changed
    assert await world.trees.read(spec.workspace_id, second, "run") == FileContent(b"#!/bin/sh\n", 10)
    other = world.machine("n2")
    fork = await new_spec(world, spec.source_directory, "worktree", number=2)
    prepared = await other.ports.workspaces.prepare(fork)
    await other.ports.trees.lay_out(spec.workspace_id, second, prepared.directory)
    assert files(prepared.directory) == was
    assert await other.ports.trees.compare(spec.workspace_id, second, prepared.directory) == ()
    here = await world.server.prepare(await _local(world, spec.source_directory))
    await world.server_trees.lay_out(spec.workspace_id, second, here.directory)
    assert files(here.directory) == was


async def _local(world: TravelWorld, source: str) -> WorkspaceSpec:
    seen = await world.server.inspect(source)
    directory, branch = world.server.plan("local", "worktree", seen, None, "Fork")
    return WorkspaceSpec("local", "worktree", source, directory, branch)


async def test_a_tree_costs_only_what_is_new(world: TravelWorld) -> None:
    spec = await made(world, "worktree")
    Path(spec.directory, "large").write_bytes(os.urandom(100_000))
    await world.trees.take(spec.workspace_id, spec.directory)
    store = Path(world.base, "fleet", "trees", spec.workspace_id, "objects")
    Path(spec.directory, "small").write_text("x\n")
    await world.trees.take(spec.workspace_id, spec.directory)
    stored = sorted(path.stat().st_size for path in store.rglob("*") if path.is_file())
    assert sum(size > 50_000 for size in stored) == 1
    assert sum(stored) < 110_000  # files of the source are borrowed


async def test_a_workspace_is_prepared_on_another_host_before_and_after_its_work_was_saved(world: TravelWorld) -> None:
    repository = world.repository("shop")
    spec = await new_spec(world, repository, "worktree", base_ref="HEAD")
    first = await world.workspaces.prepare(spec)
    world.commit(repository)
    second = world.machine("n2").ports
    again = await second.workspaces.prepare(spec)
    assert (again.branch, again.head) == (first.branch, first.head)
    commit = world.commit(again.directory)
    kept = await second.removals.keep(spec)
    third = world.machine("n3").ports
    await third.removals.restore(spec, kept)
    assert (await third.workspaces.prepare(spec)).head == commit


async def test_the_server_alone_restores_and_removes_the_work_of_a_lost_host(world: TravelWorld) -> None:
    spec = await made(world, "worktree")
    world.commit(spec.directory)
    spread_out(Path(spec.directory))
    before = world.work(spec.directory)
    kept = await world.removals.keep(spec)
    world.first.destroy()
    here = replace(spec, directory=f"{world.root}/{spec.workspace_id}/shop")
    alone = GitRemovals(world.server)
    assert (await alone.keep(here)).commit == kept.commit
    await alone.restore(here, kept)
    assert world.work(here.directory) == before
    await alone.remove(here, await alone.keep(here))
    assert world.branches(spec.source_directory) == {"main"}


async def test_a_host_that_returns_has_its_later_work_kept_beside(world: TravelWorld) -> None:
    spec = await made(world, "worktree")
    source = spec.source_directory
    world.commit(spec.directory)
    kept = await world.removals.keep(spec)
    second = world.machine("n2")
    await second.ports.removals.restore(spec, kept)
    directory = f"{second.root}/workspaces/{spec.workspace_id}/shop"
    Path(directory, "second").write_text("x\n")
    here = await second.ports.removals.keep(spec)
    first = world.first.ports.removals
    assert await first.keep(spec) == kept
    Path(spec.directory, "late").write_text("x\n")
    late = await first.keep(spec)
    assert late.ref == f"refs/fleet/returned/{spec.workspace_id}-n1"
    assert git(source, "show", f"{late.ref}:late") == "x"
    await first.remove(spec, late)
    assert not world.is_there(spec.directory)
    assert str(spec.branch) in world.branches(source)
    assert await second.ports.removals.keep(spec) == here
    await second.ports.removals.remove(spec, here)
    assert world.branches(source) == {"main"}
    assert world.reaches(source, f"refs/fleet/kept/{spec.workspace_id}", str(here.commit))


# ------------------------------------------------------------------------------------------------------------ branches


async def test_branches_tags_and_stashes_of_a_host_come_to_the_source(world: TravelWorld) -> None:
    spec = await made(world, "worktree")
    source, own = spec.source_directory, str(spec.branch)
    assert world.branches(source) == {"main", own}
    git(spec.directory, "tag", "v1")
    for number in range(2):
        Path(spec.directory, "README.md").write_text(f"{number}\n")
        git(spec.directory, "stash", "push", "-q")
    git(spec.directory, "branch", "side")
    one = world.commit(spec.directory)
    await world.removals.keep(spec)
    assert refs(source, "refs/heads")[f"refs/heads/{own}"] == one
    assert {"side", "main", own} == world.branches(source)
    assert set(refs(source, "refs/tags")) == {"refs/tags/v1"}
    stashes = refs(source, "refs/fleet/hosts/n1/stash")
    assert sorted(git(source, "show", f"{at}:README.md") for at in stashes.values()) == ["0", "1"]
    git(source, "branch", "-D", "side")
    _amended(spec.directory)
    await world.removals.keep(spec)
    assert refs(source, "refs/heads")[f"refs/heads/{own}"] == world.head(spec.directory)
    assert "side" not in world.branches(source)


async def test_a_branch_that_is_used_on_the_server_is_not_moved(world: TravelWorld) -> None:
    spec = await made(world, "worktree")
    source, own = spec.source_directory, str(spec.branch)
    begun = world.head(source)
    git(source, "checkout", "-q", own)
    commit = world.commit(spec.directory)
    kept = await world.removals.keep(spec)
    assert (world.head(source), refs(source, "refs/fleet/hosts/n1/heads")) == (
        begun,
        {f"refs/fleet/hosts/n1/heads/{own}": commit},
    )
    second, directory = await world.moved(spec, kept)
    assert world.head(directory) == commit
    git(source, "checkout", "-q", "main")
    await second.ports.removals.keep(spec)
    assert refs(source, "refs/heads")[f"refs/heads/{own}"] == commit


async def test_commits_of_both_sides_stay(world: TravelWorld) -> None:
    spec = await made(world, "worktree")
    source, own = spec.source_directory, str(spec.branch)
    there = world.commit(spec.directory)
    git(source, "checkout", "-q", own)
    Path(source, "new").write_text("here\n")
    git(source, "add", "new")
    git(source, "commit", "-q", "-m", "Here")
    here = world.head(source)
    git(source, "checkout", "-q", "main")
    kept = await world.removals.keep(spec)
    assert refs(source, f"refs/heads/{own}") == {f"refs/heads/{own}": here}
    assert world.reaches(source, str(kept.ref), there)
    world.first.destroy()
    with pytest.raises(Rejected) as caught:
        await world.machine("n2").ports.removals.restore(spec, kept)
    assert caught.value.code == "branch_exists"


async def test_a_branch_becomes_a_directory_of_branches_on_the_host(world: TravelWorld) -> None:
    spec = await made(world, "worktree")
    git(spec.directory, "checkout", "-q", "-b", "a")
    first = world.commit(spec.directory)
    await world.removals.keep(spec)
    git(spec.directory, "checkout", "-q", "--detach")
    git(spec.directory, "branch", "-D", "a")
    git(spec.directory, "branch", "a/b")
    await world.removals.keep(spec)
    assert refs(spec.source_directory, "refs/fleet/hosts/n1")["refs/fleet/hosts/n1/heads/a/b"] == first


def test_hosts_with_similar_names_have_refs_of_their_own(world: TravelWorld) -> None:
    names = ("n1", "n.1", "n-1", "n_1", "n%2E1", "..", "n1.lock")
    found = {returned_refs.of_host(each, "refs/heads/x") for each in names}
    assert len(found) == len(names)
    assert returned_refs.of_host("n-1", "refs/heads/x") == "refs/fleet/hosts/n-1/heads/x"
    repository = world.repository("shop")
    for ref in found:
        git(repository, "check-ref-format", ref)
