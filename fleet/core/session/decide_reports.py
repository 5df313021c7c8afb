"""Decides about the reports of a session's own effects and of its instance.

They are never rejected: a report that comes too late no longer applies and is ignored.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from fleet.core.session import events as session_events
from fleet.core.session import report_commands, turn_events
from fleet.core.session.consequences import Events, setup_ended, step_failed, with_consequences
from fleet.core.session.state import RUNNING, State, newest_tree
from fleet.core.session.values import digest, raw
from fleet.ports import Message, Tokens


def _workspace_ready(command: report_commands.ReportWorkspaceReady, state: State) -> Events:
    if state.provisioning != "workspace":
        return ()
    attached = session_events.WorkspaceAttached(
        workspace_id=command.workspace_id,
        directory=command.directory,
        branch=command.branch,
        at_ms=command.at_ms,
        baseline=command.baseline,
        recipe=command.recipe,
    )
    return (attached,)


def _setup_held(command: report_commands.ReportSetupHeld, state: State) -> Events:
    held = state.setup is not None and state.setup.status == "held"
    return () if held or state.provisioning != "setup" else (session_events.SetupHeld(at_ms=command.at_ms),)


def _setup_started(command: report_commands.ReportSetupStarted, state: State) -> Events:
    return (session_events.SetupStarted(at_ms=command.at_ms),) if state.provisioning == "setup" else ()


def _setup_output(command: report_commands.ReportSetupOutput, state: State) -> Events:
    return (
        (session_events.SetupOutput(text=command.text, at_ms=command.at_ms),) if state.provisioning == "setup" else ()
    )


def _setup_ended(command: report_commands.ReportSetupEnded, state: State) -> Events:
    if state.provisioning != "setup":
        return ()
    return setup_ended(command, state)


def _instance_ready(command: report_commands.ReportInstanceReady, state: State) -> Events:
    if state.provisioning != "instance" or state.opencode.detaching_from is not None:
        return ()
    return (session_events.InstanceAttached(instance_id=command.instance_id, at_ms=command.at_ms),)


def _conversation_open(command: report_commands.ReportConversationOpen, state: State) -> Events:
    if state.provisioning != "conversation" or state.opencode.instance_id is None:
        return ()
    copied = _recorded(command.copied, state, command.at_ms, copied=True)
    if state.phase != "created":
        resumed = session_events.SessionResumed(
            instance_id=state.opencode.instance_id, opencode_id=command.opencode_id, at_ms=command.at_ms
        )
        over = _left_behind(state, command.at_ms) if command.restored else ()
        return with_consequences((*over, resumed, *copied), state, command.at_ms, None)
    opened = session_events.ConversationOpened(opencode_id=command.opencode_id, at_ms=command.at_ms)
    return with_consequences((opened, *copied), state, command.at_ms, command.new_ids)


def _left_behind(state: State, at_ms: int) -> Events:
    """Return the end of a turn that ran on another host: it does not continue on this one."""
    if state.turn is None:
        return ()
    evidence = "its host is lost; the session continues on another one, where the prompt can be sent again"
    outcome: Final = "aborted" if state.turn.aborting else "interrupted"
    return (turn_events.TurnEnded(number=state.turn.number, outcome=outcome, evidence=evidence, at_ms=at_ms),)


def _provision_failed(command: report_commands.ReportProvisionFailed, state: State) -> Events:
    if state.provisioning != command.step:
        return ()
    failed = session_events.ProvisionFailed(
        step=command.step, code=command.code, detail=command.detail, at_ms=command.at_ms
    )
    return step_failed(failed, state, host_lost=command.host_lost)


def _provision_delayed(command: report_commands.ReportProvisionDelayed, state: State) -> Events:
    if state.provisioning != command.step or state.evidence == command.reason:
        return ()
    return (session_events.ProvisionDelayed(step=command.step, reason=command.reason, at_ms=command.at_ms),)


def _delivered(command: report_commands.ReportPromptDelivered, state: State) -> Events:
    turn = state.turn
    if state.phase not in RUNNING or turn is None:
        return ()
    first = turn.message_id == command.message_id and not turn.delivered
    if not first and all(p.message_id != command.message_id for p in turn.steering):
        return ()
    return (turn_events.PromptDelivered(message_id=command.message_id, at_ms=command.at_ms, kept_as=command.kept_as),)


def _transcript(command: report_commands.ReportTranscript, state: State) -> Events:
    return () if state.phase == "created" else _recorded(command.messages, state, command.at_ms)


def _recorded(messages: tuple[Message, ...], state: State, at_ms: int, *, copied: bool = False) -> Events:
    """Return the events for the `messages` and parts that the log does not have; a fork begins with `copied` ones."""
    events: list[session_events.SessionEvent] = []
    for message in messages:
        info = message.info
        known = state.digest_by_id.get(info.id)
        # OpenCode adds its own summary of the diffs to a user's message, turn after turn; nothing else changes in it.
        if known is None or (info.role != "user" and known != digest(info.raw)):
            # The session that a fork was copied from has paid for the copied messages.
            own = info.created_ms >= state.created_at_ms
            events.append(
                turn_events.MessageRecorded(
                    message_id=info.id,
                    opencode_id=info.session_id,
                    role=info.role,
                    at_ms=at_ms,
                    body=raw(info.raw),
                    cost_usd=info.cost_usd if own else 0.0,
                    tokens=info.tokens if own else Tokens(),
                    created_ms=info.created_ms,
                    copied=copied,
                )
            )
        events.extend(
            turn_events.PartRecorded(
                part_id=part.id,
                message_id=part.message_id,
                type=part.type,
                at_ms=at_ms,
                body=raw(part.raw),
                opencode_id=info.session_id,
                copied=copied,
            )
            for part in message.parts
            if part.finished
            and part.id not in state.erased_parts
            and state.digest_by_id.get(part.id) != digest(part.raw)
        )
    return tuple(events)


def _request_opened(command: report_commands.ReportRequestOpened, state: State) -> Events:
    request = command.request
    known = (*(r.id for r in state.requests), *state.settled_requests)
    if state.phase not in RUNNING or state.turn is None or request.id in known:
        return ()
    return (
        turn_events.RequestOpened(
            request_id=request.id,
            opencode_id=request.session_id,
            kind=request.kind,
            at_ms=command.at_ms,
            body=raw(request.raw),
        ),
    )


def _request_closed(command: report_commands.ReportRequestClosed, state: State) -> Events:
    if all(r.id != command.request_id for r in state.requests):
        return ()
    closed = turn_events.RequestClosed(request_id=command.request_id, at_ms=command.at_ms)
    if len(state.requests) > 1:
        return (closed,)
    return (closed, turn_events.TurnContinued(at_ms=command.at_ms))


def _turn_is(number: int, state: State) -> bool:
    return state.phase in RUNNING and state.turn is not None and state.turn.number == number


def _turn_delayed(command: report_commands.ReportTurnDelayed, state: State) -> Events:
    turn = state.turn
    if turn is None or not _turn_is(command.number, state) or turn.aborting or state.requests:
        return ()
    is_long = command.is_long and not turn.delay_told
    if command.reason == turn.delay and not is_long:
        return ()
    return (
        turn_events.TurnDelayed(number=command.number, reason=command.reason, at_ms=command.at_ms, is_long=is_long),
    )


def _turn_ended(command: report_commands.ReportTurnEnded, state: State) -> Events:
    if not _turn_is(command.number, state):
        return ()
    aborting = state.turn is not None and state.turn.aborting
    outcome = "aborted" if aborting and command.outcome == "finished" else command.outcome
    ended = turn_events.TurnEnded(
        number=command.number, outcome=outcome, evidence=command.evidence, at_ms=command.at_ms
    )
    return with_consequences((ended,), state, command.at_ms, command.new_ids, command.moves)


def _turn_failed(command: report_commands.ReportTurnFailed, state: State) -> Events:
    if not _turn_is(command.number, state):
        return ()
    failed = turn_events.TurnFailed(
        number=command.number, code=command.code, detail=command.detail, at_ms=command.at_ms
    )
    return with_consequences((failed,), state, command.at_ms, None)


def _settled(command: report_commands.ReportSettled, state: State) -> Events:
    if state.phase not in RUNNING or state.turn is not None:
        return ()
    return with_consequences(
        (session_events.SessionSettled(evidence=command.evidence, at_ms=command.at_ms),),
        state,
        command.at_ms,
        command.new_ids,
    )


def ended_early(evidence: str) -> str:
    """Return the text for a process that ended before the session was ready; `evidence` is why."""
    return f"The OpenCode process has ended before the session could use it: {evidence}."


def _instance_ended(command: report_commands.ReportInstanceEnded, state: State) -> Events:
    if command.instance_id != state.opencode.instance_id:
        return ()
    detached = session_events.InstanceDetaching(
        instance_id=command.instance_id, evidence=command.evidence, at_ms=command.at_ms
    )
    if state.stopping:
        return (detached,)
    if state.provisioning is not None:
        # In this order: a detach during provisioning would order another instance.
        detail = ended_early(command.evidence)
        code = "host_unreachable" if command.host_lost else "opencode_exited"
        failed = session_events.ProvisionFailed(step=state.provisioning, code=code, detail=detail, at_ms=command.at_ms)
        return step_failed(failed, state, host_lost=command.host_lost, left=(detached,), evidence=command.evidence)
    if state.phase == "idle" and command.orderly:
        return (
            session_events.SessionCompleted(
                instance_id=command.instance_id, evidence=command.evidence, at_ms=command.at_ms
            ),
        )
    if state.phase == "idle" or state.phase in RUNNING:
        disconnected = session_events.SessionDisconnected(
            instance_id=command.instance_id, evidence=command.evidence, at_ms=command.at_ms
        )
        resumes = command.host_lost and state.settings.on_host_loss == "resume"
        return (disconnected, session_events.ResumeRequested(at_ms=command.at_ms)) if resumes else (disconnected,)
    return (detached,)


def _ended(command: report_commands.ReportSessionStopped, state: State) -> Events:
    if not state.stopping:
        return ()
    turn = state.turn
    steering = () if turn is None else turn.steering
    over = (
        ()
        if turn is None
        else (turn_events.TurnEnded(number=turn.number, outcome="aborted", evidence=_STOPPED, at_ms=command.at_ms),)
    )
    withdrawn = (
        turn_events.PromptWithdrawn(prompt_id=p.prompt_id, reason=_STOPPED, at_ms=command.at_ms)
        for p in (*steering, *state.queue.prompts)
    )
    stopped = session_events.SessionStopped(evidence=command.evidence, at_ms=command.at_ms, leaves=command.leaves)
    return with_consequences((*over, *withdrawn, stopped), state, command.at_ms, None)


def _turn_tree(command: report_commands.ReportTurnSnapshot, state: State) -> Events:
    if not _turn_is(command.number, state) or state.turn is None:
        return ()
    if state.turn.delivered or state.turn.base is not None:  # a later tree would hide changes of the prompt
        return ()
    return (turn_events.TurnSnapshotTaken(number=command.number, tree=command.tree, at_ms=command.at_ms),)


def _step_tree(command: report_commands.ReportStepSnapshot, state: State) -> Events:
    turn = state.turn
    if turn is None or not _turn_is(command.number, state) or turn.aborting or not turn.delivered:
        return ()
    if command.tree == newest_tree(state):
        return ()
    taken = turn_events.StepSnapshotTaken(
        number=command.number, part_id=command.part_id, tool=command.tool, tree=command.tree, at_ms=command.at_ms
    )
    return (taken,)


def _changes(command: report_commands.ReportChanges, state: State) -> Events:
    if state.turn is None or state.turn.number != command.number:
        return ()
    return (
        turn_events.ChangesRecorded(
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


def _left(command: report_commands.ReportDetached, state: State) -> Events:
    return (
        (session_events.InstanceDetached(instance_id=command.instance_id, at_ms=command.at_ms),)
        if state.opencode.detaching_from == command.instance_id
        else ()
    )


def _waits(number: int, state: State) -> bool:
    return any(c.number == number and c.status in ("pending", "undelivered") for c in state.callbacks.sent)


def _callback_delivered(command: report_commands.ReportCallbackDelivered, state: State) -> Events:
    return (
        (session_events.CallbackDelivered(number=command.number, at_ms=command.at_ms),)
        if _waits(command.number, state)
        else ()
    )


def _callback_undelivered(command: report_commands.ReportCallbackUndelivered, state: State) -> Events:
    if all(c.number != command.number or c.status != "pending" for c in state.callbacks.sent):
        return ()
    return (session_events.CallbackUndelivered(number=command.number, reason=command.reason, at_ms=command.at_ms),)


def _callback_dropped(command: report_commands.ReportCallbackDropped, state: State) -> Events:
    if not _waits(command.number, state):
        return ()
    return (session_events.CallbackDropped(number=command.number, reason=command.reason, at_ms=command.at_ms),)


_STOPPED: Final = "the session was stopped"
"""Why a turn ended, and why a prompt no longer waits."""

_NOT_FOR_THE_END: Final = (
    report_commands.ReportTranscript,
    report_commands.ReportTurnSnapshot,
    report_commands.ReportStepSnapshot,
    report_commands.ReportChanges,
    report_commands.ReportRequestOpened,
)


def can_drop(command: object, state: State) -> bool:
    """Return whether the end of a turn or session, once a caller has asked for it, must not wait for this report.

    A full disk refuses the report, and the end may be what makes room.
    """
    ending = state.stopping or (state.turn is not None and state.turn.aborting)
    return ending and isinstance(command, _NOT_FOR_THE_END)


REPORTS: Final[Mapping[type[Any], Callable[[Any, State], Events]]] = {
    report_commands.ReportWorkspaceReady: _workspace_ready,
    report_commands.ReportSetupHeld: _setup_held,
    report_commands.ReportSetupStarted: _setup_started,
    report_commands.ReportSetupOutput: _setup_output,
    report_commands.ReportSetupEnded: _setup_ended,
    report_commands.ReportInstanceReady: _instance_ready,
    report_commands.ReportConversationOpen: _conversation_open,
    report_commands.ReportProvisionFailed: _provision_failed,
    report_commands.ReportProvisionDelayed: _provision_delayed,
    report_commands.ReportPromptDelivered: _delivered,
    report_commands.ReportTranscript: _transcript,
    report_commands.ReportRequestOpened: _request_opened,
    report_commands.ReportRequestClosed: _request_closed,
    report_commands.ReportTurnDelayed: _turn_delayed,
    report_commands.ReportTurnEnded: _turn_ended,
    report_commands.ReportTurnFailed: _turn_failed,
    report_commands.ReportSettled: _settled,
    report_commands.ReportInstanceEnded: _instance_ended,
    report_commands.ReportSessionStopped: _ended,
    report_commands.ReportTurnSnapshot: _turn_tree,
    report_commands.ReportStepSnapshot: _step_tree,
    report_commands.ReportChanges: _changes,
    report_commands.ReportDetached: _left,
    report_commands.ReportCallbackDelivered: _callback_delivered,
    report_commands.ReportCallbackUndelivered: _callback_undelivered,
    report_commands.ReportCallbackDropped: _callback_dropped,
}
