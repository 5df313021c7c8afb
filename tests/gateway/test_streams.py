"""The live streams, on a real port: nothing logged is missed or repeated, and nothing is left when a reader goes."""

from typing import Any

import psutil
import pytest
import trio
import trio.testing

from fleet.gateway.live.reader import Streams
from fleet.limits import HEARTBEAT_S, SIGNAL_BUFFER_MAX, STREAM_WRITE_S, STREAM_WRITERS_MAX
from fleet.ports import PartDelta
from tests.gateway.machine import NOWHERE, REPOSITORY, Api, Frame, Machine


def positions(frames: list[Frame]) -> list[int]:
    return [frame.id for frame in frames if frame.id is not None]


def readers(api: Api) -> int:
    """How many streams read the feed; the history reads it too."""
    return len(api.fleet.feed.statistics()) - 1


async def test_a_stream_begins_with_a_snapshot_and_sends_later_events(api: Api) -> None:
    item = await api.session()
    path = f"/api/sessions/{item['id']}"
    async with api.listen() as port, api.follow(port, f"{path}/events") as stream:
        headers = stream.headers
        assert headers["content-type"] == "text/event-stream"
        assert headers["cache-control"] == "no-store"
        head = api.fleet.log.head()
        first = await stream.frame()
        assert (first.event, first.id) == ("snapshot", None)
        shown: dict[str, Any] = {"sessionId": item["id"], "status": "idle", "parts": []}
        assert first.data == {"position": head, "sessions": [shown]}
        await api.prompt(item["id"], "Hello")
        frames = await stream.until("session.turn-ended")
    logged = [frame for frame in frames if frame.id is not None]
    assert [frame.id for frame in logged] == [
        e.position for e in api.fleet.log.read_stream(f"session-{item['id']}") if e.position > head
    ][: len(logged)]
    for frame in logged:
        assert frame.data["position"] == frame.id
        assert frame.data["type"] == frame.event
        assert frame.data["stream"] == f"session-{item['id']}"
        assert frame.data["at"].endswith("Z")
        assert frame.id is not None
        cause = api.fleet.log.read_all(frame.id - 1, 1)[0].cause
        assert frame.data.get("causationId") == cause.causation_id
        assert frame.data.get("correlationId") == cause.correlation_id
    assert any("causationId" in frame.data for frame in logged)
    assert logged[0].event == "session.prompt-accepted"
    assert logged[0].data["data"]["text"] == "Hello"
    assert logged[0].data["actor"] == "local"


async def test_signals_have_no_id_and_are_superseded_by_the_part(api: Api) -> None:
    item = await api.session()
    async with api.listen() as port, api.follow(port, f"/api/sessions/{item['id']}/events") as stream:
        await api.prompt(item["id"], "some words to stream")
        frames = await stream.until("session.turn-ended")
    signals = [frame for frame in frames if frame.event in ("delta", "part", "status")]
    assert {frame.id for frame in signals} == {None}
    assert {frame.data["sessionId"] for frame in signals} == {item["id"]}
    streamed: dict[str, str] = {}
    for frame in signals:
        if frame.event == "delta":
            streamed[frame.data["partId"]] = streamed.get(frame.data["partId"], "") + frame.data["delta"]
    recorded = {f.data["data"]["part_id"]: f.data["data"] for f in frames if f.event == "session.part-recorded"}
    assert streamed
    for part_id in streamed:
        assert part_id in recorded


