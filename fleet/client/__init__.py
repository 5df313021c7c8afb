"""The Python client: it drives and follows sessions on trio, or from plain scripts with `sync_client`.

It knows the wire (fleet/wire) and nothing of the server. `connection.py` sends and repeats requests, `stream.py`
follows, over `sse.py` or, many at once, over `socket.py` and its `link.py`; `errors.py` has what can go wrong;
`client.py` and `session.py` have the objects that people use, `sync.py` the same ones for scripts without trio.
"""

from typing import TYPE_CHECKING, Any

from fleet.client.client import FleetClient
from fleet.client.connection import Page
from fleet.client.errors import Conflict, Denied, FleetError, Invalid, NotFound, Unavailable, Unreachable
from fleet.client.export import LogExport
from fleet.client.session import Session
from fleet.client.socket import Socket
from fleet.client.stream import Stream
from fleet.client.webhook import Webhook

if TYPE_CHECKING:
    from fleet.client.sync import SyncFleetClient, SyncSession, SyncSocket, SyncStream, SyncWebhook, sync_client

__all__ = [
    "Conflict",
    "Denied",
    "FleetClient",
    "FleetError",
    "Invalid",
    "LogExport",
    "NotFound",
    "Page",
    "Session",
    "Socket",
    "Stream",
    "SyncFleetClient",
    "SyncSession",
    "SyncSocket",
    "SyncStream",
    "SyncWebhook",
    "Unavailable",
    "Unreachable",
    "Webhook",
    "sync_client",
]


def __getattr__(name: str) -> Any:
    """Import the client for scripts where it is asked for: it needs threads, and anyio."""
    if name in __all__:
        from fleet.client import sync

        return getattr(sync, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
