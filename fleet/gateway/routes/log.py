"""The routes for the audit log: pages of events, one event, the export, and the proof that the log is unchanged."""

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Final, Literal, Self

import trio
from quart import Response
from quart.wrappers.response import ResponseBody

from fleet.actors.caller import Caller
from fleet.actors.fleet import Fleet
from fleet.core.server import LogExported, LogVerified
from fleet.core.times import rfc3339
from fleet.errors import Rejected, Unavailable
from fleet.events.envelope import Damaged, Recorded
from fleet.events.export import ExportLine, export_end, export_page
from fleet.events.heads import GIVEN, Expected
from fleet.events.search import chain, find_events
from fleet.events.times import LogTimes
from fleet.events.verify import VerificationResult
from fleet.gateway.items.explanations import between, why_step
from fleet.gateway.items.log import event_item, verification
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.responses import json, lines
from fleet.gateway.server.requests import check_cursor, json_response
from fleet.limits import DAY_S, LOG_CHAIN_EVENTS_MAX, PAGE_DEFAULT
from fleet.projections.between import changes_between
from fleet.projections.history_query import parse_instant
from fleet.projections.log_query import search_of
from fleet.projections.moments import position_at
from fleet.projections.names import naming
from fleet.projections.proof import prove_chain, prove_everything, prove_heads
from fleet.projections.replay_index import replay_used_index
from fleet.projections.why import explain
from fleet.wire.audit import (
    Between,
    BetweenQuery,
    EventItem,
    ExpiringSession,
    ExportQuery,
    LogQuery,
    PositionItem,
    RetentionRule,
    SignedHead,
    TimeQuery,
    Verification,
    VerifyQuery,
    WhyQuery,
    WhyStep,
)

_WITH_AT: Final[Mapping[str, Literal["chain", "heads"]]] = {"all": "chain", "chain": "chain", "heads": "heads"}


class LogReads:
    """What the routes of the log share."""

    def __init__(self, times: LogTimes) -> None:
        self.times = times
        self.one_proof_at_a_time = trio.Lock()


endpoint = Endpoints("/api/log", "log")


@endpoint("GET", gives=json(list[EventItem], headers=("Fleet-Continue",)), refuses=("session_not_found", "erased"))
async def read_log(fleet: Fleet, reads: LogReads, query: LogQuery) -> Response:
    """Read events of the log: all, or those that filters leave, oldest first or newest first.

    Where there may be more, `Fleet-Continue` is the next `after`, or with `order=desc` the next `before`; without
    it there is no more. One request reads a bounded part of the log, so a page with filters may be short or empty
    although `Fleet-Continue` is there. `X-Total-Count` counts the whole log. `data` is the event as it was logged,
    with names in snake_case, the same as in the event streams.
    """
    head = fleet.log.head()
    found = await find_events(fleet.log, reads.times, search_of(query, _stream(fleet, query), head))
    response = json_response([event_item(event) for event in found.events], total=head, position=head)
    if found.next_cursor is not None:
        response.headers["Fleet-Continue"] = str(found.next_cursor)
    return response


@endpoint("GET /at", gives=json(PositionItem, headers=("Fleet-Position",)))
async def find_position(fleet: Fleet, reads: LogReads, query: TimeQuery) -> Response:
    """Find where the log was at a time: the position of the last event that was recorded by then.

    It is 0 where the time is before the first event.
    """
    position = await reads.times.at(parse_instant(query.time, "time", last=True))
    return json_response(PositionItem(position=position), position=fleet.log.head())


@endpoint("GET /retention", gives=RetentionRule)
async def read_retention(fleet: Fleet) -> Response:
    """Read the rule of retention, and which sessions it erases next.

    These have ended longer ago than transcripts are kept, and no other session needs them. They are erased a few at a
    time by the actor `policy:retention`. `due` holds the first of them, `total` counts all.
    """
    found = fleet.expiring()
    keep_s = fleet.context.policy.keep_transcripts_s
    due = [
        ExpiringSession(
            id=state.id,
            title=state.settings.title,
            ended_at=rfc3339(max(state.since_ms, state.turn_ended_at_ms)),
        )
        for state in found[:PAGE_DEFAULT]
    ]
    days = None if keep_s is None else keep_s / DAY_S
    return json_response(RetentionRule(keep_transcripts_days=days, due=due, total=len(found)))


