"""Bodies and items of trials: what permission rules and a budget would have done with the recorded past."""

from typing import Annotated, Literal

import msgspec

from fleet.limits import PERMISSION_PATTERN_CHARS_MAX, PERMISSION_RULES_MAX, POLICY_SESSIONS_MAX
from fleet.wire.bodies import Body, BudgetBody
from fleet.wire.items import WireItem

PolicyAction = Literal["allow", "ask", "deny"]
_Pattern = Annotated[str, msgspec.Meta(max_length=PERMISSION_PATTERN_CHARS_MAX)]
_ByPattern = Annotated[dict[_Pattern, PolicyAction], msgspec.Meta(max_length=PERMISSION_RULES_MAX)]
Permission = Annotated[dict[_Pattern, PolicyAction | _ByPattern], msgspec.Meta(max_length=PERMISSION_RULES_MAX)]


class PolicyBody(Body):
    """Rules to try.

    `permission` is that of OpenCode's configuration. `sessions` restricts the trial to these sessions; by default all
    are tried.
    """

    permission: PolicyAction | Permission | None = None
    budget: BudgetBody | None = None
    sessions: Annotated[list[str], msgspec.Meta(max_length=POLICY_SESSIONS_MAX)] | None = None


class TriedCallItem(WireItem, kw_only=True):
    """A tool call, as an example. `rule` is the one that decides, `past` says what happened then."""

    position: int
    turn: int
    tool: str
    asked: str
    action: PolicyAction
    rule: str
    past: str


class TriedBudgetItem(WireItem, kw_only=True):
    """Where the budget would have been used up: after this turn. `turnsHeld` counts the turns that came later."""

    turn: int
    position: int
    what: str
    turns_held: int


class SessionTrial(WireItem, kw_only=True):
    """What the rules would have done with the tool calls of one session.

    `newlyAsked` ran unasked and would wait for a person, `newlyAllowed` waited and would not, `newlyBlocked` ran and
    would not.
    """

    session_id: str
    title: str
    calls: int
    allowed: int
    asked: int
    blocked: int
    newly_asked: int
    newly_allowed: int
    newly_blocked: int
    turns: int
    examples: list[TriedCallItem]
    budget: TriedBudgetItem | None


class PolicyTrial(WireItem, kw_only=True):
    """The result for all sessions that had a turn; `position` is the log's position up to which they were read."""

    position: int
    sessions: list[SessionTrial]
