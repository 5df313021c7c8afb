"""What an operator or a caller has set as a limit holds: budgets of sessions, the number of processes."""

from collections.abc import Iterator

from fleet.core.session.events import (
    BudgetSet,
    SessionCreated,
    SessionDisconnected,
    SessionResumed,
    SessionSettled,
    SessionStopped,
)
from fleet.core.session.turn_events import (
    MessageRecorded,
    RequestOpened,
    TurnContinued,
    TurnEnded,
    TurnFailed,
    TurnStarted,
)
from fleet.core.session.values import Budget
from tests.simulation.evidence import Evidence

_WORKS = (TurnStarted, TurnContinued, SessionResumed)
_RESTS = (RequestOpened, TurnEnded, TurnFailed, SessionSettled, SessionDisconnected, SessionStopped)
"""Where the agent begins to work, and where it ends or waits: for a person, or for a process."""


class _Used:
    """What a session has used so far, added up from its events without its own arithmetic."""

    def __init__(self) -> None:
        self.budget: Budget | None = None
        self.messages: dict[str, MessageRecorded] = {}
        self.since_ms: int | None = None
        self.running_ms = 0

    def take(self, event: object) -> None:
        if isinstance(event, SessionCreated):
            self.budget = event.settings.budget
        elif isinstance(event, BudgetSet):
            self.budget = event.budget
        elif isinstance(event, MessageRecorded):
            self.messages[event.message_id] = event
        elif isinstance(event, _WORKS):
            self.since_ms = event.at_ms
        elif isinstance(event, _RESTS) and self.since_ms is not None:
            self.running_ms += event.at_ms - self.since_ms
            self.since_ms = None

    def over(self) -> str:
        usd = sum(message.cost_usd for message in self.messages.values())
        each = [message.tokens for message in self.messages.values()]
        tokens = sum(t.input + t.output + t.reasoning + t.cache_read + t.cache_write for t in each)
        budget = self.budget or Budget()
        over = (
            budget.usd is not None and usd > budget.usd,
            budget.tokens is not None and tokens >= budget.tokens,
            budget.minutes is not None and self.running_ms >= budget.minutes * 60_000,
        )
        return f"{usd} USD, {tokens} tokens, {self.running_ms} ms of {budget}" if any(over) else ""


def no_turn_starts_over_budget(evidence: Evidence) -> Iterator[str]:
    """A session that has used up its budget begins no turn."""
    for session in evidence.views.sessions:
        used = _Used()
        for event in (recorded.event for recorded in evidence.stream(f"session-{session.id}")):
            if isinstance(event, TurnStarted) and (over := used.over()):
                yield f"turn {event.number} of session {session.id} began with {over} used"
            used.take(event)


def processes_keep_the_limit(evidence: Evidence) -> Iterator[str]:
    """Whenever a process was started there were no more than may be."""
    yield from evidence.crowds
