"""Heads of the log, which signing.py signs: what is stored of them, and what one says about a log."""

from typing import Final, NamedTuple

from fleet.events.signing import is_signed
from fleet.wire.audit import SignedHead


class Heads(NamedTuple):
    """What a log knows of its heads: its public key in hex ("" where there is none), and the signed heads.

    `last` was stored with the last commit. `contradicted` is the first head that did not belong to the end of the log
    when a server started: between two runs, something else than Fleet has changed the log.
    """

    key: str
    last: SignedHead | None = None
    contradicted: SignedHead | None = None


GIVEN: Final = "what the caller expects"
"""Where an expected head comes from."""


class Expected(NamedTuple):
    """What the log has to hold: an event with this digest (hex) at this position. `source` says why."""

    position: int
    digest: str
    source: str


def is_head_of(head: SignedHead, key: str, position: int, digest: bytes) -> bool:
    """Return whether this key signed the head, and the head is this end of a log."""
    return (head.position, head.digest, head.key) == (position, digest.hex(), key) and is_signed(head)
