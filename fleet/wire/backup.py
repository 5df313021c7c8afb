"""Queries and parts of a backup, which `fleet backup` reads from a server: MessagePack, because most of it is bytes."""

from typing import Annotated

import msgspec

from fleet.limits import BACKUP_CONTENTS_MAX
from fleet.wire.bodies import Body, Position, Query
from fleet.wire.items import WireItem

_Name = Annotated[str, msgspec.Meta(max_length=4096)]
_Digest = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?$")]
_Digests = Annotated[
    str,
    msgspec.Meta(
        pattern=rf"^[0-9a-f]{{64}}(,[0-9a-f]{{64}}){{0,{BACKUP_CONTENTS_MAX - 1}}}$",
        description="Names of contents, separated by commas.",
    ),
]


class RecordsQuery(Query, frozen=True):
    """`GET /api/backup/log`."""

    after: Annotated[Position, msgspec.Meta(description="Records after this position.")] = 0
    through: Annotated[Position, msgspec.Meta(description="Up to this position.")] = 0


class ErasedQuery(Query, frozen=True):
    """`GET /api/backup/erased`."""

    after: Annotated[_Name, msgspec.Meta(description="Streams whose names come after this one.")] = ""


class OwnersQuery(Query, frozen=True):
    """`GET /api/backup/owners`."""

    after: Annotated[_Name, msgspec.Meta(description="Pairs after this owner.")] = ""
    digest: Annotated[_Digest, msgspec.Meta(description="Of that owner, contents after this one.")] = ""


class ContentsQuery(Query, frozen=True):
    """`GET /api/backup/contents`."""

    digests: _Digests


class FilesQuery(Query, frozen=True):
    """`GET /api/backup/files`."""

    after: Annotated[_Name, msgspec.Meta(description="Files whose paths come after this one.")] = ""


class BackupFileQuery(Query, frozen=True):
    """`GET /api/backup/file`."""

    path: Annotated[_Name, msgspec.Meta(description="A path that `/api/backup/files` lists.")]
    offset: Annotated[int, msgspec.Meta(ge=0, le=2**53, description="The first byte.")] = 0


class BackupBody(Body):
    """`POST /api/backup`. `directory` is where the client keeps the backup, as the log shall name it."""

    position: Position
    directory: _Name = ""


class BackupItem(WireItem, kw_only=True):
    """The newest backup: the position that it reaches, and when it was finished."""

    position: int
    made_at: str


class Records(msgspec.Struct, frozen=True):
    """Raw records of the log in order, each with the digest of its command, None without one."""

    records: list[tuple[bytes, bytes | None]]


class ErasedStreams(msgspec.Struct, frozen=True):
    """Streams whose erasure has begun, each with the position of its last erased event. `next`: the next `after`."""

    streams: list[tuple[str, int]]
    next: str | None = None


class Owners(msgspec.Struct, frozen=True):
    """Owners of contents in order, each with the digest of one content. `more`: the last one is not the end."""

    owners: list[tuple[str, bytes]]
    more: bool


class Contents(msgspec.Struct, frozen=True):
    """Contents by digest, compressed as they are stored.

    `done` digests of the request are covered; contents that do not exist any more are missing.
    """

    contents: list[tuple[bytes, bytes]]
    done: int


class BackupFile(msgspec.Struct, frozen=True):
    """A file of the data directory: its path below it, its size, and when it was changed."""

    path: str
    size_bytes: int
    modified_ns: int


class FileList(msgspec.Struct, frozen=True):
    """Files in the order of their paths. `more`: the last one is not the end."""

    files: list[BackupFile]
    more: bool


class FileChunk(msgspec.Struct, frozen=True):
    """Bytes of a file. `end`: there are no more."""

    content: bytes
    end: bool


class Origin(msgspec.Struct, frozen=True):
    """The data directory that is backed up: its id and place, and the end of its log."""

    id: str
    place: str
    head: int
    contents: int
