"""Browsing directories: inside of the roots only, with every kind of symlink."""

import os
import subprocess
from pathlib import Path

import pytest

from fleet.adapters.folders import browse, make_directory
from fleet.errors import Rejected


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path.resolve() / "root"
    root.mkdir()
    (tmp_path / "outside").mkdir()
    return root


def refused(code: str, path: str | Path, *roots: Path, make: bool = False) -> Rejected:
    with pytest.raises(Rejected) as rejected:
        (make_directory if make else browse)(str(path), tuple(str(each) for each in roots))
    assert (rejected.value.code, rejected.value.field) == (code, "path")
    return rejected.value


def names(path: Path, root: Path) -> list[str]:
    return [entry.name for entry in browse(str(path), (str(root),)).entries]


def test_lists_directories_by_name_and_knows_repositories(root: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(root / "work")], check=True)
    subprocess.run(["git", "init", "--quiet", "--bare", str(root / "bare.git")], check=True)
    (root / "plain").mkdir()
    (root / "linked-worktree").mkdir()
    (root / "linked-worktree" / ".git").write_text("gitdir: elsewhere\n")
    (root / "file").touch()
    found = browse(str(root), (str(root),))
    assert (found.path, found.parent, found.is_git_repo) == (str(root), None, False)
    assert [(entry.name, entry.is_git_repo) for entry in found.entries] == [
        ("bare.git", True),
        ("linked-worktree", True),
        ("plain", False),
        ("work", True),
    ]
    below = browse(str(root / "work"), (str(root),))
    assert (below.is_git_repo, below.parent) == (True, str(root))


def test_symlinks_are_listed_by_their_target_inside_the_roots(root: Path) -> None:
    (root / "real").mkdir()
    (root / "inside").symlink_to("real")
    (root / "outside").symlink_to("../outside")
    (root / "dangling").symlink_to("nowhere")
    (root / "circle").symlink_to("circle")
    found = browse(str(root), (str(root),))
    assert [(entry.name, entry.path) for entry in found.entries] == [
        ("inside", str(root / "real")),
        ("real", str(root / "real")),
    ]
    assert browse(str(root / "inside"), (str(root),)).path == str(root / "real")
    refused("directory_outside_roots", root / "outside", root)
    refused("directory_outside_roots", root / "real" / ".." / "..", root)


def test_errors_do_not_describe_paths_outside_the_roots(root: Path) -> None:
    for path in ("/", "/etc", "/nowhere/at/all", str(root.parent / "outside"), f"{root}-not"):
        refused("directory_outside_roots", path, root)
        refused("directory_outside_roots", f"{path}/new", root, make=True)


def test_wrong_paths(root: Path) -> None:
    (root / "file").touch()
    refused("not_a_directory", root / "file", root)
    refused("directory_missing", root / "missing", root)
    refused("directory_missing", "relative", root)
    refused("directory_missing", f"{root}/a\0b", root)
    refused("directory_missing", f"{root}/\ud800", root)
    refused("directory_missing", root / ("x" * 300), root)


def test_a_directory_that_can_be_entered_but_not_read(root: Path) -> None:
    (root / "closed" / "inside").mkdir(parents=True)
    (root / "closed").chmod(0o311)
    try:
        if os.geteuid() != 0:
            refused("directory_unreadable", root / "closed", root)
        assert browse(str(root / "closed" / "inside"), (str(root),)).entries == ()
    finally:
        (root / "closed").chmod(0o700)


def test_names_that_are_not_utf_8_are_left_out(root: Path) -> None:
    (root / "\udcff").mkdir()
    (root / "text").mkdir()
    assert names(root, root) == ["text"]


def test_symlink_that_appears_meanwhile_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "a").mkdir()
    real = os.path.realpath

    def swapped(path: str) -> str:
        found = real(path)
        if path == str(root / "a"):
            (root / "a").rmdir()
            (root / "a").symlink_to("../outside")
        return found

    monkeypatch.setattr(os.path, "realpath", swapped)
    refused("not_a_directory", root / "a", root)


def test_makes_a_directory(root: Path) -> None:
    made = make_directory(f"{root}/new", (str(root),))
    assert (made.path, made.parent, made.entries) == (str(root / "new"), str(root), ())
    assert (root / "new").is_dir()
    refused("directory_exists", root / "new", root, make=True)
    refused("directory_missing", root / "missing" / "new", root, make=True)
    refused("directory_unwritable", root / ("x" * 300), root, make=True)
    refused("directory_unwritable", f"{root}/\ud800", root, make=True)
    for path in ("/", "", "..", f"{root}/.."):
        refused("invalid", path, root, make=True)


def test_the_root_of_the_file_system_is_a_root() -> None:
    found = browse("/", ("/",))
    assert (found.path, found.parent) == ("/", None)
    assert "etc" in [entry.name for entry in found.entries]
    assert browse("/etc", ("/",)).parent == "/"
