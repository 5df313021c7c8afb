"""The routes for diffs: what a session has changed, in total, in one turn, or as of a log position, and contents.

Contents come from the blob store, so that they can be read when workspace, instance and OpenCode are gone. While a turn
runs, its diff and the whole session's are those of this moment. Nothing here holds up others for long: the index
names the records (projections/change_records.py), manifests and contents are read a few at a time.
"""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import trio
from quart import Response
from werkzeug.http import parse_etags

from fleet.actors.effects.diffs import LiveDiff
from fleet.actors.fleet import Fleet
from fleet.core.manifest import ChangedFile, Manifest, encode_manifest
from fleet.core.session.state import RUNNING
from fleet.core.session.state import State as Session
from fleet.core.session.turn_events import ChangesRecorded
from fleet.errors import Problem, Rejected
from fleet.events.blobs import name_of
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.refusals import SESSION
from fleet.gateway.openapi.responses import BYTES, json
from fleet.gateway.routes.files_and_todos import text_of
from fleet.gateway.server.moments import Moment
from fleet.gateway.server.requests import list_response
from fleet.projections.change_records import UnknownTurn
from fleet.wire.bodies import DiffQuery, InstanceQuery
from fleet.wire.items import DiffItem, Encoding

_IMMUTABLE: Final = "private, max-age=31536000, immutable"


endpoint = Endpoints("/api/sessions/<session_id>", "sessions")


@endpoint(
    "GET /diffs",
    gives=json(list[DiffItem], headers=("Fleet-Tree", "Fleet-As-Of-Turn", "Fleet-As-Of-Position", "Fleet-Running")),
    refuses=(*SESSION, "changes_gone", "tree_gone", "tree_too_large", "directory_missing", "git_failed"),
)
async def read_diffs(fleet: Fleet, session_id: str, query: DiffQuery, moment: Moment | None) -> Response:
    """Read what the session has changed.

    From the moment when the workspace was ready to the end of the last turn, or to now while one runs; `turn` takes
    one turn alone. What shell commands did is in it. It can be read when the workspace is gone. With
    `contents=false` the files alone are listed, and `GET /api/sessions/{session_id}/blobs/{digest}` has each side
    of one. `Fleet-Tree` differs where the diff does. With `at` it is the diff at the last snapshot until then, whose
    event is `Fleet-As-Of-Position`: at the end of the turn `Fleet-As-Of-Turn`, or, without that, within the turn that
    ran at that moment. `Fleet-Running` is `true` where one ran.
    """
    position = fleet.log.head()
    at = None if moment is None else moment.position
    (manifest, now), overlaps, taken = await _diff(fleet, session_id, query, at)
    items = (_item(fleet, file, now, overlaps(file), taken, contents=query.contents) for file in manifest.files)
    headers = {"Fleet-Tree": name_of(encode_manifest(manifest)), "Fleet-Running": str(taken.running).lower()}
    if taken.as_of_turn is not None:
        headers["Fleet-As-Of-Turn"] = str(taken.as_of_turn)
    if taken.position is not None:
        headers["Fleet-As-Of-Position"] = str(taken.position)
    return await list_response(items, position=position, headers=headers)


@endpoint("GET /blobs/<digest>", gives=BYTES, refuses=(*SESSION, "blob_not_found"))
async def read_content(
    fleet: Fleet, session_id: str, digest: str, query: InstanceQuery, if_none_match: str | None
) -> Response:
    """Read a content that a diff of the session names.

    The bytes as they were, of a large file its beginning. They never change, so they may be cached. Contents of a
    running turn are held in memory for a while; when they are gone, the diff names new ones.
    """
    state = fleet.sessions.session(session_id, query.instance_id)
    is_manifest = await fleet.change_records.is_manifest(fleet.views.sessions.stream(state.id), digest)
    content = None if is_manifest else fleet.diffs.content_of(state, digest)
    if content is None:
        hint = "Read the session's diffs again: they name the contents that can be read."
        raise Rejected("blob_not_found", f"no diff of the session contains {digest}", hint=hint)
    headers = {"ETag": f'"{digest}"', "Cache-Control": _IMMUTABLE}
    if parse_etags(if_none_match).contains_weak(digest):
        return Response(b"", 304, headers, content_type="application/octet-stream")
    return Response(content, 200, headers, content_type="application/octet-stream")


Overlaps = Callable[[ChangedFile], list[str]]
"""The other sessions whose turns ran in the same directory when one of ours changed this file."""


class _Taken(NamedTuple):
    """The turn at whose end a diff was so, None for the state of a running one; and whether a turn ran then.

    `position` is that of the event of its last tree, None for now and before the first one.
    """

    as_of_turn: int | None
    running: bool
    position: int | None = None


