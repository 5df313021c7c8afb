"""The routes for set-ups of workspaces: their commands, their output, and the permission to run them."""

from quart import Blueprint, Response

from fleet.actors.fleet import Fleet
from fleet.core.times import rfc3339
from fleet.core.trust import RecipeAllowed
from fleet.errors import Rejected
from fleet.gateway.items.states import setup_detail, setup_item
from fleet.gateway.openapi.document import about, asks, gives, refuses, takes
from fleet.gateway.openapi.refusals import COMMAND, DIRECTORY, SESSION
from fleet.gateway.server.requests import answer, caller, paged, read_body, read_query
from fleet.ports import Recipe
from fleet.wire.bodies import PageQuery, Query
from fleet.wire.setups import RecipeItem, RecipeQuery, SetupBody, SetupDetail, TrustBody, TrustItem, TrustQuery

_LOOK = (*DIRECTORY, "not_a_repository", "git_failed", "setup_missing")


def trust_routes(fleet: Fleet) -> Blueprint:
    """Return the routes over one Fleet."""
    routes = Blueprint("trust", __name__, url_prefix="/api")
    _add_trust(routes, fleet)
    _add_setups(routes, fleet)
    return routes


def _add_trust(routes: Blueprint, fleet: Fleet) -> None:
    @routes.get("/trust")
    @about("fleet")
    @asks(PageQuery)
    @gives(list[TrustItem])
    async def list_trust() -> Response:
        """List the contents of `.fleet.toml` whose commands a person has allowed.

        Each holds in one repository. Nothing else of a repository runs when a workspace is made or removed.
        """
        return paged(list(fleet.trust.allowed), read_query(PageQuery), _trust_item, fleet.log.head())

    @routes.get("/trust/recipe")
    @about("fleet")
    @asks(RecipeQuery)
    @gives(RecipeItem)
    @refuses(*_LOOK)
    async def read_recipe() -> Response:
        """Read what the `.fleet.toml` of a checkout asks for, and whether that is allowed.

        Nothing runs.
        """
        repository, recipe = await fleet.trust.look(read_query(RecipeQuery).directory)
        return answer(_recipe_item(fleet, repository, recipe))

    @routes.post("/trust")
    @about("fleet")
    @takes(TrustBody, {"directory": "/home/dev/my-project", "digest": "9f86d081884c7d659a2feaa0c55ad015"})
    @gives(RecipeItem)
    @refuses(*COMMAND, *_LOOK, "setup_changed", "setup_invalid", "trust_full")
    async def allow_recipe() -> Response:
        """Allow what the `.fleet.toml` of a checkout asks for, in every workspace of its repository.

        `digest` is the one that was read: the file may have changed since. Sessions that wait for it go on.
        """
        read_query(Query)
        body = await read_body(TrustBody)
        repository, recipe, position = await fleet.trust.allow(body.directory, body.digest, await caller())
        return answer(_recipe_item(fleet, repository, recipe), position=position)

    @routes.delete("/trust")
    @about("fleet")
    @asks(TrustQuery)
    @gives(list[TrustItem])
    @refuses(*COMMAND, "trust_not_found")
    async def revoke_trust() -> Response:
        """Revoke what was allowed in a repository: all of it, or one content.

        Workspaces that are set up stay so; their teardown does not run.
        """
        query = read_query(TrustQuery)
        position = await fleet.trust.revoke(query.repository, query.digest, await caller())
        left = [_trust_item(each) for each in fleet.trust.allowed]
        return answer(left, position=position, total=len(left))


def _add_setups(routes: Blueprint, fleet: Fleet) -> None:
    @routes.get("/sessions/<session_id>/setup")
    @about("sessions")
    @gives(SetupDetail, headers=("Fleet-Position",))
    @refuses(*SESSION, "setup_missing")
    async def read_setup(session_id: str) -> Response:
        """Read the set-up of the session's workspace: its commands, how it stands, and what it has written.

        The stream has the output as it comes (`session.setup-output`).
        """
        read_query(Query)
        return await _setup(fleet, session_id)

    @routes.post("/sessions/<session_id>/setup")
    @about("sessions")
    @takes(SetupBody, {"action": "allow", "digest": "9f86d081884c7d659a2feaa0c55ad015"})
    @gives(SetupDetail, headers=("Fleet-Position",))
    @refuses(
        *COMMAND,
        *SESSION,
        *("setup_missing", "setup_not_waiting", "setup_changed", "setup_invalid", "session_not_ready", "trust_full"),
    )
    async def decide_setup(session_id: str) -> Response:
        """Allow the commands that the session's set-up waits for, or go on without it.

        What is allowed is allowed in all workspaces of the repository, by the digest of the file. A set-up that has
        failed is tried again by a resume, or skipped here.
        """
        read_query(Query)
        body = await read_body(SetupBody)
        if body.action == "skip":
            await fleet.sessions.skip_setup(session_id, await caller())
        elif body.digest is None:
            raise Rejected("invalid", "to allow commands, name the digest of their file", field="digest")
        else:
            await fleet.trust.allow_for(session_id, body.digest, await caller())
        return await _setup(fleet, session_id)


async def _setup(fleet: Fleet, session_id: str) -> Response:
    state = fleet.sessions.session(session_id)
    item, position = setup_item(state.setup), fleet.log.head()
    if item is None:
        raise Rejected("setup_missing", "the session's workspace asks for no set-up")
    output = (await fleet.setup_outputs.of(fleet.views.sessions.stream(state.id))).text
    return answer(setup_detail(item, output), position=position)


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
