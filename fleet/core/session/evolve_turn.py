"""Evolves a session by the events of a turn: prompts, delivery, transcript, changes, requests, the end.

evolve.py puts them into the one table with the others.
"""

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from fleet.core.session import turn_events
from fleet.core.session.activity import SHOWN, Activity, head, of_part, prompt_words
from fleet.core.session.context import context_of
from fleet.core.session.state import Answered, Failure, QueuedPrompt, Request, State, Turn
from fleet.core.session.values import digest, is_callback
from fleet.core.transition_table import StatePatch
from fleet.limits import REQUESTS_REMEMBERED_MAX, TRANSCRIPT_KNOWN_MAX
from fleet.ports import Tokens

Known = TypeVar("Known")


def _prompt_accepted(state: State, event: turn_events.PromptAccepted) -> StatePatch:
    prompt = QueuedPrompt(
        event.prompt_id, event.text, event.at_ms, event.attachments, event.agent, event.model, event.command
    )
    # A callback from a child must not release a paused queue: it waits behind the prompts in it.
    steering = () if state.turn is None else state.turn.steering
    held = state.queue.paused and is_callback(event.prompt_id) and bool(state.queue.prompts or steering)
    first = {} if state.last_line is not None else _asked(prompt, event.at_ms)
    return {**with_queue(state, prompts=(*state.queue.prompts, prompt), paused=held), **_owed(state), **first}


def with_queue(state: State, **changes: Any) -> StatePatch:
    """Return the changes that set these fields of the queue."""
    return {"queue": replace(state.queue, **changes)}


def _without(state: State, prompt_id: str) -> StatePatch:
    return with_queue(state, prompts=tuple(p for p in state.queue.prompts if p.prompt_id != prompt_id))


def _owed(state: State) -> StatePatch:
    return {"callbacks": replace(state.callbacks, owed=state.settings.parent_id is not None)}


def _asked(prompt: QueuedPrompt, at_ms: int) -> StatePatch:
    line = head(prompt_words(prompt.text, prompt.command))
    return {"asked": line, "last_line": Activity("prompt", line, at_ms)}


def _prompt_withdrawn(state: State, event: turn_events.PromptWithdrawn) -> StatePatch:
    return _without(state, event.prompt_id)


def _prompt_edited(state: State, event: turn_events.PromptEdited) -> StatePatch:
    edited = (replace(p, text=event.text) if p.prompt_id == event.prompt_id else p for p in state.queue.prompts)
    return with_queue(state, prompts=tuple(edited))


def _turn_started(state: State, event: turn_events.TurnStarted) -> StatePatch:
    prompt = next(p for p in state.queue.prompts if p.prompt_id == event.prompt_id)
    return {
        **_asked(prompt, event.at_ms),
        **_without(state, event.prompt_id),
        "turn": Turn(event.number, prompt, event.message_id, event.part_ids),
        "turns": event.number,
        "turn_started_at_ms": event.at_ms,
        "failure": None,
        **_owed(state),
        "digest_by_id": _newest(state.digest_by_id),
        "usage": replace(state.usage, by_message=_newest(state.usage.by_message)),
        "evidence": f"turn {event.number}: the prompt is being delivered",
    }


def _newest(known: dict[str, Known]) -> dict[str, Known]:
    """Return the newest known messages and parts: a late report must not be recorded and counted a second time."""
    surplus = len(known) - TRANSCRIPT_KNOWN_MAX
    return dict(islice(known.items(), surplus, None)) if surplus > 0 else known


def _turn_steered(state: State, event: turn_events.TurnSteered) -> StatePatch:
    prompt = next(p for p in state.queue.prompts if p.prompt_id == event.prompt_id)
    steering = replace(prompt, message_id=event.message_id, part_ids=event.part_ids)
    return {
        **_asked(prompt, event.at_ms),
        **_without(state, event.prompt_id),
        "turn": state.turn and replace(state.turn, steering=(*state.turn.steering, steering)),
    }


