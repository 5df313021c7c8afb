"""Walks the log and proves it: positions, chain of digests, payloads, stream versions, index.

Reads everything, page by page; a log of a million events takes some seconds. Run it on a log that nobody appends to, or
accept that it looks up to the head of the moment at which it is called.
"""

from typing import Protocol

import msgspec

from fleet.events import codec
from fleet.limits import REPLAY_PAGE_EVENTS


class Verifiable(Protocol):
    """What a log gives to be verified."""

    def head(self) -> int:
        """Return the position of the last event."""
        ...

    def read_records(self, after: int, limit: int) -> list[bytes]:
        """Return raw records beyond position `after`."""
        ...

    def indexed_version(self, stream: str, position: int) -> int | None:
        """Return the version that the index by stream holds for the event at `position`."""
        ...


class Break(msgspec.Struct, frozen=True):
    """Where the log stops being what it should be, and why."""

    position: int
    reason: str


class Report(msgspec.Struct, frozen=True):
    """What verification found: how many events were proven, the digest of the last of them, the first break."""

    events: int
    streams: int
    digest: bytes
    first_break: Break | None = None


def verify(log: Verifiable) -> Report:
    """Walk the log from its beginning to its head, or to the first break."""
    head = log.head()
    proven = 0
    digest = codec.GENESIS_DIGEST
    versions: dict[str, int] = {}
    while proven < head:
        page = log.read_records(proven, min(REPLAY_PAGE_EVENTS, head - proven))
        if not page:
            return Report(proven, len(versions), digest, Break(proven + 1, f"missing: the log's head is at {head}"))
        for raw in page:
            try:
                record = codec.decode(raw)
            except codec.CorruptRecord as error:
                return Report(proven, len(versions), digest, Break(proven + 1, str(error)))
            header = record.header
            reason = _reason(log, record, proven + 1, digest, versions.get(header.stream, 0) + 1)
            if reason is not None:
                return Report(proven, len(versions), digest, Break(proven + 1, reason))
            proven, digest = header.position, record.digest
            versions[header.stream] = header.version
    return Report(proven, len(versions), digest)


def _reason(log: Verifiable, record: codec.Record, position: int, previous: bytes, version: int) -> str | None:
    header = record.header
    if header.position != position:
        return f"the record holds position {header.position}"
    if header.previous_digest != previous:
        return "the digest of the record before does not match: one of the two was changed"
    if codec.digest_payload(record.salt, record.payload) != header.payload_digest:
        return "the payload does not match its digest: it was changed"
    if header.version != version:
        return f"{header.stream} should be at version {version}, the record holds {header.version}"
    if log.indexed_version(header.stream, position) != version:
        return f"the index does not lead from {header.stream} to this event"
    return None
