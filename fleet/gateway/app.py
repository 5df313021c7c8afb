"""The web application: all routes behind the guard, and the server, a child of Fleet's own nursery (law 12)."""

import logging
import os
import socket
from typing import Any, cast

import trio
from hypercorn.config import Config as ServerConfig
from hypercorn.trio import serve  # pyright: ignore[reportUnknownVariableType] - its WSGI half has bare types
from hypercorn.typing import Framework  # pyright: ignore[reportUnknownVariableType] - the same
from quart import Response, request, websocket
from quart_schema import Info, QuartSchema

from fleet import __version__
from fleet.actors.fleet import Fleet
from fleet.gateway.hypercorn import connections
from fleet.gateway.hypercorn import websocket as framing
from fleet.gateway.items.session import SessionItems
from fleet.gateway.live.frames import Frames
from fleet.gateway.live.reader import Streams
from fleet.gateway.live.sse import stream_routes
from fleet.gateway.live.subscriptions import LiveViews, Subscriptions
from fleet.gateway.live.websocket import socket_routes
from fleet.gateway.openapi.docs import docs_routes
from fleet.gateway.openapi.document import Document
from fleet.gateway.routes.diffs import diff_routes
from fleet.gateway.routes.directories import directory_routes
from fleet.gateway.routes.files_and_todos import content_routes
from fleet.gateway.routes.health import health_routes
from fleet.gateway.routes.history import history_routes
from fleet.gateway.routes.inbox import inbox_routes
from fleet.gateway.routes.instances import instance_routes
from fleet.gateway.routes.log import log_routes
from fleet.gateway.routes.login import login_routes
from fleet.gateway.routes.metrics import metric_routes
from fleet.gateway.routes.offers import offer_routes
from fleet.gateway.routes.page import page_routes
from fleet.gateway.routes.repositories import repository_routes
from fleet.gateway.routes.server import info_routes
from fleet.gateway.routes.sessions import session_routes
from fleet.gateway.routes.setups import trust_routes
from fleet.gateway.routes.tokens import token_routes
from fleet.gateway.routes.transcripts import transcript_routes
from fleet.gateway.routes.webhooks import webhook_routes
from fleet.gateway.routes.workspaces import workspace_routes
from fleet.gateway.server import problems
from fleet.gateway.server.encoding import compress_json
from fleet.gateway.server.guard import Guard
from fleet.gateway.server.idempotency import KeyedApp
from fleet.gateway.server.metrics import Metrics
from fleet.gateway.server.middleware import Application, Edge, visit_of
from fleet.gateway.server.page_files import Build
from fleet.gateway.server.request_id import name_requests
from fleet.gateway.server.requests import read_to_its_end
from fleet.limits import (
    BODY_BYTES_MAX,
    BODY_READ_S,
    HEADER_BYTES_READ_MAX,
    HTTP_GRACE_S,
    KEEP_ALIVE_S,
    SOCKET_FRAME_BYTES_MAX,
    STREAM_WRITE_TIMEOUT_S,
)


class FleetApp(KeyedApp):
    """The application, with the views that all live readers share."""

    live_views: LiveViews


def make_app(fleet: Fleet, streams: Streams, edge: Edge, metrics: Metrics, build: Build) -> FleetApp:
    """Return the ASGI application over one Fleet; its streams end when `streams` is closed, `build` is its page."""
    app = FleetApp("fleet")
    app.fleet = fleet
    items = SessionItems(fleet)
    app.live_views = LiveViews(fleet, items)
    app.asgi_app = cast("Any", edge.around(cast("Application", app.asgi_app)))  # type: ignore[method-assign]  # Quart's way
    app.url_map.merge_slashes = False  # its redirect would be a page of HTML
    app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES_MAX
    app.config["BODY_TIMEOUT"] = BODY_READ_S
    schema = QuartSchema(
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

    compress_json(app)
    name_requests(app, fleet.context.ids)
    metrics.measure(app)

    @app.before_request
    async def admit() -> None:
        edge.guard.admit(request, visit_of(request))

    if fleet.traces is not None:
        from fleet.gateway.server.tracing import trace_requests

        trace_requests(app, fleet.traces)

    @app.before_websocket
    async def admit_websocket() -> None:
        edge.guard.admit(websocket, visit_of(websocket))

    @app.after_request
    async def name_no_type_of_nothing(response: Response) -> Response:
        if request.method == "OPTIONS" and response.status_code == 200:  # the framework's own answer
            del response.headers["Content-Type"]
        return response

    @app.after_request
    async def count_stream(response: Response) -> Response:
        refusal = visit_of(request).stream() if response.mimetype == "text/event-stream" else None
        return response if refusal is None else problems.problem_response(refusal)

    @app.after_request
    async def drain(response: Response) -> Response:
        await read_to_its_end()
        return response

    frames = Frames()
    for routes in (
        page_routes(build),
        login_routes(edge.guard, fleet.context.clock, build),
        token_routes(fleet, edge.guard),
        info_routes(fleet),
        history_routes(fleet, items),
        session_routes(fleet, items),
        transcript_routes(fleet),
        diff_routes(fleet),
        content_routes(fleet),
        inbox_routes(fleet),
        log_routes(fleet),
        stream_routes(fleet, streams, frames),
        socket_routes(app, streams, Subscriptions(fleet, frames, app.live_views)),
        webhook_routes(fleet),
        instance_routes(fleet),
        workspace_routes(fleet),
        health_routes(fleet),
        trust_routes(fleet),
        offer_routes(fleet),
        directory_routes(fleet),
        repository_routes(fleet),
        metric_routes(metrics),
        docs_routes(lambda: Document(app, schema).schema()),
    ):
        app.register_blueprint(routes)
    return app


class Gateway:
    """The door of one Fleet, on a socket that listens already. `run` fits a `ChildSpec`."""

    def __init__(self, door: socket.socket, fleet: Fleet, guard: Guard, build: Build) -> None:
        self._door = door
        self._fleet = fleet
        self._guard = guard
        self._build = build
        self._metrics = Metrics(fleet)

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until `stopping`; running requests get a moment to end, streams end at once."""
        _cut_off_slow_readers(self._door)
        config = ServerConfig()
        config.bind = [f"fd://{os.dup(self._door.fileno())}"]  # the server closes it at its end
        config.accesslog = None
        config.errorlog = logging.getLogger("hypercorn.error")  # through fleet/logs.py, as everything
        config.graceful_timeout = HTTP_GRACE_S
        config.keep_alive_timeout = KEEP_ALIVE_S
        config.h11_max_incomplete_size = HEADER_BYTES_READ_MAX
        config.include_server_header = False
        config.websocket_max_message_size = SOCKET_FRAME_BYTES_MAX
        framing.install()
        connections.install()
        streams = Streams()
        edge = Edge(self._guard)
        app = make_app(self._fleet, streams, edge, self._metrics, self._build)

        async def close() -> None:
            await stopping.wait()
            streams.close()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(edge.watch)
            nursery.start_soon(streams.run)
            nursery.start_soon(app.live_views.run)
            await serve(cast("Framework", app), config, shutdown_trigger=close, task_status=task_status)
            nursery.cancel_scope.cancel()


def _cut_off_slow_readers(door: socket.socket) -> None:
    """Have the kernel end connections whose reader takes nothing; those that `door` accepts inherit it.

    Nobody else can: the server shields its writes from cancellation, so that even a shutdown would wait for the reader.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        door.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(STREAM_WRITE_TIMEOUT_S * 1000))
