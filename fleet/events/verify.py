"""Verifies the log: positions, chain of digests, payloads, stream versions, index, commands, snapshots.

It reads every record up to the current head by its key, which is safe on damaged pages; a million events take some
seconds. Only the header of an erased record is verified, because its payload no longer exists.
"""

from collections.abc import Generator

import msgspec

from fleet.events import codec
from fleet.events.log import Log
from fleet.limits import VERIFY_PAGE_EVENTS


class Break(msgspec.Struct, frozen=True):
    """The first position at which the log is not valid, and the reason."""

    position: int
    reason: str


class VerificationResult(msgspec.Struct, frozen=True):
    """The result: how many events were verified, the digest of the last of them, and the first break.

    Of the `erased` events only the headers were verified.
    """

    events: int
    streams: int
    digest: bytes
    first_break: Break | None = None
    erased: int = 0


def verify(log: Log) -> VerificationResult:
    """Verify the log from its beginning to its head, or to the first break."""
    walk = verifying(log)
    while True:
        try:
            next(walk)
        except StopIteration as end:
            report: VerificationResult = end.value
            return report


def verifying(log: Log, through: int | None = None) -> Generator[None, None, VerificationResult]:
    """Verify in steps of `VERIFY_PAGE_EVENTS`, so that a caller can run other tasks in between; return the result.

    It ends at position `through`, by default the current head.
    """
    digest = codec.GENESIS_DIGEST
    versions: dict[str, int] = {}
    erased = 0
    head = log.head() if through is None else through
    for position in range(1, head + 1):
        try:
            record = _prove(log, position, digest, versions)
        except codec.CorruptRecord as error:
            return VerificationResult(position - 1, len(versions), digest, Break(position, str(error)), erased)
        digest = record.digest
        erased += record.erased
        versions[record.header.stream] = record.header.version
        if position % VERIFY_PAGE_EVENTS == 0:
            yield
    return VerificationResult(head, len(versions), digest, erased=erased)


def _prove(log: Log, position: int, previous: bytes, versions: dict[str, int]) -> codec.Record:
    """Return the record at `position` if it is valid. Raises `CorruptRecord`."""
    raw = log.read_record(position)
    if raw is None:
        raise codec.CorruptRecord(f"missing: the log's head is at {log.head()}")
    record = codec.decode(raw)
    header = record.header
    version = versions.get(header.stream, 0) + 1
    if header.position != position:
        raise codec.CorruptRecord(f"the record holds position {header.position}")
    if header.previous_digest != previous:
        raise codec.CorruptRecord("the digest of the record before does not match: one of the two was changed")
    if not record.erased and codec.digest_payload(record.salt, record.payload) != header.payload_digest:
        raise codec.CorruptRecord("the payload does not match its digest: it was changed")
    if header.version != version:
        raise codec.CorruptRecord(f"{header.stream} should be at version {version}, the record holds {header.version}")
    if log.indexed_version(header.stream, position) != version:
        raise codec.CorruptRecord(f"the index does not lead from {header.stream} to this event")
    _prove_command(log, header)
    if version == 1:
        _prove_snapshot(log, header.stream, erased=record.erased)
    return record


def _prove_command(log: Log, header: codec.Header) -> None:
    if header.command_id is None:
        return
    found = log.find_command(header.command_id)
    if found is None or found.stream != header.stream or found.version < header.version:
        raise codec.CorruptRecord(f"the command {header.command_id!r} has no record: it could be repeated")


def _prove_snapshot(log: Log, stream: str, *, erased: bool) -> None:
    snapshot = log.load_snapshot(stream)
    if snapshot is not None and snapshot.position > log.head():
        raise codec.CorruptRecord(f"the snapshot of {stream} is ahead of the log")
    if snapshot is not None and erased:
        raise codec.CorruptRecord(f"{stream} was erased, but its snapshot is still there")
