"""Removal without loss on real git: the contract, and what only a real disk has."""

import os
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest
import trio

from fleet.adapters.git import GitRemovals
from fleet.adapters.git import unique_commits as tips
from fleet.errors import Rejected
from fleet.limits import IGNORED_LISTED_MAX
from fleet.ports import Strategy
from tests.adapters.git.world import GitWorld, git, make_template
from tests.contracts.removals_contract import RemovalsContract, made, worked
from tests.contracts.workspaces_contract import MAKING, new_spec


class RemovalWorld(GitWorld):
    def restart(self) -> None:
        super().restart()
        self.removals = GitRemovals(self.workspaces)

    def work(self, directory: str) -> object:
        return files(directory), git(directory, "rev-parse", "HEAD"), git(directory, "status", "--porcelain")

    def destroy(self, repository: str) -> None:
        shutil.rmtree(repository)

    def is_kept(self, repository: str, workspace_id: str) -> bool:
        return bool(git(repository, "for-each-ref", f"refs/fleet/kept/{workspace_id}"))

    def make_unborn(self, directory: str) -> None:
        left = git(directory, "symbolic-ref", "--short", "HEAD")
        git(directory, "checkout", "-q", "--orphan", "fresh")
        git(directory, "branch", "-q", "-D", left)

    def reaches(self, repository: str, ref: str, commit: str) -> bool:
        return commit in git(repository, "rev-list", ref).split()


def files(directory: str) -> dict[str, tuple[int, bytes]]:
    """Every file below a directory with mode and content, git's own left out."""
    found: dict[str, tuple[int, bytes]] = {}
    for top, directories, names in os.walk(directory):
        directories[:] = [name for name in directories if name != ".git"]
        for path in (Path(top, name) for name in [*names, *directories]):
            if path.is_symlink():
                found[str(path.relative_to(directory))] = (0, os.fsencode(path.readlink()))
            elif path.is_file() and path.name != ".git":
                found[str(path.relative_to(directory))] = (path.stat().st_mode & 0o111, path.read_bytes())
    return found


@pytest.fixture
def world(tmp_path: Path, template: Path, home: Path) -> RemovalWorld:
    return RemovalWorld(tmp_path, template)


class TestGitRemovals(RemovalsContract):
    """The contract."""


def spread_out(checkout: Path) -> None:
    """Leave work of every kind in a checkout."""
    (checkout / "staged").write_text("staged\n")
    git(checkout, "add", "staged")
    (checkout / "staged").write_text("and changed\n")
    (checkout / "README.md").write_bytes(b"crlf\r\n\xff")
    (checkout / "src" / "shop.py").unlink()
    (checkout / "link").symlink_to("nowhere")
    (checkout / "run").write_text("#!/bin/sh\n")
    (checkout / "run").chmod(0o755)
    (checkout / "new" / "deep").mkdir(parents=True)
    (checkout / "new" / "deep" / "empty").write_text("")
    Path(os.fsdecode(os.fsencode(checkout) + b"/\xff name\n")).write_text("odd\n")


async def there_and_back(world: RemovalWorld, strategy: Strategy) -> str:
    spec = await made(world, strategy)
    spread_out(Path(spec.directory))
    before = world.work(spec.directory)
    kept = await world.removals.keep(spec)
    assert world.work(spec.directory) == before
    await world.removals.remove(spec, kept)
    assert world.branches(spec.source_directory) == {"main"}
    git(spec.source_directory, "gc", "--quiet", "--prune=now")
    git(spec.source_directory, "fsck", "--full")
    await world.removals.restore(spec, kept)
    assert world.work(spec.directory) == before
    return spec.directory


@pytest.mark.parametrize("strategy", MAKING)
async def test_work_of_every_kind_is_restored(world: RemovalWorld, strategy: Strategy) -> None:
    directory = await there_and_back(world, strategy)
    assert git(directory, "show", ":staged") == "staged"


