"""The items of explanations (fleet/projections/why.py)."""

from fleet.core.times import rfc3339
from fleet.projections.why_turn import ReasonStep
from fleet.wire.audit import WhyStep


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
