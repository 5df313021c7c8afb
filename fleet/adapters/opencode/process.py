"""Starts, finds again and stops `opencode serve` processes on this machine.

OpenCode processes start one at a time until its database exists in their version, because two that create or migrate it
at the same time damage it. A stop escalates its signals and ends only when no process of the instance is left.
`environment` makes the environment of a process, `files` its files on disk, `identity` verifies processes, `binary`
chooses the executable and prevents downgrades, and `client` sends requests to a ready process.
"""

import os
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import psutil
import trio

from fleet.adapters.opencode import binary, remnants
from fleet.adapters.opencode.client import USERNAME, open_client
from fleet.adapters.opencode.copies import document, forget_old_imports, import_session, moved, restoration
from fleet.adapters.opencode.detached import DetachedProcesses, Lease
from fleet.adapters.opencode.environment import inherited, secrets_in
from fleet.adapters.opencode.files import InstanceFiles, forget_old_logs, forget_old_scratch
from fleet.adapters.opencode.identity import (
    INSTANCE_MARKER,
    Owner,
    is_foreign,
    is_suspended,
    marked,
    memory_bytes,
    send,
)
from fleet.adapters.opencode.one_shot import delete_session
from fleet.adapters.opencode.processes import ChildProcesses, Launch, Processes
from fleet.adapters.opencode.snapshots import forget_snapshots
from fleet.errors import Problem, Unavailable
from fleet.keyed_locks import Locks
from fleet.limits import (
    FIRST_START_S,
    KILL_GRACE_S,
    LEASE_MARGIN_S,
    OPENCODE_LOG_CHECK_S,
    PORT_ATTEMPTS_MAX,
    PORT_SETTLE_S,
    PROCESS_POLL_S,
    REMNANTS_POLL_S,
    SPAWN_READY_TIMEOUT_S,
    TERM_GRACE_S,
)
from fleet.network import family_of
from fleet.ports import (
    Endpoint,
    Exit,
    FoundProcess,
    Message,
    OpenCode,
    OpenCodeSession,
    ProcessIdentity,
    RecordedMessage,
    StopStep,
)

_IMPORTS: Final = "imports"  # holds the files of running imports