@pytest.mark.parametrize("strategy", MAKING)
async def test_filters_and_line_ends_change_nothing(world: RemovalWorld, strategy: Strategy) -> None:
    (world.base / "home" / ".gitconfig").write_text(
        f'[core]\n\tautocrlf = true\n[filter "deadly"]\n\tclean = touch {world.base}/ran\n\tsmudge = cat\n\trequired\n'
    )
    template = world.base / "filtered"
    shutil.copytree(world.template, template)
    (template / ".gitattributes").write_text("README.md filter=deadly\nstaged text eol=crlf\n")
    git(template, "add", ".gitattributes")
    git(template, "commit", "-q", "-m", "Filter")
    world.template = template
    spec = await made(world, strategy)
    (world.base / "ran").unlink(missing_ok=True)
    Path(spec.directory, "README.md").write_text("secret\n")
    Path(spec.directory, "staged").write_bytes(b"one\ntwo\r\n")
    before = files(spec.directory)
    kept = await world.removals.keep(spec)
    await world.removals.remove(spec, kept)
    assert not (world.base / "ran").exists()
    await world.removals.restore(spec, kept)
    assert files(spec.directory) == before


@pytest.mark.parametrize("strategy", MAKING)
async def test_ignored_files_are_named(world: RemovalWorld, strategy: Strategy) -> None:
    spec = await made(world, strategy)
    Path(spec.directory, "debug.log").write_text("x")
    kept = await world.removals.keep(spec)
    assert (kept.commit, kept.ignored, kept.ignored_more) == (None, ("debug.log",), 0)


async def test_of_many_ignored_files_the_first_are_named_and_the_others_counted(world: RemovalWorld) -> None:
    spec = await made(world, "worktree")
    for number in range(IGNORED_LISTED_MAX + 20):
        Path(spec.directory, f"{number:04}.log").write_text("x")
    kept = await world.removals.keep(spec)
    assert (len(kept.ignored), kept.ignored[0], kept.ignored_more) == (IGNORED_LISTED_MAX, "0000.log", 20)


async def test_an_ignored_file_that_was_added_is_kept(world: RemovalWorld) -> None:
    spec = await made(world, "worktree")
    Path(spec.directory, "debug.log").write_text("x")
    git(spec.directory, "add", "-f", "debug.log")
    before = world.work(spec.directory)
    kept = await world.removals.keep(spec)
    await world.removals.remove(spec, kept)
    await world.removals.restore(spec, kept)
    assert world.work(spec.directory) == before


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
async def test_files_marked_as_unchanged_are_preserved(world: RemovalWorld, flag: str) -> None:
    spec = await made(world, "worktree")
    git(spec.directory, "update-index", flag, "README.md")
    Path(spec.directory, "README.md").write_text("mine\n")
    kept = await world.removals.keep(spec)
    assert git(spec.source_directory, "show", f"{kept.commit}:README.md") == "mine"


@pytest.mark.parametrize("strategy", MAKING)
async def test_commits_without_a_ref_are_preserved(world: RemovalWorld, strategy: Strategy) -> None:
    spec = await made(world, strategy)
    dropped = world.commit(spec.directory)
    git(spec.directory, "reset", "-q", "--hard", "HEAD~")
    git(spec.directory, "checkout", "-q", "--detach")
    detached = world.commit(spec.directory)
    kept = await world.removals.keep(spec)
    assert (kept.branch, kept.head) == (None, detached)
    await world.removals.remove(spec, kept)
    git(spec.source_directory, "gc", "--quiet", "--prune=now")
    for commit in (dropped, detached):
        git(spec.source_directory, "merge-base", "--is-ancestor", commit, str(kept.commit))
    await world.removals.restore(spec, kept)
    seen = await world.workspaces.inspect(spec.directory)
    assert (seen.branch, seen.head) == (None, detached)


async def test_more_lines_of_commits_than_fleet_keeps_are_not_removed(
    world: RemovalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tips, "PRESERVED_COMMITS_MAX", 3)
    spec = await made(world, "clone")
    begun = world.head(spec.directory)
    for number in range(3):
        git(spec.directory, "checkout", "-q", "-b", f"line-{number}", begun)
        git(spec.directory, "commit", "-q", "--allow-empty", "-m", f"{number}")
    kept = await world.removals.keep(spec)
    git(spec.directory, "checkout", "-q", "-b", "line-3", begun)
    git(spec.directory, "commit", "-q", "--allow-empty", "-m", "3")
    for step in (world.removals.keep(spec), world.removals.remove(spec, kept)):
        with pytest.raises(Rejected, match="4 lines of commits") as caught:
            await step
        assert caught.value.code == "workspace_dirty"
    assert world.is_there(spec.directory)


