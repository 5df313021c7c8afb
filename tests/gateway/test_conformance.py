"""RFC 6455, octet by octet: what the server has to take, and how it fails a connection that breaks the protocol.

The groups and their numbers are those of the Autobahn test suite's server cases. It expects an echo; here a ping frame
of ours comes back as a reply, and anything else as an error. Its group 9 (throughput of echoes) is bench/streams.py,
its groups 12 and 13 (compression) come down to one case: compression is offered and not taken.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
import trio

from tests.gateway.machine import Api
from tests.gateway.raw_socket import BINARY, CLOSE, PING, PONG, TEXT, RawSocket, Received, frame, raw_socket, refusal

PROTOCOL_ERROR, INVALID_DATA = 1002, 1007


def ask(size: int = 0) -> bytes:
    """Return our ping, at least so long."""
    return b'{"type":"ping","id":"a"}'.ljust(size)


def answered(received: Received | None) -> bool:
    return received is not None and received.opcode == TEXT and b'"type":"reply"' in received.payload


async def works(socket: RawSocket) -> None:
    await socket.send(TEXT, ask())
    assert answered(await socket.receive())


async def failed(socket: RawSocket, code: int) -> None:
    """The server says why and closes."""
    received = await socket.receive()
    assert received is not None
    assert received.close_code == code
    assert await socket.receive() is None


# ------------------------------------------------------------------------------------------------- 1: framing


@pytest.mark.parametrize("size", [24, 125, 126, 127, 128, 65535, 65536, 65537, 200_000])
@pytest.mark.parametrize("chop", [0, 997])
async def test_text_of_every_length(api: Api, size: int, chop: int) -> None:
    async with api.listen() as port, raw_socket(port) as (socket, _):
        await socket.send(TEXT, ask(size), chop=chop)
        assert answered(await socket.receive())


@pytest.mark.parametrize("size", [0, 125, 126, 127, 128, 65535, 65536])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_content_of_every_length(api: Api, size: int, opcode: int) -> None:
    async with api.listen() as port, raw_socket(port) as (socket, _):
        await socket.send(opcode, b"*" * size)
        received = await socket.receive()
        assert received is not None
        assert b'"type":"error"' in received.payload
        await works(socket)


@pytest.mark.parametrize("chop", [1, 2, 3, 7])
async def test_octets_one_by_one(api: Api, chop: int) -> None:
    async with api.listen() as port, raw_socket(port) as (socket, _):
        await socket.send(TEXT, ask(130), chop=chop)
        assert answered(await socket.receive())


async def test_frames_before_the_answer_to_the_handshake(api: Api) -> None:
    """A client that does not wait for it is a broken one: it is refused, and nothing else suffers."""
    async with api.listen() as port:
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(
                b"GET /api/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x80abcd"
            )
            assert await stream.receive_some() == b""
        async with raw_socket(port) as (socket, _):
            await works(socket)


# ------------------------------------------------------------------------------------------------- 2: pings and pongs


@pytest.mark.parametrize("payload", [b"", b"Hello", bytes(range(256))[:125], b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"])
@pytest.mark.parametrize("chop", [0, 1])
async def test_a_ping_comes_back(api: Api, payload: bytes, chop: int) -> None:
    async with api.listen() as port, raw_socket(port) as (socket, _):
        await socket.send(PING, payload, chop=chop)
        assert await socket.receive() == (PONG, payload)


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
async def test_a_long_control_frame_breaks_the_protocol(api: Api, opcode: int) -> None:
    async with api.listen() as port, raw_socket(port) as (socket, _):
        await socket.send(opcode, b"\x03\xe8" + b"x" * 124)
        await failed(socket, PROTOCOL_ERROR)


async def test_unsolicited_pongs_are_ignored(api: Api) -> None:
    async with api.listen() as port, raw_socket(port) as (socket, _):
        await socket.send(PONG)
        await socket.send(PONG, b"unasked")
        await socket.send(PING, b"asked")
        assert await socket.receive() == (PONG, b"asked")


async def test_ten_pings(api: Api) -> None:
    async with api.listen() as port, raw_socket(port) as (socket, _):
        for number in range(10):
            await socket.send(PING, b"%d" % number)
        assert [await socket.receive() for _ in range(10)] == [(PONG, b"%d" % number) for number in range(10)]


# ------------------------------------------------------------------------------------------------- 3, 4: reserved


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
async def test_reserved_bits(api: Api, rsv: int, opcode: int) -> None:
    async with api.listen() as port, raw_socket(port) as (socket, _):
        await works(socket)
        await socket.send(opcode, b"", rsv=rsv)
        await socket.send(PING, b"too late")
        await failed(socket, PROTOCOL_ERROR)


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("payload", [b"", b"reserved"])
async def test_reserved_opcodes(api: Api, opcode: int, payload: bytes) -> None:
    async with api.listen() as port, raw_socket(port) as (socket, _):
        await works(socket)
        await socket.send(opcode, payload)
        await failed(socket, PROTOCOL_ERROR)


async def test_an_unmasked_frame(api: Api) -> None:
    async with api.listen() as port, raw_socket(port) as (socket, _):
        await socket.send(TEXT, ask(), masked=False)
        await failed(socket, PROTOCOL_ERROR)


# ------------------------------------------------------------------------------------------------- 5: fragmentation


async def fragments(socket: RawSocket, pieces: Sequence[bytes], between: bytes | None = None, chop: int = 0) -> None:
    for number, piece in enumerate(pieces):
        await socket.send(TEXT if number == 0 else 0, piece, fin=number == len(pieces) - 1, chop=chop)
        if between is not None and number < len(pieces) - 1:
            await socket.send(PING, between)


@pytest.mark.parametrize("count", [2, 3, 24])
@pytest.mark.parametrize("chop", [0, 1])
async def test_a_message_in_fragments(api: Api, count: int, chop: int) -> None:
    whole = ask(48)
    pieces = [whole[n * 48 // count : (n + 1) * 48 // count] for n in range(count)]
    async with api.listen() as port, raw_socket(port) as (socket, _):
        await fragments(socket, [*pieces, b""], chop=chop)
        assert answered(await socket.receive())


async def test_pings_between_fragments_are_answered_first(api: Api) -> None:
    async with api.listen() as port, raw_socket(port) as (socket, _):
        await fragments(socket, [ask()[:5], b"", ask()[5:]], between=b"now")
        assert [await socket.receive() for _ in range(2)] == [(PONG, b"now")] * 2
        assert answered(await socket.receive())


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
async def test_a_control_frame_in_fragments(api: Api, opcode: int) -> None:
    async with api.listen() as port, raw_socket(port) as (socket, _):
        await socket.send(opcode, b"frag", fin=False)
        await socket.send(0, b"ment")
        await failed(socket, PROTOCOL_ERROR)


@pytest.mark.parametrize("fin", [True, False])
async def test_a_continuation_of_nothing(api: Api, fin: bool) -> None:
    async with api.listen() as port, raw_socket(port) as (socket, _):
        await works(socket)
        await socket.send(0, b"more", fin=fin)
        await failed(socket, PROTOCOL_ERROR)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_a_new_message_within_one(api: Api, opcode: int) -> None:
    async with api.listen() as port, raw_socket(port) as (socket, _):
        await socket.send(TEXT, b"one", fin=False)
        await socket.send(opcode, b"two")
        await failed(socket, PROTOCOL_ERROR)


# ------------------------------------------------------------------------------------------------- 6: UTF-8

GOOD = ["κόσμε", "\x00", "\x7f", "\x80", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0010ffff"]
BAD = [
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    b"\x80",
    b"\xbf",
    b"\x80\xbf\x80",
    b"\xc0\xaf",
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    b"\xc1\xbf",
    b"\xe0\x9f\xbf",
    b"\xf0\x8f\xbf\xbf",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xed\xa0\x80\xed\xb0\x80",
    b"\xf4\x90\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xfc\x84\x80\x80\x80\x80",
    b"\xfe",
    b"\xff",
    b"\xc0",
    b"\xe0\x80",
    b"\xce",
    b"\xe1\xbd",
    b"\xf0\x90\x80",
]


@pytest.mark.parametrize("text", GOOD)
@pytest.mark.parametrize("octets", [0, 1])
async def test_good_utf_8(api: Api, text: str, octets: int) -> None:
    whole = b'{"type":"ping","id":%s}' % msgspec.json.encode(text)
    pieces = [whole[n : n + 1] for n in range(len(whole))] if octets else [whole]
    async with api.listen() as port, raw_socket(port) as (socket, _):
        await fragments(socket, pieces)
        received = await socket.receive()
        assert received is not None
        document: dict[str, Any] = msgspec.json.decode(received.payload)
        assert document["id"] == text


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("octets", [0, 1])
async def test_bad_utf_8(api: Api, bad: bytes, octets: int) -> None:
    pieces = [bad[n : n + 1] for n in range(len(bad))] if octets else [bad]
    async with api.listen() as port, raw_socket(port) as (socket, _):
        await works(socket)
        await fragments(socket, pieces)
        await failed(socket, INVALID_DATA)


async def test_bad_utf_8_fails_before_the_message_ends(api: Api) -> None:
    async with api.listen() as port, raw_socket(port) as (socket, _):
        await socket.send(TEXT, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xf4\x90\x80\x80", fin=False)
        await failed(socket, INVALID_DATA)


# ------------------------------------------------------------------------------------------------- 7: closing


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"\x03\xe8", 1000),
        (b"\x03\xe8bye", 1000),
        (b"\x03\xe8" + b"x" * 123, 1000),
        *((code.to_bytes(2, "big"), code) for code in (1001, 1002, 1003, 1007, 1009, 1011, 3000, 3999, 4999)),
    ],
)
async def test_a_close_is_answered_with_its_code(api: Api, payload: bytes, code: int) -> None:
    async with api.listen() as port, raw_socket(port) as (socket, _):
        await works(socket)
        await socket.send(CLOSE, payload)
        received = await socket.receive()
        assert received is not None
        assert received.close_code == code
        assert await socket.receive() is None
        await trio.sleep(2)
        assert api.fleet.inflight.readers() == 0


async def test_a_close_without_a_code(api: Api) -> None:
    async with api.listen() as port, raw_socket(port) as (socket, _):
        await socket.send(CLOSE)
        received = await socket.receive()
        assert received is not None
        assert received.opcode == CLOSE
        assert await socket.receive() is None


@pytest.mark.parametrize("code", [0, 3, 999, 1004, 1005, 1006, 1016, 2999, 5000])
async def test_a_close_with_a_code_that_is_none(api: Api, code: int) -> None:
    async with api.listen() as port, raw_socket(port) as (socket, _):
        await socket.send(CLOSE, code.to_bytes(1 if code == 3 else 2, "big"))
        received = await socket.receive()
        assert received is not None
        assert received.close_code == PROTOCOL_ERROR
        assert await socket.receive() is None


async def test_a_close_with_bad_utf_8(api: Api) -> None:
    async with api.listen() as port, raw_socket(port) as (socket, _):
        await socket.send(CLOSE, b"\x03\xe8\xce\xba\xe1\xbd\xb9\xcf\x83\xed\xa0\x80")
        await failed(socket, INVALID_DATA)


async def test_nothing_is_done_after_a_close(api: Api) -> None:
    async with api.listen() as port, raw_socket(port) as (socket, _):
        # In one write: the server may disconnect as soon as it has read the close.
        sent = frame(TEXT, ask()[:5], fin=False) + frame(CLOSE, b"\x03\xe8") + frame(0, ask()[5:]) + frame(PING)
        await socket.stream.send_all(sent)
        received = await socket.receive()
        assert received is not None
        assert received.close_code == 1000
        assert await socket.receive() is None


# ------------------------------------------------------------------------------------------------- the handshake, 12


async def test_compression_is_not_taken(api: Api) -> None:
    offer = ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")
    async with api.listen() as port, raw_socket(port, [offer]) as (socket, head):
        assert head.startswith("HTTP/1.1 101")
        assert "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head  # what the RFC's own example gives
        assert "extensions" not in head.lower()
        await works(socket)


@pytest.mark.parametrize(
    ("headers", "without", "status"),
    [
        ([("Upgrade", "WebSocket"), ("Connection", "keep-alive, Upgrade")], "", 101),
        ([("Sec-WebSocket-Version", "8")], "", 400),
        ([], "Sec-WebSocket-Version", 400),
        ([], "Sec-WebSocket-Key", 400),
        ([], "Upgrade", 426),
        ([], "Connection", 426),
    ],
)
async def test_response_to_a_handshake_has_the_right_status(
    api: Api, headers: list[tuple[str, str]], without: str, status: int
) -> None:
    async with api.listen() as port:
        assert (await refusal(port, headers, without))[0] == status
