"""The client against answers that are no good ones; what good ones look like is in the contract suite."""

import json
from collections.abc import AsyncGenerator

import httpx
import pytest
import trio
from trio.abc import Clock
from trio.testing import MockClock

from fleet.adapters.opencode.client import OpenCodeClient
from fleet.errors import Problem, Unavailable
from fleet.ports import Endpoint


class Web:
    """An OpenCode that answers as a test says."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, httpx.Response] = {}
        self.delay_s = 0.0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.path}")
        await trio.sleep(self.delay_s)
        return self.answers.get(request.url.path, httpx.Response(200, html="<html>"))


@pytest.fixture
def web() -> Web:
    return Web()


async def opened(web: Web, version: str = "1.18.33") -> AsyncGenerator[OpenCodeClient]:
    http = httpx.AsyncClient(base_url="http://127.0.0.1:9", transport=httpx.MockTransport(web))
    yield OpenCodeClient(Endpoint(9, version), http, "Basic x")
    await http.aclose()


@pytest.fixture
async def client(web: Web) -> AsyncGenerator[OpenCodeClient]:
    async for client in opened(web):
        yield client


@pytest.fixture
async def old_client(web: Web) -> AsyncGenerator[OpenCodeClient]:
    async for client in opened(web, "1.15.13"):
        yield client


async def test_a_web_page_is_no_answer(client: OpenCodeClient) -> None:
    with pytest.raises(Problem, match=r"does not know GET /global/health") as refused:
        await client.health()
    assert refused.value.code == "opencode_refused"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(401), "does not take this instance's password"),
        (httpx.Response(500, json={"name": "UnknownError", "data": {"message": "oh no"}}), "500: oh no"),
        (httpx.Response(200, json=[]), "cannot read"),
    ],
)
async def test_refusals_are_told(web: Web, client: OpenCodeClient, answer: httpx.Response, said: str) -> None:
    web.answers["/global/health"] = answer
    with pytest.raises(Problem, match=said) as refused:
        await client.health()
    assert refused.value.code == "opencode_refused"


@pytest.fixture
def clock() -> Clock:
    return MockClock(autojump_threshold=0)


async def test_silence_has_an_end(clock: Clock, web: Web, client: OpenCodeClient) -> None:
    web.delay_s = 3600
    with pytest.raises(Unavailable, match="did not answer GET /global/health") as refused:
        await client.health()
    assert refused.value.code == "opencode_unreachable"
    assert trio.current_time() < 60


async def test_versions_that_take_no_id_give_their_own(web: Web, old_client: OpenCodeClient) -> None:
    web.answers["/session"] = httpx.Response(200, json={"id": "ses_theirs", "directory": "/d", "title": "t"})
    created = await old_client.create_session("ses_ours", "/d", "t")
    assert created.id == "ses_theirs"
    assert web.asked == ["POST /session"]


async def test_requests_to_other_versions_are_known_by_their_json(web: Web, client: OpenCodeClient) -> None:
    web.answers["/permission"] = httpx.Response(200, content=json.dumps([{"id": "per", "sessionID": "ses"}]))
    web.answers["/question"] = httpx.Response(200, json=[])
    assert [request.id for request in await client.open_requests("/d")] == ["per"]
