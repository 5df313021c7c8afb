"""The routes for workspaces: the directories that sessions work in."""

import msgspec
from quart import Blueprint, Response

from fleet.actors.effects.workspace import condition_of
from fleet.actors.effects.workspace_check import look
from fleet.actors.fleet import Fleet
from fleet.core.workspace.state import State as Workspace
from fleet.errors import Rejected
from fleet.gateway.items.workspaces import workspace_detail, workspace_item
from fleet.gateway.openapi.document import about, asks, gives, refuses, takes
from fleet.gateway.openapi.refusals import COMMAND, DIRECTORY, MAKING, REBINDING, REMOVAL
from fleet.gateway.server.requests import answer, caller, paged, read_body, read_no_body, read_query
from fleet.wire.bodies import PageQuery, Query, WorkspaceBody
from fleet.wire.workspaces import WorkspaceDetail, WorkspaceItem


def workspace_routes(fleet: Fleet) -> Blueprint:
    """Return the routes over one Fleet."""
    routes = Blueprint("workspaces", __name__, url_prefix="/api")
    _add_workspaces(routes, fleet)
    _add_use_cases(routes, fleet)
    return routes


def _add_workspaces(routes: Blueprint, fleet: Fleet) -> None:
    @routes.get("/workspaces")
    @about("fleet")
    @asks(PageQuery)
    @gives(list[WorkspaceItem])
    async def list_workspaces() -> Response:
        """List the workspaces.

        Those that were removed are listed too: they can be brought back.
        """
        return paged(list(fleet.views.workspaces), read_query(PageQuery), workspace_item, fleet.log.head())

    @routes.get("/workspaces/<workspace_id>")
    @about("fleet")
    @gives(WorkspaceDetail, headers=("Fleet-Position",))
    @refuses("workspace_not_found")
    async def read_workspace(workspace_id: str) -> Response:
        """Read a workspace, and look which branch is checked out there now and whether work is not committed.

        Both are null where that cannot be said in a moment.
        """
        _workspace(fleet, workspace_id)
        await look(fleet.context, workspace_id)
        state, position = _workspace(fleet, workspace_id), fleet.log.head()
        return answer(workspace_detail(state, await condition_of(fleet.context, state)), position=position)


def _add_use_cases(routes: Blueprint, fleet: Fleet) -> None:
    @routes.patch("/workspaces/<workspace_id>")
    @about("fleet")
    @takes(WorkspaceBody, {"title": "The login"})
    @gives(WorkspaceItem)
    @refuses(*COMMAND, *DIRECTORY, *REBINDING, "workspace_not_found")
    async def describe_workspace(workspace_id: str) -> Response:
        """Give a workspace a title, or name where its repository is now.

        A title of `null` takes it away. `sourceDirectory` is for a project that was moved or renamed: a worktree finds
        its repository again. Give one of both at a time.
        """
        read_query(Query)
        _workspace(fleet, workspace_id)
        body = await read_body(WorkspaceBody)
        title, source = body.title, body.source_directory
        if isinstance(title, msgspec.UnsetType) == isinstance(source, msgspec.UnsetType):
            raise Rejected("invalid", "give title or sourceDirectory, and not both", field="title")
        if isinstance(source, msgspec.UnsetType):
            reply = await fleet.sessions.describe_workspace(workspace_id, title or None, await caller())
        else:
            reply = await fleet.rebinding.rebind(workspace_id, source, await caller())
        return answer(workspace_item(reply.state), position=reply.position)

    @routes.delete("/workspaces/<workspace_id>")
    @about("fleet")
    @gives(WorkspaceItem)
    @refuses(*COMMAND, *REMOVAL, "workspace_not_found", "workspace_existing")
    async def remove_workspace(workspace_id: str) -> Response:
        """Remove a worktree or clone that no session needs any more; what is only in it is kept first.

        A directory that was there before Fleet is not removed. What is kept stands under `refs/fleet/` of the
        repository.
        """
        read_query(Query)
        _workspace(fleet, workspace_id)
        await read_no_body()
        state = await fleet.endings.remove(workspace_id, await caller())
        return answer(workspace_item(state), position=fleet.log.head())

    @routes.post("/workspaces/<workspace_id>/restore")
    @about("fleet")
    @gives(WorkspaceItem)
    @refuses(*COMMAND, *REMOVAL, *MAKING, "workspace_not_found")
    async def restore_workspace(workspace_id: str) -> Response:
        """Bring a removed workspace back: directory, branch, and what was kept.

        Sessions that worked in it can be resumed then.
        """
        read_query(Query)
        _workspace(fleet, workspace_id)
        await read_no_body()
        state = await fleet.endings.restore(workspace_id, await caller())
        return answer(workspace_item(state), position=fleet.log.head())


def _workspace(fleet: Fleet, workspace_id: str) -> Workspace:
    state = fleet.views.workspaces.get(workspace_id)
    if state is None:
        raise Rejected("workspace_not_found", f"there is no workspace {workspace_id}")
    return state
