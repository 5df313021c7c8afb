"""The limits of one client address: requests and streams at a time, and failed attempts to log in.

A `Visit` is one request or WebSocket from its arrival to its end; middleware.py opens it, guard.py checks it. A valid
token is admitted even after failed attempts from the same address: a secret of 256 bits cannot be guessed. So the limit
on failures only saves work and log lines, and one client behind a proxy cannot lock out the others.
"""

import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import trio

from fleet.errors import Rejected
from fleet.limits import (
    CLIENT_ADDRESSES_REMEMBERED_MAX,
    LOGIN_FAILURE_REFILL_S,
    LOGIN_FAILURES_MAX,
    REQUESTS_PER_CLIENT_MAX,
    STREAMS_PER_CLIENT_MAX,
)

if TYPE_CHECKING:
    from fleet.core.server import RefusedSecret
    from fleet.gateway.server.visitor import Visitor

_SOON_S: Final = 1


class Peer:
    """One client address: its open requests and streams, and its recent failures."""

    def __init__(self) -> None:
        self.requests = 0
        self.streams = 0
        self._failures = 0.0
        self._failed_at = -math.inf

    def failed(self) -> Rejected | None:
        """Record a failed login; return the refusal if there were too many."""
        now = trio.current_time()
        self._failures = max(0.0, self._failures - (now - self._failed_at) / LOGIN_FAILURE_REFILL_S)
        self._failed_at = now
        if self._failures + 1 > LOGIN_FAILURES_MAX:
            return Rejected(
                "too_many_attempts",
                f"{LOGIN_FAILURES_MAX} logins from this address have failed",
                hint="See which token your program sends; `fleet token ls` lists all tokens.",
                retry_after_s=math.ceil(LOGIN_FAILURE_REFILL_S),
            )
        self._failures += 1
        return None


class Visit:
    """One request or WebSocket. `scope` ends it; `visitor` is set once it is admitted, `request_id` on requests.

    `refused` says why its token or cookie was not accepted, `refused_actor` whose it was, if that is known.
    """

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.visitor: Visitor | None = None
        self.request_id: str | None = None
        self.refused: RefusedSecret | None = None
        self.refused_actor: str | None = None
        self.scope = trio.CancelScope()
        self._streams = False
        peer.requests += 1

    def crowded(self) -> Rejected | None:
        """Return the refusal if its client has too many open requests."""
        if self.peer.requests <= REQUESTS_PER_CLIENT_MAX:
            return None
        why = f"this address has {self.peer.requests} open requests; the limit is {REQUESTS_PER_CLIENT_MAX}"
        return Rejected("too_many_requests", why, retry_after_s=_SOON_S)

    def stream(self) -> Rejected | None:
        """Count it as an open stream from now on; return the refusal if its client has too many."""
        if self.peer.streams >= STREAMS_PER_CLIENT_MAX:
            return Rejected(
                "too_many_streams",
                f"this address has {STREAMS_PER_CLIENT_MAX} open streams, which is the limit",
                hint="Follow all sessions over one stream, or close those without a reader.",
                retry_after_s=_SOON_S,
            )
        if not self._streams:
            self._streams = True
            self.peer.requests -= 1
            self.peer.streams += 1
        return None

    def end(self) -> None:
        """Remove it from the count."""
        if self._streams:
            self.peer.streams -= 1
        else:
            self.peer.requests -= 1


class ClientLimits:
    """The client addresses that were seen last."""

    def __init__(self) -> None:
        self._peers: OrderedDict[str, Peer] = OrderedDict()

    def visit(self, address: str) -> Visit:
        """Open a visit from this address; `end` it."""
        peer = self._peers.pop(address, None) or Peer()
        self._peers[address] = peer
        if len(self._peers) > CLIENT_ADDRESSES_REMEMBERED_MAX:
            self._peers.popitem(last=False)  # its open visits keep it, and it is counted again
        return Visit(peer)
