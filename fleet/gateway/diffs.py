"""The diff route: what a session has changed, as a whole, in one turn, or as of a log position.

Contents come from the blob store, so that they can be read when workspace, instance and OpenCode are gone. While a turn
runs, its diff and the whole session's are those of this moment.
"""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence

from quart import Blueprint, Response

from fleet.actors.changes import Moment
from fleet.actors.tree import Tree
from fleet.core.changes import ChangedFile, Manifest
from fleet.core.session.messages import ChangesRecorded, TurnStarted, TurnSteered
from fleet.core.session.state import RUNNING, State
from fleet.errors import Rejected
from fleet.gateway import wire
from fleet.gateway.contents import text_of
from fleet.gateway.document import about, asks, gives, refuses
from fleet.gateway.reading import check_cursor
from fleet.gateway.refusals import SESSION
from fleet.gateway.requests import answer, read_query


def diff_routes(tree: Tree) -> Blueprint:
    """Return the routes over one Fleet."""
    routes = Blueprint("diffs", __name__, url_prefix="/api/sessions")

    @routes.get("/<session_id>/diffs")
    @about("sessions")
    @asks(wire.DiffQuery)
    @gives(list[wire.DiffItem], headers=("Fleet-Position",))
    @refuses(*SESSION, "changes_gone", "tree_gone", "tree_too_large", "directory_missing", "git_failed")
    async def read_diffs(session_id: str) -> Response:
        """Read what the session has changed.

        From the moment when the workspace was ready to the end of the last turn, or to now while one runs; `turn` takes
        one turn alone. What shell commands did is in it. It can be read when the workspace is gone.
        """
        query = read_query(wire.DiffQuery)
        if query.at is not None:
            check_cursor(tree, query.at, "at")
        state = tree.orders.session(session_id, query.instance_id)
        (manifest, now), overlaps = await _diff(tree, state, query)
        items = [_item(tree, file, now, overlaps(file)) for file in manifest.files]
        return answer(items, total=len(items), position=tree.log.head())

    return routes


Overlaps = Callable[[ChangedFile], list[str]]
"""The other sessions whose turns ran in the same directory when one of ours changed this file."""


async def _diff(tree: Tree, state: State, query: wire.DiffQuery) -> tuple[Moment, Overlaps]:
    turn = state.turn if state.phase in RUNNING and query.at is None else None
    records, number = _records(tree, state, query)
    if turn is not None and number == turn.number:
        overlaps = list(tree.changes.overlaps(state))
        return await tree.changes.now_of_turn(state), lambda _: overlaps
    earlier = _overlaps(tree, records)
    if turn is not None and query.turn is None:
        now = tree.changes.overlaps(state)
        return await tree.changes.now(state), lambda file: _united(earlier(file), now)
    if not records:
        return Moment(Manifest(), {}), earlier
    newest = records[-1]
    manifest = tree.changes.manifest(newest.session_manifest if query.turn is None else newest.turn_manifest)
    return Moment(manifest, {}), earlier


def _records(tree: Tree, state: State, query: wire.DiffQuery) -> tuple[list[ChangesRecorded], int | None]:
    """Return the records of changes that the query asks for, all or those of its turn, and that turn's number.

    A turn is named by its number, by the message that began it, or by one that steered it.
    """
    numbers: dict[str, int] = {}
    found: list[ChangesRecorded] = []
    for recorded in tree.log.read_stream(tree.views.sessions.stream(state.id)):
        event = recorded.event
        if query.at is not None and recorded.position > query.at:
            break
        if isinstance(event, TurnStarted):
            numbers[event.message_id] = numbers[str(event.number)] = event.number
        elif isinstance(event, TurnSteered):
            numbers[event.message_id] = event.number
        elif isinstance(event, ChangesRecorded):
            found.append(event)
    if query.turn is None:
        return found, None
    if query.turn not in numbers:
        raise Rejected("invalid", f"the session has no turn {query.turn}", field="turn")
    number = numbers[query.turn]
    return [record for record in found if record.number == number], number


def _overlaps(tree: Tree, records: Sequence[ChangesRecorded]) -> Overlaps:
    by_file: dict[str, list[str]] = {}
    for record in records:
        for file in tree.changes.manifest(record.turn_manifest).files if record.overlaps else ():
            by_file[file.file] = _united(by_file.get(file.file, ()), record.overlaps)
    return lambda file: _united(by_file.get(file.file, ()), by_file.get(file.old_file or "", ()))


def _united(some: Iterable[str], more: Iterable[str]) -> list[str]:
    return list(dict.fromkeys((*some, *more)))


def _item(tree: Tree, file: ChangedFile, now: Mapping[str, bytes], overlaps: list[str]) -> wire.DiffItem:
    sides = [None if file.is_binary else tree.changes.content(digest, now) for digest in (file.before, file.after)]
    before, after = texts = [_text(side, file) for side in sides]
    is_text = all(text is not None or side is None for text, side in zip(texts, sides, strict=True))
    if not is_text:
        before, after = (None if side is None else base64.b64encode(side).decode() for side in sides)
    return wire.DiffItem(
        file.file,
        before,
        after,
        file.additions,
        file.deletions,
        file.status,
        file.is_binary,
        file.is_truncated,
        file.old_file,
        file.mode_before,
        file.mode_after,
        overlaps,
        None if file.is_binary else "utf-8" if is_text else "base64",
    )


def _text(content: bytes | None, file: ChangedFile) -> str | None:
    return None if content is None else text_of(content, is_truncated=file.is_truncated)
