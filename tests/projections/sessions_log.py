"""Sessions as the log holds them, for tests of what is read: each call appends what happened."""

from typing import Any

import msgspec

from fleet.core.session.events import ConversationOpened, SessionCreated
from fleet.core.session.turn_events import PartRecorded, PromptAccepted, PromptDelivered, TurnEnded, TurnStarted
from fleet.core.session.values import SessionSettings
from fleet.events.catalog import make_registry
from fleet.events.envelope import Cause
from fleet.events.feed import Feed
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import MemoryDisk, MemoryLog

DAY_MS = 24 * 3600 * 1000


class SessionsLog:
    """A log in memory, and its feed."""

    def __init__(self, disk: MemoryDisk | None = None) -> None:
        self.disk = disk or MemoryDisk()
        self.log = MemoryLog(self.disk, make_registry(), FakeClock())
        self.feed = Feed(self.log)

    async def append(self, session_id: str, *events: Any) -> None:
        stream = f"session-{session_id}"
        await self.log.append(stream, self.log.stream_version(stream), events, Cause())

    async def create(self, session_id: str, title: str, at_ms: int = 1) -> None:
        created = SessionCreated(
            session_id=session_id,
            settings=SessionSettings(title=title, strategy="existing"),
            workspace_id="w",
            source_directory="/d",
            source_repository=None,
            directory="/d",
            opencode_id=f"ses_{session_id}",
            at_ms=at_ms,
        )
        await self.append(session_id, created, ConversationOpened(opencode_id=f"ses_{session_id}", at_ms=at_ms))

    async def prompt(self, session_id: str, prompt_id: str, text: str, number: int = 1) -> None:
        """The prompt is accepted, its turn runs, and it comes back from OpenCode."""
        await self.append(
            session_id,
            PromptAccepted(prompt_id=prompt_id, text=text, at_ms=2),
            TurnStarted(
                number=number,
                prompt_id=prompt_id,
                message_id=f"msg_{prompt_id}",
                part_ids=(f"prt_{prompt_id}",),
                at_ms=2,
            ),
            PromptDelivered(message_id=f"msg_{prompt_id}", at_ms=2),
        )
        await self.part(session_id, f"prt_{prompt_id}", text)

    async def part(self, session_id: str, part_id: str, text: str) -> None:
        await self.json(session_id, part_id, "text", {"type": "text", "text": text})

    async def tool(self, session_id: str, part_id: str, state: Any) -> None:
        await self.json(session_id, part_id, "tool", {"type": "tool", "tool": "bash", "state": state})

    async def json(self, session_id: str, part_id: str, kind: str, body: Any) -> None:
        raw = msgspec.Raw(msgspec.json.encode(body))
        await self.append(session_id, PartRecorded(part_id=part_id, message_id="msg_1", type=kind, at_ms=3, body=raw))

    async def end_turn(self, session_id: str) -> None:
        await self.append(session_id, TurnEnded(number=1, outcome="finished", evidence="", at_ms=4))
