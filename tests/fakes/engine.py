"""An engine in threads of the test, behind the real frames: its agents serve what the test gives them."""

import os
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from io import BufferedReader, BufferedWriter

import trio
from trio.lowlevel import FdStream

from fleet.adapters.ray.calls import Served, carry_out
from fleet.adapters.ray.engine import Pipes
from fleet.adapters.ray.frames import Adopt, Call, Cluster, Connected, Release, Report, Reserve, Slot
from fleet.adapters.ray.relay import BackendError, Finish, Relay


class FakeBackend:
    """`relay.Backend`: each host's agent serves `agents[host]` on the test's own event loop."""

    def __init__(self, agents: Mapping[str, Served], nursery: trio.Nursery) -> None:
        self.agents = dict(agents)
        self.cluster = Cluster((), has_autoscaler=False)
        self.adopted: list[str] = []
        self.reserved: dict[str, Slot] = {}
        self.full: set[str] = set()  # conditions for `fleet-host` under which there is no room
        self._nursery = nursery
        self._token = trio.lowlevel.current_trio_token()

    def call(self, call: Call, finish: Finish) -> Callable[[], None]:
        if (served := self.agents.get(call.host)) is None:
            raise BackendError("gone", f"the host {call.host} has no agent yet")
        scope = trio.CancelScope()

        async def job() -> None:
            with scope:
                answer = await carry_out(served, call.port, call.method, call.body, call.limit_s)
                await trio.to_thread.run_sync(finish, answer)  # it may wait for the reader of the pipe
            if scope.cancelled_caught:
                finish(BackendError("cancelled", "the call was cancelled"))

        self._token.run_sync_soon(self._nursery.start_soon, job)
        return lambda: self._token.run_sync_soon(scope.cancel)

    def adopt(self, order: Adopt) -> None:
        self.adopted.append(order.host)

    def nodes(self) -> Cluster:
        return self.cluster

    def reserve(self, order: Reserve) -> Slot:
        has_room = order.selector.get("fleet-host") not in self.full
        return self.reserved.setdefault(order.slot, Slot(dict(order.selector) if has_room else None))

    def release(self, order: Release) -> None:
        self.reserved.pop(order.slot, None)

    def slots(self) -> dict[str, Slot]:
        return dict(self.reserved)


class FakeSidecars:
    """`engine.Launch`: relays in threads. `kill` ends the one that runs, as if its process had died."""

    def __init__(self, backend: FakeBackend) -> None:
        self._backend = backend
        self.first: Report = Connected("0.0")
        self.launched = 0
        self._orders: trio.abc.SendStream | None = None

    async def kill(self) -> None:
        assert self._orders is not None
        await self._orders.aclose()

    @asynccontextmanager
    async def __call__(self) -> AsyncGenerator[Pipes]:
        self.launched += 1
        orders, orders_in = os.pipe()
        reports_out, reports = os.pipe()
        thread = threading.Thread(target=self._serve, args=(os.fdopen(orders, "rb"), os.fdopen(reports, "wb")))
        thread.start()
        async with FdStream(orders_in) as self._orders, FdStream(reports_out) as answers:
            yield Pipes(self._orders, answers)
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(thread.join)

    def _serve(self, orders: BufferedReader, reports: BufferedWriter) -> None:
        with orders, reports:
            relay = Relay(orders, reports)
            relay.send(self.first)
            relay.serve(self._backend)
