"""Law 8: at rest every status is true."""

from collections.abc import Iterator

from fleet.core.session.state import is_held
from tests.simulation.evidence import Evidence


def nothing_is_under_way(evidence: Evidence) -> Iterator[str]:
    """At rest no session works, no instance starts or stops, no workspace is being made; a set-up may be held."""
    for session in evidence.views.sessions:
        works = session.phase in {"active", "created"} or session.provisioning is not None
        if (works and not is_held(session)) or session.stopping:
            yield f"session {session.id} is {session.phase} ({session.evidence})"
    for instance in evidence.views.instances:
        if instance.phase in ("starting", "unreachable", "stopping") or not instance.swept:
            yield f"instance {instance.id} is {instance.phase} ({instance.evidence})"
    for workspace in evidence.views.workspaces:
        if workspace.phase == "preparing":
            yield f"workspace {workspace.id} is being prepared"


def nothing_runs_unseen(evidence: Evidence) -> Iterator[str]:
    """OpenCode runs nothing for a session that is at rest, unless it waits for a person."""
    by_opencode = {session.opencode.session_id: session for session in evidence.views.sessions}
    for opencode_id in sorted(evidence.busy() - set(evidence.waiting.values())):
        session = by_opencode.get(opencode_id)
        yield f"OpenCode runs {opencode_id}, and its session is {session and session.phase}"
    for session in evidence.views.sessions:
        if session.requests and (session.phase != "waiting_input" or any(each.answer for each in session.requests)):
            yield f"session {session.id} is {session.phase} and waits for {session.requests}"


def who_is_idle_can_work(evidence: Evidence) -> Iterator[str]:
    """A session that is called idle has an instance and a conversation: it takes a prompt at once."""
    for session in evidence.views.sessions:
        if session.phase == "idle" and (session.opencode.instance_id is None or not session.opencode.session_exists):
            yield f"session {session.id} is idle and has nothing to work with"
        if session.phase in ("completed", "disconnected", "stopped") and session.opencode.instance_id is not None:
            yield f"session {session.id} is {session.phase} and holds instance {session.opencode.instance_id}"


def no_actor_crashed(evidence: Evidence) -> Iterator[str]:
    """An actor that crashes met a bug: faults of the world are answers to it, not exceptions."""
    yield from evidence.crashes


def bugs_are_logged(evidence: Evidence) -> Iterator[str]:
    """A bug in an effect is in the server's log with its trace, in every case."""
    yield from evidence.unlogged
