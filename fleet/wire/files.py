"""Queries and response bodies of the files of a session."""

from typing import Annotated, Literal

import msgspec

from fleet.wire.bodies import At, InstanceQuery
from fleet.wire.items import Encoding, WireItem


class FileQuery(InstanceQuery, frozen=True):
    """`GET /api/sessions/{id}/files/{path}`."""

    at: At = None


class SessionFilesQuery(FileQuery, frozen=True):
    """`GET /api/sessions/{id}/files`."""

    path: Annotated[str, msgspec.Meta(description="A file or a directory; by default the session's directory.")] = ""


class FileEntryItem(WireItem, kw_only=True):
    """An entry of a directory; `path` is relative to the session's directory."""

    name: str
    path: str
    type: Literal["file", "directory", "symlink", "other"]
    size_bytes: int | None


class FileItem(WireItem, kw_only=True):
    """A file or a directory of a session. What is missing of it is counted in `sizeBytes` or `total`.

    A directory has `entries`, a file `content`: as text where it is UTF-8, else in base64. Of an earlier moment
    `asOfPosition` is the event of the log with whose snapshot it was so. `asOfTurn` is the last turn before the
    snapshot, null before the first turn and within a turn; within one, `asOfPart` is the tool call after which it was
    taken. `running`: a turn ran at that moment, whose later changes are not in it.
    """

    path: str
    type: Literal["file", "directory"]
    is_truncated: bool
    entries: list[FileEntryItem] | None = None
    total: int | None = None
    encoding: Encoding | None = None
    content: str | None = None
    size_bytes: int | None = None
    as_of_position: int | None = None
    as_of_turn: int | None = None
    as_of_part: str | None = None
    running: bool = False
