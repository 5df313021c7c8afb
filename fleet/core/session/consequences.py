"""Adds the consequences of a decision: the next turn, a pause for the budget, a callback to the parent.

Every decision that may leave a session free to continue ends in `with_consequences`, so these rules exist once.
"""

from typing import Final

from fleet.core.session.events import (
    BudgetExceeded,
    CallbackOrdered,
    ProvisionFailed,
    ResumeRequested,
    SessionCompleted,
    SessionDisconnected,
    SessionEvent,
    SessionStopped,
    SetupEnded,
)
from fleet.core.session.evolve import evolve
from fleet.core.session.report_commands import ReportSetupEnded
from fleet.core.session.state import ENDED, State, is_held
from fleet.core.session.turn_events import TurnEnded, TurnFailed, TurnStarted
from fleet.core.session.values import Budget, NewTurnIds, Outcome, Totals

Events = tuple[SessionEvent, ...]

_GONE_FOR_GOOD = frozenset(("workspace_gone", "session_gone"))

FRESH_HINT: Final = 'Resume the session with "fresh": true to begin a new conversation in the same workspace.'


def with_consequences(
    events: Events, state: State, at_ms: int, new_ids: NewTurnIds | None, moves: str | None = None
) -> Events:
    """Return `events` and their consequences. Without `new_ids` no turn can begin.

    With `moves`, the session leaves its host, for that reason, where its next turn would begin.
    """
    after = state
    for event in events:
        after = evolve(after, event)
    more = _pause(after, at_ms) or _next_turn(after, at_ms, new_ids)
    starts = any(isinstance(event, TurnStarted) for event in more)
    if starts and moves is not None:
        more = moved(after, moves, at_ms)
    return (*events, *more, *(() if starts else _callback_to_parent(events, state, after, at_ms)))


def moved(state: State, evidence: str, at_ms: int) -> Events:
    """Return the events by which an idle session leaves its process and is resumed on another host."""
    if state.opencode.instance_id is None:
        return ()
    leaves = SessionCompleted(instance_id=state.opencode.instance_id, evidence=evidence, at_ms=at_ms, leaves=True)
    return (leaves, ResumeRequested(at_ms=at_ms))


def setup_ended(end: ReportSetupEnded, state: State) -> Events:
    """Return the events for the end of a set-up; if it failed, the creation or resume fails too."""
    ended = SetupEnded(exit_code=end.exit_code, detail=end.detail, at_ms=end.at_ms, baseline=end.baseline)
    if end.code is None:
        return (ended,)
    failed = ProvisionFailed(step="setup", code=end.code, detail=end.detail, at_ms=end.at_ms)
    return (ended, *step_failed(failed, state, host_lost=end.host_lost))


def step_failed(
    failed: ProvisionFailed, state: State, *, host_lost: bool, left: Events = (), evidence: str | None = None
) -> Events:
    """Return the events for a failed step of creation or resume; `left` are those of the process that it leaves.

    A session that is lost with its host while it is created is disconnected, with the `evidence`. If it is to be
    resumed on another host, it begins again there.
    """
    resumes = host_lost and state.settings.on_host_loss == "resume" and not state.stopping
    again = (ResumeRequested(at_ms=failed.at_ms),) if resumes else ()
    if host_lost and state.phase == "created":
        instance_id, why = state.opencode.instance_id or "", evidence or failed.detail
        return (SessionDisconnected(instance_id=instance_id, evidence=why, at_ms=failed.at_ms), *again)
    if again:
        return (failed, *left, *again)
    return with_consequences((failed, *left), state, failed.at_ms, None)


def _pause(state: State, at_ms: int) -> Events:
    if not state.can_start_turn or state.usage.exceeded is not None or state.settings.budget is None:
        return ()
    what = used_up(state, state.settings.budget)
    return () if what is None else (BudgetExceeded(what=what, at_ms=at_ms),)


