"""What each event makes of a session: `evolve`, the only place where its state changes.

It never refuses what the table (transitions.py) allows; what the table refuses is a corrupt log. What a person is told
of it stands in notifications.py.
"""

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final, Literal, TypeVar

from msgspec.structs import replace

from fleet.core.session import messages as m
from fleet.core.session.notifications import notified
from fleet.core.session.state import (
    Callback,
    Failure,
    QueuedPrompt,
    Request,
    State,
    Turn,
    initial,
)
from fleet.core.session.transitions import ENDED, TABLE
from fleet.core.table import ImpossibleEvent
from fleet.limits import (
    CALLBACKS_REMEMBERED_MAX,
    REQUESTS_REMEMBERED_MAX,
    TRANSCRIPT_KNOWN_MAX,
)
from fleet.ports import Tokens

Changes = dict[str, Any]
Known = TypeVar("Known")


def evolve(state: State, event: m.Event) -> State:
    """Return the state after `event`. Raises `ImpossibleEvent` for what the table refuses."""
    kind = type(event)
    phase = TABLE[state.phase, kind]
    if phase is None:
        raise ImpossibleEvent(f"{kind.__name__} in a session that is {state.phase}")
    changes = _CHANGES[kind](state, event)
    changes.update(notified(state, event))
    changes["changed_at_ms"] = event.at_ms
    if phase != state.phase:
        changes["phase"] = phase
        changes["since_ms"] = event.at_ms
    return replace(state, **changes)


def _created(_: State, event: m.SessionCreated) -> Changes:
    return {
        "title": event.title,
        "tags": event.tags,
        "strategy": event.strategy,
        "workspace_id": event.workspace_id,
        "source_directory": event.source_directory,
        "source_repository": event.source_repository,
        "directory": event.directory,
        "branch": event.branch,
        "base_ref": event.base_ref,
        "agent": event.agent,
        "model": event.model,
        "opencode_id": event.opencode_id,
        "parent_id": event.parent_id,
        "depth": event.depth,
        "owed": event.parent_id is not None,
        "budget": event.budget,
        "origin": event.origin,
        "provisioning": "workspace",
        "created_at_ms": event.at_ms,
        "evidence": "created; its workspace is being prepared",
    }


def _described(_: State, event: m.SessionDescribed) -> Changes:
    return {"title": event.title, "tags": event.tags}


def _workspace_attached(state: State, event: m.WorkspaceAttached) -> Changes:
    first = state.baseline is None
    return {
        "baseline": event.baseline if first else state.baseline,
        "tree": event.baseline if first else state.tree,
        "workspace_id": event.workspace_id,
        "directory": event.directory,
        "branch": event.branch,
        "provisioning": "instance",
    }


def _instance_attached(state: State, event: m.InstanceAttached) -> Changes:
    known = state.instances if event.instance_id in state.instances else (*state.instances, event.instance_id)
    return {"instance_id": event.instance_id, "instances": known, "provisioning": "conversation"}


def _conversation_opened(_: State, event: m.ConversationOpened) -> Changes:
    return {
        "opencode_id": event.opencode_id,
        "conversation": True,
        "provisioning": None,
        "failure": None,
        "evidence": "OpenCode has the session; no prompt yet",
    }


def _resume_requested(_: State, __: m.ResumeRequested) -> Changes:
    return {"provisioning": "workspace"}


def _resumed(state: State, event: m.SessionResumed) -> Changes:
    # The parent may have heard of a resume that failed; the turn that goes on now has an outcome of its own.
    return {
        "owed": state.owed or (state.parent_id is not None and state.turn is not None),
        "opencode_id": event.opencode_id,
        "conversation": True,
        "provisioning": None,
        "failure": None,
        "ended_at_ms": None,
        "evidence": "resumed; what OpenCode does for it is being looked at",
    }


