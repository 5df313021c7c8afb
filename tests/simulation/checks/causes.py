"""Every event of a turn leads to the prompt of that turn and to its actor, also if something ended before it."""

from collections.abc import Iterator

from fleet.core.session.events import StopRequested
from fleet.core.session.turn_events import (
    AbortRequested,
    ChangesRecorded,
    PromptAccepted,
    PromptDelivered,
    StepSnapshotTaken,
    TurnDelayed,
    TurnEnded,
    TurnFailed,
    TurnSnapshotTaken,
    TurnStarted,
)
from fleet.events.envelope import Recorded
from tests.simulation.evidence import Evidence

OF_A_TURN = TurnSnapshotTaken | StepSnapshotTaken | TurnDelayed | ChangesRecorded | TurnEnded | TurnFailed


def turns_lead_to_their_prompts(evidence: Evidence) -> Iterator[str]:
    """The causes of a turn's events end at its own prompt; those of an aborted end at who aborted it (4)."""
    by_position = {recorded.position: recorded for recorded in evidence.history}
    for session_id in evidence.states(evidence.views.sessions):
        accepted: dict[str, Recorded] = {}
        turns: dict[int, Recorded] = {}
        messages: dict[str, Recorded] = {}
        asked: Recorded | None = None  # who asked to end the turn that runs
        for recorded in evidence.stream(f"session-{session_id}"):
            event, prompt = recorded.event, None
            if isinstance(event, PromptAccepted):
                accepted[event.prompt_id] = recorded
            elif isinstance(event, AbortRequested | StopRequested):
                asked = recorded
            elif isinstance(event, TurnStarted):
                asked = None
                prompt = turns[event.number] = messages[event.message_id] = accepted[event.prompt_id]
                if (recorded.cause.actor, recorded.cause.causation_id) != (prompt.cause.actor, f"@{prompt.position}"):
                    yield f"turn {event.number} of {session_id} began for {recorded.cause}, not for {prompt.cause}"
            elif isinstance(event, PromptDelivered):
                prompt = messages.get(event.message_id)
            elif isinstance(event, OF_A_TURN):
                prompt = turns[event.number]
            if isinstance(event, TurnEnded) and event.outcome == "aborted" and asked is not None:
                if (recorded.cause.actor, recorded.cause.causation_id) != (asked.cause.actor, f"@{asked.position}"):
                    yield f"the turn that ended at {recorded.position} names {recorded.cause}, not {asked.cause}"
            elif isinstance(event, TurnEnded) and recorded.cause.causation_id is None:
                pass  # its caller ended it: a new conversation begins
            elif prompt is not None and prompt not in (way := _way(recorded, by_position)):
                yield f"{recorded.type} at {recorded.position} leads to {way[-1].position}, not to {prompt.position}"
            elif prompt is not None and recorded.cause.correlation_id != prompt.cause.correlation_id:
                yield f"{recorded.type} at {recorded.position} belongs to {recorded.cause.correlation_id}"


def _way(recorded: Recorded, by_position: dict[int, Recorded]) -> list[Recorded]:
    """Return the event and what its causes lead to."""
    way = [recorded]
    while (cause := way[-1].cause.causation_id) is not None and cause.startswith("@"):
        way.append(by_position[int(cause[1:])])
    return way