async def _diff(fleet: Fleet, session_id: str, query: DiffQuery, at: int | None) -> tuple[LiveDiff, Overlaps, _Taken]:
    """Return the diff that was asked for, with the contents of it that are not stored, and the overlaps by file."""
    stream = fleet.views.sessions.stream(fleet.sessions.session(session_id, query.instance_id).id)
    try:
        newest, overlapping, number, position = await fleet.change_records.find(stream, query.turn, at)
    except UnknownTurn:
        raise Rejected("invalid", f"the session has no turn {query.turn}", field="turn") from None
    state = fleet.sessions.session(session_id, query.instance_id)  # not older than its records
    then = state if at is None else await fleet.past.sessions.one(state.id, at)
    turn = None if then is None or then.phase not in RUNNING else then.turn
    running = turn is not None and number in (None, turn.number)
    if running and at is None and not fleet.read_only:
        live = _Taken(None, running=True)
        now = list(fleet.diffs.overlaps(state))
        if number is not None:
            return await fleet.diffs.now_of_turn(state), lambda _: now, live
        earlier = await _overlaps(fleet, overlapping)
        return await fleet.diffs.now(state), lambda file: _united(earlier(file), now), live
    earlier = await _overlaps(fleet, overlapping)
    if running and then is not None and (within := await _within(fleet, then, at, of_turn=number is not None)):
        return within[0], earlier, within[1]
    if newest is None:
        return LiveDiff(Manifest(), {}), earlier, _Taken(None, running)
    manifest = fleet.diffs.manifest(newest.session_manifest if query.turn is None else newest.turn_manifest)
    return LiveDiff(manifest, {}), earlier, _Taken(newest.number, running, position)


async def _within(fleet: Fleet, then: Session, at: int | None, *, of_turn: bool) -> tuple[LiveDiff, _Taken] | None:
    """Return the diff up to the last tree that was taken in the turn that ran; None where none was, or it is gone."""
    stream = fleet.views.sessions.stream(then.id)
    taken = await fleet.change_records.tree(stream, at)
    if taken is None or then.turn is None or taken.turn != then.turn.number:
        return None
    try:
        found = await fleet.diffs.as_of(then, taken.tree, of_turn=of_turn)
    except Problem:
        return None
    return found, _Taken(None, running=True, position=taken.position)


async def _overlaps(fleet: Fleet, records: Sequence[ChangesRecorded]) -> Overlaps:
    by_file: dict[str, list[str]] = {}
    for record in records:
        for file in fleet.diffs.manifest(record.turn_manifest).files:
            by_file[file.file] = _united(by_file.get(file.file, ()), record.overlaps)
        await trio.lowlevel.checkpoint()  # a session that always overlaps has a manifest for each turn
    return lambda file: _united(by_file.get(file.file, ()), by_file.get(file.old_file or "", ()))


def _united(some: Iterable[str], more: Iterable[str]) -> list[str]:
    return list(dict.fromkeys((*some, *more)))


def _item(
    fleet: Fleet,
    file: ChangedFile,
    now: Mapping[str, bytes],
    overlaps: list[str],
    taken: _Taken,
    *,
    contents: bool,
) -> DiffItem:
    before, after, encoding = _sides(fleet, file, now) if contents else (None, None, None)
    return DiffItem(
        file=file.file,
        before=before,
        after=after,
        additions=file.additions,
        deletions=file.deletions,
        status=file.status,
        is_binary=file.is_binary,
        is_truncated=file.is_truncated,
        old_file=file.old_file,
        mode_before=file.mode_before,
        mode_after=file.mode_after,
        overlaps_with=overlaps,
        encoding=encoding,
        before_digest=file.before,
        after_digest=file.after,
        file_bytes=file.file_bytes,
        old_file_bytes=file.old_file_bytes,
        as_of_turn=taken.as_of_turn,
        as_of_position=taken.position,
        running=taken.running,
    )


def _sides(fleet: Fleet, file: ChangedFile, now: Mapping[str, bytes]) -> tuple[str | None, str | None, Encoding | None]:
    """Return both contents, as text where both are text, else in base64, and which of the two; nothing of a binary."""
    if file.is_binary:
        return None, None, None
    sides = [fleet.diffs.content(digest, now) for digest in (file.before, file.after)]
    texts = [None if side is None else text_of(side, is_truncated=file.is_truncated) for side in sides]
    if all(text is not None or side is None for text, side in zip(texts, sides, strict=True)):
        return texts[0], texts[1], "utf-8"
    before, after = (None if side is None else base64.b64encode(side).decode() for side in sides)
    return before, after, "base64"
