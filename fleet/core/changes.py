"""What a turn or a session has changed: the manifest that lists the files, whose contents are blobs.

Where a directory has one session, its diff is that of two trees. Where sessions share one, it is composed of the diffs
of its own turns, because the trees hold what the others did as well.
"""

from difflib import SequenceMatcher
from typing import Final

import msgspec

from fleet.core.session.values import Totals
from fleet.limits import DIFF_COUNT_LINES_MAX
from fleet.ports import ChangeStatus, FileChange


class ChangedFile(msgspec.Struct, frozen=True):
    """A file of a manifest: as `FileChange`, with the digests of its contents in place of them."""

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


class Manifest(msgspec.Struct, frozen=True):
    """The files that differ, sorted by name."""

    files: tuple[ChangedFile, ...] = ()

    def totals(self) -> Totals:
        """Return how much changes."""
        return Totals(
            len(self.files), sum(file.additions for file in self.files), sum(file.deletions for file in self.files)
        )


_decode: Final = msgspec.json.Decoder(Manifest).decode


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the manifest as it is kept."""
    return msgspec.json.encode(manifest)


def decode_manifest(blob: bytes) -> Manifest:
    """Return the manifest that `encode_manifest` made."""
    return _decode(blob)


def contents(changes: tuple[FileChange, ...]) -> list[bytes]:
    """Return the contents that have to be kept, two for each change where both are there, in order."""
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
            )
            for change in changes
        )
    )


def composed(earlier: Manifest, later: Manifest) -> Manifest:
    """Return what both do, one after the other. Line counts are added up: `line_counts` tells them truly."""
    files = {file.file: file for file in earlier.files}
    for file in later.files:
        before = files.pop(file.old_file or file.file, None) or files.pop(file.file, None)
        files[file.file] = file if before is None else _joined(before, file)
    changed = (file for file in files.values() if (file.before, file.mode_before) != (file.after, file.mode_after))
    return Manifest(tuple(sorted(changed, key=lambda file: file.file)))


def _joined(first: ChangedFile, second: ChangedFile) -> ChangedFile:
    status: ChangeStatus = "modified"
    if first.before is None:
        status = "added"
    elif second.after is None:
        status = "deleted"
    return ChangedFile(
        second.file,
        status,
        first.additions + second.additions,
        first.deletions + second.deletions,
        first.is_binary or second.is_binary,
        first.is_truncated or second.is_truncated,
        first.before,
        second.after,
        first.mode_before,
        second.mode_after,
        first.old_file,
    )


def line_counts(before: bytes, after: bytes) -> tuple[int, int] | None:
    """Return (additions, deletions) in lines; None where the texts are too long to be compared here."""
    old, new = before.splitlines(), after.splitlines()
    if len(old) + len(new) > DIFF_COUNT_LINES_MAX:
        return None
    added = deleted = 0
    for tag, old_start, old_end, new_start, new_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            added += new_end - new_start
            deleted += old_end - old_start
    return added, deleted
