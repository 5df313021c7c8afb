"""The items of explanations (fleet/projections/why.py) and of comparisons (fleet/projections/between.py)."""

from fleet.core.session.state import State, status_of
from fleet.core.session.turn_events import PromptAccepted
from fleet.core.session.values import Totals
from fleet.core.times import rfc3339
from fleet.events.log import LogReader
from fleet.limits import BETWEEN_SESSIONS_MAX
from fleet.projections.between import SessionChanges, used_between
from fleet.projections.sentences import cut
from fleet.projections.why_turn import ReasonStep
from fleet.wire.audit import Between, PromptBetween, SessionBetween, WhyStep
from fleet.wire.items import ChangesItem


def why_step(step: ReasonStep) -> WhyStep:
    """Return what the API shows of a step."""
    recorded = step.recorded
    return WhyStep(
        kind=step.kind,
        sentence=step.sentence,
        position=recorded.position,
        at=rfc3339(recorded.recorded_at_ms),
        actor=recorded.cause.actor,
        stream=recorded.stream,
        type=recorded.type,
    )


def between(log: LogReader, first: int, last: int, sessions: list[SessionChanges]) -> Between:
    """Return what the API shows of a comparison."""
    times = {
        header.position: rfc3339(header.recorded_at_ms) for header in log.read_headers(sorted({first, last} - {0}))
    }
    return Between(
        first=first,
        last=last,
        first_at=times.get(first),
        last_at=times.get(last),
        sessions=[_session(each) for each in sessions[:BETWEEN_SESSIONS_MAX]],
    )


def _session(found: SessionChanges) -> SessionBetween:
    cost_usd, tokens = used_between(found)
    shown = found.after or found.before
    ended = None if found.after is None else found.after.last_outcome
    return SessionBetween(
        id=found.id,
        title="" if shown is None else shown.settings.title,
        status_before=None if found.before is None else status_of(found.before),
        status=None if found.after is None else status_of(found.after),
        created_by=None if found.created is None else found.created.cause.actor,
        erased_by=None if found.erased is None else found.erased.cause.actor,
        outcome=ended,
        prompts=[
            PromptBetween(
                position=prompt.position,
                at=rfc3339(prompt.recorded_at_ms),
                actor=prompt.cause.actor,
                text=_prompted(prompt.event) if isinstance(prompt.event, PromptAccepted) else "",
            )
            for prompt in found.prompts
        ],
        prompts_total=found.prompts_total,
        files=list(found.files),
        changes_before=_changes(found.before),
        changes=_changes(found.after),
        tokens=tokens,
        cost_usd=cost_usd,
        **found.counts,
    )


def _prompted(event: PromptAccepted) -> str:
    """Return the beginning of the prompt, with the command that it runs."""
    return cut(f"/{event.command} {event.text}".rstrip() if event.command else event.text)


def _changes(state: State | None) -> ChangesItem | None:
    totals = Totals() if state is None else state.snapshots.totals or Totals()
    counted = ChangesItem(files=totals.files, additions=totals.additions, deletions=totals.deletions)
    return None if state is None else counted
