"""The composition root: the only module that knows all parts. It combines them into a server.

    log -> model -> fleet (views, actors, recovery) -> gateway    started in this order, stopped in reverse

The port is bound first, and the data directory is locked second, so that a start that must fail does so at once. A
read-only server has neither log writer nor model nor actors. stores.py opens the data directory for both.
"""

import errno
import gc
import os
import resource
import shlex
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import structlog
import trio

from fleet import __version__
from fleet.actors.context import Policy, Ports
from fleet.actors.fleet import Fleet
from fleet.actors.runtime.child import ChildSpec
from fleet.actors.runtime.supervisor import Supervisor
from fleet.actors.supervision import Supervision
from fleet.adapters.clock import SystemClock
from fleet.adapters.ids import SystemIds
from fleet.adapters.local_hosts import local_host
from fleet.adapters.opencode.binary import resolve_binary
from fleet.adapters.opencode.process import LocalOpenCodeHost
from fleet.adapters.opencode.shells import LocalShells
from fleet.adapters.scripts import LocalScripts
from fleet.adapters.webhook_secrets import FileWebhookSecrets
from fleet.adapters.webhook_sender import HttpSender
from fleet.composition.greeting import greeting, is_found_without_url, page_line
from fleet.composition.hosts import HostsEngine, lease_s
from fleet.composition.model_choice import ModelChoice
from fleet.composition.server_facts import facts_of
from fleet.composition.stores import OpenStores, has_room, open_read_only, open_stores
from fleet.config import Config
from fleet.core.hosts import HOSTS_ID, State
from fleet.environment import passed_on, remarks
from fleet.errors import Problem, StartupError
from fleet.events.anchors import Anchors
from fleet.events.directory_identity import read_identity
from fleet.events.disk import NO_SPACE, remedy
from fleet.events.lmdb_log import LmdbLog
from fleet.gateway.app import Gateway
from fleet.gateway.server.guard import Guard
from fleet.gateway.server.page_files import installed_build, read_build
from fleet.gateway.server.tokens import TokenFile
from fleet.limits import (
    DAY_S,
    FILES_MAX,
    GC_THRESHOLDS,
    MIB,
    SHUTDOWN_GRACE_S,
    SHUTDOWN_REST_S,
    SWITCH_INTERVAL_S,
)
from fleet.logs import announce, configure_logs
from fleet.network import base_url, family_of, is_loopback
from fleet.ports import Hosts
from fleet.rehearsal.config import PROVIDER
from fleet.rehearsal.offer import Offer

if TYPE_CHECKING:
    from fleet.traces import Traces

_log = structlog.get_logger(__name__)

NO_ROOM: Final = "The disk has no room: the server starts read-only. Free space on it, then start Fleet again."


async def serve(config: Config, *, read_only: bool = False) -> int:
    """Run a server until SIGINT or SIGTERM and return its exit code. Raises `StartupError`.

    With `read_only` it changes nothing: not the data directory, no process, no workspace.
    """
    configure_logs(config.log_level, config.log_format)
    stopping = trio.Event()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_await_signals, stopping, nursery.cancel_scope)
            if not read_only and not has_room(config.data_dir):
                read_only = True
                _log.error("disk_full", data_dir=str(config.data_dir), hint=NO_ROOM)
            async with running(config, os.environ, read_only=read_only) as fleet:
                _prefer_event_loop()
                _raise_file_limit()
                if config.log_format == "json":  # nothing else may be printed between the lines
                    _log.info(
                        "ready", version=__version__, url=fleet.url, data_dir=str(config.data_dir), read_only=read_only
                    )
                    for remark in remarks(os.environ):
                        _log.warning("environment", remark=remark)
                else:
                    announce(await _greeting(config, fleet, read_only=read_only))
                if not read_only:
                    nursery.start_soon(_announce_model, fleet, config.log_format == "json")
                await stopping.wait()
            nursery.cancel_scope.cancel()
    except BaseException as error:
        raise startup_error(error) or error from None
    return 0


def startup_error(error: BaseException) -> StartupError | None:
    """Return the `StartupError` that `error` is, means or contains as a group, None for anything else."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return next((found for inner in group.exceptions if (found := startup_error(inner)) is not None), None)
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        place = f" for {error.filename}" if error.filename else ""
        return StartupError(f"The disk has no space{place} ({error.strerror}): {remedy(error, '')}")
    return error if isinstance(error, StartupError) else None


async def stop_leftovers(config: Config) -> None:
    """Stop the OpenCode processes of a data directory whose Fleet has ended without stopping them."""
    identity = read_identity(config.data_dir)
    host = LocalOpenCodeHost(config.data_dir, data_id=None if identity is None else identity.id)
    for instance_id in {process.instance_id for process in await host.find()}:
        await host.stop(instance_id, None)


def _prefer_event_loop() -> None:
    """Shorten the pauses of the event loop by garbage collection of long-lived objects and by other threads."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.freeze()  # without a collection, which takes a tenth of a start: of what was made, 2 % is garbage
    gc.set_threshold(*GC_THRESHOLDS)


