"""Law 9: nothing that an agent wrote is lost, and nothing stays of what was erased."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import msgspec

from fleet.core.session.state import State as Session
from fleet.core.workspace.events import WorkspaceRemoved
from fleet.events.snapshots import fingerprint
from tests.simulation.evidence import Evidence


def nothing_is_lost(evidence: Evidence) -> Iterator[str]:
    """Every file that an agent wrote is in its directory, or was kept when that was removed (law 9)."""
    disk = evidence.directories
    kept: dict[str, list[dict[str, bytes]]] = {}
    for workspace_id, saved in disk.kept.items():
        state = evidence.views.workspaces.get(workspace_id)
        if state is not None and state.spec is not None:
            kept.setdefault(state.spec.directory, []).append(saved.contents)
    for written in evidence.world.written:
        here = disk.contents.get(written.directory, {}) if written.directory in disk.directories else {}
        of_erased = [saved.contents for each, saved in disk.kept.items() if f"/{each}/" in written.directory]
        places = [here, *kept.get(written.directory, []), *of_erased]
        if not any(place.get(written.name) == written.content for place in places):
            yield f"{written.name} was written in {written.directory}, and is lost"
    for workspace_id, commits in evidence.committed.items():
        holders = (disk.checkouts.get(workspace_id), disk.kept.get(workspace_id))
        work = {each for holder in holders if holder is not None for each in holder.work}
        if not work.issuperset(commits):
            yield f"{commits} were made in workspace {workspace_id}, and are lost"


def claimed_workspaces_stay(evidence: Evidence) -> Iterator[str]:
    """A workspace is removed when no session claims it, and no session works in its directory (law 9)."""
    states = evidence.states(evidence.views.workspaces)
    for recorded in evidence.history:
        if not isinstance(recorded.event, WorkspaceRemoved):
            continue
        workspace_id = recorded.stream.partition("-")[2]
        state = next(state for position, state in states[workspace_id] if position == recorded.position)
        if state.sessions:
            yield f"workspace {workspace_id} was removed, and {state.sessions} claim it"
        for session in _sessions_at(evidence, recorded.position):
            inside = PurePosixPath(session.directory).is_relative_to(state.spec.directory)
            if inside and session.phase != "stopped":
                yield f"workspace {workspace_id} was removed, and {session.id} ({session.phase}) works there"


def _sessions_at(evidence: Evidence, position: int) -> Iterator[Session]:
    for states in evidence.states(evidence.views.sessions).values():
        then = [state for at, state in states if at <= position]
        if then:
            yield then[-1]


def erased_sessions_are_gone(evidence: Evidence) -> Iterator[str]:
    """Of an erased session the log has headers alone, and there is no row, snapshot, blob or history of it (law 9).

    No text in the log is one of its callbacks. What its parent answered may quote one.
    """
    sessions = evidence.views.sessions
    print_ = fingerprint(sessions.name, sessions.state_type, sessions.decider.revision)
    rows = dict(evidence.store.load(sessions.name, print_, lambda _: None)[1])
    for session_id in sorted(evidence.erased | evidence.ledger.erased):
        stream = f"session-{session_id}"
        records = [record for record in evidence.records if record.header.stream == stream]
        if left := [record.header.type for record in records if not record.erased or record.payload or record.salt]:
            yield f"session {session_id} is erased, and the log has {left}"
        callback = re.compile(rf'"text":"Session \\"[^"]*\\" \({session_id}\) has ended: '.encode())
        if told := [record.header.position for record in evidence.records if callback.search(record.payload)]:
            yield f"session {session_id} is erased, and its callbacks are in the events {told}"
        if sessions.get(session_id) is not None or session_id in evidence.found:
            yield f"session {session_id} is erased, and is shown"
        if evidence.disk.owned.get(stream) or stream in evidence.disk.snapshots:
            yield f"session {session_id} is erased, and has blobs or a snapshot"
        blank = msgspec.msgpack.encode(sessions.decider.initial(session_id))  # remembers what may be unfinished
        if rows.get(session_id, blank) != blank:
            yield f"session {session_id} is erased, and has a row"


def the_history_is_the_fold(evidence: Evidence) -> Iterator[str]:
    """A search for everything finds every session that there is, as it is (law 10)."""
    expected = {session_id: state.phase for session_id, state in evidence.folds(evidence.views.sessions).items()}
    if evidence.found != expected:
        yield f"the history shows {evidence.found}, the log {expected}"


def no_reader_was_misled(evidence: Evidence) -> Iterator[str]:
    """What callers read while things went wrong was true."""
    yield from evidence.ledger.complaints
