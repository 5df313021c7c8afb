"""The routes for set-ups of workspaces: their commands, their output, and the permission to run them."""

from quart import Response

from fleet.actors.caller import Caller
from fleet.actors.fleet import Fleet
from fleet.core.times import rfc3339
from fleet.core.trust import RecipeAllowed
from fleet.errors import Rejected
from fleet.gateway.items.states import setup_detail, setup_item
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.refusals import DIRECTORY
from fleet.gateway.openapi.responses import json
from fleet.gateway.server.requests import json_response, paged
from fleet.ports import Recipe
from fleet.wire.bodies import PageQuery
from fleet.wire.setups import RecipeItem, RecipeQuery, SetupBody, SetupDetail, TrustBody, TrustItem, TrustQuery

_LOOK = (*DIRECTORY, "not_a_repository", "git_failed", "setup_missing")


endpoint = Endpoints("/api", "fleet")


@endpoint("GET /trust", gives=list[TrustItem])
async def list_trust(fleet: Fleet, query: PageQuery) -> Response:
    """List the contents of `.fleet.toml` whose commands a person has allowed.

    Each holds in one repository. Nothing else of a repository runs when a workspace is made or removed.
    """
    return paged(list(fleet.trust.allowed), query, _trust_item, fleet.log.head())


@endpoint("GET /trust/recipe", gives=RecipeItem, refuses=_LOOK)
async def read_recipe(fleet: Fleet, query: RecipeQuery) -> Response:
    """Read what the `.fleet.toml` of a checkout asks for, and whether that is allowed.

    Nothing runs.
    """
    repository, recipe = await fleet.trust.look(query.directory)
    return json_response(_recipe_item(fleet, repository, recipe))


@endpoint(
    "POST /trust",
    gives=RecipeItem,
    examples=({"directory": "/home/dev/my-project", "digest": "9f86d081884c7d659a2feaa0c55ad015"},),
    refuses=(*_LOOK, "setup_changed", "setup_invalid", "trust_full"),
)
async def allow_recipe(fleet: Fleet, body: TrustBody, caller: Caller) -> Response:
    """Allow what the `.fleet.toml` of a checkout asks for, in every workspace of its repository.

    `digest` is the one that was read: the file may have changed since. Sessions that wait for it continue.
    """
    repository, recipe, position = await fleet.trust.allow(body.directory, body.digest, caller)
    return json_response(_recipe_item(fleet, repository, recipe), position=position)


@endpoint("DELETE /trust", gives=list[TrustItem], refuses=("trust_not_found",))
async def revoke_trust(fleet: Fleet, query: TrustQuery, caller: Caller) -> Response:
    """Revoke what was allowed in a repository: all of it, or one content.

    Workspaces that are set up stay so; their teardown does not run.
    """
    position = await fleet.trust.revoke(query.repository, query.digest, caller)
    left = [_trust_item(each) for each in fleet.trust.allowed]
    return json_response(left, position=position, total=len(left))


@endpoint(
    "GET /sessions/<session_id>/setup",
    gives=json(SetupDetail, headers=("Fleet-Position",)),
    tag="sessions",
    refuses=("session_not_found", "erased", "setup_missing"),
)
async def read_setup(fleet: Fleet, session_id: str) -> Response:
    """Read the set-up of the session's workspace: its commands, its status and its output.

    The stream has the output as it comes (`session.setup-output`).
    """
    return await _setup(fleet, session_id)


@endpoint(
    "POST /sessions/<session_id>/setup",
    gives=json(SetupDetail, headers=("Fleet-Position",)),
    tag="sessions",
    examples=({"action": "allow", "digest": "9f86d081884c7d659a2feaa0c55ad015"},),
    refuses=(
        "session_not_found",
        "erased",
        "setup_missing",
        "setup_not_waiting",
        "setup_changed",
        "setup_invalid",
        "session_not_ready",
        "trust_full",
    ),
)
async def decide_setup(fleet: Fleet, session_id: str, body: SetupBody, caller: Caller) -> Response:
    """Allow the commands that the session's set-up waits for, or continue without it.

    What is allowed is allowed in all workspaces of the repository, by the digest of the file. A set-up that has
    failed is tried again by a resume, or skipped here.
    """
    if body.action == "skip":
        await fleet.sessions.skip_setup(session_id, caller)
    elif body.digest is None:
        raise Rejected("invalid", "to allow commands, name the digest of their file", field="digest")
    else:
        await fleet.trust.allow_for(session_id, body.digest, caller)
    return await _setup(fleet, session_id)


async def _setup(fleet: Fleet, session_id: str) -> Response:
    state = fleet.sessions.session(session_id)
    item, position = setup_item(state.setup), fleet.log.head()
    if item is None:
        raise Rejected("setup_missing", "the session's workspace has no set-up")
    output = (await fleet.setup_outputs.of(fleet.views.sessions.stream(state.id))).text
    return json_response(setup_detail(item, output), position=position)


def _recipe_item(fleet: Fleet, repository: str, recipe: Recipe) -> RecipeItem:
    return RecipeItem(
        repository=repository,
        digest=recipe.digest,
        setup=recipe.setup,
        teardown=recipe.teardown,
        submodules=recipe.submodules,
        allowed=fleet.trust.allows(repository, recipe.digest),
        problem=recipe.problem or None,
    )


def _trust_item(allowed: RecipeAllowed) -> TrustItem:
    recipe = allowed.recipe
    return TrustItem(
        repository=allowed.repository,
        digest=recipe.digest,
        setup=recipe.setup,
        teardown=recipe.teardown,
        submodules=recipe.submodules,
        at=rfc3339(allowed.at_ms),
        by=allowed.actor,
    )
