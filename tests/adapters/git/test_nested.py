"""Removals of workspaces with repositories inside: what a gitlink names is not what is on disk."""

import os
import shutil
from pathlib import Path

import pytest

from fleet.adapters.scripts import LocalScripts
from fleet.errors import Rejected
from fleet.ports import Recipe, Script, ScriptEnd, Strategy, WorkspaceSpec
from tests.adapters.git.test_removals import RemovalWorld
from tests.adapters.git.world import git, make_template
from tests.contracts.removals_contract import made
from tests.contracts.workspaces_contract import MAKING

FILE = ("-c", "protocol.file.allow=always")


@pytest.fixture
def world(tmp_path: Path, template: Path, home: Path) -> RemovalWorld:
    """A world whose template has the submodule `lib/shop`."""
    library = make_template(tmp_path / "library")
    outer = tmp_path / "outer"
    shutil.copytree(template, outer)
    git(outer, *FILE, "submodule", "--quiet", "add", str(library), "lib/shop")
    git(outer, "commit", "-q", "-m", "Use the library")
    return RemovalWorld(tmp_path, outer)


def filled(order: WorkspaceSpec) -> Path:
    git(order.directory, *FILE, "submodule", "--quiet", "update", "--init")
    return Path(order.directory, "lib", "shop")


def edits(order: WorkspaceSpec) -> None:
    (filled(order) / "README.md").write_text("mine\n")


def adds(order: WorkspaceSpec) -> None:
    (filled(order) / "new").write_text("mine\n")


def stages(order: WorkspaceSpec) -> None:
    inner = filled(order)
    (inner / "README.md").write_text("mine\n")
    git(inner, "add", ".")
    (inner / "README.md").write_text("# Shop\n" * 20)


def writes_without_filling(order: WorkspaceSpec) -> None:
    Path(order.directory, "lib", "shop", "new").write_text("mine\n")


def commits(order: WorkspaceSpec) -> None:
    inner = filled(order)
    git(inner, "commit", "-q", "--allow-empty", "-m", "Mine")
    git(order.directory, "commit", "-q", "-a", "-m", "Use mine")


def commits_and_goes_back(order: WorkspaceSpec) -> None:
    inner = filled(order)
    git(inner, "commit", "-q", "--allow-empty", "-m", "Mine")
    git(inner, "reset", "-q", "--hard", "HEAD~")


def stashes(order: WorkspaceSpec) -> None:
    edits(order)
    git(Path(order.directory, "lib", "shop"), "stash", "push", "-q")


def commits_and_takes_it_out(order: WorkspaceSpec) -> None:
    git(filled(order), "commit", "-q", "--allow-empty", "-m", "Mine")
    git(order.directory, "rm", "-q", "-f", "lib/shop")
    git(order.directory, "commit", "-q", "-m", "Without")


def commits_a_repository(order: WorkspaceSpec) -> None:
    inner = Path(order.directory, "vendor")
    make_template(inner)
    git(order.directory, "add", "vendor")
    git(order.directory, "commit", "-q", "-m", "Vendor")


def breaks(order: WorkspaceSpec) -> None:
    (filled(order) / ".git").write_text("gitdir: /nowhere\n")


@pytest.mark.parametrize("strategy", MAKING)
@pytest.mark.parametrize(
    "work",
    [
        edits,
        adds,
        stages,
        writes_without_filling,
        commits,
        commits_and_goes_back,
        stashes,
        commits_and_takes_it_out,
        commits_a_repository,
        breaks,
    ],
)
async def test_work_in_a_repository_inside_is_not_removed(
    world: RemovalWorld, strategy: Strategy, work: object
) -> None:
    order = await made(world, strategy)
    kept = await world.removals.keep(order)
    assert callable(work)
    work(order)
    for step in (world.removals.keep(order), world.removals.remove(order, kept)):
        with pytest.raises(Rejected, match=r"a nested repository|has changed") as caught:
            await step
        assert caught.value.code == "workspace_dirty"
    assert world.is_there(order.directory)


@pytest.mark.parametrize("strategy", MAKING)
async def test_allowed_set_up_fills_submodules(world: RemovalWorld, tmp_path: Path, strategy: Strategy) -> None:
    git(tmp_path, "config", "--file", str(tmp_path / "home/.gitconfig"), "protocol.file.allow", "always")
    order = await made(world, strategy)
    said: list[str] = []

    async def say(text: str) -> None:
        said.append(text)

    script = Script("setup-w", Recipe("d", submodules=True).script, order.directory, {}, 30.0)
    end = await LocalScripts(tmp_path / "data", os.environ).run(script, say)
    assert end == ScriptEnd(0), said
    assert (Path(order.directory) / "lib/shop/README.md").exists()
    kept = await world.removals.keep(order)
    await world.removals.remove(order, kept)
    assert not world.is_there(order.directory)


async def test_commits_in_a_submodule_outlive_the_directory(world: RemovalWorld) -> None:
    order = await made(world, "worktree")
    commits(order)
    shutil.rmtree(order.directory)
    with pytest.raises(Rejected, match="a nested repository"):
        await world.removals.keep(order)


@pytest.mark.parametrize("strategy", MAKING)
async def test_published_submodule_is_accepted(world: RemovalWorld, strategy: Strategy) -> None:
    order = await made(world, strategy)
    inner = filled(order)
    (inner / "debug.log").write_text("x")
    Path(order.directory, "work").write_text("mine\n")
    kept = await world.removals.keep(order)
    assert kept.ignored == ("lib/shop/debug.log",)
    await world.removals.remove(order, kept)
    assert not world.is_there(order.directory)
    await world.removals.restore(order, kept)
    assert Path(order.directory, "work").read_text() == "mine\n"
    assert (filled(order) / "README.md").exists()
