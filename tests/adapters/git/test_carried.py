"""A clone has what its source has, and what it lacks is listed with what helps."""

from pathlib import Path

import pytest

from fleet.errors import Problem
from fleet.ports import NotCarried, PreparedWorkspace, Strategy
from tests.adapters.git.world import GitWorld, git
from tests.contracts.workspaces_contract import MAKING, new_spec


async def made(world: GitWorld, source: str, strategy: Strategy = "clone") -> PreparedWorkspace:
    return await world.workspaces.prepare(await new_spec(world, source, strategy))


def lacks(prepared: PreparedWorkspace, what: str) -> str:
    found: list[NotCarried] = [each for each in prepared.not_carried if each.what == what]
    assert len(found) == 1, prepared.not_carried
    return found[0].detail


async def test_identity_remotes_and_upstreams_of_the_source_are_copied(world: GitWorld) -> None:
    source = world.repository("shop")
    settings = {
        "user.name": 'A "quoted" name',
        "user.email": "me@example.org",
        "remote.origin.url": "https://example.org/shop.git",
        "remote.origin.pushurl": "https://u:secret@example.org/push.git",
        "remote.fork.url": "../fork.git",
        "remote.fork.fetch": "+refs/heads/*:refs/remotes/fork/*",
        "branch.main.remote": "fork",
        "branch.main.merge": "refs/heads/trunk",
        "url.ssh://git@example.org/.pushInsteadOf": "https://example.org/",
        "pull.rebase": "true",
    }
    for key, value in settings.items():
        git(source, "config", key, value)
    world.add_remote_branch(source, "fork/trunk")
    directory = (await made(world, source)).directory
    settings["remote.fork.url"] = world.path("fork.git")
    assert {key: git(directory, "config", key) for key in settings} == settings
    assert git(directory, "rev-parse", "main@{upstream}") == world.head(source)
    assert git(directory, "config", "--get-all", "remote.origin.url") == "https://example.org/shop.git"


async def test_a_clone_of_a_source_without_remotes_follows_its_source(world: GitWorld) -> None:
    source = world.repository("shop")
    directory = (await made(world, source)).directory
    assert git(directory, "config", "branch.main.remote") == "origin"
    assert git(directory, "remote") == "origin"


def partial_clone(world: GitWorld) -> tuple[str, str]:
    """Return a repository, and a clone that fetches from it what it lacks."""
    server = world.repository("server")
    git(server, "config", "uploadpack.allowFilter", "true")
    git(server, "config", "uploadpack.allowAnySHA1InWant", "true")
    for text in ("old\n", "new\n"):
        Path(server, "changing").write_text(text)
        git(server, "add", ".")
        git(server, "commit", "-q", "-m", text)
    partial = world.path("partial")
    git(world.allowed, "clone", "-q", "--filter=blob:none", f"file://{server}", partial)
    return server, partial


async def test_a_base_that_a_partial_clone_lacks_is_fetched(world: GitWorld) -> None:
    server, partial = partial_clone(world)
    base = world.commit(server)
    spec = await new_spec(world, partial, "worktree", base_ref=base)
    assert (await world.workspaces.prepare(spec)).head == base


async def test_a_partial_clone_as_source_gives_one_that_fetches_what_is_missing(world: GitWorld) -> None:
    _, partial = partial_clone(world)
    directory = (await made(world, partial)).directory
    assert "+old" in git(directory, "log", "-p", "--", "changing")
    assert git(directory, "config", "remote.origin.partialclonefilter") == "blob:none"


async def test_a_source_that_lacks_objects_gives_no_clone(world: GitWorld) -> None:
    source = world.repository("shop")
    lost = git(source, "rev-parse", "HEAD")
    world.commit(source)
    Path(source, ".git", "objects", lost[:2], lost[2:]).unlink()
    spec = await new_spec(world, source, "clone")
    with pytest.raises(Problem) as caught:
        await world.workspaces.prepare(spec)
    assert caught.value.code == "git_failed"
    assert not Path(spec.directory).exists()


async def test_programs_of_the_source_are_listed_and_not_copied(world: GitWorld) -> None:
    source = world.repository("shop")
    hook = Path(source, ".git", "hooks", "pre-commit")
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    for key in ("alias.co", "core.sshCommand", "filter.crypt.smudge", "remote.origin.uploadpack"):
        git(source, "config", key, "program")
    prepared = await made(world, source)
    assert "pre-commit" in lacks(prepared, "hooks")
    assert "crypt" in lacks(prepared, "filters")
    named = lacks(prepared, "config")
    assert all(key in named for key in ("alias.co", "core.sshcommand", "remote.origin.uploadpack"))
    git(source, "config", "core.hooksPath", ".husky")
    again = await world.workspaces.prepare(await new_spec(world, source, "clone", number=2))
    assert ".husky" in lacks(again, "hooks")


@pytest.mark.parametrize("strategy", MAKING)
async def test_lfs_pointers_and_empty_submodules_are_named(world: GitWorld, strategy: Strategy) -> None:
    source = world.repository("shop")
    Path(source, ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    Path(source, "big.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
    git(source, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", world.repository("lib"), "lib")
    git(source, "add", ".")
    git(source, "commit", "-q", "-m", "More")
    prepared = await made(world, source, strategy)
    assert "big.bin" in lacks(prepared, "lfs")
    assert "lib" in lacks(prepared, "submodules")


@pytest.mark.parametrize("strategy", MAKING)
async def test_clone_of_a_plain_repository_lacks_nothing(world: GitWorld, strategy: Strategy) -> None:
    assert (await made(world, world.repository("shop"), strategy)).not_carried == ()


async def test_a_shallow_source_gives_a_shallow_clone(world: GitWorld) -> None:
    server = world.repository("server")
    world.commit(server)
    git(world.allowed, "clone", "-q", "--depth=1", f"file://{server}", world.path("shallow"))
    directory = (await made(world, world.path("shallow"))).directory
    assert git(directory, "rev-parse", "--is-shallow-repository") == "true"
    git(directory, "fsck")
