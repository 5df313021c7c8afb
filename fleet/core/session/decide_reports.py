"""Decides about the reports of a session's own effects and of its instance.

They are never rejected: one that comes too late is ignored, because the world that it speaks of is gone.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from fleet.core.session.consequences import Events, setup_ended, with_consequences
from fleet.core.session.events import (
    CallbackDelivered,
    CallbackDropped,
    CallbackUndelivered,
    ConversationOpened,
    InstanceAttached,
    InstanceDetached,
    InstanceDetaching,
    ProvisionDelayed,
    ProvisionFailed,
    SessionCompleted,
    SessionDisconnected,
    SessionEvent,
    SessionResumed,
    SessionSettled,
    SessionStopped,
    SetupHeld,
    SetupOutput,
    SetupStarted,
    WorkspaceAttached,
)
from fleet.core.session.report_commands import (
    ReportCallbackDelivered,
    ReportCallbackDropped,
    ReportCallbackUndelivered,
    ReportChanges,
    ReportConversationOpen,
    ReportDetached,
    ReportInstanceEnded,
    ReportInstanceReady,
    ReportPromptDelivered,
    ReportProvisionDelayed,
    ReportProvisionFailed,
    ReportRequestClosed,
    ReportRequestOpened,
    ReportSessionStopped,
    ReportSettled,
    ReportSetupEnded,
    ReportSetupHeld,
    ReportSetupOutput,
    ReportSetupStarted,
    ReportTranscript,
    ReportTurnDelayed,
    ReportTurnEnded,
    ReportTurnFailed,
    ReportTurnSnapshot,
    ReportWorkspaceReady,
)
from fleet.core.session.state import RUNNING, State
from fleet.core.session.turn_events import (
    ChangesRecorded,
    MessageRecorded,
    PartRecorded,
    PromptDelivered,
    PromptWithdrawn,
    RequestClosed,
    RequestOpened,
    TurnContinued,
    TurnDelayed,
    TurnEnded,
    TurnFailed,
    TurnSnapshotTaken,
)
from fleet.core.session.values import digest, raw
from fleet.ports import Message, Tokens


def _workspace_ready(command: ReportWorkspaceReady, state: State) -> Events:
    if state.provisioning != "workspace":
        return ()
    attached = WorkspaceAttached(
        workspace_id=command.workspace_id,
        directory=command.directory,
        branch=command.branch,
        at_ms=command.at_ms,
        baseline=command.baseline,
        recipe=command.recipe,
    )
    return (attached,)


def _setup_held(command: ReportSetupHeld, state: State) -> Events:
    held = state.setup is not None and state.setup.status == "held"
    return () if held or state.provisioning != "setup" else (SetupHeld(at_ms=command.at_ms),)


def _setup_started(command: ReportSetupStarted, state: State) -> Events:
    return (SetupStarted(at_ms=command.at_ms),) if state.provisioning == "setup" else ()


def _setup_output(command: ReportSetupOutput, state: State) -> Events:
    return (SetupOutput(text=command.text, at_ms=command.at_ms),) if state.provisioning == "setup" else ()


def _setup_ended(command: ReportSetupEnded, state: State) -> Events:
    if state.provisioning != "setup":
        return ()
    return setup_ended(command, state)


def _instance_ready(command: ReportInstanceReady, state: State) -> Events:
    if state.provisioning != "instance" or state.opencode.detaching_from is not None:
        return ()
    return (InstanceAttached(instance_id=command.instance_id, at_ms=command.at_ms),)


def _conversation_open(command: ReportConversationOpen, state: State) -> Events:
    if state.provisioning != "conversation" or state.opencode.instance_id is None:
        return ()
    copied = _recorded(command.copied, state, command.at_ms)
    if state.phase != "created":
        return (
            SessionResumed(
                instance_id=state.opencode.instance_id, opencode_id=command.opencode_id, at_ms=command.at_ms
            ),
            *copied,
        )
    opened = ConversationOpened(opencode_id=command.opencode_id, at_ms=command.at_ms)
    return with_consequences((opened, *copied), state, command.at_ms, command.fresh)


def _provision_failed(command: ReportProvisionFailed, state: State) -> Events:
    if state.provisioning != command.step:
        return ()
    failed = ProvisionFailed(step=command.step, code=command.code, detail=command.detail, at_ms=command.at_ms)
    return with_consequences((failed,), state, command.at_ms, None)


def _provision_delayed(command: ReportProvisionDelayed, state: State) -> Events:
    if state.provisioning != command.step or state.evidence == command.reason:
        return ()
    return (ProvisionDelayed(step=command.step, reason=command.reason, at_ms=command.at_ms),)


def _delivered(command: ReportPromptDelivered, state: State) -> Events:
    turn = state.turn
    if state.phase not in RUNNING or turn is None:
        return ()
    first = turn.message_id == command.message_id and not turn.delivered
    if not first and all(p.message_id != command.message_id for p in turn.steering):
        return ()
    return (PromptDelivered(message_id=command.message_id, at_ms=command.at_ms, kept_as=command.kept_as),)


def _transcript(command: ReportTranscript, state: State) -> Events:
    return () if state.phase == "created" else _recorded(command.messages, state, command.at_ms)


def _recorded(messages: tuple[Message, ...], state: State, at_ms: int) -> Events:
    """Return what of `messages` the log does not have yet."""
    events: list[SessionEvent] = []
    for message in messages:
        info = message.info
        if state.digest_by_id.get(info.id) != digest(info.raw):
            # What a fork has copied was paid for by the session that it comes from.
            own = info.created_ms >= state.created_at_ms
            events.append(
                MessageRecorded(
                    message_id=info.id,
                    opencode_id=info.session_id,
                    role=info.role,
                    at_ms=at_ms,
                    body=raw(info.raw),
                    cost_usd=info.cost_usd if own else 0.0,
                    tokens=info.tokens if own else Tokens(),
                    created_ms=info.created_ms,
                )
            )
        events.extend(
            PartRecorded(
                part_id=part.id,
                message_id=part.message_id,
                type=part.type,
                at_ms=at_ms,
                body=raw(part.raw),
                opencode_id=info.session_id,
            )
            for part in message.parts
            if part.finished and state.digest_by_id.get(part.id) != digest(part.raw)
        )
    return tuple(events)


def _request_opened(command: ReportRequestOpened, state: State) -> Events:
    request = command.request
    known = (*(r.id for r in state.requests), *state.settled_requests)
    if state.phase not in RUNNING or state.turn is None or request.id in known:
        return ()
    return (
        RequestOpened(
            request_id=request.id,
            opencode_id=request.session_id,
            kind=request.kind,
            at_ms=command.at_ms,
            body=raw(request.raw),
        ),
    )


def _request_closed(command: ReportRequestClosed, state: State) -> Events:
    if all(r.id != command.request_id for r in state.requests):
        return ()
    closed = RequestClosed(request_id=command.request_id, at_ms=command.at_ms)
    if len(state.requests) > 1:
        return (closed,)
    return (closed, TurnContinued(at_ms=command.at_ms))


def _turn_is(number: int, state: State) -> bool:
    return state.phase in RUNNING and state.turn is not None and state.turn.number == number


def _turn_delayed(command: ReportTurnDelayed, state: State) -> Events:
    turn = state.turn
    if turn is None or not _turn_is(command.number, state) or turn.aborting or state.requests:
        return ()
    is_long = command.is_long and not turn.delay_told
    if command.reason == turn.delay and not is_long:
        return ()
    return (TurnDelayed(number=command.number, reason=command.reason, at_ms=command.at_ms, is_long=is_long),)


def _turn_ended(command: ReportTurnEnded, state: State) -> Events:
    if not _turn_is(command.number, state):
        return ()
    aborting = state.turn is not None and state.turn.aborting
    outcome = "aborted" if aborting and command.outcome == "finished" else command.outcome
    ended = TurnEnded(number=command.number, outcome=outcome, evidence=command.evidence, at_ms=command.at_ms)
    return with_consequences((ended,), state, command.at_ms, command.fresh)


def _turn_failed(command: ReportTurnFailed, state: State) -> Events:
    if not _turn_is(command.number, state):
        return ()
    failed = TurnFailed(number=command.number, code=command.code, detail=command.detail, at_ms=command.at_ms)
    return with_consequences((failed,), state, command.at_ms, None)


def _settled(command: ReportSettled, state: State) -> Events:
    if state.phase not in RUNNING or state.turn is not None:
        return ()
    return with_consequences(
        (SessionSettled(evidence=command.evidence, at_ms=command.at_ms),), state, command.at_ms, command.fresh
    )


def ended_early(evidence: str) -> str:
    """Return what to say of a process that is gone before the session is ready; `evidence` is why."""
    return f"The OpenCode process has ended before the session could use it: {evidence}."


def _instance_ended(command: ReportInstanceEnded, state: State) -> Events:
    if command.instance_id != state.opencode.instance_id:
        return ()
    detached = InstanceDetaching(instance_id=command.instance_id, evidence=command.evidence, at_ms=command.at_ms)
    if state.stopping:
        return (detached,)
    if state.provisioning is not None:
        # In this order: detached while provisioning goes on would order another instance in between.
        detail = ended_early(command.evidence)
        failed = ProvisionFailed(step=state.provisioning, code="opencode_exited", detail=detail, at_ms=command.at_ms)
        return with_consequences((failed, detached), state, command.at_ms, None)
    if state.phase == "idle" and command.orderly:
        return (SessionCompleted(instance_id=command.instance_id, evidence=command.evidence, at_ms=command.at_ms),)
    if state.phase == "idle" or state.phase in RUNNING:
        return (SessionDisconnected(instance_id=command.instance_id, evidence=command.evidence, at_ms=command.at_ms),)
    return (detached,)


def _ended(command: ReportSessionStopped, state: State) -> Events:
    if not state.stopping:
        return ()
    turn = state.turn
    steering = () if turn is None else turn.steering
    over = (
        ()
        if turn is None
        else (TurnEnded(number=turn.number, outcome="aborted", evidence="terminated", at_ms=command.at_ms),)
    )
    withdrawn = (
        PromptWithdrawn(prompt_id=p.prompt_id, reason="terminated", at_ms=command.at_ms)
        for p in (*steering, *state.queue.prompts)
    )
    stopped = SessionStopped(evidence=command.evidence, at_ms=command.at_ms, leaves=command.leaves)
    return with_consequences((*over, *withdrawn, stopped), state, command.at_ms, None)


def _turn_tree(command: ReportTurnSnapshot, state: State) -> Events:
    if not _turn_is(command.number, state) or state.turn is None:
        return ()
    if state.turn.delivered or state.turn.base is not None:  # a later tree would hide what the prompt has done already
        return ()
    return (TurnSnapshotTaken(number=command.number, tree=command.tree, at_ms=command.at_ms),)


def _changes(command: ReportChanges, state: State) -> Events:
    if state.turn is None or state.turn.number != command.number:
        return ()
    return (
        ChangesRecorded(
            number=command.number,
            tree=command.tree,
            turn_manifest=command.turn_manifest,
            session_manifest=command.session_manifest,
            totals=command.totals,
            overlaps=command.overlaps,
            at_ms=command.at_ms,
            turn_totals=command.turn_totals,
        ),
    )


def _left(command: ReportDetached, state: State) -> Events:
    return (
        (InstanceDetached(instance_id=command.instance_id, at_ms=command.at_ms),)
        if state.opencode.detaching_from == command.instance_id
        else ()
    )


def _waits(number: int, state: State) -> bool:
    return any(c.number == number and c.status in ("pending", "undelivered") for c in state.callbacks.sent)


def _callback_delivered(command: ReportCallbackDelivered, state: State) -> Events:
    return (CallbackDelivered(number=command.number, at_ms=command.at_ms),) if _waits(command.number, state) else ()


def _callback_undelivered(command: ReportCallbackUndelivered, state: State) -> Events:
    if all(c.number != command.number or c.status != "pending" for c in state.callbacks.sent):
        return ()
    return (CallbackUndelivered(number=command.number, reason=command.reason, at_ms=command.at_ms),)


def _callback_dropped(command: ReportCallbackDropped, state: State) -> Events:
    if not _waits(command.number, state):
        return ()
    return (CallbackDropped(number=command.number, reason=command.reason, at_ms=command.at_ms),)


REPORTS: Final[Mapping[type[Any], Callable[[Any, State], Events]]] = {
    ReportWorkspaceReady: _workspace_ready,
    ReportSetupHeld: _setup_held,
    ReportSetupStarted: _setup_started,
    ReportSetupOutput: _setup_output,
    ReportSetupEnded: _setup_ended,
    ReportInstanceReady: _instance_ready,
    ReportConversationOpen: _conversation_open,
    ReportProvisionFailed: _provision_failed,
    ReportProvisionDelayed: _provision_delayed,
    ReportPromptDelivered: _delivered,
    ReportTranscript: _transcript,
    ReportRequestOpened: _request_opened,
    ReportRequestClosed: _request_closed,
    ReportTurnDelayed: _turn_delayed,
    ReportTurnEnded: _turn_ended,
    ReportTurnFailed: _turn_failed,
    ReportSettled: _settled,
    ReportInstanceEnded: _instance_ended,
    ReportSessionStopped: _ended,
    ReportTurnSnapshot: _turn_tree,
    ReportChanges: _changes,
    ReportDetached: _left,
    ReportCallbackDelivered: _callback_delivered,
    ReportCallbackUndelivered: _callback_undelivered,
    ReportCallbackDropped: _callback_dropped,
}
