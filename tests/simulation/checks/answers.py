"""Requests: what was answered is answered in OpenCode, and `waiting_input` is true."""

from collections.abc import Iterator

from fleet.core.session.turn_events import RequestAnswered
from tests.simulation.evidence import Evidence


def nothing_waits_for_a_given_answer(evidence: Evidence) -> Iterator[str]:
    """OpenCode waits for no answer that Fleet has acknowledged (law 1)."""
    waiting = set(evidence.waiting)
    for request in evidence.ledger.requests:
        if request.answer is not None and request.acknowledged and request.answer[0] in waiting:
            yield f"{request.mark} was acknowledged, and OpenCode waits for {request.answer[0]}"


def answers_were_given(evidence: Evidence) -> Iterator[str]:
    """What OpenCode was told is what a person has answered, once (4)."""
    answers = {
        recorded.event.request_id: recorded.event.answer
        for recorded in evidence.history
        if isinstance(recorded.event, RequestAnswered)
    }
    told = [(request_id, reply) for request_id, reply in evidence.world.replies]
    for request_id, reply in told:
        answer = answers.get(request_id)
        if answer is None and not evidence.erased:
            yield f"OpenCode was told {reply!r} to {request_id}, which nobody has answered"
        if answer is not None and reply != (answer.reply or repr(answer.answers)):
            yield f"OpenCode was told {reply!r} to {request_id}, and the answer was {answer}"
    if len({request_id for request_id, _ in told}) != len(told):
        yield f"OpenCode was told twice: {told}"


def who_waits_is_waited_for(evidence: Evidence) -> Iterator[str]:
    """At rest a session is `waiting_input` exactly when OpenCode waits for an answer of it (law 8)."""
    asked = set(evidence.waiting.values())
    for session in evidence.views.sessions:
        if (session.phase == "waiting_input") != (session.opencode.session_id in asked):
            yield f"session {session.id} is {session.phase}, and OpenCode waits for {evidence.waiting}"
        known = {request.id for request in session.requests}
        if session.phase == "waiting_input" and not known & evidence.waiting.keys():
            yield f"session {session.id} shows {known}, and OpenCode waits for {evidence.waiting}"
