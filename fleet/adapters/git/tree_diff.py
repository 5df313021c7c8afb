r"""Compares two trees of a snapshot repository, with contents.

git compares (`diff-tree`: renames, modes, line counts) and prints the contents, which are cut to the limits here. Only
its content decides whether a file is binary: the workspace, with its attributes, may no longer exist.
"""

import base64
import os
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import structlog

from fleet.adapters.git.snapshot_repository import SnapshotRepository
from fleet.errors import Problem
from fleet.limits import DIFF_BYTES_MAX, DIFF_FILE_BYTES_MAX, DIFF_FILES_MAX, DIFF_RENAMES_MAX
from fleet.ports import ChangeStatus, FileChange

_log = structlog.get_logger(__name__)

_GITLINK = "160000"
_NO_MODE = "000000"
_STATUSES: dict[str, ChangeStatus] = {"A": "added", "D": "deleted"}


class _Raw(NamedTuple):
    """One file as `diff-tree` lists it; paths are in git's form. `counts` is None for a binary file."""

    mode_before: str
    mode_after: str
    before: str
    after: str
    status: str
    path: str
    old_path: str | None
    counts: tuple[int, int] | None = None


async def compare(store: SnapshotRepository, before: str, after: str) -> tuple[FileChange, ...]:
    """Return the differences, sorted by file. Raises `Problem`: tree_gone, git_failed."""
    _require_ids(before, after)
    output = await store.attempt(
        "diff-tree",
        *("-r", "-z", "--raw", "--numstat", "--no-abbrev", "--no-ext-diff", "--no-textconv"),
        *("--find-renames", f"-l{DIFF_RENAMES_MAX}", before, after),
    )
    if output.code != 0:
        await require_trees(store, before, after)
        raise output.failed()
    found = sorted(_parse(output.stdout), key=lambda raw: _shown(raw.path))
    if len(found) > DIFF_FILES_MAX:
        _log.warning("diff_cut", files=len(found), shown=DIFF_FILES_MAX)
    found = found[:DIFF_FILES_MAX]
    contents = await _contents(store, found)
    return tuple(_change(raw, contents) for raw in found)


async def require_trees(store: SnapshotRepository, *trees: str) -> None:
    """Raise `Problem` tree_gone if a store lacks one of the trees, git_failed if git fails."""
    _require_ids(*trees)
    listed = await store.run("cat-file", "--batch-check=%(objecttype)", stdin="\n".join((*trees, "")).encode())
    for tree, kind in zip(trees, listed.split("\n"), strict=True):
        if kind != "tree":
            raise _gone(tree)


def _require_ids(*trees: str) -> None:
    for tree in trees:
        if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", tree):
            raise _gone(tree)


def _parse(listed: str) -> list[_Raw]:
    """Parse `--raw --numstat -z`: first every raw record, then the counts in the same order."""
    fields = iter(listed.split("\0")[:-1])
    found: list[_Raw] = []
    counts: dict[str, tuple[int, int] | None] = {}
    for field in fields:
        if field.startswith(":"):
            mode_before, mode_after, before, after, status = field[1:].split(" ")
            old_path = next(fields) if status[0] in "RC" else None
            found.append(_Raw(mode_before, mode_after, before, after, status[0], next(fields), old_path))
            continue
        added, deleted, path = field.split("\t", 2)
        if not path:  # a rename: both names follow
            next(fields)
            path = next(fields)
        counts[path] = None if added == "-" else (int(added), int(deleted))
    return [raw._replace(counts=counts.get(raw.path, (0, 0))) for raw in found]


def _sides(raw: _Raw) -> Iterator[str]:
    """Yield the blobs of a change."""
    for mode, blob in ((raw.mode_before, raw.before), (raw.mode_after, raw.after)):
        if mode not in (_GITLINK, _NO_MODE):
            yield blob


async def _contents(store: SnapshotRepository, found: Iterable[_Raw]) -> dict[str, tuple[bytes, bool]]:
    """Return each blob's content and whether it was cut, within the limits, which the first files use first."""
    blobs = list(dict.fromkeys(blob for raw in found for blob in _sides(raw)))
    if not blobs:
        return {}
    contents: dict[str, tuple[bytes, bool]] = {}
    whole: list[str] = []
    left = DIFF_BYTES_MAX
    for blob, size in (await _sizes(store, blobs)).items():
        allowed = min(size, DIFF_FILE_BYTES_MAX, left)
        left -= allowed
        if allowed == size:
            whole.append(blob)
        else:
            contents[blob] = (await store.head(allowed, "cat-file", "blob", blob) if allowed else b"", True)
    return contents | await _whole(store, whole)


async def _sizes(store: SnapshotRepository, blobs: list[str]) -> dict[str, int]:
    asked = "\n".join((*blobs, "")).encode()
    listed = (await store.run("cat-file", "--batch-check=%(objectsize)", stdin=asked)).split("\n")
    for blob, size in zip(blobs, listed, strict=True):
        if not size.isdecimal():
            raise _gone(blob)
    return {blob: int(size) for blob, size in zip(blobs, listed, strict=True)}


async def _whole(store: SnapshotRepository, blobs: list[str]) -> dict[str, tuple[bytes, bool]]:
    if not blobs:
        return {}
    output = await store.attempt("cat-file", "--batch=%(objectsize)", stdin="\n".join((*blobs, "")).encode())
    if output.code != 0:
        raise output.failed()
    text = os.fsencode(output.stdout)
    contents: dict[str, tuple[bytes, bool]] = {}
    at = 0
    for blob in blobs:
        begin = text.index(b"\n", at) + 1
        if not text[at : begin - 1].isdigit():
            raise _gone(blob)
        end = begin + int(text[at : begin - 1])
        contents[blob] = (text[begin:end], False)
        at = end + 1
    return contents


def _change(raw: _Raw, contents: dict[str, tuple[bytes, bool]]) -> FileChange:
    before, before_cut = _side(raw.mode_before, raw.before, contents)
    after, after_cut = _side(raw.mode_after, raw.after, contents)
    additions, deletions = raw.counts or (0, 0)
    return FileChange(
        file=_shown(raw.path),
        status=_STATUSES.get(raw.status, "modified"),
        additions=additions,
        deletions=deletions,
        is_binary=raw.counts is None,
        is_truncated=before_cut or after_cut,
        before=before,
        after=after,
        mode_before=None if raw.mode_before == _NO_MODE else raw.mode_before,
        mode_after=None if raw.mode_after == _NO_MODE else raw.mode_after,
        old_file=None if raw.old_path is None else _shown(raw.old_path),
        file_bytes=_bytes(raw.path),
        old_file_bytes=None if raw.old_path is None else _bytes(raw.old_path),
    )


def _side(mode: str, blob: str, contents: dict[str, tuple[bytes, bool]]) -> tuple[bytes | None, bool]:
    if mode == _NO_MODE:
        return None, False
    if mode == _GITLINK:
        return f"Subproject commit {blob}\n".encode(), False  # as `git diff` shows it
    return contents[blob]


def _shown(path: str) -> str:
    return os.fsencode(path).decode(errors="backslashreplace")


def _bytes(path: str) -> str | None:
    """Return a name that is not UTF-8 in base64, None for any other."""
    name = os.fsencode(path)
    try:
        name.decode()
    except UnicodeDecodeError:
        return base64.b64encode(name).decode()
    return None


def _gone(name: str) -> Problem:
    return Problem(
        "tree_gone",
        f"the snapshot {name!r} can no longer be read",
        hint="The workspace's repository has deleted objects of it; diffs that were stored before still exist.",
    )
