"""The routes for OpenCode's offers: agents, commands and models of an instance, and files by name."""

from quart import Response

from fleet.actors.fleet import Fleet
from fleet.gateway.items.choices import agent_item, command_item, model_item
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.refusals import OPENCODE
from fleet.gateway.server.requests import json_response, paged
from fleet.wire.choices import AgentItem, CommandItem, ModelItem
from fleet.wire.place_queries import FindQuery, OfferQuery

_ASKED = (*OPENCODE, "instance_not_found", "instance_over", "session_not_found")
endpoint = Endpoints("/api/instances/<instance_id>", "instances")


@endpoint("GET /agents", gives=list[AgentItem], refuses=_ASKED)
async def list_agents(fleet: Fleet, instance_id: str, query: OfferQuery) -> Response:
    """List the agents that a prompt can name.

    As OpenCode lists them for the instance's directory, or for that of one of its sessions.
    """
    agents = await fleet.offers.agents(instance_id, query.session)
    return paged(agents, query, agent_item, fleet.log.head())


@endpoint("GET /commands", gives=list[CommandItem], refuses=_ASKED)
async def list_commands(fleet: Fleet, instance_id: str, query: OfferQuery) -> Response:
    """List the commands that a session can run.

    As OpenCode lists them for the instance's directory, or for that of one of its sessions; and `compact`.
    """
    commands = await fleet.offers.commands(instance_id, query.session)
    return paged(commands, query, command_item, fleet.log.head())


@endpoint("GET /models", gives=list[ModelItem], refuses=_ASKED)
async def list_models(fleet: Fleet, instance_id: str, query: OfferQuery) -> Response:
    """List the models that can be used.

    As OpenCode lists them, with the providers that are set up.
    """
    models = await fleet.offers.models(instance_id, query.session)
    return paged(models, query, model_item, fleet.log.head())


@endpoint("GET /find/files", gives=list[str], refuses=_ASKED)
async def find_files(fleet: Fleet, instance_id: str, query: FindQuery) -> Response:
    """Find files whose paths resemble `query`, the best first; those of directories end with `/`.

    OpenCode looks for them in the instance's directory, or in that of one of its sessions.
    """
    found = await fleet.offers.find_files(instance_id, query.session, query.query, query.limit)
    return json_response(found, position=fleet.log.head(), total=len(found))
