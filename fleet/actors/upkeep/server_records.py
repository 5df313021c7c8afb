"""Records in the log what happens to the server itself: starts and stops, tokens, logins, refused requests, proofs.

The token file is changed by other processes too, so it is read every few seconds. Refused requests are counted, and
each kind is recorded once a minute. What callers may repeat (logins, proofs, exports) is recorded at once, and its
repetitions once a minute with their number. The core (core/server.py) knows which of it is new. No record may stop the
work that it is about: what a full disk refuses is logged and tried again with the next look, or left out.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import structlog
import trio
from msgspec.structs import replace

from fleet.actors.context import Context
from fleet.actors.runtime.aggregate import Deliver
from fleet.core import server
from fleet.errors import Problem
from fleet.events.envelope import Cause
from fleet.limits import RECORD_KINDS_MAX, RECORDS_EVERY_S, TOKEN_IDLE_S, TOKEN_LOOK_S

_log = structlog.get_logger(__name__)

_LOCAL: Final = Cause("local")
"""Who starts a server and changes the token file: this machine's user."""


class ServerFacts(NamedTuple):
    """What the composition root knows of the server. `read_tokens` raises `Unavailable`."""

    run_id: str
    version: str
    configuration: str
    read_tokens: Callable[[], Sequence[server.KnownToken]]


class Refusal(NamedTuple):
    """A kind of refused request. `actor` is None where it is unknown."""

    request: server.RefusedRequest
    code: str
    actor: str | None = None
    reason: server.RefusedSecret | None = None


class Repeated(NamedTuple):
    """What a caller has done again since it was recorded: how often, since when, and the newest of it."""

    times: int
    since_ms: int
    newest: server.RepeatedFact
    cause: Cause


class ServerRecords:
    """The records of one Fleet. Without `facts`, as in most tests, nothing is recorded."""

    def __init__(self, context: Context, facts: ServerFacts | None) -> None:
        self._context = context
        self._facts = facts
        self._started_at_ms = 0
        self._refused: dict[Refusal, int] = {}
        self._refused_since_ms = 0
        self._repeated: dict[tuple[str, server.RepeatedFact], Repeated | None] = {}
        self._used_at_s: dict[str, float] = {}

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Record the start, then what happens until `stopping`, and the stop. Fits a `ChildSpec`."""
        self._started_at_ms = self._now()
        await self._note_start()
        await self.note_tokens()
        task_status.started()
        next_counts_s = trio.current_time() + RECORDS_EVERY_S
        while not stopping.is_set():
            with trio.move_on_after(TOKEN_LOOK_S):
                await stopping.wait()
            await self._note_start()
            await self.note_tokens()
            if trio.current_time() >= next_counts_s or stopping.is_set():
                await self._note_refusals()
                await self._note_repeated()
                next_counts_s = trio.current_time() + RECORDS_EVERY_S
        if self._facts is not None:
            await self._record(server.StopServer(run_id=self._facts.run_id, at_ms=self._now()), _LOCAL)

    def refused(
        self,
        request: server.RefusedRequest,
        code: str,
        actor: str | None,
        reason: server.RefusedSecret | None = None,
    ) -> None:
        """Count a request that was refused for lack of access."""
        if not self._refused:
            self._refused_since_ms = self._now()
        kind = Refusal(request, code, actor, reason)
        if kind not in self._refused and len(self._refused) >= RECORD_KINDS_MAX:
            kind = Refusal(request, code)
        self._refused[kind] = self._refused.get(kind, 0) + 1

    async def used(self, token: str) -> None:
        """Record a login if no program has used this access token for a while."""
        now_s = trio.current_time()
        idle_s = now_s - self._used_at_s.get(token, -TOKEN_IDLE_S)
        self._used_at_s[token] = now_s
        if idle_s >= TOKEN_IDLE_S:
            now_ms = self._now()
            login = server.LoggedIn(token=token, by="token", count=1, since_ms=now_ms, at_ms=now_ms)
            await self.note_repeated(login, Cause(f"token:{token}"))

    async def note_repeated(self, fact: server.RepeatedFact, cause: Cause) -> None:
        """Record a fact of a kind that this caller may cause often: at once, or counted if it is a repetition."""
        key = cause.actor, _kind(fact)
        if key not in self._repeated and len(self._repeated) < RECORD_KINDS_MAX:
            self._repeated[key] = None
            await self.note(fact, cause)
            return
        before = self._repeated.get(key)
        count, since_ms = (0, fact.at_ms) if before is None else (before.times, before.since_ms)
        self._repeated[key] = Repeated(count + 1, since_ms, fact, cause)

    async def note(self, fact: server.ServerFact, cause: Cause) -> None:
        """Record a fact that a caller has caused."""
        await self._record(server.NoteFact(fact=fact, at_ms=fact.at_ms), cause)

    async def note_tokens(self, cause: Cause = _LOCAL) -> None:
        """Record what has happened to tokens since the last look; without a `cause`, this machine's user did it."""
        if self._facts is None:
            return
        try:
            tokens = tuple(self._facts.read_tokens())
        except Problem as problem:  # the gateway admits no token either, and says so
            _log.warning("tokens_not_recorded", code=problem.code, detail=problem.detail)
            return
        now_ms = self._now()
        await self._record(server.NoteTokens(tokens=tokens, at_ms=now_ms), cause)
        await self._record(server.NoteTokens(tokens=tokens, expiry=True, at_ms=now_ms), Cause("policy:expiry"))

    def _now(self) -> int:
        return self._context.clock.now_ms()

    async def _note_start(self) -> None:
        if self._facts is not None:
            run_id, version, configuration, _ = self._facts
            contradicted = self._context.log.heads().contradicted
            await self._record(
                server.StartServer(
                    run_id=run_id,
                    version=version,
                    configuration=configuration,
                    contradicted_head=None if contradicted is None else contradicted.position,
                    at_ms=self._started_at_ms,
                ),
                _LOCAL,
            )

    async def _note_refusals(self) -> None:
        refused, self._refused, since_ms = self._refused, {}, self._refused_since_ms
        for kind, count in refused.items():
            fact = server.RequestsRefused(**kind._asdict(), count=count, since_ms=since_ms, at_ms=self._now())
            await self.note(fact, Cause("policy:access"))

    async def _note_repeated(self) -> None:
        repeated, self._repeated = self._repeated, {}
        for kind in filter(None, repeated.values()):
            await self.note(
                replace(kind.newest, count=kind.times, since_ms=kind.since_ms, at_ms=self._now()), kind.cause
            )

    async def _record(self, command: server.ServerCommand, cause: Cause) -> None:
        """Have the aggregate record what is new of `command`."""
        if self._facts is None:
            return
        known = self._context.views.server.get(server.SERVER_ID) or server.initial(server.SERVER_ID)
        if not server.decide(command, known):
            return  # asked every few seconds, the actor would never rest
        try:
            await self._context.actors.server.ask(server.SERVER_ID, Deliver(command, cause))
        except Problem as problem:
            _log.warning("not_recorded", command=type(command).__name__, code=problem.code, detail=problem.detail)


def _kind(fact: server.RepeatedFact) -> server.RepeatedFact:
    """Return the fact without what differs between repetitions."""
    same = replace(fact, at_ms=0, count=0, since_ms=0)
    match same:
        case server.LoggedIn():
            return replace(same, expires_at_ms=None)
        case server.LogVerified():
            return replace(same, through=0)
        case server.LogExported():
            return replace(same, after=0, through=0)
        case _:
            return same
