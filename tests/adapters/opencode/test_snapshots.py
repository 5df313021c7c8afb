"""What is deleted of OpenCode's snapshots: those of a work tree that is gone."""

import hashlib
from pathlib import Path

from fleet.adapters.opencode.snapshots import forget_snapshots


def test_snapshots_of_a_work_tree_that_is_gone_are_deleted(tmp_path: Path) -> None:
    there, gone = tmp_path / "there", tmp_path / "gone"
    there.mkdir()
    kept = [tmp_path / "snapshot" / "p" / hashlib.sha1(str(each).encode()).hexdigest() for each in (there, gone)]
    for repository in kept:
        (repository / "objects").mkdir(parents=True)
    for directory in (there, gone, gone):
        forget_snapshots(tmp_path, str(directory))
    assert [repository.exists() for repository in kept] == [True, False]
    forget_snapshots(tmp_path / "nothing", str(gone))
