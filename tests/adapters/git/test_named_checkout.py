"""A workspace is made from the checkout that was named, and not from another one of the same repository."""

from pathlib import Path

import pytest

from fleet.ports import Strategy
from tests.adapters.git.test_removals import RemovalWorld
from tests.adapters.git.world import git
from tests.contracts.workspaces_contract import MAKING, new_spec


@pytest.fixture
def world(tmp_path: Path, template: Path, home: Path) -> RemovalWorld:
    return RemovalWorld(tmp_path, template)


def linked(world: RemovalWorld) -> tuple[str, str]:
    """Return a repository with two directories, and a linked worktree of it."""
    repository = world.repository("shop")
    for name in ("web", "docs"):
        Path(repository, name).mkdir()
        Path(repository, name, "page").write_text("x\n")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "Two")
    git(repository, "worktree", "add", "-q", "--detach", world.path("linked"))
    return repository, world.path("linked")


def shown(directory: str) -> list[str]:
    return sorted(name for name in ("web", "docs") if Path(directory, name, "page").exists())


@pytest.mark.parametrize("strategy", MAKING)
async def test_a_workspace_has_the_sparse_cone_of_the_checkout_that_was_named(
    world: RemovalWorld, strategy: Strategy
) -> None:
    repository, checkout = linked(world)
    git(checkout, "sparse-checkout", "set", "--cone", "web")
    git(repository, "sparse-checkout", "set", "--cone", "docs")
    spec = await new_spec(world, checkout, strategy)
    await world.workspaces.prepare(spec)
    assert shown(spec.directory) == ["web"]
    assert git(spec.directory, "status", "--porcelain") == ""
    kept = await world.removals.keep(spec)
    await world.removals.remove(spec, kept)
    await world.removals.restore(spec, kept)
    assert shown(spec.directory) == ["web"]
    assert git(spec.directory, "status", "--porcelain") == ""


@pytest.mark.parametrize("strategy", MAKING)
async def test_a_workspace_is_whole_where_only_another_checkout_is_sparse(
    world: RemovalWorld, strategy: Strategy
) -> None:
    repository, checkout = linked(world)
    git(repository, "sparse-checkout", "set", "--cone", "docs")
    spec = await new_spec(world, checkout, strategy)
    await world.workspaces.prepare(spec)
    assert shown(spec.directory) == ["docs", "web"]


@pytest.mark.parametrize("strategy", MAKING)
async def test_a_workspace_has_the_configuration_of_the_checkout_that_was_named(
    world: RemovalWorld, strategy: Strategy
) -> None:
    repository, checkout = linked(world)
    git(repository, "config", "extensions.worktreeConfig", "true")
    git(checkout, "config", "--worktree", "user.email", "linked@example.org")
    git(repository, "config", "--worktree", "user.email", "main@example.org")
    spec = await new_spec(world, checkout, strategy)
    await world.workspaces.prepare(spec)
    assert git(spec.directory, "config", "user.email") == "linked@example.org"


@pytest.mark.parametrize("strategy", MAKING)
async def test_a_workspace_begins_in_the_subdirectory_that_was_named(world: RemovalWorld, strategy: Strategy) -> None:
    _, checkout = linked(world)
    spec = await new_spec(world, f"{checkout}/web", strategy)
    prepared = await world.workspaces.prepare(spec)
    assert (prepared.directory, prepared.not_carried) == (f"{spec.directory}/web", ())


@pytest.mark.parametrize("strategy", MAKING)
async def test_a_workspace_says_that_the_subdirectory_is_not_there(world: RemovalWorld, strategy: Strategy) -> None:
    _, checkout = linked(world)
    Path(checkout, "fresh", "deep").mkdir(parents=True)
    spec = await new_spec(world, f"{checkout}/fresh/deep", strategy)
    prepared = await world.workspaces.prepare(spec)
    assert prepared.directory == spec.directory
    (lacking,) = prepared.not_carried
    assert lacking.what == "directory"
    assert "fresh/deep" in lacking.detail
