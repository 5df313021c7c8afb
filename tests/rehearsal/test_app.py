"""The server as a client sees it: through a real Hypercorn on a port of the kernel's choice."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import trio

from fleet.rehearsal.app import FailureCounts, rehearsal_app, serve_rehearsal
from fleet.rehearsal.config import opencode_config
from fleet.rehearsal.reply import ReplyFailure
from fleet.rehearsal.script import fenced
from tests.rehearsal.requests import body, chat


@pytest.fixture
async def http(nursery: trio.Nursery) -> AsyncIterator[httpx.AsyncClient]:
    url = await nursery.start(serve_rehearsal)
    async with httpx.AsyncClient(base_url=url, timeout=60.0) as client:
        yield client


async def complete(http: httpx.AsyncClient, script: str, **more: Any) -> httpx.Response:
    return await http.post("/chat/completions", json=body(fenced(script), **more))


def events(response: httpx.Response) -> list[Any]:
    assert response.headers["content-type"].startswith("text/event-stream")
    datas = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert datas[-1] == "[DONE]"
    return [json.loads(data) for data in datas[:-1]]


async def test_a_stream_has_openais_shape(http: httpx.AsyncClient) -> None:
    response = await complete(
        http,
        'think "hm"\nsay "a b"\nbash "x"\nread y\nusage input 10 output 5 reasoning 1 cached 4',
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = events(response)
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert deltas[1:4] == [{"reasoning_content": "hm"}, {"content": "a"}, {"content": " b"}]
    calls = [call for delta in deltas for call in delta.get("tool_calls", [])]
    assert [(call["index"], call["type"], call["function"]["name"]) for call in calls] == [
        (0, "function", "bash"),
        (1, "function", "read"),
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]] == [None] * 6 + ["tool_calls"]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }


async def test_usage_is_streamed_only_when_asked_for(http: httpx.AsyncClient) -> None:
    assert all("usage" not in chunk for chunk in events(await complete(http, 'say "a"', stream=True)))


async def test_without_streaming_it_is_one_object(http: httpx.AsyncClient) -> None:
    answer = (await complete(http, 'think "hm"\nsay "a b" at 100/s\nbash "x"')).json()
    message = answer["choices"][0]["message"]
    assert answer["object"] == "chat.completion"
    assert (message["content"], message["reasoning_content"]) == ("a b", "hm")
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"command": "x", "timeout": 3_600_000}
    assert answer["choices"][0]["finish_reason"] == "tool_calls"


async def test_the_same_request_has_the_same_bytes(http: httpx.AsyncClient) -> None:
    for stream in (True, False):
        first, second = [await complete(http, 'say 50 tokens\nbash "x"', stream=stream) for _ in range(2)]
        assert first.content == second.content


async def test_a_cut_stream_ends_without_a_finish_reason(http: httpx.AsyncClient) -> None:
    response = await complete(http, 'say "half"\ncut', stream=True)
    assert response.status_code == 200
    assert '"half"' in response.text
    assert "[DONE]" not in response.text
    assert "stop" not in response.text


async def test_scripted_errors_are_counted_for_each_caller_and_start_again_after_a_success(
    http: httpx.AsyncClient,
) -> None:
    asked = body(fenced('error 429 times 1 retry-after 3 "slow"\nsay "ok"'))
    statuses = {
        session: [
            (await http.post("/chat/completions", json=asked, headers={"x-session-id": session})).status_code
            for _ in range(4)
        ]
        for session in ("a", "b")
    }
    assert statuses == {"a": [429, 200, 429, 200], "b": [429, 200, 429, 200]}
    refused = await http.post("/chat/completions", json=asked)
    assert refused.headers["retry-after"] == "3"
    assert refused.json()["error"] == {"message": "slow", "type": "rate_limit_error", "param": None, "code": None}


def test_the_count_of_failures_is_bounded() -> None:
    counts = FailureCounts(calls_max=2)
    request = chat(fenced('error 429 times 1\nsay "ok"'))
    for caller in ("a", "b", "c"):
        assert isinstance(counts.reply_to(request, caller), ReplyFailure)
    assert not isinstance(counts.reply_to(request, "c"), ReplyFailure)
    assert isinstance(counts.reply_to(request, "a"), ReplyFailure)


async def test_a_rate_paces_the_stream(http: httpx.AsyncClient) -> None:
    began = trio.current_time()
    asked = body(fenced("say 10 tokens at 50/s"), stream=True)
    async with http.stream("POST", "/chat/completions", json=asked) as response:
        pieces = [piece async for piece in response.aiter_bytes()]
    assert trio.current_time() - began >= 0.2
    assert len(pieces) > 3


async def test_a_client_that_leaves_ends_its_stream(http: httpx.AsyncClient) -> None:
    before = trio.lowlevel.current_statistics().tasks_living
    content = json.dumps(body(fenced('say "begun"\nstall 60m'), stream=True)).encode()
    client = await trio.open_tcp_stream("127.0.0.1", http.base_url.port or 0)
    async with client:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n"
        await client.send_all(head.encode() + content)
        received = b""
        while b"begun" not in received:
            piece = await client.receive_some()
            assert piece, received
            received += piece
        assert trio.lowlevel.current_statistics().tasks_living > before
    with trio.fail_after(60):
        while trio.lowlevel.current_statistics().tasks_living > before:  # noqa: ASYNC110 - the server sends no notification
            await trio.sleep(0.01)


async def test_bad_requests_are_refused_in_openais_shape(http: httpx.AsyncClient) -> None:
    for answer, status in (
        (await http.post("/chat/completions", content=b"{"), 400),
        (await http.get("/chat/completions"), 405),
        (await http.get("/nowhere"), 404),
    ):
        assert answer.status_code == status
        assert answer.json()["error"]["message"]


async def test_a_body_beyond_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.rehearsal.app.REHEARSAL_BODY_BYTES_MAX", 100)
    answer = await rehearsal_app().test_client().post("/v1/chat/completions", data=b" " * 101)
    assert answer.status_code == 413
    assert "Too Large" in (await answer.get_json())["error"]["message"]


async def test_models_and_health(http: httpx.AsyncClient) -> None:
    assert [model["id"] for model in (await http.get("/models")).json()["data"]] == ["rehearsal"]
    assert (await http.get(str(http.base_url.join("/health")))).json() == {"healthy": True}


async def test_a_taken_port_is_an_error(http: httpx.AsyncClient) -> None:
    with pytest.raises(OSError, match="in use"):
        await serve_rehearsal(port=http.base_url.port or 0)


def test_opencode_is_offered_the_model_at_that_url() -> None:
    config = opencode_config("http://127.0.0.1:5/v1")
    provider, _, model = config["model"].partition("/")
    assert config["small_model"] == config["model"]
    assert config["provider"][provider]["options"]["baseURL"] == "http://127.0.0.1:5/v1"
    assert config["provider"][provider]["models"][model]["cost"]["input"] > 0
