"""A process that looks like an idle `opencode serve` to Fleet and takes 20 MB instead of 300: fifty fit on a machine.

It serves health, the stream of events with its heartbeats, and the status of sessions, to clients that know the
password; it announces its port as OpenCode does. It needs the standard library alone, and ends with its parent: when
its standard input is closed.
"""

import base64
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = "1.18.33"
_HEARTBEAT_S = 10.0
_PAIR = f"{os.environ['OPENCODE_SERVER_USERNAME']}:{os.environ['OPENCODE_SERVER_PASSWORD']}"
_AUTHORIZATION = f"Basic {base64.b64encode(_PAIR.encode()).decode()}"


class StandIn(BaseHTTPRequestHandler):
    """What an idle OpenCode answers."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.headers.get("Authorization") != _AUTHORIZATION:
            self._answer(401, {"error": "unauthorized"})
        elif (serve := _PATHS.get(self.path.partition("?")[0])) is None:
            self._answer(404, {"error": "not found"})
        else:
            serve(self)

    def health(self) -> None:
        self._answer(200, {"healthy": True, "version": VERSION})

    def statuses(self) -> None:
        self._answer(200, {})

    def events(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        kind = "server.connected"
        try:
            while True:
                event = json.dumps({"payload": {"type": kind, "properties": {}}})
                self.wfile.write(f"data: {event}\n\n".encode())
                kind = "server.heartbeat"
                time.sleep(_HEARTBEAT_S)
        except ConnectionError:  # the reader has gone
            self.close_connection = True

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server gives it
        """Say nothing: the log is for the port."""


_PATHS: Mapping[str, Callable[[StandIn], None]] = {
    "/global/health": StandIn.health,
    "/global/event": StandIn.events,
    "/session/status": StandIn.statuses,
}


def main() -> None:
    """Serve until standard input ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    print(f"opencode server listening on http://127.0.0.1:{server.server_port}", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.buffer.read()
    os._exit(0)  # the streams' threads would wait for their next heartbeat


if __name__ == "__main__":
    main()
