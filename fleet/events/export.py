"""Exports the log as JSON lines that can be verified without Fleet, and verifies such lines.

A line holds an event in readable fields, with the record's header (base64 of its bytes, codec.py) and salt. A reader
can check the chain of digests without the server: the next header holds SHA-256(header), and the event's own header
holds SHA-256(salt | data). The readable fields are compared with the header, and `data` is byte for byte what was
logged. An erased event has neither salt nor data; only its header is verified.
"""

import base64
import binascii
from collections.abc import Iterable

import msgspec

from fleet.events import codec
from fleet.events.log import LogReader
from fleet.events.verify import Break
from fleet.limits import EXPORT_PAGE_BYTES, EXPORT_PAGE_EVENTS


class ExportLine(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """An exported event. `header` and `salt` are base64; `data` is `{}` where the event was erased."""

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


class ExportReport(msgspec.Struct, frozen=True):
    """The result of a check: the verified positions, the digest of the last event, and the first break.

    `events` is 0 where nothing could be verified. `GET /api/log/verify?at=<last>` returns the same digest.
    """

    events: int
    first: int
    last: int
    erased: int
    digest: bytes
    first_break: Break | None = None


def export_page(log: LogReader, after: int, through: int) -> tuple[bytes, int]:
    """Return a bounded page of lines beyond position `after`, and the position that they reach.

    Raises `CorruptRecord` where the log is damaged.
    """
    lines: list[bytes] = []
    size_bytes = 0
    position = after
    while position < through and len(lines) < EXPORT_PAGE_EVENTS and size_bytes < EXPORT_PAGE_BYTES:
        position += 1
        raw = log.read_record(position)
        if raw is None:
            raise codec.CorruptRecord(f"event {position} is missing")
        lines.append(export_line(raw))
        size_bytes += len(lines[-1])
    return b"".join(lines), position


def export_line(raw: bytes) -> bytes:
    """Return the line of one record. Raises `CorruptRecord`."""
    record, header = codec.decode(raw), codec.header_bytes(raw)
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
    )
    return msgspec.json.encode(line) + b"\n"


def read_record(raw: bytes) -> bytes:
    """Return the record (codec.py) of a line, whose fields agree. Raises `CorruptRecord`."""
    line, _, _ = _read(raw)
    head = base64.b64decode(line.header)
    body = codec.ERASED_MARK if line.erased else base64.b64decode(line.salt) + bytes(line.data)
    return len(head).to_bytes(4, "big") + head + body


def verify_export(lines: Iterable[bytes]) -> ExportReport:
    """Verify consecutive lines, which may begin anywhere in a log. Reads one line at a time."""
    first = last = erased = 0
    digest = codec.GENESIS_DIGEST
    for number, raw in enumerate(lines, 1):
        try:
            line, header, own_digest = _read(raw)
            _require_next(header, last, digest)
        except codec.CorruptRecord as error:
            events = last - first + 1 if last else 0
            return ExportReport(events, first, last, erased, digest, Break(last + 1 if last else number, str(error)))
        first = first or line.position
        last, digest = line.position, own_digest
        erased += line.erased
    return ExportReport(last - first + 1 if last else 0, first, last, erased, digest)


def _require_next(header: codec.Header, last: int, digest: bytes) -> None:
    """Raise `CorruptRecord` unless this event follows the last one; the first event may have any position."""
    if (header.position != last + 1) if last else (header.position < 1):
        raise codec.CorruptRecord(f"event {header.position} follows event {last}")
    if header.previous_digest != digest and (last or header.position == 1):
        raise codec.CorruptRecord("the digest of the event before does not match: one of the two was changed")


def _read(raw: bytes) -> tuple[ExportLine, codec.Header, bytes]:
    """Decode a line and check that its fields agree. Raises `CorruptRecord`."""
    try:
        line = msgspec.json.decode(raw, type=ExportLine)
        head, salt = base64.b64decode(line.header, validate=True), base64.b64decode(line.salt, validate=True)
        header, digest = codec.read_header(head)
    except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error) as error:
        raise codec.CorruptRecord(f"the line does not belong to an export: {error}") from error
    for name in ExportLine.__struct_fields__:
        if hasattr(header, name) and getattr(header, name) != getattr(line, name):
            raise codec.CorruptRecord(f"{name} was changed: the header says {getattr(header, name)!r}")
    if line.erased:
        if bytes(line.data) != b"{}" or salt:
            raise codec.CorruptRecord("an erased event has no data")
    elif codec.digest_payload(salt, bytes(line.data)) != header.payload_digest:
        raise codec.CorruptRecord("the data does not match its digest: it was changed")
    return line, header, digest
