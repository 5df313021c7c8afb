"""Removals where refs, HEAD or git's own records are not what they were: commits survive, or nothing is removed."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.errors import Problem
from fleet.ports import Strategy
from tests.adapters.git.test_removals import RemovalWorld, files
from tests.adapters.git.world import git
from tests.contracts.removals_contract import made, worked
from tests.contracts.workspaces_contract import MAKING


@pytest.fixture
def world(tmp_path: Path, template: Path, home: Path) -> RemovalWorld:
    return RemovalWorld(tmp_path, template)


async def test_commits_survive_a_branch_that_its_owner_deletes_by_its_ref(world: RemovalWorld) -> None:
    spec = await made(world, "worktree")
    commit = world.commit(spec.directory)
    git(spec.source_directory, "update-ref", "-d", f"refs/heads/{spec.branch}")
    kept = await world.removals.keep(spec)
    await world.removals.remove(spec, kept)
    assert world.reaches(spec.source_directory, str(kept.ref), commit)


async def test_a_worktree_without_a_commit_whose_directory_is_gone_keeps_its_commits(world: RemovalWorld) -> None:
    spec = await made(world, "worktree")
    commit = world.commit(spec.directory)
    world.make_unborn(spec.directory)
    shutil.rmtree(spec.directory)
    kept = await world.removals.keep(spec)
    await world.removals.remove(spec, kept)
    assert world.reaches(spec.source_directory, str(kept.ref), commit)
    await world.removals.restore(spec, kept)


async def test_empty_workspace_without_a_commit_is_restored(world: RemovalWorld) -> None:
    spec = await made(world, "worktree")
    world.make_unborn(spec.directory)
    git(spec.directory, "rm", "-r", "-q", "-f", ".")
    kept = await world.removals.keep(spec)
    await world.removals.remove(spec, kept)
    await world.removals.restore(spec, kept)
    assert files(spec.directory) == {}
    assert git(spec.directory, "symbolic-ref", "HEAD") == "refs/heads/fresh"


@pytest.mark.parametrize("name", ["refs/worktree/mine", "refs/bisect/bad"])
async def test_commits_that_only_a_ref_of_the_worktree_names_are_kept(world: RemovalWorld, name: str) -> None:
    spec = await made(world, "worktree")
    commit = git(spec.directory, "commit-tree", "-p", "HEAD", "-m", "Aside", "HEAD^{tree}")
    git(spec.directory, "update-ref", name, commit)
    kept = await world.removals.keep(spec)
    await world.removals.remove(spec, kept)
    assert world.reaches(spec.source_directory, str(kept.ref), commit)


async def test_what_was_staged_is_kept_without_the_link_to_its_repository(world: RemovalWorld) -> None:
    spec = await made(world, "worktree")
    Path(spec.directory, "README.md").write_text("staged\n")
    git(spec.directory, "add", "README.md")
    Path(spec.directory, "README.md").write_text("changed since\n")
    Path(spec.directory, ".git").unlink()
    kept = await world.removals.keep(spec)
    await world.removals.remove(spec, kept)
    await world.removals.restore(spec, kept)
    assert git(spec.directory, "show", ":README.md") == "staged"
    assert Path(spec.directory, "README.md").read_text() == "changed since\n"


def break_head(directory: str) -> None:
    """Make the branch that is checked out unreadable, with the commit that only it names."""
    own = git(directory, "rev-parse", "--path-format=absolute", "--git-common-dir")
    Path(own, git(directory, "symbolic-ref", "HEAD")).write_text("not a commit\n")


def break_reflog(directory: str) -> None:
    """Make the record of what a checkout stood at unreadable, where HEAD has no commit."""
    own = Path(git(directory, "rev-parse", "--absolute-git-dir"))
    git(directory, "checkout", "-q", "--orphan", "fresh")
    (own / "logs" / "HEAD").unlink()
    (own / "logs" / "HEAD").symlink_to("/proc/self/mem")


@pytest.mark.parametrize("strategy", MAKING)
@pytest.mark.parametrize("broken", [break_head, break_reflog])
async def test_removal_is_refused_when_git_fails(
    world: RemovalWorld, strategy: Strategy, broken: Callable[[str], None]
) -> None:
    spec = await worked(world, strategy)
    broken(spec.directory)
    for step in (world.removals.keep(spec), world.removals.preview(spec)):
        with pytest.raises(Problem) as caught:
            await step
        assert caught.value.code == "git_failed"
    assert world.is_there(spec.directory)


@pytest.mark.parametrize("strategy", MAKING)
async def test_unreadable_repository_does_not_count_as_missing(world: RemovalWorld, strategy: Strategy) -> None:
    spec = await worked(world, strategy)
    kept = await world.removals.keep(spec)
    await world.removals.remove(spec, kept)
    config = Path(spec.source_directory, ".git", "config")
    was = config.read_text()
    config.write_text("[broken\n")
    with pytest.raises(Problem) as caught:
        await world.removals.restore(spec, kept)
    assert caught.value.code == "git_failed"
    config.write_text(was)
    await world.removals.restore(spec, kept)
