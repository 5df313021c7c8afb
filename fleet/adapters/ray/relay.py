"""The loop of the sidecar: it reads orders from a pipe, hands them to a backend, and writes its answers.

It knows nothing of Ray. Orders are read and answered by threads: a call costs none, because the backend answers it from
its own thread. Everything else may wait for the cluster, and runs in a few threads of the loop.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader, BufferedWriter
from typing import Protocol

from fleet.adapters.ray.frames import (
    Adopt,
    Cancel,
    Cluster,
    Dismiss,
    Done,
    Failed,
    FailureKind,
    FrameError,
    FrameSplitter,
    Nodes,
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
from fleet.limits import ENGINE_THREADS_MAX

_READ_BYTES = 256 * 1024


class BackendError(Exception):
    """The backend could not carry out an order."""

    def __init__(self, kind: FailureKind, reason: str) -> None:
        super().__init__(reason)
        self.kind: FailureKind = kind
        self.reason = reason


Finish = Callable[[bytes | BackendError], None]
"""Receives the result of a call, once, in any thread."""


class Backend(Protocol):
    """What the relay needs of an engine. All methods block, and are called in several threads."""

    def call(self, call: PortCall, finish: Finish) -> Callable[[], None]:
        """Begin a call and return what cancels it. Raises `BackendError`."""
        ...

    def adopt(self, order: Adopt) -> None:
        """See `Adopt`. Raises `BackendError`."""
        ...

    def dismiss(self, order: Dismiss) -> None:
        """See `Dismiss`. Raises `BackendError`."""
        ...

    def nodes(self, order: Nodes) -> Cluster:
        """See `Nodes`. Raises `BackendError`."""
        ...

    def reserve(self, order: Reserve) -> Slot:
        """See `Reserve`. Raises `BackendError`."""
        ...

    def release(self, order: Release) -> None:
        """See `Release`. Raises `BackendError`."""
        ...


class Relay:
    """Reads orders from `orders`, and writes reports to `reports`."""

    def __init__(self, orders: BufferedReader, reports: BufferedWriter) -> None:
        self._orders = orders
        self._reports = reports
        self._writing = threading.Lock()
        self._cancelling = threading.Lock()
        self._cancels: dict[int, Callable[[], object] | None] = {}  # of the orders that run; None: not yet known
        self._threads = ThreadPoolExecutor(ENGINE_THREADS_MAX, thread_name_prefix="order")

    def send(self, report: Report) -> None:
        """Write a frame. A server that no longer reads is none of our business: `serve` sees its end."""
        frame = frame_of(report)
        with self._writing:
            try:
                self._reports.write(frame)
                self._reports.flush()
            except (BrokenPipeError, ValueError):
                return

    def serve(self, backend: Backend) -> None:
        """Have the backend carry out orders until the server closes the pipe."""
        self._backend = backend
        splitter = FrameSplitter()
        while data := self._orders.read1(_READ_BYTES):
            for body in splitter.feed(data):
                self._take(decode_order(body))
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _take(self, order: Order) -> None:
        if isinstance(order.work, Cancel):
            if (cancel := self._cancels.get(order.work.order)) is not None:
                self._threads.submit(self._cancel, order.work.order, cancel)
        elif isinstance(order.work, PortCall):
            self._call(order.id, order.work)
        else:
            with self._cancelling:
                self._cancels[order.id] = self._threads.submit(self._carry_out, order).cancel

    def _cancel(self, order_id: int, cancel: Callable[[], object]) -> None:
        if cancel() is True:  # it has not begun, and will not answer
            with self._cancelling:
                self._cancels.pop(order_id, None)

    def _call(self, order_id: int, call: PortCall) -> None:
        self._cancels[order_id] = None
        try:
            cancel = self._backend.call(call, lambda result: self._finish(order_id, result))
        except BackendError as error:
            self._finish(order_id, error)
            return
        with self._cancelling:
            if order_id in self._cancels:
                self._cancels[order_id] = cancel

    def _carry_out(self, order: Order) -> None:
        try:
            self._finish(order.id, self._result(order))
        except BackendError as error:
            self._finish(order.id, error)
        except Exception as error:
            self._finish(order.id, BackendError("engine", f"{type(error).__name__}: {error}"))

    def _result(self, order: Order) -> bytes:
        match order.work:
            case Adopt():
                self._backend.adopt(order.work)
            case Dismiss():
                self._backend.dismiss(order.work)
            case Nodes():
                return encode(self._backend.nodes(order.work))
            case Reserve():
                return encode(self._backend.reserve(order.work))
            case Release():
                self._backend.release(order.work)
            case PortCall() | Cancel():
                raise BackendError("engine", "not an order for a thread")
        return encode(None)

    def _finish(self, order_id: int, result: bytes | BackendError) -> None:
        with self._cancelling:
            self._cancels.pop(order_id, None)
        try:
            if isinstance(result, BackendError):
                self.send(Failed(order_id, result.kind, result.reason))
            else:
                self.send(Done(order_id, result))
        except FrameError as error:
            self.send(Failed(order_id, "engine", str(error)))
