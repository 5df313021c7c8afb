"""Law 1 and 2: what was answered stands in a log without gaps, and each stream has one writer."""

from collections.abc import Iterator

from fleet.events import codec
from tests.simulation.evidence import Evidence


def positions_are_gapless(evidence: Evidence) -> Iterator[str]:
    """Positions count from 1 without a gap, and so do the versions of every stream (law 2)."""
    versions: dict[str, int] = {}
    for expected, record in enumerate(evidence.records, start=1):
        header = record.header
        if header.position != expected:
            yield f"position {header.position} stands where {expected} should"
        version = versions[header.stream] = versions.get(header.stream, 0) + 1
        if header.version != version:
            yield f"{header.stream} has version {header.version} where {version} should be"


def the_chain_holds(evidence: Evidence) -> Iterator[str]:
    """Every record names the digest of the one before and of its own payload: nothing was changed (law 1)."""
    previous = codec.GENESIS_DIGEST
    for record in evidence.records:
        header = record.header
        if header.previous_digest != previous:
            yield f"record {header.position} does not follow from the one before"
        if not record.erased and codec.digest_payload(record.salt, record.payload) != header.payload_digest:
            yield f"record {header.position} has another payload than it was written with"
        previous = record.digest
