"""The client's WebSocket: many streams on one connection, each of them whole, over lost connections too."""

import random
from pathlib import Path

import pytest
import trio

from fleet.client import Denied, FleetClient, FleetError, Invalid, NotFound, Socket, Stream, Unreachable
from fleet.gateway.server.guard import Guard
from fleet.limits import SOCKET_SUBSCRIPTIONS_MAX
from fleet.wire.frames import Delta, Event, Frame, Snapshot
from tests.client.line import Line
from tests.client.test_requests import answering
from tests.gateway.keys import Keys
from tests.gateway.machine import NOWHERE, PLAIN, Api, Machine


async def events_until(stream: Stream[Frame], kind: str) -> list[Event]:
    """Return the events up to the first of this type."""
    seen: list[Event] = []
    async for frame in stream:
        if isinstance(frame, Event):
            seen.append(frame)
        if frame.type == kind:
            return seen
    raise AssertionError("a stream has no end")


async def read_to(stream: Stream[Frame], seen: list[Event], position: int) -> None:
    """Read until the log has been read up to there."""
    while (stream.position or 0) < position:
        frame = await anext(stream)
        if isinstance(frame, Event):
            assert frame.position == stream.position
            seen.append(frame)


def logged(line: Line, session_id: str | None = None) -> list[tuple[int, str]]:
    """Return the log's positions and types, of one session or of all."""
    return [
        (event.position, event.type)
        for event in line.api.fleet.log.read_all(0, 10_000)
        if session_id is None or event.stream == f"session-{session_id}"
    ]


def told(seen: list[Event]) -> list[tuple[int, str]]:
    return [(event.position, event.type) for event in seen]


async def test_many_streams_share_one_websocket(fleet: FleetClient, line: Line) -> None:
    sessions = [await fleet.create(PLAIN, title=str(number)) for number in range(30)]
    begin = line.api.fleet.log.head()
    connections = line.connections
    seen: dict[str, list[Event]] = {}

    async def follow(socket: Socket, session_id: str, *, task_status: trio.TaskStatus[None]) -> None:
        async with socket.events(session_id) as events:
            assert isinstance(await anext(events), Snapshot)
            task_status.started()
            seen[session_id] = await events_until(events, "session.turn-ended")

    async with fleet.socket() as socket, socket.events(after=begin) as everything:
        async with trio.open_nursery() as nursery:
            for session in sessions:
                await nursery.start(follow, socket, session.id)
            for session in sessions:
                await session.prompt("Say something")
        all_of_them: list[Event] = []
        await read_to(everything, all_of_them, line.api.fleet.log.head())
    assert line.connections <= connections + 2  # that, and one more for requests
    for session in sessions:
        mine = [each for each in logged(line, session.id) if each[0] > begin]
        assert told(seen[session.id]) == mine[: len(seen[session.id])]
    assert told(all_of_them) == logged(line)[begin:]
    await trio.sleep(1)
    assert line.api.fleet.inflight.readers() == 0


@pytest.mark.parametrize("seed", range(4))
async def test_websocket_streams_have_no_gap_and_no_repeat_over_cuts_and_restarts(
    fleet: FleetClient, line: Line, seed: int
) -> None:
    chance = random.Random(seed)
    sessions = [await fleet.create(PLAIN) for _ in range(3)]
    wanted: dict[str, str | None] = {session.id: session.id for session in sessions} | {"": None}
    seen: dict[str, list[Event]] = {name: [] for name in wanted}
    done = trio.Event()

    async def follow(stream: Stream[Frame], events: list[Event]) -> None:
        """Read; a step is cancelled now and then, and must lose nothing by that."""
        while not done.is_set():
            with trio.move_on_after(chance.random()):
                frame = await anext(stream)
                if isinstance(frame, Event):
                    events.append(frame)
        await read_to(stream, events, (logged(line, wanted[name_of[id(stream)]]) or [(0, "")])[-1][0])

    async with FleetClient(line.url, retry_for_s=120) as other, other.socket() as socket:
        streams = {name: socket.events(wanted[name], after=0) for name in wanted}
        name_of = {id(stream): name for name, stream in streams.items()}
        async with trio.open_nursery() as nursery:
            for name, stream in streams.items():
                nursery.start_soon(follow, stream, seen[name])
            async with trio.open_nursery() as disturbing:
                disturbing.start_soon(line.disturb, chance, done, (None, 50, 300, 700, 2000, 5000))
                for number in range(4):
                    for session in sessions:
                        await other.session(session.id).prompt(f"turn {number}", resume=True)
                    await trio.sleep(chance.random() * 4)
                line.cut_after = None
                for session in sessions:
                    await other.session(session.id).wait()
                done.set()
    for name, session_id in wanted.items():
        assert told(seen[name]) == logged(line, session_id)[: len(seen[name])]
        assert len(seen[name]) > 4
    assert line.connections > 6


