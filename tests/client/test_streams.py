"""Streams of the client: over cut lines and restarts of the server, every event comes once, in order."""

import math
import random
from contextlib import suppress

import pytest
import trio

from fleet.client import FleetClient, FleetError, Stream
from fleet.client.sse import FrameParser
from fleet.client.stream import RawFrame, frame_of
from fleet.limits import CLIENT_FRAME_BYTES_MAX, MIB
from fleet.wire.frames import Delta, Event, Frame, Snapshot
from tests.client.line import Line
from tests.gateway.machine import PLAIN


async def read(stream: Stream[Frame], seen: list[Event], until: int) -> None:
    """Read up to a position of the log, which may have been read already."""
    while stream.position is None or stream.position < until:
        frame = await anext(stream)
        if isinstance(frame, Event):
            seen.append(frame)


@pytest.mark.parametrize("seed", range(3))
async def test_sse_stream_has_no_gap_and_no_repeat_over_cuts_and_restarts(
    fleet: FleetClient, line: Line, seed: int
) -> None:
    chance = random.Random(seed)
    session = await fleet.create(PLAIN)
    seen: list[Event] = []
    done = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(line.disturb, chance, done, (None, 50, 300, 700, 2000))
        stream = fleet.events(after=0)
        async with FleetClient(line.url, retry_for_s=60) as other, trio.open_nursery() as reading:
            reading.start_soon(read_while, stream, seen, done.is_set)
            for number in range(4):
                await other.session(session.id).prompt(f"turn {number}", resume=True)
                await trio.sleep(chance.random() * 4)
            done.set()
            line.cut_after = None
    await session.wait()
    async with stream:
        await read(stream, seen, line.api.fleet.log.head())
    log = line.api.fleet.log.read_all(0, 10_000)
    assert [event.position for event in seen] == [recorded.position for recorded in log][: len(seen)]
    assert [event.type for event in seen] == [recorded.type for recorded in log][: len(seen)]
    assert line.connections > 6


async def read_while(stream: Stream[Frame], seen: list[Event], over: object) -> None:
    """Read until there is an end to it; a step is cancelled now and then, and must lose nothing by that."""
    assert callable(over)
    while not over():
        with trio.move_on_after(0.7):
            frame = await anext(stream)
            if isinstance(frame, Event):
                seen.append(frame)


async def test_open_stream_misses_no_later_event(fleet: FleetClient, line: Line) -> None:
    async with fleet.events() as events:
        line.cut()  # before a single event came
        session = await fleet.create(PLAIN)
        first = await anext(events)
        while not isinstance(first, Event):
            first = await anext(events)
    assert (first.type, first.session_id, first.position) == ("session.created", session.id, 1)
    assert events.position == 1


async def test_sse_signals_add_up_to_the_finished_part(fleet: FleetClient) -> None:
    session = await fleet.create(PLAIN)
    painted: dict[str, str] = {}
    async with session.events() as events:
        assert isinstance(await anext(events), Snapshot)
        await session.prompt("some words to stream")
        async for frame in events:
            if isinstance(frame, Delta):
                painted[frame.part_id] = painted.get(frame.part_id, "") + frame.delta
            if frame.type == "session.turn-ended":
                break
    assert any(painted.values())


async def test_lost_connection_of_a_stream_is_reported_once_and_restored(line: Line) -> None:
    told: list[str] = []
    async with FleetClient(line.url, retry_for_s=1) as client:
        client.on_loss(lambda failure: told.append("back" if failure is None else failure.code), retry_for_s=math.inf)
        session = await client.create(PLAIN)
        async with client.events() as events:
            assert isinstance(await anext(events), Snapshot)
            line.cut()  # and mended at once
            assert isinstance(await anext(events), Snapshot)
            assert told == []
            async with trio.open_nursery() as nursery:
                nursery.start_soon(line.unplug, 30)
                assert isinstance(await anext(events), Snapshot)
            assert told == ["unreachable", "back"]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(line.unplug, 30)
            await session.read()
    assert told == ["unreachable", "back"] * 2


async def test_client_follows_notifications(fleet: FleetClient) -> None:
    session = await fleet.create(PLAIN)
    async with fleet.follow_notifications() as told:
        await session.prompt("Say something")
        notification = await anext(told)
    assert (notification.session_id, notification.kind) == (session.id, "finished")


async def test_sse_stream_that_is_silent_for_long_counts_as_lost(fleet: FleetClient, line: Line) -> None:
    session = await fleet.create(PLAIN)
    async with fleet.events() as events, trio.open_nursery() as nursery:
        assert isinstance(await anext(events), Snapshot)
        nursery.start_soon(line.silence, session.id)
        with trio.fail_after(120):
            async for event in events:
                if event.type == "session.edited":
                    break


@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_sse_frames_are_read_in_pieces_of_any_size(size: int) -> None:
    text = "line\u2028separator\u0085next\x1c\\n"
    body = b'{"sessionId":"s","messageId":"m","partId":"p","field":"text","delta":"%s"}' % text.encode()
    raw = b": heartbeat\n\nevent: delta\ndata: " + body + b"\n\nid: 7\nevent: x\ndata: {}\n\nevent: new\ndata: 1\n\n"
    parser = FrameParser()
    frames = [frame for at in range(0, len(raw), size) for frame in parser.feed(raw[at : at + size])]
    assert frames == [RawFrame("delta", None, body), RawFrame("x", 7, b"{}"), RawFrame("new", None, b"1")]
    assert frame_of(RawFrame("new", None, b"1")) is None


@pytest.mark.parametrize(
    ("kind", "status", "detail", "bytes_max"),
    [
        ("events", 200, f"a line is longer than the limit of {CLIENT_FRAME_BYTES_MAX} bytes", CLIENT_FRAME_BYTES_MAX),
        ("export", 200, f"a line is longer than the limit of {CLIENT_FRAME_BYTES_MAX} bytes", CLIENT_FRAME_BYTES_MAX),
        ("events", 404, "the server sent HTTP 404: data: ", 8 * MIB),
    ],
)
async def test_client_gives_up_a_stream_with_a_line_that_does_not_end(
    nursery: trio.Nursery, kind: str, status: int, detail: str, bytes_max: int
) -> None:
    sent = 0

    async def answer(connection: trio.SocketStream) -> None:
        nonlocal sent
        await connection.receive_some()
        await connection.send_all(b"HTTP/1.1 %d Words\r\n\r\ndata: " % status)
        with suppress(trio.BrokenResourceError):
            while sent < 4 * CLIENT_FRAME_BYTES_MAX:
                await connection.send_all(bytes(MIB))
                sent += MIB

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(trio.serve_listeners, answer, [listener])
    url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
    async with FleetClient(url) as client:
        stream = client.events(after=0) if kind == "events" else client.export(through=1)
        with trio.fail_after(60), pytest.raises(FleetError) as refused:
            await anext(stream)
    assert refused.value.code == "unreadable"
    assert detail in refused.value.detail
    assert sent < 2 * bytes_max
