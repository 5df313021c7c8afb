"""How fast is a REST read? One session, and pages of 1,003, against a bare Quart-Trio route with the same bytes.

A page of 50 out of 10,000 sessions has to take no longer than one out of 1,003.

Both servers run in processes of their own, on one core each; eight clients keep their connections and ask again as soon
as they have their answer.

Run: python -m bench rest
"""

import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import trio

from bench import sample_log
from bench.figures import Figure, best, show
from bench.server import Server, fleet, free_port, running

SESSIONS = 1_003
MANY = 10_000
CLIENTS = 8
MEASURED_S = 1.2


async def _reads_per_s(port: int, path: str) -> float:
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    count = 0

    async def client(until_s: float) -> None:
        nonlocal count
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        async with stream:
            while time.perf_counter() < until_s:
                await stream.send_all(request)
                await _read_answer(stream)
                count += 1

    started_s = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(CLIENTS):
            nursery.start_soon(client, started_s + MEASURED_S)
    return count / (time.perf_counter() - started_s)


async def _read_answer(stream: trio.SocketStream) -> None:
    """Read one answer to its end. Raises RuntimeError for one that is not a 200 of a given length."""
    received = await stream.receive_some()
    while b"\r\n\r\n" not in received:
        received += await stream.receive_some()
    head, _, body = received.partition(b"\r\n\r\n")
    head = head.lower()
    if not head.startswith(b"http/1.1 200") or b"content-length:" not in head:
        raise RuntimeError(f"no good answer: {head.decode(errors='replace')}")
    missing = int(head.split(b"content-length:")[1].split(b"\r\n")[0]) - len(body)
    while missing > 0:
        missing -= len(await stream.receive_some())


def _rate(server: Server, path: str) -> float:
    return trio.run(_reads_per_s, server.port, path)


def _compare(ours: Server, more: Server, session_id: str) -> list[Figure]:
    paths = {"one": f"/api/sessions/{session_id}", "many": "/api/sessions?limit=50", "all": "/api/sessions?limit=1000"}
    with tempfile.TemporaryDirectory() as directory:
        for name, path in paths.items():
            (Path(directory) / name).write_bytes(ours.http.get(path).content)
        port = free_port()
        command = [sys.executable, "-m", "bench.bare_route", str(port), directory]
        with running(command, port, "/one", os.environ) as bare:
            read, read_bare, listed, listed_bare, whole, whole_bare, listed_of_many = best(
                max,
                partial(_rate, ours, paths["one"]),
                partial(_rate, bare, "/one"),
                partial(_rate, ours, paths["many"]),
                partial(_rate, bare, "/many"),
                partial(_rate, ours, paths["all"]),
                partial(_rate, bare, "/all"),
                partial(_rate, more, paths["many"]),
            )
    return [
        Figure("GET /api/sessions/{id}", read, "/s", read_bare, ratio_at_least=0.75),
        Figure(f"GET /api/sessions?limit=50, of {SESSIONS:,}", listed, "/s", listed_bare, ratio_at_least=0.65),
        Figure(f"GET /api/sessions?limit=1000, of {SESSIONS:,}", whole, "/s", whole_bare, at_least=290),
        Figure(
            f"GET /api/sessions?limit=50, of {MANY:,} (baseline: of {SESSIONS:,})",
            listed_of_many,
            "/s",
            listed,
            ratio_at_least=0.9,
        ),
    ]


def _await_index(server: Server) -> None:
    """Wait until the server has indexed its log for the history, which takes processor time after its first start."""
    while 'fleet_view_lag_events{view="history"} 0.0' not in server.http.get("/api/metrics").text:
        time.sleep(0.5)


def main() -> list[Figure]:
    """Measure, print and return reads per second."""
    logs = sample_log.written(SESSIONS), sample_log.written(MANY)
    with fleet(logs[0], "--rehearsal", "never") as ours, fleet(logs[1], "--rehearsal", "never") as more:
        _await_index(ours)
        _await_index(more)
        session_id: str = ours.http.get("/api/sessions?limit=1").json()[0]["id"]
        figures = _compare(ours, more, session_id)
    return show("rest: reads per second by eight clients, against a bare route with the same bytes", figures)


if __name__ == "__main__":
    main()
