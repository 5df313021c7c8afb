"""Set-ups of workspaces: what they ask for, what they have written, and who allows their commands."""

from quart import Blueprint, Response

from fleet.actors.supervision import Tree
from fleet.core.trust import RecipeAllowed
from fleet.errors import Rejected
from fleet.gateway import wire
from fleet.gateway.document import about, asks, gives, refuses, takes
from fleet.gateway.refusals import COMMAND, DIRECTORY, SESSION
from fleet.gateway.requests import answer, caller, paged, read_body, read_query
from fleet.ports import Recipe

_LOOK = (*DIRECTORY, "not_a_repository", "git_failed", "setup_missing")


def trust_routes(tree: Tree) -> Blueprint:
    """Return the routes over one Fleet."""
    routes = Blueprint("trust", __name__, url_prefix="/api")
    _add_trust(routes, tree)
    _add_setups(routes, tree)
    return routes


def _add_trust(routes: Blueprint, tree: Tree) -> None:
    @routes.get("/trust")
    @about("fleet")
    @asks(wire.PageQuery)
    @gives(list[wire.TrustItem])
    async def list_trust() -> Response:
        """List the contents of `.fleet.toml` whose commands a person has allowed.

        Each holds in one repository. Nothing else of a repository runs when a workspace is made or removed.
        """
        return paged(list(tree.trust.allowed), read_query(wire.PageQuery), _trust_item, tree.log.head())

    @routes.get("/trust/recipe")
    @about("fleet")
    @asks(wire.RecipeQuery)
    @gives(wire.RecipeItem)
    @refuses(*_LOOK)
    async def read_recipe() -> Response:
        """Read what the `.fleet.toml` of a checkout asks for, and whether that is allowed.

        Nothing runs.
        """
        repository, recipe = await tree.trust.look(read_query(wire.RecipeQuery).directory)
        return answer(_recipe_item(tree, repository, recipe))

    @routes.post("/trust")
    @about("fleet")
    @takes(wire.TrustBody, {"directory": "/home/dev/my-project", "digest": "9f86d081884c7d659a2feaa0c55ad015"})
    @gives(wire.RecipeItem)
    @refuses(*COMMAND, *_LOOK, "setup_changed", "setup_invalid", "trust_full")
    async def allow_recipe() -> Response:
        """Allow what the `.fleet.toml` of a checkout asks for, in every workspace of its repository.

        `digest` is the one that was read: the file may have changed since. Sessions that wait for it go on.
        """
        read_query(wire.Query)
        body = await read_body(wire.TrustBody)
        repository, recipe, position = await tree.trust.allow(body.directory, body.digest, await caller())
        return answer(_recipe_item(tree, repository, recipe), position=position)

    @routes.delete("/trust")
    @about("fleet")
    @asks(wire.TrustQuery)
    @gives(list[wire.TrustItem])
    @refuses(*COMMAND, "trust_not_found")
    async def revoke_trust() -> Response:
        """Revoke what was allowed in a repository: all of it, or one content.

        Workspaces that are set up stay so; their teardown does not run.
        """
        query = read_query(wire.TrustQuery)
        position = await tree.trust.revoke(query.repository, query.digest, await caller())
        left = [_trust_item(each) for each in tree.trust.allowed]
        return answer(left, position=position, total=len(left))


def _add_setups(routes: Blueprint, tree: Tree) -> None:
    @routes.get("/sessions/<session_id>/setup")
    @about("sessions")
    @gives(wire.SetupDetail, headers=("Fleet-Position",))
    @refuses(*SESSION, "setup_missing")
    async def read_setup(session_id: str) -> Response:
        """Read the set-up of the session's workspace: its commands, how it stands, and what it has written.

        The stream has the output as it comes (`session.setup-output`).
        """
        read_query(wire.Query)
        return await _setup(tree, session_id)

    @routes.post("/sessions/<session_id>/setup")
    @about("sessions")
    @takes(wire.SetupBody, {"action": "allow", "digest": "9f86d081884c7d659a2feaa0c55ad015"})
    @gives(wire.SetupDetail, headers=("Fleet-Position",))
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
        read_query(wire.Query)
        body = await read_body(wire.SetupBody)
        if body.action == "skip":
            await tree.orders.skip_setup(session_id, await caller())
        elif body.digest is None:
            raise Rejected("invalid", "to allow commands, name the digest of their file", field="digest")
        else:
            await tree.trust.allow_for(session_id, body.digest, await caller())
        return await _setup(tree, session_id)


async def _setup(tree: Tree, session_id: str) -> Response:
    state = tree.orders.session(session_id)
    item, position = wire.setup_item(state.setup), tree.log.head()
    if item is None:
        raise Rejected("setup_missing", "the session's workspace asks for no set-up")
    output = (await tree.setup_outputs.of(tree.views.sessions.stream(state.id))).text
    return answer(wire.setup_detail(item, output), position=position)


def _recipe_item(tree: Tree, repository: str, recipe: Recipe) -> wire.RecipeItem:
    return wire.RecipeItem(
        repository,
        recipe.digest,
        recipe.setup,
        recipe.teardown,
        recipe.submodules,
        tree.trust.allows(repository, recipe.digest),
        recipe.problem or None,
    )


def _trust_item(allowed: RecipeAllowed) -> wire.TrustItem:
    recipe = allowed.recipe
    at = wire.rfc3339(allowed.at_ms)
    fields = (recipe.digest, recipe.setup, recipe.teardown, recipe.submodules)
    return wire.TrustItem(allowed.repository, *fields, at, allowed.actor)
