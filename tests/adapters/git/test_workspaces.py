"""Worktrees and clones on real git: the contract, and what only a real disk has."""

import os
import shutil
from functools import partial
from pathlib import Path

import pytest
import trio

from fleet.errors import Problem, Rejected
from fleet.ports import Condition, Strategy
from tests.adapters.git.world import GitWorld, git
from tests.contracts.workspaces_contract import MAKING, WorkspacesContract, check, new_spec, refusal_of_check


class TestGitWorkspaces(WorkspacesContract):
    """The contract."""


# ------------------------------------------------------------------------------------------------------------ inspect


async def test_condition_of_a_checkout_after_any_change(world: GitWorld) -> None:
    repository = world.repository("shop")
    spec = await new_spec(world, repository, "worktree", "topic")
    await world.workspaces.prepare(spec)

    async def stands() -> Condition | None:
        return await world.workspaces.condition(spec.directory)

    git(spec.directory, "checkout", "-q", "-b", "side")
    assert await stands() == Condition("side", dirty=False)
    Path(spec.directory, "# branch.head main").touch()
    assert await stands() == Condition("side", dirty=True)
    git(spec.directory, "add", ".")
    assert await stands() == Condition("side", dirty=True)
    git(spec.directory, "commit", "-q", "-m", "It")
    assert await stands() == Condition("side", dirty=False)
    Path(repository, ".git", "info", "exclude").write_text("build\n")
    Path(spec.directory, "build").touch()
    assert await stands() == Condition("side", dirty=False)
    Path(spec.directory, "README.md").unlink()
    assert await stands() == Condition("side", dirty=True)
    assert await world.workspaces.condition(f"{spec.directory}/src") == Condition("side", dirty=False)
    git(spec.directory, "checkout", "-q", "--detach", "HEAD")
    assert await stands() == Condition(None, dirty=True)
    assert await world.workspaces.condition(f"{repository}/.git") is None


async def test_condition_runs_no_filter_and_writes_nothing(world: GitWorld) -> None:
    repository, ran = world.repository("shop"), world.path("ran")
    Path(repository, ".gitattributes").write_text("* filter=bad\n")
    git(repository, "config", "filter.bad.clean", f"touch '{ran}'; cat")
    Path(repository, "README.md").write_text("other\n")
    index = Path(repository, ".git", "index")
    before = index.read_bytes()
    assert await world.workspaces.condition(repository) == Condition("main", dirty=True)
    assert not Path(ran).exists()
    assert index.read_bytes() == before


async def test_inspects_a_subdirectory_and_a_linked_worktree(world: GitWorld) -> None:
    repository = world.repository("shop")
    seen = await world.workspaces.inspect(f"{repository}/src")
    assert (seen.directory, seen.top, seen.repository) == (f"{repository}/src", repository, f"{repository}/.git")
    linked = world.path("linked")
    git(repository, "worktree", "add", "-q", linked)
    seen = await world.workspaces.inspect(linked)
    assert (seen.top, seen.repository, seen.branch) == (linked, f"{repository}/.git", "linked")


async def test_inspects_a_submodule(world: GitWorld) -> None:
    outer, inner = world.repository("outer"), world.repository("inner")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner, "lib")
    seen = await world.workspaces.inspect(f"{outer}/lib")
    assert (seen.top, seen.repository) == (f"{outer}/lib", f"{outer}/.git/modules/lib")
    prepared = await world.workspaces.prepare(await new_spec(world, f"{outer}/lib", "worktree"))
    assert Path(prepared.directory, "src", "shop.py").exists()


async def test_a_broken_git_file_is_outside_of_git(world: GitWorld) -> None:
    for number, content in enumerate(("gitdir: /nowhere\n", "nonsense\n")):
        directory = world.directory(f"broken{number}")
        Path(directory, ".git").write_text(content)
        assert (await world.workspaces.inspect(directory)).repository is None
        refused = await refusal_of_check(world, await new_spec(world, directory, "worktree"))
        assert refused.code == "not_a_repository"


