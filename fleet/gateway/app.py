"""The application: all routes behind the guard, and the server that runs it as a child of our own nursery (law 12)."""

import os
import socket
from typing import Any, cast

import trio
from hypercorn.config import Config as ServerConfig
from hypercorn.trio import serve  # pyright: ignore[reportUnknownVariableType] - its WSGI half has bare types
from hypercorn.typing import Framework  # pyright: ignore[reportUnknownVariableType] - the same
from quart import request, websocket
from quart_schema import Info, QuartSchema
from quart_trio import QuartTrio

from fleet import __version__
from fleet.actors.tree import Tree
from fleet.gateway import framing, guard, problems
from fleet.gateway.contents import content_routes
from fleet.gateway.diffs import diff_routes
from fleet.gateway.document import Document
from fleet.gateway.fleet import fleet_routes
from fleet.gateway.frames import Frames
from fleet.gateway.history import history_routes
from fleet.gateway.inbox import inbox_routes
from fleet.gateway.log import log_routes
from fleet.gateway.reading import Streams
from fleet.gateway.sessions import session_routes
from fleet.gateway.sockets import socket_routes
from fleet.gateway.streams import stream_routes
from fleet.limits import (
    BODY_BYTES_MAX,
    HEADER_BYTES_READ_MAX,
    HTTP_GRACE_S,
    SOCKET_FRAME_BYTES_MAX,
    STREAM_WRITE_TIMEOUT_S,
)


def make_app(tree: Tree, streams: Streams) -> QuartTrio:
    """Return the ASGI application over one Fleet; its streams end when `streams` is closed."""
    app = QuartTrio("fleet")
    app.url_map.merge_slashes = False  # its redirect would be a page of HTML
    app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES_MAX
    QuartSchema(
        app,
        info=Info("Fleet", __version__, description="Many OpenCode sessions side by side"),
        openapi_path="/api/openapi.json",
        openapi_provider_class=Document,
        swagger_ui_path=None,
        redoc_ui_path=None,
        scalar_ui_path=None,
        conversion_preference="msgspec",
    )
    problems.install(app)

    @app.before_request
    async def admit() -> None:
        guard.admit(request)

    @app.before_websocket
    async def admit_socket() -> None:
        guard.admit(websocket)

    frames = Frames()
    app.register_blueprint(history_routes(tree))
    app.register_blueprint(session_routes(tree))
    app.register_blueprint(diff_routes(tree))
    app.register_blueprint(content_routes(tree))
    app.register_blueprint(inbox_routes(tree))
    app.register_blueprint(log_routes(tree))
    app.register_blueprint(stream_routes(tree, streams, frames))
    app.register_blueprint(socket_routes(app, tree, streams, frames))
    app.register_blueprint(fleet_routes(tree))
    return app


class Gateway:
    """The door of one Fleet, on a socket that listens already. `run` fits a `ChildSpec`."""

    def __init__(self, door: socket.socket, tree: Tree) -> None:
        self._door = door
        self._tree = tree

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until `stopping`; running requests get a moment to end, streams end at once."""
        _cut_off_slow_readers(self._door)
        config = ServerConfig()
        config.bind = [f"fd://{os.dup(self._door.fileno())}"]  # the server closes it at its end
        config.accesslog = None
        config.errorlog = None
        config.graceful_timeout = HTTP_GRACE_S
        config.h11_max_incomplete_size = HEADER_BYTES_READ_MAX
        config.include_server_header = False
        config.websocket_max_message_size = SOCKET_FRAME_BYTES_MAX
        framing.install()
        streams = Streams()
        app = make_app(self._tree, streams)

        async def close() -> None:
            await stopping.wait()
            streams.close()

        await serve(cast("Framework", app), config, shutdown_trigger=close, task_status=task_status)


def _cut_off_slow_readers(door: socket.socket) -> None:
    """Have the kernel end connections whose reader takes nothing; those that `door` accepts inherit it.

    Nobody else can: the server shields its writes from cancellation, so that even a shutdown would wait for the reader.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        door.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(STREAM_WRITE_TIMEOUT_S * 1000))
