"""A data directory knows whether it is the original: renames, copies, links, and damage of its file."""

import shutil
from pathlib import Path

import pytest

from fleet.errors import StartupError
from fleet.events.data_lock import DataLock
from fleet.events.directory_identity import is_home, read_identity, require_home, write_identity


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path.resolve() / "above" / "data"
    home.mkdir(parents=True)
    write_identity(home, "an-id")
    return home


def refused(directory: Path) -> str:
    with pytest.raises(StartupError) as refusal:
        require_home(directory)
    return str(refusal.value)


def test_a_new_directory_has_no_identity_and_may_start(tmp_path: Path) -> None:
    assert read_identity(tmp_path / "missing") is None
    require_home(tmp_path / "missing")
    require_home(tmp_path)


def test_a_directory_at_home_may_start_also_through_a_link(home: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(home)
    require_home(home)
    require_home(tmp_path / "link")
    assert (home / "identity.json").stat().st_mode & 0o777 == 0o600


def test_a_copy_is_refused_and_names_the_server_of_the_original(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home, tmp_path / "copy")
    said = refused(tmp_path / "copy")
    assert f"is a copy of {home} (no server runs there)" in said
    assert f"fleet restore --in-place {tmp_path / 'copy'}" in said
    assert f"fleet serve --read-only --data-dir {tmp_path / 'copy'}" in said
    lock = DataLock(home)
    try:
        assert "(a server runs there, process " in refused(tmp_path / "copy")
    finally:
        lock.close()
    require_home(home)


def test_a_directory_whose_parent_was_renamed_is_refused_until_it_is_moved_back(home: Path) -> None:
    moved = home.parent.rename(home.parent.with_name("elsewhere")) / "data"
    said = refused(moved)
    assert f"was moved or copied from {home}" in said
    assert f"Move it back to {home}" in said
    moved.parent.rename(home.parent)
    require_home(home)


def test_a_copy_that_replaced_the_original_is_refused(home: Path) -> None:
    shutil.copytree(home, home.with_name("copy"))
    home.rename(home.with_name("old"))
    home.with_name("copy").rename(home)
    assert "is a copy that replaced the original" in refused(home)
    assert "Move it back" not in refused(home)
    write_identity(home, "a-new-id")
    require_home(home)


def test_an_identity_that_cannot_be_read_is_reported(home: Path) -> None:
    (home / "identity.json").write_text("{")
    assert "identity.json cannot be read" in refused(home)


def test_a_repeated_write_leaves_the_directory_at_home(home: Path) -> None:
    (home / "identity.json.new").write_text("of a crash")
    written = write_identity(home, "an-id")
    assert read_identity(home) == written
    assert is_home(home, written)