@endpoint("GET /<int:position>", gives=EventItem, refuses=("event_not_found",))
async def read_event(fleet: Fleet, position: int) -> Response:
    """Read one event of the log.

    `data` is the event as it was logged, with names in snake_case.
    """
    return json_response(event_item(_event(fleet, position)))


@endpoint("GET /<int:position>/chain", gives=list[EventItem], refuses=("event_not_found",))
async def read_chain(fleet: Fleet, position: int) -> Response:
    """Read what led to an event: the event first, then its cause, and so on to the first cause.

    The `actor` of the first cause names the caller or the process that it came from. At most 200 events are given,
    and fewer where they are large; read the chain of the last one to continue.
    """
    _event(fleet, position)
    events = chain(fleet.log, position, LOG_CHAIN_EVENTS_MAX)
    return json_response([event_item(event) for event in events], total=len(events), position=fleet.log.head())


@endpoint("GET /head", gives=json(SignedHead, headers=("Fleet-Position",)), refuses=("event_not_found",))
async def read_head(fleet: Fleet) -> Response:
    """Read the end of the log, signed by the server: position and digest of the last event, and the time.

    Store it where this server cannot change it. Later, `GET /log/verify?expect=` finds a log that was rewritten, cut
    off or replaced by an older copy since.
    """
    position = fleet.log.head()
    head = fleet.log.sign(position) if position else None
    if head is None:
        raise Rejected("event_not_found", "the log has no event that could be signed")
    return json_response(head, position=position)


@endpoint("GET /<int:position>/why", gives=list[WhyStep], refuses=("event_not_found",))
async def explain_event(fleet: Fleet, position: int, query: WhyQuery) -> Response:
    """Explain an event: one plain sentence a step, from the event down to the request that began it.

    Of a turn, the steps name the tool call, the permission for it and who gave it or which earlier `always`, the
    process, the prompt and its sender. With `file`, only what explains the change of that file. At most
    64 steps are given.
    """
    names = naming(fleet.log, lambda session_id: _title(fleet, session_id))
    steps = await explain(fleet.log, position, names, fleet.blobs, query.file)
    return json_response([why_step(step) for step in steps], total=len(steps), position=fleet.log.head())


@endpoint("GET /between", gives=json(Between, headers=("Fleet-Position", "X-Total-Count")))
async def compare_positions(fleet: Fleet, reads: LogReads, query: BetweenQuery) -> Response:
    """Compare two moments: what changed in the fleet between them, session by session.

    A session has who created or erased it, its status before and after, its prompts with who sent them, the files that
    its turns changed, and what it used. `X-Total-Count` counts all sessions with events in between; the 200 that
    changed last are given.
    """
    head = fleet.log.head()
    first = await position_at(reads.times, query.from_, head, "from", last=False)
    last = head if query.to is None else await position_at(reads.times, query.to, head, "to")
    found = await changes_between(fleet.log, fleet.past.sessions.readable, fleet.blobs, first, last)
    return json_response(between(fleet.log, first, last, found), total=len(found), position=last)


@endpoint("GET /verify", gives=json(Verification, headers=("Fleet-Position",)))
async def verify_log(fleet: Fleet, reads: LogReads, query: VerifyQuery, caller: Caller) -> Response:
    """Prove the whole log, or its events up to `at`, and what is made from it.

    Positions, the chain of digests, payloads, versions, index, commands and erasures; the log has to end with the head
    that the server signed last, and has to agree with the heads that are expected. Then every stream is folded and
    compared with snapshots, views and the index of sessions, and all blobs are read. It takes some seconds for a
    million events, `scope=all` a minute, while the server continues to work.
    """
    through = _through(fleet, query.at, "at")
    async with reads.one_proof_at_a_time:
        report = await _verified(
            fleet, through, _expected(query.expect), query.scope if query.at is None else _WITH_AT[query.scope]
        )
    broken = report.first_break
    fact = LogVerified(
        through=through, first_break=None if broken is None else broken.position, at_ms=fleet.context.clock.now_ms()
    )
    await fleet.records.note_repeated(fact, caller.cause)
    return json_response(verification(report), position=through)


