"""Requests of the client: what it sends arrives once, over lost connections too, and what goes wrong has a type."""

import errno
import os
import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from io import BytesIO
from pathlib import Path

import msgspec
import pytest
import trio

from fleet.client import Conflict, FleetClient, FleetError, Invalid, NotFound, Unavailable, Unreachable
from fleet.limits import MIB
from fleet.wire.bodies import AttachmentBody, BudgetBody, ModelBody
from tests.client.line import Line
from tests.gateway.machine import NOWHERE, PLAIN, REPOSITORY


@asynccontextmanager
async def serving(serve: Callable[[trio.SocketStream], Awaitable[None]]) -> AsyncGenerator[str]:
    """Serve each connection with this function, and return the address."""
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def answering(answer: bytes) -> AsyncGenerator[str]:
    """Serve this answer to every client, and return the address."""

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some(65536)
            await stream.send_all(answer)

    async with serving(serve) as url:
        yield url


async def test_client_drives_a_session_from_creation_to_end(fleet: FleetClient, line: Line) -> None:
    session = await fleet.create(
        REPOSITORY, title="All", isolation_strategy="worktree", branch="all", tags=["a"], budget=BudgetBody(usd=5)
    )
    assert session.created is not None
    assert (session.created.title, session.created.branch, session.created.tags) == ("All", "all", ["a"])
    await session.prompt(
        "Look", attachments=[AttachmentBody("text/plain", "a.txt", b"\x00hi")], model=ModelBody("p", "m")
    )
    item = await session.wait()
    assert (item.status, item.outcome, item.turns) == ("idle", "finished", 1)
    page = await session.messages(limit=1)
    assert len(page.messages) == 1
    assert page.pagination.total == 2
    ((turn,), (own,)) = (await session.turns(), await session.conversations())
    assert (turn.prompt, turn.outcome, own.messages) == ("Look", "finished", 2)
    asked = (await session.messages(around=turn.message_id)).messages[0]
    parts = [msgspec.json.decode(part) for part in asked.parts]
    file = next(part for part in parts if part["type"] == "file")
    assert await session.part(file["id"]) == file
    assert await session.part_content(file["id"]) == b"\x00hi"
    assert await session.diffs(turn=1) == await session.diffs(contents=False)
    ((then,), waited) = (await fleet.sessions(at=4), await fleet.inbox(at=4))
    assert (then.id, then.turns, waited) == (session.id, 0, [])
    assert (await session.queue(at=4), await session.todos(at=4)) == ([], [])
    for empty in (session.queue, session.requests, session.todos, session.children):
        assert await empty() == []
    edited = await session.edit(title="Other", tags=[], budget=BudgetBody())
    assert (edited.title, edited.tags, edited.budget) == ("Other", [], BudgetBody())
    forked = await session.fork(title="Fork")
    assert [each.title for each in await fleet.sessions()] == ["Fork", "Other"]
    assert (await session.abort()).outcome == "nothing_to_abort"
    preview = await session.preview_end(cleanup_workspace=True)
    ended = await session.end(cleanup_workspace=True)
    assert preview.workspace is not None
    assert (preview.workspace.removed, preview.erased) == (ended.workspace and ended.workspace.removed, False)
    assert ended.workspace is not None
    assert not ended.workspace.removed or ended.workspace.kept
    assert (await forked.end(permanent=True)).erased
    assert (await session.read()).status == "stopped"
    assert line.api.fleet.views.sessions.get(forked.id) is None