async def test_commit_is_preserved_after_head_has_moved(world: RemovalWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tips, "PRESERVED_COMMITS_MAX", 3)
    spec = await made(world, "worktree")
    dropped = world.commit(spec.directory)
    git(spec.directory, "reset", "-q", "--hard", "HEAD~")
    for number in range(4):
        git(spec.directory, "commit", "-q", "--allow-empty", "-m", f"{number}")
    kept = await world.removals.keep(spec)
    git(spec.source_directory, "merge-base", "--is-ancestor", dropped, str(kept.commit))


async def test_branches_tags_and_stashes_of_a_clone_are_restored(world: RemovalWorld) -> None:
    spec = await made(world, "clone")
    for number in range(2):
        Path(spec.directory, "README.md").write_text(f"{number}\n")
        git(spec.directory, "stash", "push", "-q", "-m", f"{number}")
    git(spec.directory, "branch", "other")
    git(spec.directory, "tag", "-a", "v1", "-m", "A word")
    listed = [git(spec.directory, "rev-parse", name) for name in ("stash@{0}", "stash@{1}", "other", "v1")]
    kept = await world.removals.keep(spec)
    await world.removals.remove(spec, kept)
    git(spec.source_directory, "gc", "--quiet", "--prune=now")
    await world.removals.restore(spec, kept)
    again = [git(spec.directory, "rev-parse", name) for name in ("stash@{0}", "stash@{1}", "other", "v1")]
    assert again == listed


@pytest.mark.parametrize("strategy", MAKING)
async def test_files_of_a_merge_in_conflict_are_preserved(world: RemovalWorld, strategy: Strategy) -> None:
    spec = await made(world, strategy)
    readme = Path(spec.directory, "README.md")
    git(spec.directory, "checkout", "-q", "-b", "side")
    readme.write_text("side\n")
    git(spec.directory, "commit", "-q", "-a", "-m", "Side")
    side = world.head(spec.directory)
    git(spec.directory, "checkout", "-q", str(spec.branch))
    readme.write_text("ours\n")
    git(spec.directory, "commit", "-q", "-a", "-m", "Ours")
    with pytest.raises(subprocess.CalledProcessError):
        git(spec.directory, "merge", "side")
    before = files(spec.directory)
    kept = await world.removals.keep(spec)
    await world.removals.remove(spec, kept)
    git(spec.source_directory, "cat-file", "-e", side)
    await world.removals.restore(spec, kept)
    assert files(spec.directory) == before


@pytest.mark.parametrize("strategy", MAKING)
async def test_from_a_bare_source(world: RemovalWorld, strategy: Strategy) -> None:
    bare = world.path("shop.git")
    git(world.allowed, "clone", "-q", "--bare", world.repository("shop"), bare)
    spec = await new_spec(world, bare, strategy)
    await world.workspaces.prepare(spec)
    spread_out(Path(spec.directory))
    before = world.work(spec.directory)
    kept = await world.removals.keep(spec)
    await world.removals.remove(spec, kept)
    await world.removals.restore(spec, kept)
    assert world.work(spec.directory) == before


@pytest.mark.parametrize("strategy", MAKING)
async def test_a_process_that_works_there_is_named(world: RemovalWorld, strategy: Strategy) -> None:
    spec = await worked(world, strategy)
    kept = await world.removals.keep(spec)
    async with trio.open_nursery() as nursery:
        process = await nursery.start(
            partial(trio.run_process, ["sleep", "60"], cwd=f"{spec.directory}/src", check=False)
        )
        with pytest.raises(Rejected, match=str(process.pid)) as caught:
            await world.removals.remove(spec, kept)
        assert caught.value.code == "workspace_busy"
        assert world.is_there(spec.directory)
        process.kill()
    await world.removals.remove(spec, kept)


