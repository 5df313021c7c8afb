"""Counts for the log the requests that are refused for lack of access, and the use of access tokens."""

from quart import Request, Websocket

from fleet.actors.fleet import Fleet
from fleet.core.server import RefusedRequest
from fleet.errors import Rejected
from fleet.gateway.server.client_limits import Visit
from fleet.gateway.server.guard import LOGIN_PATH, READS


def note_refusal(fleet: Fleet, connection: Request | Websocket, refusal: Exception, visit: Visit) -> None:
    """Count what the guard or the login route has refused."""
    if not isinstance(refusal, Rejected):
        return
    is_read = isinstance(connection, Websocket) or connection.method in READS
    request: RefusedRequest = "login" if connection.path == LOGIN_PATH else "read" if is_read else "write"
    actor = visit.refused_actor if visit.visitor is None else visit.visitor.actor
    fleet.records.refused(request, refusal.code, actor, visit.refused)


async def note_use(fleet: Fleet, visit: Visit) -> None:
    """Record a login if the visit is the first for a while of a program with this token."""
    if visit.visitor is not None and visit.visitor.token is not None:
        await fleet.records.used(visit.visitor.token)
