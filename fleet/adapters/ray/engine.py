"""The server's side of the sidecar: it sends orders, waits for answers, and restarts the sidecar when it ends.

While there is no sidecar, every order raises `Unavailable` engine_down at once, and so do those that wait for answers
when it ends. A cancelled order is cancelled on the host, too. Orders have no deadline here: the caller knows whether a
host still answers (hosts.py).
"""

import subprocess
import sys
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from itertools import count
from typing import Final, NamedTuple

import msgspec
import structlog
import trio

from fleet.adapters.ray import frames
from fleet.adapters.ray.frames import Cancel, Connected, Done, Failed, FrameError, NotConnected, Order, Work
from fleet.backoff import backoff_s
from fleet.errors import StartupError, Unavailable
from fleet.limits import ENGINE_CALLS_MAX, ENGINE_CONNECT_S, ENGINE_FIRST_CONNECT_S, ENGINE_STOP_S
from fleet.ports import EngineDown, EngineUp

_log = structlog.get_logger(__name__)

_READ_BYTES: Final = 256 * 1024
_TOO_LATE: Final = (
    f"it was not connected to the cluster within {ENGINE_CONNECT_S:g} s; the server's own machine has to be in the "
    "cluster: run `ray start` there"
)
_FAULTS: Final = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)


class Pipes(NamedTuple):
    """The pipes of a sidecar: it reads `orders` and writes `reports`."""

    orders: trio.abc.SendStream
    reports: trio.abc.ReceiveStream


Launch = Callable[[], AbstractAsyncContextManager[Pipes]]
"""Runs a sidecar while the block runs."""


class UnreachableError(Exception):
    """The agent of a host does not answer. `is_gone`: the host has none."""

    def __init__(self, reason: str, *, is_gone: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_gone = is_gone


def down(evidence: str) -> Unavailable:
    """Return the problem of an order without an engine."""
    return Unavailable("engine_down", f"the engine of the hosts does not answer: {evidence}")


class Engine:
    """The engine, behind a sidecar that `launch` runs. `report` receives every change of its state."""

    def __init__(self, launch: Launch, report: Callable[[EngineUp | EngineDown], None]) -> None:
        self._launch = launch
        self._report = report
        self._link: _Link | None = None
        self._reading = trio.CancelScope()  # of the sidecar that runs
        self._replaced = ""  # why the sidecar that runs is ended
        self._settled = trio.Event()  # the first attempt to connect has ended
        self.evidence = "it has not been started yet"
        self.version = ""

    @property
    def is_up(self) -> bool:
        """Whether a sidecar is connected to the cluster."""
        return self._link is not None

    async def order(self, work: Work) -> bytes:
        """Send an order to the sidecar and return its encoded result.

        Raises `Unavailable` engine_down, overloaded; `UnreachableError`, and then it may have been carried out.
        """
        if self._link is None:
            await trio.lowlevel.checkpoint()
            raise down(self.evidence)
        return await self._link.order(work)

    def replace_sidecar(self, reason: str) -> None:
        """End the sidecar, if there is one, so that the next one makes a new connection. Agents are not affected."""
        if self._link is not None:
            self._replaced = reason
            self._reading.cancel()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run sidecars, one after the other, until cancelled. It has started when the first attempt has ended.

        Raises `StartupError` if the first one says that the cluster cannot be used.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_running)
            with trio.move_on_after(ENGINE_FIRST_CONNECT_S):
                await self._settled.wait()
            task_status.started()

    async def _keep_running(self) -> None:
        attempt = 0
        while True:
            attempt, started = attempt + 1, trio.current_time()
            end = await self._run_one()
            if end.is_final and not self._settled.is_set():
                raise StartupError(end.reason)
            self._ended(end.reason)
            if trio.current_time() - started > ENGINE_CONNECT_S:
                attempt = 1
            await trio.sleep(backoff_s(attempt))

    def _ended(self, evidence: str) -> None:
        was_up, self._link = self._link is not None, None
        self.evidence = evidence
        if was_up or not self._settled.is_set():
            _log.error("engine_down", evidence=evidence)
            self._report(EngineDown(evidence))
        self._settled.set()

    async def _run_one(self) -> NotConnected:
        """Run one sidecar to its end, and return why it has ended."""
        try:
            async with self._launch() as pipes, trio.open_nursery() as nursery:
                link = _Link(pipes.orders)
                nursery.start_soon(link.write)
                end = await self._read(pipes.reports, link)
                link.end(down(end.reason))
                nursery.cancel_scope.cancel()
        except OSError as error:
            return NotConnected(f"its process cannot be started: {error.strerror}", is_final=False)
        return end

    async def _read(self, reports: trio.abc.ReceiveStream, link: "_Link") -> NotConnected:
        splitter = frames.FrameSplitter()
        self._replaced = ""
        with suppress(*_FAULTS), trio.move_on_after(ENGINE_CONNECT_S) as self._reading:
            while data := await reports.receive_some(_READ_BYTES):
                try:
                    received = [frames.decode_report(body) for body in splitter.feed(bytes(data))]
                except (FrameError, msgspec.MsgspecError) as error:
                    return NotConnected(f"its process sent what cannot be read: {error}", is_final=False)
                for report in received:
                    if isinstance(report, NotConnected):
                        return report
                    self._take(report, link)
                if self._link is link:
                    self._reading.deadline = float("inf")
        if self._replaced:
            return NotConnected(self._replaced, is_final=False)
        if self._reading.cancelled_caught:
            return NotConnected(_TOO_LATE, is_final=False)
        return NotConnected("its process has ended", is_final=False)

    def _take(self, report: Connected | Done | Failed, link: "_Link") -> None:
        if isinstance(report, Connected):
            self._link, self.version = link, report.engine_version
            self._settled.set()
            self._report(EngineUp())
        else:
            link.answer(report)


