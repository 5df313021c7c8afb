"""The items of the log: events, erased streams, and the result of a verification."""

import msgspec

from fleet.core.times import rfc3339
from fleet.events.envelope import Recorded, is_erased
from fleet.events.erasures import ErasedStream
from fleet.events.verify import VerificationResult
from fleet.limits import ERASURES_LISTED_MAX
from fleet.wire.audit import BreakItem, ErasedStreamItem, EventItem, Verification


def event_item(recorded: Recorded) -> EventItem:
    """Return what the API shows of an event."""
    cause = recorded.cause
    return EventItem(
        position=recorded.position,
        stream=recorded.stream,
        version=recorded.version,
        type=recorded.type,
        at=rfc3339(recorded.recorded_at_ms),
        actor=cause.actor,
        causation_id=cause.causation_id,
        correlation_id=cause.correlation_id,
        command_id=recorded.command_id,
        erased=is_erased(recorded.event),
        data=msgspec.Raw(recorded.payload),
    )


def erased_stream_item(erased: ErasedStream) -> ErasedStreamItem:
    """Return what the API shows of an erased stream."""
    return ErasedStreamItem(
        stream=erased.stream,
        position=erased.position,
        actor=erased.actor,
        at=rfc3339(erased.at_ms),
        events=erased.events,
        erased=erased.erased,
    )


def verification(report: VerificationResult) -> Verification:
    """Return what the API shows of a log that was walked."""
    found = report.first_break
    at = None if found is None else BreakItem(position=found.position, reason=found.reason)
    return Verification(
        intact=found is None,
        checked=list(report.checked),
        not_checked=report.not_checked,
        events=report.events,
        streams=report.streams,
        erased=report.erased,
        digest=report.digest.hex(),
        erasures=[erased_stream_item(each) for each in report.erasures[:ERASURES_LISTED_MAX]],
        head=report.head,
        first_break=at,
        contents_left_out=report.left_out,
    )
