"""The event stream against a server that writes what a test tells it to."""

import json
from collections.abc import AsyncGenerator
from itertools import pairwise

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.abc import Clock
from trio.testing import MockClock

from fleet.adapters.opencode.events import OpenCodeEventStream, joined
from fleet.ports import Endpoint, PartDelta, StatusChanged, StreamLost, StreamOpened
from tests.adapters.opencode.server import Server, chunk

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def line(name: str, **properties: object) -> bytes:
    return b"data: " + json.dumps({"payload": {"type": name, "properties": properties}}).encode() + b"\n\n"


CONNECTED = line("server.connected")


def idle(session: str) -> bytes:
    return line("session.idle", sessionID=session)


def delta(text: str, part: str = "prt_1") -> bytes:
    return line("message.part.delta", sessionID="ses", messageID="msg", partID=part, field="text", delta=text)


@pytest.fixture
async def server(nursery: trio.Nursery) -> Server:
    return await Server.start(nursery)


@pytest.fixture
async def stream(server: Server) -> AsyncGenerator[OpenCodeEventStream]:
    stream = OpenCodeEventStream(Endpoint(server.port, ""), "Basic eDp5")
    yield stream
    stream.close()


async def test_events_split_anywhere_are_complete(server: Server, stream: OpenCodeEventStream) -> None:
    data = chunk(CONNECTED) + chunk(idle("ses_1") + idle("ses_2")[:20]) + chunk(idle("ses_2")[20:])
    server.say(HEAD[:10], HEAD[10:], *(data[i : i + 31] for i in range(0, len(data), 31)))
    events = [await anext(stream) for _ in range(3)]
    assert events == [StreamOpened(), StatusChanged("ses_1", None), StatusChanged("ses_2", None)]
    assert b"authorization: Basic eDp5" in server.requests[0] or b"Authorization: Basic eDp5" in server.requests[0]


async def test_waiting_tokens_become_one_delta(server: Server, stream: OpenCodeEventStream) -> None:
    server.say(
        HEAD + chunk(CONNECTED) + b"".join(chunk(delta(f"{n} ")) for n in range(500)) + chunk(delta("x", "prt_2"))
    )
    assert await anext(stream) == StreamOpened()
    assert await anext(stream) == PartDelta("ses", "msg", "prt_1", "text", "".join(f"{n} " for n in range(500)))
    assert await anext(stream) == PartDelta("ses", "msg", "prt_2", "text", "x")


async def test_break_is_reported_once_and_the_stream_reconnects(server: Server, stream: OpenCodeEventStream) -> None:
    server.say(HEAD, chunk(CONNECTED), forever=False)
    server.say(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", forever=False)
    server.say(HEAD, chunk(CONNECTED))
    events = [await anext(stream) for _ in range(3)]
    assert [type(event) for event in events] == [StreamOpened, StreamLost, StreamOpened]
    assert stream.statistics().connections == 2


async def test_response_that_is_not_a_stream_is_a_lost_stream(server: Server, stream: OpenCodeEventStream) -> None:
    server.say(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", forever=False)
    lost = await anext(stream)
    assert isinstance(lost, StreamLost)
    assert "401" in lost.reason


async def test_unknown_and_unreadable_events_are_counted(server: Server, stream: OpenCodeEventStream) -> None:
    noise = line("plugin.added") + line("sync", seq=1) + b"data: {no json\n\n" + line("session.idle") + b": comment\n\n"
    server.say(HEAD + chunk(CONNECTED + noise + idle("ses_1")))
    assert [await anext(stream) for _ in range(2)] == [StreamOpened(), StatusChanged("ses_1", None)]
    statistics = stream.statistics()
    assert statistics.unknown == {"server.connected": 1, "plugin.added": 1, "sync": 1}
    assert statistics.unreadable == 2


@pytest.fixture
def hasty_clock() -> Clock:
    return MockClock(rate=100)


async def test_silence_is_a_loss(hasty_clock: Clock, server: Server, stream: OpenCodeEventStream) -> None:
    server.say(HEAD + chunk(CONNECTED))
    assert await anext(stream) == StreamOpened()
    lost = await anext(stream)
    assert isinstance(lost, StreamLost)
    assert "nothing for 25 s" in lost.reason


async def test_a_cancelled_reader_loses_nothing(server: Server, stream: OpenCodeEventStream) -> None:
    data = chunk(CONNECTED) + b"".join(chunk(idle(f"ses_{n}")) for n in range(20))
    server.say(HEAD, *(data[i : i + 50] for i in range(0, len(data), 50)))
    events: list[object] = []
    while len(events) < 21:
        with trio.move_on_after(0.005):
            events.append(await anext(stream))
    assert events == [StreamOpened(), *(StatusChanged(f"ses_{n}", None) for n in range(20))]


deltas = st.builds(PartDelta, st.just("ses"), st.just("msg"), st.sampled_from("ab"), st.sampled_from("xy"), st.text())
events = st.lists(st.one_of(deltas, st.just(StatusChanged("ses", None))))


@given(events)
def test_joining_keeps_every_text_and_the_order(given_events: list[PartDelta | StatusChanged]) -> None:
    after = list(joined(given_events))
    for part in "ab":
        for field in "xy":
            named = [
                [e.delta for e in some if isinstance(e, PartDelta) and (e.part_id, e.field) == (part, field)]
                for some in (given_events, after)
            ]
            assert "".join(named[0]) == "".join(named[1])
    assert sum(isinstance(e, StatusChanged) for e in after) == sum(isinstance(e, StatusChanged) for e in given_events)
    for one, other in pairwise(after):
        if isinstance(one, PartDelta) and isinstance(other, PartDelta):
            assert (one.part_id, one.field) != (other.part_id, other.field)
