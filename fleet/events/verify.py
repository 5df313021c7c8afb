"""Verifies the log: positions, digests, payloads, stream versions, index, commands, snapshots, erasures, signed heads.

It reads every record up to the current head by its key, which is safe on damaged pages; a million events take some
seconds. Only the header of an erased record is verified, because its payload no longer exists. The log has to end with
the head that Fleet signed, and may be held to heads that were stored elsewhere.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Final

import msgspec

from fleet.events import codec
from fleet.events.envelope import ERASED_DIGEST, CommandRecord
from fleet.events.erasures import ORDER, ErasedStream, Erasures, Misplaced
from fleet.events.heads import Expected, Heads
from fleet.events.log import LogReader
from fleet.events.replacements import REPLACING, ordered_in, proof_in, require_carried_out
from fleet.events.signing import is_signed
from fleet.limits import VERIFY_PAGE_EVENTS
from fleet.wire.audit import SignedHead

_STARTED: Final = "server.started"


class _Start(msgspec.Struct, frozen=True):
    contradicted_head: int | None = None


_read_start: Final = msgspec.json.Decoder(_Start).decode


class Break(msgspec.Struct, frozen=True):
    """The first position at which the log is not valid, and the reason."""

    position: int
    reason: str


class VerificationResult(msgspec.Struct, frozen=True):
    """The result: how many events were verified, the digest of the last of them, and the first break.

    Of the `erased` events only the headers were verified; `erasures` are their streams, each with its order. `head` is
    the signed head that the log ends with. `checked` names what was verified, `not_checked` what was not. `left_out`
    contents were not part of the export that the log was imported from.
    """

    events: int
    streams: int
    digest: bytes
    first_break: Break | None = None
    erased: int = 0
    head: SignedHead | None = None
    erasures: tuple[ErasedStream, ...] = ()
    checked: tuple[str, ...] = ()
    not_checked: tuple[str, ...] = ()
    left_out: int = 0


def verify(log: LogReader, expected: Iterable[Expected] = ()) -> VerificationResult:
    """Verify the log from its beginning to its head, or to the first break."""
    walk = verifying(log, expected=expected)
    while True:
        try:
            next(walk)
        except StopIteration as end:
            report: VerificationResult = end.value
            return report


def verifying(
    log: LogReader, through: int | None = None, expected: Iterable[Expected] = ()
) -> Generator[None, None, VerificationResult]:
    """Verify in steps of `VERIFY_PAGE_EVENTS`, so that a caller can run other tasks in between; return the result.

    It ends at position `through`, by default the current head. What is `expected` beyond it is not compared, but a log
    that ends before an expected event is broken.
    """
    end, heads, sizes = log.head(), log.heads(), log.table_sizes()
    head = end if through is None else through
    wanted = by_position((*_signed(heads), *expected))
    walk, erasures = _Walk(log, wanted), Erasures(partial(_erased_before, log))
    erased, position, followed = 0, 0, erasures.followed
    try:
        for position in range(1, head + 1):
            header, _, content = walk.prove(position)
            if content is None or header.version == 1 or header.stream in followed or header.type.endswith(ORDER):
                erasures.add(header, erased=content is None)
                erased += content is None
            if header.type == REPLACING and content is not None:
                yield from walk.prove_carried_out(position)
            if position % VERIFY_PAGE_EVENTS == 0:
                yield
        position = end + 1
        _prove_end(end, heads, wanted)
        _prove_contradicted(walk.contradicted, heads)
        if head == end and sizes is not None and sizes != (end, end, walk.commands):
            yield from _tell_surplus(log, end)
        streams = erasures.found(partial(_last_header, log))
    except (codec.CorruptRecord, Misplaced) as error:
        found = Break(error.position if isinstance(error, Misplaced) else position, str(error))
        events = min(found.position - 1, head)
        return VerificationResult(events, len(walk.versions), walk.digest, found, erased, heads.last)
    return VerificationResult(head, len(walk.versions), walk.digest, None, erased, heads.last, streams)


def _tell_surplus(log: LogReader, end: int) -> Iterator[None]:
    """Raise `Misplaced` for the first entry of a table that has no event, in steps."""
    for found in log.find_surplus():
        if found is not None:
            raise Misplaced(*found)
        yield
    raise Misplaced(end, "a table has entries without an event")


def _erased_before(log: LogReader, header: codec.Header) -> bool:
    before = log.stream_positions(header.stream, 0, header.position, header.version, newest_first=False)
    return all(codec.decode(log.read_record(position) or b"").erased for position in before)


def _last_header(log: LogReader, stream: str) -> codec.Header | None:
    last = log.stream_positions(stream, 0, log.head() + 1, 1, newest_first=True)
    return log.read_headers(last)[0] if last else None


def compare_heads(log: LogReader, expected: Iterable[Expected]) -> VerificationResult:
    """Compare the signed heads and what is `expected` with the log; the chain between them is not verified."""
    end, heads = log.head(), log.heads()
    wanted, position = by_position((*_signed(heads), *expected)), 0
    found: Break | None = None
    try:
        for position in sorted(position for position in wanted if position <= end):
            raw = log.read_record(position)
            require_expected(codec.GENESIS_DIGEST if raw is None else codec.decode(raw).digest, wanted[position])
        position = end + 1
        _prove_end(end, heads, wanted)
    except codec.CorruptRecord as error:
        found = Break(position, str(error))
    return VerificationResult(0, 0, codec.GENESIS_DIGEST, found, head=heads.last)


def _signed(heads: Heads) -> list[Expected]:
    stored = ((heads.last, "the signed head"), (heads.contradicted, "the head that an earlier run signed"))
    return [Expected(head.position, head.digest, source) for head, source in stored if head is not None]


def by_position(expected: Iterable[Expected]) -> Mapping[int, list[Expected]]:
    """Return what is expected, by its position."""
    wanted: dict[int, list[Expected]] = {}
    for each in expected:
        wanted.setdefault(each.position, []).append(each)
    return wanted


def require_expected(digest: bytes, expected: Iterable[Expected]) -> None:
    """Raise `CorruptRecord` unless the event with this digest is the expected one."""
    for each in expected:
        if each.digest != digest.hex():
            raise codec.CorruptRecord(
                f"{each.source} names this event with another digest: this event or an earlier one was changed"
            )


def _prove_end(end: int, heads: Heads, wanted: Mapping[int, list[Expected]]) -> None:
    """Raise `CorruptRecord` unless the log ends with its signed head, and no earlier than expected."""
    last = max(wanted, default=0)
    if last > end:
        source = wanted[last][0].source
        raise codec.CorruptRecord(f"{source} names event {last}, but the log ends at {end}: its end was cut off")
    if end and (heads.last is None or heads.last.position < end):
        raise codec.CorruptRecord(f"no signed head covers event {end}")
    for head in (heads.last, heads.contradicted):
        if head is not None and not head.signature:
            raise codec.CorruptRecord(f"the head of event {head.position} was removed between two runs of a server")
        if head is not None and (head.key != heads.key or not is_signed(head)):
            raise codec.CorruptRecord(f"the head of event {head.position} is not signed by this log's key")


def _prove_contradicted(recorded: Mapping[int, int], heads: Heads) -> None:
    """Raise `Misplaced` if a start has recorded a contradicted head, and none is stored: someone has removed it."""
    if heads.contradicted is None:
        for position, start in recorded.items():
            what = (
                f"the server that started at event {start} found a signed head of event {position} that is not of this"
            )
            raise Misplaced(position, f"{what} log, and that head was removed since")


class _Walk:
    """What was proven so far: the digest of the last record, the versions of the streams, and the last command."""

    def __init__(self, log: LogReader, wanted: Mapping[int, list[Expected]]) -> None:
        self._log = log
        self._read, self._indexed = log.read_record, log.indexed_version
        self._prove_order = proof_in(log.read_record)
        self._wanted = wanted
        self.digest = codec.GENESIS_DIGEST
        self.versions: dict[str, int] = {}
        self.commands = 0
        self.contradicted: dict[int, int] = {}  # positions of heads, with the start that recorded it
        self._command_id: str | None = None
        self._command: CommandRecord | None = None

    def prove(self, position: int) -> codec.Examined:
        """Return the record at `position` if it is valid and the expected one. Raises `CorruptRecord`."""
        raw = self._read(position)
        if raw is None:
            raise codec.CorruptRecord(f"missing: the log's head is at {self._log.head()}")
        record = codec.examine(raw)
        header, digest, content = record
        stream = header.stream
        version = self.versions.get(stream, 0) + 1
        if header.position != position:
            raise codec.CorruptRecord(f"the record holds position {header.position}")
        if header.previous_digest != self.digest:
            raise codec.CorruptRecord("the digest of the record before does not match: one of the two was changed")
        if content is not None and (content != header.payload_digest or codec.is_replaced(raw)):
            self._prove_replaced(raw)
        if header.version != version:
            raise codec.CorruptRecord(f"{stream} should be at version {version}, the record holds {header.version}")
        if self._indexed(stream, position) != version:
            raise codec.CorruptRecord(f"the index does not lead from {stream} to this event")
        if header.type == _STARTED and content is not None:
            self._note_start(position, codec.decode(raw).payload)
        if header.command_id is not None:
            self._prove_command(raw, header, header.command_id)
        if version == 1:
            _prove_snapshot(self._log, stream, erased=content is None)
        if position in self._wanted:
            require_expected(digest, self._wanted[position])
        self.digest = digest
        self.versions[stream] = version
        return record

    def _prove_replaced(self, raw: bytes) -> None:
        record = codec.decode(raw)
        if not record.replaced:
            raise codec.CorruptRecord(codec.CHANGED)
        self._prove_order(record)

    def prove_carried_out(self, position: int) -> Iterator[None]:
        """Raise `Misplaced` if an event has an earlier payload than the order at this position names, in steps."""
        order = codec.decode(self._read(position) or b"")
        for number, at in enumerate(ordered_in(order.payload), 1):
            require_carried_out(order, at, self._read(at))
            if number % VERIFY_PAGE_EVENTS == 0:
                yield

    def _note_start(self, position: int, payload: bytes) -> None:
        with suppress(msgspec.MsgspecError):
            contradicted = _read_start(payload).contradicted_head
            if contradicted is not None:
                self.contradicted.setdefault(contradicted, position)

    def _prove_command(self, raw: bytes, header: codec.Header, command_id: str) -> None:
        if command_id != self._command_id:  # the events of a command follow each other
            self._command_id, self._command = command_id, self._log.find_command(command_id)
        found = self._command
        if found is None or found.stream != header.stream or found.version < header.version:
            raise codec.CorruptRecord(f"the command {command_id!r} has no record: it could be repeated")
        if found.position - header.position != found.version - header.version:
            raise codec.CorruptRecord(f"the record of the command {command_id!r} leads to another event")
        if found.position != header.position:
            return
        self.commands += 1
        record = codec.decode(raw)
        salted = codec.digest_command(record.salt, found.digest)
        if not (record.erased or record.replaced) and found.digest != ERASED_DIGEST and salted != header.command_digest:
            raise codec.CorruptRecord(f"the record of the command {command_id!r} has another digest than the event")


def _prove_snapshot(log: LogReader, stream: str, *, erased: bool) -> None:
    snapshot = log.load_snapshot(stream)
    if snapshot is not None and snapshot.position > log.head():
        raise codec.CorruptRecord(f"the snapshot of {stream} is ahead of the log")
    if snapshot is not None and erased:
        raise codec.CorruptRecord(f"{stream} was erased, but its snapshot is still there")