class _Waiting:
    """An order that waits for its answer."""

    def __init__(self) -> None:
        self.answered = trio.Event()
        self.answer: Done | Failed | Unavailable | None = None


class _Link:
    """The orders of one sidecar."""

    def __init__(self, orders: trio.abc.SendStream) -> None:
        self._orders = orders
        self._ids = count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._frames: deque[bytes] = deque()
        self._wakeup = trio.Event()
        self._end: Unavailable | None = None

    async def order(self, work: Work) -> bytes:
        if self._end is not None:
            raise self._end
        if len(self._waiting) >= ENGINE_CALLS_MAX:
            raise Unavailable("overloaded", f"{ENGINE_CALLS_MAX} calls wait for hosts")
        order_id, waiting = next(self._ids), _Waiting()
        self._send(Order(order_id, work))
        self._waiting[order_id] = waiting
        try:
            await waiting.answered.wait()
        except trio.Cancelled:
            self._send(Order(next(self._ids), Cancel(order_id)))
            raise
        finally:
            del self._waiting[order_id]
        return _result_of(waiting.answer)

    def _send(self, order: Order) -> None:
        self._frames.append(frames.frame_of(order))
        self._wakeup.set()

    async def write(self) -> None:
        with suppress(*_FAULTS):  # the reader of the reports finds the end
            while True:
                await self._wakeup.wait()
                self._wakeup = trio.Event()
                while self._frames:
                    await self._orders.send_all(self._frames.popleft())

    def answer(self, report: Done | Failed) -> None:
        if (waiting := self._waiting.get(report.order)) is not None:
            waiting.answer = report
            waiting.answered.set()

    def end(self, problem: Unavailable) -> None:
        self._end = problem
        for waiting in self._waiting.values():
            if waiting.answer is None:
                waiting.answer = problem
                waiting.answered.set()


def _result_of(answer: Done | Failed | Unavailable | None) -> bytes:
    match answer:
        case Done():
            return answer.body
        case Failed(kind="unreachable" | "gone"):
            raise UnreachableError(answer.reason, is_gone=answer.kind == "gone")
        case Failed():
            raise down(answer.reason)
        case _:
            raise answer or down("it gave no answer")


OPENER: Final = "fleet.composition.agent:open_node"
"""What agents open; see `agent.HostAgent`."""


def sidecar(address: str, environment: Mapping[str, str], namespace: str, opener: str = OPENER) -> Launch:
    """Return what runs sidecars for the cluster at `address`. The agents of a `namespace` belong to one server."""

    @asynccontextmanager
    async def launch() -> AsyncGenerator[Pipes]:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "fleet.adapters.ray.sidecar", address, namespace, opener],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**environment, "RAY_USAGE_STATS_ENABLED": "0"},
            start_new_session=True,  # Ctrl-C at the terminal is for the server alone
        )
        if process.stdin is None or process.stdout is None:
            raise TypeError("the sidecar was started without pipes")
        try:
            yield Pipes(process.stdin, process.stdout)
        finally:
            await _stop(process)

    return launch


async def _stop(process: trio.Process) -> None:
    with trio.CancelScope(shield=True):
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                await stream.aclose()
        with trio.move_on_after(ENGINE_STOP_S):
            await process.wait()
            return
        process.kill()
        await process.wait()