async def test_cursor_of_a_stream_continues_on_the_next_websocket(fleet: FleetClient, line: Line) -> None:
    session = await fleet.create(PLAIN)
    async with fleet.socket() as socket, socket.events([session.id], after=0) as events:
        first = await events_until(events, "session.created")
        cursor = events.position
    await session.prompt("Say something")
    async with fleet.socket() as socket, socket.events([session.id], after=cursor) as events:
        rest = await events_until(events, "session.turn-ended")
    assert told(first + rest) == logged(line, session.id)[: len(first + rest)]


async def test_stream_that_the_server_ended_for_lag_continues_from_its_cursor(
    fleet: FleetClient, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await fleet.create(PLAIN)
    async with fleet.socket() as socket:
        with monkeypatch.context() as patch:
            patch.setattr("fleet.events.feed.FEED_BUFFER_BYTES_MAX", 1)
            events = socket.events()
            assert isinstance(await anext(events), Snapshot)
        begin = events.position or 0
        snapshots, seen = 0, list[Event]()
        await session.prompt("some words to stream")
        await session.wait()
        while (events.position or 0) < line.api.fleet.log.head():
            frame = await anext(events)
            snapshots += isinstance(frame, Snapshot)
            if isinstance(frame, Event):
                seen.append(frame)
    assert told(seen) == logged(line)[begin:]
    assert snapshots == 1


async def test_slow_reader_delays_no_other_stream_and_misses_no_event(
    fleet: FleetClient, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.client.socket.CLIENT_BUFFER_FRAMES_MAX", 8)
    session = await fleet.create(PLAIN)
    async with fleet.socket() as socket, socket.events(after=0) as slow, socket.events() as fast:
        for number in range(5):
            await session.prompt(f"some words to stream {number}")
            await events_until(fast, "session.turn-ended")  # while the other one reads nothing
        assert len(slow._waiting) <= 8
        seen: list[Event] = []
        await read_to(slow, seen, line.api.fleet.log.head())
    assert told(seen) == logged(line)


async def test_frame_larger_than_the_buffer_is_received(
    fleet: FleetClient, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.client.socket.CLIENT_BUFFER_BYTES_MAX", 1)
    session = await fleet.create(PLAIN, prompt="Say something")
    await session.wait()
    async with fleet.socket() as socket, socket.events(after=0) as events:
        seen: list[Event] = []
        await read_to(events, seen, line.api.fleet.log.head())
    assert told(seen) == logged(line)


async def test_websocket_signals_add_up_to_the_finished_part(fleet: FleetClient) -> None:
    session = await fleet.create(PLAIN)
    painted: dict[str, str] = {}
    async with fleet.socket() as socket, socket.events(session.id) as events:
        await session.prompt("some words to stream")
        async for frame in events:
            if isinstance(frame, Delta):
                painted[frame.part_id] = painted.get(frame.part_id, "") + frame.delta
            if frame.type == "session.turn-ended":
                break
    assert any(painted.values())


async def test_error_of_one_stream_does_not_end_the_others(fleet: FleetClient, line: Line) -> None:
    session = await fleet.create(PLAIN)
    async with fleet.socket() as socket, socket.events(session.id) as events:
        with pytest.raises(NotFound) as missing:
            async with socket.events([session.id, NOWHERE]):
                pass
        assert (missing.value.code, missing.value.status) == ("session_not_found", 404)
        with pytest.raises(Invalid) as ahead:
            await anext(socket.events(after=99_999))
        assert ahead.value.field == "after"
        with pytest.raises(Invalid):
            await anext(socket.events([]))
        await session.prompt("Say something")
        await events_until(events, "session.turn-ended")
        for _ in range(SOCKET_SUBSCRIPTIONS_MAX - 1):
            await socket.events().__aenter__()
        with pytest.raises(Invalid) as full:
            await anext(socket.events())
        assert "the limit is" in full.value.detail


async def test_error_in_the_socket_block_is_not_wrapped_in_a_group(fleet: FleetClient) -> None:
    with pytest.raises(ZeroDivisionError):
        async with fleet.socket() as socket, socket.events():
            raise ZeroDivisionError
    with trio.move_on_after(1) as scope:
        async with fleet.socket() as socket, socket.events() as events:
            async for _ in events:
                pass
    assert scope.cancelled_caught


async def test_closed_socket_ends_its_streams(fleet: FleetClient, line: Line) -> None:
    ended = trio.Event()

    async def follow(stream: Stream[Frame]) -> None:
        with pytest.raises(trio.ClosedResourceError):
            async for _ in stream:
                pass
        ended.set()

    async with trio.open_nursery() as nursery:
        async with fleet.socket() as socket:
            stream = socket.events()
            nursery.start_soon(follow, stream)
            while line.api.fleet.inflight.readers() == 0:  # noqa: ASYNC110 - nothing tells
                await trio.sleep(0.1)
        with trio.fail_after(60):
            await ended.wait()
    await stream.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await anext(socket.events())
    await trio.sleep(1)
    assert line.api.fleet.inflight.readers() == 0


async def test_closed_stream_is_unsubscribed_at_the_server(fleet: FleetClient, line: Line) -> None:
    readers = line.api.fleet.inflight.readers
    async with fleet.socket() as socket, socket.events():
        async with socket.events():
            assert readers() == 2
        while readers() == 2:  # noqa: ASYNC110 - nothing tells
            await trio.sleep(0.1)
        with trio.move_on_after(0) as scope:
            await socket.events().__aenter__()
        assert scope.cancelled_caught
        await trio.sleep(1)
        assert readers() == 1


async def test_websocket_that_is_silent_for_long_counts_as_lost(fleet: FleetClient, line: Line) -> None:
    session = await fleet.create(PLAIN)
    async with fleet.socket() as socket, socket.events() as events, trio.open_nursery() as nursery:
        assert isinstance(await anext(events), Snapshot)
        nursery.start_soon(line.silence, session.id)
        with trio.fail_after(120):
            await events_until(events, "session.edited")


async def test_socket_without_a_server_is_an_error_after_the_retry_time(line: Line) -> None:
    async with FleetClient(line.url, retry_for_s=3) as fleet, fleet.socket() as socket:
        streams = [socket.events(after=0) for _ in range(20)]
        for stream in streams:
            await stream.__aenter__()
        await line.stop()
        begin = trio.current_time()

        async def lose(stream: Stream[Frame]) -> None:
            with pytest.raises(Unreachable) as lost:
                async for _ in stream:
                    pass
            assert line.url in str(lost.value)

        async with trio.open_nursery() as nursery:
            for stream in streams:
                nursery.start_soon(lose, stream)
        assert 1 < trio.current_time() - begin < 6
        await line.start()
        assert isinstance(await anext(streams[0]), Snapshot)  # the next step begins another attempt


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "unreadable"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://example.org/\r\nContent-Length: 0\r\n\r\n", "unreadable"),
        (b"HTTP/1.1 503 Busy\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n", "unreadable"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "unreachable"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "unreachable"),
        (b"", "unreachable"),
    ],
)
async def test_socket_to_another_program_is_an_error(answer: bytes, code: str) -> None:
    async with answering(answer) as url, FleetClient(url, retry_for_s=0) as fleet, fleet.socket() as socket:
        with pytest.raises(FleetError) as refused, trio.fail_after(120):
            await anext(socket.events(after=0))
    assert refused.value.code == code


async def test_missing_or_revoked_token_is_an_error(machine: Machine, tmp_path: Path) -> None:
    keys = Keys(tmp_path / "data", machine)
    token = keys.new("eyes", "viewer")
    async with machine.fleet() as tree_only:
        api = Api(tree_only.fleet, Guard(machine.clock, keys.file))
        async with api.listen() as port:
            url = f"http://127.0.0.1:{port}"
            async with FleetClient(url) as nobody, nobody.socket() as socket:
                with pytest.raises(Denied) as denied:
                    await anext(socket.events(after=0))
                assert denied.value.status == 401
            async with (
                FleetClient(url, token=token) as fleet,
                fleet.socket() as socket,
                socket.events() as events,
            ):
                assert isinstance(await anext(events), Snapshot)
                keys.revoke("eyes")
                with pytest.raises(Denied):
                    async for _ in events:
                        pass
