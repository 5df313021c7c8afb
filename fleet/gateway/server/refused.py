"""Counts the requests that are refused for lack of access, for the log."""

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
    fleet.records.refused(request, refusal.code, None if visit.visitor is None else visit.visitor.actor)
