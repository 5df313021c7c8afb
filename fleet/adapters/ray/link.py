"""The link to the agent of one host: its heartbeat, what it said last, and the calls that wait for it.

A partition makes calls hang, so no call waits longer than the host is heard: when a host is silent, all calls to it
raise `Unavailable` host_unreachable, and so do later ones until it is heard again. When the engine or the agent has
been started again, calls are repeated once the agent has answered a heartbeat: all of them are idempotent.
"""

from collections.abc import Iterable

import trio

from fleet.adapters.ray.calls import OtherVersion, Remote
from fleet.adapters.ray.engine import Engine, UnreachableError
from fleet.adapters.ray.frames import FilePart, FrameError, PortCall
from fleet.adapters.ray.machine import PORTS, Beat
from fleet.errors import Problem, Unavailable
from fleet.limits import HOST_PROCESSES_MAX, HOST_SILENT_S
from fleet.ports import ProcessIdentity


class HostLink:
    """The link to the agent of `host`."""

    def __init__(self, host: str, engine: Engine) -> None:
        self.host = host
        self.last: Beat | None = None
        self.is_heard = False
        self.is_lost = False
        self.is_resting = False  # it has no agent, because nothing needs it
        self.woken = trio.Event()
        self._heard = trio.Event()
        self._beaten = trio.Event()  # the next answer to a heartbeat
        self._engine = engine
        self._calls: set[trio.CancelScope] = set()
        self._asked: dict[ProcessIdentity, tuple[int | None, bool]] = {}

    def port(self, name: str, last: FilePart | None = None) -> Remote:
        """Return a port of the host's agent. `last` replaces the last argument of its calls (see `PortCall`)."""

        async def send(method: str, body: bytes, limit_s: float | None) -> bytes:
            return await self._send(PortCall(self.host, name, method, body, limit_s, last))

        return Remote(PORTS[name], send, self.host)

    async def _send(self, call: PortCall) -> bytes:
        if not self.is_heard:
            await trio.lowlevel.checkpoint()
            reason = "its agent has to be started again" if self.is_resting else "it is not heard"
            self.wake()
            raise self.unreachable(reason)
        scope = trio.CancelScope()
        self._calls.add(scope)
        try:
            with scope:
                return await self._order(call)
        finally:
            self._calls.discard(scope)
        raise self.unreachable("it has become silent")

    async def _order(self, call: PortCall) -> bytes:
        """Have a call carried out; repeat it once if the engine had to find the agent again meanwhile."""
        is_again = False
        while True:
            try:
                return await self._engine.order(call)
            except FrameError as error:
                raise Problem("too_large", f"a call to the host {self.host} is too large: {error}") from None
            except (UnreachableError, Unavailable) as error:
                if is_again or not _is_to_be_found(error) or not await self._is_found():
                    raise self._problem(error) from None
            is_again = True

    async def _is_found(self) -> bool:
        """Wait until the agent answers a heartbeat. Return False if it takes too long."""
        with trio.move_on_after(HOST_SILENT_S):
            await self._beaten.wait()
            return True
        return False

    def _problem(self, error: UnreachableError | Unavailable) -> Unavailable:
        if isinstance(error, UnreachableError):
            return self.unreachable(error.reason)
        return self.unreachable(error.detail) if error.code == "engine_down" else error

    def unreachable(self, reason: str) -> Unavailable:
        """Return the problem of a call to a host that does not answer."""
        return Unavailable("host_unreachable", f"the host {self.host} does not answer: {reason.rstrip('.')}")

    async def beat(self) -> Beat:
        """Send a heartbeat and remember its answer. Raises `UnreachableError`, and the errors of `Engine.order`."""

        async def send(method: str, body: bytes, limit_s: float | None) -> bytes:
            return await self._engine.order(PortCall(self.host, "machine", method, body, limit_s))

        processes = tuple(self._asked)
        token = "" if self.last is None else self.last.token
        beat: Beat = await Remote(PORTS["machine"], send).call("beat", token, processes)
        if not len(beat.memory_bytes) == len(beat.suspended) == len(processes):
            raise OtherVersion("its heartbeat is about other processes than those that were asked for")
        self._asked = dict(zip(processes, zip(beat.memory_bytes, beat.suspended, strict=True), strict=True)) | {
            each: known for each, known in self._asked.items() if each not in processes
        }
        self.last = beat
        return beat

    def heard(self) -> None:
        """The host answers."""
        self.is_heard, self.is_lost = True, False
        self._heard.set()
        self._beaten.set()
        self._beaten = trio.Event()

    async def wait_heard(self) -> None:
        """Wait until the host answers."""
        await self._heard.wait()

    @property
    def is_used(self) -> bool:
        """Whether calls wait for the host."""
        return bool(self._calls)

    def rest(self) -> None:
        """The host needs no agent now. The next call wakes it."""
        self.silent()
        self.is_resting, self.woken = True, trio.Event()

    def wake(self) -> None:
        """The host needs an agent again."""
        self.is_resting = False
        self.woken.set()

    def silent(self) -> None:
        """The host does not answer: end the calls that wait for it."""
        self.is_heard, self._heard = False, trio.Event()
        for scope in self._calls:
            scope.cancel()

    def known_of(self, process: ProcessIdentity) -> tuple[int | None, bool]:
        """Return the memory of a process and whether it is suspended, as of the last heartbeat that asked for it."""
        if process not in self._asked:
            while len(self._asked) >= HOST_PROCESSES_MAX:
                del self._asked[next(iter(self._asked))]
            self._asked[process] = (None, False)
        return self._asked[process]

    def forget(self, processes: Iterable[ProcessIdentity]) -> None:
        """Ask no more for these processes."""
        for process in processes:
            self._asked.pop(process, None)


def _is_to_be_found(error: UnreachableError | Unavailable) -> bool:
    """Return whether the engine has to be started or has to find the agent: seconds later it may answer."""
    return error.is_gone if isinstance(error, UnreachableError) else error.code == "engine_down"
