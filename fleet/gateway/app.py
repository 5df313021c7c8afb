"""The web application: all routes behind the guard, and the server, a child of Fleet's own nursery (law 12)."""

import logging
import os
import socket
from collections.abc import Mapping
from typing import Any, Final, cast

import trio
from hypercorn.config import Config as ServerConfig
from hypercorn.trio import serve  # pyright: ignore[reportUnknownVariableType] - its WSGI half has bare types
from hypercorn.typing import Framework  # pyright: ignore[reportUnknownVariableType] - the same
from quart import websocket

from fleet.actors.fleet import Fleet
from fleet.errors import Rejected
from fleet.gateway.hypercorn import connections
from fleet.gateway.hypercorn import websocket as framing
from fleet.gateway.items.session import SessionItems
from fleet.gateway.live import sse
from fleet.gateway.live import websocket as live_websocket
from fleet.gateway.live.frames import Frames
from fleet.gateway.live.reader import Streams
from fleet.gateway.live.subscriptions import LiveViews, Subscriptions
from fleet.gateway.live.websocket import socket_route
from fleet.gateway.openapi import docs
from fleet.gateway.openapi.docs import Document
from fleet.gateway.openapi.endpoint import Route
from fleet.gateway.routes import (
    attachments,
    backup,
    diffs,
    directories,
    evidence,
    files_and_todos,
    health,
    history,
    hosts,
    inbox,
    instances,
    log,
    login,
    metrics,
    offers,
    policy,
    prompts,
    queue,
    repositories,
    server,
    sessions,
    setups,
    tokens,
    transcripts,
    webhooks,
    workspaces,
)
from fleet.gateway.routes.backup import BackupReads
from fleet.gateway.routes.log import LogReads
from fleet.gateway.routes.page import page_routes
from fleet.gateway.server import problems
from fleet.gateway.server.guard import Guard
from fleet.gateway.server.metrics import Metrics
from fleet.gateway.server.middleware import Application, Middleware, visit_of
from fleet.gateway.server.moments import Moments
from fleet.gateway.server.page_files import Build
from fleet.gateway.server.pipeline import Pipeline
from fleet.gateway.server.refused import note_refusal, note_use
from fleet.limits import (
    BODY_BYTES_MAX,
    BODY_READ_S,
    HEADER_BYTES_READ_MAX,
    HTTP_GRACE_S,
    KEEP_ALIVE_S,
    SOCKET_FRAME_BYTES_MAX,
    STREAM_WRITE_TIMEOUT_S,
)

ROUTES: Final[tuple[Route, ...]] = tuple(
    endpoint
    for module in (
        attachments,
        backup,
        diffs,
        directories,
        docs,
        evidence,
        files_and_todos,
        health,
        history,
        hosts,
        inbox,
        instances,
        live_websocket,
        log,
        login,
        metrics,
        offers,
        policy,
        prompts,
        queue,
        repositories,
        server,
        sessions,
        setups,
        sse,
        tokens,
        transcripts,
        webhooks,
        workspaces,
    )
    for endpoint in module.endpoint.all
)
"""All routes but those of the page."""


class FleetApp(Pipeline):
    """The application, with the views that all live readers share."""

    live_views: LiveViews


def make_app(fleet: Fleet, streams: Streams, middleware: Middleware, metrics: Metrics, build: Build) -> FleetApp:
    """Return the ASGI application over one Fleet; its streams end when `streams` is closed, `build` is its page."""
    app = FleetApp("fleet")
    app.install(fleet, middleware.guard, metrics)
    items = SessionItems(fleet)
    app.live_views = LiveViews(fleet, items)
    app.asgi_app = cast("Any", middleware.around(cast("Application", app.asgi_app)))  # type: ignore[method-assign]  # Quart's way
    app.url_map.merge_slashes = False  # its redirect would be a page of HTML
    app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES_MAX
    app.config["BODY_TIMEOUT"] = BODY_READ_S
    problems.install(app)

    @app.before_websocket
    async def admit_websocket() -> None:
        visit = visit_of(websocket)
        try:
            middleware.guard.admit(websocket, visit)
        except Rejected as refusal:
            note_refusal(fleet, websocket, refusal, visit)
            raise
        await note_use(fleet, visit)

    frames = Frames()
    parts = (
        fleet,
        items,
        middleware.guard,
        build,
        metrics,
        streams,
        frames,
        Moments(fleet),
        LogReads(fleet.times),
        BackupReads(fleet),
        Document(ROUTES),
    )
    _serve(app, {type(part): part for part in parts})
    app.register_blueprint(page_routes(build))
    converse = socket_route(app, streams, Subscriptions(fleet, frames, app.live_views))
    app.add_websocket("/api/ws", "converse", converse)
    return app


def _serve(app: FleetApp, parts: Mapping[type, Any]) -> None:
    """Add all endpoints."""
    for endpoint in ROUTES:
        app.add_url_rule(endpoint.path, endpoint.name, endpoint.view(parts), methods=[endpoint.method])
    unstored = (endpoint for endpoint in ROUTES if endpoint.tells_secret or endpoint.changes_nothing)
    app.unstored_endpoints = frozenset(endpoint.name for endpoint in unstored)


class Gateway:
    """The gateway of one Fleet, on a socket that listens already. `run` fits a `ChildSpec`."""

    def __init__(self, listener: socket.socket, fleet: Fleet, guard: Guard, build: Build) -> None:
        self._listener = listener
        self._fleet = fleet
        self._guard = guard
        self._build = build
        self._metrics = Metrics(fleet)

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until `stopping`; running requests get a moment to end, streams end at once."""
        _cut_off_slow_readers(self._listener)
        config = ServerConfig()
        config.bind = [f"fd://{os.dup(self._listener.fileno())}"]  # the server closes it at its end
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
        middleware = Middleware(self._guard)
        app = make_app(self._fleet, streams, middleware, self._metrics, self._build)

        async def close() -> None:
            await stopping.wait()
            streams.close()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(middleware.watch)
            nursery.start_soon(streams.run)
            nursery.start_soon(app.live_views.run)
            await serve(cast("Framework", app), config, shutdown_trigger=close, task_status=task_status)
            nursery.cancel_scope.cancel()


def _cut_off_slow_readers(listener: socket.socket) -> None:
    """Have the kernel end connections whose reader takes nothing; those that `listener` accepts inherit it.

    Fleet cannot: the server shields its writes from cancellation, so that even a shutdown would wait for the reader.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(STREAM_WRITE_TIMEOUT_S * 1000))
