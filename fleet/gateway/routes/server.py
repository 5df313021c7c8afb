"""The route for information about this server: versions, roots and limits. The page reads it when it opens."""

from quart import Blueprint, Response

from fleet import __version__
from fleet.actors.supervision import Tree
from fleet.core.times import rfc3339
from fleet.gateway.openapi.document import about, gives
from fleet.gateway.server.requests import answer, read_query
from fleet.limits import BODY_BYTES_MAX, PROMPT_TEXT_BYTES_MAX, TAGS_MAX, TITLE_CHARS_MAX
from fleet.wire.bodies import Query
from fleet.wire.server import Info, LimitsItem

_LIMITS = LimitsItem(BODY_BYTES_MAX, PROMPT_TEXT_BYTES_MAX, TITLE_CHARS_MAX, TAGS_MAX)


def info_routes(tree: Tree) -> Blueprint:
    """Return the route."""
    routes = Blueprint("info", __name__, url_prefix="/api")

    @routes.get("/info")
    @about("fleet")
    @gives(Info, headers=("Fleet-Position",))
    async def read_info() -> Response:
        """Say what this server is.

        `opencodeVersion` is that of the newest process, else of the executable, and null where neither has said it;
        `rehearsal` says that the scripted model answers. Both are known a second or two after the start. `roots` are
        where sessions may work.
        """
        read_query(Query)
        info = _info(tree)
        return answer(info, position=info.position)

    return routes


def _info(tree: Tree) -> Info:
    return Info(
        __version__,
        _running_version(tree) or tree.context.host.known_version,
        tree.rehearsal is not None,
        tree.ready,
        rfc3339(tree.started_at_ms),
        list(tree.roots.allowed),
        _LIMITS,
        tree.log.head(),
    )


def _running_version(tree: Tree) -> str | None:
    """Return the version of the newest process that is ready, None without one."""
    ready = [state for state in tree.views.instances.alive() if state.endpoint is not None]
    newest = max(ready, key=lambda state: state.id, default=None)  # ids begin with the time
    return None if newest is None or newest.endpoint is None else newest.endpoint.version
