"""Records in the log what happens to the server itself: its starts and stops, its tokens, and refused requests.

The token file is changed by other processes too, so it is read every few seconds. Refused requests are counted, and
each kind is recorded once a minute. The core (core/server.py) knows which of it is new. No record may stop the work
that it is about: what a full disk refuses is logged and tried again with the next look, or left out.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import structlog
import trio

from fleet.actors.context import Context
from fleet.actors.runtime.aggregate import Deliver
from fleet.core import server
from fleet.errors import Problem
from fleet.events.envelope import Cause
from fleet.limits import REFUSAL_KINDS_MAX, REFUSALS_EVERY_S, TOKEN_LOOK_S

_log = structlog.get_logger(__name__)

_LOCAL: Final = Cause("local")
"""Who starts a server and changes the token file: this machine's user."""


class ServerFacts(NamedTuple):
    """What the composition root knows of the server. `read_tokens` raises `Unavailable`."""

    run_id: str
    version: str
    configuration: str
    read_tokens: Callable[[], Sequence[server.KnownToken]]


class ServerRecords:
    """The records of one Fleet. Without `facts`, as in most tests, nothing is recorded."""

    def __init__(self, context: Context, facts: ServerFacts | None) -> None:
        self._context = context
        self._facts = facts
        self._started_at_ms = 0
        self._refused: dict[tuple[server.RefusedRequest, str, str | None], int] = {}
        self._refused_since_ms = 0

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Record the start, then what happens until `stopping`, and the stop. Fits a `ChildSpec`."""
        self._started_at_ms = self._now()
        await self._note_start()
        await self.note_tokens()
        task_status.started()
        next_refusals_s = trio.current_time() + REFUSALS_EVERY_S
        while not stopping.is_set():
            with trio.move_on_after(TOKEN_LOOK_S):
                await stopping.wait()
            await self._note_start()
            await self.note_tokens()
            if trio.current_time() >= next_refusals_s or stopping.is_set():
                await self._note_refusals()
                next_refusals_s = trio.current_time() + REFUSALS_EVERY_S
        if self._facts is not None:
            await self._record(server.StopServer(run_id=self._facts.run_id, at_ms=self._now()), _LOCAL)

    def refused(self, request: server.RefusedRequest, code: str, actor: str | None) -> None:
        """Count a request that was refused for lack of access."""
        if not self._refused:
            self._refused_since_ms = self._now()
        kind = (request, code, actor)
        if kind not in self._refused and len(self._refused) >= REFUSAL_KINDS_MAX:
            kind = (request, code, None)
        self._refused[kind] = self._refused.get(kind, 0) + 1

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
            await self._record(
                server.StartServer(
                    run_id=run_id, version=version, configuration=configuration, at_ms=self._started_at_ms
                ),
                _LOCAL,
            )

    async def _note_refusals(self) -> None:
        refused, self._refused, since_ms = self._refused, {}, self._refused_since_ms
        for (request, code, actor), count in refused.items():
            fact = server.RequestsRefused(
                request=request,
                code=code,
                count=count,
                since_ms=since_ms,
                actor=actor,
                at_ms=self._now(),
            )
            await self.note(fact, Cause("policy:access"))

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
