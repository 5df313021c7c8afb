"""Workspaces of people whose own git configuration is strict, and of disks that hard links do not reach across."""

import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from fleet.errors import Problem
from fleet.ports import Strategy
from tests.adapters.git.test_removals import RemovalWorld, spread_out
from tests.adapters.git.world import git
from tests.contracts.removals_contract import made, worked
from tests.contracts.workspaces_contract import MAKING, check, new_spec


@pytest.fixture
def world(tmp_path: Path, template: Path, home: Path) -> RemovalWorld:
    return RemovalWorld(tmp_path, template)


def configure(world: RemovalWorld, text: str) -> None:
    """Write the user's own git configuration."""
    (world.base / "home" / ".gitconfig").write_text(text)


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("strategy", MAKING)
@pytest.mark.parametrize(
    "config", ["[safe]\n\tbareRepository = explicit\n", '[protocol "file"]\n\tallow = never\n'], ids=["bare", "file"]
)
async def test_a_workspace_is_made_removed_and_restored(
    world: RemovalWorld, strategy: Strategy, config: str, bare: bool
) -> None:
    source = world.repository("shop")
    if bare:
        git(world.allowed, "clone", "-q", "--bare", source, world.path("shop.git"))
        source = world.path("shop.git")
    configure(world, config)
    spec = await new_spec(world, source, strategy, base_ref="main")
    await check(world, spec)
    await world.workspaces.prepare(spec)
    spread_out(Path(spec.directory))
    before = world.work(spec.directory)
    kept = await world.removals.keep(spec)
    await world.removals.remove(spec, kept)
    await world.removals.restore(spec, kept)
    assert world.work(spec.directory) == before
    listed = await world.workspaces.branches(await world.workspaces.inspect(source), "")
    assert "main" in {branch.name for branch in listed}


async def test_a_directory_inside_a_bare_repository_is_a_plain_one_where_git_may_not_look(world: RemovalWorld) -> None:
    git(world.allowed, "clone", "-q", "--bare", world.repository("shop"), world.path("shop.git"))
    configure(world, "[safe]\n\tbareRepository = explicit\n")
    assert (await world.workspaces.inspect(world.path("shop.git/hooks"))).repository is None


async def test_nothing_is_removed_that_could_not_be_restored(world: RemovalWorld) -> None:
    spec = await worked(world, "worktree")
    kept = await world.removals.keep(spec)
    before = world.work(spec.directory)
    config = Path(spec.source_directory, ".git", "config")
    config.write_text(f'{config.read_text()}[includeIf "onbranch:main"]\n\tpath = other\n')
    for step in (world.removals.preview(spec), world.removals.remove(spec, kept)):
        with pytest.raises(Problem, match="includes files conditionally"):
            await step
    assert world.work(spec.directory) == before


@pytest.fixture
def elsewhere() -> Generator[Path, None, None]:
    """A directory on another file system than the temporary one, where the machine has one."""
    shared = Path("/dev/shm")
    made = Path(tempfile.mkdtemp(prefix="fleet-test-", dir=shared if shared.is_dir() else None))
    yield made
    shutil.rmtree(made)


async def test_a_clone_reaches_another_file_system(world: RemovalWorld, elsewhere: Path) -> None:
    world.root = elsewhere / "workspaces"
    world.restart()
    spec = await made(world, "clone")
    commit = world.commit(spec.directory)
    kept = await world.removals.keep(spec)
    await world.removals.remove(spec, kept)
    await world.removals.restore(spec, kept)
    assert world.head(spec.directory) == commit
