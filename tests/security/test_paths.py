"""Paths that turn into others while Fleet looks: nothing outside of a workspace is read or removed."""

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleet.adapters.files import LocalFiles
from fleet.adapters.git import GitRemovals, GitWorkspaces
from fleet.errors import Problem, Rejected
from fleet.ports import FileContent, Kept, Listing, Strategy, WorkspaceOrder
from tests.adapters.git.world import make_template

WORKSPACE = "0198c0de-0000-7000-8000-000000000001"


@contextmanager
def flipping(inside: Path, outside: Path) -> Generator[None]:
    """Let `inside` be a directory and a link to `outside` in turns, as fast as this machine can."""
    stop = threading.Event()
    there, link = inside.with_name("there"), inside.with_name("link")
    link.symlink_to(outside)

    def flip() -> None:
        while not stop.is_set():
            inside.rename(there)
            link.rename(inside)
            inside.rename(link)
            there.rename(inside)

    thread = threading.Thread(target=flip)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


async def test_a_link_that_comes_and_goes_leads_nowhere(tmp_path: Path) -> None:
    root, outside = tmp_path.resolve() / "root", tmp_path.resolve() / "outside"
    for directory, content in ((root / "a" / "b", "inside"), (outside / "b", "a secret")):
        directory.mkdir(parents=True)
        (directory / "file").write_text(content)
    (outside / "b" / "private").touch()
    files, seen = LocalFiles(), set[str]()
    with flipping(root / "a", outside):
        for _ in range(1500):
            for path in ("a/b/file", "a/b"):
                try:
                    found = await files.read(str(root), path)
                except Rejected as rejected:
                    seen.add(rejected.code)
                    continue
                if isinstance(found, FileContent):
                    seen.add(found.content.decode())
                else:
                    seen |= {entry.name for entry in found.entries}
    assert "inside" in seen
    assert seen & {"path_outside_workspace", "file_unreadable", "file_not_found"}, "it was never met half-way"
    assert not seen & {"a secret", "private"}


class Disk:
    """A workspace, and something precious beside it."""

    def __init__(self, base: Path) -> None:
        self.workspaces = GitWorkspaces(base / "fleet", [base])
        self.removals = GitRemovals(self.workspaces)
        self.source = make_template(base / "project")
        self.precious = base / "precious"
        self.precious.mkdir()
        (self.precious / "file").write_text("precious")

    async def order(self, strategy: Strategy) -> WorkspaceOrder:
        source = await self.workspaces.inspect(str(self.source))
        directory, branch = self.workspaces.plan(WORKSPACE, strategy, source, None, "Work")
        order = WorkspaceOrder(WORKSPACE, strategy, source.directory, directory, branch, None)
        await self.workspaces.prepare(order)
        return order


@pytest.mark.parametrize("strategy", ["worktree", "clone"])
@pytest.mark.parametrize("where", ["workspace", "above", "inside"])
async def test_a_removal_does_not_follow_links(tmp_path: Path, strategy: Strategy, where: str) -> None:
    disk = Disk(tmp_path.resolve())
    order = await disk.order(strategy)
    directory = Path(order.directory)
    if where == "inside":
        (directory / "link").symlink_to(disk.precious)
        kept = await disk.removals.keep(order)
        await disk.removals.remove(order, kept)
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
        for action in (disk.removals.keep(order), disk.workspaces.discard(order)):
            with pytest.raises(Problem):
                await action
        with pytest.raises(Problem):
            await disk.removals.remove(order, Kept(None, None, order.branch, None))
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