def _provision_failed(state: State, event: m.ProvisionFailed) -> Changes:
    what = "creation" if state.phase == "created" else "resume"
    # A session that stays ended must not keep a process for itself.
    given_up = state.phase in ENDED and state.instance_id is not None
    return {
        **({"instance_id": None, "leaving": state.instance_id} if given_up else {}),
        "provisioning": None,
        "failure": Failure(event.code, event.detail, event.at_ms, event.step),
        "evidence": f"{what} failed: {event.detail}",
    }


def _provision_delayed(_: State, event: m.ProvisionDelayed) -> Changes:
    return {"evidence": event.reason}


def _prompt_accepted(state: State, event: m.PromptAccepted) -> Changes:
    prompt = QueuedPrompt(
        event.prompt_id, event.text, event.at_ms, event.attachments, event.agent, event.model, event.command
    )
    return {"queue": (*state.queue, prompt), "held": False, "owed": state.parent_id is not None}


def _prompt_withdrawn(state: State, event: m.PromptWithdrawn) -> Changes:
    return {"queue": tuple(p for p in state.queue if p.prompt_id != event.prompt_id)}


def _turn_started(state: State, event: m.TurnStarted) -> Changes:
    return {
        "queue": tuple(p for p in state.queue if p.prompt_id != event.prompt_id),
        "turn": Turn(
            event.number,
            next(p for p in state.queue if p.prompt_id == event.prompt_id),
            event.message_id,
            event.part_ids,
            event.at_ms,
        ),
        "turns": event.number,
        "failure": None,
        "owed": state.parent_id is not None,
        "recorded": _newest(state.recorded),
        "counted": _newest(state.counted),
        "evidence": f"turn {event.number}: the prompt is being delivered",
    }


def _newest(known: dict[str, Known]) -> dict[str, Known]:
    """Return what a late word on an earlier turn is recognised by: forgotten, it would be recorded and paid twice."""
    return dict(islice(known.items(), max(0, len(known) - TRANSCRIPT_KNOWN_MAX), None))


def _turn_steered(state: State, event: m.TurnSteered) -> Changes:
    prompt = next(p for p in state.queue if p.prompt_id == event.prompt_id)
    steering = replace(prompt, message_id=event.message_id, part_ids=event.part_ids)
    return {
        "queue": tuple(p for p in state.queue if p.prompt_id != event.prompt_id),
        "turn": state.turn and replace(state.turn, steering=(*state.turn.steering, steering)),
    }


def _prompt_delivered(state: State, event: m.PromptDelivered) -> Changes:
    if state.turn is not None and event.message_id != state.turn.message_id:
        left = tuple(p for p in state.turn.steering if p.message_id != event.message_id)
        return {"turn": replace(state.turn, steering=left)}
    turn = state.turn and replace(state.turn, delivered=True)
    return {"turn": turn, "evidence": f"turn {state.turns}: OpenCode has the prompt and works"}


def _message_recorded(state: State, event: m.MessageRecorded) -> Changes:
    cost, tokens = state.counted.get(event.message_id, (0.0, Tokens()))
    return {
        "recorded": {**state.recorded, event.message_id: m.digest(event.body)},
        "counted": {**state.counted, event.message_id: (event.cost_usd, event.tokens)},
        "cost_usd": state.cost_usd + event.cost_usd - cost,
        "tokens": _added(state.tokens, event.tokens, tokens),
    }


def _added(total: Tokens, new: Tokens, old: Tokens) -> Tokens:
    if new == old:
        return total
    return Tokens(
        total.input + new.input - old.input,
        total.output + new.output - old.output,
        total.reasoning + new.reasoning - old.reasoning,
        total.cache_read + new.cache_read - old.cache_read,
        total.cache_write + new.cache_write - old.cache_write,
    )


def _part_recorded(state: State, event: m.PartRecorded) -> Changes:
    return {"recorded": {**state.recorded, event.part_id: m.digest(event.body)}}


def _turn_tree_taken(state: State, event: m.TurnTreeTaken) -> Changes:
    return {"turn": state.turn and replace(state.turn, base=event.tree)}


def _changes_recorded(state: State, event: m.ChangesRecorded) -> Changes:
    turn = state.turn
    if turn is not None and turn.number == event.number and turn.base is None:
        turn = replace(turn, base=state.tree)  # after a crash they are recorded again, from where the turn began
    return {"turn": turn, "tree": event.tree, "manifest": event.session_manifest, "changes": event.totals}


