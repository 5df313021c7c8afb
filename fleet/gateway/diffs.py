"""The diff route: what a session has changed, as a whole, in one turn, or as of a log position.

Contents come from the blob store, so that they can be read when workspace, instance and OpenCode are gone. While a turn
runs, its diff and the whole session's are those of this moment.
"""

from collections.abc import Callable, Iterable, Sequence

from quart import Blueprint, Response

from fleet.actors.tree import Tree
from fleet.core.changes import ChangedFile, Manifest
from fleet.core.session.messages import ChangesRecorded, TurnStarted
from fleet.core.session.state import RUNNING, State
from fleet.errors import Rejected
from fleet.gateway import wire
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
    @gives(list[wire.DiffItem])
    @refuses(*SESSION, "changes_gone", "tree_gone", "tree_too_large", "directory_missing", "git_failed")
    async def read_diffs(session_id: str) -> Response:
        """Read what the session has changed."""
        query = read_query(wire.DiffQuery)
        if query.at is not None:
            check_cursor(tree, query.at, "at")
        state = tree.orders.session(session_id, query.instance_id)
        manifest, overlaps = await _diff(tree, state, query)
        items = [_item(tree, file, overlaps(file)) for file in manifest.files]
        return answer(items, total=len(items), position=tree.log.head())

    return routes


Overlaps = Callable[[ChangedFile], list[str]]
"""The other sessions whose turns ran in the same directory when one of ours changed this file."""


async def _diff(tree: Tree, state: State, query: wire.DiffQuery) -> tuple[Manifest, Overlaps]:
    turn = state.turn if state.phase in RUNNING and query.at is None else None
    if turn is not None and query.turn in (str(turn.number), turn.message_id):
        overlaps = list(tree.changes.overlaps(state))
        return await tree.changes.now_of_turn(state), lambda _: overlaps
    records = _records(tree, state, query)
    earlier = _overlaps(tree, records)
    if turn is not None and query.turn is None:
        now = tree.changes.overlaps(state)
        return await tree.changes.now(state), lambda file: _united(earlier(file), now)
    if not records:
        return Manifest(), earlier
    newest = records[-1]
    return tree.changes.manifest(newest.session_manifest if query.turn is None else newest.turn_manifest), earlier


def _records(tree: Tree, state: State, query: wire.DiffQuery) -> list[ChangesRecorded]:
    """Return the records of changes that the query asks for: all of them, or those of its turn."""
    numbers: dict[str, int] = {}
    found: list[ChangesRecorded] = []
    for recorded in tree.log.read_stream(tree.views.sessions.stream(state.id)):
        event = recorded.event
        if query.at is not None and recorded.position > query.at:
            break
        if isinstance(event, TurnStarted):
            numbers[event.message_id] = numbers[str(event.number)] = event.number
        elif isinstance(event, ChangesRecorded) and (query.turn is None or event.number == numbers.get(query.turn)):
            found.append(event)
    if query.turn is not None and query.turn not in numbers:
        raise Rejected("invalid", f"the session has no turn {query.turn}", field="turn")
    return found


def _overlaps(tree: Tree, records: Sequence[ChangesRecorded]) -> Overlaps:
    by_file: dict[str, list[str]] = {}
    for record in records:
        for file in tree.changes.manifest(record.turn_manifest).files if record.overlaps else ():
            by_file[file.file] = _united(by_file.get(file.file, ()), record.overlaps)
    return lambda file: _united(by_file.get(file.file, ()), by_file.get(file.old_file or "", ()))


def _united(some: Iterable[str], more: Iterable[str]) -> list[str]:
    return list(dict.fromkeys((*some, *more)))


def _item(tree: Tree, file: ChangedFile, overlaps: list[str]) -> wire.DiffItem:
    return wire.DiffItem(
        file.file,
        None if file.is_binary else _text(tree, file.before),
        None if file.is_binary else _text(tree, file.after),
        file.additions,
        file.deletions,
        file.status,
        file.is_binary,
        file.is_truncated,
        file.old_file,
        file.mode_before,
        file.mode_after,
        overlaps,
    )


def _text(tree: Tree, digest: str | None) -> str | None:
    content = None if digest is None else tree.blobs.get(digest)
    return None if content is None else content.decode("utf-8", "replace")
