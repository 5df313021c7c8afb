"""The routes about the whole fleet: its numbers, and whether it is alive and ready."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from quart import Response

from fleet import __version__
from fleet.actors.fleet import Fleet
from fleet.core.instance.state import OVER
from fleet.core.session.state import State, status_of
from fleet.gateway.items.states import tokens_item
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.responses import Gives, json
from fleet.gateway.server.moments import Moment
from fleet.gateway.server.requests import json_response
from fleet.ports import Tokens
from fleet.wire.bodies import AtQuery
from fleet.wire.server import Health, Summary

endpoint = Endpoints("/api", "fleet")


@endpoint("GET /fleet/summary", gives=json(Summary, headers=("Fleet-Position",)))
async def summarize(
    fleet: Fleet,
    query: AtQuery,  # noqa: ARG001 - its moment is resolved
    moment: Moment | None,
) -> Response:
    """Count sessions, processes and what they use.

    Sessions by status, processes and their memory, prompts and requests that wait, tokens, cost, uptime, and the
    end of the log. With `at` it is what was counted then, without memory and uptime, which are in no event, and
    without sessions that were erased since.
    """
    if moment is None:
        return json_response(_summary(fleet), position=fleet.log.head())
    sessions, instances = (
        await fleet.past.sessions.all(moment.position),
        await fleet.past.instances.all(moment.position),
    )
    alive = sum(state.phase not in OVER for state in instances)
    return json_response(_counted(sessions, alive, None, None, moment.position), position=fleet.log.head())


@endpoint("GET /healthz", gives=Health)
async def healthz(fleet: Fleet) -> Response:
    """Check that the server responds.

    Nothing else is checked; `/api/readyz` says whether work can begin.
    """
    return json_response(_health(fleet, "ok"))


@endpoint("GET /readyz", gives=Gives({200: (Health,), 503: (Health,)}))
async def readyz(fleet: Fleet) -> Response:
    """Check that the server has recovered what an earlier run left behind, and that nothing limits it.

    Until then the response is 503, with the status `starting`. With the status `degraded` the server serves all reads,
    and `reasons` says what it refuses: on a full disk, everything but what ends something or frees space.
    """
    if not fleet.ready:
        return json_response(_health(fleet, "starting"), status=503)
    reasons = fleet.limitations()
    return json_response(_health(fleet, "degraded" if reasons else "ok", reasons))


def _health(fleet: Fleet, status: Literal["ok", "degraded", "starting"], reasons: Sequence[str] = ()) -> Health:
    return Health(status=status, version=__version__, position=fleet.log.head(), reasons=list(reasons))


def _summary(fleet: Fleet) -> Summary:
    sessions, alive = list(fleet.views.sessions), fleet.views.instances.alive()
    memory = [fleet.memory_bytes(state) for state in alive]
    used_bytes = sum(size for size in memory if size is not None)
    return _counted(sessions, len(alive), used_bytes, fleet.uptime_s, fleet.log.head())


def _counted(
    sessions: Sequence[State], alive: int, memory_bytes: int | None, uptime_s: float | None, position: int
) -> Summary:
    return Summary(
        sessions=dict(Counter(status_of(state) for state in sessions)),
        instances=alive,
        memory_bytes=memory_bytes,
        queued=sum(len(state.queue.prompts) for state in sessions),
        open_requests=sum(len(state.requests) for state in sessions),
        tokens=tokens_item(sum((state.usage.tokens for state in sessions), Tokens())),
        cost_usd=sum(state.usage.cost_usd for state in sessions),
        uptime_seconds=uptime_s,
        position=position,
    )
