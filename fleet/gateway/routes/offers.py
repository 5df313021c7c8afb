"""The routes for OpenCode's offers: agents, commands and models of an instance, and files by name."""

from quart import Blueprint, Response

from fleet.actors.fleet import Fleet
from fleet.gateway.items.choices import agent_item, command_item, model_item
from fleet.gateway.openapi.document import about, asks, gives, refuses
from fleet.gateway.openapi.refusals import OPENCODE
from fleet.gateway.server.requests import answer, paged, read_query
from fleet.wire.choices import AgentItem, CommandItem, ModelItem
from fleet.wire.place_queries import FindQuery, OfferQuery


def offer_routes(fleet: Fleet) -> Blueprint:
    """Return the routes over one Fleet."""
    routes = Blueprint("offers", __name__, url_prefix="/api/instances/<instance_id>")

    @routes.get("/agents")
    @about("instances")
    @asks(OfferQuery)
    @gives(list[AgentItem])
    @refuses(*OPENCODE, "instance_not_found", "instance_over", "session_not_found")
    async def list_agents(instance_id: str) -> Response:
        """List the agents that a prompt can name.

        As OpenCode lists them for the instance's directory, or for that of one of its sessions.
        """
        query = read_query(OfferQuery)
        agents = await fleet.offers.agents(instance_id, query.session)
        return paged(agents, query, agent_item, fleet.log.head())

    @routes.get("/commands")
    @about("instances")
    @asks(OfferQuery)
    @gives(list[CommandItem])
    @refuses(*OPENCODE, "instance_not_found", "instance_over", "session_not_found")
    async def list_commands(instance_id: str) -> Response:
        """List the commands that a session can run.

        As OpenCode lists them for the instance's directory, or for that of one of its sessions; and `compact`.
        """
        query = read_query(OfferQuery)
        commands = await fleet.offers.commands(instance_id, query.session)
        return paged(commands, query, command_item, fleet.log.head())

    @routes.get("/models")
    @about("instances")
    @asks(OfferQuery)
    @gives(list[ModelItem])
    @refuses(*OPENCODE, "instance_not_found", "instance_over", "session_not_found")
    async def list_models(instance_id: str) -> Response:
        """List the models that can be used.

        As OpenCode lists them, with the providers that are set up.
        """
        query = read_query(OfferQuery)
        models = await fleet.offers.models(instance_id, query.session)
        return paged(models, query, model_item, fleet.log.head())

    @routes.get("/find/files")
    @about("instances")
    @asks(FindQuery)
    @gives(list[str])
    @refuses(*OPENCODE, "instance_not_found", "instance_over", "session_not_found")
    async def find_files(instance_id: str) -> Response:
        """Find files whose paths resemble `query`, the best first; those of directories end with `/`.

        OpenCode looks for them in the instance's directory, or in that of one of its sessions.
        """
        query = read_query(FindQuery)
        found = await fleet.offers.find_files(instance_id, query.session, query.query, query.limit)
        return answer(found, position=fleet.log.head(), total=len(found))

    return routes
