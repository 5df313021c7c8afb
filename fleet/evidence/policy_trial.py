"""Tries permission rules and a budget over the recorded past of sessions: what would have been asked, or blocked.

The rules decide as OpenCode's do (fleet/core/permission_rules.py), and the budget as that of a session
(fleet/core/session/consequences.py): both are the code that Fleet has for them, and there is no other.

The past is read turn by turn, and of each call only its permissions are kept until its turn ends, so that memory does
not grow with the session. What a person answered then, counts: a call that would be asked and was answered with
`always` allows the later calls that match, in this session. What a person would have answered to a new question is not
guessed.
"""

from collections import Counter
from collections.abc import Sequence
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
    """A tool call without its output; `needs` are the permissions that can be derived from its input."""

    call_id: str
    tool: str
    command: str
    needs: tuple[Asks, ...]
    turn: int
    position: int
    failed: bool


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
        if any(isinstance(recorded.event, Erased) for recorded in page):
            return None
        await trio.to_thread.run_sync(trial.apply, page)
        position = page[-1].position
    return await trio.to_thread.run_sync(trial.result) if trial.turns else None


class _Trial:
    """The fold of one session."""

    def __init__(self, session_id: str, rules: TriedRules) -> None:
        self.turns = 0
        self._rules = rules
        self._state: State = SESSION.initial(session_id)
        self._calls: dict[str, _TriedCall] = {}
        self._judged: frozenset[str] = frozenset()
        self._requests: dict[str, _TriedRequest] = {}
        self._approved: list[Rule] = []
        self._actions: Counter[Action] = Counter()
        self._changes: Counter[str] = Counter()
        self._examples: list[TriedCallItem] = []
        self._used_up: TriedBudgetItem | None = None

    def apply(self, page: Sequence[Recorded]) -> None:
        """Apply the next events of the session."""
        for recorded in page:
            self._state = SESSION.evolve(self._state, recorded.event)
            self._take(recorded, recorded.event)

    def _take(self, recorded: Recorded, event: Any) -> None:
        match event:
            case TurnStarted(number=number):
                self._judge_turn()
                self.turns = number
            case PartRecorded(type="tool", part_id=part_id, copied=False, body=body) if part_id not in self._judged:
                turn = self._calls[part_id].turn if part_id in self._calls else self.turns
                self._calls[part_id] = self._call(read(body, PartBody()), turn, recorded.position)
            case RequestOpened(kind="permission", request_id=request_id, body=body):
                asked = read(body, RequestBody())
                self._requests[request_id] = _TriedRequest(msgspec.structs.replace(asked, metadata={}))
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

    def _call(self, body: PartBody, turn: int, position: int) -> _TriedCall:
        state = self._state
        root = root_of(state.settings.strategy, state.source_repository, state.directory)
        needs = asks_of(body.tool, body.state.input, root)
        return _TriedCall(
            body.callID, body.tool, body.state.words("command"), needs, turn, position, body.state.status == "error"
        )

    def result(self) -> SessionTrial:
        self._judge_turn()
        budget = self._used_up
        if budget is not None:
            budget.turns_held = self.turns - budget.turn
        return SessionTrial(
            session_id=self._state.id,
            title=self._state.settings.title,
            calls=self._actions.total(),
            allowed=self._actions["allow"],
            asked=self._actions["ask"],
            blocked=self._actions["deny"],
            newly_asked=self._changes["asked"],
            newly_allowed=self._changes["allowed"],
            newly_blocked=self._changes["blocked"],
            turns=self.turns,
            examples=self._examples,
            budget=budget,
        )

    def _judge_turn(self) -> None:
        """Judge the calls of the turn that has ended, in the order of the log, and forget them.

        A later record of one of them says nothing new: it is ignored until the next turn has ended.
        """
        if self._rules.permission is None:
            self._calls.clear()
            self._requests.clear()
            return
        by_call: dict[str, list[_TriedRequest]] = {}
        for request in self._requests.values():
            if request.body.tool is not None and request.body.tool.callID:
                by_call.setdefault(request.body.tool.callID, []).append(request)
        for call in sorted(self._calls.values(), key=lambda each: each.position):
            self._judge(call, by_call.get(call.call_id, []), self._rules.permission)
        self._judged = frozenset(self._calls)
        self._calls.clear()
        self._requests.clear()

    def _judge(self, call: _TriedCall, requests: list[_TriedRequest], permission: tuple[Rule, ...]) -> None:
        asks = _asks(call, requests)
        judgement = judge(asks, (*OPENCODE_RULES, *permission, *self._approved))
        if judgement.action == "ask":
            self._approved += (
                Rule(each.body.permission, pattern, "allow")
                for each in requests
                if each.reply == "always"
                for pattern in each.body.always or each.body.patterns
            )
        self._actions[judgement.action] += 1
        self._changes[_change(judgement.action, requests)] += 1
        if judgement.action != "allow" or requests:
            self._examples.append(_item(call, asks, judgement, requests))
            self._examples.sort(key=lambda item: (_INTEREST[item.action], item.position))
            del self._examples[POLICY_EXAMPLES_MAX:]


def _asks(call: _TriedCall, requests: list[_TriedRequest]) -> tuple[Asks, ...]:
    """Return what a call needs: what OpenCode asked for, and what can be derived for other permissions."""
    exact = {each.body.permission: Asks(each.body.permission, each.body.patterns) for each in requests}
    return (*exact.values(), *(each for each in call.needs if each.permission not in exact))


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
    words = call.command or "; ".join(pattern for each in asks for pattern in each.patterns)
    past = "; ".join(map(_past, requests)) or f"it {'failed' if call.failed else 'ran'}, and OpenCode did not ask"
    return TriedCallItem(
        position=call.position,
        turn=call.turn,
        tool=call.tool,
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
