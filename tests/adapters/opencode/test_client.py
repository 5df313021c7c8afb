"""The client against answers that are no good ones; what good ones look like is in the contract suite."""

import json
from collections.abc import AsyncGenerator

import pytest
import trio
from trio.abc import Clock
from trio.testing import MockClock

from fleet.adapters.opencode.client import OpenCodeClient, open_client
from fleet.errors import Problem, Unavailable
from fleet.limits import REPLAYED_MAX
from fleet.ports import Endpoint, OpenCodeSession, RecordedMessage
from tests.adapters.opencode.server import Server, whole

PAGE = whole("200 OK", b"<html>", "text/html; charset=utf-8")


class Web(Server):
    """An OpenCode that answers each path as a test says, and others with its web page; None for no response."""

    def __init__(self, listener: trio.SocketListener) -> None:
        super().__init__(listener)
        self.asked: list[str] = []
        self.found: dict[str, bytes | None] = {}

    async def _serve(self, stream: trio.SocketStream) -> None:
        while request := await stream.receive_some(10_000):
            method, target, _ = request.decode().split(" ", 2)
            self.asked.append(f"{method} {target}")
            answer = self.found.get(target.partition("?")[0], PAGE)
            if answer is None:
                await trio.sleep_forever()
            else:
                await stream.send_all(answer)


@pytest.fixture
async def web(nursery: trio.Nursery) -> Web:
    return await Web.start(nursery)


@pytest.fixture
async def client(web: Web) -> AsyncGenerator[OpenCodeClient]:
    async with open_client(Endpoint(web.port, "1.18.33"), "secret") as client:
        yield client


async def test_web_page_is_not_a_response(client: OpenCodeClient) -> None:
    with pytest.raises(Problem, match=r"does not know GET /global/health") as refused:
        await client.health()
    assert refused.value.code == "opencode_refused"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (whole("401 Unauthorized"), "does not accept this instance's password"),
        (whole("500 Oh", b'{"name": "UnknownError", "data": {"message": "oh no"}}'), "500: oh no"),
        (whole("200 OK", b"[]"), "cannot read"),
    ],
)
async def test_refusals_are_reported(web: Web, client: OpenCodeClient, answer: bytes, said: str) -> None:
    web.found["/global/health"] = answer
    with pytest.raises(Problem, match=said) as refused:
        await client.health()
    assert refused.value.code == "opencode_refused"