def _prompt_delivered(state: State, event: turn_events.PromptDelivered) -> StatePatch:
    if state.turn is not None and event.message_id != state.turn.message_id:
        left = tuple(p for p in state.turn.steering if p.message_id != event.message_id)
        return {"turn": replace(state.turn, steering=left)}
    turn = state.turn and replace(state.turn, delivered=True, message_id=event.kept_as or state.turn.message_id)
    if state.requests:  # OpenCode reported them before the prompt was read back
        return {"turn": turn}
    return {"turn": turn, "evidence": f"turn {state.turns}: OpenCode has the prompt and works"}


_UNPAID: Final = (0.0, Tokens())


def _message_recorded(state: State, event: turn_events.MessageRecorded) -> StatePatch:
    recorded = {**state.digest_by_id, event.message_id: digest(event.body)}
    return {"digest_by_id": recorded, **_seen(state, event), **_answer_recorded(state, event), **_paid(state, event)}


def _seen(state: State, event: turn_events.MessageRecorded) -> StatePatch:
    """Return that OpenCode works on a resumed turn, if this answer began after the resume."""
    turn = state.turn
    if turn is None or turn.resumed_at_ms == 0 or not _is_own_answer(state, event):
        return {}
    return {"turn": replace(turn, resumed_at_ms=0)} if event.created_ms >= turn.resumed_at_ms else {}


def _is_own_answer(state: State, event: turn_events.MessageRecorded) -> bool:
    """Return whether the answer is the session's own and not a sub-agent's."""
    return event.role == "assistant" and event.opencode_id == state.opencode.session_id


def _answer_recorded(state: State, event: turn_events.MessageRecorded) -> StatePatch:
    """Return the changes of shown values for an answer of the session itself, not of a sub-agent."""
    if not _is_own_answer(state, event):
        return {}
    context = context_of(event.body, event.created_ms)
    is_newer = context is not None and (state.context is None or state.context.created_ms <= event.created_ms)
    return {"answering": event.message_id, "context": context if is_newer else state.context}


def _paid(state: State, event: turn_events.MessageRecorded) -> StatePatch:
    usage, share = state.usage, (event.cost_usd, event.tokens)
    counted = usage.by_message.get(event.message_id, _UNPAID)
    if counted == share:
        return {}
    total = usage.tokens + event.tokens
    by_message = {**usage.by_message, event.message_id: share}
    changed = replace(
        usage,
        cost_usd=usage.cost_usd + event.cost_usd - counted[0],
        tokens=total if counted is _UNPAID else total - counted[1],
        by_message=by_message,
    )
    return {"usage": changed}


def _part_recorded(state: State, event: turn_events.PartRecorded) -> StatePatch:
    patch: StatePatch = {"digest_by_id": {**state.digest_by_id, event.part_id: digest(event.body)}}
    if event.message_id == state.answering and event.type in SHOWN:
        line = of_part(event.body, event.at_ms)
        if line is not None:
            patch["last_line"] = line
    return patch


def _turn_tree_taken(state: State, event: turn_events.TurnSnapshotTaken) -> StatePatch:
    return {"turn": state.turn and replace(state.turn, base=event.tree)}


def _step_tree_taken(state: State, event: turn_events.StepSnapshotTaken) -> StatePatch:
    return {"turn": state.turn and replace(state.turn, step_tree=event.tree)}


def _changes_recorded(state: State, event: turn_events.ChangesRecorded) -> StatePatch:
    turn = state.turn
    if turn is not None and turn.number == event.number and turn.base is None:
        turn = replace(
            turn, base=state.snapshots.newest
        )  # after a crash they are recorded again, since the turn's start
    snapshots = replace(state.snapshots, newest=event.tree, manifest=event.session_manifest, totals=event.totals)
    return {"turn": turn, "snapshots": snapshots}


def _request_opened(state: State, event: turn_events.RequestOpened) -> StatePatch:
    request = Request(event.request_id, event.opencode_id, event.kind, bytes(event.body), event.at_ms)
    return {
        "requests": (*state.requests, request),
        "turn": state.turn and replace(state.turn, delay=""),
        "evidence": f"turn {state.turns}: a {event.kind} waits for an answer",
    }


def _request_answered(state: State, event: turn_events.RequestAnswered) -> StatePatch:
    answered = (replace(r, answer=event.answer) if r.id == event.request_id else r for r in state.requests)
    given = Answered(event.request_id, head(event.answer.words), event.at_ms, event.actor)
    remembered = (*state.answered, given)[-REQUESTS_REMEMBERED_MAX:]
    return {
        "requests": tuple(answered),
        "answered": remembered,
        "evidence": f"turn {state.turns}: the answer is being sent to OpenCode",
    }


