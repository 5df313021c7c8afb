"""Law 1: every accepted order is in the log, every refused one is not, and a repetition is the same order again."""

from collections import Counter
from collections.abc import Iterator

from fleet.core.session.events import SessionCreated, SessionEdited, SessionStopped
from fleet.core.session.turn_events import PromptAccepted, PromptEdited, PromptWithdrawn, TurnSteered
from fleet.errors import Problem
from tests.simulation.clients import Request
from tests.simulation.evidence import Evidence


def answered_orders_are_in_the_log(evidence: Evidence) -> Iterator[str]:
    """An acknowledged order happened once, a refused one never, one without an answer at most once (law 1)."""
    times = _times(evidence)
    for request in evidence.ledger.requests:
        if request.kind not in ("session", "prompt", "edit-session", "edit") or request.session in evidence.erased:
            continue
        found = times[request.mark]
        if request.acknowledged and found != 1:
            yield f"{request.mark} was acknowledged and is {found} times in the log"
        elif request.refused and found:
            yield f"{request.mark} was refused and is {found} times in the log"
        elif found > 1:
            yield f"{request.mark} is {found} times in the log"


def _times(evidence: Evidence) -> Counter[str]:
    times: Counter[str] = Counter()
    for recorded in evidence.history:
        event = recorded.event
        if isinstance(event, SessionCreated):
            times[event.settings.title] += 1
        elif isinstance(event, SessionEdited):
            times[event.title] += 1
        elif isinstance(event, PromptAccepted | PromptEdited) and event.text.startswith(("prompt-", "edit-")):
            times[event.text.split()[0]] += 1
    return times


def ends_that_were_told_are_in_the_log(evidence: Evidence) -> Iterator[str]:
    """Who was told that a session has stopped, or a prompt is withdrawn or sent, finds that in the log (law 1)."""
    for request in evidence.ledger.requests:
        for outcome in request.outcomes if request.session not in evidence.erased else []:
            events = [r.event for r in evidence.stream(f"session-{request.session}") if r.position <= outcome.position]
            if request.kind == "stop" and not any(isinstance(event, SessionStopped) for event in events):
                yield f"{request.mark} was acknowledged, and the session has not stopped"
            withdrawn = {event.prompt_id for event in events if isinstance(event, PromptWithdrawn)}
            if request.kind == "withdraw" and request.prompt not in withdrawn:
                yield f"{request.mark} was acknowledged, and the prompt is not withdrawn"
            steered = {event.prompt_id for event in events if isinstance(event, TurnSteered)}
            if request.kind == "steer" and request.prompt not in steered:
                yield f"{request.mark} was acknowledged, and the prompt was not sent"


def repetitions_are_one_order(evidence: Evidence) -> Iterator[str]:
    """A key stands for one order: one commit, one session, for every caller that repeats it (law 1)."""
    commits: dict[str, set[tuple[str, int]]] = {}
    for recorded in evidence.history:
        if recorded.command_id is not None:
            commits.setdefault(recorded.command_id, set()).add((recorded.stream, recorded.recorded_at_ms))
    for key, places in commits.items():
        if len(places) > 1:
            yield f"{key} was carried out {len(places)} times"
    for request in evidence.ledger.requests:
        if len({outcome.session.id for outcome in request.outcomes}) > 1:
            yield f"{request.mark} was answered with several sessions"
        if conflicts := [heard for heard in request.heard if _is_conflict(evidence, request, heard)]:
            yield f"{request.mark} was repeated word for word and refused: {conflicts[0]}"


def _is_conflict(evidence: Evidence, request: Request, heard: object) -> bool:
    if not isinstance(heard, Problem):
        return False
    if heard.code == "internal":  # a bug has ended the order for every caller that repeats it, and the log says so
        is_told = any(getattr(recorded.event, "code", None) == "internal" for recorded in evidence.history)
        return not is_told and heard.extra.get("sessionId") not in evidence.erased
    return heard.code == "idempotency_conflict" and request.session not in evidence.erased
