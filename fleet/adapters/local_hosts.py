"""The only host of a Fleet without an engine: the machine of the server."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import trio

from fleet.adapters.files import LocalFiles
from fleet.adapters.git import GitRemovals, GitTrees, GitWorkspaces
from fleet.errors import Rejected
from fleet.limits import HOST_LOOK_S
from fleet.ports import (
    LOCAL,
    Host,
    HostEvent,
    HostInfo,
    HostPorts,
    HostUp,
    Need,
    OnDelay,
    OpenCodeHost,
    Scripts,
    Shells,
)


def local_host(
    data_dir: Path, roots: tuple[Path, ...], opencode: OpenCodeHost, *, scripts: Scripts, shells: Shells
) -> Host:
    """Return the server's machine: workspaces and trees below its data directory, sources below `roots`."""
    workspaces = GitWorkspaces(data_dir / "workspaces", roots)
    return HostPorts(
        name=LOCAL,
        opencode=opencode,
        workspaces=workspaces,
        trees=GitTrees(data_dir / "trees"),
        removals=GitRemovals(workspaces),
        files=LocalFiles(),
        scripts=scripts,
        shells=shells,
    )


class LocalHosts:
    """`fleet.ports.Hosts` with the host `local` alone, which always has room: other limits bound its processes.

    `look` returns what the machine is and has free; without it, as in most tests, nothing is reported.
    """

    def __init__(self, local: Host, look: Callable[[], Awaitable[HostInfo]] | None = None) -> None:
        self._local = local
        self._look = look

    def host(self, name: str) -> Host:
        """Return the server's machine. Raises `Rejected` host_unknown."""
        if name != LOCAL:
            raise _unknown(name)
        return self._local

    async def require(self, need: Need) -> None:
        """Raise `Rejected` host_unknown for another name, and host_unsuitable for any labels."""
        await trio.lowlevel.checkpoint()
        if need.host not in (None, LOCAL):
            raise _unknown(need.host)
        if need.labels:
            raise Rejected("host_unsuitable", "the server's own machine has no labels", field="host", hint=_HINT)

    async def reserve(
        self,
        slot: str,  # noqa: ARG002 - there is always room
        need: Need,
        preferred: tuple[str, ...],  # noqa: ARG002
        delayed: OnDelay,  # noqa: ARG002
    ) -> str:
        """Return `local`. Raises as `require`."""
        await self.require(need)
        return LOCAL

    async def release(self, slot: str) -> None:  # noqa: ARG002 - the port has them
        """Do nothing."""
        await trio.lowlevel.checkpoint()

    async def slots(self) -> Mapping[str, str]:
        """Return nothing: no room is reserved."""
        await trio.lowlevel.checkpoint()
        return {}

    def watch(self) -> AbstractAsyncContextManager[AsyncIterator[HostEvent]]:
        """Report the server's machine every few seconds; no other host will come."""
        return _watch(self._look)


_HINT = "Start Fleet with --hosts ray to have other machines."


def _unknown(name: str | None) -> Rejected:
    return Rejected(
        "host_unknown", f"there is no host {name!r}: this Fleet has only `{LOCAL}`", field="host", hint=_HINT
    )


@asynccontextmanager
async def _watch(look: Callable[[], Awaitable[HostInfo]] | None) -> AsyncGenerator[AsyncIterator[HostEvent]]:
    sender, receiver = trio.open_memory_channel[HostEvent](0)

    async def report() -> None:
        while look is not None:
            await sender.send(HostUp(await look()))
            await trio.sleep(HOST_LOOK_S)

    async with sender, receiver, trio.open_nursery() as nursery:
        nursery.start_soon(report)
        yield receiver
        nursery.cancel_scope.cancel()
