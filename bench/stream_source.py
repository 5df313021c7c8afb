"""A server whose one session records parts at a steady rate, each with the moment it was made: what streams.py reads.

Run by streams.py as a process of its own: python -m bench.stream_source MODE DATA_DIR. It prints port and session, and
begins when it is sent a line. In the mode `fleet` it is the whole server; `naive` adds a server that does what comes
first to mind: each reader encodes each event for itself, and writes it by itself.
"""

import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import msgspec
import trio
from hypercorn.config import Config as ServerConfig
from hypercorn.trio import serve  # pyright: ignore[reportUnknownVariableType] - its WSGI half has bare types
from hypercorn.typing import Framework  # pyright: ignore[reportUnknownVariableType] - the same
from quart import Response, websocket
from quart_trio import QuartTrio

from bench import sample_log
from bench.server import free_port
from fleet.actors.fleet import Fleet
from fleet.composition.server import _prefer_event_loop, running
from fleet.config import load_config
from fleet.core.session.turn_events import PartRecorded
from fleet.events.envelope import Cause, Recorded
from fleet.logs import configure_logs

EVENTS_PER_S = 100
_TEXT = "The total was rounded twice, once for each line and once for all of them; now it is rounded at the end. " * 4


async def _record(fleet: Fleet, stream: str) -> None:
    """Append a part every hundredth of a second, together with those that are due by then."""
    version = fleet.log.stream_version(stream)
    due_ns = time.monotonic_ns()
    while True:
        await trio.sleep((due_ns - time.monotonic_ns()) / 1e9 if due_ns > time.monotonic_ns() else 0)
        parts: list[PartRecorded] = []
        while due_ns <= time.monotonic_ns():
            body = {"id": "prt_x", "type": "text", "text": _TEXT, "sentNs": due_ns}
            parts.append(
                PartRecorded(
                    part_id="prt_x",
                    message_id="msg_x",
                    type="text",
                    at_ms=1,
                    body=msgspec.Raw(msgspec.json.encode(body)),
                )
            )
            due_ns += 1_000_000_000 // EVENTS_PER_S
        if parts:
            version = (await fleet.log.append(stream, version, parts, Cause())).version


def _envelope(event: Recorded) -> bytes:
    fields = {"position": event.position, "stream": event.stream, "type": event.type, "at": event.recorded_at_ms}
    return msgspec.json.encode({**fields, "data": msgspec.Raw(event.payload)})


def _naive(fleet: Fleet, stream: str) -> QuartTrio:
    app = QuartTrio("naive")

    async def events() -> AsyncIterator[Recorded]:
        async with fleet.feed.subscribe(after=fleet.log.head(), stream=stream) as reader:
            async for batch in reader:
                for event in batch:
                    yield event

    @app.get("/api/sessions/<_session_id>/events")
    async def follow(_session_id: str) -> Response:
        async def body() -> AsyncIterator[bytes]:
            yield b": open\n\n"
            async for event in events():
                yield b"id: %d\nevent: %s\ndata: %s\n\n" % (event.position, event.type.encode(), _envelope(event))

        response = Response(body(), content_type="text/event-stream")
        response.timeout = None
        return response

    @app.websocket("/api/ws")
    async def converse() -> None:
        await websocket.receive()
        async for event in events():
            await websocket.send(_envelope(event).decode())

    return app


async def _serve(fleet: Fleet, stream: str, port: int) -> None:
    config = ServerConfig()
    config.bind = [f"127.0.0.1:{port}"]
    config.accesslog = config.errorlog = None
    await serve(cast("Framework", _naive(fleet, stream)), config)


async def _run(mode: str, data_dir: Path) -> None:
    await sample_log.write(data_dir, 1)
    port, other = free_port(), free_port()
    config = load_config({"port": str(port), "data_dir": str(data_dir), "rehearsal": "always"}, {})
    async with running(config, os.environ) as server, trio.open_nursery() as nursery:
        _prefer_event_loop()
        session: Any = next(iter(server.fleet.views.sessions))
        stream = server.fleet.views.sessions.stream(session.id)
        if mode == "naive":
            nursery.start_soon(_serve, server.fleet, stream, other)
            await trio.sleep(0.5)
        print(other if mode == "naive" else port, session.id, flush=True)
        await trio.to_thread.run_sync(sys.stdin.readline)
        await _record(server.fleet, stream)


if __name__ == "__main__":
    configure_logs()  # as the server does; without it, lines of requests would fill the pipe of streams.py
    trio.run(_run, sys.argv[1], Path(sys.argv[2]))