def _raise_file_limit() -> None:
    """Raise the limit of open files to what Fleet's own limits of streams need, if the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if hard == resource.RLIM_INFINITY else min(FILES_MAX, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # a platform may have a further limit of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Running(NamedTuple):
    """A running Fleet: its parts, its URL, and the OpenCode executable, None if there is none."""

    fleet: Fleet
    url: str
    executable: Path | None
    model: "ModelChoice"
    guard: Guard
    has_page: bool  # the page is built


@asynccontextmanager
async def running(
    config: Config, environment: Mapping[str, str], *, read_only: bool = False
) -> AsyncGenerator[Running]:
    """Run a Fleet while the block runs, and stop it in order at the end; if the block raises, stop it at once.

    OpenCode inherits `environment`, without the variables that are not passed on. With `read_only` no OpenCode runs,
    and nothing is changed. Raises `StartupError`.
    """
    require_token(config)
    environment = passed_on(environment)
    async with _traces(config.traces) as traces, _running(config, environment, traces, read_only) as fleet:
        yield fleet


@asynccontextmanager
async def _running(
    config: Config, environment: Mapping[str, str], traces: "Traces | None", read_only: bool
) -> AsyncGenerator[Running]:
    with (
        bind(config) as listener,
        open_read_only(config.data_dir) if read_only else open_stores(config.data_dir, traces) as opened,
    ):
        log = opened.log
        executable = find_opencode(config, environment)
        parts = _Parts(
            config,
            environment,
            executable,
            opened,
            url=_url(config, listener),
            traces=traces,
            read_only=read_only,
        )
        loopback = is_loopback(config.host)
        guard = Guard(SystemClock(), opened.tokens, loopback=loopback, local=opened.local)
        build = read_build(installed_build())
        gateway = Gateway(listener, parts.supervision.fleet, guard, build)
        children = (
            *(() if log is None else (*_writers(config, log, parts), *parts.engine.children())),
            ChildSpec("fleet", parts.supervision.run, stop_grace_s=SHUTDOWN_GRACE_S + SHUTDOWN_REST_S + 10),
            ChildSpec("gateway", gateway.run),
        )
        root, stopping = Supervisor("root", children, strategy="rest_for_one"), trio.Event()
        async with trio.open_nursery() as nursery:
            await nursery.start(root.run, stopping)
            url, has_page = _url(config, listener), build.shell is not None
            yield Running(parts.supervision.fleet, url, executable, parts.model, guard, has_page)
            stopping.set()


def _writers(config: Config, log: LmdbLog, parts: "_Parts") -> list[ChildSpec]:
    """Return the children of a server that writes."""
    children = [ChildSpec("log", partial(_write, log)), ChildSpec("model", parts.choose_model)]
    if config.anchor_file is not None:
        children.insert(1, ChildSpec("anchors", Anchors(log, config.anchor_file).run))
    return children


@asynccontextmanager
async def _traces(collector: str | None) -> AsyncGenerator["Traces | None"]:
    if collector is None:
        yield None
        return
    try:
        from fleet.traces import open_traces
    except ModuleNotFoundError as error:
        raise StartupError(
            f"Traces should be sent to {collector}, but OpenTelemetry is not installed. "
            "Run `make setup`, or install Fleet with its extra `traces`, or start without --traces."
        ) from error
    async with open_traces(collector) as traces:
        yield traces


def require_token(config: Config) -> None:
    """Raise `StartupError` if other machines can reach the server and no token exists, or the tokens are damaged."""
    try:
        usable = TokenFile(config.data_dir).read().usable(SystemClock().now_ms())
    except Problem as problem:
        raise StartupError(f"{problem.detail}. {problem.hint or ''}".rstrip()) from problem
    if not usable and not is_loopback(config.host):
        raise StartupError(
            f"Other machines can reach {config.host}, and every client can run commands as you: a token is required. "
            "Create one with `fleet token new --role operator`, or keep --host 127.0.0.1 and connect through a tunnel: "
            f"`ssh -L {config.port}:127.0.0.1:{config.port} HOST`."
        )


def bind(config: Config) -> socket.socket:
    """Return the listening socket. Raises `StartupError` if the address is in use or not of this machine."""
    try:
        return socket.create_server((config.host, config.port), family=family_of(config.host), backlog=512)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            taken = f"Port {config.port} is in use, perhaps by another Fleet. Stop it, or choose another with --port."
            raise StartupError(taken) from error
        place = f"{config.host}:{config.port}"
        raise StartupError(f"Cannot listen on {place}: {error.strerror}. Choose another --host.") from error


class _Parts:
    """The children of the root supervisor, as functions for a `ChildSpec`."""

    def __init__(
        self,
        config: Config,
        environment: Mapping[str, str],
        executable: Path | None,
        opened: OpenStores,
        *,
        url: str,
        traces: "Traces | None",
        read_only: bool,
    ) -> None:
        self._offer = Offer(config.data_dir / "rehearsal.port")
        named = None if config.opencode is None else str(config.opencode)
        shells = LocalShells(config.data_dir, environment)
        passed = environment if read_only else shells.environment()
        self._host = LocalOpenCodeHost(config.data_dir, named, environment=passed, url=url, data_id=opened.data_id)
        if not read_only:
            self._host.sweep()
        if config.rehearsal != "never":
            self._host.configure(self._offer.config())  # raises at once if it cannot be merged
        self._host.hold()
        self.model = ModelChoice(config, environment, executable)
        scripts = LocalScripts(config.data_dir, environment, opened.data_id)
        local = local_host(config.data_dir, config.workspace_roots, self._host, scripts=scripts, shells=shells)
        self.engine = HostsEngine(config, local, os.environ, opened.data_id, self._known_hosts)
        ports, policy, stores = _ports(config, self.engine.hosts), _policy(config), opened.stores
        facts = None if read_only else facts_of(config, opened.tokens)
        self.supervision = Supervision(ports, stores, policy=policy, traces=traces, read_only=read_only, facts=facts)

    def _known_hosts(self) -> State | None:
        return self.supervision.fleet.views.hosts.get(HOSTS_ID)

    async def choose_model(self, stopping: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
        """Choose the model, and serve the rehearsal model. It takes 1.5 s, for which only starts of OpenCode wait."""
        task_status.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_at, stopping, nursery.cancel_scope)
            nursery.start_soon(self._host.learn_version)
            model = await self.model.choose()
            if model.rehearsal:
                await nursery.start(self._offer.run, stopping)
            self.supervision.fleet.rehearse(PROVIDER if model.rehearsal else None)
            self._host.configure(self._offer.config() if model.rehearsal else {})
            self.engine.offer_rehearsal(offered=model.rehearsal)


async def _write(log: LmdbLog, stopping: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(log.run)
        task_status.started()
        await stopping.wait()
        log.stop()


def _ports(config: Config, hosts: Hosts) -> Ports:
    clock = SystemClock()
    return Ports(
        clock=clock,
        ids=SystemIds(clock),
        hosts=hosts,
        webhook_secrets=FileWebhookSecrets(config.data_dir),
        sender=HttpSender(clock, config.webhook_networks),
    )


def _policy(config: Config) -> Policy:
    return Policy(
        sharing=config.instance_policy,
        instances_max=config.max_instances,
        memory_free_bytes_min=config.min_free_memory_mib * MIB,
        idle_timeout_s=config.idle_timeout_minutes * 60,
        leave_running=config.leave_running,
        keep_transcripts_s=None if config.keep_transcripts_days is None else config.keep_transcripts_days * DAY_S,
        workspace_roots=tuple(os.path.realpath(root) for root in config.workspace_roots),
        host_cpus=config.host_cpus,
        host_memory_mb=config.host_memory_mb,
        host_lease_s=lease_s(config),
    )


async def _cancel_at(stopping: trio.Event, scope: trio.CancelScope) -> None:
    await stopping.wait()
    scope.cancel()


async def _await_signals(stopping: trio.Event, everything: trio.CancelScope) -> None:
    """Stop the server in order at the first signal, and at once at the second."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for number in signals:
            if stopping.is_set():
                everything.cancel()
                return
            _log.info("stopping", signal=signal.Signals(number).name, hint="Send it again to stop at once.")
            stopping.set()