async def test_says_when_git_distrusts_the_owner(world: GitWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = world.repository("shop")
    if os.geteuid() == 0:
        for path in (repository, f"{repository}/.git"):
            os.chown(path, 65534, 65534)
    else:
        # git's own switch for its tests: files of other users cannot be made without root.
        monkeypatch.setattr("fleet.adapters.git.command._ENVIRONMENT", {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"})
    with pytest.raises(Rejected) as caught:
        await world.workspaces.inspect(repository)
    assert caught.value.code == "directory_unreadable"
    assert "safe.directory" in (caught.value.hint or "")


async def test_broken_configuration_fails_with_the_message_of_git(world: GitWorld) -> None:
    repository = world.repository("shop")
    Path(repository, ".git", "config").write_text("[core\n")
    with pytest.raises(Problem, match="bad config line 1") as caught:
        await world.workspaces.inspect(repository)
    assert caught.value.code == "git_failed"


@pytest.mark.parametrize("directory", ["relative", "", "a\0b", "/\ud800"])
async def test_invalid_path_is_refused(world: GitWorld, directory: str) -> None:
    if directory.startswith("a"):
        directory = world.path(directory)
    with pytest.raises(Rejected) as caught:
        await world.workspaces.inspect(directory)
    assert caught.value.field == "directory"


async def test_loop_of_symlinks_is_refused(world: GitWorld) -> None:
    world.link("a", world.path("b"))
    with pytest.raises(Rejected, match="loop of symlinks"):
        await world.workspaces.inspect(world.link("b", world.path("a")))


async def test_refuses_a_repository_outside_of_the_roots(world: GitWorld) -> None:
    git(world.base, "init", "-q")
    git(world.base, "commit", "-q", "--allow-empty", "-m", "Home")
    refused = await refusal_of_check(world, await new_spec(world, world.directory("notes"), "worktree"))
    assert (refused.code, refused.field) == ("directory_outside_roots", "directory")


# ------------------------------------------------------------------------------------------------------------ prepare


@pytest.mark.parametrize("strategy", MAKING)
@pytest.mark.parametrize("name", ["with space", "--upload-pack=touch x", "new\nline", "日本語", "'quo\"te$(x)", "a:b"])
async def test_takes_a_source_of_any_name(world: GitWorld, strategy: Strategy, name: str) -> None:
    spec = await new_spec(world, world.repository(name), strategy)
    await check(world, spec)
    prepared = await world.workspaces.prepare(spec)
    assert Path(prepared.directory, "src", "shop.py").read_text() == "price = 1\n"
    assert spec.directory.isprintable()


@pytest.mark.parametrize("strategy", MAKING)
async def test_works_in_the_same_subdirectory(world: GitWorld, strategy: Strategy) -> None:
    repository = world.repository("shop")
    spec = await new_spec(world, f"{repository}/src", strategy)
    assert (await world.workspaces.prepare(spec)).directory == f"{spec.directory}/src"
    Path(repository, "untracked").mkdir()
    spec = await new_spec(world, f"{repository}/untracked", strategy, number=2)
    assert (await world.workspaces.prepare(spec)).directory == spec.directory


async def test_never_follows_a_symlink_of_the_checkout(world: GitWorld) -> None:
    repository = world.repository("shop")
    git(repository, "checkout", "-q", "-b", "trap")
    Path(repository, "docs").symlink_to(world.outside())
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "Trap")
    git(repository, "checkout", "-q", "main")
    Path(repository, "docs").mkdir()
    spec = await new_spec(world, f"{repository}/docs", "worktree", "trap")
    assert (await world.workspaces.prepare(spec)).directory == spec.directory


@pytest.mark.parametrize("strategy", MAKING)
async def test_works_from_a_bare_repository(world: GitWorld, strategy: Strategy) -> None:
    bare = world.path("shop.git")
    git(world.allowed, "clone", "-q", "--bare", world.repository("shop"), bare)
    seen = await world.workspaces.inspect(bare)
    assert (seen.top, seen.repository, seen.branch) == (None, bare, "main")
    spec = await new_spec(world, bare, strategy)
    assert spec.directory.endswith("/shop")
    await check(world, spec)
    prepared = await world.workspaces.prepare(spec)
    assert Path(prepared.directory, "README.md").exists()


@pytest.mark.parametrize("strategy", MAKING)
async def test_hooks_do_not_run(world: GitWorld, strategy: Strategy) -> None:
    repository = world.repository("shop")
    for hook in ("post-checkout", "reference-transaction", "post-index-change"):
        path = Path(repository, ".git", "hooks", hook)
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {world.base}/ran\n")
        path.chmod(0o755)
    git(repository, "config", "core.fsmonitor", f"touch {world.base}/ran;")
    spec = await new_spec(world, repository, strategy)
    await world.workspaces.prepare(spec)
    await world.workspaces.discard(spec)
    assert not (world.base / "ran").exists()


async def test_git_variables_of_the_environment_have_no_effect(
    world: GitWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    repository = world.path("shop")
    shutil.copytree(world.template, repository)
    prepared = await world.workspaces.prepare(await new_spec(world, repository, "worktree"))
    assert Path(prepared.directory, "README.md").exists()
    assert prepared.repository == f"{repository}/.git"


async def test_a_clone_is_independent_of_its_source(world: GitWorld) -> None:
    lender, borrower = world.repository("lender"), world.path("borrower")
    git(world.allowed, "clone", "-q", "--shared", lender, borrower)
    git(borrower, "remote", "set-url", "origin", 'https://u:p"w@example.org/shop.git')
    spec = await new_spec(world, borrower, "clone")
    await world.workspaces.prepare(spec)
    assert not Path(spec.directory, ".git", "objects", "info", "alternates").exists()
    git(spec.directory, "fsck", "--full")
    assert git(spec.directory, "remote", "get-url", "--all", "origin") == 'https://u:p"w@example.org/shop.git'
    assert git(spec.directory, "status", "--porcelain") == ""


async def test_a_clone_without_upstream_has_its_source_as_origin(world: GitWorld) -> None:
    repository = world.repository("shop")
    spec = await new_spec(world, repository, "clone")
    await world.workspaces.prepare(spec)
    assert git(spec.directory, "remote", "get-url", "origin") == f"{repository}/.git"


async def test_a_clone_begins_at_a_commit_that_no_branch_has(world: GitWorld) -> None:
    repository = world.repository("shop")
    world.detach(repository)
    lost = world.commit(repository)
    git(repository, "checkout", "-q", "main")
    prepared = await world.workspaces.prepare(await new_spec(world, repository, "clone", base_ref=lost[:12]))
    assert prepared.head == lost


# ------------------------------------------------------------------------------------------------- crashes and removal


@pytest.mark.parametrize("strategy", MAKING)
@pytest.mark.parametrize("again", ["prepare", "discard"])
async def test_checkout_is_finished_after_git_was_killed(world: GitWorld, strategy: Strategy, again: str) -> None:
    repository = world.repository("shop")
    Path(repository, ".gitattributes").write_text("src/shop.py filter=deadly\n")
    git(repository, "add", ".")
    world.commit(repository)
    configuration = world.base / "home" / ".gitconfig"
    # The filter runs while git writes the file: it kills its whole process group, git included.
    configuration.write_text('[filter "deadly"]\n\tsmudge = kill -9 0\n\trequired\n')
    spec = await new_spec(world, repository, strategy)
    with pytest.raises(Problem) as caught:
        await world.workspaces.prepare(spec)
    assert caught.value.code == "git_failed"
    configuration.unlink()
    world.restart()
    if again == "discard":
        await world.workspaces.discard(spec)
        assert world.branches(repository) == {"main"}
        assert await world.workspaces.strays(frozenset()) == ()
    await world.workspaces.prepare(spec)
    assert Path(spec.directory, "src", "shop.py").read_text() == "price = 1\n"
    assert git(spec.directory, "status", "--porcelain") == ""


async def test_makes_a_worktree_again_whose_directory_is_gone(world: GitWorld) -> None:
    spec = await new_spec(world, world.repository("shop"), "worktree")
    first = await world.workspaces.prepare(spec)
    Path(spec.directory).rename(world.base / "moved-away")
    Path(spec.directory).parent.rmdir()
    assert await world.workspaces.prepare(spec) == first


async def test_makes_a_worktree_again_whose_registration_is_gone(world: GitWorld) -> None:
    repository = world.repository("shop")
    spec = await new_spec(world, repository, "worktree")
    first = await world.workspaces.prepare(spec)
    Path(spec.directory).rename(f"{spec.directory}-aside")
    git(repository, "worktree", "prune")
    Path(f"{spec.directory}-aside").rename(spec.directory)
    assert await world.workspaces.prepare(spec) == first
    assert git(spec.directory, "status", "--porcelain") == ""


@pytest.mark.parametrize("name", ["new.txt", "ignored.log"])
async def test_interrupted_worktree_is_not_made_over_a_foreign_file(world: GitWorld, name: str) -> None:
    spec = await new_spec(world, world.repository("shop"), "worktree")
    await world.workspaces.prepare(spec)
    world.tear(spec)
    world.write(spec.directory, name)
    for attempt in (world.workspaces.prepare, world.workspaces.discard):
        with pytest.raises(Rejected, match=name) as caught:
            await attempt(spec)
        assert caught.value.code == "workspace_dirty"
    assert Path(spec.directory, name).read_text() == "work\n"


@pytest.mark.parametrize("strategy", MAKING)
async def test_does_not_discard_a_changed_or_ignored_or_staged_file(world: GitWorld, strategy: Strategy) -> None:
    spec = await new_spec(world, world.repository("shop"), strategy)
    await world.workspaces.prepare(spec)
    readme, log = Path(spec.directory, "README.md"), Path(spec.directory, "a.log")
    before = readme.read_text()
    readme.write_text("mine")
    with pytest.raises(Rejected, match=r"README\.md"):
        await world.workspaces.discard(spec)
    readme.write_text(before)
    log.write_text("mine")
    with pytest.raises(Rejected, match=r"a\.log"):
        await world.workspaces.discard(spec)
    log.unlink()
    readme.write_text("staged")
    git(spec.directory, "add", ".")
    readme.write_text(before)
    with pytest.raises(Rejected, match="staged"):
        await world.workspaces.discard(spec)
    git(spec.directory, "reset", "-q", "--hard")
    await world.workspaces.discard(spec)
    assert not Path(spec.directory).exists()


async def test_does_not_discard_commits_on_a_detached_head(world: GitWorld) -> None:
    spec = await new_spec(world, world.repository("shop"), "worktree")
    await world.workspaces.prepare(spec)
    world.detach(spec.directory)
    world.commit(spec.directory)
    with pytest.raises(Rejected, match="another commit"):
        await world.workspaces.discard(spec)


async def test_discards_a_worktree_whose_source_directory_is_gone(world: GitWorld) -> None:
    repository = world.repository("shop")
    linked = world.path("linked")
    git(repository, "worktree", "add", "-q", linked)
    spec = await new_spec(world, linked, "worktree")
    await world.workspaces.prepare(spec)
    git(repository, "worktree", "remove", linked)
    await world.workspaces.discard(spec)
    assert world.branches(repository) == {"main", "linked"}
    assert spec.directory not in git(repository, "worktree", "list")


async def test_makes_and_removes_nothing_outside_of_its_root(world: GitWorld) -> None:
    repository = world.repository("shop")
    spec = await new_spec(world, repository, "worktree")
    for workspace_id, directory in (
        (spec.workspace_id, repository),
        (spec.workspace_id, f"{world.root}/{spec.workspace_id}/../x"),
        ("..", f"{world.root}/../shop"),
    ):
        elsewhere = type(spec)(workspace_id, "worktree", repository, directory, "topic")
        for attempt in (partial(check, world), world.workspaces.prepare, world.workspaces.discard):
            with pytest.raises(Rejected) as caught:
                await attempt(elsewhere)
            assert caught.value.code == "directory_outside_roots"


async def test_leaves_no_lock_behind(world: GitWorld) -> None:
    repository = world.repository("shop")
    with trio.move_on_after(0.02):
        await world.workspaces.prepare(await new_spec(world, repository, "worktree"))
    assert len(world.workspaces.locks) == 0
