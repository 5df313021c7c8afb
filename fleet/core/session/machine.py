"""What a session may be ordered to do: `decide`, and the `Decider` that binds the session's four functions.

A command that has been carried out already gives no events; one that is not allowed raises `Rejected`. Reports of the
session's own effects are never rejected: one that comes too late is ignored, because the world it speaks of is gone.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from fleet.core.decider import Decider
from fleet.core.session import messages as m
from fleet.core.session.effects import Effect, pending, react
from fleet.core.session.state import ENDED, RUNNING, State, evolve, initial
from fleet.errors import Rejected
from fleet.limits import ATTACHMENTS_MAX, PROMPT_TEXT_BYTES_MAX, QUEUE_PROMPTS_MAX, TITLE_CHARS_MAX

Events = tuple[m.Event, ...]


def decide(command: m.Command, state: State) -> Events:
    """Return the events that `command` causes. Raises `Rejected`."""
    if state.phase == "unborn" and not isinstance(command, m.CreateSession):
        raise Rejected("session_not_found", f"there is no session {state.id}")
    return _DECIDE[type(command)](command, state)


# --------------------------------------------------------------------------------------------------- orders of callers


def _create(command: m.CreateSession, state: State) -> Events:
    if state.phase != "unborn":
        return ()
    _check_title(command.title)
    created = m.SessionCreated(
        command.session_id,
        command.title,
        command.workspace_id,
        command.strategy,
        command.source_directory,
        command.source_repository,
        command.directory,
        command.opencode_id,
        command.at_ms,
        command.branch,
        command.base_ref,
        command.tags,
        command.agent,
        command.model,
    )
    if command.initial_prompt is None:
        return (created,)
    return (created, _accept(command.initial_prompt))


def _check_title(title: str) -> None:
    if not title.strip():
        raise Rejected("invalid", "the title is empty", field="title")
    if len(title) > TITLE_CHARS_MAX:
        raise Rejected("invalid", f"the title is longer than {TITLE_CHARS_MAX} characters", field="title")


def _accept(prompt: m.SubmitPrompt) -> m.PromptAccepted:
    size = len(prompt.text.encode())
    if not prompt.text.strip() and not prompt.attachments:
        raise Rejected("prompt_empty", "a prompt needs text or attachments", field="text")
    if size > PROMPT_TEXT_BYTES_MAX:
        raise Rejected("too_large", f"the text has {size} bytes, at most {PROMPT_TEXT_BYTES_MAX} go", field="text")
    if len(prompt.attachments) > ATTACHMENTS_MAX:
        raise Rejected("invalid", f"at most {ATTACHMENTS_MAX} attachments go with a prompt", field="attachments")
    return m.PromptAccepted(prompt.prompt_id, prompt.text, prompt.at_ms, prompt.attachments, prompt.agent, prompt.model)


def _submit(command: m.SubmitPrompt, state: State) -> Events:
    accepted = _accept(command)
    if _has(command.prompt_id, state):
        return ()
    if state.terminating:
        raise Rejected("session_stopped", "the session is being terminated")
    if state.phase in ENDED and not command.resume:
        raise Rejected(
            f"session_{state.phase}",
            f"the session is {state.phase} and takes no prompt",
            hint=f'resume it first (POST /api/sessions/{state.id}/resume), or send "resume": true with the prompt',
        )
    if len(state.queue) >= QUEUE_PROMPTS_MAX:
        raise Rejected(
            "queue_full", f"{QUEUE_PROMPTS_MAX} prompts wait already", retry_after_s=30, hint="wait for a turn to end"
        )
    if state.provisioning is not None:
        return (accepted,)
    if state.phase in ENDED or _is_cut_off(state):
        return (accepted, m.ResumeRequested(command.at_ms))
    return _with_next_turn((accepted,), state, command.fresh, command.at_ms)


def _has(prompt_id: str, state: State) -> bool:
    """Return whether the prompt waits or runs: two with one id would leave the queue together."""
    running = state.turn is not None and state.turn.prompt.prompt_id == prompt_id
    return running or any(p.prompt_id == prompt_id for p in state.queue)


def _is_cut_off(state: State) -> bool:
    """Return whether the session failed in a way that only a resume mends: without instance, or half-way to one."""
    half_way = state.failure is not None and state.failure.step is not None
    return state.phase == "error" and (state.instance_id is None or half_way)


def _with_next_turn(events: Events, state: State, fresh: m.FreshIds, at_ms: int) -> Events:
    """Return `events`, and the start of the next turn where they leave the session free to begin one."""
    for event in events:
        state = evolve(state, event)
    free = state.phase in ("idle", "error") and state.instance_id is not None and state.conversation
    if not free or state.terminating or state.held or not state.queue:
        return events
    prompt = state.queue[0]
    parts = fresh.part_ids(1 + len(prompt.attachments))
    return (*events, m.TurnStarted(state.turns + 1, prompt.prompt_id, fresh.message_id, parts, at_ms))


def _withdraw(command: m.WithdrawPrompt, state: State) -> Events:
    if all(p.prompt_id != command.prompt_id for p in state.queue):
        raise Rejected("prompt_not_found", f"prompt {command.prompt_id} does not wait in this session's queue")
    return (m.PromptWithdrawn(command.prompt_id, "withdrawn", command.at_ms),)


def _abort(command: m.AbortTurn, state: State) -> Events:
    if state.phase not in RUNNING or state.turn is None or state.turn.aborting:
        return ()
    return (m.AbortRequested(state.turn.number, command.at_ms),)


def _resume(command: m.ResumeSession, state: State) -> Events:
    if state.terminating:
        raise Rejected("session_not_ready", "the session is being terminated", retry_after_s=1)
    if state.phase in RUNNING or state.phase == "created":
        raise Rejected("session_active", f"the session is {state.phase}: there is nothing to resume")
    if state.phase == "idle" or state.provisioning is not None:
        return ()
    if state.phase == "error" and not _is_cut_off(state):
        return ()
    return (m.ResumeRequested(command.at_ms),)


def _terminate(command: m.TerminateSession, state: State) -> Events:
    if state.terminating or (state.phase == "stopped" and _is_bare(state)):
        return ()
    return (m.TerminationRequested(command.at_ms),)


def _is_bare(state: State) -> bool:
    """Return whether nothing is left to be ended: no resume under way, no instance of a failed one, no prompt."""
    return state.provisioning is None and state.instance_id is None and not state.queue


def _describe(command: m.DescribeSession, state: State) -> Events:
    title = state.title if command.title is None else command.title
    tags = state.tags if command.tags is None else command.tags
    _check_title(title)
    if (title, tags) == (state.title, state.tags):
        return ()
    return (m.SessionDescribed(title, tags, command.at_ms),)


# ------------------------------------------------------------------------------------------- reports of own effects


def _workspace_ready(command: m.ReportWorkspaceReady, state: State) -> Events:
    if state.provisioning != "workspace":
        return ()
    return (m.WorkspaceAttached(command.workspace_id, command.directory, command.branch, command.at_ms),)


def _instance_ready(command: m.ReportInstanceReady, state: State) -> Events:
    if state.provisioning != "instance":
        return ()
    return (m.InstanceAttached(command.instance_id, command.at_ms),)


def _conversation_open(command: m.ReportConversationOpen, state: State) -> Events:
    if state.provisioning != "conversation" or state.instance_id is None:
        return ()
    if state.phase != "created":
        return (m.SessionResumed(state.instance_id, command.opencode_id, command.at_ms),)
    opened = m.ConversationOpened(command.opencode_id, command.at_ms)
    return _with_next_turn((opened,), state, command.fresh, command.at_ms)


def _provision_failed(command: m.ReportProvisionFailed, state: State) -> Events:
    if state.provisioning != command.step:
        return ()
    return (m.ProvisionFailed(command.step, command.code, command.detail, command.at_ms),)


def _delivered(command: m.ReportDelivered, state: State) -> Events:
    turn = state.turn
    if state.phase not in RUNNING or turn is None or turn.message_id != command.message_id or turn.delivered:
        return ()
    return (m.PromptDelivered(command.message_id, command.at_ms),)


def _transcript(command: m.ReportTranscript, state: State) -> Events:
    if state.phase == "created":
        return ()
    events: list[m.Event] = []
    for message in command.messages:
        info = message.info
        if state.recorded.get(info.id) != m.digest(info.raw):
            events.append(
                m.MessageRecorded(
                    info.id, info.session_id, info.role, command.at_ms, m.raw(info.raw), info.cost_usd, info.tokens
                )
            )
        events.extend(
            m.PartRecorded(part.id, part.message_id, part.type, command.at_ms, m.raw(part.raw))
            for part in message.parts
            if part.finished and state.recorded.get(part.id) != m.digest(part.raw)
        )
    return tuple(events)


def _request_opened(command: m.ReportRequestOpened, state: State) -> Events:
    request = command.request
    if state.phase not in RUNNING or request.id in state.requests:
        return ()
    return (m.RequestOpened(request.id, request.session_id, request.kind, command.at_ms, m.raw(request.raw)),)


def _request_closed(command: m.ReportRequestClosed, state: State) -> Events:
    if command.request_id not in state.requests:
        return ()
    closed = m.RequestClosed(command.request_id, command.at_ms)
    if len(state.requests) > 1:
        return (closed,)
    return (closed, m.TurnContinued(command.at_ms))


def _turn_is(number: int, state: State) -> bool:
    return state.phase in RUNNING and state.turn is not None and state.turn.number == number


def _turn_ended(command: m.ReportTurnEnded, state: State) -> Events:
    if not _turn_is(command.number, state):
        return ()
    aborting = state.turn is not None and state.turn.aborting
    outcome = "aborted" if aborting and command.outcome == "finished" else command.outcome
    ended = m.TurnEnded(command.number, outcome, command.evidence, command.at_ms)
    return _with_next_turn((ended,), state, command.fresh, command.at_ms)


def _turn_failed(command: m.ReportTurnFailed, state: State) -> Events:
    if not _turn_is(command.number, state):
        return ()
    return (m.TurnFailed(command.number, command.code, command.detail, command.at_ms),)


def _settled(command: m.ReportSettled, state: State) -> Events:
    if state.phase not in RUNNING or state.turn is not None:
        return ()
    return _with_next_turn((m.SessionSettled(command.evidence, command.at_ms),), state, command.fresh, command.at_ms)


def _instance_ended(command: m.ReportInstanceEnded, state: State) -> Events:
    if command.instance_id != state.instance_id:
        return ()
    detached = m.InstanceDetached(command.instance_id, command.evidence, command.at_ms)
    if state.terminating:
        return (detached,)
    if state.provisioning is not None:
        # In this order: detached while provisioning goes on would order another instance in between.
        return (
            m.ProvisionFailed(state.provisioning, "opencode_exited", command.evidence, command.at_ms),
            detached,
        )
    if state.phase == "idle" and command.orderly:
        return (m.SessionCompleted(command.instance_id, command.evidence, command.at_ms),)
    if state.phase == "idle" or state.phase in RUNNING:
        return (m.SessionDisconnected(command.instance_id, command.evidence, command.at_ms),)
    return (detached,)


def _ended(command: m.ReportEnded, state: State) -> Events:
    if not state.terminating:
        return ()
    turn = state.turn
    over = () if turn is None else (m.TurnEnded(turn.number, "aborted", "terminated", command.at_ms),)
    withdrawn = (m.PromptWithdrawn(p.prompt_id, "terminated", command.at_ms) for p in state.queue)
    return (*over, *withdrawn, m.SessionStopped(command.evidence, command.at_ms))


_DECIDE: Final[Mapping[type[Any], Callable[[Any, State], Events]]] = {
    m.CreateSession: _create,
    m.SubmitPrompt: _submit,
    m.WithdrawPrompt: _withdraw,
    m.AbortTurn: _abort,
    m.ResumeSession: _resume,
    m.TerminateSession: _terminate,
    m.DescribeSession: _describe,
    m.ReportWorkspaceReady: _workspace_ready,
    m.ReportInstanceReady: _instance_ready,
    m.ReportConversationOpen: _conversation_open,
    m.ReportProvisionFailed: _provision_failed,
    m.ReportDelivered: _delivered,
    m.ReportTranscript: _transcript,
    m.ReportRequestOpened: _request_opened,
    m.ReportRequestClosed: _request_closed,
    m.ReportTurnEnded: _turn_ended,
    m.ReportTurnFailed: _turn_failed,
    m.ReportSettled: _settled,
    m.ReportInstanceEnded: _instance_ended,
    m.ReportEnded: _ended,
}

SESSION: Final[Decider[m.Command, State, m.Event, Effect]] = Decider("session", initial, decide, evolve, react, pending)
