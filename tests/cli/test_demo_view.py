"""What `fleet demo` says of a session that does not do its work."""

import io

import httpx
import msgspec
import pytest
import trio
from rich.console import Console

from fleet.cli.demo_view import Stage

CREATED = {"stream": "session-1", "data": {"settings": {"title": "Greet"}}}
FAILED = {"stream": "session-1", "data": {"code": "turn_failed", "detail": "-"}}
STOPPED = {"stream": "session-1", "data": {"outcome": "interrupted"}}


def frame(kind: str, data: object) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"


@pytest.mark.parametrize(
    ("kind", "data", "item", "said"),
    [
        (
            "turn-failed",
            FAILED,
            {"failure": {"code": "turn_failed", "detail": "no model"}},
            "failed (turn_failed): no model",
        ),
        ("turn-ended", STOPPED, {"status": "idle", "evidence": "OpenCode was killed"}, "idle: OpenCode was killed"),
        ("turn-started", FAILED, {"status": "active", "evidence": "tries again \x1b"}, "active: tries again \\x1b"),
    ],
)
async def test_demo_says_why_a_session_fails_or_hangs(
    kind: str, data: object, item: dict[str, object], said: str
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/events":
            return httpx.Response(200, content=frame("session.created", CREATED) + frame(f"session.{kind}", data))
        return httpx.Response(200, json={"failure": None, **item})

    out = io.StringIO()
    stage = Stage(Console(file=out))
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://fleet") as http:
        async with trio.open_nursery() as nursery:
            await nursery.start(stage.follow, http)
        await stage.show_failures(http, ["a proxy"])
    assert not stage.succeeded
    assert f"Greet: {said}\nNote: a proxy\n" in out.getvalue()
