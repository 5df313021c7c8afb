"""The ports that only an agent has: its machine, the scripts that run there, and tunnels to programs there."""

from collections.abc import Awaitable, Callable, Iterable, Mapping

import trio

from fleet.adapters.opencode.detached import Lease
from fleet.adapters.opencode.process import LocalOpenCodeHost
from fleet.adapters.ray.machine import Beat, ScriptOutput
from fleet.adapters.scripts import LocalScripts
from fleet.errors import Problem, Unavailable
from fleet.limits import HOST_PIECE_BYTES, HOST_WAIT_S
from fleet.ports import HostInfo, ProcessIdentity, Recipe, Script, ScriptEnd

OfferModel = Callable[[bool], Awaitable[None]]
"""Offers the rehearsal model on this machine, or no longer."""


class OwnMachine:
    """`machine.Machine`; `describe` returns what this machine is and has free."""

    def __init__(
        self,
        describe: Callable[[], Awaitable[HostInfo]],
        opencode: LocalOpenCodeHost,
        scripts: LocalScripts,
        lease: Lease,
        offer: OfferModel,
    ) -> None:
        self._describe = describe
        self._opencode = opencode
        self._scripts = scripts
        self._lease = lease
        self._offer = offer

    async def beat(self, token: str, processes: tuple[ProcessIdentity, ...]) -> Beat:
        """Renew the lease and measure (see the port); it takes a millisecond."""
        if token:
            self._lease.renew(token)
        return Beat(
            info=await self._describe(),
            token=self._lease.token(),
            lease_s=self._lease.length_s,
            memory_bytes=tuple(self._opencode.memory_bytes(each) for each in processes),
            suspended=tuple(self._opencode.is_suspended(each) for each in processes),
            scripts=tuple(self._scripts.running),
        )

    async def offer_rehearsal(self, offered: bool) -> None:
        """Serve the rehearsal model, or end it (see the port)."""
        await self._offer(offered)

    async def password(self, instance_id: str) -> str:
        """Read the password of an instance (see the port)."""
        await trio.lowlevel.checkpoint()
        return self._opencode.password(instance_id)


class _Run:
    """A script that runs, or has ended."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.scope = trio.CancelScope()
        self.ended = trio.Event()
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
        """Start a script, or join the same one; another script with this marker is ended first (see the port)."""
        await trio.lowlevel.checkpoint()
        while (old := self._runs.get(script.marker)) is not None:
            if old.script == script:
                return
            old.scope.cancel()
            await old.ended.wait()
            if self._runs.get(script.marker) is old:
                del self._runs[script.marker]
        self._runs[script.marker] = run = _Run(script)
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
        run.ended.set()
        run.change()

    async def output(self, marker: str, offset: int) -> ScriptOutput:
        """Wait for output or the end (see the port)."""
        run = self._runs.get(marker)
        if run is None:
            raise Unavailable(
                "host_unreachable", "the host's agent was started again, and the script has ended with it"
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
    """`machine.Tunnel`, on this machine.

    A server that has ended closes no connection: the next `dial` closes those without a call for some time.
    """

    def __init__(self) -> None:
        self._streams: dict[str, trio.SocketStream] = {}
        self._used_s: dict[str, float] = {}

    async def dial(self, stream: str, address: str, port: int) -> None:
        """Connect to an address of this machine (see the port)."""
        old_s = trio.current_time() - 2 * HOST_WAIT_S
        await self.close([each for each, used_s in self._used_s.items() if used_s < old_s])
        if stream in self._streams:
            return
        try:
            self._streams[stream] = await trio.open_tcp_stream(address, port)
        except OSError as error:
            raise _closed(error.strerror or "no connection") from error
        self._used_s[stream] = trio.current_time()

    async def close(self, streams: Iterable[str] | None = None) -> None:
        """Close these connections, by default all."""
        for each in tuple(self._streams) if streams is None else streams:
            await self.hang_up(each)

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
        self._used_s[stream] = trio.current_time()
        return self._streams[stream]

    async def hang_up(self, stream: str) -> None:
        """Close the connection (see the port)."""
        await trio.lowlevel.checkpoint()
        self._used_s.pop(stream, None)
        if (found := self._streams.pop(stream, None)) is not None:
            await trio.aclose_forcefully(found)


def _closed(reason: str) -> Unavailable:
    return Unavailable("opencode_unreachable", f"OpenCode cannot be reached on its host: {reason}")


def inherited_from_engine(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a Ray worker without what Ray has set in it: tokens, and limits of its own tasks."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith("RAY_") and name not in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "PYTHONBREAKPOINT")
    }
