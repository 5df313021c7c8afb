"""The routes that `fleet backup` reads a Fleet through, part by part. For operators only, and never for agents.

The client writes the backup, so no request names a place on the server's disk. The parts hold the content of all
sessions, and what a restored server needs: digests of access tokens, secrets of webhooks, and the key that signs the
log. Bodies are MessagePack (fleet/wire/backup.py).
"""

from functools import partial
from typing import Any, Final

import msgspec
import trio
from quart import Response

from fleet.actors.caller import Caller
from fleet.actors.fleet import Fleet
from fleet.core.server import BackupMade
from fleet.core.times import rfc3339
from fleet.errors import Rejected
from fleet.events.backup_source import BackupSource
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.responses import PACKED
from fleet.gateway.server.requests import json_response
from fleet.gateway.server.visitor import Visitor
from fleet.wire.backup import (
    BackupBody,
    BackupFileQuery,
    BackupItem,
    ContentsQuery,
    ErasedQuery,
    FilesQuery,
    OwnersQuery,
    RecordsQuery,
)

_REFUSES: Final = ("read_only", "agent_refused")
_pack: Final = msgspec.msgpack.Encoder().encode

endpoint = Endpoints("/api/backup", "log")


class BackupReads(BackupSource):
    """The parts of a backup of one Fleet."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(fleet.log, fleet.blobs, fleet.directory)


@endpoint("GET", gives=PACKED, refuses=_REFUSES)
async def begin_backup(reads: BackupReads, visitor: Visitor, caller: Caller) -> Response:
    """Read what a backup is of: the id and place of the data directory, and the end of its log.

    For operators only, as all routes of a backup. `fleet backup` uses them.
    """
    _check(visitor, caller)
    return _packed(reads.origin())


@endpoint("GET /log", gives=PACKED, refuses=_REFUSES)
async def back_up_records(reads: BackupReads, query: RecordsQuery, visitor: Visitor, caller: Caller) -> Response:
    """Read raw records of the log, with the digests of their commands.

    A response has about 1 MiB. For operators only.
    """
    _check(visitor, caller)
    return _packed(reads.records(query.after, query.through))


@endpoint("GET /erased", gives=PACKED, refuses=_REFUSES)
async def back_up_erasures(reads: BackupReads, query: ErasedQuery, visitor: Visitor, caller: Caller) -> Response:
    """Read the names of erased streams, which a backup has to erase as well.

    For operators only.
    """
    _check(visitor, caller)
    return _packed(reads.erased(query.after))


@endpoint("GET /owners", gives=PACKED, refuses=_REFUSES)
async def back_up_owners(reads: BackupReads, query: OwnersQuery, visitor: Visitor, caller: Caller) -> Response:
    """Read which contents exist, and the streams that own them.

    For operators only.
    """
    _check(visitor, caller)
    return _packed(reads.owners(query.after, query.digest))


@endpoint("GET /contents", gives=PACKED, refuses=_REFUSES)
async def back_up_contents(reads: BackupReads, query: ContentsQuery, visitor: Visitor, caller: Caller) -> Response:
    """Read contents by name, compressed as they are stored.

    A response has about 1 MiB; `done` says how many of the names it covers. For operators only.
    """
    _check(visitor, caller)
    return _packed(reads.contents(query.digests.split(",")))


@endpoint("GET /files", gives=PACKED, refuses=_REFUSES)
async def back_up_files(reads: BackupReads, query: FilesQuery, visitor: Visitor, caller: Caller) -> Response:
    """Read the names of the other files of a backup: tokens, signing key, webhook secrets, snapshots.

    For operators only.
    """
    _check(visitor, caller)
    return _packed(await trio.to_thread.run_sync(reads.files, query.after))


@endpoint("GET /file", gives=PACKED, refuses=(*_REFUSES, "file_not_found"))
async def back_up_file(reads: BackupReads, query: BackupFileQuery, visitor: Visitor, caller: Caller) -> Response:
    """Read bytes of one of these files, at most 1 MiB.

    For operators only.
    """
    _check(visitor, caller)
    return _packed(await trio.to_thread.run_sync(reads.file, query.path, query.offset))


@endpoint(
    "POST",
    gives=BackupItem,
    examples=({"position": 42, "directory": "/home/user/fleet-backup"},),
    refuses=("agent_refused",),
)
async def record_backup(
    fleet: Fleet, reads: BackupReads, body: BackupBody, visitor: Visitor, caller: Caller
) -> Response:
    """Record that a backup up to a position was finished.

    The log names the caller, and `fleet doctor` says how old the backup is. For operators only.
    """
    _check(visitor, caller)
    if body.position > fleet.log.head():
        raise Rejected("invalid", f"the log ends at position {fleet.log.head()}", field="position")
    now_ms = fleet.context.clock.now_ms()
    await trio.to_thread.run_sync(partial(reads.record, body.position, now_ms))
    fact = BackupMade(directory=body.directory, through=body.position, at_ms=now_ms)
    await fleet.records.note(fact, caller.cause)
    return json_response(BackupItem(position=body.position, made_at=rfc3339(now_ms)), position=fleet.log.head())


def _check(visitor: Visitor, caller: Caller) -> None:
    """Raise `Rejected` read_only for a viewer, agent_refused for a session."""
    visitor.require_operator()
    if caller.on_behalf_of is not None:
        raise Rejected("agent_refused", "a session cannot make backups", hint="Ask a person to do it.")


def _packed(part: Any) -> Response:
    return Response(_pack(part), 200, content_type="application/vnd.msgpack")
