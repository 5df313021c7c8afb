"""Describes a turn of a session, and a set-up of its workspace with who allowed its commands."""

from collections.abc import Mapping

from msgspec.structs import replace

from fleet.core.session import turn_events
from fleet.core.times import rfc3339
from fleet.evidence import document as doc
from fleet.projections.turns import Turn


def packed_turn(
    turn: Turn,
    end: turn_events.TurnEnded | turn_events.TurnFailed | None,
    aborted_by: doc.Act | None,
    *,
    runs: bool,
) -> doc.PackedTurn:
    """Return a turn as the pack shows it; `end` is None for one that `runs`, or whose end is not recorded."""
    if end is None:
        evidence = ""
    else:
        evidence = end.evidence if isinstance(end, turn_events.TurnEnded) else f"{end.code}: {end.detail}"
    return doc.PackedTurn(
        number=turn.number,
        prompt_id=turn.prompt_id,
        started_at=rfc3339(turn.started_at_ms),
        position=turn.position,
        ended_at=None if turn.ended_at_ms is None else rfc3339(turn.ended_at_ms),
        end_position=turn.end_position,
        outcome=turn.outcome or ("runs" if runs else "has no recorded end"),
        evidence=evidence,
        aborted_by=aborted_by,
        cost_usd=turn.cost_usd,
        tokens=turn.tokens,
        changes=turn.changes,
    )


def trusted_setup(setup: doc.SetUp, trusted: Mapping[str, doc.Act], first: int) -> doc.SetUp:
    """Return the set-up with who allowed its content, by the digest; `first` is the session's first event."""
    act = trusted.get(setup.digest)
    return replace(setup, trusted=act, trusted_before=act is not None and act.position < first)
