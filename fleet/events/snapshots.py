"""When a stored state can still be read: by its fingerprint.

A snapshot or a view's row is a state in MessagePack. It is disposable: where the fingerprint differs from today's it is
ignored, and the events are folded again.
"""

from functools import cache
from hashlib import blake2b
from typing import Any

import msgspec


@cache
def fingerprint(kind: str, state_type: Any, revision: int) -> str:
    """Return what changes with the structure of the state, or with its decider's `revision`."""
    structure = msgspec.json.encode(msgspec.json.schema(state_type), order="deterministic")
    return f"{kind}/{revision}/{blake2b(structure, digest_size=8).hexdigest()}"
