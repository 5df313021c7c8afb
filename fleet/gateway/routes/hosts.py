"""The routes for hosts: the machines on which sessions work."""

from quart import Response

from fleet.actors.caller import Caller
from fleet.actors.fleet import Fleet
from fleet.gateway.items.hosts import engine_item, host_item
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.responses import json
from fleet.gateway.server.requests import json_response, paged
from fleet.wire.bodies import PageQuery
from fleet.wire.hosts import EngineItem, HostItem

endpoint = Endpoints("/api/hosts", "fleet")


@endpoint("GET", gives=list[HostItem])
async def list_hosts(fleet: Fleet, query: PageQuery) -> Response:
    """List the machines on which sessions work: the server's own, `local`, and those of its cluster.

    With `--hosts ray` there are others. A silent host does not answer, and its processes may still run; a lost one has
    not answered for longer than `host_grace_s`, so no process of Fleet runs there any more.
    """
    return paged(fleet.hosts.views(), query, lambda view: host_item(fleet, view), fleet.log.head())


@endpoint("GET /engine", gives=json(EngineItem, headers=("Fleet-Position",)))
async def read_engine(fleet: Fleet) -> Response:
    """Read whether the engine of the other hosts answers.

    Without `--hosts ray` there is none, and nothing is wrong.
    """
    return json_response(engine_item(fleet.hosts.engine_lost), position=fleet.log.head())


@endpoint(
    "POST /<host_name>/drain",
    gives=json(HostItem, headers=("Fleet-Position",)),
    refuses=("host_not_found", "host_local"),
)
async def drain_host(fleet: Fleet, host_name: str, caller: Caller) -> Response:
    """Place no further sessions on a host, and move those that are there to other hosts.

    Idle sessions move now, the others when their running turn is over, and one in `error` when it is resumed.
    """
    position = await fleet.hosts.drain(host_name, caller)
    return json_response(host_item(fleet, fleet.hosts.view(host_name)), position=position)


@endpoint(
    "DELETE /<host_name>/drain",
    gives=json(HostItem, headers=("Fleet-Position",)),
    refuses=("host_not_found", "host_local"),
)
async def undrain_host(fleet: Fleet, host_name: str, caller: Caller) -> Response:
    """Place sessions on a host again.

    Sessions that were moved away stay where they are.
    """
    position = await fleet.hosts.undrain(host_name, caller)
    return json_response(host_item(fleet, fleet.hosts.view(host_name)), position=position)
