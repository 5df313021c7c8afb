"""What lies between a browser and the server: bytes go through, late, in part, or not at all, as a seed says."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import Enum, auto
from functools import partial
from random import Random
from urllib.parse import urlsplit

import trio

_LATE_S = 0.15


class Weather(Enum):
    """How the road is, for everything that is on it."""

    CALM = auto()
    ROUGH = auto()
    """Connections are late, pause, are cut, or stay open with nothing passing any more."""
    MUTE = auto()
    """What the browser sends arrives; what the server says does not."""
    DEAD = auto()
    """Connections stay open, and nothing passes."""
    SHUT = auto()
    """No connection stays open."""


class Road:
    """A proxy in a thread of its own; `url()` is where it leads just now."""

    def __init__(self, url: Callable[[], str | None], random: Random) -> None:
        self.port = 0
        self.cuts = 0
        self._url = url
        self._random = random
        self._weather = Weather.CALM
        self._changed = trio.Event()
        self._open: set[trio.CancelScope] = set()
        self._token: trio.lowlevel.TrioToken | None = None
        self._ready = threading.Event()
        self._stop = trio.CancelScope()

    @contextmanager
    def built(self) -> Generator["Road"]:
        """Lead while the block runs."""
        thread = threading.Thread(target=trio.run, args=(self._run,), daemon=True)
        thread.start()
        assert self._ready.wait(10)
        try:
            yield self
        finally:
            trio.from_thread.run_sync(self._stop.cancel, trio_token=self._token)
            thread.join(10)

    def become(self, weather: Weather) -> None:
        """Change the weather. When it clears, what was open under the old one is cut."""
        trio.from_thread.run_sync(self._become, weather, trio_token=self._token)

    def _become(self, weather: Weather) -> None:
        self._weather = weather
        self._changed.set()
        self._changed = trio.Event()
        if weather in (Weather.CALM, Weather.SHUT):
            self.cuts += len(self._open)
            for scope in self._open:
                scope.cancel()

    async def _run(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        with self._stop:
            async with trio.open_nursery() as nursery:
                (listener,) = await nursery.start(partial(trio.serve_tcp, self._serve, 0, host="127.0.0.1"))
                self.port = listener.socket.getsockname()[1]
                self._ready.set()

    async def _serve(self, browser: trio.SocketStream) -> None:
        where = self._url()
        if where is None or self._weather is Weather.SHUT:
            return
        address = urlsplit(where)
        with trio.CancelScope() as scope:
            self._open.add(scope)
            try:
                async with await trio.open_tcp_stream(address.hostname or "", address.port or 0) as server:
                    await self._lead(browser, server, scope)
            except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                pass  # one of the two ends is gone
            finally:
                self._open.discard(scope)

    async def _lead(self, browser: trio.SocketStream, server: trio.SocketStream, scope: trio.CancelScope) -> None:
        fate = self._random.choice(("late", "late", "pause", "cut", "cut", "lost"))
        strikes_at = trio.current_time() + self._random.expovariate(0.4)
        async with trio.open_nursery() as nursery:
            for way in ((browser, server), (server, browser)):
                nursery.start_soon(self._carry, *way, way[0] is server, scope, fate, strikes_at)

    async def _carry(
        self,
        source: trio.SocketStream,
        sink: trio.SocketStream,
        is_answer: bool,
        scope: trio.CancelScope,
        fate: str,
        strikes_at: float,
    ) -> None:
        async for chunk in source:
            await self._passable(is_answer)
            if self._weather is Weather.ROUGH:
                await trio.sleep(self._random.uniform(0, _LATE_S))
                if trio.current_time() > strikes_at:
                    await self._strike(fate, scope)
            await self._passable(is_answer)
            await sink.send_all(chunk)
        scope.cancel()

    async def _passable(self, is_answer: bool) -> None:
        while self._weather is Weather.DEAD or (is_answer and self._weather is Weather.MUTE):
            await self._changed.wait()

    async def _strike(self, fate: str, scope: trio.CancelScope) -> None:
        if fate == "pause":
            await trio.sleep(self._random.uniform(0.5, 4))
        elif fate == "cut":
            self.cuts += 1
            scope.cancel()
            await trio.lowlevel.checkpoint()
        elif fate == "lost":
            await trio.sleep_forever()
