"""A line from a client to a Fleet: one address over restarts of the server, and connections that can be cut."""

import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Self

import trio

from tests.gateway.machine import Api, Machine


class Line:
    """Passes connections on to the server that runs on the machine, if one does.

    `cut_after` bytes of an answer the connection is closed, each time, until it is None again. While it is `mute`,
    nothing passes.
    """

    def __init__(self, machine: Machine, nursery: trio.Nursery, url: str) -> None:
        self.url = url
        self.api: Api
        self.cut_after: int | None = None
        self.mute = False
        self.connections = 0
        self._machine = machine
        self._nursery = nursery
        self._open: set[trio.CancelScope] = set()
        self._port: int | None = None
        self._stopping, self._stopped = trio.Event(), trio.Event()
        self._stopped.set()

    @classmethod
    @asynccontextmanager
    async def laid(cls, machine: Machine) -> AsyncGenerator[Self]:
        """Lay a line to the machine; no server runs there yet."""
        async with trio.open_nursery() as nursery:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            line = cls(machine, nursery, f"http://127.0.0.1:{listener.socket.getsockname()[1]}")
            nursery.start_soon(trio.serve_listeners, line._pass_on, [listener])
            yield line
            await line.stop()
            nursery.cancel_scope.cancel()

    async def start(self) -> None:
        """Start a server."""
        self._stopping, self._stopped = trio.Event(), trio.Event()
        await self._nursery.start(self._serve, self._stopping, self._stopped)

    async def disturb(self, chance: random.Random, done: trio.Event, cuts: Sequence[int | None]) -> None:
        """Cut connections, and restart the server at times, until `done`."""
        while not done.is_set():
            self.cut_after = chance.choice(cuts)
            await trio.sleep(chance.random() * 2)
            self.cut()
            if chance.random() < 0.3:
                await self.stop()
                await trio.sleep(chance.random() * 2)
                await self.start()
        self.cut_after = None

    async def _serve(self, stopping: trio.Event, stopped: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
        async with self._machine.fleet() as api, api.listen() as port:
            self.api, self._port = api, port
            task_status.started()
            await stopping.wait()
            self._port = None
            self.cut()
        stopped.set()

    async def stop(self) -> None:
        """Stop the server: new connections are refused."""
        self._stopping.set()
        await self._stopped.wait()

    async def unplug(self, pause_s: float) -> None:
        """Pass no connection on for a while; the server continues."""
        port, self._port = self._port, None
        self.cut()
        await trio.sleep(pause_s)
        self._port = port

    async def silence(self, session_id: str) -> None:
        """Wait until a session is described, and pass nothing on until a client has connected again."""
        connections, self.mute = self.connections, True
        await self.api.send("PATCH", f"/api/sessions/{session_id}", {"title": "Unheard"})
        while self.connections == connections:  # noqa: ASYNC110 - nothing tells
            await trio.sleep(0.5)
        self.mute = False

    def cut(self) -> None:
        """Reset every open connection."""
        for scope in self._open:
            scope.cancel()

    async def _pass_on(self, client: trio.SocketStream) -> None:
        if self._port is None:
            return
        self.connections += 1
        with trio.CancelScope() as scope:
            self._open.add(scope)
            async with await trio.open_tcp_stream("127.0.0.1", self._port) as server, trio.open_nursery() as nursery:
                nursery.start_soon(self._copy, client, server, None, scope)
                await self._copy(server, client, self.cut_after, scope)
        self._open.discard(scope)

    async def _copy(
        self, source: trio.SocketStream, target: trio.SocketStream, left: int | None, scope: trio.CancelScope
    ) -> None:
        try:
            async for data in source:
                while self.mute:  # noqa: ASYNC110 - a test sets it
                    await trio.sleep(0.1)
                await target.send_all(data if left is None else data[:left])
                if left is not None and (left := left - len(data)) <= 0:
                    break
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        scope.cancel()
