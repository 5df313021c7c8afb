"""Routes about the fleet as a whole: instances, workspaces, health."""

from collections import Counter
from functools import partial

import msgspec
import structlog
from quart import Blueprint, Response

from fleet import __version__
from fleet.actors.effects.workspace import condition_of
from fleet.actors.effects.workspace_check import look
from fleet.actors.supervision import Tree
from fleet.actors.upkeep.orphans import find_orphans
from fleet.core.instance.state import OVER, State
from fleet.core.session.state import status_of
from fleet.core.workspace.state import State as Workspace
from fleet.errors import Rejected
from fleet.gateway import wire
from fleet.gateway.document import about, asks, gives, refuses, takes
from fleet.gateway.refusals import COMMAND, DIRECTORY, MAKING, REBINDING, REMOVAL
from fleet.gateway.requests import answer, caller, paged, read_body, read_no_body, read_query
from fleet.ports import Tokens
from fleet.projections.lives import Life, life

_log = structlog.get_logger(__name__)


def fleet_routes(tree: Tree) -> Blueprint:
    """Return the routes over one Fleet."""
    routes = Blueprint("fleet", __name__, url_prefix="/api")
    _add_instances(routes, tree)
    _add_workspaces(routes, tree)
    _add_workspace_orders(routes, tree)
    _add_whole(routes, tree)
    return routes


def _add_instances(routes: Blueprint, tree: Tree) -> None:
    @routes.get("/instances")
    @about("fleet")
    @asks(wire.InstancesQuery)
    @gives(list[wire.InstanceItem])
    async def list_instances() -> Response:
        """List the OpenCode processes that run; with `all` every one there ever was, and what became of it.

        An instance is one OpenCode process, with pid, memory and the sessions in it.
        """
        query = read_query(wire.InstancesQuery)
        instances = tree.views.instances
        states = sorted(instances, key=lambda state: state.id, reverse=True) if query.all else instances.alive()
        return paged(states, query, partial(_instance_item, tree), tree.log.head())

    @routes.get("/instances/orphans")
    @about("fleet")
    @asks(wire.PageQuery)
    @gives(list[wire.OrphanItem])
    async def list_orphans() -> Response:
        """List the live processes of this Fleet that no instance looks after: there should be none.

        `fleet ps --orphans` shows the same, without a server too.
        """
        query = read_query(wire.PageQuery)
        orphans = await find_orphans(tree.context.host, tree.views.instances.get, tree.context.scripts.running)
        return paged(orphans, query, wire.orphan_item, tree.log.head())

    @routes.get("/instances/<instance_id>")
    @about("fleet")
    @gives(wire.InstanceItem)
    @refuses("instance_not_found")
    async def read_instance(instance_id: str) -> Response:
        """Read an instance, one that has ended included.

        For one that has ended it says how it ended.
        """
        state = tree.views.instances.get(instance_id)
        if state is None:
            raise Rejected("instance_not_found", f"there is no instance {instance_id}")
        return answer(_instance_item(tree, state))


def _add_workspaces(routes: Blueprint, tree: Tree) -> None:
    @routes.get("/workspaces")
    @about("fleet")
    @asks(wire.PageQuery)
    @gives(list[wire.WorkspaceItem])
    async def list_workspaces() -> Response:
        """List the workspaces.

        Those that were removed are listed too: they can be brought back.
        """
        return paged(list(tree.views.workspaces), read_query(wire.PageQuery), wire.workspace_item, tree.log.head())

    @routes.get("/workspaces/<workspace_id>")
    @about("fleet")
    @gives(wire.WorkspaceDetail, headers=("Fleet-Position",))
    @refuses("workspace_not_found")
    async def read_workspace(workspace_id: str) -> Response:
        """Read a workspace, and look which branch is checked out there now and whether work is not committed.

        Both are null where that cannot be said in a moment.
        """
        _workspace(tree, workspace_id)
        await look(tree.context, workspace_id)
        state, position = _workspace(tree, workspace_id), tree.log.head()
        return answer(wire.workspace_detail(state, await condition_of(tree.context, state)), position=position)


