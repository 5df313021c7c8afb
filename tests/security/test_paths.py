"""Paths that turn into others while Fleet looks: nothing outside of a workspace is read or removed."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fleet.adapters.files import LocalFiles
from fleet.adapters.git import GitRemovals, GitWorkspaces
from fleet.errors import Problem, Rejected
from fleet.ports import FileContent, Listing, PreservedWork, Strategy, WorkspaceSpec
from tests.adapters.git.world import make_template

WORKSPACE = "0198c0de-0000-7000-8000-000000000001"


@contextmanager
def swapped_before_it_is_opened(path: Path, target: Path) -> Generator[list[Path]]:
    """Let `path` become a link to `target` at the last moment: when it was resolved, and is about to be opened."""
    swapped: list[Path] = []
    open_really = os.open

    def swap_and_open(name: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if not swapped and (Path(name) == path if dir_fd is None else name == path.name):
            path.rename(path.with_name("moved"))
            path.symlink_to(target)
            swapped.append(path)
        return open_really(name, flags, mode, dir_fd=dir_fd)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "open", swap_and_open)
        yield swapped


@pytest.mark.parametrize(
    ("path", "step"), [(path, step) for path in ("a/b/file", "a/b") for step in dict.fromkeys((".", "a", "a/b", path))]
)
async def test_a_link_made_during_the_check_is_not_followed(tmp_path: Path, path: str, step: str) -> None:
    root, outside = tmp_path.resolve() / "root", tmp_path.resolve() / "outside"
    for directory, content in ((root / "a" / "b", "inside"), (outside / "a" / "b", "a secret")):
        directory.mkdir(parents=True)
        (directory / "file").write_text(content)
    files = LocalFiles()
    assert isinstance(await files.read(str(root), path), FileContent if path == "a/b/file" else Listing)
    with swapped_before_it_is_opened(root / step, outside / step) as swapped, pytest.raises(Rejected) as refused:
        await files.read(str(root), path)
    assert swapped, "the link came too late"
    assert refused.value.code == "file_not_found" if step == "." else "file_unreadable"


class Disk:
    """A workspace, and something precious beside it."""

    def __init__(self, base: Path) -> None:
        self.workspaces = GitWorkspaces(base / "fleet", [base])
        self.removals = GitRemovals(self.workspaces)
        self.source = make_template(base / "project")
        self.precious = base / "precious"
        self.precious.mkdir()
        (self.precious / "file").write_text("precious")

    async def spec(self, strategy: Strategy) -> WorkspaceSpec:
        source = await self.workspaces.inspect(str(self.source))
        directory, branch = self.workspaces.plan(WORKSPACE, strategy, source, None, "Work")
        spec = WorkspaceSpec(WORKSPACE, strategy, source.directory, directory, branch, None)
        await self.workspaces.prepare(spec)
        return spec


@pytest.mark.parametrize("strategy", ["worktree", "clone"])
@pytest.mark.parametrize("where", ["workspace", "above", "inside"])
async def test_a_removal_does_not_follow_links(tmp_path: Path, strategy: Strategy, where: str) -> None:
    disk = Disk(tmp_path.resolve())
    spec = await disk.spec(strategy)
    directory = Path(spec.directory)
    if where == "inside":
        (directory / "link").symlink_to(disk.precious)
        kept = await disk.removals.keep(spec)
        await disk.removals.remove(spec, kept)
        assert not directory.exists()
    else:
        place = directory if where == "workspace" else directory.parent
        place.rename(place.with_name("moved"))
        target = disk.precious if where == "workspace" else disk.precious.parent / "parent"
        if where == "above":
            target.mkdir()
            disk.precious.rename(target / directory.name)
            disk.precious = target / directory.name
        place.symlink_to(target)
        for action in (disk.removals.keep(spec), disk.workspaces.discard(spec)):
            with pytest.raises(Problem):
                await action
        with pytest.raises(Problem):
            await disk.removals.remove(spec, PreservedWork(None, None, spec.branch, None))
    assert (disk.precious / "file").read_text() == "precious"


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a/../../x", "..", "a/\0", "//etc/passwd", "~/x", "a//../../x"]
)
async def test_no_path_leads_out(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (tmp_path / "x").write_text("a secret")
    with pytest.raises(Rejected) as refused:
        await LocalFiles().read(str(root), path)
    assert refused.value.code in ("path_outside_workspace", "file_not_found")


async def test_devices_and_pipes_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for path in ("pipe", "zero"):
        with pytest.raises(Rejected):
            await LocalFiles().read(str(tmp_path), path)
    assert isinstance(await LocalFiles().read(str(tmp_path), ""), Listing)
