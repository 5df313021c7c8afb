"""Tells in words which rules of OpenCode's configuration decided about a tool call that OpenCode did not ask for."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from fleet.core.instance.events import PermissionRulesRead
from fleet.core.permission_rules import Judgement, Rule

RULES_READ: Final = "instance.permission-rules-read"
"""The type of the event that has the rules of a process."""


def agent_rules(read: PermissionRulesRead, agent: str) -> Sequence[Rule]:
    """Return the rules of this agent of OpenCode's, or else of `build`, or else of its first agent."""
    order = {agent: 0, "build": 1}
    agents = sorted(read.agents, key=lambda each: order.get(each.name, 2))
    try:
        return msgspec.json.decode(agents[0].rules, type=list[Rule]) if agents else ()
    except msgspec.MsgspecError:
        return ()


def judged_words(judged: Sequence[Judgement], *, failed: bool) -> str:
    """Return in words what the configuration decided about a call that was not asked for; "" if that is not clear."""
    denied = [each.rule for each in judged if each.rule is not None and each.action == "deny"]
    if denied and failed:
        return f"OpenCode refused it: its configuration denies {_rule_words(denied)}"
    allowed = [each.rule for each in judged if each.rule is not None and each.action == "allow"]
    if not judged or len(allowed) < len(judged):
        return ""
    return f"OpenCode did not ask: its configuration allows {_rule_words(allowed)}"


def _rule_words(rules: Iterable[Rule]) -> str:
    """Return rules of the configuration in words, each once."""
    anything = ("*", "*")
    return ", ".join(
        dict.fromkeys(
            "everything that no other rule names"
            if (each.permission, each.pattern) == anything
            else f"{each.permission} ({each.pattern})"
            for each in rules
        )
    )
