"""Searches directories by name below a directory on this machine's disk, nearest first, for a limited time.

As in folders.py, a directory is opened step by step from a root, and nothing outside of the roots is shown. Hidden
directories and those of dependencies are not searched. A symlink is followed to its target, each target once.
"""

import os
import time
from collections import deque
from collections.abc import Iterator
from typing import Final

from fleet.adapters.folders import entry_of, is_directory, is_repository, opened, parent_of, refusal, resolved
from fleet.limits import DIRECTORY_SEARCH_FOUND_MAX, DIRECTORY_SEARCH_S, DIRECTORY_SEARCH_VISITED_MAX
from fleet.ports import Folder, FolderEntry

_SKIPPED: Final = frozenset(("node_modules", "__pycache__"))


def search(path: str, query: str, roots: tuple[str, ...]) -> Folder:
    """See `Files.search`. Blocks for at most `DIRECTORY_SEARCH_S` plus one call to a slow disk."""
    real = resolved(path, roots)
    wanted = query.casefold()
    try:
        with opened(real, roots, os.O_RDONLY) as descriptor:
            is_repo = is_repository(".", descriptor)
    except OSError as error:
        raise refusal(path, error) from error
    found: list[FolderEntry] = []
    is_whole = True
    for entry in _below(real, roots, time.monotonic() + DIRECTORY_SEARCH_S):
        if entry is None or len(found) >= DIRECTORY_SEARCH_FOUND_MAX:
            is_whole = False
            break
        if wanted in entry.name.casefold():
            found.append(entry)
    found.sort(key=lambda entry: _rank(entry.name.casefold(), wanted))  # stable: nearer directories stay first
    return Folder(real, parent_of(real, roots), is_repo, tuple(found), is_truncated=not is_whole)


def _rank(name: str, wanted: str) -> int:
    return 0 if name == wanted else 1 if name.startswith(wanted) else 2


def _below(real: str, roots: tuple[str, ...], end_s: float) -> Iterator[FolderEntry | None]:
    """Yield all directories below one, nearest first; None where the search reaches its limit."""
    waiting, seen = deque([real]), {real}
    looks = 0
    while waiting:
        looks += 1
        if looks > DIRECTORY_SEARCH_VISITED_MAX or time.monotonic() > end_s:
            yield None
            return
        for entry in _entries(waiting.popleft(), roots):
            if entry.path not in seen:
                seen.add(entry.path)
                waiting.append(entry.path)
                yield entry


def _entries(real: str, roots: tuple[str, ...]) -> list[FolderEntry]:
    """Return the directories in a directory by name; none if it cannot be read or is removed."""
    try:
        with opened(real, roots, os.O_RDONLY) as descriptor:
            with os.scandir(descriptor) as found:
                names = sorted(each.name for each in found if not _is_skipped(each.name) and is_directory(each))
            entries = [entry_of(name, real, roots, descriptor) for name in names]
    except OSError:
        return []
    return [entry for entry in entries if entry is not None]


def _is_skipped(name: str) -> bool:
    return name.startswith(".") or name in _SKIPPED
