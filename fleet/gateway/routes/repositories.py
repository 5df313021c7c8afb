"""The routes for the choices of a new session: branches, agents, commands and models of a repository."""

from quart import Response

from fleet.actors.fleet import Fleet
from fleet.gateway.items.choices import branch_item, offer_item
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.refusals import DIRECTORY
from fleet.gateway.openapi.responses import json
from fleet.gateway.server.requests import json_response, paged
from fleet.wire.choices import OfferItem
from fleet.wire.items import BranchItem
from fleet.wire.place_queries import BranchQuery, OffersQuery

endpoint = Endpoints("/api", "directories")


@endpoint("GET /repositories/branches", gives=list[BranchItem], refuses=(*DIRECTORY, "not_a_repository", "git_failed"))
async def list_branches(fleet: Fleet, query: BranchQuery) -> Response:
    """List the branches of a repository, the newest first.

    Local and remote ones, as git knows them now: nothing is fetched. `checkedOutAt` is the work tree that has a
    branch; a worktree session cannot have the same one.
    """
    position = fleet.log.head()
    branches = await fleet.repositories.branches(query.path, query.query)
    return paged(branches, query, branch_item, position)


@endpoint("GET /offers", gives=json(OfferItem, headers=("Fleet-Position",)), refuses=(*DIRECTORY, "git_failed"))
async def read_offers(fleet: Fleet, query: OffersQuery) -> Response:
    """Read which agents, commands and models a new session can choose from.

    As OpenCode last offered them for the repository of `directory`. Where that is not known, or without
    `directory`, they are those of another repository. `asOf` and `instanceId` say when and by which process;
    they are null while nothing is known at all.
    """
    position = fleet.log.head()
    return json_response(offer_item(await fleet.repositories.offered(query.directory)), position=position)
