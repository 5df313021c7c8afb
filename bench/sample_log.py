"""Makes histories as Fleet writes them: what sessions, instances and workspaces go through, in the log's own events.

A session has 101 events: created and provisioned, four turns of three steps each with tools, completed with its
instance. A log of many sessions is written once, into `.cache/` beside this file, and made again when the events, the
states or this file change.
"""

import hashlib
import itertools
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
import trio

from fleet.adapters.clock import SystemClock
from fleet.core.instance.events import (
    InstanceReady,
    InstanceRequested,
    InstanceSpawned,
    InstanceStopped,
    InstanceStopRequested,
    SessionAttached,
    SessionDetached,
)
from fleet.core.session.events import (
    ConversationOpened,
    InstanceAttached,
    SessionCompleted,
    SessionCreated,
    WorkspaceAttached,
)
from fleet.core.session.turn_events import (
    MessageRecorded,
    PartRecorded,
    PromptAccepted,
    PromptDelivered,
    TurnEnded,
    TurnStarted,
)
from fleet.core.session.values import SessionSettings
from fleet.core.workspace.events import WorkspaceClaimed, WorkspaceReady, WorkspaceRequested
from fleet.events.catalog import NAMES, make_registry
from fleet.events.envelope import Cause
from fleet.events.lmdb_log import LmdbLog
from fleet.events.lmdb_store import FORMAT
from fleet.events.snapshots import fingerprint
from fleet.ids import OPENCODE_RANDOM_BITS, OpenCodePrefix, opencode_id, uuid7
from fleet.ports import Endpoint, PreparedWorkspace, ProcessIdentity, StopStep, Tokens, WorkspaceSpec
from fleet.projections.runner import Runner
from fleet.projections.store import LmdbViewStore
from fleet.projections.views import make_views

CACHE: Final = Path(__file__).parent / ".cache"
SESSIONS_PER_INSTANCE: Final = 10
_TURNS = 4
_STEPS = 3
_WRITERS = 12
_EPOCH_MS = 1_790_000_000_000
_REPOSITORY = "/srv/repositories/shop"
_TEXT = "I have read the module and its tests. The total is rounded per line, so I shall round it once at the end. "

Stream = tuple[str, list[Any]]


