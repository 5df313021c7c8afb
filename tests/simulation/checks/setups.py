"""Set-ups and teardowns: what a person allowed runs, before the session works, and the log says what it wrote."""

from collections.abc import Iterator

from fleet.core.session.events import (
    InstanceAttached,
    ResumeRequested,
    SetupEnded,
    SetupOutput,
    SetupSkipped,
    SetupStarted,
    WorkspaceAttached,
)
from fleet.core.session.turn_events import TurnStarted
from fleet.core.trust import RecipeAllowed, TrustRevoked
from fleet.core.workspace.events import WorkspaceRemoved, WorkspaceRequested, WorkspaceSetUp, WorkspaceTornDown
from tests.simulation.evidence import Evidence

RACE_MS = 1000
"""A permission that is revoked in the moment in which a script starts does not end it."""


def nothing_runs_unallowed(evidence: Evidence) -> Iterator[str]:
    """A script runs after the log says with which content, and that was allowed in that repository (security)."""
    allowed: dict[tuple[str | None, str], int | None] = {}
    begun: dict[str, set[str]] = {}
    for recorded in evidence.history:
        event = recorded.event
        if isinstance(event, RecipeAllowed):
            allowed[event.repository, event.recipe.digest] = None
        elif isinstance(event, TrustRevoked):
            allowed[event.repository, event.digest] = event.at_ms
        elif isinstance(event, WorkspaceSetUp):
            revoked_ms = allowed.get((event.repository, event.recipe.digest), 0)
            if revoked_ms is not None and revoked_ms + RACE_MS < event.at_ms and not event.complete:
                yield f"{recorded.stream} is set up with what is not allowed in {event.repository}"
            texts = begun.setdefault(recorded.stream, set())
            texts |= {event.recipe.script, event.recipe.teardown}
    for ran in evidence.ran:
        if ran.workspace_id in evidence.erased:
            continue
        if ran.script.text not in begun.get(f"workspace-{ran.workspace_id}", ()):
            yield f"{ran.script.text!r} ran in workspace {ran.workspace_id}, and the log does not say so"


def set_ups_come_first(evidence: Evidence) -> Iterator[str]:
    """A session starts no process and no turn before the set-up of its workspace has worked or was skipped."""
    for session in evidence.views.sessions:
        owed = False
        for event in (recorded.event for recorded in evidence.stream(f"session-{session.id}")):
            if isinstance(event, WorkspaceAttached):
                owed = event.recipe is not None
            elif isinstance(event, ResumeRequested | SetupSkipped):
                owed = False
            elif isinstance(event, SetupEnded):
                owed = owed and event.exit_code != 0
            elif isinstance(event, InstanceAttached | TurnStarted) and owed:
                yield f"session {session.id} went on before its workspace was set up"


def set_ups_are_told(evidence: Evidence) -> Iterator[str]:
    """A set-up that worked has run to its end, and the log has what it wrote, once."""
    for session in evidence.views.sessions:
        script, written = "", ""
        for event in (recorded.event for recorded in evidence.stream(f"session-{session.id}")):
            if isinstance(event, WorkspaceAttached):
                script = "" if event.recipe is None else event.recipe.script
            elif isinstance(event, SetupStarted):
                written = ""
            elif isinstance(event, SetupOutput):
                written += event.text
            elif isinstance(event, SetupEnded) and event.exit_code == 0 and script:
                ends = [ran.code for ran in evidence.ran if ran.workspace_id == session.workspace_id]
                if 0 not in ends or written != "done\n":
                    yield f"the set-up of session {session.id} wrote {written!r} and ended with {ends}"


def teardowns_run(evidence: Evidence) -> Iterator[str]:
    """A workspace that goes was torn down by the teardown of its set-up."""
    for workspace in evidence.views.workspaces:
        owed = False
        for event in (recorded.event for recorded in evidence.stream(f"workspace-{workspace.id}")):
            if isinstance(event, WorkspaceSetUp):
                owed = bool(event.recipe.teardown)
            elif isinstance(event, WorkspaceTornDown | WorkspaceRequested):
                owed = False
            elif isinstance(event, WorkspaceRemoved) and owed:
                yield f"workspace {workspace.id} was removed, and its teardown did not run"
