"""Which encoding a response gets by `Accept-Encoding`, and which JSON is compressed on its way to other machines."""

from typing import Any, cast

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from fleet.gateway.live.dispatch import carry_out
from fleet.gateway.server import encoding
from fleet.gateway.server.encoding import best_encoding, gzipped
from fleet.wire import sockets as wire
from tests.gateway.builds import unzipped
from tests.gateway.machine import PLAIN, Api

ELSEWHERE = ("192.0.2.7", 50_000)
REAL_TIME = pytest.mark.trio(run=trio.run)  # gzip works in a thread, which virtual time does not wait for

names = st.sampled_from(["br", "gzip", "identity", "*", "zstd"])
weights = st.sampled_from(["", ";q=0", ";q=0.0", ";q=0.3", ";q=1", "; q=0.8"])
offers = st.sets(st.sampled_from(["br", "gzip"])).map(lambda some: some | {"identity"})


@given(st.dictionaries(names, weights), offers)
def test_an_encoding_that_the_client_refuses_is_not_chosen(accepted: dict[str, str], offered: set[str]) -> None:
    chosen = best_encoding(", ".join(name + weight for name, weight in accepted.items()), offered)
    assert chosen in offered
    weight = accepted.get(chosen, accepted.get("*"))
    if chosen != "identity":
        assert weight is not None
        assert weight not in (";q=0", ";q=0.0")


@given(st.text(alphabet="brgzip*q=;,. 01x-\t"))
def test_any_text_leads_to_an_encoding_that_is_there(accepted: str) -> None:
    assert best_encoding(accepted, ("gzip", "identity")) in ("gzip", "identity")


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("", "identity"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("br , gzip", "br"),
        ("gzip;q=1.0, br;q=0.999", "gzip"),
        ("gzip;q=2", "identity"),
        ("gzip;level=9", "identity"),
        ("gzip;q=0.001", "gzip"),
        ("*;q=0", "identity"),
        ("identity;q=0.5, *;q=0.2", "identity"),
    ],
)
def test_preferred_encoding_is_chosen(accepted: str, chosen: str) -> None:
    assert best_encoding(accepted, ("br", "gzip", "identity")) == chosen


async def ask(api: Api, path: str, accepted: str = "gzip, br", client: tuple[str, int] = ELSEWHERE) -> Any:
    send = cast("Any", api.app.test_client().open)  # as in machine.py
    headers = {"Accept-Encoding": accepted, "Host": "localhost"}
    return await send(path, method="GET", headers=headers, scope_base={"client": client})


@REAL_TIME
async def test_large_json_is_compressed_for_other_machines(api: Api) -> None:
    plain = await ask(api, "/api/openapi.json", "identity")
    packed = await ask(api, "/api/openapi.json")
    body = await packed.get_data(as_text=False)
    assert (packed.status_code, packed.headers["Content-Encoding"]) == (200, "gzip")
    assert int(packed.headers["Content-Length"]) == len(body) < 0.2 * int(plain.headers["Content-Length"])
    assert unzipped(body) == await plain.get_data(as_text=False)
    assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"
    assert "Content-Encoding" not in plain.headers


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.0.1", "::1"])
async def test_json_is_not_compressed_on_loopback(api: Api, address: str) -> None:
    answer = await ask(api, "/api/openapi.json", client=(address, 50_000))
    assert {"Content-Encoding", "Vary"} & set(answer.headers.keys()) == set()


async def test_small_responses_and_other_types_are_not_compressed(api: Api) -> None:
    for path in ("/api/healthz", "/api/nothing", "/api/docs", "/api/metrics"):
        answer = await ask(api, path)
        assert "Content-Encoding" not in answer.headers, path


async def test_replies_over_a_websocket_are_not_compressed(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Browsers say at the handshake what they accept; a frame holds JSON as it is."""
    monkeypatch.setattr(encoding, "GZIP_BYTES_MIN", 0)
    headers = [(b"host", b"localhost"), (b"accept-encoding", b"gzip, deflate, br")]
    handshake: dict[str, Any] = {
        "type": "websocket",
        "scheme": "ws",
        "client": ELSEWHERE,
        "headers": headers,
        "http_version": "1.1",
    }
    handshake |= {"root_path": "", "server": ("localhost", 3000), "asgi": {}}
    body = msgspec.Raw(b'{"directory": "%s"}' % PLAIN.encode())
    answer = await carry_out(api.app, handshake, wire.Command(id="a", method="POST", path="/api/sessions", body=body))
    assert msgspec.json.decode(answer.body)["session"]["id"]


@given(st.binary(max_size=10_000))
def test_gzip_loses_nothing_and_is_the_same_each_time(body: bytes) -> None:
    assert unzipped(gzipped(body)) == body
    assert gzipped(body) == gzipped(body)