class LocalOpenCodeHost:
    """`fleet.ports.OpenCodeHost` on this machine.

    `executable` is a path, or None for `opencode` on the PATH; `extra_config` is configuration for OpenCode that the
    user's own overrides (`configure` sets it later); OpenCode inherits `environment`, by default that of this process;
    `url` is the address of this Fleet for the tools of agents; `data_id` is the id of the data directory. Processes
    listen on `address`. With a `lease`, they outlive this process, and end with the lease. Raises `StartupError` if the
    user's OPENCODE_CONFIG_CONTENT cannot be merged.
    """

    def __init__(
        self,
        data_dir: Path,
        executable: str | None = None,
        extra_config: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        url: str | None = None,
        *,
        data_id: str | None = None,
        address: str = "127.0.0.1",
        lease: Lease | None = None,
    ) -> None:
        self._data_dir = data_dir.resolve()
        self._address = address
        self._owner = Owner(str(self._data_dir), data_id)
        self._executable = executable
        self._url = {} if url is None else {"FLEET_URL": url}
        self._inherits = os.environ if environment is None else environment
        self._configured = trio.Event()
        self.configure(extra_config or {})
        self._record = binary.VersionRecord(self._data_dir / "opencode-versions.json")
        self._known_version: tuple[object, str] | None = None
        self._asking_version = trio.Lock()
        self._lease = lease
        self._processes: Processes = (
            ChildProcesses() if lease is None else DetachedProcesses(self._data_dir / "instances", lease)
        )
        self._first_start = trio.Lock()
        self._launching = Locks()
        self._migrated_to: str | None = None

    def configure(self, extra_config: Mapping[str, Any]) -> None:
        """Set the configuration of later processes; the user's own overrides it."""
        self._environment = inherited(self._inherits, extra_config)
        self._configured.set()

    def sweep(self) -> None:
        """Remove the temporary files that a crash has left; call it before any process is started."""
        forget_old_scratch(self._data_dir)
        forget_old_imports(self._data_dir / _IMPORTS)

    def hold(self) -> None:
        """Make `spawn` wait for the next `configure`."""
        self._configured = trio.Event()

    def _files(self, instance_id: str) -> InstanceFiles:
        return InstanceFiles(self._data_dir, instance_id)

    # ------------------------------------------------------------------------------------------------------ starting

    @property
    def known_version(self) -> str | None:
        """The executable's version, None while it is unknown."""
        return None if self._known_version is None else self._known_version[1]

    async def learn_version(self) -> None:
        """Read the version of the executable, if there is one, so that the first start does not have to."""
        with suppress(Unavailable):  # a start will report the reason
            await self._version(binary.resolve_binary(self._executable, self._environment))

    async def spawn(self, instance_id: str, directory: str) -> ProcessIdentity:
        """Start a process; return when it has its port or will not get it.

        That is when it announces the port, ends for a reason other than a port in use, or has written nothing for
        PORT_SETTLE_S; `wait_ready` distinguishes these. Raises `Unavailable`: opencode_missing,
        opencode_not_executable, opencode_downgrade, directory_missing.
        """
        await self._configured.wait()
        executable = binary.resolve_binary(self._executable, self._environment)
        store = binary.database(self._environment)
        version = await self._version(executable)
        self._record.admit(store, version)
        async with self._first_start:
            if self._migrated_to != version or not store.exists():
                started = await self._start(executable, instance_id, directory, FIRST_START_S)
                if self._files(instance_id).announced_port() is not None:
                    self._migrated_to = version
                return started
        return await self._start(executable, instance_id, directory, PORT_SETTLE_S)

    async def _version(self, executable: Path) -> str:
        stamp = (executable, binary.modified_ns(executable))
        async with self._asking_version:
            if self._known_version is None or self._known_version[0] != stamp:
                self._known_version = (stamp, await binary.version(executable, self._environment))
            return self._known_version[1]

    async def _start(self, executable: Path, instance_id: str, directory: str, patience_s: float) -> ProcessIdentity:
        attempts = 1
        started = await self._launch(executable, instance_id, directory)
        while await self._lost_its_port(instance_id, started, patience_s) and attempts < PORT_ATTEMPTS_MAX:
            attempts += 1
            started = await self._launch(executable, instance_id, directory)
        return started

    async def _launch(self, executable: Path, instance_id: str, directory: str) -> ProcessIdentity:
        """Start a process, unless the instance has one, such as that of the same call before."""
        async with self._launching.hold(instance_id):
            running = self._processes.running(instance_id)
            if running is not None and not is_foreign(running, self._owner):
                return running
            self._processes.require()
            launch = self._launch_of(executable, instance_id, directory)
            try:
                return await self._processes.start(instance_id, launch)
            except OSError as error:
                raise _cannot_start(executable, directory, error) from error

    def _launch_of(self, executable: Path, instance_id: str, directory: str) -> Launch:
        files = self._files(instance_id)
        password = files.make_password()
        forget_old_logs(self._data_dir)
        files.empty_log()
        listen = ("--hostname", self._address, "--port", str(_free_port(self._address)))
        return Launch(
            arguments=(str(executable), "serve", *listen),
            directory=directory,
            environment=self._child_environment(instance_id, password),
            markers=self._markers(instance_id),
            log=files.log,
        )

    def _markers(self, instance_id: str) -> dict[str, str]:
        return {INSTANCE_MARKER: instance_id, **self._owner.markers()}

    def _child_environment(self, instance_id: str, password: str) -> dict[str, str]:
        return {
            **self._environment,
            **self._url,
            **self._markers(instance_id),
            "BUN_TMPDIR": str(self._files(instance_id).scratch),  # not TMPDIR, in which agents create files
            "OPENCODE_SERVER_USERNAME": USERNAME,
            "OPENCODE_SERVER_PASSWORD": password,
        }

    async def _lost_its_port(self, instance_id: str, started: ProcessIdentity, patience_s: float) -> bool:
        with trio.move_on_after(patience_s):
            while self._is_starting(instance_id, started):  # noqa: ASYNC110 - a log wakes no task
                await trio.sleep(PROCESS_POLL_S)
        how = self._processes.exit(instance_id, started)
        return how is not None and how.code == 1 and self._files(instance_id).reports_taken_port()

    def _is_starting(self, instance_id: str, started: ProcessIdentity) -> bool:
        return self._processes.exit(instance_id, started) is None and self._files(instance_id).announced_port() is None

    async def wait_ready(self, instance_id: str, identity: ProcessIdentity) -> Endpoint:
        """Wait until it listens and is healthy.

        Raises `Unavailable`: opencode_exited, and opencode_not_ready after SPAWN_READY_TIMEOUT_S.
        """
        with trio.move_on_after(SPAWN_READY_TIMEOUT_S):
            while True:
                # Before the log is read: its last lines count.
                alive = self._processes.exit(instance_id, identity) is None
                port = self._files(instance_id).announced_port()
                if alive and port is not None and (endpoint := await self._healthy(instance_id, port)) is not None:
                    return endpoint
                if not alive:
                    raise self._failed_start("opencode_exited", "exited while starting", instance_id)
                await trio.sleep(PROCESS_POLL_S)
        reason = f"was not ready within {SPAWN_READY_TIMEOUT_S:g} s"
        raise self._failed_start("opencode_not_ready", reason, instance_id)

    async def _healthy(self, instance_id: str, port: int) -> Endpoint | None:
        try:
            async with self.connect(instance_id, Endpoint(port, "", self._address)) as client:
                return Endpoint(port, await client.health(), self._address)
        except Problem:
            return None

    def _failed_start(self, code: str, what: str, instance_id: str) -> Unavailable:
        files = self._files(instance_id)
        evidence = files.evidence(secrets_in(self._environment))
        return Unavailable(
            code,
            f"OpenCode {what}. The end of its log: {evidence or '(empty)'}",
            hint=f"Its log is {files.log}. Run `opencode serve` in the same directory to see the error.",
            retry_after_s=5,
        )

    # --------------------------------------------------------------------------------------------- ending and finding

    async def wait_exit(self, instance_id: str, identity: ProcessIdentity) -> Exit:
        """Wait for the end of the process and limit its log meanwhile; the exit of a child process is known."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cut_log, instance_id)
            how = await self._exited(instance_id, identity)
            nursery.cancel_scope.cancel()
        return how

    async def _cut_log(self, instance_id: str) -> None:
        files = self._files(instance_id)
        while True:
            files.cut_log()
            await trio.sleep(OPENCODE_LOG_CHECK_S)

    async def _exited(self, instance_id: str, identity: ProcessIdentity) -> Exit:
        if is_foreign(identity, self._owner):
            return Exit()
        return await self._processes.wait(instance_id, identity)

    async def stop(self, instance_id: str, identity: ProcessIdentity | None) -> tuple[StopStep, ...]:
        """Stop all processes of the instance; without an identity, its server is found by the marker."""
        async with self._launching.hold(instance_id):
            pass  # a cancelled launch continues in its thread; until it ends, no process has the marker
        leader = identity or await self._leader(instance_id)
        if leader is not None and is_foreign(leader, self._owner):
            leader = None
        steps = [] if leader is None else await self._end(instance_id, leader)
        if swept := await remnants.kill_marked(self._owner, instance_id):
            steps.append(StopStep("sweep", swept))
        self._processes.running(instance_id)  # reaps a child that the sweep killed
        await trio.to_thread.run_sync(self._files(instance_id).forget)
        return tuple(steps)

    async def _leader(self, instance_id: str) -> ProcessIdentity | None:
        if (running := self._processes.running(instance_id)) is not None:
            return running
        found = await self._marked(instance_id)
        return next((process.identity for process in found if process.server), None)

    async def _end(self, instance_id: str, leader: ProcessIdentity) -> list[StopStep]:
        """OpenCode sometimes ignores a TERM, so it gets two before the KILL."""
        steps: list[StopStep] = []
        for name, number, grace_s in (
            ("term", signal.SIGTERM, TERM_GRACE_S),
            ("term_again", signal.SIGTERM, TERM_GRACE_S),
            ("kill", signal.SIGKILL, KILL_GRACE_S),
        ):
            if not send(leader, number, group=True):
                break
            steps.append(StopStep(name, (leader.pid,)))
            with trio.move_on_after(grace_s):
                await self.wait_exit(instance_id, leader)
                break
        return steps

    async def enforce_lease(self) -> None:
        """Kill what still runs some time after the end of the lease: scripts, and what has lost its guard."""
        while True:
            if self._lease is not None and self._lease.is_over(LEASE_MARGIN_S):
                for instance_id in {process.instance_id for process in await self.find()}:
                    await remnants.kill_marked(self._owner, instance_id)
            await trio.sleep(REMNANTS_POLL_S)

    async def end_in(self, directory: str, instance_id: str | None = None) -> tuple[int, ...]:
        """See `OpenCodeHost`."""
        return await remnants.end_in(self._owner, directory, instance_id)

    async def find(self) -> tuple[FoundProcess, ...]:
        """Read every process of the machine, in a thread."""
        return await self._marked(None)

    async def _marked(self, instance_id: str | None) -> tuple[FoundProcess, ...]:
        return await trio.to_thread.run_sync(marked, self._owner, instance_id)

    async def copy_messages(self, messages: tuple[Message, ...], session: OpenCodeSession) -> None:
        """Have OpenCode import copies of the messages into the session (copies.py)."""
        await self._import(partial(document, messages, session), session)

    async def restore_messages(self, messages: tuple[RecordedMessage, ...], session: OpenCodeSession) -> None:
        """Have OpenCode import the messages into the session (copies.py)."""
        await self._import(partial(restoration, messages, session), session)

    async def move_session(self, session: OpenCodeSession, directory: str) -> None:
        """Have OpenCode import the session with another directory, unless its own exists."""
        if not await trio.to_thread.run_sync(Path(session.directory).is_dir):
            await self.restore_messages((), moved(session, directory))

    async def _import(self, make: Callable[[], bytes], session: OpenCodeSession) -> None:
        executable = binary.resolve_binary(self._executable, self._environment)
        await import_session(executable, self._environment, make, session, self._data_dir / _IMPORTS)

    async def delete_session(self, session_id: str) -> None:
        """Run `opencode session delete`."""
        await delete_session(binary.resolve_binary(self._executable, self._environment), self._environment, session_id)

    async def forget_directory(self, directory: str) -> None:
        """Delete the repositories of OpenCode's snapshots of the work tree, unless it is there."""
        await trio.to_thread.run_sync(forget_snapshots, binary.data_directory(self._environment), directory)

    def is_suspended(self, identity: ProcessIdentity) -> bool:
        """Return whether a signal or a debugger has stopped the process, so that it cannot respond."""
        return is_suspended(identity)

    def free_memory_bytes(self) -> int:
        """Return the memory that is available to another process."""
        return psutil.virtual_memory().available

    def memory_bytes(self, identity: ProcessIdentity) -> int | None:
        """Return the resident memory of the server process, without the processes of its tools."""
        return memory_bytes(identity)

    def password(self, instance_id: str) -> str:
        """Return the password of a process, for a server on another machine. Raises as `connect`."""
        return self._files(instance_id).password()

    def connect(self, instance_id: str, endpoint: Endpoint) -> AbstractAsyncContextManager[OpenCode]:
        """Open a client. Raises `Unavailable` opencode_unreachable if the instance no longer has a password."""
        return self._connect(instance_id, endpoint)

    @asynccontextmanager
    async def _connect(self, instance_id: str, endpoint: Endpoint) -> AsyncGenerator[OpenCode]:
        async with open_client(endpoint, self.password(instance_id)) as client:
            yield client


def _cannot_start(executable: Path, directory: str, error: OSError) -> Unavailable:
    if not Path(directory).is_dir():
        return Unavailable(
            "directory_missing",
            f"OpenCode cannot be started in {directory}: it is no longer a directory",
            hint="Restore the directory, or create a new session.",
        )
    return binary.not_executable(executable, error.strerror or str(error))


def _free_port(address: str) -> int:
    """Return a port that is free now. OpenCode cannot let the kernel choose: for 0 it tries 4096 first."""
    with socket.socket(family_of(address)) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])
