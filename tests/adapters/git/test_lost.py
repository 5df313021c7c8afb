"""Checkouts that somebody has deleted: what is wrong with them, and how they are made again."""

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from fleet.adapters.git.repository import condition, read_source
from fleet.errors import Rejected
from fleet.ports import Strategy
from tests.adapters.git.world import GitWorld, git
from tests.contracts.workspaces_contract import MAKING, ordered


@pytest.mark.parametrize("strategy", MAKING)
async def test_a_deleted_checkout_is_missing(world: GitWorld, strategy: Strategy) -> None:
    order = await ordered(world, world.repository("shop"), strategy)
    await world.workspaces.prepare(order)
    assert await world.workspaces.fault(order) is None
    shutil.rmtree(order.directory)
    assert await world.workspaces.fault(order) == "missing"
    Path(order.directory).mkdir()  # as OpenCode does
    assert await world.workspaces.fault(order) == "missing"


async def test_a_copied_worktree_is_no_checkout_of_its_own_while_the_original_exists(world: GitWorld) -> None:
    order = await ordered(world, world.repository("shop"), "worktree")
    await world.workspaces.prepare(order)
    copy = replace(order, directory=shutil.copytree(order.directory, world.path("copy"), symlinks=True))
    assert await world.workspaces.fault(copy) == "missing"
    assert await world.workspaces.fault(order) is None
    linked = Path(world.path("link"))
    linked.symlink_to(order.directory)
    assert await world.workspaces.fault(replace(order, directory=str(linked))) is None
    shutil.rmtree(order.directory)
    assert await world.workspaces.fault(copy) is None


async def test_a_worktree_whose_repository_was_moved_is_cut_off(world: GitWorld) -> None:
    order = await ordered(world, world.repository("shop"), "worktree")
    await world.workspaces.prepare(order)
    Path(order.source_directory).rename(world.path("moved"))
    assert await world.workspaces.fault(order) == "cut_off"


async def test_a_worktree_is_bound_to_the_repository_that_was_moved(world: GitWorld) -> None:
    order = await ordered(world, world.repository("shop"), "worktree")
    prepared = await world.workspaces.prepare(order)
    Path(order.source_directory).rename(world.path("moved"))
    other = world.repository("other")
    world.commit(other)
    git(other, "checkout", "-q", "--orphan", "fresh")
    commit = world.commit(other)
    with pytest.raises(Rejected) as caught:
        await world.workspaces.require_related(replace(order, source_directory=world.path("moved")), commit)
    assert caught.value.code == "source_unrelated"
    bound = replace(order, source_directory=world.path("moved"))
    assert (await world.workspaces.require_related(bound, prepared.head)).directory == bound.source_directory
    await world.workspaces.relink(bound)
    assert await world.workspaces.fault(bound) is None
    assert git(order.directory, "status", "--porcelain") == ""
    await world.workspaces.discard(bound)
    assert world.branches(world.path("moved")) == {"main"}


@pytest.mark.parametrize("is_gone", [False, True])
async def test_a_worktree_is_not_bound_to_another_clone_of_its_project(world: GitWorld, is_gone: bool) -> None:
    order = await ordered(world, world.repository("shop"), "worktree")
    prepared = await world.workspaces.prepare(order)
    fellow = world.repository("fellow")
    git(fellow, "worktree", "add", "-q", "-b", "same-name", f"{world.allowed}/below/shop")
    if is_gone:
        shutil.rmtree(order.source_directory)
    with pytest.raises(Rejected) as caught:
        await world.workspaces.require_related(replace(order, source_directory=fellow), prepared.head)
    assert caught.value.code == "source_unrelated"


@pytest.mark.parametrize("left", ["nothing", "an empty directory", "other files"])
async def test_deleted_worktree_is_made_again_with_its_commits_and_index(world: GitWorld, left: str) -> None:
    order = await ordered(world, world.repository("shop"), "worktree", base_ref="main")
    await world.workspaces.prepare(order)
    git(order.directory, "checkout", "-q", "-b", "other")
    commit = world.commit(order.directory)
    Path(order.directory, "README.md").write_text("staged\n")
    git(order.directory, "add", "README.md")
    shutil.rmtree(order.directory)
    if left != "nothing":
        Path(order.directory).mkdir()
    if left == "other files":
        Path(order.directory, "since.txt").write_text("since\n")
        Path(order.directory, "README.md").write_text("other\n")
    prepared = await world.workspaces.prepare(order)
    assert (prepared.branch, prepared.head) == ("other", commit)
    assert git(order.directory, "show", ":README.md") == "staged"
    assert Path(order.directory, "src", "shop.py").is_file()
    assert Path(order.directory, "README.md").read_text() == ("other\n" if left == "other files" else "staged\n")
    assert Path(order.directory, "since.txt").exists() == (left == "other files")
    assert await world.workspaces.fault(order) is None


async def test_commits_in_the_reflog_of_a_deleted_worktree_stay(world: GitWorld) -> None:
    order = await ordered(world, world.repository("shop"), "worktree")
    await world.workspaces.prepare(order)
    dropped = world.commit(order.directory)
    git(order.directory, "reset", "-q", "--hard", "HEAD~")
    own = Path(git(order.directory, "rev-parse", "--absolute-git-dir"))
    (own / "index.lock").write_text("")  # its git was killed
    shutil.rmtree(order.directory)
    await world.workspaces.prepare(order)
    assert dropped in git(order.directory, "reflog", "--format=%H").split()


async def test_a_worktree_that_its_repository_has_forgotten_is_made_again_at_its_branch(world: GitWorld) -> None:
    order = await ordered(world, world.repository("shop"), "worktree", base_ref="main")
    await world.workspaces.prepare(order)
    commit = world.commit(order.directory)
    git(order.source_directory, "worktree", "remove", "--force", order.directory)
    assert (await world.workspaces.prepare(order)).head == commit


async def test_a_clone_is_not_made_again_over_other_files(world: GitWorld) -> None:
    order = await ordered(world, world.repository("shop"), "clone")
    await world.workspaces.prepare(order)
    shutil.rmtree(order.directory)
    Path(order.directory).mkdir()
    Path(order.directory, "since.txt").write_text("since\n")
    with pytest.raises(Rejected, match=r"since\.txt"):
        await world.workspaces.prepare(order)
    Path(order.directory, "since.txt").unlink()
    await world.workspaces.prepare(order)
    assert Path(order.directory, "README.md").is_file()


@pytest.mark.parametrize("ask", [read_source, condition])
async def test_directory_that_is_lost_while_git_is_asked_is_missing(
    tmp_path: Path, ask: Callable[[str], Awaitable[object]]
) -> None:
    with pytest.raises(Rejected) as caught:
        await ask(str(tmp_path / "lost"))
    assert caught.value.code == "directory_missing"
