"""Tries permission rules and a budget over the recorded past of sessions: what would have been asked, or blocked.

The rules decide as OpenCode's do (fleet/core/permission_rules.py), and the budget as that of a session
(fleet/core/session/consequences.py): both are the code that Fleet has for them, and there is no other.

What a person answered then, counts: a call that would be asked and was answered with `always` allows the later calls
that match, in this session. What a person would have answered to a new question is not guessed.
"""

from typing import Any, Final

import msgspec
import trio

from fleet.core.permission_rules import OPENCODE_RULES, Action, Asks, Judgement, Rule, judge, rules_of
from fleet.core.session.consequences import used_up
from fleet.core.session.decide import SESSION
from fleet.core.session.state import State
from fleet.core.session.turn_events import (
    PartRecorded,
    RequestAnswered,
    RequestOpened,
    TurnEnded,
    TurnFailed,
    TurnStarted,
)
from fleet.core.session.values import Budget
from fleet.core.tool_permissions import asks_of, root_of
from fleet.events.envelope import Erased, Recorded
from fleet.events.log import LogReader
from fleet.evidence.bodies import PartBody, RequestBody, read
from fleet.limits import EVIDENCE_PAGE_EVENTS, FEED_PAGE_BYTES, POLICY_EXAMPLES_MAX, POLICY_WORDS_CHARS_MAX
from fleet.projections.names import who
from fleet.wire.policy import PolicyBody, SessionTrial, TriedBudgetItem, TriedCallItem

_INTEREST: Final = {"deny": 0, "ask": 1, "allow": 2}


class TriedRules(msgspec.Struct, frozen=True):
    """What is tried. Without `permission` rules no call is judged, without a budget no turn."""

    permission: tuple[Rule, ...] | None
    budget: Budget | None


class _TriedCall(msgspec.Struct):
    body: PartBody
    turn: int
    position: int


class _TriedRequest(msgspec.Struct):
    body: RequestBody
    reply: str | None = None
    actor: str = ""


def rules_from(body: PolicyBody, home: str) -> TriedRules:
    """Return the rules of a request; `home` stands for `~` in them."""
    given = body.budget
    return TriedRules(
        None if body.permission is None else rules_of(body.permission, home),
        None if given is None else Budget(given.usd, given.tokens, given.minutes),
    )


async def try_rules(log: LogReader, stream: str, rules: TriedRules) -> SessionTrial | None:
    """Return what the rules would have done in a session.

    None for one that had no turn, was erased, or has an event that cannot be read.
    """
    trial, position = _Trial(stream.partition("-")[2], rules), 0
    if log.is_erased(stream):
        return None
    while page := log.read_stream(stream, position, EVIDENCE_PAGE_EVENTS, FEED_PAGE_BYTES):
        for recorded in page:
            if isinstance(recorded.event, Erased):
                return None
            trial.apply(recorded)
            position = recorded.position
        await trio.lowlevel.checkpoint()
    return await trio.to_thread.run_sync(trial.result) if trial.turns else None


