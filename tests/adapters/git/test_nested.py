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


def filled(spec: WorkspaceSpec) -> Path:
    git(spec.directory, *FILE, "submodule", "--quiet", "update", "--init")
    return Path(spec.directory, "lib", "shop")


def edits(spec: WorkspaceSpec) -> None:
    (filled(spec) / "README.md").write_text("mine\n")


def adds(spec: WorkspaceSpec) -> None:
    (filled(spec) / "new").write_text("mine\n")


def stages(spec: WorkspaceSpec) -> None:
    inner = filled(spec)
    (inner / "README.md").write_text("mine\n")
    git(inner, "add", ".")
    (inner / "README.md").write_text("# Shop\n" * 20)


def writes_without_filling(spec: WorkspaceSpec) -> None:
    Path(spec.directory, "lib", "shop", "new").write_text("mine\n")


def commits(spec: WorkspaceSpec) -> None:
    inner = filled(spec)
    git(inner, "commit", "-q", "--allow-empty", "-m", "Mine")
    git(spec.directory, "commit", "-q", "-a", "-m", "Use mine")


def commits_and_goes_back(spec: WorkspaceSpec) -> None:
    inner = filled(spec)
    git(inner, "commit", "-q", "--allow-empty", "-m", "Mine")
    git(inner, "reset", "-q", "--hard", "HEAD~")


def stashes(spec: WorkspaceSpec) -> None:
    edits(spec)
    git(Path(spec.directory, "lib", "shop"), "stash", "push", "-q")


def commits_and_takes_it_out(spec: WorkspaceSpec) -> None:
    git(filled(spec), "commit", "-q", "--allow-empty", "-m", "Mine")
    git(spec.directory, "rm", "-q", "-f", "lib/shop")
    git(spec.directory, "commit", "-q", "-m", "Without")


def commits_a_repository(spec: WorkspaceSpec) -> None:
    inner = Path(spec.directory, "vendor")
    make_template(inner)
    git(spec.directory, "add", "vendor")
    git(spec.directory, "commit", "-q", "-m", "Vendor")


def breaks(spec: WorkspaceSpec) -> None:
    (filled(spec) / ".git").write_text("gitdir: /nowhere\n")


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
    spec = await made(world, strategy)
    kept = await world.removals.keep(spec)
    assert callable(work)
    work(spec)
    for step in (world.removals.keep(spec), world.removals.remove(spec, kept)):
        with pytest.raises(Rejected, match=r"a nested repository|has changed") as caught:
            await step
        assert caught.value.code == "workspace_dirty"
    assert world.is_there(spec.directory)


@pytest.mark.parametrize("strategy", MAKING)
async def test_allowed_set_up_fills_submodules(world: RemovalWorld, tmp_path: Path, strategy: Strategy) -> None:
    git(tmp_path, "config", "--file", str(tmp_path / "home/.gitconfig"), "protocol.file.allow", "always")
    spec = await made(world, strategy)
    said: list[str] = []

    async def say(text: str) -> None:
        said.append(text)

    script = Script("setup-w", Recipe("d", submodules=True).script, spec.directory, {}, 30.0)
    end = await LocalScripts(tmp_path / "data", os.environ).run(script, say)
    assert end == ScriptEnd(0), said
    assert (Path(spec.directory) / "lib/shop/README.md").exists()
    kept = await world.removals.keep(spec)
    await world.removals.remove(spec, kept)
    assert not world.is_there(spec.directory)


async def test_commits_in_a_submodule_outlive_the_directory(world: RemovalWorld) -> None:
    spec = await made(world, "worktree")
    commits(spec)
    shutil.rmtree(spec.directory)
    with pytest.raises(Rejected, match="a nested repository"):
        await world.removals.keep(spec)


@pytest.mark.parametrize("strategy", MAKING)
async def test_published_submodule_is_accepted(world: RemovalWorld, strategy: Strategy) -> None:
    spec = await made(world, strategy)
    inner = filled(spec)
    (inner / "debug.log").write_text("x")
    Path(spec.directory, "work").write_text("mine\n")
    kept = await world.removals.keep(spec)
    assert kept.ignored == ("lib/shop/debug.log",)
    await world.removals.remove(spec, kept)
    assert not world.is_there(spec.directory)
    await world.removals.restore(spec, kept)
    assert Path(spec.directory, "work").read_text() == "mine\n"
    assert (filled(spec) / "README.md").exists()