class Author:
    """Writes events; the same seed writes the same ones."""

    def __init__(self, seed: int = 1) -> None:
        self._random = Random(seed)
        self._counter = 0
        self.now_ms = _EPOCH_MS

    def tick(self) -> int:
        self.now_ms += 7
        return self.now_ms

    def uuid(self) -> str:
        return uuid7(self.now_ms, self._random.getrandbits(74))

    def opencode(self, prefix: OpenCodePrefix) -> str:
        self._counter = (self._counter + 1) % 4096
        return opencode_id(prefix, self.now_ms, self._counter, self._random.getrandbits(OPENCODE_RANDOM_BITS))

    # ----------------------------------------------------------------------------------------------------- streams

    def group(self, sessions: int) -> list[Stream]:
        """Return the streams of so many sessions that share an instance: its own, and two of each session."""
        instance_id = self.uuid()
        made = [self.task(instance_id) for _ in range(sessions)]
        users = [(made_id, directory) for made_id, directory, _ in made]
        streams = [stream for _, _, both in made for stream in both]
        return [(f"instance-{instance_id}", self._instance(instance_id, users)), *streams]

    def task(self, instance_id: str, turns: int = _TURNS, *, ended: bool = True) -> tuple[str, str, list[Stream]]:
        """Return a session's id, its directory, and the streams of the session and its workspace."""
        session_id, workspace_id, conversation = self.uuid(), self.uuid(), self.opencode("ses")
        directory = f"/srv/fleet/workspaces/{workspace_id}"
        branch = f"fleet/{workspace_id[:13]}"
        spec = WorkspaceSpec(workspace_id, "worktree", _REPOSITORY, directory, branch)
        prepared = PreparedWorkspace(
            directory, f"{_REPOSITORY}/.git", branch, "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
        )
        prepared_events = [
            WorkspaceRequested(spec=spec, at_ms=self.tick()),
            WorkspaceClaimed(session_id=session_id, at_ms=self.tick()),
            WorkspaceReady(prepared=prepared, at_ms=self.tick()),
        ]
        events: list[Any] = [
            SessionCreated(
                session_id=session_id,
                settings=SessionSettings(title="Round the total once", strategy="worktree", branch=branch),
                workspace_id=workspace_id,
                source_directory=_REPOSITORY,
                source_repository=f"{_REPOSITORY}/.git",
                directory=directory,
                opencode_id=conversation,
                at_ms=self.tick(),
            ),
            WorkspaceAttached(workspace_id=workspace_id, directory=directory, branch=branch, at_ms=self.tick()),
            InstanceAttached(instance_id=instance_id, at_ms=self.tick()),
            ConversationOpened(opencode_id=conversation, at_ms=self.tick()),
        ]
        for number in range(1, turns + 1):
            events += self._turn(number, conversation)
        if ended:
            events.append(
                SessionCompleted(
                    instance_id=instance_id, evidence="its instance was shut down while it was idle", at_ms=self.tick()
                )
            )
        return (
            session_id,
            directory,
            [(f"workspace-{workspace_id}", prepared_events), (f"session-{session_id}", events)],
        )

    def _instance(self, instance_id: str, users: list[tuple[str, str]]) -> list[Any]:
        return [
            InstanceRequested(
                instance_id=instance_id, key=f"{_REPOSITORY}/.git", directory=_REPOSITORY, at_ms=self.tick()
            ),
            *(SessionAttached(session_id=user, directory=directory, at_ms=self.tick()) for user, directory in users),
            InstanceSpawned(identity=ProcessIdentity(4711, 123456.0, "boot"), at_ms=self.tick()),
            InstanceReady(endpoint=Endpoint(4096, "1.18.33"), at_ms=self.tick()),
            InstanceStopRequested(reason="shutdown", at_ms=self.tick()),
            InstanceStopped(steps=(StopStep("term", (4711,)),), at_ms=self.tick()),
            *(SessionDetached(session_id=user, at_ms=self.tick()) for user, _ in users),
        ]

    def _turn(self, number: int, conversation: str) -> Iterator[Any]:
        prompt_id, message_id = self.uuid(), self.opencode("msg")
        part_id = self.opencode("prt")
        yield PromptAccepted(prompt_id=prompt_id, text=_TEXT, at_ms=self.tick())
        yield TurnStarted(
            number=number, prompt_id=prompt_id, message_id=message_id, part_ids=(part_id,), at_ms=self.tick()
        )
        yield PromptDelivered(message_id=message_id, at_ms=self.tick())
        yield self._message(message_id, conversation, "user", None)
        yield self._part(part_id, message_id, "text", {"text": _TEXT})
        for step in range(_STEPS):
            yield from self._step(conversation, last=step == _STEPS - 1)
        yield TurnEnded(
            number=number,
            outcome="finished",
            evidence="OpenCode is idle and its last message ended with stop",
            at_ms=self.tick(),
        )

    def _step(self, conversation: str, *, last: bool) -> Iterator[Any]:
        message_id = self.opencode("msg")
        yield self._message(message_id, conversation, "assistant", None)
        yield self._part(self.opencode("prt"), message_id, "step-start", {})
        if last:
            yield self._part(self.opencode("prt"), message_id, "text", {"text": _TEXT * 3})
        else:
            state = {
                "status": "completed",
                "input": {"filePath": "src/total.py"},
                "output": _TEXT * 5,
                "title": "total",
            }
            yield self._part(self.opencode("prt"), message_id, "tool", {"tool": "read", "state": state})
        yield self._part(self.opencode("prt"), message_id, "step-finish", {"reason": "stop", "cost": 0.0021})
        yield self._message(message_id, conversation, "assistant", "stop" if last else "tool-calls")

    def _message(self, message_id: str, conversation: str, role: str, finish: str | None) -> MessageRecorded:
        at_ms = self.tick()
        content: dict[str, Any] = {
            "id": message_id,
            "sessionID": conversation,
            "role": role,
            "time": {"created": at_ms},
        }
        if role == "assistant":
            content |= {"modelID": "rehearsal", "providerID": "fleet", "mode": "build", "finish": finish}
        body = msgspec.Raw(msgspec.json.encode(content))
        if finish is None:
            return MessageRecorded(message_id=message_id, opencode_id=conversation, role=role, at_ms=at_ms, body=body)
        return MessageRecorded(
            message_id=message_id,
            opencode_id=conversation,
            role=role,
            at_ms=at_ms,
            body=body,
            cost_usd=0.0021,
            tokens=Tokens(1200, 90, 0, 800, 0),
        )

    def _part(self, part_id: str, message_id: str, kind: str, fields: dict[str, Any]) -> PartRecorded:
        content = {"id": part_id, "messageID": message_id, "type": kind, **fields}
        return PartRecorded(
            part_id=part_id,
            message_id=message_id,
            type=kind,
            at_ms=self.tick(),
            body=msgspec.Raw(msgspec.json.encode(content)),
        )


def written(sessions: int) -> Path:
    """Return the data directory of a Fleet with so many sessions; written now where the cache lacks it."""
    directory = CACHE / f"{sessions}-{_generation()}"
    if not directory.exists():
        for old in CACHE.glob(f"{sessions}-*"):
            shutil.rmtree(old)
        print(f"  (writing a log of {sessions:,} sessions once, into bench/.cache)", flush=True)
        unfinished = CACHE / f"{sessions}-unfinished"
        trio.run(write, unfinished, sessions)
        unfinished.rename(directory)
    return directory


def _generation() -> str:
    shape = [fingerprint(v.name, v.state_type, v.decider.revision) for v in make_views()]
    structures = [msgspec.json.schema(event) for event in NAMES.values()]
    key = msgspec.json.encode((FORMAT, shape, structures, Path(__file__).read_text("utf-8")), order="deterministic")
    return hashlib.sha256(key).hexdigest()[:12]


async def write(directory: Path, sessions: int) -> None:
    """Write the log, and the views' rows as an orderly shutdown leaves them."""
    author = Author()
    groups = [SESSIONS_PER_INSTANCE] * (sessions // SESSIONS_PER_INSTANCE) + [sessions % SESSIONS_PER_INSTANCE]
    streams = itertools.chain.from_iterable(author.group(size) for size in groups if size)
    with (
        LmdbLog.open(directory, make_registry(), SystemClock()) as log,
        closing(LmdbViewStore(directory / "views", log.sealer)) as store,
    ):
        runner = Runner(log, store, make_views())
        runner.open()
        async with trio.open_nursery() as running:
            await running.start(log.run)
            async with trio.open_nursery() as writers:
                for _ in range(_WRITERS):
                    writers.start_soon(_append_all, log, streams)
            log.stop()
        await runner.save()


async def _append_all(log: LmdbLog, streams: Iterator[Stream]) -> None:
    for stream, events in streams:
        await log.append(stream, 0, events, Cause(f"session:{stream}", correlation_id=stream))
