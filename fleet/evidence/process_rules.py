"""Describes the permission rules of a session's processes, and which of them decided about a tool call."""

from collections.abc import Sequence

from fleet.core.permission_rules import Asks, judge_pattern
from fleet.core.times import rfc3339
from fleet.events.envelope import Recorded
from fleet.evidence import document as doc
from fleet.evidence.requests import UNEXPLAINED
from fleet.projections.configured_rules import agent_rules, decided_by, rules_for


def configured(asks: Sequence[Asks], read: Sequence[Recorded], directory: str, agent: str, *, failed: bool) -> str:
    """Return in a sentence which rules of the configuration decided about a call, as far as that is recorded.

    `read` are the rules that the processes had read before the call, oldest first; those of its own directory come
    before others, such as those of its repository.
    """
    newest = rules_for(directory, read[::-1])
    if newest is None:
        return UNEXPLAINED
    rules = agent_rules(newest.event, agent)
    judged = [judge_pattern(each.permission, pattern, rules) for each in asks for pattern in each.patterns]
    decided = decided_by(newest.event, directory, judged, failed=failed)
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
