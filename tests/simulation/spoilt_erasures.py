"""Ways to spoil what the log has left of erased sessions (spoilers.py)."""

import msgspec
from msgspec.structs import replace

from tests.simulation.evidence import Evidence


def keep_an_erased_payload(evidence: Evidence) -> None:
    stream = f"session-{min(evidence.erased)}"
    kept = [replace(r, erased=False) if r.header.stream == stream else r for r in evidence.records]
    evidence.__dict__["records"] = kept


def keep_an_erased_callback(evidence: Evidence) -> None:
    callback = msgspec.json.encode({"text": f'Session "title" ({min(evidence.erased)}) has ended: finished.'})
    first, *others = evidence.records
    evidence.__dict__["records"] = [replace(first, payload=callback), *others]
