"""The diff route: what a session has changed, as a whole, in one turn, or as of a log position.

Contents come from the blob store, so that they can be read when workspace, instance and OpenCode are gone. While a turn
runs, the whole session's diff is the one of this moment.
"""

from quart import Blueprint, Response

from fleet.actors.tree import Tree
from fleet.core.changes import ChangedFile, Manifest
from fleet.core.session.messages import ChangesRecorded, TurnStarted
from fleet.core.session.state import RUNNING, State
from fleet.errors import Rejected
from fleet.gateway import wire
from fleet.gateway.document import about, asks, gives
from fleet.gateway.requests import answer, read_query


def diff_routes(tree: Tree) -> Blueprint:
    """Return the routes over one Fleet."""
    routes = Blueprint("diffs", __name__, url_prefix="/api/sessions")

    @routes.get("/<session_id>/diffs")
    @about("sessions")
    @asks(wire.DiffQuery)
    @gives(list[wire.DiffItem])
    async def read_diffs(session_id: str) -> Response:
        """Read what the session has changed."""
        query = read_query(wire.DiffQuery)
        state = tree.orders.session(session_id, query.instance_id)
        manifest, overlaps = await _manifest(tree, state, query)
        items = [_item(tree, file, overlaps) for file in manifest.files]
        return answer(items, total=len(items), position=tree.log.head())

    return routes


async def _manifest(tree: Tree, state: State, query: wire.DiffQuery) -> tuple[Manifest, tuple[str, ...]]:
    live = query.turn is None and query.at is None and state.phase in RUNNING and state.turn is not None
    if live:
        return await tree.changes.now(state), tree.changes.overlaps(state)
    recorded = _recorded(tree, state, query)
    if recorded is None:
        return Manifest(), ()
    digest = recorded.session_manifest if query.turn is None else recorded.turn_manifest
    return tree.changes.manifest(digest), recorded.overlaps


def _recorded(tree: Tree, state: State, query: wire.DiffQuery) -> ChangesRecorded | None:
    """Return the newest record of changes that the query asks for, None where nothing was changed."""
    numbers: dict[str, int] = {}
    found: ChangesRecorded | None = None
    for recorded in tree.log.read_stream(tree.views.sessions.stream(state.id)):
        event = recorded.event
        if query.at is not None and recorded.position > query.at:
            break
        if isinstance(event, TurnStarted):
            numbers[event.message_id] = numbers[str(event.number)] = event.number
        elif isinstance(event, ChangesRecorded) and (query.turn is None or event.number == numbers.get(query.turn)):
            found = event
    if query.turn is not None and query.turn not in numbers:
        raise Rejected("invalid", f"the session has no turn {query.turn}", field="turn")
    return found


def _item(tree: Tree, file: ChangedFile, overlaps: tuple[str, ...]) -> wire.DiffItem:
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
        list(overlaps),
    )


def _text(tree: Tree, digest: str | None) -> str | None:
    content = None if digest is None else tree.blobs.get(digest)
    return None if content is None else content.decode("utf-8", "replace")
