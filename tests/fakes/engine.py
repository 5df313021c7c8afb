"""An engine in threads of the test, behind the real frames: its agents serve what the test gives them."""

import os
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from io import BufferedReader, BufferedWriter
from typing import Any

import trio
from trio.lowlevel import FdStream
from trio.testing import memory_stream_pair

from fleet.adapters.ray.calls import Served, carry_out
from fleet.adapters.ray.engine import Pipes
from fleet.adapters.ray.frames import (
    Adopt,
    Cancel,
    Cluster,
    Connected,
    Dismiss,
    Done,
    Failed,
    FrameSplitter,
    Node,
    Nodes,
    NotConnected,
    Order,
    PortCall,
    Release,
    Report,
    Reserve,
    Slot,
    decode_order,
    encode,
    frame_of,
)
from fleet.adapters.ray.relay import BackendError, Finish, Relay

Far = Any  # trio's stapled memory streams


class FakeBackend:
    """`relay.Backend`: each host's agent serves `agents[host]` on the test's own event loop.

    With a `clock` of its own a test uses `MemorySidecars`; then nothing runs in threads.
    """

    def __init__(self, agents: Mapping[str, Served], nursery: trio.Nursery, *, in_threads: bool = True) -> None:
        self.agents = dict(agents)
        self.nodes_alive: tuple[Node, ...] = ()
        self.has_autoscaler = False
        self.is_headless = False  # no order about the cluster is answered
        self.slots: dict[str, Slot] = {}
        self.adopted: list[Adopt] = []
        self.dismissed: list[str] = []
        self.on_adopt: Callable[[Adopt], None] = self.adopted.append
        self.cut: set[str] = set()  # hosts that no call reaches
        self.muted: set[str] = set()  # hosts whose answers are lost
        self._nursery = nursery
        self._in_threads = in_threads
        self._token = trio.lowlevel.current_trio_token()

    def call(self, call: PortCall, finish: Finish) -> Callable[[], None]:
        if (served := self.agents.get(call.host)) is None:
            raise BackendError("gone", f"the host {call.host} has no agent yet")
        scope = trio.CancelScope()

        async def job() -> None:
            with scope:
                if call.host in self.cut:
                    await trio.sleep_forever()
                answer = await carry_out(served, call.port, call.method, call.body, call.limit_s)
                if call.host in self.muted:
                    await trio.sleep_forever()
                if self._in_threads:
                    await trio.to_thread.run_sync(finish, answer)  # it may wait for the reader of the pipe
                else:
                    finish(answer)
            if scope.cancelled_caught:
                finish(BackendError("cancelled", "the call was cancelled"))

        self._token.run_sync_soon(self._nursery.start_soon, job)
        return lambda: self._token.run_sync_soon(scope.cancel)

    def adopt(self, order: Adopt) -> None:
        self.on_adopt(order)

    def dismiss(self, order: Dismiss) -> None:
        self.dismissed.append(order.host)
        self.agents.pop(order.host, None)

    def nodes(self, order: Nodes) -> Cluster:
        return Cluster(self.nodes_alive, self.has_autoscaler, dict(self.slots) if order.with_slots else {})

    def reserve(self, order: Reserve) -> Slot:
        held = self.slots.get(order.slot)
        if held is None or not held.is_placed:
            host = self._host_for(order)
            self.slots[order.slot] = Slot(order.cpus, order.memory_mb, host, is_placed=host is not None)
        return self.slots[order.slot]

    def _host_for(self, order: Reserve) -> str | None:
        for node in self.nodes_alive:
            host = node.labels.get("fleet-host")
            used = sum(slot.cpus for slot in self.slots.values() if slot.host == host)
            if order.selector.items() <= node.labels.items() and used + order.cpus <= node.cpus:
                return host
        return None

    def release(self, order: Release) -> None:
        self.slots.pop(order.slot, None)


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


class MemorySidecars:
    """`engine.Launch` without threads, for virtual time. `is_away`: the sidecar cannot be started."""

    def __init__(self, backend: FakeBackend, nursery: trio.Nursery) -> None:
        self._backend = backend
        self._nursery = nursery
        self.is_away = False
        self.launched = 0
        self._scope = trio.CancelScope()

    def kill(self) -> None:
        self._scope.cancel()

    @asynccontextmanager
    async def __call__(self) -> AsyncGenerator[Pipes]:
        self.launched += 1
        near, far = memory_stream_pair()
        self._scope = trio.CancelScope()
        self._nursery.start_soon(self._serve, far, self._scope)
        yield Pipes(near, near)
        self._scope.cancel()

    async def _serve(self, far: Far, scope: trio.CancelScope) -> None:
        answers, waiting = trio.open_memory_channel[Report](1000)
        answers.send_nowait(NotConnected("no answer", is_final=False) if self.is_away else Connected("0.0"))
        with scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._answer, far, waiting)
                splitter, cancels = FrameSplitter(), dict[int, Callable[[], None]]()
                while data := await far.receive_some(1 << 20):
                    for body in splitter.feed(bytes(data)):
                        self._take(decode_order(body), answers, cancels)
                nursery.cancel_scope.cancel()
        await trio.aclose_forcefully(far)

    async def _answer(self, far: Far, waiting: trio.MemoryReceiveChannel[Report]) -> None:
        async for report in waiting:
            await far.send_all(frame_of(report))

    def _take(
        self, order: Order, answers: trio.MemorySendChannel[Report], cancels: dict[int, Callable[[], None]]
    ) -> None:
        def finish(result: bytes | BackendError) -> None:
            report: Report
            if isinstance(result, BackendError):
                report = Failed(order.id, result.kind, result.reason)
            else:
                report = Done(order.id, result)
            answers.send_nowait(report)

        try:
            match order.work:
                case PortCall():
                    cancels[order.id] = self._backend.call(order.work, finish)
                case Cancel():
                    cancels.get(order.work.order, lambda: None)()
                case Adopt():
                    self._backend.adopt(order.work)
                    finish(encode(None))
                case Dismiss():
                    self._backend.dismiss(order.work)
                    finish(encode(None))
                case Nodes():
                    if not self._backend.is_headless:
                        finish(encode(self._backend.nodes(order.work)))
                case Reserve():
                    finish(encode(self._backend.reserve(order.work)))
                case Release():
                    self._backend.release(order.work)
                    finish(encode(None))
        except BackendError as error:
            finish(error)
