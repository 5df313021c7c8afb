"""Law 1 and 2: what was answered stands in a log without gaps, and each stream has one writer."""

from collections.abc import Iterator

from fleet.events import codec
from fleet.events.replacements import OrderProof
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
    """Every record names the digest of the one before and of its own payload: nothing was changed (law 1).

    A payload that was replaced is the one that a later event of its session orders.
    """
    previous = codec.GENESIS_DIGEST
    prove = OrderProof({record.header.position: record for record in evidence.records}.get)
    for record in evidence.records:
        header = record.header
        if header.previous_digest != previous:
            yield f"record {header.position} does not follow from the one before"
        try:
            if record.replaced:
                prove(record)
            else:
                codec.require_payload(record)
        except codec.CorruptRecord as error:
            yield f"record {header.position} has another payload than it was written with: {error}"
        previous = record.digest
