"""Ways to spoil what the server's log says of errors (spoilers.py)."""

from tests.simulation.evidence import Evidence


def crash_an_actor(evidence: Evidence) -> None:
    evidence.crashes = ["child_crashed"]


def forget_a_bug(evidence: Evidence) -> None:
    evidence.unlogged = ["KeyError('a simulated bug')"]
