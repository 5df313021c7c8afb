"""Checkouts that a person has deleted: what is wrong with them, and how they are made again."""

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from fleet.adapters.git.repository import condition, read_source
from fleet.errors import Rejected
from fleet.ports import Strategy
from tests.adapters.git.world import GitWorld, git
from tests.contracts.workspaces_contract import MAKING, new_spec


@pytest.mark.parametrize("strategy", MAKING)
async def test_a_deleted_checkout_is_missing(world: GitWorld, strategy: Strategy) -> None:
    spec = await new_spec(world, world.repository("shop"), strategy)
    await world.workspaces.prepare(spec)
    assert await world.workspaces.fault(spec) is None
    shutil.rmtree(spec.directory)
    assert await world.workspaces.fault(spec) == "missing"
    Path(spec.directory).mkdir()  # as OpenCode does
    assert await world.workspaces.fault(spec) == "missing"


async def test_a_copied_worktree_is_no_checkout_of_its_own_while_the_original_exists(world: GitWorld) -> None:
    spec = await new_spec(world, world.repository("shop"), "worktree")
    await world.workspaces.prepare(spec)
    copy = replace(spec, directory=shutil.copytree(spec.directory, world.path("copy"), symlinks=True))
    assert await world.workspaces.fault(copy) == "missing"
    assert await world.workspaces.fault(spec) is None
    linked = Path(world.path("link"))
    linked.symlink_to(spec.directory)
    assert await world.workspaces.fault(replace(spec, directory=str(linked))) is None
    shutil.rmtree(spec.directory)
    assert await world.workspaces.fault(copy) is None


async def test_a_worktree_whose_repository_was_moved_is_cut_off(world: GitWorld) -> None:
    spec = await new_spec(world, world.repository("shop"), "worktree")
    await world.workspaces.prepare(spec)
    Path(spec.source_directory).rename(world.path("moved"))
    assert await world.workspaces.fault(spec) == "cut_off"


async def test_a_worktree_is_bound_to_the_repository_that_was_moved(world: GitWorld) -> None:
    spec = await new_spec(world, world.repository("shop"), "worktree")
    prepared = await world.workspaces.prepare(spec)
    Path(spec.source_directory).rename(world.path("moved"))
    other = world.repository("other")
    world.commit(other)
    git(other, "checkout", "-q", "--orphan", "fresh")
    commit = world.commit(other)
    with pytest.raises(Rejected) as caught:
        await world.workspaces.require_related(replace(spec, source_directory=world.path("moved")), commit)
    assert caught.value.code == "source_unrelated"
    bound = replace(spec, source_directory=world.path("moved"))
    assert (await world.workspaces.require_related(bound, prepared.head)).directory == bound.source_directory
    await world.workspaces.relink(bound)
    assert await world.workspaces.fault(bound) is None
    assert git(spec.directory, "status", "--porcelain") == ""
    await world.workspaces.discard(bound)
    assert world.branches(world.path("moved")) == {"main"}


@pytest.mark.parametrize("is_gone", [False, True])
async def test_a_worktree_is_not_bound_to_another_clone_of_its_project(world: GitWorld, is_gone: bool) -> None:
    spec = await new_spec(world, world.repository("shop"), "worktree")
    prepared = await world.workspaces.prepare(spec)
    fellow = world.repository("fellow")
    git(fellow, "worktree", "add", "-q", "-b", "same-name", f"{world.allowed}/below/shop")
    if is_gone:
        shutil.rmtree(spec.source_directory)
    with pytest.raises(Rejected) as caught:
        await world.workspaces.require_related(replace(spec, source_directory=fellow), prepared.head)
    assert caught.value.code == "source_unrelated"