def used_up(state: State, budget: Budget) -> str | None:
    """Return which limit of the budget is used up, in words; None if none is."""
    each = state.usage.tokens
    tokens = each.input + each.output + each.reasoning + each.cache_read + each.cache_write
    minutes = state.running_ms / 60_000
    if budget.usd is not None and state.usage.cost_usd >= budget.usd:
        return f"{state.usage.cost_usd:.4f} of {budget.usd:g} USD are used"
    if budget.tokens is not None and tokens >= budget.tokens:
        return f"{tokens} of {budget.tokens} tokens are used"
    if budget.minutes is not None and minutes >= budget.minutes:
        return f"{minutes:.1f} of {budget.minutes:g} minutes are used"
    return None


def _next_turn(state: State, at_ms: int, new_ids: NewTurnIds | None) -> Events:
    kept_back = state.queue.paused or state.usage.exceeded is not None
    if new_ids is None or not state.can_start_turn or kept_back or not state.queue.prompts:
        return ()
    prompt = state.queue.prompts[0]
    message_id = prompt.message_id or new_ids.message_id
    parts = prompt.part_ids or new_ids.part_ids(1 + len(prompt.attachments))
    return (
        TurnStarted(
            number=state.turns + 1, prompt_id=prompt.prompt_id, message_id=message_id, part_ids=parts, at_ms=at_ms
        ),
    )


def queue_paused(state: State) -> str | None:
    """Return why waiting prompts do not start, in words; None if nothing holds them."""
    if state.usage.exceeded is not None:
        return f"the budget is used up: {state.usage.exceeded}"
    if state.queue.prompts and is_held(state):
        return "the workspace's set-up waits for a person who allows its commands"
    if not state.queue.prompts or state.provisioning is not None:
        return None
    if state.has_lost_conversation:
        return 'OpenCode has lost the conversation: resume the session with "fresh": true to begin a new one'
    if state.phase in ENDED:
        return f"the session is {state.phase}: resume it"
    if state.needs_resume:
        return "the session has no OpenCode process or no workspace: resume it"
    if not state.queue.paused:
        return None
    how = "is being aborted" if state.turn is not None else _ENDINGS.get(state.last_outcome or "", "did not finish")
    return f"the last turn {how}: a further prompt starts them"


_ENDINGS: Final = {"aborted": "was aborted", "interrupted": "was interrupted", "error": "failed"}


def _callback_to_parent(events: Events, before: State, after: State, at_ms: int) -> Events:
    """Return the callback, if the events are an outcome that was not reported to the parent yet."""
    outcome = _outcome(events)
    if outcome is None or not after.callbacks.owed or after.settings.parent_id is None:
        return ()
    number = 1 + max((callback.number for callback in before.callbacks.sent), default=0)
    return (CallbackOrdered(number=number, outcome=outcome, text=summary(after, outcome), at_ms=at_ms),)


def _outcome(events: Events) -> Outcome | None:
    found: Outcome | None = None
    for event in events:
        if isinstance(event, TurnEnded):
            found = event.outcome
        elif isinstance(event, TurnFailed):
            found = "error"
        elif isinstance(event, SessionStopped):
            found = "stopped"
        elif isinstance(event, ProvisionFailed):
            found = "disconnected" if event.code in _GONE_FOR_GOOD else "error"
    return found


def summary(state: State, outcome: Outcome) -> str:
    """Return the text of a callback: outcome, title, id, changed files with line counts, cost."""
    changes = state.snapshots.totals or Totals()
    lines = [
        f'Session "{state.settings.title}" ({state.id}) has ended: {outcome}.',
        f"Details: {state.evidence}",
        f"Files changed: {changes.files} (+{changes.additions} -{changes.deletions})",
        f"Cost: {state.usage.cost_usd:.4f} USD",
        f"Directory: {state.directory}" + (f", branch {state.settings.branch}" if state.settings.branch else ""),
    ]
    return "\n".join(lines)
