"""Searching for directories by name: what is near comes first, nothing outside is shown, and it ends."""

import os
import threading
import time
from pathlib import Path

import pytest
import trio
import trio.testing

from fleet.adapters import folder_search
from fleet.adapters.files import LocalFiles
from fleet.adapters.folder_search import search
from fleet.errors import Rejected
from fleet.limits import DIRECTORY_SEARCH_FOUND_MAX, DIRECTORY_SEARCH_S, DIRECTORY_SEARCHES_MAX
from fleet.ports import Folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path.resolve() / "root"
    root.mkdir()
    (tmp_path / "outside" / "shop").mkdir(parents=True)
    return root


def find(root: Path, query: str, below: Path | None = None) -> Folder:
    return search(str(below or root), query, (str(root),))


def paths(root: Path, query: str) -> list[str]:
    return [str(Path(entry.path).relative_to(root)) for entry in find(root, query).entries]


def test_finds_directories_at_any_depth_by_a_part_of_their_name(root: Path) -> None:
    for name in ("code/py/shop/.git", "code/old-shop", "code/Shop2", "shop", "code/shopping/cart", "file"):
        (root / name).mkdir(parents=True)
    (root / "shop.txt").touch()
    assert paths(root, "shop") == ["shop", "code/py/shop", "code/Shop2", "code/shopping", "code/old-shop"]
    assert paths(root, "SHOP2") == ["code/Shop2"]
    assert paths(root, "nowhere") == []
    assert [entry.is_git_repo for entry in find(root, "shop").entries] == [False, True, False, False, False]
    below = find(root, "shop", root / "code" / "py")
    assert (below.path, below.parent, len(below.entries)) == (str(root / "code" / "py"), str(root / "code"), 1)
    assert not below.is_truncated


async def test_few_searches_run_at_a_time_because_each_takes_the_interpreter(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, release, lock, begun = LocalFiles(), threading.Event(), threading.Lock(), [0]
    at_release: list[int] = []

    def slow(path: str, query: str, roots: tuple[str, ...]) -> Folder:
        with lock:
            begun[0] += 1
        release.wait()
        return search(path, query, roots)

    monkeypatch.setattr(folder_search, "search", slow)
    async with trio.open_nursery() as nursery:
        for _ in range(4 * DIRECTORY_SEARCHES_MAX):
            nursery.start_soon(files.search, str(root), "shop", (str(root),))
        await trio.testing.wait_all_tasks_blocked()
        await files.browse(str(root), (str(root),))  # others continue
        with lock:
            at_release.append(begun[0])
        release.set()
    assert at_release[0] <= DIRECTORY_SEARCHES_MAX
    assert begun[0] == 4 * DIRECTORY_SEARCHES_MAX


def test_hidden_directories_and_dependencies_are_not_searched(root: Path) -> None:
    for name in (".cache/shop", "app/node_modules/shop", "app/.git/shop", "app/.shop", "app/__pycache__/shop"):
        (root / name).mkdir(parents=True)
    assert paths(root, "shop") == []


def test_symlinks_are_followed_inside_the_roots_without_loops(root: Path) -> None:
    (root / "real" / "shop").mkdir(parents=True)
    (root / "real" / "up").symlink_to(root)
    (root / "again").symlink_to("real")
    (root / "out").symlink_to("../outside")
    (root / "shop-out").symlink_to("../outside/shop")
    (root / "shop-circle").symlink_to("shop-circle")
    (root / "shop-alias").symlink_to("real/shop")
    assert paths(root, "shop") == ["real/shop"]
    with pytest.raises(Rejected) as caught:
        find(root, "shop", root / "out")
    assert (caught.value.code, caught.value.field) == ("directory_outside_roots", "path")


def test_names_that_are_not_utf_8_and_unreadable_directories_are_skipped(root: Path) -> None:
    Path(os.fsdecode(os.fsencode(root) + b"/shop-\xff")).mkdir()
    (root / "closed").mkdir(mode=0)
    (root / "shop").mkdir()
    assert paths(root, "shop") == ["shop"]


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_search_has_to_begin_at_a_directory(root: Path, name: str) -> None:
    (root / "file").touch()
    with pytest.raises(Rejected) as caught:
        find(root, "shop", root / name)
    assert caught.value.field == "path"


def test_a_search_with_too_many_directories_is_truncated(root: Path) -> None:
    for number in range(DIRECTORY_SEARCH_FOUND_MAX):
        (root / f"shop{number}").mkdir()
    assert not find(root, "shop").is_truncated
    (root / "shop").mkdir()
    found = find(root, "shop")
    assert (len(found.entries), found.is_truncated) == (DIRECTORY_SEARCH_FOUND_MAX, True)


def test_a_search_that_takes_too_long_is_truncated(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "a" / "b" / "shop").mkdir(parents=True)
    seconds = iter([0.0, 0.1, 0.2, DIRECTORY_SEARCH_S + 1])
    monkeypatch.setattr(time, "monotonic", lambda: next(seconds))
    assert find(root, "shop").is_truncated
    monkeypatch.undo()
    monkeypatch.setattr(folder_search, "DIRECTORY_SEARCH_VISITED_MAX", 2)
    assert find(root, "shop") == Folder(str(root), None, False, (), is_truncated=True)
