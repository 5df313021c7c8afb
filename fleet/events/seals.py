"""Seals: keyed digests that bind disposable data (snapshots, rows of views) to the log.

The key is derived from the signing key (signing.py), so only Fleet can make a seal. A seal covers the digest of the
record at the position that the data was folded up to, and so, by the chain, all events before it. Data without its seal
is folded from the log again.
"""

from collections.abc import Callable
from hashlib import blake2b
from typing import Final

_SEAL_BYTES: Final = 16
_SUM_BYTES: Final = 32
_SUMS: Final = 1 << 8 * _SUM_BYTES

DigestAt = Callable[[int], bytes | None]
"""Returns the digest of the record at a position, None where there is none."""


class Sealer:
    """Makes seals with a key. May be used in any thread."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, *parts: bytes) -> bytes:
        """Return the seal of these parts in this order."""
        state = blake2b(key=self._key, digest_size=_SEAL_BYTES, person=b"seal")
        for part in parts:
            state.update(len(part).to_bytes(8, "big") + part)
        return state.digest()

    def rows(self, table: str) -> "RowSum":
        """Return what sums up the rows of this table."""
        return RowSum(self.seal(b"rows", table.encode()))


class RowSum:
    """The sum of the keyed digests of a set of rows: it has no order, and each change of a row changes it."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.total = 0

    def add(self, key: bytes, row: bytes) -> None:
        """Add a row."""
        self.total = (self.total + self._digest(key, row)) % _SUMS

    def remove(self, key: bytes, row: bytes) -> None:
        """Remove a row."""
        self.total = (self.total - self._digest(key, row)) % _SUMS

    def _digest(self, key: bytes, row: bytes) -> int:
        state = blake2b(len(key).to_bytes(8, "big") + key + row, digest_size=_SUM_BYTES, key=self._key)
        return int.from_bytes(state.digest(), "big")
