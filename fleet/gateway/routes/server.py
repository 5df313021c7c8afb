"""The route for information about this server: versions, roots and limits. The page reads it when it opens."""

from quart import Response

from fleet import __version__
from fleet.actors.fleet import Fleet
from fleet.core.times import rfc3339
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.responses import json
from fleet.gateway.server.requests import json_response
from fleet.limits import BODY_BYTES_MAX, PROMPT_TEXT_BYTES_MAX, TAGS_MAX, TITLE_CHARS_MAX
from fleet.wire.server import Info, LimitsItem

_LIMITS = LimitsItem(
    body_bytes=BODY_BYTES_MAX, prompt_bytes=PROMPT_TEXT_BYTES_MAX, title_chars=TITLE_CHARS_MAX, tags=TAGS_MAX
)


endpoint = Endpoints("/api", "fleet")


@endpoint("GET /info", gives=json(Info, headers=("Fleet-Position",)))
async def read_info(fleet: Fleet) -> Response:
    """Read the versions, roots and limits of this server.

    `opencodeVersion` is that of the newest process, else of the executable, and null where neither has said it;
    `rehearsal` says that the scripted model answers. Both are known a second or two after the start. With
    `readOnly` the server refuses every change. `roots` are where sessions may work.
    """
    info = _info(fleet)
    return json_response(info, position=info.position)


def _info(fleet: Fleet) -> Info:
    return Info(
        version=__version__,
        opencode_version=_running_version(fleet) or fleet.context.local.opencode.known_version,
        rehearsal=fleet.rehearsal is not None,
        ready=fleet.ready,
        read_only=fleet.read_only,
        started_at=rfc3339(fleet.started_at_ms),
        roots=list(fleet.roots.allowed),
        limits=_LIMITS,
        position=fleet.log.head(),
    )


def _running_version(fleet: Fleet) -> str | None:
    """Return the version of the newest process that is ready, None without one."""
    ready = [state for state in fleet.views.instances.alive() if state.endpoint is not None]
    newest = max(ready, key=lambda state: state.id, default=None)  # ids begin with the time
    return None if newest is None or newest.endpoint is None else newest.endpoint.version
