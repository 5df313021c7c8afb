"""Ways to spoil the causes of a sound history (spoilers.py)."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from fleet.core.session.turn_events import TurnEnded, TurnStarted
from fleet.events.envelope import Cause
from tests.simulation.evidence import Evidence


def begin_for_another(evidence: Evidence) -> None:
    _caused_otherwise(evidence, lambda event: isinstance(event, TurnStarted), Cause("token:another", "@1"))


def end_for_nobody(evidence: Evidence) -> None:
    _caused_otherwise(
        evidence, lambda event: isinstance(event, TurnEnded) and event.outcome == "aborted", Cause("system", "@1")
    )


def _caused_otherwise(evidence: Evidence, only: Callable[[Any], bool], cause: Cause) -> None:
    """Give the newest such event another cause."""
    last = [recorded for recorded in evidence.history if only(recorded.event)][-1]
    evidence.__dict__["history"] = [
        replace(recorded, cause=cause) if recorded is last else recorded for recorded in evidence.history
    ]
