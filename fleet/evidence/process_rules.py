"""Describes the permission rules of a session's processes, and which of them decided about a tool call."""

from collections.abc import Sequence

from fleet.core.permission_rules import Asks, judge_pattern
from fleet.core.times import rfc3339
from fleet.events.envelope import Recorded
from fleet.evidence import document as doc
from fleet.evidence.requests import UNEXPLAINED
from fleet.projections.configured_rules import agent_rules, decided_by


def configured(asks: Sequence[Asks], read: Recorded | None, directory: str, agent: str, *, failed: bool) -> str:
    """Return in a sentence which of these rules of the configuration decided about a call; None: none are recorded."""
    if read is None:
        return UNEXPLAINED
    rules = agent_rules(read.event, agent)
    judged = [judge_pattern(each.permission, pattern, rules) for each in asks for pattern in each.patterns]
    decided = decided_by(read.event, directory, judged, failed=failed)
    return f"{decided}." if decided else UNEXPLAINED


def rules_of_process(read: Recorded) -> doc.PackedRules:
    """Return the rules of a process as the pack shows them."""
    return doc.PackedRules(
        instance_id=read.stream.partition("-")[2],
        directory=read.event.directory,
        at=rfc3339(read.recorded_at_ms),
        position=read.position,
        agents=tuple(
            doc.PackedAgentRules(agent=each.name, rules=tuple(agent_rules(read.event, each.name)))
            for each in read.event.agents
        ),
    )
