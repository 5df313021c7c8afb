"""Stores signed heads of the log in its `meta` table: each commit stores that of the new end."""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from fleet.events.batch import LogEnd
from fleet.events.heads import Heads, is_head_of
from fleet.events.signing import SigningKey
from fleet.wire.audit import SignedHead

if TYPE_CHECKING:
    import lmdb
    from lmdb import _Database

_LAST_KEY: Final = b"head"
_CONTRADICTED_KEY: Final = b"contradicted head"
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(SignedHead).decode


class HeadTable:
    """The heads in an open environment; without a `key` none is stored. `heads` are those that readers see."""

    def __init__(self, table: "_Database", key: SigningKey | None, public: str = "") -> None:
        self._table = table
        self._key = key
        self._signed: SignedHead | None = None
        self.heads = Heads(public if key is None else key.public)

    def read(self, transaction: "lmdb.Transaction[bytes]") -> None:
        """Read the stored heads."""
        found = (transaction.get(name, db=self._table) for name in (_LAST_KEY, _CONTRADICTED_KEY))
        last, contradicted = map(_decoded, found)
        self.heads = self.heads._replace(last=last, contradicted=contradicted)

    def sign(self, end: LogEnd, now_ms: int) -> SignedHead | None:
        """Return the head of this end; None without a key."""
        return None if self._key is None else self._key.sign(*end, now_ms)

    def put(self, transaction: "lmdb.Transaction[bytes]", end: LogEnd, now_ms: int) -> None:
        """Sign the end that this transaction makes durable. May run in the thread of the commit."""
        self._signed = self.sign(end, now_ms)
        if self._signed is not None:
            transaction.put(_LAST_KEY, _encode(self._signed), db=self._table)

    def show(self) -> None:
        """Show the head of the finished commit to readers."""
        self.heads = self.heads._replace(last=self._signed)

    def find_contradicted(self, end: LogEnd) -> SignedHead | None:
        """Return the stored head, if it is not that of the log's end: the log was changed without Fleet.

        Each commit stores a head. Where it was removed, what is returned has no signature.
        """
        last = self.heads.last
        if self._key is None or (last is not None and is_head_of(last, self._key.public, *end)):
            return None
        if last is None and end.position and not self._key.is_new:
            return SignedHead(
                position=end.position, digest=end.digest.hex(), signed_at_ms=0, key=self._key.public, signature=""
            )
        return last

    def put_first(
        self, begin: Callable[[], "lmdb.Transaction[bytes]"], end: LogEnd, now_ms: Callable[[], int]
    ) -> SignedHead | None:
        """Sign a log that has no head of its end; return the head that it contradicts, as `find_contradicted`.

        The next commit would replace that head, so the first such one is kept as a proof for verify.py.
        """
        contradicted = self.find_contradicted(end)
        if contradicted is None and (self.heads.last is not None or not end.position):
            return None
        with begin() as transaction:
            if contradicted is not None and self.heads.contradicted is None:
                transaction.put(_CONTRADICTED_KEY, _encode(contradicted), db=self._table)
            self.put(transaction, end, now_ms())
            self.read(transaction)
        return contradicted


def _decoded(stored: bytes | None) -> SignedHead | None:
    """Return a stored head. One that cannot be read counts as removed."""
    with suppress(msgspec.MsgspecError):
        return None if stored is None else _decode(stored)
    return None
