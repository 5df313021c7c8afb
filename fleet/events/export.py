"""Exports the log as JSON lines that can be verified without Fleet, and verifies such lines.

A line holds an event in readable fields, with the record's header (base64 of its bytes, codec.py) and salt. A reader
can check the chain of digests without the server: the next header holds SHA-256(header), and the event's own header
holds SHA-256(salt | data). The readable fields are compared with the header, and `data` is byte for byte what was
logged. An erased event has neither salt nor data; only its header is verified.

The last line is a signed head (signing.py): the export is complete up to there, and comes from the log of that key.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from fleet.events import codec
from fleet.events.erasures import ErasedStream, Erasures, Misplaced
from fleet.events.heads import Expected
from fleet.events.log import LogReader
from fleet.events.replacements import Replacements, proof_in
from fleet.events.signing import is_signed
from fleet.events.verify import Break, by_position, require_expected
from fleet.limits import EXPORT_PAGE_BYTES, EXPORT_PAGE_EVENTS
from fleet.wire.audit import SignedHead

_POSITION_MAX: Final = 2**63 - 1
_HEAD_BYTES_MAX: Final = 1024  # the line of a head is shorter


class ExportLine(msgspec.Struct, frozen=True, rename="camel", kw_only=True, omit_defaults=True):
    """An exported event. `header` and `salt` are base64; `data` is `{}` where the event was erased.

    `redacted` is the rule by which the data was taken out of this export (redaction.py), whether or not the log has it.
    `replaced`: the event had other data before, and the event at this position has the present ones.
    """

    position: int
    stream: str
    version: int
    type: str
    recorded_at_ms: int
    actor: str
    causation_id: str | None
    correlation_id: str | None
    command_id: str | None
    erased: bool
    data: msgspec.Raw
    header: str
    salt: str
    redacted: str | None = None
    replaced: int = 0


class ExportReport(msgspec.Struct, frozen=True):
    """The result of a check: the verified positions, the digest of the last event, and the first break.

    `events` is 0 where nothing could be verified. `head` is the signed head in the last line; without one, events may
    be missing at the end. `redactions` are the rules by which data was taken out, with the number of events. `GET
    /api/log/verify?at=<last>` returns the same digest.
    """

    events: int
    first: int
    last: int
    erased: int
    digest: bytes
    first_break: Break | None = None
    head: SignedHead | None = None
    erasures: tuple[ErasedStream, ...] = ()
    redactions: tuple[tuple[str, int], ...] = ()


def export_page(log: LogReader, after: int, through: int) -> tuple[bytes, int]:
    """Return a bounded page of lines beyond position `after`, and the position that they reach.

    Raises `CorruptRecord` where the log is damaged.
    """
    lines: list[bytes] = []
    size_bytes = 0
    position, prove = after, proof_in(log.read_record)
    while position < through and len(lines) < EXPORT_PAGE_EVENTS and size_bytes < EXPORT_PAGE_BYTES:
        position += 1
        raw = log.read_record(position)
        if raw is None:
            raise codec.CorruptRecord(f"event {position} is missing")
        lines.append(export_line(raw, prove))
        size_bytes += len(lines[-1])
    return b"".join(lines), position


def export_line(raw: bytes, prove: codec.Proof) -> bytes:
    """Return the line of one record. Raises `CorruptRecord`."""
    record, header = codec.decode(raw), codec.header_bytes(raw)
    prove(record) if record.replaced else codec.require_payload(record)
    head = record.header
    line = ExportLine(
        position=head.position,
        stream=head.stream,
        version=head.version,
        type=head.type,
        recorded_at_ms=head.recorded_at_ms,
        actor=head.actor,
        causation_id=head.causation_id,
        correlation_id=head.correlation_id,
        command_id=head.command_id,
        erased=record.erased,
        data=msgspec.Raw(b"{}" if record.erased else record.payload),
        header=base64.b64encode(header).decode(),
        salt=base64.b64encode(record.salt).decode(),
        replaced=record.replaced,
    )
    return msgspec.json.encode(line) + b"\n"


def read_record(raw: bytes) -> bytes:
    """Return the record (codec.py) of a line, whose fields agree. Raises `CorruptRecord`."""
    line, _ = _read(raw)
    head = base64.b64decode(line.header)
    if line.erased or line.redacted is not None:
        return codec.erase(codec.join(head, bytes(codec.SALT_BYTES), b""))
    if line.replaced:
        return codec.replace_payload(codec.join(head, bytes(codec.SALT_BYTES), b""), line.replaced, bytes(line.data))
    return codec.join(head, base64.b64decode(line.salt), bytes(line.data))


def export_end(log: LogReader, through: int) -> bytes:
    """Return the last line of an export: a signed head. It is empty where there is none.

    Raises `CorruptRecord`.
    """
    head = log.sign(through)
    return b"" if head is None else msgspec.json.encode(head) + b"\n"


def verify_export(lines: Iterable[bytes], expected: Iterable[Expected] = ()) -> ExportReport:
    """Verify consecutive lines, which may begin anywhere in a log. Reads one line at a time.

    Lines of several exports may follow each other, each part with its signed head. Only what is `expected` of the
    exported positions is compared.
    """
    proof = _Proof(by_position(expected))
    try:
        for raw in lines:
            proof.read(raw)
    except codec.CorruptRecord as error:
        return proof.report(str(error))
    return proof.end()


class _Proof:
    """What was verified of an export so far."""

    def __init__(self, expected: Mapping[int, list[Expected]]) -> None:
        self._lines = self._last = self._first = self._events = self._erased = 0
        self._digest = codec.GENESIS_DIGEST
        self._head: SignedHead | None = None
        self._key: str | None = None
        self._erasures = Erasures()
        self._replacements = Replacements()
        self._redactions: dict[str, int] = {}
        self._expected = expected

    def read(self, raw: bytes) -> None:
        """Verify the next line. Raises `CorruptRecord`."""
        self._lines += 1
        head = read_head(raw)
        if head is None:
            self._add(*_read(raw))
        else:
            self._close(head)

    def _add(self, line: ExportLine, record: codec.Record) -> None:
        _require_next(record.header, self._last, self._digest)
        require_expected(record.digest, self._expected.get(line.position, ()))
        self._erasures.add(record.header, erased=record.erased)
        if line.redacted is None:
            self._replacements.add(record)
        self._first = self._first or line.position
        self._last, self._digest, self._head = line.position, record.digest, None
        self._events += 1
        self._erased += line.erased
        if line.redacted is not None:
            self._redactions[line.redacted] = self._redactions.get(line.redacted, 0) + 1

    def _close(self, head: SignedHead) -> None:
        if not is_signed(head):
            raise codec.CorruptRecord("the signature of the head at the end is wrong: the head was changed")
        if self._key not in (None, head.key):
            raise codec.CorruptRecord("its parts are signed by different keys")
        if self._last and (head.position, head.digest) != (self._last, self._digest.hex()):
            raise codec.CorruptRecord(f"the signed head is that of event {head.position}: events before it are missing")
        self._last, self._digest = head.position, bytes.fromhex(head.digest)
        self._head, self._key = head, head.key

    def report(self, reason: str) -> ExportReport:
        """Return the result; the last line has a break for this `reason`."""
        return self._report(Break(self._last + 1 if self._last else self._lines, reason), ())

    def end(self) -> ExportReport:
        """Return the result after the last line."""
        try:
            self._replacements.prove()
            return self._report(None, self._erasures.found())
        except Misplaced as error:
            reason = f"{error} in this export; export the log up to its end to prove an erasure"
            return self._report(Break(error.position, reason), ())

    def _report(self, broken: Break | None, erasures: tuple[ErasedStream, ...]) -> ExportReport:
        last = self._last if self._events else 0
        redactions = tuple(sorted(self._redactions.items()))
        return ExportReport(
            self._events, self._first, last, self._erased, self._digest, broken, self._head, erasures, redactions
        )


def read_head(raw: bytes) -> SignedHead | None:
    """Return the signed head that a line is, None for the line of an event."""
    if b'"signature":' not in raw[-_HEAD_BYTES_MAX:]:
        return None
    try:
        return msgspec.json.decode(raw, type=SignedHead)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _require_next(header: codec.Header, last: int, digest: bytes) -> None:
    """Raise `CorruptRecord` unless this event follows the last one; the first event may have any position."""
    if (header.position != last + 1) if last else (header.position < 1):
        raise codec.CorruptRecord(f"event {header.position} follows event {last}")
    if header.previous_digest != digest and (last or header.position == 1):
        raise codec.CorruptRecord("the digest of the event before does not match: one of the two was changed")


def _read(raw: bytes) -> tuple[ExportLine, codec.Record]:
    """Decode a line and check that its fields agree. Raises `CorruptRecord`."""
    try:
        line = msgspec.json.decode(raw, type=ExportLine)
        head, salt = base64.b64decode(line.header, validate=True), base64.b64decode(line.salt, validate=True)
        header, digest = codec.read_header(head)
    except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error, RecursionError) as error:
        raise codec.CorruptRecord(f"the line does not belong to an export: {error}") from error
    for name in ExportLine.__struct_fields__:
        if hasattr(header, name) and getattr(header, name) != getattr(line, name):
            raise codec.CorruptRecord(f"{name} was changed: the header says {getattr(header, name)!r}")
    if line.erased or line.redacted is not None:
        if bytes(line.data) != b"{}" or salt:
            raise codec.CorruptRecord("an erased or redacted event has no data")
    elif line.replaced:
        if salt or not line.position < line.replaced <= _POSITION_MAX:
            raise codec.CorruptRecord("an event whose data was replaced has no salt, and a later event orders the data")
    elif codec.digest_payload(salt, bytes(line.data)) != header.payload_digest:
        raise codec.CorruptRecord("the data does not match its digest: it was changed")
    data = b"" if line.erased else bytes(line.data)
    return line, codec.Record(header, salt, data, digest, line.erased, line.replaced)
