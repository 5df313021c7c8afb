"""The manifest: the list of files that a turn or a session has changed, whose contents are blobs.

If one session works in a directory, its diff is computed between two trees. If several do, a session's diff is composed
of the diffs of its turns, because the trees also contain the changes of the other sessions.
"""

from collections.abc import Iterator
from io import BytesIO
from typing import Final

import msgspec
from msgspec.structs import replace

from fleet.core.session.values import Totals
from fleet.limits import DIFF_COUNT_EDITS_MAX, DIFF_COUNT_LINES_MAX
from fleet.ports import ChangeStatus, FileChange


class ChangedFile(msgspec.Struct, frozen=True):
    """A changed file in a manifest: a `FileChange` with digests in place of contents."""

    file: str
    status: ChangeStatus
    additions: int
    deletions: int
    is_binary: bool
    is_truncated: bool
    before: str | None
    after: str | None
    mode_before: str | None = None
    mode_after: str | None = None
    old_file: str | None = None
    file_bytes: str | None = None
    old_file_bytes: str | None = None


class Manifest(msgspec.Struct, frozen=True):
    """The files that differ, sorted by name."""

    files: tuple[ChangedFile, ...] = ()

    def totals(self) -> Totals:
        """Return the number of files and of added and deleted lines."""
        return Totals(
            len(self.files), sum(file.additions for file in self.files), sum(file.deletions for file in self.files)
        )


_decode: Final = msgspec.json.Decoder(Manifest).decode


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the manifest as it is stored."""
    return msgspec.json.encode(manifest)


def decode_manifest(blob: bytes) -> Manifest:
    """Return the manifest that `encode_manifest` made."""
    return _decode(blob)


def contents(changes: tuple[FileChange, ...]) -> list[bytes]:
    """Return the contents to store, in order: for each change the old and the new one, where they exist."""
    return [content for change in changes for content in (change.before, change.after) if content is not None]


def manifest_of(changes: tuple[FileChange, ...], digests: list[str]) -> Manifest:
    """Return the manifest of `changes`, whose `contents` have these digests."""
    remaining = iter(digests)
    return Manifest(
        tuple(
            ChangedFile(
                change.file,
                change.status,
                change.additions,
                change.deletions,
                change.is_binary,
                change.is_truncated,
                None if change.before is None else next(remaining),
                None if change.after is None else next(remaining),
                change.mode_before,
                change.mode_after,
                change.old_file,
                change.file_bytes,
                change.old_file_bytes,
            )
            for change in changes
        )
    )


def composed(earlier: Manifest, later: Manifest) -> Manifest:
    """Return the changes of `earlier` followed by `later`. Line counts are sums; `line_counts` gives exact ones."""
    edits: dict[str, ChangedFile] = {}
    for file in (*_by_path(earlier), *_by_path(later)):
        before = edits.get(file.file)
        edits[file.file] = file if before is None else _joined(before, file, file.file)
    edits = {path: edit for path, edit in edits.items() if edit.before is not None or edit.after is not None}
    for new, old in _origins(earlier, later).items():
        added, deleted = edits.get(new), edits.get(old)
        if added and deleted and added.status == "added" and deleted.status == "deleted":
            edits[new] = _joined(deleted, added, new)
            del edits[old]
    return Manifest(tuple(sorted(filter(_differs, edits.values()), key=lambda file: file.file)))


def _by_path(manifest: Manifest) -> Iterator[ChangedFile]:
    """Yield the change of each path: a rename is a deletion of one path and an addition, with the line counts."""
    for file in manifest.files:
        if file.old_file is None:
            yield file
            continue
        yield replace(
            file,
            file=file.old_file,
            old_file=None,
            file_bytes=file.old_file_bytes,
            old_file_bytes=None,
            status="deleted",
            additions=0,
            deletions=0,
            after=None,
            mode_after=None,
        )
        yield replace(file, old_file=None, old_file_bytes=None, status="added", before=None, mode_before=None)


def _origins(earlier: Manifest, later: Manifest) -> dict[str, str]:
    """Return the renamed files and their original names."""
    first = {file.file: file.old_file for file in earlier.files if file.old_file is not None}
    then = {file.file: file.old_file for file in later.files if file.old_file is not None}
    moved_on = {new: first.pop(old, old) for new, old in then.items()}
    return {**first, **moved_on}


def _joined(first: ChangedFile, second: ChangedFile, name: str) -> ChangedFile:
    status: ChangeStatus = "modified"
    if first.before is None:
        status = "added"
    elif second.after is None:
        status = "deleted"
    return ChangedFile(
        name,
        status,
        first.additions + second.additions,
        first.deletions + second.deletions,
        first.is_binary or second.is_binary,
        first.is_truncated or second.is_truncated,
        first.before,
        second.after,
        first.mode_before,
        second.mode_after,
        None if first.file == name else first.file,
        second.file_bytes,
        None if first.file == name else first.file_bytes,
    )


def _differs(file: ChangedFile) -> bool:
    """Return whether the file still differs; truncated contents count as different."""
    renamed_or_cut = file.old_file is not None or file.is_truncated
    return renamed_or_cut or (file.before, file.mode_before) != (file.after, file.mode_after)


def line_counts(before: bytes, after: bytes) -> tuple[int, int] | None:
    """Return the smallest number of (added, deleted) lines; None if the texts are too different to compare here.

    A line ends with its newline, as git has it: CRLF is not LF, and a last line without one is another line.
    """
    old, new = BytesIO(before).readlines(), BytesIO(after).readlines()
    if len(old) + len(new) > DIFF_COUNT_LINES_MAX:
        return None
    in_old, in_new = set(old), set(new)  # a line that only one side has is counted without a search
    shared_old = [line for line in old if line in in_new]
    shared_new = [line for line in new if line in in_old]
    edits = _edits(shared_old, shared_new)
    if edits is None:
        return None
    common = (len(shared_old) + len(shared_new) - edits) // 2
    return len(new) - common, len(old) - common


def _edits(old: list[bytes], new: list[bytes]) -> int | None:
    """Return how many lines are deleted or added; None above `DIFF_COUNT_EDITS_MAX` (Myers's greedy algorithm)."""
    furthest = {1: 0}
    for edits in range(min(len(old) + len(new), DIFF_COUNT_EDITS_MAX) + 1):
        for diagonal in range(-edits, edits + 1, 2):
            comes = diagonal == -edits or (diagonal != edits and furthest[diagonal - 1] < furthest[diagonal + 1])
            at = furthest[diagonal + 1] if comes else furthest[diagonal - 1] + 1
            while at < len(old) and at - diagonal < len(new) and old[at] == new[at - diagonal]:
                at += 1
            furthest[diagonal] = at
            if at >= len(old) and at - diagonal >= len(new):
                return edits
    return None