@pytest.mark.parametrize("how", ["header", "query"])
async def test_a_reader_resumes_without_gap_or_repetition(machine: Machine, how: str) -> None:
    async def read(api: Api, path: str, after: int, until: str) -> list[Frame]:
        query, headers = (f"?after={after}", {}) if how == "query" else ("", {"Last_Event_ID": str(after)})
        async with api.listen() as port, api.follow(port, path + query, **headers) as stream:
            assert (await stream.frame()).event == "snapshot"
            return [frame for frame in await stream.until(until) if frame.id is not None]

    async with machine.fleet() as api:
        item = await api.session()
        path = f"/api/sessions/{item['id']}/events"
        await api.prompt(item["id"], "turn:2")
        everything = await read(api, path, 0, "session.turn-ended")
        cut = positions(everything)[len(everything) // 2]
    async with machine.fleet() as api:
        rest = await read(api, path, cut, "session.completed")
    assert positions(everything)[0] == 1
    assert [f for f in everything if (f.id or 0) > cut] == rest[: len([f for f in everything if (f.id or 0) > cut])]
    assert (
        positions(rest)
        == [e.position for e in api.fleet.log.read_stream(f"session-{item['id']}") if e.position > cut][: len(rest)]
    )


async def test_the_header_counts_before_the_parameter_because_browsers_send_it_again(api: Api) -> None:
    item = await api.session()
    path = f"/api/sessions/{item['id']}/events?after=0"
    async with api.listen() as port, api.follow(port, path, Last_Event_ID="2") as stream:
        await stream.frame()
        assert ((await stream.frame()).id or 0) > 2


async def test_the_whole_fleet_on_one_stream(api: Api) -> None:
    first, second = await api.session(), await api.session(REPOSITORY)
    async with api.listen() as port, api.follow(port, "/api/events?after=0") as stream:
        head = api.fleet.log.head()
        frames: list[Frame] = []
        while not frames or positions(frames)[-1:] != [head]:
            frames.append(await stream.frame())
        assert positions(frames) == list(range(1, head + 1))
    streams = {frame.data["stream"] for frame in frames if frame.id is not None}
    assert {f"session-{first['id']}", f"session-{second['id']}"} < streams
    assert any(stream.startswith("instance-") for stream in streams)


async def test_the_stream_of_a_session_has_no_events_of_others(api: Api) -> None:
    mine, other = await api.session(), await api.session(REPOSITORY)
    async with api.listen() as port, api.follow(port, f"/api/sessions/{mine['opencodeId']}/events") as stream:
        await stream.frame()
        await api.prompt(other["id"], "not for you")
        await api.prompt(mine["id"], "for you")
        frames = await stream.until("session.turn-ended")
    assert {f.data["stream"] for f in frames if f.id is not None} == {f"session-{mine['id']}"}
    assert {f.data["sessionId"] for f in frames if f.event == "delta"} == {mine["id"]}


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "", "9" * 30, "\uff11"])
async def test_invalid_last_event_id_is_refused(api: Api, cursor: str) -> None:
    answer = await api.send("GET", "/api/events", Last_Event_ID=cursor)
    assert answer.problem(422, "invalid")["field"] == "Last-Event-ID"


async def test_a_cursor_ahead_of_the_log_is_refused(api: Api) -> None:
    head = api.fleet.log.head()
    for send in (
        api.send("GET", f"/api/events?after={head + 1}"),
        api.send("GET", "/api/events", Last_Event_ID=str(head + 1)),
    ):
        assert f"ends at {head}" in (await send).problem(422, "invalid")["detail"]


async def test_stream_of_an_unknown_session_is_not_found(api: Api) -> None:
    (await api.send("GET", f"/api/sessions/{NOWHERE}/events")).problem(404, "session_not_found")
    item = await api.session()
    answer = await api.send("GET", f"/api/sessions/{item['id']}/events?instanceId={NOWHERE}")
    answer.problem(404, "instance_not_found")
    assert readers(api) == 0


async def test_a_quiet_stream_shows_that_it_lives(api: Api) -> None:
    async with api.listen() as port, api.follow(port, "/api/events") as stream:
        await stream.frame()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.frame)
            await trio.sleep(10 * HEARTBEAT_S + 1)
            nursery.cancel_scope.cancel()
        assert stream.heartbeats == 10


async def test_a_reader_that_disconnects_leaves_nothing(api: Api) -> None:
    async with api.listen() as port:
        async with api.follow(port, "/api/events") as stream, api.follow(port, "/api/events") as other:
            await stream.frame()
            await other.frame()
            assert readers(api) == api.fleet.inflight.readers() == 2
        await trio.sleep(1)
        assert readers(api) == 0
        assert api.fleet.inflight.readers() == 0


