"""Callers: seeded people and programs that order things, lose answers, ask again, and remember what they were told.

`Ledger` is their memory, which checkers hold against the log. Every text and title is unique, so that what the log has
of a request can be found without trusting anything that Fleet says of it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, Literal

import trio

from fleet.actors.caller import Caller
from fleet.actors.fleet import Fleet
from fleet.actors.prompt import NewPrompt
from fleet.actors.usecases.sessions import CommandResult, NewSession
from fleet.core.session.values import Answer, Budget, SessionSettings
from fleet.errors import Problem
from fleet.ports import Strategy
from fleet.projections.history_page import HistoryPage
from fleet.projections.history_query import HistorySearch
from tests.simulation.faults import decide_on_a_set_up, rebind
from tests.simulation.machine import Machine

UNCERTAIN = frozenset(("interrupted", "timed_out"))
"""Problems that leave open whether the request was carried out."""
LATER = frozenset(("disk_full", "overloaded", "stopping", "log_unavailable"))
"""Problems that say: nothing has happened, try again."""
PLACES = ("/src/shop", "/src/shop", "/src/blog", "/src/notes")
BAD_PLACES = ("/src/nowhere", "/src/file", "/etc")
STRATEGIES: Final[tuple[Strategy, ...]] = ("existing", "worktree", "clone")
WORDS = {
    **{
        "": 40,
        "turn:3": 8,
        "turn:2": 6,
        "bash:1": 6,
        "bash:20": 4,
        "ask": 8,
        "question": 6,
        "retry:1": 4,
        "retry:2": 2,
    },
    **{"fail": 5, "quiet": 4, "write": 25, "overflow": 4, "turn:4 quiet": 4, "hang": 1, "unknown": 1},
}
"""What prompts ask of the fake model (tests/fakes/opencode_turn.py), by weight."""
Act = Callable[[Fleet, Caller], Awaitable[CommandResult]]
Heard = CommandResult | Problem | None


@dataclass
class Request:
    """One order with what was heard of it, attempt by attempt. `mark` is the unique text that it puts into the log.

    `answer` is what a request of OpenCode's was answered with; `erased`: it was told that nothing is left.
    """

    kind: str
    mark: str
    key: str | None
    session: str | None = None
    prompt: str | None = None
    answer: tuple[str, Answer] | None = None
    erased: bool = False
    heard: list[Heard] = field(default_factory=list[Heard])

    @property
    def outcomes(self) -> list[CommandResult]:
        return [heard for heard in self.heard if isinstance(heard, CommandResult)]

    @property
    def acknowledged(self) -> bool:
        return bool(self.outcomes)

    @property
    def refused(self) -> bool:
        """Whether every attempt was answered with a problem that says: nothing has happened."""
        return all(
            isinstance(heard, Problem) and heard.code not in UNCERTAIN and "sessionId" not in heard.extra
            for heard in self.heard
        )


@dataclass
class Ledger:
    """Everything that callers ordered and heard, and the sessions that they know of."""

    requests: list[Request] = field(default_factory=list[Request])
    sessions: list[str] = field(default_factory=list[str])
    complaints: list[str] = field(default_factory=list[str])

    @property
    def erased(self) -> set[str]:
        """The sessions of which a person was told that nothing is left."""
        return {request.session for request in self.requests if request.erased and request.session is not None}

    def add(self, kind: str, key: str | None, session: str | None = None) -> Request:
        request = Request(kind, f"{kind}-{len(self.requests)}.", key, session)
        self.requests.append(request)
        return request


class Client:
    """One caller. It takes `steps` steps and remembers in the common `ledger`."""

    def __init__(self, machine: Machine, ledger: Ledger, random: Random) -> None:
        self._machine = machine
        self._ledger = ledger
        self._random = random

    async def run(self, steps: int, pace_s: float) -> None:
        for _ in range(steps):
            await trio.sleep(self._random.expovariate(1 / pace_s))
            await self._step()

    async def _step(self) -> None:
        known = self._ledger.sessions
        if not known or (len(known) < 10 and self._random.random() < 0.2):
            await self._create()
            return
        session_id = self._random.choice(known)
        acts: dict[Callable[[str], Awaitable[None]], int] = {
            self._prompt: 42,
            self._abort: 9,
            self._resume: 8,
            self._stop: 4,
            self._withdraw: 3,
            self._edit: 5,
            self._steer: 10,
            self._edit_session: 3,
            self._answer: 12,
            self._budget: 5,
            self._delete: 7,
            self._restore: 3,
            self._search: 2,
            self._fork: 5,
            self._read_diff: 2,
            self._decide_on_a_set_up: 4,
            self._revoke: 1,
            self._rebind: 3,
            self._compact: 4,
            **({self._drain: 6} if self._machine.cluster.nodes else {}),
        }
        await self._random.choices(list(acts), list(acts.values()))[0](session_id)

    def _key(self) -> str | None:
        return f"key-{self._random.getrandbits(64):016x}" if self._random.random() < 0.7 else None

    def _words(self) -> str:
        return self._random.choices(list(WORDS), list(WORDS.values()))[0]

    async def _order(self, request: Request, act: Act, *, digest: bytes = b"") -> None:
        """Order until there is an answer; only with a key is it safe to ask again."""
        caller = Caller(
            f"token:{request.mark}", f"request-{request.mark}", request.key, digest or request.mark.encode()
        )
        while True:
            heard = await self._machine.call(lambda fleet: act(fleet, caller))
            request.heard.append(heard)
            settled = isinstance(heard, CommandResult) or (heard is not None and heard.code not in UNCERTAIN | LATER)
            if request.key is None or len(request.heard) > 5 or (settled and self._random.random() < 0.9):
                return
            await trio.sleep(self._random.uniform(0, 3))

    # -------------------------------------------------------------------------------------------------------- orders

    async def _create(self) -> None:
        request = self._ledger.add("session", self._key())
        random = self._random
        strategy = random.choices(STRATEGIES, (4, 4, 2))[0]
        bad = random.random() < 0.1
        branch = "main" if bad and random.random() < 0.5 else None
        prompt = NewPrompt(f"{request.mark}first {self._words()}") if random.random() < 0.4 else None
        known = self._ledger.sessions
        place = await self._place(bad=bad and branch is None)
        base_ref = "HEAD" if strategy == "worktree" and random.random() < 0.3 else None
        parent = random.choice(known) if known and random.random() < 0.5 else None
        budget = self._a_budget() if random.random() < 0.15 else None
        settings = SessionSettings(
            title=request.mark, strategy=strategy, branch=branch, base_ref=base_ref, budget=budget, **self._wishes()
        )
        new = NewSession(place, settings, prompt, notify_session=parent)
        await self._order(request, lambda fleet, caller: fleet.sessions.create(new, caller))
        self._learn(request)

    def _wishes(self) -> dict[str, Any]:
        """Return what it wants of a host, where there are several."""
        nodes, random = self._machine.cluster.nodes, self._random
        if not nodes:
            return {}
        names = [node.name for node in nodes]
        return {
            "host": random.choice((*[None] * 8, *names, *names, "local", "nowhere")),
            "host_labels": random.choice(({}, {}, {}, {"gpu": "true"}, {"zone": "a"}, {"zone": "c"})),
            "cpus": random.choice((None, None, 0.5, 2.0, 64.0)),
            "memory_mb": random.choice((None, None, 512, 4096)),
            "on_host_loss": random.choice(("ask", "resume")),
        }

    async def _fork(self, session_id: str) -> None:
        request = self._ledger.add("session", self._key())
        strategy = self._random.choice((None, *STRATEGIES))
        await self._order(
            request, lambda fleet, caller: fleet.forks.fork(session_id, request.mark, None, strategy, caller)
        )
        self._learn(request)

    def _learn(self, request: Request) -> None:
        """Take note of the session that a request has made, if it was told of one."""
        for heard in request.heard:
            if isinstance(heard, CommandResult):
                request.session = heard.session.id
            elif heard is not None and "sessionId" in heard.extra:
                request.session = heard.extra["sessionId"]
        if request.session is not None and request.session not in self._ledger.sessions:
            self._ledger.sessions.append(request.session)

    async def _place(self, *, bad: bool) -> str:
        """Return a directory: now and then the work tree of another session."""
        if not bad and self._random.random() < 0.1:
            sessions = list((await self._machine.fleet()).fleet.views.sessions)
            if sessions:
                return self._random.choice(sessions).directory
        place = self._random.choice(BAD_PLACES if bad else PLACES)
        while place in self._machine.moved:
            place = self._machine.moved[place]
        return place

    async def _prompt(self, session_id: str) -> None:
        request = self._ledger.add("prompt", self._key(), session_id)
        agent = "nobody" if self._random.random() < 0.03 else None
        command = "review" if self._random.random() < 0.05 else None
        steer = command is None and self._random.random() < 0.3
        prompt = NewPrompt(f"{request.mark} {self._words()}", agent=agent, command=command, steer=steer)
        resume = self._random.random() < 0.5
        await self._order(
            request, lambda fleet, caller: fleet.sessions.prompt(session_id, prompt, resume=resume, caller=caller)
        )

    async def _abort(self, session_id: str) -> None:
        async def act(fleet: Fleet, caller: Caller) -> CommandResult:
            outcome, _ = await fleet.sessions.abort(session_id, caller)
            return outcome

        await self._order(self._ledger.add("abort", self._key(), session_id), act)

    async def _resume(self, session_id: str) -> None:
        request = self._ledger.add("resume", self._key(), session_id)
        fresh = self._random.random() < 0.3
        await self._order(request, lambda fleet, caller: fleet.sessions.resume(session_id, caller, fresh=fresh))
        if self._random.random() < 0.4:  # what was cut off is steered at once, before a client knows whether it runs
            await trio.sleep(self._random.uniform(0, 2))
            steering = self._ledger.add("prompt", self._key(), session_id)
            prompt = NewPrompt(f"{steering.mark} {self._words()}", steer=True)
            await self._order(
                steering, lambda fleet, caller: fleet.sessions.prompt(session_id, prompt, resume=True, caller=caller)
            )

    async def _stop(self, session_id: str) -> None:
        request = self._ledger.add("stop", self._key(), session_id)
        await self._order(request, lambda fleet, caller: fleet.sessions.stop(session_id, caller))

    async def _edit_session(self, session_id: str) -> None:
        request = self._ledger.add("edit-session", self._key(), session_id)
        await self._order(request, lambda fleet, caller: fleet.sessions.edit(session_id, request.mark, None, caller))

    async def _withdraw(self, session_id: str) -> None:
        if prompt_id := await self._waiting(session_id):
            request = self._ledger.add("withdraw", self._key(), session_id)
            request.prompt = prompt_id
            await self._order(request, lambda fleet, caller: fleet.sessions.withdraw(session_id, prompt_id, caller))

    async def _edit(self, session_id: str) -> None:
        if prompt_id := await self._waiting(session_id):
            request = self._ledger.add("edit", self._key(), session_id)
            text = f"{request.mark} {self._words()}"
            await self._order(
                request, lambda fleet, caller: fleet.sessions.edit_prompt(session_id, prompt_id, text, caller)
            )

    async def _steer(self, session_id: str) -> None:
        if prompt_id := await self._waiting(session_id):
            request = self._ledger.add("steer", self._key(), session_id)
            request.prompt = prompt_id
            await self._order(request, lambda fleet, caller: fleet.sessions.steer_prompt(session_id, prompt_id, caller))

    async def _waiting(self, session_id: str) -> str | None:
        """Return one of the prompts that wait, if there are any."""
        state = (await self._machine.fleet()).fleet.views.sessions.get(session_id)
        return None if state is None or not state.queue.prompts else self._random.choice(state.queue.prompts).prompt_id

    # ------------------------------------------------------------------------------- requests, budgets, ends, reading

    async def _answer(self, _: str) -> None:
        views = (await self._machine.fleet()).fleet.views
        waiting = [(state.id, request) for state in views.sessions for request in state.requests]
        if not waiting:
            return
        session_id, asked = self._random.choice(waiting)
        answer = self._an_answer(asked.kind)
        request = self._ledger.add("answer", self._key(), session_id)
        request.answer = asked.id, answer
        await self._order(request, lambda fleet, caller: fleet.sessions.answer(session_id, asked.id, answer, caller))

    def _an_answer(self, kind: str) -> Answer:
        if kind == "permission":
            reply: Literal["once", "always", "reject"] = self._random.choice(("once", "always", "reject"))
            return Answer(reply=reply, message="no" if reply == "reject" else None)
        return Answer(reply="reject") if self._random.random() < 0.3 else Answer(answers=(("yes",),))

    def _a_budget(self) -> Budget:
        budgets = (Budget(usd=0.002), Budget(usd=0.005), Budget(tokens=300), Budget(minutes=0.1))
        return self._random.choice(budgets)

    async def _budget(self, session_id: str) -> None:
        budget = None if self._random.random() < 0.4 else self._a_budget()
        request = self._ledger.add("budget", self._key(), session_id)
        await self._order(request, lambda fleet, caller: fleet.sessions.set_budget(session_id, budget, caller))

    async def _delete(self, session_id: str) -> None:
        permanent = self._random.random() < 0.5
        request = self._ledger.add("delete", self._key(), session_id)
        force = self._random.random() < 0.5

        async def act(fleet: Fleet, caller: Caller) -> CommandResult:
            ending = await fleet.endings.end(session_id, caller, cleanup=True, permanent=permanent, force=force)
            request.erased = ending.erased
            return CommandResult(ending.session, ending.position)

        await self._order(request, act)

    async def _decide_on_a_set_up(self, _: str) -> None:
        await decide_on_a_set_up(self._machine, self._random)

    async def _revoke(self, _: str) -> None:
        allowed = (await self._machine.fleet()).fleet.trust.allowed
        if allowed:
            each = self._random.choice(allowed)
            await self._machine.call(lambda fleet: fleet.trust.revoke(each.repository, each.recipe.digest, Caller()))

    async def _rebind(self, _: str) -> None:
        workspaces = [state.id for state in (await self._machine.fleet()).fleet.views.workspaces]
        if workspaces:
            await rebind(self._machine, self._random.choice(workspaces))

    async def _drain(self, _: str) -> None:
        """Drain a machine, or end that."""
        name = self._random.choice(self._machine.cluster.nodes).name
        drains = self._random.random() < 0.5
        act = "drain" if drains else "undrain"
        await self._machine.call(lambda fleet: getattr(fleet.hosts, act)(name, Caller()))

    async def _compact(self, session_id: str) -> None:
        request = self._ledger.add("compact", self._key(), session_id)
        await self._order(
            request,
            lambda fleet, caller: fleet.sessions.prompt(session_id, NewPrompt("/compact"), resume=False, caller=caller),
        )

    async def _restore(self, _: str) -> None:
        views = (await self._machine.fleet()).fleet.views
        gone = ("removed", "removing")
        removed = [state.id for state in views.workspaces if state.phase in gone or state.fault == "missing"]
        if removed:
            workspace_id = self._random.choice(removed)
            await self._machine.call(lambda fleet: fleet.endings.restore(workspace_id, Caller()))

    async def _search(self, _: str) -> None:
        erased = self._ledger.erased
        words = self._random.choice(("", "prompt", "half done", "said"))
        page = await self._machine.call(lambda fleet: fleet.history.search(HistorySearch(search=words)))
        if isinstance(page, HistoryPage):
            found = [each.id for each in page.sessions if each.id in erased]
            self._ledger.complaints += [f"a search found {session_id}, which was erased" for session_id in found]

    async def _read_diff(self, session_id: str) -> None:
        state = (await self._machine.fleet()).fleet.views.sessions.get(session_id)
        if state is not None:
            await self._machine.call(lambda fleet: fleet.diffs.now(state))