@endpoint("GET /export", gives=lines(ExportLine))
async def export_log(fleet: Fleet, query: ExportQuery, caller: Caller) -> Response:
    """Export the log as JSON lines, behind `after` up to `through` or to its end, whose position is a header.

    The last line is a signed head. The lines prove themselves: `fleet log verify --export` checks them anywhere. An
    export that was cut off continues with the last line's position as `after`.
    """
    through = _through(fleet, query.through, "through")
    fact = LogExported(after=query.after, through=through, at_ms=fleet.context.clock.now_ms())
    await fleet.records.note_repeated(fact, caller.cause)
    response = Response(ExportStream(fleet, query.after, through), content_type="application/x-ndjson")
    response.headers["Content-Disposition"] = f'attachment; filename="fleet-log-{query.after + 1}-{through}.jsonl"'
    response.headers["Fleet-Position"] = str(through)
    response.timeout = None
    return response


class ExportStream(ResponseBody):
    """The lines, page by page: each is read when the one before has been taken, so that a slow reader delays no other.

    What happens during it does not matter: events never change, and one that is erased meanwhile is exported as such.
    """

    def __init__(self, fleet: Fleet, after: int, through: int) -> None:
        self._log = fleet.log
        self._position = after
        self._through = through
        self._ended = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await trio.lowlevel.checkpoint()
        if self._position >= self._through:
            return self._end()
        lines, self._position = export_page(self._log, self._position, self._through)
        return lines

    def _end(self) -> bytes:
        end = b"" if self._ended else export_end(self._log, self._through)
        self._ended = True
        if not end:
            raise StopAsyncIteration
        return end


def _title(fleet: Fleet, session_id: str) -> str | None:
    state = fleet.views.sessions.get(session_id)
    return None if state is None else state.settings.title


def _event(fleet: Fleet, position: int) -> Recorded:
    if not 0 < position <= fleet.log.head():
        raise Rejected("event_not_found", f"the log has events 1 to {fleet.log.head()}")
    recorded = fleet.log.read_all(position - 1, 1)[0]
    if isinstance(recorded.event, Damaged):
        raise Unavailable("event_damaged", f"event {position} cannot be read: {recorded.event.reason}")
    return recorded


def _stream(fleet: Fleet, query: LogQuery) -> str | None:
    if query.session is None:
        return query.stream
    if query.stream is not None:
        raise Rejected("invalid", "give either `session` or `stream`: a session is a stream", field="stream")
    stream = fleet.views.sessions.stream(query.session)
    if fleet.log.stream_version(stream):  # also of an erased session, which no view has
        return stream
    return fleet.views.sessions.stream(fleet.sessions.session(query.session).id)


def _through(fleet: Fleet, position: int | None, field: str) -> int:
    return fleet.log.head() if position is None else check_cursor(fleet, position, field)


def _expected(text: str | None) -> list[Expected]:
    heads = [] if text is None else [head.split(":") for head in text.split(",")]
    return [Expected(int(position), digest, GIVEN) for position, digest in heads]


async def _verified(
    fleet: Fleet, through: int, expected: Sequence[Expected], scope: Literal["all", "chain", "heads"]
) -> VerificationResult:
    if scope == "heads":
        return prove_heads(fleet.log, expected)
    if scope == "chain":
        return await prove_chain(fleet.log, through, expected)
    return await prove_everything(
        fleet.log,
        fleet.stored_views,
        fleet.blobs,
        expected,
        index=partial(replay_used_index, fleet.log, fleet.indexes.connection),
        left_out_through=fleet.left_out_through,
    )