async def test_size_of_a_response_is_limited(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.adapters.opencode.http.OPENCODE_RESPONSE_BYTES_MAX", 100)
    web.found["/session/ses/message"] = whole("200 OK", b"[" + b" " * 200 + b"]")
    async with open_client(Endpoint(web.port, "1.18.33"), "secret") as client:
        with pytest.raises(Problem, match="GET /session/ses/message exceeds the limit of") as refused:
            await client.read_messages("ses")
    assert refused.value.code == "opencode_refused"


@pytest.fixture
def clock() -> Clock:
    return MockClock(autojump_threshold=0.1)


async def test_request_without_a_response_times_out(clock: Clock, web: Web, client: OpenCodeClient) -> None:
    web.found["/global/health"] = None
    with pytest.raises(Unavailable, match=r"did not respond to GET /global/health: it has sent no response") as refused:
        await client.health()
    assert refused.value.code == "opencode_unreachable"
    assert trio.current_time() < 60


async def test_ended_process_is_reported(unused_port: int) -> None:
    async with open_client(Endpoint(unused_port, "1.18.33"), "secret") as client:
        said = f"port {unused_port} did not respond to GET /global/health: it accepts no connections"
        with pytest.raises(Unavailable, match=said) as gone:
            await client.health()
    assert gone.value.code == "opencode_unreachable"


@pytest.mark.parametrize("broken", [b"", b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
async def test_interrupted_response_is_reported_without_library_messages(nursery: trio.Nursery, broken: bytes) -> None:
    server = await Server.start(nursery)
    server.say(broken, forever=False)
    async with open_client(Endpoint(server.port, "1.18.33"), "secret") as client:
        with pytest.raises(Unavailable, match=r"GET /global/health: it closed the connection [a-z ]+\. "):
            await client.health()


@pytest.fixture
async def unused_port() -> int:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port: int = listener.socket.getsockname()[1]
    await listener.aclose()
    return port


SESSION = OpenCodeSession("ses", "/d", "t")


@pytest.mark.parametrize(
    ("version", "messages", "answer", "asked"),
    [
        ("1.18.33", 1, whole("500 Oh", b'{"name": "UnknownError", "data": {"message": "oh no"}}'), 1),
        ("1.18.33", 1, PAGE, 1),
        ("1.18.32", 1, whole("200 OK", b"{}"), 0),
        ("1.18.33", REPLAYED_MAX + 1, whole("200 OK", b"{}"), 0),
    ],
)
async def test_messages_are_not_added_where_opencode_refuses_cannot_or_would_take_longer_than_an_import(
    web: Web, version: str, messages: int, answer: bytes, asked: int
) -> None:
    web.found["/sync/replay"] = answer
    said = RecordedMessage(b'{"id": "msg_0123456789abc", "time": {"created": 1}}')
    async with open_client(Endpoint(web.port, version), "secret") as client:
        assert not await client.add_messages((said,) * messages, SESSION)
    assert len(web.asked) == asked


async def test_versions_that_accept_no_id_return_their_own(web: Web) -> None:
    web.found["/session"] = whole("200 OK", b'{"id": "ses_theirs", "directory": "/d", "title": "t"}')
    async with open_client(Endpoint(web.port, "1.15.13"), "secret") as old_client:
        assert await old_client.create_session("ses_ours", "/d") == "ses_theirs"
    assert web.asked == ["POST /session?directory=%2Fd"]


CREATED = whole("200 OK", b'{"data": {"id": "ses_ours"}}')


@pytest.mark.parametrize(("first", "posts"), [(CREATED, 1), (whole("500 Oh"), 2)])
async def test_session_that_was_created_ahead_is_not_created_again(
    web: Web, client: OpenCodeClient, first: bytes, posts: int
) -> None:
    web.found["/api/session"] = first
    await client.create_ahead("ses_ours", "/d")
    web.found["/api/session"] = CREATED
    assert await client.create_session("ses_ours", "/d") == "ses_ours"
    assert web.asked == ["POST /api/session"] * posts


async def test_session_that_was_created_long_ago_and_is_forgotten_is_created_again(
    web: Web, client: OpenCodeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.adapters.opencode.client.CREATED_AHEAD_KEPT", 1)
    web.found["/api/session"] = CREATED
    for session_id in ("ses_ours", "ses_other"):
        await client.create_ahead(session_id, "/d")
    assert await client.create_session("ses_ours", "/d") == "ses_ours"
    assert web.asked == ["POST /api/session"] * 3


async def test_requests_to_other_versions_are_known_by_their_json(web: Web, client: OpenCodeClient) -> None:
    web.found["/permission"] = whole("200 OK", json.dumps([{"id": "per", "sessionID": "ses"}]).encode())
    web.found["/question"] = whole("200 OK", b"[]")
    assert [request.id for request in await client.open_requests("/d")] == ["per"]


async def test_names_arrive_as_they_are(web: Web, client: OpenCodeClient) -> None:
    web.found["/find/file"] = whole("200 OK", b"[]")
    web.found["/session/s%20%3F%0D%0A"] = whole("404 Not Found")
    assert await client.find_files("/a b/ü&c", "x y", 5) == ()
    assert await client.read_session("s ?\r\n") is None
    assert web.asked[0] == "GET /find/file?query=x+y&limit=5&directory=%2Fa+b%2F%C3%BC%26c"
