"""OpenCode's permission rules: what a tool call asks for, and whether rules allow it, ask a person, or deny it.

Fleet has this once, for trials of rules over the recorded past and for explanations of it. tests/e2e holds it to the
real OpenCode. The rules, as OpenCode has them:

- A rule names a permission and a pattern, and the last rule that matches both decides. Without one, a person is asked.
- `*` is any text, `?` any character. ` *` at the end of a pattern may be missing: `ls *` matches `ls`.
- A call may need several patterns, such as each command of a pipe. One that is denied denies the call.
- OpenCode puts its own rules first, then those of the configuration, and then what `always` allowed.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final, Literal

import msgspec

from fleet.limits import PERMISSION_PATTERNS_CACHED

Action = Literal["allow", "ask", "deny"]
Configuration = Mapping[str, Action | Mapping[str, Action]]
"""`permission` of OpenCode's configuration: an action for a permission, or an action for each of its patterns."""


class Rule(msgspec.Struct, frozen=True):
    """A rule: permissions and patterns that match these get the action."""

    permission: str
    pattern: str
    action: Action


class Asks(msgspec.Struct, frozen=True):
    """What a tool call needs: all of these patterns of a permission."""

    permission: str
    patterns: tuple[str, ...]


class Judgement(msgspec.Struct, frozen=True):
    """What rules do with a call, and the rule that decided; None where no rule matched, so that a person is asked."""

    action: Action
    rule: Rule | None
    pattern: str


def rules_of(configuration: Configuration | Action, home: str = "~") -> tuple[Rule, ...]:
    """Return the rules of OpenCode's `permission`, in order. `home` stands for `~` and `$HOME` in patterns."""
    if isinstance(configuration, str):
        return (Rule("*", "*", configuration),)
    found: list[Rule] = []
    for permission, value in configuration.items():
        by_pattern: Mapping[str, Action] = {"*": value} if isinstance(value, str) else value
        found += (Rule(permission, _at_home(pattern, home), action) for pattern, action in by_pattern.items())
    return tuple(found)


def _at_home(pattern: str, home: str) -> str:
    if pattern == "~" or pattern.startswith("~/"):
        return home + pattern[1:]
    return home + pattern[5:] if pattern.startswith("$HOME") else pattern


OPENCODE_RULES: Final = rules_of(
    {
        "*": "allow",
        "doom_loop": "ask",
        "external_directory": "ask",
        "read": {"*": "allow", "*.env": "ask", "*.env.*": "ask", "*.env.example": "allow"},
    }
)
"""OpenCode's own rules for its agent `build`, which come before those of a configuration."""


def judge(asks: Iterable[Asks], rules: Sequence[Rule]) -> Judgement:
    """Return what these rules do with a call that needs all of `asks`: the strictest of its judgements."""
    judged = [judge_pattern(each.permission, pattern, rules) for each in asks for pattern in each.patterns]
    return max(judged, key=lambda each: _STRICTNESS[each.action], default=Judgement("allow", None, ""))


def judge_pattern(permission: str, pattern: str, rules: Sequence[Rule]) -> Judgement:
    """Return what these rules do with one pattern."""
    for rule in reversed(rules):
        if matches(permission, rule.permission) and matches(pattern, rule.pattern):
            return Judgement(rule.action, rule, pattern)
    return Judgement("ask", None, pattern)


def matches(text: str, pattern: str) -> bool:
    """Return whether a text matches a pattern of a rule."""
    return _compiled(pattern.replace("\\", "/")).fullmatch(text.replace("\\", "/")) is not None


@lru_cache(PERMISSION_PATTERNS_CACHED)
def _compiled(pattern: str) -> re.Pattern[str]:
    expression = "".join({"*": ".*", "?": "."}.get(sign, re.escape(sign)) for sign in pattern)
    if pattern.endswith(" *"):
        expression = f"{expression.removesuffix(re.escape(' ') + '.*')}(?: .*)?"
    return re.compile(expression, re.DOTALL)


_STRICTNESS: Final[Mapping[Action, int]] = {"allow": 0, "ask": 1, "deny": 2}
