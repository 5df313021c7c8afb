"""The fake OpenCode's host: starts, finds and ends the processes of one simulated Fleet."""

import errno
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Literal

import msgspec
import trio

from fleet.adapters.opencode.copies import document, restoration
from fleet.core.paths import is_inside
from fleet.errors import Problem, Unavailable
from fleet.keyed_locks import Locks
from fleet.limits import SPAWN_READY_TIMEOUT_S, TERM_GRACE_S
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
from tests.fakes.opencode_client import FakeOpenCode
from tests.fakes.opencode_process import FakeProcess
from tests.fakes.opencode_store import Json, StoredMessage

if TYPE_CHECKING:
    from tests.fakes.opencode import FakeOpenCodeWorld

ImportFault = Literal["refused", "silent"]
"""An import that is cut short, and says so or not."""

NOWHERE = "/nonexistent"
"""No directory below it exists."""


class FakeOpenCodeHost:
    """`fleet.ports.OpenCodeHost` of one simulated Fleet.

    With `repeats` it is that of another machine: a second call to start an instance returns the process of the first.
    """

    def __init__(self, world: "FakeOpenCodeWorld", *, repeats: bool = False) -> None:
        self._world = world
        self._repeats = repeats
        self._starting = Locks()
        self._children: list[ProcessIdentity] = []

    @property
    def known_version(self) -> str | None:
        return self._world.version

    async def spawn(self, instance_id: str, directory: str) -> ProcessIdentity:
        if not self._repeats:
            return await self._spawn(instance_id, directory)
        async with self._starting.hold(instance_id):
            running = (each.identity for each in self._world.living() if each.instance_id == instance_id)
            return next(running, None) or await self._spawn(instance_id, directory)

    async def _spawn(self, instance_id: str, directory: str) -> ProcessIdentity:
        await trio.sleep(0.01)
        fault = self._world.spawn_faults.pop(0) if self._world.spawn_faults else None
        if fault in ("missing", "not_executable", "downgrade"):
            raise Unavailable(f"opencode_{fault}", "OpenCode cannot be started", hint="This is a simulation.")
        if fault == "no_space":
            raise OSError(errno.ENOSPC, "No space left on device", "/home/user/.fleet/instances")
        if fault == "bug":
            raise ValueError("nobody has thought of this")
        if fault == "port_taken":
            await trio.sleep(1)
        process = FakeProcess(self._world, instance_id, directory, fault)
        self._world.processes.append(process)
        self._children.append(process.identity)
        await trio.sleep(0.01)
        return process.identity

    async def wait_ready(self, instance_id: str, identity: ProcessIdentity) -> Endpoint:
        with trio.move_on_after(SPAWN_READY_TIMEOUT_S):
            process = self._find(identity)
            if process is not None:
                await process.ready.wait()
                await process.resumed()
            if process is None or process.exit is not None:
                raise Unavailable("opencode_exited", "OpenCode exited while starting. The end of its log: (empty)")
            return Endpoint(process.port, self._world.version)
        raise Unavailable("opencode_not_ready", "OpenCode did not become ready in time. The end of its log: (empty)")

    def _find(self, identity: ProcessIdentity) -> FakeProcess | None:
        return next((process for process in self._world.living() if process.identity == identity), None)

    async def wait_exit(self, instance_id: str, identity: ProcessIdentity) -> Exit:
        await trio.lowlevel.checkpoint()
        for process in self._world.processes:
            if process.identity == identity:
                await process.exited.wait()
                return process.exit if process.exit is not None and identity in self._children else Exit()
        return Exit()

    async def stop(self, instance_id: str, identity: ProcessIdentity | None) -> tuple[StopStep, ...]:
        steps: list[StopStep] = []
        for process in self._world.living():
            if process.instance_id == instance_id and identity in (None, process.identity):
                steps += await self._end(process)
        await trio.sleep(0.1)
        left = [process for process in self._world.living() if process.instance_id == instance_id]
        orphans = [tool for tool in self._world.orphans if tool.instance_id == instance_id]
        for process in left:
            process.die(Exit(signal=9))
        for tool in orphans:
            self._world.orphans.remove(tool)
        pids = [process.identity.pid for process in left] + [tool.identity.pid for tool in orphans]
        if swept := tuple(sorted(pids)):
            steps.append(StopStep("sweep", swept))
        for process in self._world.processes:
            process.password_known = process.password_known and process.instance_id != instance_id
        return tuple(steps)

    async def _end(self, process: FakeProcess) -> list[StopStep]:
        steps = [StopStep("term", (process.identity.pid,))]
        if self._world.by_chance(self._world.swallowed_term_chance):
            await trio.sleep(TERM_GRACE_S)
            steps.append(StopStep("term_again", (process.identity.pid,)))
        await trio.sleep(0.05)
        process.die(Exit(signal=15))
        return steps

    async def end_in(self, directory: str, instance_id: str | None = None) -> tuple[int, ...]:
        await trio.sleep(0.01)
        found = [
            tool
            for tool in self._world.orphans
            if instance_id in (None, tool.instance_id) and is_inside(tool.directory, (directory,))
        ]
        for tool in found:
            self._world.orphans.remove(tool)
        return tuple(tool.identity.pid for tool in found)

    async def find(self) -> tuple[FoundProcess, ...]:
        await trio.sleep(0.01)
        servers = [FoundProcess(found.instance_id, found.identity, server=True) for found in self._world.living()]
        tools = [FoundProcess(tool.instance_id, tool.identity, server=False) for tool in self._world.orphans]
        return (*servers, *tools)

    async def copy_messages(self, messages: tuple[Message, ...], session: OpenCodeSession) -> None:
        """Import them one by one, as far as the fault that is due lets it; a crash of Fleet ends it as well."""
        await self._import(document(messages, session), copies=True)

    async def restore_messages(self, messages: tuple[RecordedMessage, ...], session: OpenCodeSession) -> None:
        await self._import(restoration(messages, session), copies=False)

    async def move_session(self, session: OpenCodeSession, directory: str) -> None:
        await trio.sleep(0.01)
        if session.directory.startswith(NOWHERE):
            self._world.store.sessions[session.id]["directory"] = directory

    async def _import(self, read: bytes, *, copies: bool) -> None:
        found: list[Json] = msgspec.json.decode(read)["messages"]
        fault = self._world.import_faults.pop(0) if self._world.import_faults else None
        for each in found[: len(found) // 2] if fault else found:
            await trio.sleep(0.01)
            if each["info"]["id"] not in self._world.store.messages:
                if copies:
                    self._world.copies.add(each["info"]["id"])
                self._world.store.add(StoredMessage(each["info"], {part["id"]: part for part in each["parts"]}))
        if fault == "refused":
            raise Problem("opencode_refused", "`opencode import` ended with 1: the disk is full")

    async def delete_session(self, session_id: str) -> None:
        await trio.sleep(0.01)
        if self._world.delete_fault:
            raise Problem("opencode_refused", "`opencode session delete` ended with 1: no output")
        if session_id in self._world.store.sessions:
            self._world.delete_session(session_id)

    async def forget_directory(self, directory: str) -> None:
        await trio.sleep(0.01)
        self._world.forgotten.append(directory)

    def is_suspended(self, identity: ProcessIdentity) -> bool:
        return any(process.identity == identity and process.hung for process in self._world.living())

    def free_memory_bytes(self) -> int:
        return self._world.free_memory_bytes

    def memory_bytes(self, identity: ProcessIdentity) -> int | None:
        process = self._find(identity)
        return None if process is None else process.memory_bytes

    def connect(self, instance_id: str, endpoint: Endpoint) -> AbstractAsyncContextManager[OpenCode]:
        return self._connect(instance_id, endpoint)

    @asynccontextmanager
    async def _connect(self, instance_id: str, endpoint: Endpoint) -> AsyncGenerator[OpenCode]:
        await trio.lowlevel.checkpoint()
        process = next((found for found in self._world.processes if found.port == endpoint.port), None)
        if process is None or not process.password_known:
            raise Unavailable("opencode_unreachable", f"the password of instance {instance_id} cannot be read")
        yield FakeOpenCode(process)
