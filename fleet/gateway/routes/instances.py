"""The routes for instances: OpenCode processes, with their memory and sessions."""

from functools import partial

from quart import Response

from fleet.actors.fleet import Fleet
from fleet.actors.upkeep.orphans import find_orphans
from fleet.core.instance.state import OVER, State
from fleet.errors import Rejected
from fleet.gateway.items.instances import instance_item, orphan_item
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.server.requests import json_response, paged
from fleet.projections.lives import Life, life
from fleet.wire.bodies import InstancesQuery, PageQuery
from fleet.wire.instances import InstanceItem, OrphanItem

endpoint = Endpoints("/api", "fleet")


@endpoint("GET /instances", gives=list[InstanceItem])
async def list_instances(fleet: Fleet, query: InstancesQuery) -> Response:
    """List the OpenCode processes that run; with `all` every one there ever was, and what became of it.

    An instance is one OpenCode process, with pid, memory and the sessions in it.
    """
    instances = fleet.views.instances
    states = sorted(instances, key=lambda state: state.id, reverse=True) if query.all else instances.alive()
    return paged(states, query, partial(_instance_item, fleet), fleet.log.head())


@endpoint("GET /instances/orphans", gives=list[OrphanItem])
async def list_orphans(fleet: Fleet, query: PageQuery) -> Response:
    """List the live processes of this Fleet that no instance looks after: there should be none.

    `fleet ps --orphans` shows the same, without a server too.
    """
    local = fleet.context.local
    orphans = await find_orphans(local.opencode, fleet.views.instances.get, local.scripts.running)
    return paged(orphans, query, orphan_item, fleet.log.head())


@endpoint("GET /instances/<instance_id>", gives=InstanceItem, refuses=("instance_not_found",))
async def read_instance(fleet: Fleet, instance_id: str) -> Response:
    """Read an instance, one that has ended included.

    For one that has ended it says how it ended.
    """
    state = fleet.views.instances.get(instance_id)
    if state is None:
        raise Rejected("instance_not_found", f"there is no instance {instance_id}")
    return json_response(_instance_item(fleet, state))


def _instance_item(fleet: Fleet, state: State) -> InstanceItem:
    return instance_item(life(fleet.log, state.id) if state.phase in OVER else Life(state), fleet.memory_bytes(state))