def _request_opened(state: State, event: m.RequestOpened) -> Changes:
    request = Request(event.request_id, event.opencode_id, event.kind, bytes(event.body), event.at_ms)
    return {
        "requests": (*state.requests, request),
        "evidence": f"turn {state.turns}: a {event.kind} waits for an answer",
    }


def _request_answered(state: State, event: m.RequestAnswered) -> Changes:
    answered = (replace(r, answer=event.answer) if r.id == event.request_id else r for r in state.requests)
    return {"requests": tuple(answered), "evidence": f"turn {state.turns}: answered, OpenCode is being told"}


def _request_closed(state: State, event: m.RequestClosed) -> Changes:
    left = tuple(r for r in state.requests if r.id != event.request_id)
    return {"requests": left, "settled_requests": _settled_with(state, event.request_id)}


def _settled_with(state: State, *request_ids: str) -> tuple[str, ...]:
    return (*state.settled_requests, *request_ids)[-REQUESTS_REMEMBERED_MAX:]


def _no_requests(state: State) -> Changes:
    """What is open when a turn is over is stale; OpenCode may go on listing it."""
    return {"requests": (), "settled_requests": _settled_with(state, *(r.id for r in state.requests))}


def _turn_continued(state: State, _: m.TurnContinued) -> Changes:
    return {"evidence": f"turn {state.turns}: answered, the agent works on"}


def _abort_requested(state: State, _: m.AbortRequested) -> Changes:
    return {
        "turn": state.turn and replace(state.turn, aborting=True),
        "held": bool(state.queue),
        "evidence": f"turn {state.turns}: is being aborted",
    }


def _over(state: State, at_ms: int) -> Changes:
    started_ms = at_ms if state.turn is None else state.turn.started_at_ms
    steering = () if state.turn is None else state.turn.steering
    return {
        **_no_requests(state),
        "turn": None,
        "queue": (*steering, *state.queue),
        "turn_ended_at_ms": at_ms,
        "running_ms": state.running_ms + max(0, at_ms - started_ms),
    }


def _turn_ended(state: State, event: m.TurnEnded) -> Changes:
    # An abort held back what waited when it was ordered; who has prompted since wants to go on.
    aborting = state.turn is not None and state.turn.aborting
    held = state.held if aborting else event.outcome != "finished" and bool(state.queue)
    return {
        **_over(state, event.at_ms),
        "held": held,
        "last_outcome": event.outcome,
        "evidence": f"turn {event.number} {event.outcome}: {event.evidence}",
    }


def _turn_failed(state: State, event: m.TurnFailed) -> Changes:
    return {
        **_over(state, event.at_ms),
        "held": bool(state.queue),
        "last_outcome": "error",
        "failure": Failure(event.code, event.detail, event.at_ms),
        "evidence": f"turn {event.number} failed: {event.detail}",
    }


def _settled(state: State, event: m.SessionSettled) -> Changes:
    return {**_no_requests(state), "evidence": event.evidence}


def _instance_detached(_: State, __: m.InstanceDetached) -> Changes:
    return {"instance_id": None}


def _completed(state: State, event: m.SessionCompleted) -> Changes:
    return {**_gone(state, event), "leaving": event.instance_id if event.leaves else None}


def _gone(state: State, event: m.SessionCompleted | m.SessionDisconnected | m.SessionStopped) -> Changes:
    return {**_no_requests(state), "instance_id": None, "evidence": event.evidence, "ended_at_ms": event.at_ms}


def _instance_left(state: State, event: m.InstanceLeft) -> Changes:
    return {"leaving": None if state.leaving == event.instance_id else state.leaving}


def _termination_requested(_: State, __: m.TerminationRequested) -> Changes:
    return {"terminating": True, "provisioning": None}


def _stopped(state: State, event: m.SessionStopped) -> Changes:
    return {**_gone(state, event), "terminating": False, "leaving": None}


