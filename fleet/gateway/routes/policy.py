"""The route for trials of policies: what permission rules and a budget would have done with the recorded past."""

from pathlib import Path

from quart import Response

from fleet.actors.fleet import Fleet
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.responses import json
from fleet.gateway.server.requests import json_response
from fleet.wire.policy import PolicyBody, PolicyTrial

endpoint = Endpoints("/api/policy", "log")


@endpoint(
    "POST /try",
    gives=json(PolicyTrial, headers=("Fleet-Position",)),
    examples=({"permission": {"bash": {"*": "ask", "git *": "allow"}, "webfetch": "deny"}, "budget": {"usd": 2}},),
    refuses=("session_not_found",),
    changes_nothing=True,
)
async def try_policy(fleet: Fleet, body: PolicyBody) -> Response:
    """Try permission rules and a budget over the recorded tool calls and turns of sessions.

    Nothing changes. The rules come after OpenCode's own, as in its configuration, and the last one that matches
    decides. Only sessions that had a turn are in the result.
    """
    from fleet.evidence.policy_trial import rules_from, try_rules

    position = fleet.log.head()
    rules = rules_from(body, str(Path.home()))
    named = [fleet.sessions.session(each).id for each in body.sessions or ()]
    ids = named if body.sessions is not None else [each.id for each in fleet.views.sessions.newest(0, position)]
    found = [await try_rules(fleet.log, fleet.views.sessions.stream(each), rules) for each in ids]
    result = PolicyTrial(position=position, sessions=[each for each in found if each is not None])
    return json_response(result, position=position)
