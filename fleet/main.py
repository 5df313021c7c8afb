"""The composition root: the one place that knows every part, and puts them together into a server.

    log -> rehearsal -> tree (views, actors, recovery) -> gateway     started in this order, stopped in reverse

The port is bound first of all, and the data directory locked second: what makes a start impossible is said at once.
"""

import errno
import gc
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NamedTuple

import structlog
import trio

from fleet import __version__
from fleet.actors.child import ChildSpec
from fleet.actors.context import Ports
from fleet.actors.supervisor import Supervisor
from fleet.actors.tree import Tree
from fleet.adapters.clock import SystemClock
from fleet.adapters.git import GitWorkspaces
from fleet.adapters.ids import SystemIds
from fleet.adapters.opencode.binary import resolve_binary
from fleet.adapters.opencode.process import LocalOpenCodeHost
from fleet.adapters.opencode.providers import own_providers
from fleet.config import Config
from fleet.errors import Problem, StartupError
from fleet.events.catalog import make_registry
from fleet.events.lmdb_log import LmdbLog
from fleet.gateway.app import Gateway
from fleet.limits import GC_THRESHOLDS, SHUTDOWN_GRACE_S
from fleet.logs import configure_logs
from fleet.projections.store import LmdbStore
from fleet.rehearsal.offer import Offer

_log = structlog.get_logger(__name__)


async def serve(config: Config) -> int:
    """Run a server until SIGINT or SIGTERM and return its exit code. Raises `StartupError`."""
    configure_logs()
    stopping = trio.Event()
    with bind(config) as door, LmdbLog.open(config.data_dir, make_registry(), SystemClock()) as log:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_await_signals, stopping, nursery.cancel_scope)
                await _run(config, door, log, stopping)
                nursery.cancel_scope.cancel()
        except* StartupError as group:
            raise _first(group) from None
    return 0


def _first(group: BaseExceptionGroup[StartupError]) -> StartupError:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


def bind(config: Config) -> socket.socket:
    """Return the listening socket. Raises `StartupError` where the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host, config.port), family=family, backlog=512)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StartupError(
                f"Port {config.port} is in use, perhaps by another Fleet. Stop that one, or start with --port 0"
            ) from error
        raise StartupError(f"Cannot listen on {config.host}:{config.port}: {error.strerror}") from error


async def _run(config: Config, door: socket.socket, log: LmdbLog, stopping: trio.Event) -> None:
    """Put the parts together and run them until `stopping`."""
    model = await choose_model(config)
    offer = Offer(config.data_dir / "rehearsal.port")
    store = LmdbStore(config.data_dir / "views")
    parts = _Parts(config, log, store, offer if model.rehearsal else None)
    gateway = Gateway(door, parts.tree)
    children = (
        ChildSpec("log", parts.write),
        *((ChildSpec("rehearsal", parts.rehearse),) if model.rehearsal else ()),
        ChildSpec("tree", parts.run_tree, stop_grace_s=SHUTDOWN_GRACE_S + 10),
        ChildSpec("gateway", gateway.run),
    )
    root = Supervisor("root", children, strategy="rest_for_one")
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run, stopping)
        # What lives now lives long: keep it out of the collections that the event loop would wait for.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        sys.stderr.write(greeting(config, door, model))


class _Parts:
    """What the root supervises, as functions that fit a `ChildSpec`."""

    def __init__(self, config: Config, log: LmdbLog, store: LmdbStore, offer: Offer | None) -> None:
        clock = SystemClock()
        self._log = log
        self._offer = offer
        self._host = LocalOpenCodeHost(config.data_dir, None if config.opencode is None else str(config.opencode))
        ports = Ports(
            clock,
            SystemIds(clock),
            self._host,
            GitWorkspaces(config.data_dir / "workspaces", config.workspace_roots),
        )
        self.tree = Tree(ports, log, store, policy=config.instance_policy)

    async def write(self, stopping: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(self._log.run)
            task_status.started()
            await stopping.wait()
            self._log.stop()

    async def rehearse(self, stopping: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
        if self._offer is not None:
            await self._offer.run(stopping, task_status=task_status)

    async def run_tree(self, stopping: trio.Event, *, task_status: trio.TaskStatus[Any]) -> None:
        if self._offer is not None:
            self._host.configure(self._offer.config())
        await self.tree.run(stopping, task_status=task_status)


async def _await_signals(stopping: trio.Event, everything: trio.CancelScope) -> None:
    """Stop in order at the first signal, at once at the second."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for number in signals:
            if stopping.is_set():
                everything.cancel()
                return
            _log.info("stopping", signal=signal.Signals(number).name, hint="send it again to stop at once")
            stopping.set()


class Model(NamedTuple):
    """Which model OpenCode works with, and the executable, None where there is none."""

    rehearsal: bool
    executable: Path | None
    why: str


async def choose_model(config: Config) -> Model:
    """Find OpenCode, and out whether it has a provider of its own. Raises `StartupError` for a wrong --opencode."""
    named = None if config.opencode is None else str(config.opencode)
    try:
        executable = resolve_binary(named, os.environ)
    except Problem as problem:
        if named is not None:
            raise StartupError(f"{problem.detail} {problem.hint or ''}".rstrip()) from problem
        return Model(config.rehearsal != "never", None, f"{problem.detail} {problem.hint or ''}")
    if config.rehearsal == "never":
        return Model(False, executable, "OpenCode's own providers")
    if config.rehearsal == "always":
        return Model(True, executable, "the rehearsal model, because --rehearsal always says so")
    providers = await own_providers(executable, os.environ)
    if providers:
        return Model(False, executable, f"OpenCode's own providers ({', '.join(sorted(providers))})")
    return Model(True, executable, "the rehearsal model (scripted, free), because OpenCode has no provider of its own")


def greeting(config: Config, door: socket.socket, model: Model) -> str:
    """Return what a person sees when the server is ready."""
    port = door.getsockname()[1]
    url = f"http://localhost:{port}" if config.host == "127.0.0.1" else f"http://{config.host}:{port}"
    real = "\n           For a real one: run `opencode auth login`, then start Fleet again." if model.rehearsal else ""
    body = f'{{"directory": "{Path.cwd()}", "title": "Try Fleet", "initialPrompt": "Look around and take a note"}}'
    return f"""
Fleet {__version__} is ready at {url}
  OpenCode {model.executable or "is missing: install it with `npm install -g opencode-ai`"}
  Model    {model.why}{real}
  Data     {config.data_dir}

Try it:
  curl -X POST {url}/api/sessions -H 'Content-Type: application/json' \\
    -d '{body}'
  curl -N {url}/api/events
"""
