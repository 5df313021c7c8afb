"""A reader of the fleet misses nothing when servers are killed, and ends with the right texts."""

import os
import signal
from pathlib import Path
from random import Random
from typing import Any

import httpx
import msgspec
import pytest
import trio

from fleet.rehearsal.script import fenced
from tests.e2e.drill.clients import request
from tests.e2e.drill.readers import READERS, read
from tests.e2e.drill.screen import Logged, Screen
from tests.e2e.server import Server, repository, until

pytestmark = pytest.mark.long

KILLS = int(os.environ.get("FLEET_DRILL_KILLS") or 3)
SESSIONS = 3
TURN = """say 60 tokens at 40/s
bash "echo one; sleep 0.3; echo two"
---
say "Turn {number} of {name}: "
say 30 tokens at 60/s
"""


class Stage:
    """A server that is killed and started, and where it is just now."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.url: str | None = None

    async def up(self) -> None:
        await trio.to_thread.run_sync(self.server.start)
        self.url = str(self.server.http.base_url).rstrip("/")

    async def down(self, number: int) -> None:
        self.url = None
        await trio.to_thread.run_sync(self.server.end, number)

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Ask until there is an answer; it must be a good one."""
        async with httpx.AsyncClient(timeout=120, trust_env=False, verify=False) as http:
            while True:
                try:
                    if self.url is not None:
                        answer = await http.send(request(method, f"{self.url}/api{path}", body, headers))
                        if answer.status_code not in (409, 503):
                            assert answer.is_success, answer.text
                            return answer.json() if answer.content else None
                except httpx.TransportError:
                    pass
                await trio.sleep(0.1)


async def work(stage: Stage, session_id: str, name: str, stopping: trio.Event) -> None:
    """Run one turn after the other until told to stop, and then the last one to its end."""
    number = 0
    while not stopping.is_set():
        number += 1
        text = fenced(TURN.format(number=number, name=name))
        key = {"Idempotency-Key": f"{name}-{number}"}
        await stage.call("POST", f"/sessions/{session_id}/prompt", {"text": text, "resume": True}, **key)
        while True:
            item = await stage.call("GET", f"/sessions/{session_id}")
            if item["status"] not in ("created", "active", "waiting_input") and not item["queued"]:
                break
            await trio.sleep(0.2)


async def test_every_reader_has_the_log_and_the_right_texts(stopped: Server) -> None:
    random = Random(20)
    stage = Stage(stopped)
    await stage.up()
    project = repository(Path(stopped.root) / "project")
    screens = [Screen(f"{kind} {number}") for kind in READERS for number in range(2)]
    sessions: list[str] = []
    async with trio.open_nursery() as reading:
        for screen in screens:
            reading.start_soon(read, screen.name.split()[0], screen, lambda: stage.url, Random(random.random()))
        for number in range(SESSIONS):
            body = {"directory": str(project), "isolationStrategy": "worktree", "title": str(number)}
            sessions.append((await stage.call("POST", "/sessions", body))["session"]["id"])
        stopping = trio.Event()
        async with trio.open_nursery() as working:
            for number, session_id in enumerate(sessions):
                working.start_soon(work, stage, session_id, str(number), stopping)
            for _ in range(KILLS):
                await trio.sleep(random.uniform(2, 5))
                await stage.down(signal.SIGKILL)
                await stage.up()
            await trio.sleep(2)
            stopping.set()
        head = len(await log(stage))
        with trio.fail_after(60):
            while any(screen.cursor < head for screen in screens):  # noqa: ASYNC110 - screens send no notification
                await trio.sleep(0.1)
        reading.cancel_scope.cancel()
    entries = await log(stage)
    for screen in screens:
        assert screen.events == entries[: len(screen.events)], screen.name
        assert len(screen.events) >= head
        assert screen.connections > KILLS
        assert screen.signals
    for session_id in sessions:
        expected = await texts(stage, session_id)
        assert len(expected) > 2
        for screen in screens:
            assert screen.texts(session_id) == expected, screen.name
    await stage.down(signal.SIGTERM)
    until(lambda: not stopped.marked(), "the end of every OpenCode")


async def log(stage: Stage) -> list[tuple[Any, ...]]:
    """Return the whole log, byte for byte."""
    entries: list[tuple[Any, ...]] = []
    async with httpx.AsyncClient(timeout=60, trust_env=False, verify=False) as http:
        while True:
            answer = await http.get(f"{stage.url}/api/log?after={len(entries)}&limit=200")
            page = msgspec.json.decode(answer.content, type=list[Logged])
            if not page:
                return entries
            entries += [entry.octets() for entry in page]


async def texts(stage: Stage, session_id: str) -> dict[str, str]:
    """Return the texts of the transcript, by part."""
    found: dict[str, str] = {}
    before = ""
    while True:
        page = await stage.call("GET", f"/sessions/{session_id}/messages?limit=200{before}")
        found |= {p["id"]: p["text"] for m in page["messages"] for p in m["parts"] if p["type"] == "text"}
        if page["pagination"]["before"] is None:
            return found
        before = f"&before={page['pagination']['before']}"
