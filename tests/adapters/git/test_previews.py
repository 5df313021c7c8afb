"""A preview of a removal on real git: it writes nothing at all, and refuses what the removal refuses."""

import subprocess
import sys
from pathlib import Path

import pytest
import trio

from fleet.errors import Problem, Rejected
from fleet.ports import Strategy
from tests.adapters.git.test_removals import RemovalWorld
from tests.adapters.git.world import git
from tests.contracts.removals_contract import made, worked
from tests.contracts.workspaces_contract import MAKING, new_spec


@pytest.fixture
def world(tmp_path: Path, template: Path, home: Path) -> RemovalWorld:
    return RemovalWorld(tmp_path, template)


def disk(top: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return everything below a directory: mode, time and content of files, mode of directories."""
    found: dict[str, tuple[int, int, bytes]] = {}
    for path in sorted(top.rglob("*")):
        seen = path.lstat()
        is_file = path.is_file() and not path.is_symlink()
        time_ns, content = (seen.st_mtime_ns, path.read_bytes()) if is_file else (0, b"")
        found[str(path.relative_to(top))] = (seen.st_mode, time_ns, content)
    return found


def messy(directory: str) -> None:
    """Leave work of every kind in a checkout."""
    root = Path(directory)
    (root / "README.md").write_text("staged\n")
    git(directory, "add", "README.md")
    (root / "README.md").write_text("not staged\n")
    (root / "new" / "deep").mkdir(parents=True)
    (root / "new" / "deep" / "file.txt").write_text("untracked\n")
    (root / "debug.log").write_text("ignored\n")
    git(directory, "stash", "list")
    git(directory, "tag", "-a", "-m", "Mine", "mine")


@pytest.mark.parametrize("strategy", MAKING)
async def test_a_preview_changes_nothing_on_the_disk(world: RemovalWorld, strategy: Strategy) -> None:
    spec = await worked(world, strategy)
    messy(spec.directory)
    before = disk(world.base)
    preview = await world.removals.preview(spec)
    assert disk(world.base) == before
    assert preview.kept.ignored == ("debug.log",)
    kept = await world.removals.keep(spec)
    assert (preview.kept.ref, preview.kept.ignored, preview.busy) == (kept.ref, kept.ignored, ())


@pytest.mark.parametrize("strategy", MAKING)
async def test_a_repository_inside_with_work_of_its_own_is_refused_as_by_the_removal(
    world: RemovalWorld,
    strategy: Strategy,
) -> None:
    spec = await made(world, strategy)
    inner = Path(spec.directory, "inner")
    inner.mkdir()
    git(inner, "init", "-q")
    (inner / "file").write_text("only here")
    git(inner, "add", ".")
    git(inner, "commit", "-q", "-m", "Mine")
    before = disk(world.base)
    with pytest.raises(Rejected) as previewed:
        await world.removals.preview(spec)
    assert disk(world.base) == before
    with pytest.raises(Rejected) as refused:
        await world.removals.keep(spec)
    assert (previewed.value.code, previewed.value.detail) == (refused.value.code, refused.value.detail)


async def test_published_nested_repository_is_accepted_and_not_written_to(world: RemovalWorld) -> None:
    outer, inner = world.repository("outer"), world.repository("inner")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner, "lib")
    git(outer, "commit", "-q", "-m", "With lib")
    spec = await new_spec(world, outer, "worktree")
    await world.workspaces.prepare(spec)
    git(spec.directory, "-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init")
    world.write(spec.directory, "work")
    before = disk(world.base)
    preview = await world.removals.preview(spec)
    assert disk(world.base) == before
    assert preview.kept.ref == (await world.removals.keep(spec)).ref


async def test_a_locked_worktree_is_busy(world: RemovalWorld) -> None:
    spec = await made(world, "worktree")
    git(spec.source_directory, "worktree", "lock", "--reason", "on a stick", spec.directory)
    with pytest.raises(Rejected, match="on a stick") as caught:
        await world.removals.preview(spec)
    assert caught.value.code == "workspace_busy"


async def test_processes_that_work_there_are_named(world: RemovalWorld) -> None:
    spec = await made(world, "worktree")
    script = "import sys; print(flush=True); sys.stdin.read()"
    process = await trio.lowlevel.open_process(
        [sys.executable, "-c", script], cwd=spec.directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    await process.stdout.receive_some()
    assert [each.pid for each in (await world.removals.preview(spec)).busy] == [process.pid]
    process.kill()
    await process.wait()


@pytest.mark.parametrize("strategy", MAKING)
async def test_preview_reads_the_checkout_of_an_interrupted_removal(
    world: RemovalWorld,
    strategy: Strategy,
) -> None:
    spec = await worked(world, strategy)
    there = Path(spec.directory)
    there.rename(there.parent / ".removing")
    before = disk(world.base)
    preview = await world.removals.preview(spec)
    assert disk(world.base) == before
    assert preview.kept.ref == (await world.removals.keep(spec)).ref


async def test_a_worktree_without_its_directory_keeps_its_commits(world: RemovalWorld) -> None:
    spec = await worked(world, "worktree")
    git(spec.source_directory, "worktree", "remove", "--force", spec.directory)
    before = disk(world.base)
    preview = await world.removals.preview(spec)
    assert disk(world.base) == before
    assert preview.kept.ref == (await world.removals.keep(spec)).ref is not None


async def test_a_workspace_of_any_name_can_be_previewed(world: RemovalWorld) -> None:
    repository = world.repository('a:b"c\\d\n é')
    git(repository, "commit", "-q", "--allow-empty", "-m", "More")
    spec = await new_spec(world, repository, "clone")
    await world.workspaces.prepare(spec)
    world.commit(spec.directory)
    before = disk(world.base)
    preview = await world.removals.preview(spec)
    assert disk(world.base) == before
    assert preview.kept.ref == (await world.removals.keep(spec)).ref is not None


async def test_a_shallow_clone_is_refused_as_by_the_removal(world: RemovalWorld) -> None:
    spec = await made(world, "clone")
    other = world.repository("other")
    for number in range(3):
        git(other, "commit", "-q", "--allow-empty", "-m", str(number))
    git(spec.directory, "fetch", "-q", "--depth=1", f"file://{other}", "HEAD")
    git(spec.directory, "checkout", "-q", "--detach", "FETCH_HEAD")
    before = disk(world.base)
    with pytest.raises(Problem) as previewed:
        await world.removals.preview(spec)
    assert previewed.value.code == "git_failed"
    assert disk(world.base) == before
    with pytest.raises(Problem) as refused:
        await world.removals.keep(spec)
    assert refused.value.code == "git_failed"
