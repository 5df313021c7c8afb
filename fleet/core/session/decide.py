"""Decides which events a caller's command causes, and has the `Decider` with the session's four functions.

A command that has been carried out already gives no events; one that is not allowed raises `Rejected`. decide_queue.py
decides about waiting prompts and decide_reports.py about the reports of the session's effects. consequences.py adds
what follows from a decision.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from fleet.core.decider import Decider
from fleet.core.session import commands, events
from fleet.core.session.consequences import (
    FRESH_HINT,
    Events,
    moved,
    setup_ended,
    with_consequences,
)
from fleet.core.session.decide_queue import QUEUE, check_prompt, check_room, why_not_steerable
from fleet.core.session.decide_reports import REPORTS, can_drop
from fleet.core.session.effects import Effect, failure, pending, react
from fleet.core.session.evolve import evolve
from fleet.core.session.mandates import MANDATES
from fleet.core.session.report_commands import ReportSetupEnded
from fleet.core.session.state import ENDED, RESTING, RUNNING, Request, State, initial
from fleet.core.session.turn_events import AbortRequested, PromptAccepted, RequestAnswered, TurnEnded, TurnSteered
from fleet.core.session.values import COMPACT, Answer
from fleet.core.times import rfc3339
from fleet.errors import Rejected
from fleet.limits import TITLE_CHARS_MAX


def decide(command: commands.SessionCommand, state: State) -> Events:
    """Return the events that `command` causes. Raises `Rejected`."""
    if state.phase in ("absent", "erased") and not isinstance(command, commands.CreateSession):
        raise Rejected("session_not_found", f"there is no session {state.id}")
    return _DECIDE[type(command)](command, state)


# ------------------------------------------------------------------------------------------------- commands of callers


def _create(command: commands.CreateSession, state: State) -> Events:
    if state.phase != "absent":
        return ()
    _check_title(command.settings.title)
    created = events.SessionCreated(
        session_id=command.session_id,
        settings=command.settings,
        workspace_id=command.workspace_id,
        source_directory=command.source_directory,
        source_repository=command.source_repository,
        directory=command.directory,
        opencode_id=command.opencode_id,
        at_ms=command.at_ms,
        depth=command.depth,
    )
    if command.initial_prompt is None:
        return (created,)
    return (created, _accept(command.initial_prompt))


def _check_title(title: str) -> None:
    if not title.strip():
        raise Rejected("invalid", "the title is empty", field="title")
    if len(title) > TITLE_CHARS_MAX:
        raise Rejected("invalid", f"the title is longer than {TITLE_CHARS_MAX} characters", field="title")


def _accept(prompt: commands.SubmitPrompt) -> PromptAccepted:
    check_prompt(prompt.text, prompt.attachments, prompt.command)
    return PromptAccepted(
        prompt_id=prompt.prompt_id,
        text=prompt.text,
        at_ms=prompt.at_ms,
        attachments=prompt.attachments,
        agent=prompt.agent,
        model=prompt.model,
        command=prompt.command,
    )


_STOPPING: Final = "Wait until it has stopped, then resume it."


def _submit(command: commands.SubmitPrompt, state: State) -> Events:
    accepted = _accept(command)
    if _has(command.prompt_id, state):
        return ()
    if state.stopping:
        raise Rejected("session_stopped", "the session is being stopped", hint=_STOPPING)
    if state.phase in ENDED and not command.resume:
        raise Rejected(
            f"session_{state.phase}",
            f"the session is {state.phase} and takes no prompt",
            hint=f'Resume it first (POST /api/sessions/{state.id}/resume), or send "resume": true with the prompt.',
        )
    if command.lost is not None:
        raise Rejected("workspace_gone", command.lost[0], hint=command.lost[1])
    if state.has_lost_conversation:
        said = f"OpenCode has lost the conversation of the session: {state.opencode.session_id}"
        raise Rejected("session_gone", said, hint=FRESH_HINT)
    if command.command == COMPACT and state.context is None and state.turn is None:
        raise Rejected("invalid", "the conversation is empty: there is nothing to compact", field="command")
    check_room(state)
    if state.provisioning is not None:
        return (accepted,)
    if command.steer and why_not_steerable(state) is None:
        parts = command.new_ids.part_ids(1 + len(command.attachments))
        steered = TurnSteered(
            number=state.turns,
            prompt_id=command.prompt_id,
            message_id=command.new_ids.message_id,
            part_ids=parts,
            at_ms=command.at_ms,
        )
        return (accepted, steered)
    if state.phase in ENDED or state.needs_resume:
        return (accepted, events.ResumeRequested(at_ms=command.at_ms))
    return with_consequences((accepted,), state, command.at_ms, command.new_ids)


def _has(prompt_id: str, state: State) -> bool:
    """Return whether a prompt with this id waits or runs: two with the same id would leave the queue together."""
    turn = state.turn
    running = () if turn is None else (turn.prompt, *turn.steering)
    return any(p.prompt_id == prompt_id for p in (*running, *state.queue.prompts))


def _abort(command: commands.AbortTurn, state: State) -> Events:
    if state.provisioning == "setup":
        end = ReportSetupEnded(
            exit_code=None, code="setup_aborted", detail="the set-up was aborted", at_ms=command.at_ms
        )
        return setup_ended(end, state)
    if state.phase not in RUNNING or state.turn is None or state.turn.aborting:
        return ()
    return (AbortRequested(number=state.turn.number, at_ms=command.at_ms),)


def _skip_setup(command: commands.SkipSetup, state: State) -> Events:
    if state.provisioning == "setup":
        if state.setup is not None and state.setup.status == "running":
            raise Rejected("session_not_ready", "the set-up runs", hint="Abort it first.")
        return (events.SetupSkipped(at_ms=command.at_ms),)
    failed = state.failure is not None and state.failure.step == "setup"
    if not failed or state.is_changing:
        raise Rejected("setup_not_waiting", "no set-up of this session waits for a person or has failed")
    return (events.SetupSkipped(at_ms=command.at_ms), events.ResumeRequested(at_ms=command.at_ms))


def _resume(command: commands.ResumeSession, state: State) -> Events:
    if state.stopping:
        raise Rejected("session_not_ready", "the session is being stopped", hint=_STOPPING, retry_after_s=1)
    if state.phase in RUNNING or state.phase == "created":
        raise Rejected("session_active", f"the session is {state.phase}: there is nothing to resume")
    if state.phase == "idle" and command.opencode_id is not None:
        raise Rejected("session_active", "the session is idle and has its conversation", hint="Create another session.")
    if state.phase == "idle" or state.provisioning is not None:
        return ()
    if command.opencode_id is None:
        return (events.ResumeRequested(at_ms=command.at_ms),)
    return _begin_fresh(command.opencode_id, command.at_ms, state)


def _begin_fresh(opencode_id: str, at_ms: int, state: State) -> Events:
    """End the conversation and its unfinished turn, which would otherwise continue in the old conversation."""
    if state.opencode.detaching_from is not None:
        said = "what may still run of its conversation is being ended"
        raise Rejected("session_not_ready", said, hint="Try again.", retry_after_s=1)
    ended = f"turn {state.turns} was left behind: the session begins a new conversation"
    over = (
        ()
        if state.turn is None
        else (TurnEnded(number=state.turn.number, outcome="interrupted", evidence=ended, at_ms=at_ms),)
    )
    return with_consequences((*over, events.ResumeRequested(at_ms=at_ms, opencode_id=opencode_id)), state, at_ms, None)


def _stop(command: commands.StopSession, state: State) -> Events:
    if state.stopping or (state.phase == "stopped" and state.has_nothing_to_end):
        return ()
    return (events.StopRequested(at_ms=command.at_ms),)


def _complete_idle(command: commands.CompleteIdleSession, state: State) -> Events:
    if state.phase not in RESTING or state.since_ms > command.idle_since_ms or state.opencode.instance_id is None:
        return ()
    if state.is_changing:
        return ()
    if state.phase == "error":  # a failed session is not complete; the next prompt resumes it
        return (
            events.InstanceDetaching(
                instance_id=state.opencode.instance_id, evidence=command.evidence, at_ms=command.at_ms, leaves=True
            ),
        )
    return (
        events.SessionCompleted(
            instance_id=state.opencode.instance_id, evidence=command.evidence, at_ms=command.at_ms, leaves=True
        ),
    )


def _move(command: commands.MoveSession, state: State) -> Events:
    if state.phase != "idle" or state.stopping:
        return ()
    return moved(state, command.evidence, command.at_ms)


_STOP: Final = (
    "Stop it first, and wait until it has stopped. An OpenCode process that does not answer has to end or to answer."
)


def _erase(command: commands.EraseSession, state: State) -> Events:
    if state.phase != "stopped" or state.stopping or not state.has_nothing_to_end:
        raise Rejected(
            "session_not_ready", "only a session that has stopped, with nothing left to end, can be erased", hint=_STOP
        )
    return (events.SessionErased(at_ms=command.at_ms),)


def _set_budget(command: commands.SetBudget, state: State) -> Events:
    if command.budget == state.settings.budget:
        return ()
    return with_consequences(
        (events.BudgetSet(budget=command.budget, at_ms=command.at_ms),), state, command.at_ms, command.new_ids
    )


def _answer(command: commands.AnswerRequest, state: State) -> Events:
    _check_unanswered(command.request_id, state)
    request = next((r for r in state.requests if r.id == command.request_id), None)
    if request is None:
        raise Rejected("request_not_found", f"no request {command.request_id} is open in this session")
    _check_answer(request, command.answer)
    return (
        RequestAnswered(request_id=command.request_id, answer=command.answer, at_ms=command.at_ms, actor=command.actor),
    )


def _check_unanswered(request_id: str, state: State) -> None:
    """Raise `Rejected` for a second answer, even an equal one: its caller learns that another answer came first."""
    given = next((answered for answered in state.answered if answered.request_id == request_id), None)
    if given is not None:
        at = rfc3339(given.at_ms)
        raise Rejected(
            "request_answered",
            f"{given.actor or 'another caller'} answered the request at {at}: {given.reply}",
            extra={"answeredBy": given.actor, "at": at, "reply": given.reply},
        )


class _Question(msgspec.Struct, frozen=True):
    """The part of OpenCode's question that an answer is checked against: it may have several parts."""

    questions: list[msgspec.Raw] = msgspec.field(default_factory=list[msgspec.Raw])