def _erased(state: State, _: m.SessionErased) -> Changes:
    """Keep nothing but what is needed to find and finish the erasure."""
    blank = initial(state.id)
    return {field: getattr(blank, field) for field in State.__struct_fields__ if field not in ("id", "phase")}


# ------------------------------------------------------------------------------------ callbacks, budget, notifications


def _callback_ordered(state: State, event: m.CallbackOrdered) -> Changes:
    callback = Callback(event.number, event.outcome, event.text, event.at_ms)
    over = [c for c in state.callbacks if c.status in ("delivered", "dropped")]
    forgotten = {c.number for c in over[: max(0, len(over) - CALLBACKS_REMEMBERED_MAX)]}
    kept = tuple(c for c in state.callbacks if c.number not in forgotten)
    return {"callbacks": (*kept, callback), "owed": False}


def _callback_delivered(state: State, event: m.CallbackDelivered) -> Changes:
    return _callback_is(state, event.number, "delivered", "")


def _callback_undelivered(state: State, event: m.CallbackUndelivered) -> Changes:
    return _callback_is(state, event.number, "undelivered", event.reason)


def _callback_dropped(state: State, event: m.CallbackDropped) -> Changes:
    return _callback_is(state, event.number, "dropped", event.reason)


def _callback_is(
    state: State, number: int, status: Literal["delivered", "undelivered", "dropped"], reason: str
) -> Changes:
    changed = (replace(c, status=status, reason=reason) if c.number == number else c for c in state.callbacks)
    return {"callbacks": tuple(changed)}


def _budget_set(_: State, event: m.BudgetSet) -> Changes:
    return {"budget": event.budget, "over_budget": None}


def _budget_exceeded(_: State, event: m.BudgetExceeded) -> Changes:
    return {"over_budget": event.what, "evidence": f"paused: {event.what}"}


def _notifications_read(state: State, event: m.NotificationsRead) -> Changes:
    numbers = set(event.numbers)
    seen = (replace(n, read=True) if n.number in numbers else n for n in state.notifications)
    return {"notifications": tuple(seen)}


_CHANGES: Final[Mapping[type[Any], Callable[[State, Any], Changes]]] = {
    m.SessionCreated: _created,
    m.SessionDescribed: _described,
    m.WorkspaceAttached: _workspace_attached,
    m.InstanceAttached: _instance_attached,
    m.ConversationOpened: _conversation_opened,
    m.ResumeRequested: _resume_requested,
    m.SessionResumed: _resumed,
    m.ProvisionFailed: _provision_failed,
    m.ProvisionDelayed: _provision_delayed,
    m.PromptAccepted: _prompt_accepted,
    m.PromptWithdrawn: _prompt_withdrawn,
    m.TurnStarted: _turn_started,
    m.TurnSteered: _turn_steered,
    m.PromptDelivered: _prompt_delivered,
    m.MessageRecorded: _message_recorded,
    m.PartRecorded: _part_recorded,
    m.TurnTreeTaken: _turn_tree_taken,
    m.ChangesRecorded: _changes_recorded,
    m.RequestOpened: _request_opened,
    m.RequestAnswered: _request_answered,
    m.RequestClosed: _request_closed,
    m.TurnContinued: _turn_continued,
    m.AbortRequested: _abort_requested,
    m.TurnEnded: _turn_ended,
    m.TurnFailed: _turn_failed,
    m.SessionSettled: _settled,
    m.InstanceDetached: _instance_detached,
    m.SessionCompleted: _completed,
    m.InstanceLeft: _instance_left,
    m.SessionDisconnected: _gone,
    m.TerminationRequested: _termination_requested,
    m.SessionStopped: _stopped,
    m.SessionErased: _erased,
    m.CallbackOrdered: _callback_ordered,
    m.CallbackDelivered: _callback_delivered,
    m.CallbackUndelivered: _callback_undelivered,
    m.CallbackDropped: _callback_dropped,
    m.BudgetSet: _budget_set,
    m.BudgetExceeded: _budget_exceeded,
    m.NotificationsRead: _notifications_read,
}
