"""Says in words which rules of OpenCode's configuration decided about a tool call that OpenCode did not ask for."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from fleet.core.instance.events import PermissionRulesRead
from fleet.core.permission_rules import Judgement, Rule
from fleet.events.envelope import Recorded

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


def rules_for(directory: str | None, read: Sequence[Recorded], position: int, process: str | None) -> Recorded | None:
    """Return the rules that decided about a call in this directory at a position; `read` are oldest first.

    They are the newest for this directory. Fleet reads them some seconds after OpenCode has, so they may also be the
    first that the stream `process` has after the call. Else they are those of another directory, such as that of the
    repository.
    """

    def newest(some: Sequence[Recorded]) -> Recorded | None:
        return next((each for each in reversed(some) if each.position < position), None)

    here = [each for each in read if each.event.directory == directory]
    own = [each for each in here if each.stream == process]
    return newest(own) or next(iter(own), None) or newest(here) or newest(read)


def decided_by(read: PermissionRulesRead, directory: str | None, judged: Sequence[Judgement], *, failed: bool) -> str:
    """Return in words what these rules decided about a call in `directory` that was not asked for; "" if unclear."""
    words = _judged_words(judged, failed=failed)
    where = "" if read.directory == directory else f", as it was read in {read.directory}"
    return f"{words}{where}" if words else ""


def _judged_words(judged: Sequence[Judgement], *, failed: bool) -> str:
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