def _check_answer(request: Request, answer: Answer) -> None:
    if request.kind == "permission" and (answer.reply is None or answer.answers is not None):
        raise Rejected("invalid", "a permission is answered with reply: once, always or reject", field="reply")
    if request.kind == "question" and (answer.answers is None, answer.reply) not in ((False, None), (True, "reject")):
        raise Rejected("invalid", "a question is answered with answers, or with reply: reject", field="answers")
    if answer.answers is None:
        return
    parts = _parts(request.body)
    if parts and parts != len(answer.answers):
        said = f"the question has {parts} parts, and {len(answer.answers)} are answered"
        raise Rejected("invalid", said, hint="Give a list of answers for each part.", field="answers")


def _parts(question: bytes) -> int:
    """Return how many answers a question needs; 0 if Fleet cannot decode it."""
    try:
        return len(msgspec.json.decode(question, type=_Question).questions)
    except msgspec.DecodeError:
        return 0


def _erase_callbacks(command: commands.EraseCallbacks, state: State) -> Events:
    erased = events.CallbacksErased(
        child_id=command.child_id,
        replaced=command.replaced,
        prompts=command.prompts,
        parts=command.parts,
        shown=any(state.asked.startswith(head) for head in command.heads),
        line=None if state.last_line is None else command.lines.get(state.last_line.text),
        at_ms=command.at_ms,
    )
    return (erased,)