def _request_closed(state: State, event: turn_events.RequestClosed) -> StatePatch:
    left = tuple(r for r in state.requests if r.id != event.request_id)
    return {"requests": left, "settled_requests": _settled_with(state, event.request_id)}


def _settled_with(state: State, *request_ids: str) -> tuple[str, ...]:
    return (*state.settled_requests, *request_ids)[-REQUESTS_REMEMBERED_MAX:]


def no_requests(state: State) -> StatePatch:
    """Return the changes that close all requests; they are remembered, since OpenCode may still list them."""
    return {"requests": (), "settled_requests": _settled_with(state, *(r.id for r in state.requests))}


def _turn_continued(state: State, _: turn_events.TurnContinued) -> StatePatch:
    return {"evidence": f"turn {state.turns}: answered; the agent continues"}


def _turn_delayed(state: State, event: turn_events.TurnDelayed) -> StatePatch:
    turn = state.turn
    is_long = event.is_long or (event.reason != "" and turn is not None and turn.delay_is_long)
    told = event.is_long or (turn is not None and turn.delay_told)
    return {
        "turn": turn and replace(turn, delay=event.reason, delay_told=told, delay_is_long=is_long),
        "evidence": f"turn {event.number}: {event.reason or 'OpenCode continues'}",
    }


def _abort_requested(state: State, _: turn_events.AbortRequested) -> StatePatch:
    return {
        "turn": state.turn and replace(state.turn, aborting=True),
        **with_queue(state, paused=True),
        "evidence": f"turn {state.turns}: is being aborted",
    }


def _over(state: State, at_ms: int, *, paused: bool) -> StatePatch:
    steering = () if state.turn is None else state.turn.steering
    return {
        **no_requests(state),
        "turn": None,
        **with_queue(state, prompts=(*steering, *state.queue.prompts), paused=paused),
        "turn_ended_at_ms": at_ms,
    }


def _turn_ended(state: State, event: turn_events.TurnEnded) -> StatePatch:
    # An abort or a lost process paused the prompts that waited then; a later prompt of a person continues the queue.
    turn = state.turn
    held = event.outcome != "finished"
    if turn is not None and (turn.aborting or turn.resumed_at_ms != 0):
        held = state.queue.paused and (held or turn.aborting)
    return {
        **_over(state, event.at_ms, paused=held),
        "last_outcome": event.outcome,
        "evidence": f"turn {event.number} {event.outcome}: {event.evidence}",
    }


def _turn_failed(state: State, event: turn_events.TurnFailed) -> StatePatch:
    return {
        **_over(state, event.at_ms, paused=True),
        "last_outcome": "error",
        "failure": Failure(event.code, event.detail, event.at_ms),
        "evidence": f"turn {event.number} failed: {event.detail}",
    }


TURN_CHANGES: Final[Mapping[type[Any], Callable[[State, Any], StatePatch]]] = {
    turn_events.PromptAccepted: _prompt_accepted,
    turn_events.PromptWithdrawn: _prompt_withdrawn,
    turn_events.PromptEdited: _prompt_edited,
    turn_events.TurnStarted: _turn_started,
    turn_events.TurnSteered: _turn_steered,
    turn_events.PromptDelivered: _prompt_delivered,
    turn_events.MessageRecorded: _message_recorded,
    turn_events.PartRecorded: _part_recorded,
    turn_events.TurnSnapshotTaken: _turn_tree_taken,
    turn_events.StepSnapshotTaken: _step_tree_taken,
    turn_events.ChangesRecorded: _changes_recorded,
    turn_events.RequestOpened: _request_opened,
    turn_events.RequestAnswered: _request_answered,
    turn_events.RequestClosed: _request_closed,
    turn_events.TurnContinued: _turn_continued,
    turn_events.TurnDelayed: _turn_delayed,
    turn_events.AbortRequested: _abort_requested,
    turn_events.TurnEnded: _turn_ended,
    turn_events.TurnFailed: _turn_failed,
}
