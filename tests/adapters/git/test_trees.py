"""Snapshots and diffs on real disks: the contract, what only a real disk has, and git's own word on the same trees."""

import base64
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.adapters.git import GitTrees, snapshot
from fleet.adapters.git import tree_diff as changes
from fleet.errors import Problem
from fleet.ports import FileChange
from tests.adapters.git.world import git, make_template
from tests.contracts.trees_contract import WORKSPACE, TreesContract


class TreeWorld:
    """Plain directories with the adapter beside them."""

    def __init__(self, base: Path) -> None:
        self.base = base.resolve()
        self.restart()

    def restart(self) -> None:
        self.trees = GitTrees(self.base / "fleet" / "trees")

    def directory(self, name: str) -> str:
        (self.base / name).mkdir()
        return str(self.base / name)

    def repository(self, name: str) -> str:
        return str(make_template(self.base / name))

    def write(self, directory: str, name: str, content: bytes) -> None:
        path = Path(directory, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def remove(self, directory: str, name: str) -> None:
        Path(directory, name).unlink()

    async def take(self, directory: str) -> str:
        return await self.trees.take(WORKSPACE, directory)

    async def changes(self, directory: str, before: str) -> dict[str, FileChange]:
        found = await self.trees.diff(WORKSPACE, before, await self.take(directory))
        return {change.file: change for change in found}


@pytest.fixture
def world(tmp_path: Path, home: Path) -> TreeWorld:
    return TreeWorld(tmp_path)


class TestGitTrees(TreesContract):
    """The contract on plain directories."""


class RepositoryWorld(TreeWorld):
    def directory(self, name: str) -> str:
        directory = super().directory(name)
        git(directory, "init", "-q")
        return directory


class TestGitTreesOfRepositories(TreesContract):
    """The contract on repositories."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> RepositoryWorld:
        return RepositoryWorld(tmp_path)


async def test_snapshot_leaves_the_repository_unchanged(world: TreeWorld) -> None:
    repository = world.repository("shop")
    world.write(repository, "staged", b"1\n")
    git(repository, "add", "staged")
    world.write(repository, "staged", b"2\n")
    index = Path(repository, ".git", "index").read_bytes()
    before = sorted(Path(repository).rglob("*"))
    await world.take(repository)
    assert Path(repository, ".git", "index").read_bytes() == index
    assert sorted(Path(repository).rglob("*")) == before


async def test_ignores_what_git_status_ignores(world: TreeWorld) -> None:
    repository = world.repository("shop")
    world.write(repository, "forced.log", b"1\n")
    git(repository, "add", "-f", "forced.log")
    world.write(str(world.base), "mine", b"*.tmp\n")
    git(repository, "config", "core.excludesFile", str(world.base / "mine"))
    world.write(repository, ".git/info/exclude", b"secret\n")
    before = await world.take(repository)
    for name in ("forced.log", "other.log", "a.tmp", "secret", "seen"):
        world.write(repository, name, b"2\n")
    assert list(await world.changes(repository, before)) == ["forced.log", "seen"]


async def test_file_that_becomes_ignored_leaves_the_tree(world: TreeWorld) -> None:
    directory = world.directory("notes")
    start = await world.take(directory)
    world.write(directory, "made/a", b"1\n")
    await world.take(directory)
    world.write(directory, ".gitignore", b"made/\n")
    assert list(await world.changes(directory, start)) == [".gitignore"]


async def test_a_subdirectory_has_names_of_its_own(world: TreeWorld) -> None:
    repository = world.repository("shop")
    before = await world.take(f"{repository}/src")
    world.write(repository, "src/new.py", b"1\n")
    world.write(repository, "src/new.log", b"1\n")
    world.write(repository, "beside", b"1\n")
    assert list(await world.changes(f"{repository}/src", before)) == ["new.py"]


async def test_nothing_of_a_hostile_repository_runs(world: TreeWorld) -> None:
    repository = world.repository("shop")
    bad = f"touch {world.base}/ran"
    for key in ("core.fsmonitor", "filter.bad.clean", "filter.bad.process", "diff.bad.command", "diff.bad.textconv"):
        git(repository, "config", key, bad)
    world.write(repository, ".gitattributes", b"* filter=bad diff=bad text eol=crlf ident\n")
    before = await world.take(repository)
    world.write(repository, "README.md", b"one\r\n$Id$\n")
    (change,) = (await world.changes(repository, before)).values()
    assert change.after == b"one\r\n$Id$\n"
    assert not (world.base / "ran").exists()


async def test_kinds_of_files(world: TreeWorld) -> None:
    repository = world.repository("shop")
    world.write(repository, "to_link", b"1\n")
    world.write(repository, "to_directory", b"1\n")
    world.write(repository, "to_file/x", b"1\n")
    world.write(repository, "mode", b"1\n")
    before = await world.take(repository)
    for name in ("to_link", "to_directory"):
        world.remove(repository, name)
    Path(repository, "to_link").symlink_to("nowhere")
    world.write(repository, "to_directory/x", b"2\n")
    shutil.rmtree(f"{repository}/to_file")
    world.write(repository, "to_file", b"3\n")
    Path(repository, "mode").chmod(0o755)
    os.mkfifo(f"{repository}/pipe")
    inner = make_template(Path(repository, "inner"))
    odd = Path(os.fsdecode(os.fsencode(repository) + b"/\xff\n"))
    odd.write_bytes(b"")
    found = await world.changes(repository, before)
    assert list(found) == [
        "\\xff\n",
        "inner",
        "mode",
        "to_directory",
        "to_directory/x",
        "to_file",
        "to_file/x",
        "to_link",
    ]
    assert (found["\\xff\n"].file_bytes, found["mode"].file_bytes) == (base64.b64encode(b"\xff\n").decode(), None)
    assert (found["mode"].mode_before, found["mode"].mode_after, found["mode"].additions) == ("100644", "100755", 0)
    assert (found["to_link"].mode_after, found["to_link"].after) == ("120000", b"nowhere")
    assert (found["inner"].mode_after, found["inner"].after) == (
        "160000",
        f"Subproject commit {git(inner, 'rev-parse', 'HEAD')}\n".encode(),
    )


async def test_a_renamed_file_is_modified_and_says_from_where(world: TreeWorld) -> None:
    repository = world.repository("shop")
    before = await world.take(repository)
    Path(repository, "README.md").rename(f"{repository}/HELLO.md")
    (change,) = (await world.changes(repository, before)).values()
    assert (change.file, change.old_file, change.status, change.before) == (
        "HELLO.md",
        "README.md",
        "modified",
        b"# Shop\n" * 20,
    )


async def test_contents_are_cut_to_the_limits(world: TreeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "DIFF_FILE_BYTES_MAX", 10)
    monkeypatch.setattr(changes, "DIFF_BYTES_MAX", 25)
    monkeypatch.setattr(changes, "DIFF_FILES_MAX", 4)
    directory = world.directory("notes")
    before = await world.take(directory)
    for name in "abcde":
        world.write(directory, name, f"{name}\n".encode() * 8)
    found = await world.changes(directory, before)
    assert [(name, len(change.after or b"")) for name, change in found.items()] == [
        ("a", 10),
        ("b", 10),
        ("c", 5),
        ("d", 0),
    ]
    assert all(change.is_truncated and change.additions == 8 for change in found.values())


async def test_large_file_is_left_out_and_too_many_are_refused(
    world: TreeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = world.directory("notes")
    before = await world.take(directory)
    monkeypatch.setattr(snapshot, "TREE_FILE_BYTES_MAX", 10)
    world.write(directory, "large", b"x" * 11)
    assert await world.changes(directory, before) == {}
    monkeypatch.setattr(snapshot, "TREE_NEW_FILES_MAX", 1)
    world.write(directory, "a", b"")
    world.write(directory, "b", b"")
    with pytest.raises(Problem) as caught:
        await world.take(directory)
    assert caught.value.code == "tree_too_large"


async def test_missing_borrowed_objects_are_reported_and_the_next_snapshot_works(world: TreeWorld) -> None:
    repository = world.repository("shop")
    before = await world.take(repository)
    world.write(repository, "README.md", b"new\n")
    after = await world.take(repository)
    shutil.rmtree(f"{repository}/.git")
    with pytest.raises(Problem) as caught:
        await world.trees.diff(WORKSPACE, before, after)
    assert caught.value.code == "tree_gone"
    again = await world.take(repository)
    world.write(repository, "README.md", b"newer\n")
    assert list(await world.changes(repository, again)) == ["README.md"]


async def test_lock_and_index_left_by_a_crash_do_not_block(world: TreeWorld) -> None:
    directory = world.directory("notes")
    world.write(directory, "a", b"1\n")
    tree = await world.take(directory)
    store = world.base / "fleet" / "trees" / WORKSPACE
    (store / "index.lock").touch()
    (store / "index").write_bytes(b"torn")
    world.restart()
    assert await world.take(directory) == tree


@pytest.mark.parametrize("crashed", [False, True])
async def test_comparison_with_current_files_leaves_the_store_unchanged(world: TreeWorld, crashed: bool) -> None:
    directory = world.repository("app")
    for number in range(50):
        world.write(directory, f"files/{number}", b"%d\n" % number)
    before = await world.take(directory)
    store = world.base / "fleet" / "trees" / WORKSPACE

    def kept() -> list[str]:
        return sorted(str(path) for path in store.rglob("*") if path.is_file())

    files = kept()
    for number in range(50):  # so many that a split index would be written whole
        world.write(directory, f"files/{number}", b"changed %d\n" % number)
        if number % 10 == 0:
            if crashed:
                (store / "moment" / "objects" / "info").mkdir(parents=True)
                (store / "moment" / "index.lock").touch()
            assert len(await world.trees.compare(WORKSPACE, before, directory)) == number + 1
            assert kept() == files
    assert len(await world.changes(directory, before)) == 50


async def test_files_that_change_while_they_are_read(world: TreeWorld) -> None:
    directory = world.directory("notes")
    await world.take(directory)
    busy = True

    async def write() -> None:
        number = 0
        while busy:
            number += 1
            path = Path(directory, f"f{number % 50}")
            path.unlink() if path.exists() else path.write_bytes(b"x" * (number % 100_000))
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        for _ in range(5):
            await world.take(directory)
        busy = False
    settled = await world.take(directory)
    assert await world.take(directory) == settled


NAMES = st.sampled_from(["a", "b", "dir/a", "dir/b", "ü", "with space", "tab\t", ":x", "-n"])
LINES = st.lists(st.sampled_from([b"one\n", b"two\n", b"three\r\n", b"\xff\n", b"no end"]), max_size=12)
CONTENTS = st.one_of(LINES.map(b"".join), st.just(b"a\0b"))
FILES = st.dictionaries(NAMES, st.tuples(CONTENTS, st.booleans()), max_size=6)


@given(before=FILES, after=FILES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_counts_are_those_of_git(before: dict[str, tuple[bytes, bool]], after: dict[str, tuple[bytes, bool]]) -> None:
    with TemporaryDirectory() as scratch:
        base = Path(scratch).resolve()
        directory = base / "work"
        trees: list[str] = []
        git(base, "init", "-q", "work")

        async def run() -> tuple[FileChange, ...]:
            adapter = GitTrees(base / "trees")
            taken: list[str] = []
            for files in (before, after):
                _fill(directory, files)
                taken.append(await adapter.take("w", str(directory)))
                git(directory, "add", "-A")
                trees.append(git(directory, "write-tree"))
            return await adapter.diff("w", taken[0], taken[1])

        found = trio.run(run)
        listed = git(directory, "diff", "--numstat", "-z", "-M", *trees).split("\0")
        assert [_numstat(change) for change in found] == _sorted(listed)
        for change in found:
            old = before.get(change.old_file or change.file)
            assert change.before == (None if change.status == "added" else old and old[0])
            assert change.after == (None if change.status == "deleted" else after[change.file][0])


def _fill(directory: Path, files: dict[str, tuple[bytes, bool]]) -> None:
    for path in directory.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, (content, executable) in files.items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if executable else 0o644)


def _numstat(change: FileChange) -> tuple[str, str | None, str]:
    counts = "-\t-" if change.is_binary else f"{change.additions}\t{change.deletions}"
    return change.file, change.old_file, counts


def _sorted(listed: list[str]) -> list[tuple[str, str | None, str]]:
    fields = iter(listed[:-1])
    rows: list[tuple[str, str | None, str]] = []
    for field in fields:
        added, deleted, name = field.split("\t", 2)
        old = None if name else next(fields)
        rows.append((name or next(fields), old, f"{added}\t{deleted}"))
    return sorted(rows, key=lambda row: row[0])