@pytest.mark.parametrize("left", ["nothing", "an empty directory", "other files"])
async def test_deleted_worktree_is_made_again_with_its_commits_and_index(world: GitWorld, left: str) -> None:
    spec = await new_spec(world, world.repository("shop"), "worktree", base_ref="main")
    await world.workspaces.prepare(spec)
    git(spec.directory, "checkout", "-q", "-b", "other")
    commit = world.commit(spec.directory)
    Path(spec.directory, "README.md").write_text("staged\n")
    git(spec.directory, "add", "README.md")
    shutil.rmtree(spec.directory)
    if left != "nothing":
        Path(spec.directory).mkdir()
    if left == "other files":
        Path(spec.directory, "since.txt").write_text("since\n")
        Path(spec.directory, "README.md").write_text("other\n")
    prepared = await world.workspaces.prepare(spec)
    assert (prepared.branch, prepared.head) == ("other", commit)
    assert git(spec.directory, "show", ":README.md") == "staged"
    assert Path(spec.directory, "src", "shop.py").is_file()
    assert Path(spec.directory, "README.md").read_text() == ("other\n" if left == "other files" else "staged\n")
    assert Path(spec.directory, "since.txt").exists() == (left == "other files")
    assert await world.workspaces.fault(spec) is None


async def test_worktree_of_a_restored_data_directory_is_made_again_at_its_new_place(world: GitWorld) -> None:
    spec = await new_spec(world, world.repository("shop"), "worktree")
    old = replace(spec, directory=world.path(f"old/{spec.workspace_id}/shop"))
    git(spec.source_directory, "worktree", "add", "-q", "-b", str(spec.branch), old.directory)
    commit = world.commit(old.directory)
    Path(old.directory, "README.md").write_text("staged\n")
    git(old.directory, "add", "README.md")
    with pytest.raises(Rejected, match="is checked out at"):  # both would work on one branch
        await world.workspaces.prepare(spec)
    shutil.rmtree(world.path("old"))
    prepared = await world.workspaces.prepare(spec)
    assert (prepared.directory, prepared.branch, prepared.head) == (spec.directory, spec.branch, commit)
    assert git(spec.directory, "show", ":README.md") == "staged"
    assert await world.workspaces.fault(spec) is None


async def test_commits_in_the_reflog_of_a_deleted_worktree_stay(world: GitWorld) -> None:
    spec = await new_spec(world, world.repository("shop"), "worktree")
    await world.workspaces.prepare(spec)
    dropped = world.commit(spec.directory)
    git(spec.directory, "reset", "-q", "--hard", "HEAD~")
    own = Path(git(spec.directory, "rev-parse", "--absolute-git-dir"))
    (own / "index.lock").write_text("")  # its git was killed
    shutil.rmtree(spec.directory)
    await world.workspaces.prepare(spec)
    assert dropped in git(spec.directory, "reflog", "--format=%H").split()


async def test_a_worktree_that_its_repository_has_forgotten_is_made_again_at_its_branch(world: GitWorld) -> None:
    spec = await new_spec(world, world.repository("shop"), "worktree", base_ref="main")
    await world.workspaces.prepare(spec)
    commit = world.commit(spec.directory)
    git(spec.source_directory, "worktree", "remove", "--force", spec.directory)
    assert (await world.workspaces.prepare(spec)).head == commit


async def test_a_clone_is_not_made_again_over_other_files(world: GitWorld) -> None:
    spec = await new_spec(world, world.repository("shop"), "clone")
    await world.workspaces.prepare(spec)
    shutil.rmtree(spec.directory)
    Path(spec.directory).mkdir()
    Path(spec.directory, "since.txt").write_text("since\n")
    with pytest.raises(Rejected, match=r"since\.txt"):
        await world.workspaces.prepare(spec)
    Path(spec.directory, "since.txt").unlink()
    await world.workspaces.prepare(spec)
    assert Path(spec.directory, "README.md").is_file()


@pytest.mark.parametrize("ask", [read_source, condition])
async def test_directory_that_is_lost_while_git_is_asked_is_missing(
    tmp_path: Path, ask: Callable[[str], Awaitable[object]]
) -> None:
    with pytest.raises(Rejected) as caught:
        await ask(str(tmp_path / "lost"))
    assert caught.value.code == "directory_missing"
