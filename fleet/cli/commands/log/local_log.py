"""The log of a directory or an export, with the methods that the client has for the log of a server."""

from collections.abc import AsyncGenerator, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Unpack

import msgspec
import trio

from fleet.client.audit import LogFilter, log_query
from fleet.client.connection import Page
from fleet.client.errors import Invalid, NotFound
from fleet.core.session.events import ConversationOpened, SessionCreated, SessionResumed
from fleet.core.session.evolve import evolve
from fleet.core.session.state import State, initial
from fleet.events.blobs import Blobs
from fleet.events.envelope import Erased
from fleet.events.export import export_page
from fleet.events.heads import GIVEN, Expected
from fleet.events.log import LogReader
from fleet.events.read_only import ExportedLog
from fleet.events.search import chain, find_events
from fleet.events.times import LogTimes
from fleet.gateway.items.explanations import between, why_step
from fleet.gateway.items.log import event_item, verification
from fleet.limits import EXPORT_PAGE_EVENTS, LOG_CHAIN_EVENTS_MAX
from fleet.projections.between import changes_between
from fleet.projections.history_query import parse_instant
from fleet.projections.log_query import search_of
from fleet.projections.moments import position_at
from fleet.projections.names import naming
from fleet.projections.proof import prove_chain, prove_everything
from fleet.projections.replay_index import replay_index
from fleet.projections.store import ViewStore
from fleet.projections.why import called_paths, explain, read_event
from fleet.projections.why_turn import changed_files
from fleet.wire.audit import Between, EventItem, SignedHead, Verification, WhyStep

_SESSION = "session-"


class LocalLog:
    """A log that this process reads. It has the methods of `AuditLog` (client/audit.py), which raise `Problem` here."""

    def __init__(
        self,
        reader: LogReader,
        blobs: Blobs | None = None,
        views: ViewStore | None = None,
        directory: Path | None = None,
        left_out_through: int = 0,
    ) -> None:
        """`directory` has the files of views in SQLite; contents were left out up to a position (left_out.py)."""
        self.left_out_through = left_out_through
        self.reader = reader
        self._directory = directory
        self.views = views
        self.blobs = blobs
        self.times = LogTimes(reader)

    async def log(self, **asked: Unpack[LogFilter]) -> Page[EventItem]:
        """See `AuditLog`."""
        query = log_query(asked)
        search = search_of(
            query, query.stream if query.session is None else f"{_SESSION}{query.session}", self.reader.head()
        )
        found = await find_events(self.reader, self.times, search)
        return Page([event_item(event) for event in found.events], self.reader.head(), found.next_cursor)

    async def event(self, position: int) -> EventItem:
        """See `AuditLog`."""
        return event_item(read_event(self.reader, position))

    async def chain(self, position: int) -> Page[EventItem]:
        """See `AuditLog`."""
        read_event(self.reader, position)
        found = chain(self.reader, position, LOG_CHAIN_EVENTS_MAX)
        return Page([event_item(event) for event in found], len(found))

    async def why(self, position: int, *, file: str | None = None) -> Page[WhyStep]:
        """See `AuditLog`."""
        steps = await explain(self.reader, position, naming(self.reader), self.blobs, file)
        return Page([why_step(step) for step in steps], len(steps))

    async def between(self, first: int | str, last: int | str | None = None) -> Between:
        """See `AuditLog`."""
        head = self.reader.head()
        begin = await position_at(self.times, first, head, "from", last=False)
        end = head if last is None else await position_at(self.times, last, head, "to")
        found = await changes_between(self.reader, self._state_at, self.blobs, begin, end)
        return between(self.reader, begin, end, found)

    async def _state_at(self, session_id: str, at: int) -> State | None:
        """Fold a session up to a position; None also where one of its events cannot be read."""
        stream = _SESSION + session_id
        if self.reader.is_erased(stream):
            return None
        state = initial(session_id)
        for _, _, event in self.reader.replay(stream, 0, at):
            if isinstance(event, Erased):
                return None
            state = evolve(state, event)
        return None if state.phase == "absent" else state

    async def exported(self, after: int) -> AsyncGenerator[bytes]:
        """Yield pages of lines of an export, from a position to the end, and the signed head that is stored there."""
        end = self.reader.head()
        for page in self._pages(after, end):
            yield page
            await trio.lowlevel.checkpoint()
        head = self.reader.heads().last
        if head is not None and head.position == end:
            yield msgspec.json.encode(head) + b"\n"

    def _pages(self, position: int, end: int) -> Iterator[bytes]:
        if isinstance(self.reader, ExportedLog):  # its lines have the marks of what was taken out; a record has none
            lines = self.reader.lines(position)
            while page := b"".join(islice(lines, EXPORT_PAGE_EVENTS)):
                yield page
            return
        while position < end:
            page, position = export_page(self.reader, position, end)
            yield page

    def content(self, digest: str) -> bytes | None:
        """Return a content of the blob store, None where there is none."""
        return None if self.blobs is None else self.blobs.get(digest)

    async def changed_paths(self, position: int) -> set[str]:
        """Return the paths that a turn changed, whose changes this event recorded.

        Without the blobs, as in an export, these are the paths that its tool calls name.
        """
        recorded = read_event(self.reader, position)
        files = changed_files(recorded.event, self.blobs)
        if files:
            return {path for each in files for path in (each.file, each.old_file) if path is not None}
        return await called_paths(self.reader, recorded)

    async def position_at(self, time: str) -> int:
        """See `AuditLog`."""
        return await self.times.at(parse_instant(time, "time", last=True))

    async def verify(
        self, *, at: int | None = None, expect: Iterable[tuple[int, str]] = (), chain: bool = False
    ) -> Verification:
        """See `AuditLog`."""
        expected = [Expected(position, digest, GIVEN) for position, digest in expect]
        if chain or at is not None or self.views is None:
            return verification(await prove_chain(self.reader, at, expected))
        with TemporaryDirectory(prefix="fleet-verify-") as scratch:
            index = None
            if self._directory is not None:
                index = partial(replay_index, self.reader, self._directory, Path(scratch), self.reader.head())
            proven = await prove_everything(
                self.reader, self.views, self.blobs, expected, index=index, left_out_through=self.left_out_through
            )
        return verification(proven)

    async def head(self) -> SignedHead:
        """See `AuditLog`. It is the one that is stored: only a server signs."""
        head = self.reader.heads().last
        if head is None:
            raise NotFound("event_not_found", "the log has no signed head")
        return head

    def session_id(self, name: str) -> str:
        """Return the id of the session with this id or OpenCode id, or of the only one that begins like this."""
        found = [stream.removeprefix(_SESSION) for stream in self.reader.streams(_SESSION + name.lower())]
        found = found or [each for each in self._sessions() if name in self._opencode_ids(each)]
        if not found:
            raise NotFound("session_not_found", f"the log has no session {name!r}")
        if len(found) > 1:
            raise Invalid("ambiguous", f"{len(found)} sessions begin with {name!r}: {', '.join(found[:5])}")
        return found[0]

    def _sessions(self) -> list[str]:
        return [stream.removeprefix(_SESSION) for stream in self.reader.streams(_SESSION)]

    def _opencode_ids(self, session_id: str) -> set[str]:
        """Return the ids of the session's conversations."""
        found: set[str] = set()
        for _, _, event in self.reader.replay(_SESSION + session_id):
            match event:
                case SessionCreated() | ConversationOpened() | SessionResumed():
                    found.add(event.opencode_id)
                case _:
                    pass
        return found
