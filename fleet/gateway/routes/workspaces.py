"""The routes for workspaces: the directories that sessions work in."""

import msgspec
from quart import Response

from fleet.actors.caller import Caller
from fleet.actors.effects.erasure import absent_workspace
from fleet.actors.effects.workspace import condition_of
from fleet.actors.effects.workspace_check import look
from fleet.actors.fleet import Fleet
from fleet.core.workspace.state import State as Workspace
from fleet.errors import Rejected
from fleet.gateway.items.workspaces import workspace_detail, workspace_item
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.refusals import DIRECTORY, MAKING, REBINDING, REMOVAL
from fleet.gateway.openapi.responses import json
from fleet.gateway.server.moments import Moment
from fleet.gateway.server.requests import json_response, paged
from fleet.wire.bodies import AtQuery, PastQuery, WorkspaceBody
from fleet.wire.workspaces import WorkspaceDetail, WorkspaceItem

endpoint = Endpoints("/api", "fleet")


@endpoint("GET /workspaces", gives=list[WorkspaceItem])
async def list_workspaces(fleet: Fleet, query: PastQuery, moment: Moment | None) -> Response:
    """List the workspaces.

    Those that were removed are listed too: they can be restored. With `at` it is those of then, as they were.
    """
    position = fleet.log.head()
    found = list(fleet.views.workspaces) if moment is None else await fleet.past.workspaces.all(moment.position)
    return paged(found, query, workspace_item, position)


@endpoint(
    "GET /workspaces/<workspace_id>",
    gives=json(WorkspaceDetail, headers=("Fleet-Position",)),
    refuses=(
        "workspace_not_found",
        "erased",
    ),
)
async def read_workspace(
    fleet: Fleet,
    workspace_id: str,
    query: AtQuery,  # noqa: ARG001 - its moment is resolved
    moment: Moment | None,
) -> Response:
    """Read a workspace, with the branch that is checked out now and whether it has uncommitted changes.

    Both are null if that cannot be found out quickly, and with `at`, which gives the workspace as it was then.
    """
    _workspace(fleet, workspace_id)
    if moment is not None:
        earlier = await fleet.past.workspaces.one(workspace_id, moment.position)
        if earlier is None:
            detail = f"workspace {workspace_id} did not exist at position {moment.position}"
            raise Rejected("workspace_not_found", detail)
        return json_response(workspace_detail(earlier, None), position=fleet.log.head())
    await look(fleet.context, workspace_id)
    state, position = _workspace(fleet, workspace_id), fleet.log.head()
    return json_response(workspace_detail(state, await condition_of(fleet.context, state)), position=position)


@endpoint(
    "PATCH /workspaces/<workspace_id>",
    gives=WorkspaceItem,
    examples=({"title": "The login"},),
    refuses=(*DIRECTORY, *REBINDING, "workspace_not_found", "erased"),
)
async def edit_workspace(fleet: Fleet, workspace_id: str, body: WorkspaceBody, caller: Caller) -> Response:
    """Give a workspace a title, or name where its repository is now.

    `null` as `title` removes the title. `sourceDirectory` is for a project that was moved or renamed: a worktree finds
    its repository again. Give one of both at a time.
    """
    _workspace(fleet, workspace_id)
    title, source = body.title, body.source_directory
    if isinstance(title, msgspec.UnsetType) == isinstance(source, msgspec.UnsetType):
        raise Rejected("invalid", "give title or sourceDirectory, and not both", field="title")
    if isinstance(source, msgspec.UnsetType):
        reply = await fleet.sessions.edit_workspace(workspace_id, title or None, caller)
    else:
        reply = await fleet.rebinding.rebind(workspace_id, source, caller)
    return json_response(workspace_item(reply.state), position=reply.position)


@endpoint(
    "DELETE /workspaces/<workspace_id>",
    gives=WorkspaceItem,
    refuses=(*REMOVAL, "workspace_not_found", "erased", "workspace_existing"),
)
async def remove_workspace(fleet: Fleet, workspace_id: str, caller: Caller) -> Response:
    """Remove a worktree or clone that no session needs any more.

    What exists only there is kept first, under `refs/fleet/` of the repository. A directory that was there before
    Fleet is not removed.
    """
    _workspace(fleet, workspace_id)
    state = await fleet.endings.remove(workspace_id, caller)
    return json_response(workspace_item(state), position=fleet.log.head())


@endpoint(
    "POST /workspaces/<workspace_id>/restore",
    gives=WorkspaceItem,
    refuses=(*REMOVAL, *MAKING, "workspace_not_found", "erased"),
)
async def restore_workspace(fleet: Fleet, workspace_id: str, caller: Caller) -> Response:
    """Restore a removed workspace: its directory, its branch, and what was kept.

    Its sessions can be resumed then.
    """
    _workspace(fleet, workspace_id)
    state = await fleet.endings.restore(workspace_id, caller)
    return json_response(workspace_item(state), position=fleet.log.head())


def _workspace(fleet: Fleet, workspace_id: str) -> Workspace:
    state = fleet.views.workspaces.get(workspace_id)
    if state is None:
        raise absent_workspace(fleet.log, workspace_id)
    return state
