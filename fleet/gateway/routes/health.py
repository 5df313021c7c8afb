"""The routes about the whole fleet: its numbers, and whether it is alive and ready."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from quart import Response

from fleet import __version__
from fleet.actors.fleet import Fleet
from fleet.core.session.state import status_of
from fleet.gateway.items.states import tokens_item
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.responses import Gives
from fleet.gateway.server.requests import answer
from fleet.ports import Tokens
from fleet.wire.server import Health, Summary

endpoint = Endpoints("/api", "fleet")


@endpoint("GET /fleet/summary", gives=Summary)
async def summarize(fleet: Fleet) -> Response:
    """Count sessions, processes and what they use.

    Sessions by status, processes and their memory, prompts and requests that wait, tokens, cost, uptime, and the
    end of the log.
    """
    return answer(_summary(fleet))


@endpoint("GET /healthz", gives=Health)
async def healthz(fleet: Fleet) -> Response:
    """Check that the server responds.

    Nothing else is checked; `/api/readyz` says whether work can begin.
    """
    return answer(_health(fleet, "ok"))


@endpoint("GET /readyz", gives=Gives({200: (Health,), 503: (Health,)}))
async def readyz(fleet: Fleet) -> Response:
    """Check that the server has recovered what an earlier run left behind, and that nothing limits it.

    Until then the response is 503, with the status `starting`. With the status `degraded` the server serves all reads,
    and `reasons` says what it refuses: on a full disk, everything but what ends something or frees space.
    """
    if not fleet.ready:
        return answer(_health(fleet, "starting"), status=503)
    reasons = fleet.limitations()
    return answer(_health(fleet, "degraded" if reasons else "ok", reasons))


def _health(fleet: Fleet, status: Literal["ok", "degraded", "starting"], reasons: Sequence[str] = ()) -> Health:
    return Health(status=status, version=__version__, position=fleet.log.head(), reasons=list(reasons))


def _summary(fleet: Fleet) -> Summary:
    sessions, alive = list(fleet.views.sessions), fleet.views.instances.alive()
    memory = [fleet.context.host.memory_bytes(state.identity) for state in alive if state.identity is not None]
    return Summary(
        sessions=dict(Counter(status_of(state) for state in sessions)),
        instances=len(alive),
        memory_bytes=sum(size for size in memory if size is not None),
        queued=sum(len(state.queue.prompts) for state in sessions),
        open_requests=sum(len(state.requests) for state in sessions),
        tokens=tokens_item(sum((state.usage.tokens for state in sessions), Tokens())),
        cost_usd=sum(state.usage.cost_usd for state in sessions),
        uptime_seconds=fleet.uptime_s,
        position=fleet.log.head(),
    )
