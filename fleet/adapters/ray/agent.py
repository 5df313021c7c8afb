"""The agent of a machine: a Ray actor that carries out calls with the adapters of its machine.

Ray's methods run in asyncio, the adapters in trio: the agent runs trio in a thread of its own. A call that Ray cancels
is cancelled in trio. If that thread ends, the process ends with it, and Ray starts the agent again; OpenCode processes
survive both. The sidecar makes an actor of the class.
"""

import asyncio
import concurrent.futures
import importlib
import os
import threading
import traceback
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import trio

from fleet.adapters.ray.calls import Served, carry_out

Open = Callable[[bytes, str], AbstractAsyncContextManager[Served]]
"""Opens the ports of a machine with encoded options, and the address of the machine in the cluster."""


class HostAgent:
    """Serves what `opener` opens: the name of a module, a colon, and the name of an `Open` in it."""

    def __init__(self, opener: str, options: bytes) -> None:
        module, _, name = opener.partition(":")
        self._open: Open = getattr(importlib.import_module(module), name)
        self._options = options
        started: concurrent.futures.Future[None] = concurrent.futures.Future()
        threading.Thread(target=self._run, args=(started,), daemon=True).start()
        started.result()

    def _run(self, started: "concurrent.futures.Future[None]") -> None:
        try:
            trio.run(self._serve, started)
        except BaseException as error:
            if not started.done():
                started.set_exception(error)
                return
            traceback.print_exc()
            os._exit(1)

    async def _serve(self, started: "concurrent.futures.Future[None]") -> None:
        async with self._open(self._options, _own_address()) as self._served, trio.open_nursery() as self._nursery:
            self._token = trio.lowlevel.current_trio_token()
            started.set_result(None)
            await trio.sleep_forever()

    async def call(self, port: str, method: str, body: bytes, limit_s: float | None) -> bytes:
        """Carry out a call and return the encoded answer; see `calls.carry_out`."""
        done: concurrent.futures.Future[bytes] = concurrent.futures.Future()
        done.set_running_or_notify_cancel()  # from here on only the job of the loop sets it
        scope = trio.CancelScope()

        async def job() -> None:
            with scope:
                done.set_result(await carry_out(self._served, port, method, body, limit_s))
            if scope.cancelled_caught:
                done.set_exception(concurrent.futures.CancelledError())

        self._token.run_sync_soon(self._nursery.start_soon, job)
        try:
            return await asyncio.wrap_future(done)
        except asyncio.CancelledError:
            self._token.run_sync_soon(scope.cancel)
            raise


def _own_address() -> str:
    from ray import util

    ray: Any = util  # it has no types
    return str(ray.get_node_ip_address())