def find_opencode(config: Config, environment: Mapping[str, str]) -> Path | None:
    """Return the executable, None if there is none yet. Raises `StartupError` for a wrong --opencode."""
    named = None if config.opencode is None else str(config.opencode)
    try:
        return resolve_binary(named, environment)
    except Problem as problem:
        if named is None:
            return None
        raise StartupError(f"{problem.detail}. {problem.hint or ''}".rstrip()) from problem


def _url(config: Config, listener: socket.socket) -> str:
    near = config.host in ("127.0.0.1", "0.0.0.0")  # noqa: S104 - a name to show, nothing is bound
    return base_url("localhost" if near else config.host, listener.getsockname()[1])


async def _greeting(config: Config, fleet: Running, *, read_only: bool) -> str:
    guard = fleet.guard
    now_ms = SystemClock().now_ms()
    line = partial(page_line, guard, fleet.url, now_ms, is_built=fleet.has_page, is_found=is_found_without_url(config))
    page = await trio.to_thread.run_sync(line)
    return greeting(
        config,
        fleet.url,
        fleet.executable,
        needs_token=guard.needs_token,
        page=page,
        read_only=read_only,
        remarks=remarks(os.environ),
    )


async def _announce_model(fleet: Running, as_line: bool) -> None:
    model = await fleet.model.known()
    if as_line:
        _log.info("model_chosen", rehearsal=model.rehearsal, why=model.why)
        return
    announce(f"Model: {model.why}\n")
    if model.rehearsal:
        opencode = shlex.quote(str(fleet.executable or "opencode"))
        announce(f"       For a real one: run `{opencode} auth login`, then start Fleet again.\n")
