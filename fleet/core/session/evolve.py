"""Evolves a session by each event: `evolve` is the only place where its state changes.

It accepts every event that the table (transitions.py) allows; any other event means a corrupt log. notifications.py
selects the events that people are notified of.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec.structs import replace

from fleet.core.session import events
from fleet.core.session.activity import Activity, head
from fleet.core.session.evolve_turn import TURN_CHANGES, no_requests, with_queue
from fleet.core.session.notifications import NOTIFIES, notified
from fleet.core.session.state import (
    Callback,
    Failure,
    OpenCodeLink,
    ParentCallbacks,
    QueuedPrompt,
    Setup,
    State,
    initial,
)
from fleet.core.session.transitions import ENDED, TABLE
from fleet.core.session.values import digest, erased_callback
from fleet.core.transition_table import StatePatch, patch_of
from fleet.limits import CALLBACKS_REMEMBERED_MAX

_WORKSPACE_IS_READY: Final = {"evidence": "its workspace is ready; it gets an OpenCode process"}


def evolve(state: State, event: events.SessionEvent) -> State:
    """Return the state after `event`. Raises `ImpossibleEvent` for what the table refuses."""
    patch = patch_of(TABLE, _CHANGES, state, event, "a session")
    if state.phase == "active" and "phase" in patch:  # neither while it waits for a person nor without a process
        patch["running_ms"] = state.running_ms + max(0, event.at_ms - state.since_ms)
    if type(event) in NOTIFIES:
        patch.update(notified(state, event))
    if patch.get("evidence"):
        patch["evidence_at_ms"] = event.at_ms
    patch["changed_at_ms"] = event.at_ms
    return replace(state, **patch)


def _created(_: State, event: events.SessionCreated) -> StatePatch:
    return {
        "settings": event.settings,
        "workspace_id": event.workspace_id,
        "source_directory": event.source_directory,
        "source_repository": event.source_repository,
        "directory": event.directory,
        "opencode": OpenCodeLink(session_id=event.opencode_id),
        "depth": event.depth,
        "callbacks": ParentCallbacks(owed=event.settings.parent_id is not None),
        "provisioning": "workspace",
        "created_at_ms": event.at_ms,
        "evidence": "created; its workspace is being prepared",
    }


def _edited(state: State, event: events.SessionEdited) -> StatePatch:
    return {"settings": replace(state.settings, title=event.title, tags=event.tags)}


def _workspace_attached(state: State, event: events.WorkspaceAttached) -> StatePatch:
    is_first = state.snapshots.baseline is None
    return {
        **(_snapshots(state, baseline=event.baseline, newest=event.baseline) if is_first else {}),
        "workspace_id": event.workspace_id,
        "directory": event.directory,
        "settings": replace(state.settings, branch=event.branch),
        "provisioning": "instance" if event.recipe is None else "setup",
        "setup": state.setup if event.recipe is None else Setup(event.recipe, attempt=event.at_ms),
        **(_WORKSPACE_IS_READY if event.recipe is None and state.phase == "created" else {}),
    }


def _setup_held(state: State, event: events.SetupHeld) -> StatePatch:
    evidence = "waits for a person who allows the commands of the repository's .fleet.toml"
    return {**_setup(state, status="held", started_at_ms=event.at_ms), "evidence": evidence}


def _setup_started(state: State, event: events.SetupStarted) -> StatePatch:
    return {**_setup(state, status="running", started_at_ms=event.at_ms), "evidence": "its workspace is being set up"}


def _setup_output(_: State, __: events.SetupOutput) -> StatePatch:
    return {}


def _setup_ended(state: State, event: events.SetupEnded) -> StatePatch:
    end = {"exit_code": event.exit_code, "detail": event.detail, "ended_at_ms": event.at_ms}
    if event.exit_code != 0:
        return _setup(state, status="failed", **end)
    fresh = event.baseline is not None and not state.turns
    tree = _snapshots(state, baseline=event.baseline, newest=event.baseline) if fresh else {}
    return {**_setup(state, status="done", **end), **tree, "provisioning": "instance", **_WORKSPACE_IS_READY}


def _setup_skipped(state: State, event: events.SetupSkipped) -> StatePatch:
    goes_on = {"provisioning": "instance", **_WORKSPACE_IS_READY} if state.provisioning == "setup" else {}
    return {**_setup(state, status="skipped", ended_at_ms=event.at_ms), **goes_on}


def _setup(state: State, **changes: Any) -> StatePatch:
    return {} if state.setup is None else {"setup": replace(state.setup, **changes)}


def _snapshots(state: State, **changes: Any) -> StatePatch:
    return {"snapshots": replace(state.snapshots, **changes)}


def _opencode(state: State, **changes: Any) -> StatePatch:
    return {"opencode": replace(state.opencode, **changes)}


def _instance_attached(state: State, event: events.InstanceAttached) -> StatePatch:
    known = state.opencode.instance_ids
    known = known if event.instance_id in known else (*known, event.instance_id)
    return {
        **_opencode(state, instance_id=event.instance_id, instance_ids=known),
        "provisioning": "conversation",
        **({"evidence": "OpenCode creates the session"} if state.phase == "created" else {}),
    }


def _conversation_opened(state: State, event: events.ConversationOpened) -> StatePatch:
    return {
        **_opencode(state, session_id=event.opencode_id, session_exists=True, opened_by=state.opencode.instance_id),
        "provisioning": None,
        "failure": None,
        "evidence": "OpenCode has the session; no prompt yet",
    }


def _resume_requested(state: State, event: events.ResumeRequested) -> StatePatch:
    return {"provisioning": "workspace", **({} if event.opencode_id is None else _restarted(state, event.opencode_id))}


def _restarted(state: State, opencode_id: str) -> StatePatch:
    """Return the changes for a new conversation: nothing of the old one is kept."""
    return {
        **_opencode(
            state,
            session_id=opencode_id,
            earlier_session_ids=(*state.opencode.earlier_session_ids, state.opencode.session_id),
            session_exists=False,
        ),
        "settings": replace(state.settings, origin=None),
        "context": None,
        **with_queue(state, prompts=tuple(replace(p, message_id=None, part_ids=()) for p in state.queue.prompts)),
    }


def _resumed(state: State, event: events.SessionResumed) -> StatePatch:
    # The parent may have got a callback for a failed resume; the turn that continues now has its own outcome.
    goes_on = state.settings.parent_id is not None and state.turn is not None
    return {
        "callbacks": replace(state.callbacks, owed=state.callbacks.owed or goes_on),
        "turn": state.turn and replace(state.turn, resumed_at_ms=event.at_ms),
        **_opencode(state, session_id=event.opencode_id, session_exists=True, opened_by=event.instance_id),
        "provisioning": None,
        "failure": None,
        "ended_at_ms": None,
        "evidence": "resumed; Fleet checks what OpenCode runs for it",
    }


def _provision_failed(state: State, event: events.ProvisionFailed) -> StatePatch:
    what = "creation" if state.phase == "created" else "resume"
    # A session that remains ended must not hold a process.
    given_up = state.phase in ENDED and state.opencode.instance_id is not None
    cut_off = event.step == "setup" and state.setup is not None and state.setup.status != "failed"
    return {
        **(_setup(state, status="failed", detail=event.detail, ended_at_ms=event.at_ms) if cut_off else {}),
        **(_opencode(state, instance_id=None, detaching_from=state.opencode.instance_id) if given_up else {}),
        "provisioning": None,
        "failure": Failure(event.code, event.detail, event.at_ms, event.step),
        "evidence": f"{what} failed: {event.detail}",
    }


def _provision_delayed(_: State, event: events.ProvisionDelayed) -> StatePatch:
    return {"evidence": event.reason}


def _settled(state: State, event: events.SessionSettled) -> StatePatch:
    return {**no_requests(state), "evidence": event.evidence}


def _instance_detaching(state: State, event: events.InstanceDetaching) -> StatePatch:
    detaching_from = event.instance_id if event.leaves else state.opencode.detaching_from
    return _opencode(state, instance_id=None, detaching_from=detaching_from)


def _completed(state: State, event: events.SessionCompleted) -> StatePatch:
    return _gone(state, event, event.instance_id if event.leaves else None)


def _gone(
    state: State,
    event: events.SessionCompleted | events.SessionDisconnected | events.SessionStopped,
    detaching_from: str | None,
) -> StatePatch:
    return {
        **no_requests(state),
        **_opencode(state, instance_id=None, detaching_from=detaching_from),
        "evidence": event.evidence,
        "ended_at_ms": event.at_ms,
    }


def _disconnected(state: State, event: events.SessionDisconnected) -> StatePatch:
    # Prompts behind the interrupted turn wait until a person prompts, even when that turn is continued.
    cut_off = state.turn is not None and not state.turn.aborting
    paused = with_queue(state, paused=state.queue.paused or cut_off)
    return {**_gone(state, event, state.opencode.detaching_from), **paused, "provisioning": None}


def _instance_detached(state: State, event: events.InstanceDetached) -> StatePatch:
    return _opencode(state, detaching_from=None) if state.opencode.detaching_from == event.instance_id else {}


def _stop_requested(state: State, event: events.StopRequested) -> StatePatch:
    cut_off = state.provisioning == "setup"
    over = _setup(state, status="failed", detail="the session was ended", ended_at_ms=event.at_ms) if cut_off else {}
    return {**over, "stopping": True, "provisioning": None}


def _stopped(state: State, event: events.SessionStopped) -> StatePatch:
    detaching_from = (state.opencode.instance_id or state.opencode.detaching_from) if event.leaves else None
    return {**_gone(state, event, detaching_from), "stopping": False}


def _erased(state: State, _: events.SessionErased) -> StatePatch:
    """Keep only what is needed to find and finish the erasure."""
    blank = initial(state.id)
    return {field: getattr(blank, field) for field in State.__struct_fields__ if field not in ("id", "phase")}


# ------------------------------------------------------------------------------------ callbacks, budget, notifications


def _callback_ordered(state: State, event: events.CallbackOrdered) -> StatePatch:
    callback = Callback(event.number, event.outcome, event.text, event.at_ms)
    over = [c for c in state.callbacks.sent if c.status in ("delivered", "dropped")]
    forgotten = {c.number for c in over[: max(0, len(over) - CALLBACKS_REMEMBERED_MAX)]}
    kept = tuple(c for c in state.callbacks.sent if c.number not in forgotten)
    return {"callbacks": ParentCallbacks(sent=(*kept, callback))}


def _callback_delivered(state: State, event: events.CallbackDelivered) -> StatePatch:
    return _callback_is(state, event.number, "delivered", "")


def _callback_undelivered(state: State, event: events.CallbackUndelivered) -> StatePatch:
    return _callback_is(state, event.number, "undelivered", event.reason)


def _callback_dropped(state: State, event: events.CallbackDropped) -> StatePatch:
    return _callback_is(state, event.number, "dropped", event.reason)


def _callback_is(
    state: State, number: int, status: Literal["delivered", "undelivered", "dropped"], reason: str
) -> StatePatch:
    changed = (replace(c, status=status, reason=reason) if c.number == number else c for c in state.callbacks.sent)
    return {"callbacks": replace(state.callbacks, sent=tuple(changed))}


class _Part(msgspec.Struct):
    part_id: str = ""
    body: msgspec.Raw = msgspec.Raw(b"")


def _callbacks_erased(state: State, event: events.CallbacksErased) -> StatePatch:
    """Let the state be as if the callbacks had had their new text from the beginning."""
    text, turn = erased_callback(event.child_id), state.turn
    if turn is not None:
        steering = tuple(_without_text(prompt, event.prompts, text) for prompt in turn.steering)
        turn = replace(turn, prompt=_without_text(turn.prompt, event.prompts, text), steering=steering)
    prompts = tuple(_without_text(prompt, event.prompts, text) for prompt in state.queue.prompts)
    recorded = (msgspec.json.decode(each.payload, type=_Part) for each in event.replaced)
    digests = {part.part_id: digest(part.body) for part in recorded if part.part_id in state.digest_by_id}
    return {
        "turn": turn,
        "queue": replace(state.queue, prompts=prompts),
        "digest_by_id": {**state.digest_by_id, **digests},
        "erased_parts": (*state.erased_parts, *(each for each in event.parts if each not in state.erased_parts)),
        "asked": head(text) if event.shown else state.asked,
        "last_line": _last_line(state, event, head(text)),
    }


def _without_text(prompt: QueuedPrompt, erased: Sequence[str], text: str) -> QueuedPrompt:
    return replace(prompt, text=text) if prompt.prompt_id in erased else prompt


def _last_line(state: State, event: events.CallbacksErased, prompt: str) -> Activity | None:
    last = state.last_line
    if last is None:
        return None
    line = prompt if event.shown and last.kind == "prompt" else event.line
    return last if line is None else replace(last, text=line)


def _budget_set(state: State, event: events.BudgetSet) -> StatePatch:
    goes_on = {} if state.usage.exceeded is None else {"evidence": "was paused; it has another budget now"}
    settings, usage = replace(state.settings, budget=event.budget), replace(state.usage, exceeded=None)
    return {"settings": settings, "usage": usage, **goes_on}


def _budget_exceeded(state: State, event: events.BudgetExceeded) -> StatePatch:
    return {"usage": replace(state.usage, exceeded=event.what), "evidence": f"paused: {event.what}"}


def _notifications_read(state: State, event: events.NotificationsRead) -> StatePatch:
    numbers = set(event.numbers)
    seen = (replace(n, read=True) if n.number in numbers else n for n in state.notifications)
    return {"notifications": tuple(seen)}


_CHANGES: Final[Mapping[type[Any], Callable[[State, Any], StatePatch]]] = {
    events.SessionCreated: _created,
    events.SessionEdited: _edited,
    events.WorkspaceAttached: _workspace_attached,
    events.SetupHeld: _setup_held,
    events.SetupStarted: _setup_started,
    events.SetupOutput: _setup_output,
    events.SetupEnded: _setup_ended,
    events.SetupSkipped: _setup_skipped,
    events.InstanceAttached: _instance_attached,
    events.ConversationOpened: _conversation_opened,
    events.ResumeRequested: _resume_requested,
    events.SessionResumed: _resumed,
    events.ProvisionFailed: _provision_failed,
    events.ProvisionDelayed: _provision_delayed,
    events.SessionSettled: _settled,
    events.InstanceDetaching: _instance_detaching,
    events.SessionCompleted: _completed,
    events.InstanceDetached: _instance_detached,
    events.SessionDisconnected: _disconnected,
    events.StopRequested: _stop_requested,
    events.SessionStopped: _stopped,
    events.SessionErased: _erased,
    events.CallbackOrdered: _callback_ordered,
    events.CallbackDelivered: _callback_delivered,
    events.CallbackUndelivered: _callback_undelivered,
    events.CallbackDropped: _callback_dropped,
    events.CallbacksErased: _callbacks_erased,
    events.BudgetSet: _budget_set,
    events.BudgetExceeded: _budget_exceeded,
    events.NotificationsRead: _notifications_read,
    **TURN_CHANGES,
}
