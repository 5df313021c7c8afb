"""What the session makes of the reports of its own effects and of its instance.

They are never rejected: one that comes too late is ignored, because the world that it speaks of is gone.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from fleet.core.session import messages as m
from fleet.core.session.following import Events, followed, setup_ended
from fleet.core.session.state import RUNNING, State
from fleet.ports import Message, Tokens


def _workspace_ready(command: m.ReportWorkspaceReady, state: State) -> Events:
    if state.provisioning != "workspace":
        return ()
    attached = m.WorkspaceAttached(
        command.workspace_id, command.directory, command.branch, command.at_ms, command.baseline, command.recipe
    )
    return (attached,)


def _setup_held(command: m.ReportSetupHeld, state: State) -> Events:
    held = state.setup is not None and state.setup.status == "held"
    return () if held or state.provisioning != "setup" else (m.SetupHeld(command.at_ms),)


def _setup_started(command: m.ReportSetupStarted, state: State) -> Events:
    return (m.SetupStarted(command.at_ms),) if state.provisioning == "setup" else ()


def _setup_output(command: m.ReportSetupOutput, state: State) -> Events:
    return (m.SetupOutput(command.text, command.at_ms),) if state.provisioning == "setup" else ()


def _setup_ended(command: m.ReportSetupEnded, state: State) -> Events:
    if state.provisioning != "setup":
        return ()
    return setup_ended(command, state)


def _instance_ready(command: m.ReportInstanceReady, state: State) -> Events:
    if state.provisioning != "instance" or state.leaving is not None:
        return ()
    return (m.InstanceAttached(command.instance_id, command.at_ms),)


def _conversation_open(command: m.ReportConversationOpen, state: State) -> Events:
    if state.provisioning != "conversation" or state.instance_id is None:
        return ()
    copied = _recorded(command.copied, state, command.at_ms)
    if state.phase != "created":
        return (m.SessionResumed(state.instance_id, command.opencode_id, command.at_ms), *copied)
    opened = m.ConversationOpened(command.opencode_id, command.at_ms)
    return followed((opened, *copied), state, command.at_ms, command.fresh)


def _provision_failed(command: m.ReportProvisionFailed, state: State) -> Events:
    if state.provisioning != command.step:
        return ()
    failed = m.ProvisionFailed(command.step, command.code, command.detail, command.at_ms)
    return followed((failed,), state, command.at_ms, None)


def _provision_delayed(command: m.ReportProvisionDelayed, state: State) -> Events:
    if state.provisioning != command.step or state.evidence == command.reason:
        return ()
    return (m.ProvisionDelayed(command.step, command.reason, command.at_ms),)


def _delivered(command: m.ReportDelivered, state: State) -> Events:
    turn = state.turn
    if state.phase not in RUNNING or turn is None:
        return ()
    first = turn.message_id == command.message_id and not turn.delivered
    if not first and all(p.message_id != command.message_id for p in turn.steering):
        return ()
    return (m.PromptDelivered(command.message_id, command.at_ms, command.kept_as),)


def _transcript(command: m.ReportTranscript, state: State) -> Events:
    return () if state.phase == "created" else _recorded(command.messages, state, command.at_ms)


def _recorded(messages: tuple[Message, ...], state: State, at_ms: int) -> Events:
    """Return what of `messages` the log does not have yet."""
    events: list[m.Event] = []
    for message in messages:
        info = message.info
        if state.recorded.get(info.id) != m.digest(info.raw):
            # What a fork has copied was paid for by the session that it comes from.
            own = info.created_ms >= state.created_at_ms
            events.append(
                m.MessageRecorded(
                    info.id,
                    info.session_id,
                    info.role,
                    at_ms,
                    m.raw(info.raw),
                    info.cost_usd if own else 0.0,
                    info.tokens if own else Tokens(),
                    info.created_ms,
                )
            )
        events.extend(
            m.PartRecorded(part.id, part.message_id, part.type, at_ms, m.raw(part.raw), info.session_id)
            for part in message.parts
            if part.finished and state.recorded.get(part.id) != m.digest(part.raw)
        )
    return tuple(events)


def _request_opened(command: m.ReportRequestOpened, state: State) -> Events:
    request = command.request
    known = (*(r.id for r in state.requests), *state.settled_requests)
    if state.phase not in RUNNING or state.turn is None or request.id in known:
        return ()
    return (m.RequestOpened(request.id, request.session_id, request.kind, command.at_ms, m.raw(request.raw)),)


def _request_closed(command: m.ReportRequestClosed, state: State) -> Events:
    if all(r.id != command.request_id for r in state.requests):
        return ()
    closed = m.RequestClosed(command.request_id, command.at_ms)
    if len(state.requests) > 1:
        return (closed,)
    return (closed, m.TurnContinued(command.at_ms))


def _turn_is(number: int, state: State) -> bool:
    return state.phase in RUNNING and state.turn is not None and state.turn.number == number


def _turn_delayed(command: m.ReportTurnDelayed, state: State) -> Events:
    turn = state.turn
    if turn is None or not _turn_is(command.number, state) or turn.aborting or state.requests:
        return ()
    is_long = command.is_long and not turn.delay_told
    if command.reason == turn.delay and not is_long:
        return ()
    return (m.TurnDelayed(command.number, command.reason, command.at_ms, is_long),)


def _turn_ended(command: m.ReportTurnEnded, state: State) -> Events:
    if not _turn_is(command.number, state):
        return ()
    aborting = state.turn is not None and state.turn.aborting
    outcome = "aborted" if aborting and command.outcome == "finished" else command.outcome
    ended = m.TurnEnded(command.number, outcome, command.evidence, command.at_ms)
    return followed((ended,), state, command.at_ms, command.fresh)


def _turn_failed(command: m.ReportTurnFailed, state: State) -> Events:
    if not _turn_is(command.number, state):
        return ()
    failed = m.TurnFailed(command.number, command.code, command.detail, command.at_ms)
    return followed((failed,), state, command.at_ms, None)


def _settled(command: m.ReportSettled, state: State) -> Events:
    if state.phase not in RUNNING or state.turn is not None:
        return ()
    return followed((m.SessionSettled(command.evidence, command.at_ms),), state, command.at_ms, command.fresh)


def ended_early(evidence: str) -> str:
    """Return what to say of a process that is gone before the session is ready; `evidence` is why."""
    return f"The OpenCode process has ended before the session could use it: {evidence}."


def _instance_ended(command: m.ReportInstanceEnded, state: State) -> Events:
    if command.instance_id != state.instance_id:
        return ()
    detached = m.InstanceDetached(command.instance_id, command.evidence, command.at_ms)
    if state.terminating:
        return (detached,)
    if state.provisioning is not None:
        # In this order: detached while provisioning goes on would order another instance in between.
        detail = ended_early(command.evidence)
        failed = m.ProvisionFailed(state.provisioning, "opencode_exited", detail, command.at_ms)
        return followed((failed, detached), state, command.at_ms, None)
    if state.phase == "idle" and command.orderly:
        return (m.SessionCompleted(command.instance_id, command.evidence, command.at_ms),)
    if state.phase == "idle" or state.phase in RUNNING:
        return (m.SessionDisconnected(command.instance_id, command.evidence, command.at_ms),)
    return (detached,)


def _ended(command: m.ReportEnded, state: State) -> Events:
    if not state.terminating:
        return ()
    turn = state.turn
    steering = () if turn is None else turn.steering
    over = () if turn is None else (m.TurnEnded(turn.number, "aborted", "terminated", command.at_ms),)
    withdrawn = (m.PromptWithdrawn(p.prompt_id, "terminated", command.at_ms) for p in (*steering, *state.queue))
    stopped = m.SessionStopped(command.evidence, command.at_ms, command.leaves)
    return followed((*over, *withdrawn, stopped), state, command.at_ms, None)


def _turn_tree(command: m.ReportTurnTree, state: State) -> Events:
    if not _turn_is(command.number, state) or state.turn is None:
        return ()
    if state.turn.delivered or state.turn.base is not None:  # a later tree would hide what the prompt has done already
        return ()
    return (m.TurnTreeTaken(command.number, command.tree, command.at_ms),)


def _changes(command: m.ReportChanges, state: State) -> Events:
    if state.turn is None or state.turn.number != command.number:
        return ()
    return (
        m.ChangesRecorded(
            command.number,
            command.tree,
            command.turn_manifest,
            command.session_manifest,
            command.totals,
            command.overlaps,
            command.at_ms,
            command.turn_totals,
        ),
    )


def _left(command: m.ReportLeft, state: State) -> Events:
    return (m.InstanceLeft(command.instance_id, command.at_ms),) if state.leaving == command.instance_id else ()


def _waits(number: int, state: State) -> bool:
    return any(c.number == number and c.status in ("pending", "undelivered") for c in state.callbacks)


def _callback_delivered(command: m.ReportCallbackDelivered, state: State) -> Events:
    return (m.CallbackDelivered(command.number, command.at_ms),) if _waits(command.number, state) else ()


def _callback_undelivered(command: m.ReportCallbackUndelivered, state: State) -> Events:
    if all(c.number != command.number or c.status != "pending" for c in state.callbacks):
        return ()
    return (m.CallbackUndelivered(command.number, command.reason, command.at_ms),)


def _callback_dropped(command: m.ReportCallbackDropped, state: State) -> Events:
    if not _waits(command.number, state):
        return ()
    return (m.CallbackDropped(command.number, command.reason, command.at_ms),)


REPORTS: Final[Mapping[type[Any], Callable[[Any, State], Events]]] = {
    m.ReportWorkspaceReady: _workspace_ready,
    m.ReportSetupHeld: _setup_held,
    m.ReportSetupStarted: _setup_started,
    m.ReportSetupOutput: _setup_output,
    m.ReportSetupEnded: _setup_ended,
    m.ReportInstanceReady: _instance_ready,
    m.ReportConversationOpen: _conversation_open,
    m.ReportProvisionFailed: _provision_failed,
    m.ReportProvisionDelayed: _provision_delayed,
    m.ReportDelivered: _delivered,
    m.ReportTranscript: _transcript,
    m.ReportRequestOpened: _request_opened,
    m.ReportRequestClosed: _request_closed,
    m.ReportTurnDelayed: _turn_delayed,
    m.ReportTurnEnded: _turn_ended,
    m.ReportTurnFailed: _turn_failed,
    m.ReportSettled: _settled,
    m.ReportInstanceEnded: _instance_ended,
    m.ReportEnded: _ended,
    m.ReportTurnTree: _turn_tree,
    m.ReportChanges: _changes,
    m.ReportLeft: _left,
    m.ReportCallbackDelivered: _callback_delivered,
    m.ReportCallbackUndelivered: _callback_undelivered,
    m.ReportCallbackDropped: _callback_dropped,
}
