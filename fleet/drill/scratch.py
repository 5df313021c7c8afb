"""Scratch copies of a data directory: of what the log and its views need, and of nothing that runs or works.

The original is only read. No server is started on a copy, so no process of the original can be adopted or stopped.
"""

import shutil
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from fleet.errors import StartupError
from fleet.events.data_lock import lock_holder, shared_lock
from fleet.events.lmdb_store import LOG_FILE
from fleet.events.signing import KEY_FILE, PUBLIC_FILE
from fleet.limits import MIB

_FILES: Final = (LOG_FILE, KEY_FILE, PUBLIC_FILE)
_VIEWS: Final = "views"
_COPIES_MAX: Final = 2  # the copy of the original, and the one that a drill breaks


@contextmanager
def scratch_copy(data_dir: Path, place: Path | None) -> Generator[Path]:
    """Copy log and views into a temporary directory in `place`, which is removed at the end.

    Raises `StartupError` where there is no log, or no room.
    """
    log = data_dir / LOG_FILE
    if not log.is_file():
        raise StartupError(f"There is no event log in {data_dir}: name a Fleet's data directory with --data-dir.")
    parent = Path(tempfile.gettempdir()) if place is None else place
    needed_bytes = _COPIES_MAX * (_size_bytes(log) + _size_bytes(data_dir / _VIEWS)) + 64 * MIB
    with ExitStack() as cleanup:
        try:
            copy = _copied(data_dir, parent, needed_bytes, cleanup)
        except OSError as error:
            raise StartupError(f"The scratch copy cannot be made in {parent}: {error.strerror}.") from error
        yield copy


def _copied(data_dir: Path, parent: Path, needed_bytes: int, cleanup: ExitStack) -> Path:
    free_bytes = shutil.disk_usage(parent).free
    if free_bytes < needed_bytes:
        raise StartupError(
            f"A drill needs {needed_bytes // MIB:,} MiB in {parent}, where {free_bytes // MIB:,} MiB are free: "
            "free space, or name another directory with --scratch."
        )
    scratch = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="fleet-drill-", dir=parent))
    copy = Path(scratch) / "copy"
    _copy_original(data_dir, copy)
    return copy


@contextmanager
def broken_copy(copy: Path) -> Generator[Path]:
    """Copy the log again, for a drill that breaks it."""
    with tempfile.TemporaryDirectory(prefix="broken-", dir=copy.parent) as directory:
        _copy_files(copy, Path(directory))
        yield Path(directory)


def _copy_original(data_dir: Path, copy: Path) -> None:
    copy.mkdir(mode=0o700)
    if lock_holder(data_dir) is None:
        with shared_lock(data_dir):
            _copy_files(data_dir, copy)
            if (data_dir / _VIEWS).is_dir():
                shutil.copytree(data_dir / _VIEWS, copy / _VIEWS)
    else:  # a server writes to it: the log alone, whose copy the first drill verifies
        _copy_files(data_dir, copy)


def _copy_files(source: Path, target: Path) -> None:
    for name in _FILES:
        if (source / name).exists():
            shutil.copy(source / name, target / name)
    (target / KEY_FILE).chmod(0o600) if (target / KEY_FILE).exists() else None


def _size_bytes(path: Path) -> int:
    return sum(each.stat().st_size for each in (path, *path.rglob("*")) if each.is_file())
