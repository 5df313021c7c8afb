"""Calls of ports cross the wire: arguments, results, problems, bugs and limits."""

from collections.abc import Mapping
from typing import Protocol, cast

import msgspec
import pytest
import trio

from fleet.adapters.ray.calls import (
    EXPIRED,
    Remote,
    RemoteBugError,
    Served,
    carry_out,
    method_of,
    result_of,
    with_last_argument,
)
from fleet.errors import Rejected, Unavailable
from fleet.ports import FileContent, FileEntry, Files, Listing, OpenCodeHost, Removals, Trees, Workspaces, WorkspaceSpec


class Oven(Protocol):
    async def bake(
        self, spec: WorkspaceSpec, hours: float = 1.5, *, names: frozenset[str] = frozenset()
    ) -> tuple[str, ...]: ...
    async def look(self, path: str) -> Listing | FileContent: ...
    async def refuse(self) -> None: ...
    async def burn(self) -> None: ...
    async def miss(self) -> None: ...
    async def wait(self) -> int: ...
    async def fill(self, name: str, dough: memoryview) -> bytes: ...
    def light(self) -> bool: ...


class Kitchen:
    async def bake(self, spec: WorkspaceSpec, hours: float, *, names: frozenset[str]) -> tuple[str, ...]:
        return (spec.directory, str(hours), *sorted(names))

    async def look(self, path: str) -> Listing | FileContent:
        return FileContent(b"\x00\xff", 2) if path else Listing((FileEntry("a", "file", 1),), 1)

    async def refuse(self) -> None:
        raise Rejected(
            "workspace_busy", "It is busy.", field="x", hint="Wait.", retry_after_s=3, extra={"pids": [1, 2]}
        )

    async def burn(self) -> None:
        raise KeyError("flour")

    async def miss(self) -> None:
        raise FileNotFoundError(2, "No such file or directory", "/oven")

    async def wait(self) -> int:
        await trio.sleep_forever()

    async def fill(self, name: str, dough: memoryview) -> bytes:
        return name.encode() + bytes(dough)

    def light(self) -> bool:
        return True


async def send(name: str, body: bytes, limit_s: float | None) -> bytes:
    return await carry_out(Served({"oven": Oven}, {"oven": Kitchen()}), "oven", name, body, limit_s)


SPEC = WorkspaceSpec("w", "worktree", "/src", "/work")


@pytest.mark.parametrize("form", [bytes, memoryview])
async def test_the_last_argument_of_a_call_can_be_added_on_its_way(form: type[bytes | memoryview]) -> None:
    async def send_filled(name: str, body: bytes, limit_s: float | None) -> bytes:
        return await send(name, cast("bytes", form(with_last_argument(body, b"flour"))), limit_s)

    assert await Remote(Oven, send_filled).fill("rye ", memoryview(b"")) == b"rye flour"


async def test_arguments_arrive_with_their_types_and_defaults() -> None:
    oven = Remote(Oven, send)
    assert await oven.bake(SPEC) == ("/work", "1.5")
    assert await oven.bake(SPEC, names=frozenset({"b", "a"})) == ("/work", "1.5", "a", "b")


async def test_an_older_server_does_not_send_arguments_that_it_does_not_know() -> None:
    def sent(*arguments: object) -> bytes:
        return msgspec.msgpack.encode(arguments)

    for body, baked in ((sent(SPEC), ("/work", "1.5")), (sent(SPEC, 2.0), ("/work", "2.0"))):
        assert result_of(Oven, "bake", await send("bake", body, None)) == baked
    for body in (sent(), sent("no spec"), sent(SPEC, 1.0, [], "more")):
        with pytest.raises(RemoteBugError):
            result_of(Oven, "bake", await send("bake", body, None))


async def test_a_result_of_several_structs_arrives_as_its_own_class() -> None:
    oven = Remote(Oven, send)
    assert await oven.look("x") == FileContent(b"\x00\xff", 2)
    assert await oven.look("") == Listing((FileEntry("a", "file", 1),), 1)


async def test_a_problem_arrives_as_it_was_raised() -> None:
    with pytest.raises(Rejected) as caught:
        await Remote(Oven, send).refuse()
    problem = caught.value
    assert (problem.code, problem.detail, problem.field) == ("workspace_busy", "It is busy.", "x")
    assert (problem.hint, problem.retry_after_s, problem.extra) == ("Wait.", 3, {"pids": [1, 2]})


async def test_an_error_of_the_system_arrives_as_a_problem() -> None:
    with pytest.raises(Unavailable, match="No such file or directory: '/oven'"):
        await Remote(Oven, send).miss()


async def test_a_bug_arrives_with_its_traceback() -> None:
    with pytest.raises(RemoteBugError, match="KeyError: 'flour'"):
        await Remote(Oven, send).burn()


async def test_a_call_of_what_the_other_side_does_not_have_is_a_bug() -> None:
    answer = await carry_out(Served({"oven": Oven}, {"oven": Kitchen()}), "oven", "_secret", b"\x90", None)
    with pytest.raises(RemoteBugError, match="no method '_secret'"):
        result_of(Oven, "wait", answer)


async def test_a_wait_ends_at_its_limit(autojump_clock: trio.testing.MockClock) -> None:
    assert await Remote(Oven, send).call_within(20.0, "wait") is EXPIRED


async def test_a_synchronous_method_is_called_too() -> None:
    assert await Remote(Oven, send).light() is True


@pytest.mark.parametrize(
    ("port", "left_out"),
    [
        (Workspaces, frozenset[str]()),
        (Trees, frozenset[str]()),
        (Removals, frozenset[str]()),
        (Files, frozenset[str]()),
        (OpenCodeHost, frozenset({"connect"})),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_method_of_a_port_can_be_encoded(port: type, left_out: frozenset[str]) -> None:
    names = [name for name, value in vars(port).items() if callable(value) and not name.startswith("_")]
    for name in set(names) - left_out:
        method_of(port, name)


def test_the_arguments_of_a_mapping_arrive() -> None:
    class Pantry(Protocol):
        async def put(self, amounts: Mapping[str, int]) -> None: ...

    method = method_of(Pantry, "put")
    assert method.decode_arguments(method.encode_arguments({"flour": 2})) == (({"flour": 2},), {})