def _read_notifications(command: commands.ReadNotifications, state: State) -> Events:
    unread = {n.number for n in state.notifications if not n.read}
    numbers = unread if command.numbers is None else unread & set(command.numbers)
    return (events.NotificationsRead(numbers=tuple(sorted(numbers)), at_ms=command.at_ms),) if numbers else ()


def _edit(command: commands.EditSession, state: State) -> Events:
    title = state.settings.title if command.title is None else command.title
    tags = state.settings.tags if command.tags is None else command.tags
    _check_title(title)
    if (title, tags) == (state.settings.title, state.settings.tags):
        return ()
    return (events.SessionEdited(title=title, tags=tags, at_ms=command.at_ms),)


_DECIDE: Final[Mapping[type[Any], Callable[[Any, State], Events]]] = {
    commands.CreateSession: _create,
    commands.SubmitPrompt: _submit,
    commands.AbortTurn: _abort,
    commands.ResumeSession: _resume,
    commands.SkipSetup: _skip_setup,
    commands.StopSession: _stop,
    commands.EditSession: _edit,
    commands.MoveSession: _move,
    commands.CompleteIdleSession: _complete_idle,
    commands.EraseSession: _erase,
    commands.EraseCallbacks: _erase_callbacks,
    commands.SetBudget: _set_budget,
    commands.AnswerRequest: _answer,
    commands.ReadNotifications: _read_notifications,
    **QUEUE,
    **REPORTS,
}

SESSION: Final[Decider[commands.SessionCommand, State, events.SessionEvent, Effect]] = Decider(
    "session",
    initial,
    decide,
    evolve,
    react,
    pending,
    revision=8,
    failure=failure,
    mandates=MANDATES,
    can_drop=can_drop,
)