def _add_workspace_orders(routes: Blueprint, tree: Tree) -> None:
    @routes.patch("/workspaces/<workspace_id>")
    @about("fleet")
    @takes(wire.WorkspaceBody, {"title": "The login"})
    @gives(wire.WorkspaceItem)
    @refuses(*COMMAND, *DIRECTORY, *REBINDING, "workspace_not_found")
    async def describe_workspace(workspace_id: str) -> Response:
        """Give a workspace a title, or name where its repository is now.

        A title of `null` takes it away. `sourceDirectory` is for a project that was moved or renamed: a worktree finds
        its repository again. Give one of both at a time.
        """
        read_query(wire.Query)
        _workspace(tree, workspace_id)
        body = await read_body(wire.WorkspaceBody)
        title, source = body.title, body.source_directory
        if isinstance(title, msgspec.UnsetType) == isinstance(source, msgspec.UnsetType):
            raise Rejected("invalid", "give title or sourceDirectory, and not both", field="title")
        if isinstance(source, msgspec.UnsetType):
            reply = await tree.orders.describe_workspace(workspace_id, title or None, await caller())
        else:
            reply = await tree.rebinding.rebind(workspace_id, source, await caller())
        return answer(wire.workspace_item(reply.state), position=reply.position)

    @routes.delete("/workspaces/<workspace_id>")
    @about("fleet")
    @gives(wire.WorkspaceItem)
    @refuses(*COMMAND, *REMOVAL, "workspace_not_found", "workspace_existing")
    async def remove_workspace(workspace_id: str) -> Response:
        """Remove a worktree or clone that no session needs any more; what is only in it is kept first.

        A directory that was there before Fleet is not removed. What is kept stands under `refs/fleet/` of the
        repository.
        """
        read_query(wire.Query)
        _workspace(tree, workspace_id)
        await read_no_body()
        state = await tree.endings.remove(workspace_id, await caller())
        return answer(wire.workspace_item(state), position=tree.log.head())

    @routes.post("/workspaces/<workspace_id>/restore")
    @about("fleet")
    @gives(wire.WorkspaceItem)
    @refuses(*COMMAND, *REMOVAL, *MAKING, "workspace_not_found")
    async def restore_workspace(workspace_id: str) -> Response:
        """Bring a removed workspace back: directory, branch, and what was kept.

        Sessions that worked in it can be resumed then.
        """
        read_query(wire.Query)
        _workspace(tree, workspace_id)
        await read_no_body()
        state = await tree.endings.restore(workspace_id, await caller())
        return answer(wire.workspace_item(state), position=tree.log.head())


def _add_whole(routes: Blueprint, tree: Tree) -> None:
    @routes.get("/fleet/summary")
    @about("fleet")
    @gives(wire.Summary)
    async def summarize() -> Response:
        """Count what there is.

        Sessions by status, processes and their memory, prompts and requests that wait, tokens, cost, uptime, and the
        end of the log.
        """
        read_query(wire.Query)
        return answer(_summary(tree))

    @routes.get("/healthz")
    @about("fleet")
    @gives(wire.Health)
    async def healthz() -> Response:
        """Say that the process serves.

        It looks at nothing else; whether work can begin is said by `/api/readyz`.
        """
        return answer(wire.Health("ok", __version__, tree.log.head()))

    @routes.get("/readyz")
    @about("fleet")
    @gives(wire.Health)
    @gives(wire.Health, 503)
    async def readyz() -> Response:
        """Say that everything that was left by an earlier run has been taken up.

        Until then the answer is 503, and says `starting`.
        """
        if tree.ready:
            return answer(wire.Health("ok", __version__, tree.log.head()))
        return answer(wire.Health("starting", __version__, tree.log.head()), status=503)


def _workspace(tree: Tree, workspace_id: str) -> Workspace:
    state = tree.views.workspaces.get(workspace_id)
    if state is None:
        raise Rejected("workspace_not_found", f"there is no workspace {workspace_id}")
    return state


def _instance_item(tree: Tree, state: State) -> wire.InstanceItem:
    memory = None if state.identity is None else tree.context.host.memory_bytes(state.identity)
    return wire.instance_item(life(tree.log, state.id) if state.phase in OVER else Life(state), memory)


def _summary(tree: Tree) -> wire.Summary:
    sessions, alive = list(tree.views.sessions), tree.views.instances.alive()
    memory = [tree.context.host.memory_bytes(state.identity) for state in alive if state.identity is not None]
    return wire.Summary(
        dict(Counter(status_of(state) for state in sessions)),
        len(alive),
        sum(size for size in memory if size is not None),
        sum(len(state.queue) for state in sessions),
        sum(len(state.requests) for state in sessions),
        wire.tokens_item(sum((state.tokens for state in sessions), Tokens())),
        sum(state.cost_usd for state in sessions),
        tree.uptime_s,
        tree.log.head(),
    )