async def test_client_reads_what_concerns_the_whole_fleet(fleet: FleetClient) -> None:
    parent = await fleet.create(PLAIN, title="Parent")
    child = await fleet.create(PLAIN, prompt="Say something", on_complete=parent.id)
    await child.wait()
    await parent.wait()
    assert (await fleet.sessions(parent=parent.id)).total == 1
    assert [each.id for each in await parent.children()] == [child.id]
    assert [callback.session_id for callback in await fleet.callbacks()] == [child.id]
    assert await fleet.unread_count() == (await fleet.notifications(unread=True)).total > 0
    await fleet.read_notification((await fleet.notifications())[0].id)
    await fleet.read_notification()
    assert await fleet.unread_count() == 0
    assert await fleet.inbox() == []
    assert await fleet.orphans() == []
    (instance,) = await fleet.instances()
    assert await fleet.instance(instance.id) == instance
    (workspace,) = await fleet.workspaces()
    looked = await fleet.workspace(workspace.id)
    assert (looked.id, looked.directory, looked.dirty) == (workspace.id, PLAIN, None)
    assert (await fleet.edit_workspace(workspace.id, "Plain")).title == "Plain"
    with pytest.raises(Conflict):
        await fleet.rebind_workspace(workspace.id, PLAIN)
    with pytest.raises(Conflict) as refused:
        await fleet.remove_workspace(workspace.id)
    assert refused.value.code == "workspace_existing"
    assert (await fleet.offers(PLAIN)).instance_id == (await fleet.offers()).instance_id == instance.id
    with pytest.raises(Invalid) as no_repository:
        await fleet.branches(PLAIN)
    assert no_repository.value.code == "not_a_repository"
    await fleet.create(REPOSITORY, isolation_strategy="worktree", branch="topic")
    assert [branch.name for branch in await fleet.branches(REPOSITORY, query="top")] == ["topic"]
    assert (await fleet.summary()).sessions == {"idle": 3}
    assert (await fleet.info()).limits.title_chars == 200
    page = await fleet.log(after=1, limit=2)
    assert [event.position for event in page] == [2, 3]
    assert await fleet.event(2) == page[0]
    assert page.go_on == 3
    newest = await fleet.log(before=5, limit=2, newest_first=True)
    assert [event.position for event in newest] == [4, 3]
    (created, *_) = await fleet.log(types=["session.created"], actor="local", begin="2020-01-01", end="2099-01-01")
    assert created.type == "session.created"
    assert await fleet.position_at(created.at) >= created.position
    assert [event.position for event in await fleet.chain(1)] == [1]
    assert (await fleet.verify()).intact
    assert (await fleet.history("something")).total >= 1


async def test_write_over_a_cut_connection_happens_once(fleet: FleetClient, line: Line) -> None:
    session = await fleet.create(PLAIN)
    line.cut()
    line.cut_after = 10  # of the answer: the server has done it by then
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.prompt, "Once")
        connections = line.connections
        while line.connections < connections + 3:  # noqa: ASYNC110 - nothing tells
            await trio.sleep(0.1)
        line.cut_after = None
    item = await session.wait()
    assert item.turns == 1


async def test_create_whose_response_is_lost_returns_the_session_on_retry(fleet: FleetClient, line: Line) -> None:
    async with trio.open_nursery() as nursery:
        made: list[str] = []

        async def create() -> None:
            made.append((await fleet.create(PLAIN, title="Over")).id)

        nursery.start_soon(create)
        while not list(line.api.fleet.views.sessions):  # noqa: ASYNC110
            await trio.sleep(0.1)
        await line.unplug(5)
    assert [each.id for each in await fleet.sessions()] == made


async def test_prompt_waits_for_a_restarting_server(fleet: FleetClient, line: Line) -> None:
    session = await fleet.create(PLAIN)
    await line.stop()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(session.prompt, "Go on", resume=True))
        await trio.sleep(3)
        await line.start()
    async with session.events(after=0) as events:
        async for event in events:
            if event.type == "session.turn-ended":
                break
    assert (await session.read()).turns == 1


async def test_idempotency_key_of_the_caller_outlives_the_client(line: Line) -> None:
    async with FleetClient(line.url) as one:
        first = await one.create(PLAIN, key="mine")
    async with FleetClient(line.url) as other:
        assert (await other.create(PLAIN, key="mine")).id == first.id
        with pytest.raises(Invalid) as refused:
            await other.create(PLAIN, title="Else", key="mine")
    assert (refused.value.code, refused.value.status) == ("idempotency_conflict", 422)


async def test_missing_server_is_an_error_after_the_retry_time(line: Line) -> None:
    await line.stop()
    async with FleetClient(line.url, retry_for_s=3) as fleet:
        begin = trio.current_time()
        with pytest.raises(Unreachable) as lost:
            await fleet.summary()
        assert trio.current_time() - begin < 6
        assert line.url in str(lost.value)
        with pytest.raises(Unreachable):
            await anext(fleet.events())