@pytest.mark.parametrize("early", [b"", b"x", b"GET /api/caller HTTP/1.1\r\nHost: localhost\r\n\r\n"])
async def test_client_that_sends_more_than_its_request_leaves_nothing_behind(api: Api, early: bytes) -> None:
    async with api.listen() as port:
        files = psutil.Process().num_fds()
        for _ in range(3):
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await stream.send_all(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
                await stream.receive_some(65536)
                if early:
                    await stream.send_all(early)
                    await trio.sleep(1)
        await trio.sleep(4 * HEARTBEAT_S)
        assert psutil.Process().num_fds() <= files


async def test_a_shutdown_ends_the_streams(api: Api) -> None:
    async with api.listen() as port, api.follow(port, "/api/events") as stream:
        await stream.frame()
        began = trio.current_time()
        api.closing.set()
        with pytest.raises(EOFError):
            await stream.frame()
        assert trio.current_time() - began < 1
    assert readers(api) == 0


async def test_what_is_in_flight_is_in_the_snapshot(api: Api) -> None:
    item = await api.session(initialPrompt="bash:600")
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    await trio.sleep(1)
    async with api.listen() as port:
        for path in (f"/api/sessions/{item['id']}/events", "/api/events"):
            async with api.follow(port, path) as stream:
                shown = (await stream.frame()).data["sessions"]
                assert [(session["sessionId"], session["status"]) for session in shown] == [(item["id"], "active")]
                assert "tool" in [part["type"] for part in shown[0]["parts"]]


async def test_a_reader_that_falls_behind_gets_a_snapshot_and_every_event(api: Api) -> None:
    item = await api.session()
    head = api.fleet.log.head()
    async with api.listen() as port, api.follow(port, f"/api/sessions/{item['id']}/events") as stream:
        await stream.frame()
        await api.prompt(item["id"], "one")
        for n in range(SIGNAL_BUFFER_MAX + 100):
            api.fleet.inflight.delta(item["id"], PartDelta(item["opencodeId"], "msg_x", "prt_x", "text", str(n)))
        await api.prompt(item["id"], "two")
        frames = [await stream.frame()]
        while sum(frame.event == "session.turn-ended" for frame in frames) < 2:
            frames.append(await stream.frame())
    assert "snapshot" in [frame.event for frame in frames]
    log = [e.position for e in api.fleet.log.read_stream(f"session-{item['id']}") if e.position > head]
    assert positions(frames) == log[: len(positions(frames))]


@pytest.mark.trio(run=trio.run)
async def test_reader_that_does_not_read_is_disconnected(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel does that, in real time; without it even a shutdown would wait for the reader."""
    monkeypatch.setattr("fleet.gateway.app.STREAM_WRITE_TIMEOUT_S", 0.5)
    async with api.listen() as port, await trio.open_tcp_stream("127.0.0.1", port) as connection:
        await connection.send_all(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await connection.receive_some(100)
        with trio.fail_after(60):
            came = False
            while readers(api) or not came:
                came = came or bool(readers(api))
                delta = PartDelta("ses_x", "msg_x", "prt_x", "text", "x" * 1_000_000)
                api.fleet.inflight.delta("a session", delta)
                await trio.sleep(0.02)
            await connection.send_all(b"x")
            await trio.sleep(0.2)
            with pytest.raises(trio.BrokenResourceError):  # what comes to one that is no more is answered with a reset
                await connection.send_all(b"x")


async def test_notifications_have_a_stream_of_their_own(api: Api) -> None:
    item = await api.session()
    async with api.listen() as port:
        async with api.follow(port, "/api/notifications/stream") as stream:
            for text in ("one", "fail"):
                await api.prompt(item["id"], text)
            frames = [await stream.frame(), await stream.frame()]
        async with api.follow(port, f"/api/notifications/stream?after={frames[0].id}") as stream:
            again = await stream.frame()
    listed = (await api.send("GET", "/api/notifications")).json
    assert [frame.data for frame in reversed(frames)] == listed
    assert [frame.event for frame in frames] == ["notification", "notification"]
    assert (again.id, again.data) == (frames[1].id, frames[1].data)


async def test_many_streams_take_turns_in_order_and_others_run_in_between() -> None:
    streams = Streams()
    came: list[int] = []
    passes = 0

    async def come(number: int) -> None:
        with streams.opened() as place:
            place.wake()
            assert await place.turn()
            came.append(number)

    async with trio.open_nursery() as running, trio.open_nursery() as waiting:
        for number in range(10 * STREAM_WRITERS_MAX):
            waiting.start_soon(come, number)
            await trio.testing.wait_all_tasks_blocked()
        running.start_soon(streams.run)
        while len(came) < 10 * STREAM_WRITERS_MAX:
            before = len(came)
            await trio.lowlevel.checkpoint()
            assert len(came) - before <= 2 * STREAM_WRITERS_MAX
            passes += 1
        running.cancel_scope.cancel()
    assert [number // STREAM_WRITERS_MAX for number in came] == sorted(number // STREAM_WRITERS_MAX for number in came)
    assert passes >= 10


async def test_streams_that_wait_together_write_what_came_meanwhile(
    mock_clock: trio.testing.MockClock,
) -> None:
    streams, came_s, many = Streams(), list[float](), 10 * STREAM_WRITERS_MAX

    async def follow() -> None:
        with streams.opened() as place:
            place.wake()
            while await place.turn():
                came_s.append(trio.current_time())
                place.wake()
                place.wake()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(streams.run)
        for _ in range(many):
            nursery.start_soon(follow)
        await trio.testing.wait_all_tasks_blocked()
        assert len(came_s) == many
        mock_clock.jump(0.99 * many * STREAM_WRITE_S)
        await trio.testing.wait_all_tasks_blocked()
        assert len(came_s) == many
        mock_clock.jump(0.02 * many * STREAM_WRITE_S)
        await trio.testing.wait_all_tasks_blocked()
        assert len(came_s) == 2 * many
        nursery.cancel_scope.cancel()


async def test_a_heartbeat_takes_no_turn_from_a_stream_that_asks_for_one(mock_clock: trio.testing.MockClock) -> None:
    streams, in_time = Streams(), list[bool]()

    async def follow() -> None:
        with streams.opened() as place:
            for ask in (False, True, True):
                if ask:
                    place.wake()
                in_time.append(await place.turn())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(streams.run)
        nursery.start_soon(follow)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(HEARTBEAT_S)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert in_time == [False, True, True]
