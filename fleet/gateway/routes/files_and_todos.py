"""The routes for the agent's to-do list and the files of its workspace.

The list is the newest one of the recorded transcript, so that it can be read when OpenCode is gone. Files are read as
they are at this moment, inside the workspace only (adapters/files.py), or as they were at an earlier one, from the last
tree that had been taken then (adapters/git/tree_files.py).
"""

import base64
from typing import Any

from quart import Response

from fleet.actors.fleet import Fleet
from fleet.core.session.state import RUNNING
from fleet.core.session.state import State as Session
from fleet.errors import Problem, Rejected
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.server.moments import Moment
from fleet.gateway.server.requests import json_response
from fleet.ports import FileContent, Listing
from fleet.wire.bodies import TodosQuery
from fleet.wire.files import FileEntryItem, FileItem, FileQuery, SessionFilesQuery
from fleet.wire.items import TodoItem

endpoint = Endpoints("/api/sessions/<session_id>", "sessions")


@endpoint("GET /todos", gives=list[TodoItem])
async def read_todos(
    fleet: Fleet,
    session: Session,
    query: TodosQuery,  # noqa: ARG001 - its moment is resolved
    moment: Moment | None,
) -> Response:
    """Read what the agent has put on its list.

    It is the newest list in the transcript, so that it can be read when OpenCode is gone; with `at` the newest one
    of then.
    """
    position = fleet.log.head()
    at = None if moment is None else moment.position
    todos = await fleet.transcripts.todos(fleet.views.sessions.stream(session.id), at)
    items = [TodoItem(content=todo.content, status=todo.status, priority=todo.priority) for todo in todos]
    return json_response(items, position=position, total=len(items))


_EARLIER = ("tree_gone", "git_failed")


@endpoint(
    "GET /files",
    gives=FileItem,
    refuses=("workspace_gone", "file_not_found", "path_outside_workspace", "file_unreadable", *_EARLIER),
)
async def read_directory(fleet: Fleet, session: Session, query: SessionFilesQuery, moment: Moment | None) -> Response:
    """List the session's directory, or read what is at `path`.

    What is there now; `GET /api/sessions/{session_id}/diffs` has what was there. With `at` it is what was there at the
    last snapshot until then: before a turn, after a tool call in it, or at its end. `asOfPosition` is the position of
    the snapshot in the log. It can be read as long as the snapshot exists.
    """
    return json_response(await _read(fleet, session, query.path, moment))


@endpoint(
    "GET /files/<path:path>",
    gives=FileItem,
    refuses=("workspace_gone", "file_not_found", "path_outside_workspace", "file_unreadable", *_EARLIER),
)
async def read_file(
    fleet: Fleet,
    session: Session,
    path: str,
    query: FileQuery,  # noqa: ARG001 - its moment is resolved
    moment: Moment | None,
) -> Response:
    """Read a file, or list a directory, of the session's workspace.

    As it is now, or with `at` as it was at the last snapshot until then, as for the list. Nothing outside of the
    workspace is read, not even through links. Other content than UTF-8 is base64.
    """
    return json_response(await _read(fleet, session, path, moment))


async def _read(fleet: Fleet, state: Session, path: str, moment: Moment | None) -> FileItem:
    if moment is not None:
        return await _read_earlier(fleet, state, path, moment.position)
    workspace = fleet.views.workspaces.get(state.workspace_id)
    if workspace is not None and workspace.phase == "removed":
        hint = f"POST /api/workspaces/{workspace.id}/restore restores it."
        raise Rejected("workspace_gone", "the session's workspace was removed", hint=hint)
    return _item(path, await fleet.context.host_of(state.workspace_id).files.read(state.directory, path))


async def _read_earlier(fleet: Fleet, state: Session, path: str, at: int) -> FileItem:
    """Read from the newest tree that had been taken at a log position."""
    stream = fleet.views.sessions.stream(state.id)
    taken = await fleet.change_records.tree(stream, at)
    if taken is None:
        raise Problem("tree_gone", f"no snapshot of the files had been taken at position {at}")
    found = await fleet.context.host_of(state.workspace_id).trees.read(state.workspace_id, taken.tree, path)
    newest = (await fleet.change_records.find(stream, at=at)).newest
    earlier = await fleet.past.sessions.one(state.id, at)
    item = _item(path, found)
    item.as_of_position, item.as_of_part = taken.position, taken.part_id
    item.as_of_turn = None if newest is None or taken.part_id is not None else newest.number
    item.running = earlier is not None and earlier.phase in RUNNING
    return item


def _item(path: str, found: Listing | FileContent) -> FileItem:
    path = path.strip("/")
    return _listing(path, found) if isinstance(found, Listing) else _content(path, found)


def _listing(path: str, found: Listing) -> FileItem:
    above = f"{path}/" if path else ""
    entries = [
        FileEntryItem(name=entry.name, path=above + entry.name, type=entry.type, size_bytes=entry.size_bytes)
        for entry in found.entries
    ]
    return FileItem(
        path=path, type="directory", is_truncated=len(entries) < found.total, entries=entries, total=found.total
    )


def _content(path: str, found: FileContent) -> FileItem:
    is_truncated = len(found.content) < found.size_bytes
    text = text_of(found.content, is_truncated=is_truncated)
    shown: dict[str, Any] = {"encoding": "utf-8", "content": text}
    if text is None:
        shown = {"encoding": "base64", "content": base64.b64encode(found.content).decode()}
    return FileItem(path=path, type="file", is_truncated=is_truncated, size_bytes=found.size_bytes, **shown)


def text_of(content: bytes, *, is_truncated: bool) -> str | None:
    """Return the content as text, None where it is none; a character that was cut in two is left out."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        if is_truncated and error.start >= len(content) - 3:
            return content[: error.start].decode()
        return None
