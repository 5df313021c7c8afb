"""The client's methods for the audit log."""

from collections.abc import Iterable, Sequence
from typing import TypedDict, Unpack

from fleet.client.connection import Connection, Page
from fleet.client.export import LogExport
from fleet.limits import LOG_HEADS_EXPECTED_MAX
from fleet.wire.audit import (
    Between,
    BetweenQuery,
    EventItem,
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
from fleet.wire.backup import BackupBody, BackupItem
from fleet.wire.bodies import Query
from fleet.wire.policy import PolicyBody, PolicyTrial


class LogFilter(TypedDict, total=False):
    """Which events of the log to return: those that match everything that is given. All of it may be left out."""

    after: int
    """Only events after this position."""
    before: int | None
    """Only events before this position."""
    limit: int
    """The maximum number of events; 50 by default."""
    newest_first: bool
    session: str | None
    stream: str | None
    """A stream's name, such as `instance-` and an id."""
    types: Sequence[str]
    """Types of events, such as `session.created`."""
    actor: str | None
    """Who caused the event, such as `token:` and a name."""
    correlation: str | None
    """The id of the request that caused the event."""
    begin: int | str | None
    """A position, a date or RFC 3339 time: only events at it or later."""
    end: int | str | None
    """A position, a date or RFC 3339 time: only events at it or earlier."""


def log_query(asked: LogFilter) -> LogQuery:
    """Return the filter as the query of `GET /api/log`."""
    return LogQuery(
        after=asked.get("after", 0),
        before=asked.get("before"),
        limit=asked.get("limit", 50),
        order="desc" if asked.get("newest_first") else "asc",
        session=asked.get("session"),
        stream=asked.get("stream"),
        type=",".join(asked.get("types", ())) or None,
        actor=asked.get("actor"),
        correlation=asked.get("correlation"),
        from_=asked.get("begin"),
        to=asked.get("end"),
    )


class AuditLog:
    """The methods of `FleetClient` for the log."""

    _connection: Connection

    async def log(self, **asked: Unpack[LogFilter]) -> Page[EventItem]:
        """Return events of the log between two positions that match all given filters.

        The total is where the log ends. A search may stop early, with few events or none: while the page's `go_on` is
        not None, continue with it as `after`, or as `before` where the newest come first.

        >>> session = await fleet.create("/home/user/plain")
        >>> [event.type for event in await fleet.log(session=session.id, types=["session.created"])]
        ['session.created']
        """
        return await self._connection.page(EventItem, "/log", log_query(asked))

    async def chain(self, position: int) -> Page[EventItem]:
        """Return an event and its causes: the event first, its first cause last."""
        return await self._connection.page(EventItem, f"/log/{position:d}/chain")

    async def why(self, position: int, *, file: str | None = None) -> Page[WhyStep]:
        """Explain an event: the steps from it down to the request that began it, one sentence each.

        With `file`, only what explains the change of that file, whose path is relative to the session's directory.

        >>> session = await fleet.create("/home/user/plain", title="A task")
        >>> (created,) = await fleet.log(session=session.id, types=["session.created"])
        >>> print((await fleet.why(created.position))[0].sentence)
        The session "A task" was created in /home/user/plain (existing), by this machine's user
        """
        return await self._connection.page(WhyStep, f"/log/{position:d}/why", WhyQuery(file))

    async def between(self, first: int | str, last: int | str | None = None) -> Between:
        """Compare two moments, each a position, a date or an RFC 3339 time: what changed in the fleet in between.

        >>> session = await fleet.create("/home/user/plain", title="A task")
        >>> [(each.title, each.status) for each in (await fleet.between(0)).sessions]
        [('A task', 'idle')]
        """
        return await self._connection.read(Between, "/log/between", BetweenQuery(from_=first, to=last))

    async def position_at(self, time: str) -> int:
        """Return the position of the last event that the log had at a date or RFC 3339 time."""
        return (await self._connection.read(PositionItem, "/log/at", TimeQuery(time))).position

    async def event(self, position: int) -> EventItem:
        """Return one event of the log."""
        return await self._connection.read(EventItem, f"/log/{position:d}")

    async def retention(self) -> RetentionRule:
        """Return the rule of retention, and the first of the sessions that it erases next."""
        return await self._connection.read(RetentionRule, "/log/retention")

    async def verify(
        self, *, at: int | None = None, expect: Iterable[tuple[int, str]] = (), chain: bool = False
    ) -> Verification:
        """Verify the whole log with all that is made from it, or its events up to `at`; `chain`: only the events.

        The log must also have what is expected: events with these positions and digests (hex), as heads that were
        stored elsewhere before have them.
        """
        heads = [f"{position}:{digest}" for position, digest in expect]
        page, rest = heads[:LOG_HEADS_EXPECTED_MAX], heads[LOG_HEADS_EXPECTED_MAX:]
        report = await self._verify(VerifyQuery(at, ",".join(page) or None, "chain" if chain else "all"))
        while report.intact and rest:
            page, rest = rest[:LOG_HEADS_EXPECTED_MAX], rest[LOG_HEADS_EXPECTED_MAX:]
            compared = await self._verify(VerifyQuery(at, ",".join(page), "heads"))
            report.intact, report.first_break = compared.intact, compared.first_break
        return report

    async def _verify(self, query: VerifyQuery) -> Verification:
        return await self._connection.read(Verification, "/log/verify", query)

    async def head(self) -> SignedHead:
        """Return the end of the log, signed. Store it elsewhere: it reveals a log that is changed later."""
        return await self._connection.read(SignedHead, "/log/head")

    async def try_policy(self, policy: PolicyBody) -> PolicyTrial:
        """Try permission rules and a budget over the recorded past; nothing changes. It needs an operator's token."""
        return await self._connection.read(PolicyTrial, "/policy/try", method="POST", body=policy)

    async def backup_part(self, part: str, query: Query | None = None) -> bytes:
        """Return a part of a backup in MessagePack (fleet/wire/backup.py), for `fleet backup`. For operators only."""
        return await self._connection.content(f"/backup{part}", query)

    async def record_backup(self, position: int, directory: str = "") -> BackupItem:
        """Record that a backup up to this position was finished, in this directory. For operators only."""
        body = BackupBody(position=position, directory=directory)
        return await self._connection.write(BackupItem, "POST", "/backup", body=body)

    def export(self, *, after: int = 0, through: int | None = None) -> LogExport:
        """Return the log as lines, after a position, up to another one or to the current end of the log.

        >>> session = await fleet.create("/home/user/plain")
        >>> async with fleet.export(through=2) as lines:
        ...     async for line in lines:
        ...         print(line[:14])
        b'{"position":1,'
        b'{"position":2,'
        b'{"position":2,'

        The last line is a signed head.
        """
        return LogExport(self._connection, after, through)