class _Trial:
    """The fold of one session."""

    def __init__(self, session_id: str, rules: TriedRules) -> None:
        self.turns = 0
        self._rules = rules
        self._state: State = SESSION.initial(session_id)
        self._calls: dict[str, _TriedCall] = {}
        self._requests: dict[str, _TriedRequest] = {}
        self._used_up: TriedBudgetItem | None = None

    def apply(self, recorded: Recorded) -> None:
        event: Any = recorded.event
        self._state = SESSION.evolve(self._state, event)
        match event:
            case TurnStarted(number=number):
                self.turns = number
            case PartRecorded(type="tool", part_id=part_id, body=body):
                turn = self._calls[part_id].turn if part_id in self._calls else self.turns
                self._calls[part_id] = _TriedCall(read(body, PartBody()), turn, recorded.position)
            case RequestOpened(kind="permission", request_id=request_id, body=body):
                self._requests[request_id] = _TriedRequest(read(body, RequestBody()))
            case RequestAnswered(request_id=request_id, answer=answer) if request_id in self._requests:
                self._requests[request_id].reply = answer.reply
                self._requests[request_id].actor = event.actor or recorded.cause.actor
            case TurnEnded() | TurnFailed() if self._rules.budget is not None and self._used_up is None:
                what = used_up(self._state, self._rules.budget)
                if what is not None:
                    self._used_up = TriedBudgetItem(
                        turn=self.turns, position=recorded.position, what=what, turns_held=0
                    )
            case _:
                pass

    def result(self) -> SessionTrial:
        judged = [] if self._rules.permission is None else self._judged(self._rules.permission)
        actions = [action for action, *_ in judged]
        changes = [_change(action, requests) for action, requests, _ in judged]
        examples = [item for _, _, item in judged if item is not None]
        examples.sort(key=lambda item: (_INTEREST[item.action], item.position))
        budget = self._used_up
        if budget is not None:
            budget.turns_held = self.turns - budget.turn
        return SessionTrial(
            session_id=self._state.id,
            title=self._state.settings.title,
            calls=len(judged),
            allowed=actions.count("allow"),
            asked=actions.count("ask"),
            blocked=actions.count("deny"),
            newly_asked=changes.count("asked"),
            newly_allowed=changes.count("allowed"),
            newly_blocked=changes.count("blocked"),
            turns=self.turns,
            examples=examples[:POLICY_EXAMPLES_MAX],
            budget=budget,
        )

    def _judged(self, permission: tuple[Rule, ...]) -> list[tuple[Action, list[_TriedRequest], TriedCallItem | None]]:
        """Return for each call, in the order of the log, its action, its requests, and an item where it may matter."""
        by_call: dict[str, list[_TriedRequest]] = {}
        for request in self._requests.values():
            if request.body.tool is not None and request.body.tool.callID:
                by_call.setdefault(request.body.tool.callID, []).append(request)
        approved: list[Rule] = []
        found: list[tuple[Action, list[_TriedRequest], TriedCallItem | None]] = []
        for call in sorted(self._calls.values(), key=lambda each: each.position):
            requests = by_call.get(call.body.callID, [])
            asks = self._asks(call.body, requests)
            judgement = judge(asks, (*OPENCODE_RULES, *permission, *approved))
            if judgement.action == "ask":
                approved += (
                    Rule(each.body.permission, pattern, "allow")
                    for each in requests
                    if each.reply == "always"
                    for pattern in each.body.always or each.body.patterns
                )
            matters = judgement.action != "allow" or requests
            found.append((judgement.action, requests, _item(call, asks, judgement, requests) if matters else None))
        return found

    def _asks(self, body: PartBody, requests: list[_TriedRequest]) -> tuple[Asks, ...]:
        """Return what a call needs: what OpenCode asked for, and what can be derived for other permissions."""
        exact = {each.body.permission: Asks(each.body.permission, each.body.patterns) for each in requests}
        state = self._state
        root = root_of(state.settings.strategy, state.source_repository, state.directory)
        derived = asks_of(body.tool, body.state.input, root)
        return (*exact.values(), *(each for each in derived if each.permission not in exact))


def _change(action: Action, requests: list[_TriedRequest]) -> str:
    rejected = any(each.reply == "reject" for each in requests)
    if action == "deny" and not rejected:
        return "blocked"
    if action == "ask" and not requests:
        return "asked"
    return "allowed" if action == "allow" and requests else ""


def _item(
    call: _TriedCall, asks: tuple[Asks, ...], judgement: Judgement, requests: list[_TriedRequest]
) -> TriedCallItem:
    rule = judgement.rule
    words = call.body.state.words("command") or "; ".join(pattern for each in asks for pattern in each.patterns)
    past = "; ".join(map(_past, requests)) or "it ran, and OpenCode did not ask"
    return TriedCallItem(
        position=call.position,
        turn=call.turn,
        tool=call.body.tool,
        asked=words[:POLICY_WORDS_CHARS_MAX],
        action=judgement.action,
        rule="no rule matches" if rule is None else f'{rule.permission} "{rule.pattern}" = {rule.action}',
        past=past,
    )


def _past(request: _TriedRequest) -> str:
    if request.reply is None:
        return "OpenCode asked, and no one decided"
    verb = {"once": "allowed it", "always": "allowed it always"}.get(request.reply, "rejected it")
    return f"OpenCode asked, and {who(request.actor, {})} {verb}"
