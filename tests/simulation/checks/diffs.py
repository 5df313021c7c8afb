"""Diffs: what is recorded of a turn is what the trees say, and each change belongs to the turn that made it."""

from collections.abc import Iterator
from typing import Any

import msgspec

from fleet.core.session.events import SetupEnded, WorkspaceAttached
from fleet.core.session.state import State
from fleet.core.session.turn_events import (
    ChangesRecorded,
    PartRecorded,
    StepSnapshotTaken,
    TurnEnded,
    TurnSnapshotTaken,
    TurnStarted,
)
from tests.fakes.memory_blobs import MemoryBlobs
from tests.simulation.evidence import Evidence

Sides = dict[str, tuple[bytes | None, bytes | None]]


def diffs_are_the_trees(evidence: Evidence) -> Iterator[str]:
    """The recorded diff of a turn is the difference of the trees before and after it, with contents."""
    for session in evidence.views.sessions:
        trees = evidence.directories.trees.get(session.workspace_id, {})
        tree: str | None = None
        base: str | None = None
        for event in (recorded.event for recorded in evidence.stream(f"session-{session.id}")):
            if isinstance(event, WorkspaceAttached):
                tree = event.baseline if tree is None else tree
            elif isinstance(event, SetupEnded):
                tree = event.baseline or tree  # what the set-up has made is no change of the session's
            elif isinstance(event, TurnStarted):
                base = tree
            elif isinstance(event, TurnSnapshotTaken):
                base = event.tree
            elif isinstance(event, ChangesRecorded):
                expected = {} if base is None else _difference(trees[base], trees[event.tree])
                if _manifest(evidence, event.turn_manifest) != expected:
                    yield f"session {session.id}: the diff of turn {event.number} is not {sorted(expected)}"
                tree = event.tree


def trees_of_steps_have_what_was_written(evidence: Evidence) -> Iterator[str]:
    """A tree within a turn follows a recorded call, has what that has written, and is not the one before again."""
    writers = {written.message_id: written for written in evidence.world.written}
    for session in evidence.views.sessions:
        trees = evidence.directories.trees.get(session.workspace_id, {})
        calls: dict[str, str] = {}
        newest: str | None = None
        for event in (recorded.event for recorded in evidence.stream(f"session-{session.id}")):
            if isinstance(event, PartRecorded) and b'"completed"' in bytes(event.body):
                calls[event.part_id] = event.message_id
            elif isinstance(event, TurnStarted | ChangesRecorded):
                newest = None
            if not isinstance(event, StepSnapshotTaken):
                continue
            of = f"the tree of turn {event.number} of {session.id} after {event.part_id}"
            if event.tree not in trees or event.tree == newest:
                yield f"{of} is not kept, or the one before"
            newest = event.tree
            answer = evidence.world.store.messages.get(calls.get(event.part_id, ""))
            written = None if answer is None else writers.get(answer.info["parentID"])
            if written is not None and event.tool == "write" and written.name not in trees.get(event.tree, {}):
                yield f"{of} is without {written.name}"


def _difference(before: dict[str, bytes], after: dict[str, bytes]) -> Sides:
    names = {name for name in {**before, **after} if before.get(name) != after.get(name)}
    return {name: (before.get(name), after.get(name)) for name in names}


def _manifest(evidence: Evidence, digest: str) -> Sides:
    """Return files with their contents, read without the code that wrote them; a content that is missing is b"?"."""
    blobs = MemoryBlobs(evidence.disk)

    def content(name: str | None) -> bytes | None:
        return None if name is None else b"?" if (found := blobs.get(name)) is None else found

    files: list[dict[str, Any]] = msgspec.json.decode(blobs.get(digest) or b'{"files":[]}')["files"]
    return {file["file"]: (content(file["before"]), content(file["after"])) for file in files}


def changes_belong_to_their_turn(evidence: Evidence) -> Iterator[str]:
    """A file is in the diff of the turn that wrote it, and in another session's only where that names the first."""
    turns = {
        event.message_id: (session, event.number)
        for session in evidence.views.sessions
        for event in (recorded.event for recorded in evidence.stream(f"session-{session.id}"))
        if isinstance(event, TurnStarted)
    }
    for written in evidence.world.written:
        writer = turns.get(written.message_id)
        if writer is None:
            continue
        for session in evidence.views.sessions:
            for event in _changes(evidence, session):
                listed = written.name in _manifest(evidence, event.turn_manifest)
                if (session, event.number) == writer and not listed and _finished(evidence, *writer):
                    yield f"{written.name} is not in the diff of turn {writer[1]} of {session.id}, which wrote it"
                elif session is not writer[0] and listed and writer[0].id not in event.overlaps:
                    yield f"{written.name} of {writer[0].id} is in turn {event.number} of {session.id}"


def _changes(evidence: Evidence, session: State) -> list[ChangesRecorded]:
    events = [recorded.event for recorded in evidence.stream(f"session-{session.id}")]
    return [event for event in events if isinstance(event, ChangesRecorded)]


def _finished(evidence: Evidence, session: State, number: int) -> bool:
    events = [recorded.event for recorded in evidence.stream(f"session-{session.id}")]
    return any(isinstance(e, TurnEnded) and e.number == number and e.outcome == "finished" for e in events)
