"""The HTTP server of the model: chat completions, the list of models and health, a child of the caller's nursery.

Nothing is remembered about conversations. The only state is how often a request with `error … times n` in its script
has failed so far; a success forgets it. reply.py decides what to answer, stream.py encodes it; pacing is here.
"""

import socket
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import cast

import msgspec
import trio
from hypercorn.config import Config
from hypercorn.trio import serve  # pyright: ignore[reportUnknownVariableType] - its WSGI half has bare types
from hypercorn.typing import Framework  # pyright: ignore[reportUnknownVariableType] - the same
from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from fleet.limits import REHEARSAL_BODY_BYTES_MAX, REHEARSAL_COUNTED_CALLS_MAX, REHEARSAL_WRITE_BYTES_MAX
from fleet.rehearsal import stream
from fleet.rehearsal.reply import Pause, RehearsalReply, ReplyFailure, reply_to
from fleet.rehearsal.request import BadRequest, ChatRequest, read_request


class FailureCounts:
    """How often each call has failed by script; bounded, the one not counted for longest is forgotten."""

    def __init__(self, calls_max: int = REHEARSAL_COUNTED_CALLS_MAX) -> None:
        self._calls_max = calls_max
        self._counts: OrderedDict[str, int] = OrderedDict()

    def reply_to(self, chat: ChatRequest, caller: str) -> RehearsalReply | ReplyFailure:
        """Return the reply for this attempt at the call and count it; `caller` parts equal calls of sessions."""
        call = f"{chat.digest} {caller}"
        attempt = self._counts.pop(call, 0)
        reply = reply_to(chat, attempt)
        if isinstance(reply, ReplyFailure):
            self._counts[call] = attempt + 1
            if len(self._counts) > self._calls_max:
                self._counts.popitem(last=False)
        return reply


async def serve_rehearsal(
    host: str = "127.0.0.1", port: int = 0, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve the model until cancelled; `nursery.start` gives back its base URL, `http://127.0.0.1:PORT/v1`.

    Port 0 lets the kernel choose. There is no authentication: keep it on loopback. Raises OSError when
    the port is taken.
    """
    config = Config()
    config.bind = [f"fd://{_bound(host, port).detach()}"]
    config.accesslog = None
    config.errorlog = None
    config.graceful_timeout = 0.0
    await serve(
        cast("Framework", rehearsal_app()),
        config,
        shutdown_trigger=trio.sleep_forever,
        task_status=_BaseUrl(task_status),
    )


def _bound(host: str, port: int) -> socket.socket:
    """Return a bound socket; Hypercorn, which takes it over, would hide the OSError in a group and leak the socket."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a paced token must not wait for the next one
        bound.bind((host, port))
        bound.listen()  # two programs can bind one port as long as none of them listens
    except OSError:
        bound.close()
        raise
    return bound


class _BaseUrl:
    """Turns the addresses that Hypercorn reports once it listens into the base URL that our caller waits for."""

    def __init__(self, told: trio.TaskStatus[str]) -> None:
        self._told = told

    def started(self, value: list[str] | None = None) -> None:
        self._told.started(f"{(value or [''])[0]}/v1")


def rehearsal_app() -> QuartTrio:
    """Return the ASGI application."""
    app = QuartTrio(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = REHEARSAL_BODY_BYTES_MAX
    counts = FailureCounts()

    @app.get("/health")
    async def health() -> Response:
        return _json({"healthy": True})

    @app.get("/v1/models")
    async def models() -> Response:
        return _json(stream.models())

    @app.post("/v1/chat/completions")
    async def chat_completions() -> Response:
        try:
            chat = read_request(cast("bytes", await request.get_data(cache=False)))
        except BadRequest as refused:
            return _json(stream.error(400, str(refused)), 400)
        reply = counts.reply_to(chat, request.headers.get("x-session-id", ""))
        return await _respond(reply, chat)

    @app.errorhandler(HTTPException)
    async def refuse(refused: HTTPException) -> Response:
        status = refused.code or 500
        return _json(stream.error(status, f"{refused.name}: {refused.description}"), status)

    return app


async def _respond(reply: RehearsalReply | ReplyFailure, chat: ChatRequest) -> Response:
    await trio.sleep(reply.wait_s)
    if isinstance(reply, ReplyFailure):
        body, headers = stream.failure(reply)
        response = _json(body, reply.status)
        response.headers.update(headers)
        return response
    if not chat.stream:
        await trio.sleep(sum(act.seconds for act in reply.acts if isinstance(act, Pause)))
        return _json(stream.completion(reply, chat))
    response = Response(_paced(reply, chat), content_type="text/event-stream", headers={"Cache-Control": "no-cache"})
    response.timeout = None  # a scripted stall may be longer than Quart's time-out
    return response


async def _paced(reply: RehearsalReply, chat: ChatRequest) -> AsyncIterator[bytes]:
    """Yield the stream's bytes when they are due; what is due together goes out in one write."""
    due = trio.current_time()
    waiting = bytearray()
    for frame in stream.frames(reply, chat):
        if isinstance(frame, bytes):
            waiting += frame
        else:
            due += frame.seconds
        is_early = due > trio.current_time()
        if waiting and (is_early or len(waiting) >= REHEARSAL_WRITE_BYTES_MAX):
            yield bytes(waiting)
            waiting.clear()
        if is_early:
            await trio.sleep_until(due)
    yield bytes(waiting)


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status=status, content_type="application/json")
