"""Many SSE readers, WebSockets or both on one session, and how late what they get is.

Run by streams.py as a process of its own: python -m bench.stream_readers PORT SESSION READERS SECONDS KIND... It
prints JSON once all are connected and again when the time is over. One loop over epoll: readers must cost less than
the server.
"""

import json
import re
import selectors
import socket
import sys
import time
from array import array
from collections.abc import Sequence

_SENT = re.compile(rb'"sentNs":(\d+)')
_UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
SETTLE_S = 2.0
_SPLIT_MAX = 40
"""A mark that stands on both sides of two reads is no longer."""


def _masked(text: bytes) -> bytes:
    return bytes((0x81, 0x80 | 126)) + len(text).to_bytes(2, "big") + bytes(4) + text


def _connect(port: int, session: str, kind: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    path, more = (f"/api/sessions/{session}/events", "") if kind == "sse" else ("/api/ws", _UPGRADE)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n".encode())
    head = connection.recv(4096)
    if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 101")):
        raise RuntimeError(head.decode(errors="replace"))
    if kind == "ws":
        subscribe = json.dumps({"type": "subscribe", "id": "a", "sessions": [session]}).encode()
        connection.sendall(_masked(subscribe.ljust(126)))
    connection.setblocking(False)
    return connection


class Readers:
    """All readers."""

    def __init__(self, port: int, session: str, each: int, kinds: Sequence[str]) -> None:
        self._selector = selectors.DefaultSelector()
        self._rest: dict[tuple[int, str], bytes] = {}
        for _ in range(each):
            for kind in kinds:
                connection = _connect(port, session, kind)
                self._selector.register(connection, selectors.EVENT_READ, kind)
                self._rest[connection.fileno(), kind] = b""
                self.read(0, None)

    def read(self, seconds: float, lags_ms: dict[str, "array[float]"] | None) -> None:
        """Read for so long, and note how late each event is."""
        end = time.monotonic() + seconds
        while True:
            for key, _ in self._selector.select(0.05 if seconds else 0):
                connection: socket.socket = key.fileobj  # type: ignore[assignment]  # that is what was registered
                received = connection.recv(1 << 18)
                if not received:
                    raise RuntimeError(f"a reader ({key.data}) was cut off")
                now_ns = time.monotonic_ns()
                whole = self._rest[key.fd, key.data] + received
                last = 0
                for found in _SENT.finditer(whole):
                    if found.end() == len(whole):
                        break
                    last = found.end()
                    if lags_ms is not None:
                        lags_ms[key.data].append((now_ns - int(found.group(1))) / 1e6)
                self._rest[key.fd, key.data] = whole[max(last, len(whole) - _SPLIT_MAX) :]
            if time.monotonic() >= end:
                return


def main() -> None:
    """Connect, settle, measure, print."""
    port, session, each, seconds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    readers = Readers(port, session, each, sys.argv[5:])
    print("{}", flush=True)
    readers.read(SETTLE_S, None)
    lags_ms = {kind: array("d") for kind in sys.argv[5:]}
    readers.read(seconds, lags_ms)
    result: dict[str, list[float]] = {}
    for kind, values in lags_ms.items():
        ordered = sorted(values) or [0.0]
        result[kind] = [len(values) / seconds, *(ordered[int(len(ordered) * share)] for share in (0.5, 0.99))]
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
