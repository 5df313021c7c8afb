"""Files that no other user reads: private from the first moment on, and replaced as a whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from fleet.private_files import make_private_directory, replacing, write_private


def mode_of(file: Path) -> int:
    return stat.S_IMODE(file.lstat().st_mode)


@pytest.mark.parametrize("durable", [False, True])
def test_private_file_replaces_one_that_others_could_read(tmp_path: Path, *, durable: bool) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"old and longer")
    file.chmod(0o644)
    write_private(file, b"new", durable=durable)
    assert (file.read_bytes(), mode_of(file)) == (b"new", 0o600)
    assert list(tmp_path.iterdir()) == [file]


def test_private_file_follows_no_link(tmp_path: Path) -> None:
    file, elsewhere = tmp_path / "secret", tmp_path / "elsewhere"
    for link in (file, file.with_name("secret.new")):
        link.symlink_to(elsewhere)
    write_private(file, b"new")
    assert not elsewhere.exists()
    assert (file.read_bytes(), file.is_symlink()) == (b"new", False)


def test_private_file_stays_as_it_was_where_the_new_one_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    write_private(file, b"old")

    def fails(descriptor: int) -> None:
        raise OSError("no room")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="no room"):
        write_private(file, b"new", durable=True)
    assert file.read_bytes() == b"old"


def test_private_file_stays_as_it_was_where_its_writer_fails(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    write_private(file, b"old")
    with pytest.raises(ValueError, match="bytes"), replacing(file) as new:
        new.writelines([b"half of the n", bytes([256])])
    assert file.read_bytes() == b"old"


def test_private_directories_are_private_all_the_way(tmp_path: Path) -> None:
    make_private_directory(tmp_path / "one" / "two")
    assert [mode_of(tmp_path / "one"), mode_of(tmp_path / "one" / "two")] == [0o700, 0o700]