async def test_client_errors_have_types_and_say_what_to_do(fleet: FleetClient) -> None:
    nowhere = fleet.session(NOWHERE)
    with pytest.raises(NotFound) as missing:
        await nowhere.read()
    assert (missing.value.code, missing.value.status) == ("session_not_found", 404)
    with pytest.raises(NotFound):
        await anext(nowhere.events())
    with pytest.raises(Invalid) as wrong:
        await fleet.sessions(status=["sleepy"])
    assert wrong.value.field == "status"
    with pytest.raises(Invalid):
        await fleet.create("/nowhere")
    session = await fleet.create(PLAIN)
    await session.end()
    with pytest.raises(Conflict) as ended:
        await session.prompt("Too late")
    assert ended.value.code == "session_stopped"
    for path in ("../../etc/passwd", "a?b#c"):
        with pytest.raises(FleetError):
            await session.files(path)


async def test_client_retries_a_busy_server_until_the_retry_time_is_over() -> None:
    busy = (
        b"HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Type: application/problem+json\r\nConnection: close\r\n\r\n"
        b'{"code": "overloaded", "detail": "Later", "status": 503, "hint": "Wait"}'
    )
    async with answering(busy) as url, FleetClient(url, retry_for_s=5) as fleet:
        begin = trio.current_time()
        with pytest.raises(Unavailable) as refused:
            await fleet.summary()
    assert 4 <= trio.current_time() - begin < 9
    assert (refused.value.code, refused.value.hint, refused.value.retry_after_s) == ("overloaded", "Wait", 2)


@pytest.mark.parametrize("head", [b"200 OK", b"404 Not Found", b"302 Found\r\nLocation: http://example.org/"])
async def test_response_of_another_program_is_an_error(head: bytes) -> None:
    page = b"HTTP/1.1 " + head + b"\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>\xff</html>"
    async with answering(page) as url, FleetClient(url, retry_for_s=0) as fleet:
        with pytest.raises(FleetError) as refused:
            await fleet.summary()
    assert refused.value.code == "unreadable"


async def test_client_sends_its_token_with_every_request() -> None:
    seen: list[bytes] = []

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            seen.append(await stream.receive_some(65536))

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        async with FleetClient(url, token="s3cret", retry_for_s=0) as fleet:
            for ask in (fleet.summary, fleet.events(after=0).__anext__):
                with pytest.raises(Unreachable) as lost:
                    await ask()
                assert "s3cret" not in repr(lost.value)
        nursery.cancel_scope.cancel()
    assert len(seen) == 2
    assert all(b"authorization: bearer s3cret" in request.lower() for request in seen)


async def test_pack_of_any_size_is_written_as_it_arrives_and_begun_again_after_a_lost_connection(
    tmp_path: Path,
) -> None:
    """It needs a few MiB of memory, and is whole although the first connection broke in its middle."""
    served = 0

    async def serve(stream: trio.SocketStream) -> None:
        nonlocal served
        served += 1
        async with stream:
            await stream.receive_some(65536)
            await stream.send_all(b"HTTP/1.1 200 Words\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(32 if served > 1 else 16):
                await stream.send_all(b"%x\r\n%s\r\n" % (MIB, bytes(MIB)))
            if served > 1:
                await stream.send_all(b"0\r\n\r\n")

    async with serving(serve) as url, FleetClient(url, retry_for_s=20) as fleet:
        with (tmp_path / "pack.zip").open("wb") as file:
            tracemalloc.start()
            await fleet.session("s1").pack(file)
            _, peak_bytes = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert ((tmp_path / "pack.zip").stat().st_size, served) == (32 * MIB, 2)
        assert peak_bytes < 8 * MIB


class FullDisk(BytesIO):
    def write(self, _: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_pack_that_cannot_be_written_is_no_lost_connection(fleet: FleetClient) -> None:
    session = await fleet.create(PLAIN)
    with pytest.raises(OSError, match="No space left"):
        await session.pack(FullDisk())


@pytest.mark.parametrize("url", ["localhost:3000", "ftp://localhost", "http://", ""])
async def test_client_refuses_an_invalid_address_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="not the address of a server"):
        FleetClient(url)


@pytest.mark.parametrize("token", ["", " ", "a\nb", "ü", "a\n"])
async def test_client_refuses_an_invalid_token_at_once(token: str) -> None:
    with pytest.raises(ValueError, match="one word"):
        FleetClient(token=token)
