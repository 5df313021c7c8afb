"""Requests against a server that writes what a test tells it to."""

from collections.abc import Generator

import pytest
import trio

from fleet.http1 import HttpConnection
from fleet.http_pool import FAULTS, HttpPool, OversizedResponseError
from tests.adapters.opencode.server import Serve, Server, chunk, whole

OK = (200, "application/json", b"{}")
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
async def server(nursery: trio.Nursery) -> Server:
    return await Server.start(nursery)


@pytest.fixture
def http(server: Server) -> Generator[HttpPool]:
    async def connect() -> HttpConnection:
        stream = await trio.open_tcp_stream("127.0.0.1", server.port)
        return HttpConnection(stream, (("Host", f"127.0.0.1:{server.port}"), ("Authorization", "Basic eDp5")))

    http = HttpPool(connect, kept_max=2, response_bytes_max=10_000)
    yield http
    http.close()


async def ask(http: HttpPool, method: str, target: str, body: bytes = b"") -> tuple[int, str | None, bytes]:
    """Send a request, and return status, media type and body of the response."""
    response = await http.ask(method, target, body)
    return response.status, response.field("content-type"), response.body


def answering(*answers: bytes) -> Serve:
    """Return what answers so many requests of one connection, and closes it then."""

    async def serve(stream: trio.SocketStream) -> None:
        for number, answer in enumerate(answers):
            if number and not await stream.receive_some(10_000):
                return
            await stream.send_all(answer)

    return serve


async def test_request_has_authorization_and_body(server: Server, http: HttpPool) -> None:
    server.answers.append(answering(whole("200 OK", b"{}")))
    assert await ask(http, "POST", "/session/s/prompt_async?directory=%2Fd", b'{"parts":[]}') == OK
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    first, *fields = head.split(b"\r\n")
    assert first == b"POST /session/s/prompt_async?directory=%2Fd HTTP/1.1"
    assert {field.lower() for field in fields} == {
        b"host: 127.0.0.1:%d" % server.port,
        b"authorization: basic edp5",
        b"content-type: application/json",
        b"content-length: 12",
    }
    assert body == b'{"parts":[]}'


async def test_a_connection_is_used_again(server: Server, http: HttpPool) -> None:
    server.answers.append(answering(*[whole("200 OK", b"{}")] * 3))
    assert [await ask(http, "GET", "/") for _ in range(3)] == [OK] * 3
    assert len(server.requests) == 1


async def test_a_connection_that_was_closed_meanwhile_is_not(server: Server, http: HttpPool) -> None:
    closed = trio.Event()

    async def once(stream: trio.SocketStream) -> None:
        await stream.send_all(whole("200 OK", b"{}"))
        await stream.aclose()
        closed.set()

    server.answers += [once, answering(whole("200 OK", b"{}"))]
    assert await ask(http, "GET", "/") == OK
    await closed.wait()
    assert await ask(http, "GET", "/") == OK
    assert len(server.requests) == 2


async def test_requests_at_a_time_have_a_connection_each(server: Server, http: HttpPool) -> None:
    both = trio.Event()

    async def slow(stream: trio.SocketStream) -> None:
        if len(server.requests) == 2:
            both.set()
        await both.wait()
        await stream.send_all(whole("200 OK", b"{}"))

    server.answers += [slow, slow]
    answers: list[tuple[int, str | None, bytes]] = []

    async def ask_once() -> None:
        answers.append(await ask(http, "GET", "/"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask_once)
        nursery.start_soon(ask_once)
    assert answers == [OK, OK]


async def test_response_split_anywhere_is_complete(server: Server, http: HttpPool) -> None:
    data = CHUNKED + chunk(b'{"a":') + chunk(b"1}") + chunk(b"")
    server.say(*(data[i : i + 7] for i in range(0, len(data), 7)))
    assert await ask(http, "GET", "/") == (200, "application/json", b'{"a":1}')


async def test_bytes_after_a_response_do_not_answer_the_next_request(server: Server, http: HttpPool) -> None:
    server.say(whole("200 OK", b"{}") + whole("500 Oh", b"{}"))
    server.answers.append(answering(whole("200 OK", b"{}")))
    assert [await ask(http, "GET", "/") for _ in range(2)] == [OK, OK]


async def test_response_may_end_with_the_connection(server: Server, http: HttpPool) -> None:
    server.say(b"HTTP/1.1 200 OK\r\n\r\n", b"{", b"}", forever=False)
    server.answers.append(answering(whole("200 OK", b"{}")))
    assert await ask(http, "GET", "/") == (200, None, b"{}")
    assert await ask(http, "GET", "/") == OK


@pytest.mark.parametrize(
    "cut",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{",
        CHUNKED + chunk(b"{"),
        b"SSH-2.0-OpenSSH_9\r\n",
    ],
)
async def test_partial_response_is_an_error(server: Server, http: HttpPool, cut: bytes) -> None:
    server.say(cut, forever=False)
    server.answers.append(answering(whole("200 OK", b"{}")))
    with pytest.raises(FAULTS):
        await ask(http, "GET", "/")
    assert await ask(http, "GET", "/") == OK


async def test_endless_response_is_cut_off(server: Server, http: HttpPool) -> None:
    server.say(CHUNKED, *[chunk(b" " * 1000)] * 20)
    with pytest.raises(OversizedResponseError):
        await ask(http, "GET", "/")


async def test_response_to_a_cancelled_request_does_not_answer_the_next(server: Server, http: HttpPool) -> None:
    server.say(forever=True)
    server.answers.append(answering(whole("200 OK", b"{}")))
    with trio.move_on_after(0.05):
        await ask(http, "GET", "/slow")
    assert await ask(http, "GET", "/") == OK
    assert len(server.requests) == 2


async def test_close_ends_running_requests(server: Server, http: HttpPool) -> None:
    asked = trio.Event()

    async def never(_: trio.SocketStream) -> None:
        asked.set()
        await trio.sleep_forever()

    server.answers.append(never)

    async def ask_once() -> None:
        with pytest.raises(FAULTS):
            await ask(http, "GET", "/")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask_once)
        await asked.wait()
        http.close()
    await ask_once()


async def test_few_connections_are_kept(server: Server, http: HttpPool) -> None:
    everybody, gone = trio.Event(), trio.Semaphore(0)

    async def serve(stream: trio.SocketStream) -> None:
        if len(server.requests) == 5:
            everybody.set()
        await everybody.wait()
        await stream.send_all(whole("200 OK", b"{}"))
        await stream.receive_some(1)
        gone.release()

    server.answers += [serve] * 5
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask, http, "GET", "/")
    for _ in range(3):
        await gone.acquire()
    await trio.sleep(0.02)
    assert gone.value == 0
