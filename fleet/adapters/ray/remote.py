"""The OpenCode processes and set-ups of another host: the ports ask the agent of the host.

The last heartbeat answers what the ports return without waiting. Waits are bounded calls, which are repeated: the end
of a process is never concluded from the silence of its host.
"""

from collections.abc import AsyncGenerator, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import cast

import trio

from fleet.adapters.opencode.client import open_client
from fleet.adapters.ray.calls import EXPIRED
from fleet.adapters.ray.link import HostLink
from fleet.adapters.ray.machine import Reach, ScriptOutput
from fleet.adapters.ray.tunnels import tunnel
from fleet.errors import Problem
from fleet.limits import HOST_SILENT_S, HOST_WAIT_AGAIN_S, HOST_WAIT_S
from fleet.network import is_loopback
from fleet.ports import (
    Endpoint,
    Exit,
    FoundProcess,
    Message,
    OnOutput,
    OpenCode,
    OpenCodeSession,
    ProcessIdentity,
    Recipe,
    RecordedMessage,
    Script,
    ScriptEnd,
    StopStep,
)


class RemoteOpenCodeHost:
    """`fleet.ports.OpenCodeHost` on another machine."""

    def __init__(self, link: HostLink, reach: Reach) -> None:
        self._link = link
        self._reach = reach
        self._opencode = link.port("opencode")
        self._machine = link.port("machine")

    @property
    def known_version(self) -> str | None:
        """The version of the executable there, None while it is unknown."""
        return None if self._link.last is None else self._link.last.info.opencode_version

    async def spawn(self, instance_id: str, directory: str) -> ProcessIdentity:
        """Start a process (see the port)."""
        return cast("ProcessIdentity", await self._opencode.call("spawn", instance_id, directory))

    async def wait_ready(self, instance_id: str, identity: ProcessIdentity) -> Endpoint:
        """Wait until it listens and is healthy (see the port)."""
        return cast("Endpoint", await self._opencode.call("wait_ready", instance_id, identity))

    async def wait_exit(self, instance_id: str, identity: ProcessIdentity) -> Exit:
        """Wait until the host says that the process has ended."""
        self._link.known_of(identity)
        while True:
            try:
                end = await self._opencode.call_within(HOST_WAIT_S, "wait_exit", instance_id, identity)
            except Problem as problem:
                if problem.code != "host_unreachable":
                    raise
                await trio.sleep(HOST_WAIT_AGAIN_S)
                continue
            if end is not EXPIRED:
                self._link.forget((identity,))
                return cast("Exit", end)

    async def stop(self, instance_id: str, identity: ProcessIdentity | None) -> tuple[StopStep, ...]:
        """End all processes of the instance (see the port)."""
        return cast("tuple[StopStep, ...]", await self._opencode.call("stop", instance_id, identity))

    async def end_in(self, directory: str, instance_id: str | None = None) -> tuple[int, ...]:
        """End what tools left running (see the port)."""
        return cast("tuple[int, ...]", await self._opencode.call("end_in", directory, instance_id))

    async def find(self) -> tuple[FoundProcess, ...]:
        """Return every live process of this Fleet there."""
        return cast("tuple[FoundProcess, ...]", await self._opencode.call("find"))

    def memory_bytes(self, identity: ProcessIdentity) -> int | None:
        """Return the memory that the last heartbeat reported; the first question makes the next one report it."""
        return self._link.known_of(identity)[0]

    async def copy_messages(self, messages: tuple[Message, ...], session: OpenCodeSession) -> None:
        """Copy messages into a session (see the port)."""
        await self._opencode.call("copy_messages", messages, session)

    async def restore_messages(self, messages: tuple[RecordedMessage, ...], session: OpenCodeSession) -> None:
        """Add recorded messages to a session (see the port)."""
        await self._opencode.call("restore_messages", messages, session)

    async def move_session(self, session: OpenCodeSession, directory: str) -> None:
        """Let a session work in another directory (see the port)."""
        await self._opencode.call("move_session", session, directory)

    async def delete_session(self, session_id: str) -> None:
        """Delete a session from OpenCode's store there (see the port)."""
        await self._opencode.call("delete_session", session_id)

    async def forget_directory(self, directory: str) -> None:
        """Delete what OpenCode there has kept of a work tree that is gone (see the port)."""
        await self._opencode.call("forget_directory", directory)

    def is_suspended(self, identity: ProcessIdentity) -> bool:
        """Return what the last heartbeat reported."""
        return self._link.known_of(identity)[1]

    def free_memory_bytes(self) -> int:
        """Return what the last heartbeat reported, 0 before the first."""
        return 0 if self._link.last is None else self._link.last.info.memory_free_bytes

    def connect(self, instance_id: str, endpoint: Endpoint) -> AbstractAsyncContextManager[OpenCode]:
        """Open a client with the password, which the agent gives; through the agent where there is no other way."""
        return self._connect(instance_id, endpoint)

    @asynccontextmanager
    async def _connect(self, instance_id: str, endpoint: Endpoint) -> AsyncGenerator[OpenCode]:
        password = cast("str", await self._machine.call("password", instance_id))
        if self._reach == "direct" and not is_loopback(endpoint.address):
            async with open_client(endpoint, password) as client:
                yield client
            return
        async with tunnel(self._link, endpoint) as near, open_client(near, password) as client:
            yield client


class RemoteScripts:
    """`fleet.ports.Scripts` on another machine."""

    def __init__(self, link: HostLink) -> None:
        self._link = link
        self._scripts = link.port("scripts")

    @property
    def running(self) -> Collection[str]:
        """The markers of scripts that ran at the last heartbeat."""
        return () if self._link.last is None else self._link.last.scripts

    async def read(self, directory: str) -> Recipe | None:
        """Return the recipe at the root of a checkout (see the port)."""
        return cast("Recipe | None", await self._scripts.call("read", directory))

    async def run(self, script: Script, on_output: OnOutput) -> ScriptEnd:
        """Run a script and fetch its output until its end; a cancelled run is ended there.

        Raises `Unavailable` host_unreachable if the agent has been started again meanwhile, which ends the script, or
        if the host is lost.
        """
        await self._scripts.call("start", script)
        try:
            return await self._follow(script.marker, on_output)
        finally:
            with trio.move_on_after(HOST_SILENT_S, shield=True):
                await self._forget(script.marker)

    async def _follow(self, marker: str, on_output: OnOutput) -> ScriptEnd:
        offset = 0
        while True:
            try:
                found = await self._scripts.call_within(HOST_WAIT_S, "output", marker, offset)
            except Problem:
                if self._link.is_heard or self._link.is_lost:
                    raise
                await trio.sleep(HOST_WAIT_AGAIN_S)
                continue
            if found is EXPIRED:
                continue
            output = cast("ScriptOutput", found)
            if output.text:
                offset += len(output.text)
                await on_output(output.text)
            if output.end is not None:
                return output.end

    async def _forget(self, marker: str) -> None:
        try:
            await self._scripts.call("forget", marker)
        except Problem:
            return  # its agent ends it at its time limit, or has ended with it
