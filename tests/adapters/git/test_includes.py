"""What `.worktreeinclude` brings into a new checkout, on real git and a real disk."""

import os
from pathlib import Path

import pytest

from fleet.adapters.git import GitRemovals, includes
from fleet.ports import NotCarried, PreparedWorkspace, Strategy
from tests.adapters.git.world import GitWorld, git
from tests.contracts.workspaces_contract import MAKING, new_spec


def shop(world: GitWorld, patterns: str, files: dict[str, str]) -> Path:
    """A repository that ignores `.env`, `*.log` and `build/`, with these files in its checkout."""
    repository = Path(world.repository("shop"))
    (repository / ".gitignore").write_text(".env\n*.log\nbuild/\nlink*\n")
    (repository / ".worktreeinclude").write_text(patterns)
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "Ignore")
    for name, text in files.items():
        path = repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return repository


async def prepared(world: GitWorld, repository: Path, strategy: Strategy = "worktree") -> PreparedWorkspace:
    return await world.workspaces.prepare(await new_spec(world, str(repository), strategy))


@pytest.mark.parametrize("strategy", MAKING)
async def test_ignored_files_that_match_are_copied(world: GitWorld, strategy: Strategy) -> None:
    files = {".env": "A=1", "src/.env": "B=2", "a.log": "l", "build/x/y": "built", "build/tmp/z": "no", "notes": "mine"}
    repository = shop(world, ".env\nbuild/*\n!build/tmp\nnotes\nREADME.md\n", files)
    (repository / "build/x/y").chmod(0o755)
    (repository / ".env").chmod(0o600)
    made = await prepared(world, repository, strategy)
    there = Path(made.directory)
    assert made.not_carried == ()
    assert (there / ".env").read_text() == "A=1"
    assert (there / "src/.env").read_text() == "B=2"
    assert (there / "build/x/y").read_text() == "built"
    assert [path.exists() for path in (there / "a.log", there / "build/tmp", there / "notes")] == [False] * 3
    assert ((there / ".env").stat().st_mode & 0o777, (there / "build/x/y").stat().st_mode & 0o777) == (0o600, 0o755)
    assert (there / ".env").stat().st_nlink == (repository / ".env").stat().st_nlink == 1
    assert git(there, "status", "--porcelain") == ""


async def test_nothing_is_copied_without_the_file_or_into_a_directory_that_is_used_as_it_is(world: GitWorld) -> None:
    repository = shop(world, ".env\n", {".env": "A=1"})
    assert (await prepared(world, repository, "existing")).not_carried == ()
    (repository / ".worktreeinclude").unlink()
    assert not Path((await prepared(world, repository)).directory, ".env").exists()


async def test_what_the_checkout_has_is_not_replaced(world: GitWorld) -> None:
    repository = shop(world, ".env\n", {})
    (repository / ".env").write_text("tracked")
    git(repository, "add", "-f", ".env")
    git(repository, "commit", "-q", "-m", "Track")
    git(repository, "rm", "-q", "--cached", ".env")
    (repository / ".env").write_text("local")
    made = await prepared(world, repository)
    assert Path(made.directory, ".env").read_text() == "tracked"


async def test_symlinks_are_copied_only_where_they_stay_inside(world: GitWorld) -> None:
    repository = shop(world, "link*\nbuild\n", {"build/bin/tool": "t"})
    (repository / "secret").write_text("x")
    (repository / "link-in").symlink_to("build/bin/tool")
    (repository / "build/up").symlink_to("../README.md")
    (repository / "link-absolute").symlink_to(repository / "README.md")
    (repository / "link-out").symlink_to("../elsewhere")
    (repository / "build/out").symlink_to("../../elsewhere")
    made = await prepared(world, repository)
    there = Path(made.directory)
    assert str((there / "link-in").readlink()) == "build/bin/tool"
    assert str((there / "build/up").readlink()) == "../README.md"
    assert not any(os.path.lexists(there / name) for name in ("link-absolute", "link-out", "build/out"))
    [said] = made.not_carried
    assert said.what == "files"
    assert all(f"'{name}' is a symlink that leads out" in said.detail for name in ("link-absolute", "build/out"))


