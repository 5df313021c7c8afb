"""Routes about the fleet as a whole: instances, workspaces, health."""

from quart import Blueprint, Response

from fleet import __version__
from fleet.actors.tree import Tree
from fleet.errors import Rejected
from fleet.gateway import wire
from fleet.gateway.document import about, gives
from fleet.gateway.requests import answer, read_query


def fleet_routes(tree: Tree) -> Blueprint:
    """Return the routes over one Fleet."""
    routes = Blueprint("fleet", __name__, url_prefix="/api")
    host = tree.context.host

    @routes.get("/instances")
    @about("fleet")
    @gives(list[wire.InstanceItem])
    async def list_instances() -> Response:
        """List the OpenCode processes that run."""
        read_query(wire.Query)
        items = [
            wire.instance_item(state, None if state.identity is None else host.memory_bytes(state.identity))
            for state in tree.views.instances.alive()
        ]
        return answer(items, total=len(items))

    @routes.get("/instances/<instance_id>")
    @about("fleet")
    @gives(wire.InstanceItem)
    async def read_instance(instance_id: str) -> Response:
        """Read an instance, one that has ended included."""
        state = tree.views.instances.get(instance_id)
        if state is None:
            raise Rejected("instance_not_found", f"there is no instance {instance_id}")
        memory = None if state.identity is None else host.memory_bytes(state.identity)
        return answer(wire.instance_item(state, memory))

    @routes.get("/workspaces")
    @about("fleet")
    @gives(list[wire.WorkspaceItem])
    async def list_workspaces() -> Response:
        """List the workspaces."""
        read_query(wire.Query)
        items = [wire.workspace_item(state) for state in tree.views.workspaces]
        return answer(items, total=len(items))

    @routes.get("/workspaces/<workspace_id>")
    @about("fleet")
    @gives(wire.WorkspaceItem)
    async def read_workspace(workspace_id: str) -> Response:
        """Read a workspace."""
        state = tree.views.workspaces.get(workspace_id)
        if state is None:
            raise Rejected("workspace_not_found", f"there is no workspace {workspace_id}")
        return answer(wire.workspace_item(state))

    @routes.get("/healthz")
    @about("fleet")
    @gives(wire.Health)
    async def healthz() -> Response:
        """Say that the process serves."""
        return answer(wire.Health("ok", __version__, tree.log.head()))

    @routes.get("/readyz")
    @about("fleet")
    @gives(wire.Health)
    async def readyz() -> Response:
        """Say that everything that was left by an earlier run has been taken up."""
        if tree.ready:
            return answer(wire.Health("ok", __version__, tree.log.head()))
        return answer(wire.Health("starting", __version__, tree.log.head()), status=503)

    return routes
