"""Word from child to parent: once for each outcome, in order, and true."""

from collections.abc import Iterator

from fleet.core.session.events import (
    CallbackDelivered,
    CallbackOrdered,
    ProvisionFailed,
    ResumeRequested,
    SessionCreated,
    SessionResumed,
    SessionStopped,
)
from fleet.core.session.state import ENDED, State
from fleet.core.session.turn_events import PromptAccepted, TurnEnded, TurnFailed, TurnStarted
from tests.simulation.evidence import Evidence


def callbacks_are_given_once(evidence: Evidence) -> Iterator[str]:
    """A parent has each callback as one prompt, in order; only one that takes no prompt is waited for (4)."""
    for child in evidence.views.sessions:
        events = [recorded.event for recorded in evidence.stream(f"session-{child.id}")]
        ordered = [event.number for event in events if isinstance(event, CallbackOrdered)]
        if ordered != list(range(1, len(ordered) + 1)):
            yield f"session {child.id} ordered the callbacks {ordered}"
        parent = None if child.settings.parent_id is None else evidence.views.sessions.get(child.settings.parent_id)
        if ordered and child.settings.parent_id is None:
            yield f"session {child.id} has no parent and ordered {len(ordered)} callbacks"
        if parent is not None:
            yield from _differences(evidence, child, parent, ordered)


def _differences(evidence: Evidence, child: State, parent: State, ordered: list[int]) -> Iterator[str]:
    prefix = f"callback:{child.id}:"
    accepted = [r.event for r in evidence.stream(f"session-{parent.id}") if isinstance(r.event, PromptAccepted)]
    given = [event.prompt_id for event in accepted if event.prompt_id.startswith(prefix)]
    events = [recorded.event for recorded in evidence.stream(f"session-{child.id}")]
    told = [f"{prefix}{event.number}" for event in events if isinstance(event, CallbackDelivered)]
    if given != told or not {f"{prefix}{number}" for number in ordered}.issuperset(told):
        yield f"session {child.id} says that it told {told}, and its parent has heard {given}"
    if len(told) < len(ordered) and parent.phase not in ENDED - {"completed"} and not parent.has_lost_conversation:
        yield f"session {child.id} told {len(told)} of {ordered}, and its parent is {parent.phase}"


def callbacks_are_true(evidence: Evidence) -> Iterator[str]:
    """A callback names the outcome that came right before, one for each time that a child was given work (4, 8)."""
    for child in evidence.views.sessions:
        owed, runs, last = False, False, ""
        for event in (recorded.event for recorded in evidence.stream(f"session-{child.id}")):
            if isinstance(event, SessionCreated | PromptAccepted | TurnStarted):
                owed = True
            if isinstance(event, SessionResumed):  # it continues with a turn that it has left behind, or has no work
                owed = owed or runs
            if isinstance(event, TurnStarted | TurnEnded | TurnFailed):
                runs = isinstance(event, TurnStarted)
            if isinstance(event, CallbackOrdered):
                if event.outcome != last or f"has ended: {last}." not in event.text or not owed:
                    yield f"session {child.id} told {event.outcome!r} in {event.text!r}, and it was {last!r}"
                owed = False
            last = _outcome(event, last)
        if (
            child.settings.parent_id is not None
            and owed
            and last
            and not child.queue.prompts
            and child.phase != "disconnected"
        ):
            yield f"session {child.id} is {child.phase} after {last!r}, and nobody has told its parent"


def _outcome(event: object, before: str) -> str:
    """Return the outcome that stands after an event: new work makes it open again."""
    if isinstance(event, TurnEnded):
        return event.outcome
    if isinstance(event, TurnFailed):
        return "error"
    if isinstance(event, SessionStopped):
        return "stopped"
    if isinstance(event, ProvisionFailed):
        return "disconnected" if event.code in ("workspace_gone", "session_gone") else "error"
    if isinstance(event, ResumeRequested) and event.opencode_id is not None:
        return before  # a new conversation: the turn that it leaves behind has just been ended
    open_again = PromptAccepted | TurnStarted | ResumeRequested | SessionResumed
    return "" if isinstance(event, open_again) else before