async def test_a_symlink_of_the_commit_leads_no_copy_out(world: GitWorld) -> None:
    repository, outside = shop(world, "build\n", {}), Path(world.outside())
    (repository / "other").symlink_to(outside)
    git(repository, "checkout", "-q", "-b", "trap")
    (repository / "build").symlink_to(outside)
    git(repository, "add", "-f", "build")
    git(repository, "commit", "-q", "-m", "Lead out")
    git(repository, "checkout", "-q", "main")
    (repository / "build").mkdir()
    (repository / "build/x").write_text("secret")
    spec = await new_spec(world, str(repository), "worktree", "trap")
    made = await world.workspaces.prepare(spec)
    assert list(outside.iterdir()) == []
    assert made.not_carried == (
        NotCarried("files", "Not copied: 'build/x' has 'build' above it, which is not a directory"),
    )


async def test_included_files_beyond_a_bound_are_reported(world: GitWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = shop(world, "*.log\n", {f"{n}.log": "x" * 10 for n in range(6)})
    monkeypatch.setattr(includes, "INCLUDE_FILES_MAX", 4)
    made = await prepared(world, repository)
    assert len(list(Path(made.directory).glob("*.log"))) == 4
    assert made.not_carried[0].detail.startswith("2 files of .worktreeinclude were not copied")
    monkeypatch.setattr(includes, "INCLUDE_BYTES_MAX", 25)
    again = await world.workspaces.prepare(await new_spec(world, str(repository), "clone", number=2))
    assert len(list(Path(again.directory).glob("*.log"))) == 2


async def test_a_bad_worktreeinclude_is_reported_and_fails_nothing(world: GitWorld) -> None:
    repository = shop(world, ".env\n", {".env": "A=1"})
    (repository / ".worktreeinclude").unlink()
    (repository / ".worktreeinclude").symlink_to("README.md")
    made = await prepared(world, repository)
    [said] = made.not_carried
    assert said.detail == "Fleet could not copy the files of .worktreeinclude: it is not a regular file"
    assert not Path(made.directory, ".env").exists()


async def test_copy_interrupted_by_a_crash_is_completed(world: GitWorld) -> None:
    repository = shop(world, ".env\n", {".env": "A=1"})
    spec = await new_spec(world, str(repository), "worktree")
    await world.workspaces.prepare(spec)
    Path(spec.directory, ".env").unlink()
    Path(spec.directory).parent.joinpath(".copying").write_text("A")
    world.restart()
    await world.workspaces.prepare(spec)
    assert Path(spec.directory, ".env").read_text() == "A=1"
    assert [path.name for path in Path(spec.directory).parent.iterdir()] == ["shop"]


async def test_names_that_are_not_utf_8_are_copied_and_other_repositories_are_not(world: GitWorld) -> None:
    repository = shop(world, "build\n", {"build/plain": "p"})
    (repository / os.fsdecode(b"build/caf\xe9")).write_text("bytes")
    git(world.directory("nested"), "init", "-q")
    Path(world.path("nested")).rename(repository / "build/nested")
    made = await prepared(world, repository)
    assert made.not_carried == ()
    assert sorted(os.fsencode(path.name) for path in Path(made.directory, "build").iterdir()) == [b"caf\xe9", b"plain"]


async def test_a_restored_workspace_has_its_included_files_again(world: GitWorld) -> None:
    repository = shop(world, ".env\n", {".env": "A=1"})
    spec = await new_spec(world, str(repository), "worktree")
    await world.workspaces.prepare(spec)
    removals = GitRemovals(world.workspaces)
    kept = await removals.keep(spec)
    await removals.remove(spec, kept)
    assert not Path(spec.directory).exists()
    await removals.restore(spec, kept)
    assert Path(spec.directory, ".env").read_text() == "A=1"
