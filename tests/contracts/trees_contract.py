"""What every implementation of the `Trees` port keeps. Subclass it and give it a `world` fixture."""

from functools import partial
from typing import Protocol

import pytest
import trio

from fleet.errors import Problem, Rejected
from fleet.ports import FileChange, FileContent, FileEntry, Listing, Trees

WORKSPACE = "01936f2e-0000-7000-8000-000000000001"
OTHER = "01936f2e-0000-7000-8000-000000000002"


class World(Protocol):
    """A disk with the adapter on it."""

    @property
    def trees(self) -> Trees: ...

    def restart(self) -> None:
        """Make a new adapter on the same disk."""

    def directory(self, name: str) -> str: ...
    def write(self, directory: str, name: str, content: bytes) -> None: ...
    def remove(self, directory: str, name: str) -> None: ...


class TreesContract:
    async def changes(self, world: World, directory: str, before: str) -> tuple[FileChange, ...]:
        return await world.trees.diff(WORKSPACE, before, await world.trees.take(WORKSPACE, directory))

    async def test_the_same_content_is_the_same_tree(self, world: World) -> None:
        directory = world.directory("notes")
        world.write(directory, "a", b"1\n")
        first = await world.trees.take(WORKSPACE, directory)
        assert await world.trees.take(WORKSPACE, directory) == first
        world.restart()
        assert await world.trees.take(WORKSPACE, directory) == first
        assert await world.trees.diff(WORKSPACE, first, first) == ()

    async def test_reports_added_changed_and_deleted_files(self, world: World) -> None:
        directory = world.directory("notes")
        world.write(directory, "changed", b"1\n2\n")
        world.write(directory, "deleted", b"gone\n")
        world.write(directory, "same", b"same\n")
        before = await world.trees.take(WORKSPACE, directory)
        world.write(directory, "changed", b"1\n3\n4\n")
        world.remove(directory, "deleted")
        world.write(directory, "sub/added", b"new\n")
        assert await self.changes(world, directory, before) == (
            FileChange("changed", "modified", 2, 1, False, False, b"1\n2\n", b"1\n3\n4\n", "100644", "100644"),
            FileChange("deleted", "deleted", 0, 1, False, False, b"gone\n", None, "100644", None),
            FileChange("sub/added", "added", 1, 0, False, False, None, b"new\n", None, "100644"),
        )

    async def test_a_file_of_a_tree_reads_as_it_was(self, world: World) -> None:
        directory = world.directory("notes")
        world.write(directory, "sub/a b", b"1\n")
        world.write(directory, "top", b"2")
        tree = await world.trees.take(WORKSPACE, directory)
        world.write(directory, "sub/a b", b"later\n")
        world.remove(directory, "top")
        read = partial(world.trees.read, WORKSPACE, tree)
        assert await read("sub/a b") == await read("/sub/a b".lstrip("/")) == FileContent(b"1\n", 2)
        assert await read("") == Listing((FileEntry("sub", "directory"), FileEntry("top", "file", 1)), 2)
        assert await read("sub/") == Listing((FileEntry("a b", "file", 2),), 1)
        for path, code in (
            ("none", "file_not_found"),
            ("../x", "path_outside_workspace"),
            ("/x", "path_outside_workspace"),
        ):
            with pytest.raises(Rejected) as refused:
                await read(path)
            assert refused.value.code == code
        with pytest.raises(Problem) as gone:
            await world.trees.read(OTHER, tree, "")
        assert gone.value.code == "tree_gone"

    async def test_an_empty_directory_has_a_tree(self, world: World) -> None:
        directory = world.directory("notes")
        before = await world.trees.take(WORKSPACE, directory)
        world.write(directory, "empty", b"")
        assert await self.changes(world, directory, before) == (
            FileChange("empty", "added", 0, 0, False, False, None, b"", None, "100644"),
        )

    async def test_binary_files_have_no_lines(self, world: World) -> None:
        directory = world.directory("notes")
        before = await world.trees.take(WORKSPACE, directory)
        world.write(directory, "image", b"a\0b\n\xff")
        (change,) = await self.changes(world, directory, before)
        assert (change.is_binary, change.additions, change.deletions) == (True, 0, 0)
        assert change.after == b"a\0b\n\xff"

    async def test_old_trees_can_be_compared(self, world: World) -> None:
        directory = world.directory("notes")
        taken: list[str] = []
        for number in range(3):
            world.write(directory, "a", b"%d\n" % number)
            taken.append(await world.trees.take(WORKSPACE, directory))
        (change,) = await world.trees.diff(WORKSPACE, taken[0], taken[1])
        assert (change.before, change.after) == (b"0\n", b"1\n")
        (back,) = await world.trees.diff(WORKSPACE, taken[2], taken[0])
        assert (back.before, back.after) == (b"2\n", b"0\n")

    async def test_a_tree_is_compared_with_this_moment(self, world: World) -> None:
        directory = world.directory("notes")
        world.write(directory, "a", b"0\n")
        world.write(directory, "gone", b"")
        before = await world.trees.take(WORKSPACE, directory)
        assert await world.trees.compare(WORKSPACE, before, directory) == ()
        world.write(directory, "a", b"1\n")
        world.write(directory, "b", b"2\n")
        world.remove(directory, "gone")
        seen = await world.trees.compare(WORKSPACE, before, directory)
        assert [(change.file, change.before, change.after) for change in seen] == [
            ("a", b"0\n", b"1\n"),
            ("b", None, b"2\n"),
            ("gone", b"", None),
        ]
        assert await self.changes(world, directory, before) == seen
        with pytest.raises(Problem) as caught:
            await world.trees.compare(WORKSPACE, "a" * 40, directory)
        assert caught.value.code == "tree_gone"
        with pytest.raises(Problem) as caught:
            await world.trees.compare(WORKSPACE, before, f"{directory}/missing")
        assert caught.value.code == "directory_missing"

    async def test_forgets(self, world: World) -> None:
        directory = world.directory("notes")
        tree = await world.trees.take(WORKSPACE, directory)
        await world.trees.forget(WORKSPACE)
        await world.trees.forget(WORKSPACE)
        with pytest.raises(Problem) as caught:
            await world.trees.diff(WORKSPACE, tree, tree)
        assert caught.value.code == "tree_gone"
        assert await world.trees.take(WORKSPACE, directory) == tree

    @pytest.mark.parametrize("unknown", ["a" * 40, "--output=x", "HEAD", "", "a\nb"])
    async def test_an_unknown_tree_is_gone(self, world: World, unknown: str) -> None:
        tree = await world.trees.take(WORKSPACE, world.directory("notes"))
        with pytest.raises(Problem) as caught:
            await world.trees.diff(WORKSPACE, tree, unknown)
        assert caught.value.code == "tree_gone"

    async def test_a_missing_directory_is_a_problem(self, world: World) -> None:
        with pytest.raises(Problem) as caught:
            await world.trees.take(WORKSPACE, world.directory("notes") + "/missing")
        assert caught.value.code == "directory_missing"

    async def test_snapshots_at_the_same_time(self, world: World) -> None:
        directory = world.directory("notes")
        world.write(directory, "a", b"1\n")
        taken: dict[int, str] = {}

        async def take(number: int) -> None:
            taken[number] = await world.trees.take(WORKSPACE if number % 2 else OTHER, directory)

        async with trio.open_nursery() as nursery:
            for number in range(6):
                nursery.start_soon(take, number)
        assert len(set(taken.values())) == 1
