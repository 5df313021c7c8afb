"""What an agent serves of its own: its machine, the scripts that run there, and tunnels to programs there."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import psutil
import trio

from fleet import __version__
from fleet.adapters.opencode.detached import Lease
from fleet.adapters.opencode.process import LocalOpenCodeHost
from fleet.adapters.ray.machine import Beat, Options, ScriptOutput
from fleet.adapters.scripts import LocalScripts
from fleet.errors import Problem, Unavailable
from fleet.limits import HOST_PIECE_BYTES
from fleet.ports import HostInfo, ProcessIdentity, Recipe, Script, ScriptEnd

OfferModel = Callable[[bool], Awaitable[None]]
"""Offers the rehearsal model on this machine, or no longer."""


class OwnMachine:
    """`machine.Machine`. Its epoch is new with each agent."""

    def __init__(
        self,
        options: Options,
        root: Path,
        address: str,
        *,
        opencode: LocalOpenCodeHost,
        scripts: LocalScripts,
        lease: Lease,
        offer: OfferModel,
    ) -> None:
        self._options = options
        self._root = root
        self._address = address
        self._opencode = opencode
        self._scripts = scripts
        self._lease = lease
        self._offer = offer
        self._epoch = uuid.uuid4().hex
        self._git_version = _git_version()
        self._engine_version = _version_of("ray")

    async def beat(self, token: str, processes: tuple[ProcessIdentity, ...]) -> Beat:
        """Renew the lease and measure (see the port); it takes a millisecond."""
        await trio.lowlevel.checkpoint()
        if token:
            self._lease.renew(token)
        return Beat(
            info=self._info(),
            token=self._lease.token(),
            memory_bytes=tuple(self._opencode.memory_bytes(each) for each in processes),
            suspended=tuple(self._opencode.is_suspended(each) for each in processes),
            scripts=tuple(self._scripts.running),
        )

    def _info(self) -> HostInfo:
        memory = psutil.virtual_memory()
        return HostInfo(
            name=self._options.host,
            epoch=self._epoch,
            address=self._address,
            root=str(self._root),
            version=__version__,
            opencode_version=self._opencode.known_version,
            git_version=self._git_version,
            python_version=platform.python_version(),
            engine_version=self._engine_version,
            labels={},
            cpus=float(os.cpu_count() or 1),
            memory_bytes=memory.total,
            memory_free_bytes=self._opencode.free_memory_bytes(),
            disk_free_bytes=shutil.disk_usage(self._root).free,
            clock_ms=time.time_ns() // 1_000_000,
        )

    async def offer_rehearsal(self, offered: bool) -> None:
        """Serve the rehearsal model, or end it (see the port)."""
        await self._offer(offered)

    async def password(self, instance_id: str) -> str:
        """Read the password of an instance (see the port)."""
        await trio.lowlevel.checkpoint()
        return self._opencode.password(instance_id)


def _git_version() -> str:
    try:
        said = subprocess.run(["git", "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""
    return said.strip().removeprefix("git version ")


def _version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


class _Run:
    """A script that runs, or has ended."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.text = ""
        self.end: ScriptEnd | None = None
        self.problem: Problem | None = None
        self.changed = trio.Event()

    def change(self) -> None:
        self.changed.set()
        self.changed = trio.Event()


class OwnScripts:
    """`machine.ScriptRuns`. Scripts run in `nursery`; `LocalScripts` bounds their output."""

    def __init__(self, scripts: LocalScripts, nursery: trio.Nursery) -> None:
        self._scripts = scripts
        self._nursery = nursery
        self._runs: dict[str, _Run] = {}

    async def read(self, directory: str) -> Recipe | None:
        """Read the recipe (see the port)."""
        return await self._scripts.read(directory)

    async def start(self, script: Script) -> None:
        """Start a script (see the port)."""
        await trio.lowlevel.checkpoint()
        if script.marker not in self._runs:
            self._runs[script.marker] = run = _Run()
            self._nursery.start_soon(self._run, script, run)

    async def _run(self, script: Script, run: _Run) -> None:
        async def on_output(text: str) -> None:
            run.text += text
            run.change()
            await trio.lowlevel.checkpoint()

        with run.scope:
            try:
                run.end = await self._scripts.run(script, on_output)
            except Problem as problem:
                run.problem = problem
        run.change()

    async def output(self, marker: str, offset: int) -> ScriptOutput:
        """Wait for output or the end (see the port)."""
        run = self._runs.get(marker)
        if run is None:
            raise Unavailable(
                "host_unreachable", "The host's agent was started again, and the script has ended with it."
            )
        while len(run.text) <= offset and run.end is None and run.problem is None:
            await run.changed.wait()
        if run.problem is not None:
            raise run.problem
        return ScriptOutput(run.text[offset:], run.end)

    async def forget(self, marker: str) -> None:
        """End a script and forget it (see the port)."""
        await trio.lowlevel.checkpoint()
        if (run := self._runs.pop(marker, None)) is not None:
            run.scope.cancel()


class OwnTunnels:
    """`machine.Tunnel`, on the loopback address of this machine."""

    def __init__(self) -> None:
        self._streams: dict[str, trio.SocketStream] = {}

    async def dial(self, stream: str, port: int) -> None:
        """Connect to a port (see the port)."""
        if stream in self._streams:
            return
        try:
            self._streams[stream] = await trio.open_tcp_stream("127.0.0.1", port)
        except OSError as error:
            raise _closed(error.strerror or "no connection") from error

    async def send(self, stream: str, data: bytes) -> None:
        """Write bytes (see the port)."""
        try:
            await self._stream(stream).send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise _closed("it has closed the connection") from error

    async def receive(self, stream: str) -> bytes:
        """Wait for bytes (see the port)."""
        try:
            return bytes(await self._stream(stream).receive_some(HOST_PIECE_BYTES))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return b""

    def _stream(self, stream: str) -> trio.SocketStream:
        if stream not in self._streams:
            raise _closed("the connection is closed")
        return self._streams[stream]

    async def hang_up(self, stream: str) -> None:
        """Close the connection (see the port)."""
        await trio.lowlevel.checkpoint()
        if (found := self._streams.pop(stream, None)) is not None:
            await trio.aclose_forcefully(found)


def _closed(reason: str) -> Unavailable:
    return Unavailable("opencode_unreachable", f"OpenCode cannot be reached on its host: {reason}.")


def inherited_from_engine(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a Ray worker without what Ray has set in it: tokens, and limits of its own tasks."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith("RAY_") and name not in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "PYTHONBREAKPOINT")
    }
