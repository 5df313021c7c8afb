"""Runs a command from a WebSocket through the same routes as REST.

It enters the application as a request with the headers of the connection's handshake: the guard looks at who sends it
as it does at every other request, and bodies, idempotency and problems are REST's own.
"""

from typing import Any
from urllib.parse import unquote

import msgspec
import trio
from quart_trio import QuartTrio

from fleet.wire import sockets as wire

_OF_THE_HANDSHAKE = (
    b"accept-encoding",
    b"connection",
    b"upgrade",
    b"content-",
    b"transfer-",
    b"expect",
    b"idempotency-key",
    b"sec-websocket-",
    b"traceparent",
    b"tracestate",
    b"x-request-id",
)
"""Headers of the connection itself, which say nothing of who sends the command."""


class DispatchedResponse:
    """The response of a route, as it arrives."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""

    async def take(self, message: Any) -> None:
        """Take a message of the application; ASGI's `send`."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode("latin1").lower(): value.decode("latin1") for name, value in message["headers"]}
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")

    def number(self, header: str) -> int | None:
        """Return the number that a header holds, None where there is none."""
        return int(self.headers[header]) if header in self.headers else None


async def carry_out(app: QuartTrio, handshake: Any, command: wire.Command) -> DispatchedResponse:
    """Return the response to a command; `handshake` is the ASGI scope of the WebSocket that it came over."""
    response = DispatchedResponse()
    body = b"" if isinstance(command.body, msgspec.UnsetType) else bytes(command.body)
    asked = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Any:
        message = next(asked, None)
        if message is None:
            await trio.sleep_forever()  # the request has all it gets; its end cancels this
        return message

    async with app.app_context():  # one of its own: commands of a connection run beside each other
        await app(_scope(handshake, command, body), receive, response.take)
    return response


def _scope(handshake: Any, command: wire.Command, body: bytes) -> Any:
    path, _, query = command.path.partition("?")
    headers = [(name, value) for name, value in handshake["headers"] if not name.lower().startswith(_OF_THE_HANDSHAKE)]
    if body:
        headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if command.idempotency_key is not None:
        headers.append((b"idempotency-key", command.idempotency_key.encode()))
    return {
        **handshake,
        "type": "http",
        "scheme": "https" if handshake["scheme"] == "wss" else "http",
        "method": command.method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": headers,
        "extensions": {},
    }
