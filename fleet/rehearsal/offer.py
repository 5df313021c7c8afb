"""The rehearsal model as part of a server, at one address in every run: OpenCode processes outlive the server."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
import trio

from fleet.private_files import write_private
from fleet.rehearsal.config import opencode_config

_log = structlog.get_logger(__name__)

_HOST = "127.0.0.1"


class Offer:
    """Serves the model beside a Fleet. `run` fits a `ChildSpec`; `config()` is for OpenCode, once it runs."""

    def __init__(self, port_file: Path) -> None:
        self._port_file = port_file
        self._base_url = ""

    def config(self) -> dict[str, Any]:
        """Return the OpenCode configuration that offers the model and makes it the default."""
        return opencode_config(self._base_url)

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until `stopping`, at the port of the last run if it is free."""
        async with trio.open_nursery() as nursery:
            self._base_url = await self._start(nursery)
            port = self._base_url.rpartition(":")[2].partition("/")[0]
            try:
                write_private(self._port_file, port.encode())
            except OSError as error:  # a full disk; the next run may serve at another port
                _log.warning("rehearsal_port_not_written", file=str(self._port_file), error=str(error))
            task_status.started()
            await stopping.wait()
            nursery.cancel_scope.cancel()

    async def _start(self, nursery: trio.Nursery) -> str:
        with suppress(OSError, ValueError, OverflowError):  # no file yet, or another program has the port
            return await self._serve(nursery, int(self._port_file.read_text()))
        return await self._serve(nursery, 0)

    async def _serve(self, nursery: trio.Nursery, port: int) -> str:
        from fleet.rehearsal.app import serve_rehearsal  # 8 ms, which a server with models of its own does not need

        url: str = await nursery.start(serve_rehearsal, _HOST, port)
        return url


class OfferOnDemand:
    """Serves the model in `nursery` while it is wanted, and gives OpenCode its configuration by `configure`."""

    def __init__(self, offer: Offer, configure: Callable[[Mapping[str, Any]], None], nursery: trio.Nursery) -> None:
        self._offer = offer
        self._configure = configure
        self._nursery = nursery
        self._changing = trio.Lock()
        self._stopping: trio.Event | None = None

    async def offer(self, offered: bool) -> None:
        """Serve the model, or end it, and configure OpenCode so. A call that is cancelled can be repeated."""
        async with self._changing:
            if offered and self._stopping is None:
                stopping = trio.Event()
                await self._nursery.start(self._offer.run, stopping)
                self._stopping = stopping
            elif not offered and self._stopping is not None:
                self._stopping.set()
                self._stopping = None
            self._configure(self._offer.config() if offered else {})