async def test_a_nested_repository_is_not_removed(world: RemovalWorld) -> None:
    spec = await made(world, "worktree")
    make_template(Path(spec.directory, "inner"))
    with pytest.raises(Rejected, match="inner") as caught:
        await world.removals.keep(spec)
    assert caught.value.code == "workspace_dirty"


async def test_a_locked_worktree_is_not_removed(world: RemovalWorld) -> None:
    spec = await made(world, "worktree")
    kept = await world.removals.keep(spec)
    git(spec.source_directory, "worktree", "lock", spec.directory)
    with pytest.raises(Rejected, match="locked"):
        await world.removals.remove(spec, kept)
    assert world.is_there(spec.directory)


async def test_a_worktree_whose_directory_is_gone_keeps_its_commits(world: RemovalWorld) -> None:
    spec = await worked(world, "worktree")
    head = world.head(spec.directory)
    shutil.rmtree(spec.directory)
    kept = await world.removals.keep(spec)
    assert kept.head == head
    await world.removals.remove(spec, kept)
    assert world.branches(spec.source_directory) == {"main"}
    assert git(spec.source_directory, "worktree", "list").count("\n") == 0
    git(spec.source_directory, "merge-base", "--is-ancestor", head, str(kept.commit))
    await world.removals.restore(spec, kept)
    assert (await world.workspaces.inspect(spec.directory)).head == head


@pytest.mark.parametrize("lost", ["all", "link"])
async def test_earlier_commits_of_a_missing_worktree_are_preserved(world: RemovalWorld, lost: str) -> None:
    spec = await made(world, "worktree")
    dropped = world.commit(spec.directory)
    git(spec.directory, "reset", "-q", "--hard", "HEAD~")
    if lost == "all":
        shutil.rmtree(spec.directory)
    else:
        Path(spec.directory, ".git").unlink()
    kept = await world.removals.keep(spec)
    await world.removals.remove(spec, kept)
    git(spec.source_directory, "merge-base", "--is-ancestor", dropped, str(kept.commit))


async def test_removal_interrupted_before_its_check_restores_the_name(world: RemovalWorld) -> None:
    spec = await worked(world, "worktree")
    before = world.work(spec.directory)
    checkout = Path(spec.directory)
    checkout.rename(checkout.parent / ".removing")
    kept = await world.removals.keep(spec)
    assert world.work(spec.directory) == before
    checkout.rename(checkout.parent / ".removing")
    await world.removals.remove(spec, kept)
    assert not checkout.parent.exists()


async def test_earlier_preservation_commit_stays_reachable(world: RemovalWorld) -> None:
    spec = await worked(world, "worktree")
    first = await world.removals.keep(spec)
    Path(spec.directory, "work").write_text("other\n")
    second = await world.removals.keep(spec)
    assert second.commit != first.commit
    git(spec.source_directory, "merge-base", "--is-ancestor", str(first.commit), str(second.commit))


async def test_a_sha256_repository(world: RemovalWorld) -> None:
    template = world.base / "sha256"
    shutil.copytree(world.template, template, ignore=shutil.ignore_patterns(".git"))
    git(template, "init", "-q", "-b", "main", "--object-format=sha256")
    git(template, "add", ".")
    git(template, "commit", "-q", "-m", "Begin")
    world.template = template
    await there_and_back(world, "worktree")


async def test_a_clone_with_a_worktree_elsewhere_is_not_removed(world: RemovalWorld) -> None:
    spec = await made(world, "clone")
    side = f"{world.base}/side"
    git(spec.directory, "worktree", "add", "-q", "--detach", side)
    commit = world.commit(side)
    with pytest.raises(Rejected, match=side) as caught:
        await world.removals.keep(spec)
    assert caught.value.code == "workspace_dirty"
    shutil.rmtree(side)
    kept = await world.removals.keep(spec)
    await world.removals.remove(spec, kept)
    git(spec.source_directory, "merge-base", "--is-ancestor", commit, str(kept.commit))


async def test_a_worktree_of_a_clone_that_was_removed_leaves_nothing(world: RemovalWorld) -> None:
    spec = await made(world, "clone")
    git(spec.directory, "worktree", "add", "-q", "--detach", f"{world.base}/side")
    git(spec.directory, "worktree", "remove", f"{world.base}/side")
    assert (await world.removals.keep(spec)).commit is None
