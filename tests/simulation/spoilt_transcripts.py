"""Ways to spoil what sessions have said; spoilers.py has the others."""

from fleet.core.session.turn_events import PartRecorded, TurnStarted
from tests.simulation.evidence import Evidence


def lose_a_part(evidence: Evidence) -> None:
    idle = {f"session-{state.id}" for state in evidence.views.sessions if state.phase == "idle"}
    parts = [r for r in evidence.history if isinstance(r.event, PartRecorded) and r.stream in idle]
    evidence.__dict__["history"] = [recorded for recorded in evidence.history if recorded is not parts[-1]]


def show_nothing(evidence: Evidence) -> None:
    said = [session_id for session_id, shown in evidence.transcripts.items() if shown]
    evidence.transcripts = {**evidence.transcripts, said[0]: []}


def lose_the_turns(evidence: Evidence) -> None:
    evidence.__dict__["history"] = [each for each in evidence.history if not isinstance(each.event, TurnStarted)]
