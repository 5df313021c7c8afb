"""Proves replaced payloads: events of a parent lose what a child has reported, when the child is erased.

The order is a later event of the session. It holds the new payloads, and they are written in its commit, so one is
never there without the other. The chain of digests covers the order, and every read compares both.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from fleet.events.codec import UNORDERED, CorruptRecord, Proof, Record, decode, require_payload
from fleet.events.erasures import Misplaced, ordering_stream

REPLACING: Final = "session.callbacks-erased"
"""The type of an order."""


class _Replaced(msgspec.Struct):
    position: int
    payload: msgspec.Raw


class _Order(msgspec.Struct):
    replaced: list[_Replaced]


_decode: Final = msgspec.json.Decoder(_Order).decode


def ordered_in(payload: bytes) -> dict[int, bytes]:
    """Return the new payloads in an order, by position. Raises `CorruptRecord`."""
    try:
        return {each.position: bytes(each.payload) for each in _decode(payload).replaced}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptRecord(f"the payloads that it orders cannot be read: {error}") from error


class _Orders(NamedTuple):
    """What an order says: its stream, and the digests of the new payloads, by position."""

    stream: str
    digests: Mapping[int, bytes]


class _Claim(NamedTuple):
    """A replaced record: its place, the position of its order, and the digest of its payload."""

    position: int
    stream: str
    order: int
    digest: bytes


def _said_by(order: Record) -> _Orders:
    digests = {position: _digest(payload) for position, payload in ordered_in(order.payload).items()}
    return _Orders(order.header.stream, digests)


def _claim_of(record: Record) -> _Claim:
    return _Claim(record.header.position, record.header.stream, record.replaced, _digest(record.payload))


def _digest(payload: bytes) -> bytes:
    return hashlib.sha256(payload).digest()


def _compare(claim: _Claim, order: _Orders | None) -> None:
    """Raise `CorruptRecord` unless the order is a later one of the record's session, and has its payload."""
    position, stream, at, digest = claim
    if order is None or at <= position:
        raise _unordered(at)
    if order.stream != ordering_stream(stream):
        raise CorruptRecord(f"its payload was replaced by an order of another session, at position {at}")
    if order.digests.get(position) != digest:
        raise CorruptRecord(f"its payload was replaced by another one than is ordered at position {at}")


def _unordered(at: int) -> CorruptRecord:
    return CorruptRecord(UNORDERED.format(at))


class OrderProof:
    """A `Proof` (codec.py) for one walk over records; `find` returns records by position.

    An order that was replaced itself needs the next order, and so on. Each order is read once in a walk, so even a
    chain of thousands costs no more than its bytes.
    """

    def __init__(self, find: Callable[[int], Record | None]) -> None:
        self._find = find
        self._proven: dict[int, _Orders] = {}

    def __call__(self, record: Record) -> None:
        """Raise `CorruptRecord` unless a later event of its session orders the payload of a replaced record."""
        chain: dict[int, _Orders] = {}
        while record.replaced and record.replaced not in self._proven:
            order = self._order_of(record)
            said = chain[record.replaced] = _said_by(order)
            _compare(_claim_of(record), said)
            record = order
        if record.replaced:
            _compare(_claim_of(record), self._proven[record.replaced])
        else:
            require_payload(record)
        self._proven |= chain

    def _order_of(self, record: Record) -> Record:
        at = record.replaced
        found = self._find(at) if at > record.header.position else None
        if found is None or found.erased or (found.header.type, found.header.position) != (REPLACING, at):
            raise _unordered(at)
        return found


def proof_in(read: Callable[[int], bytes | None]) -> Proof:
    """Return the proof of replaced records for one walk over a log, whose raw records are read by position."""

    def find(position: int) -> Record | None:
        raw = read(position)
        return None if raw is None else decode(raw)

    return OrderProof(find)


def require_carried_out(order: Record, at: int, raw: bytes | None) -> None:
    """Raise `Misplaced` if the event at a position, which an order names, still has an earlier payload.

    Order and payloads are written in one commit, so only a change of the file can undo that.
    """
    position = order.header.position
    if raw is None or at >= position:
        return
    found = decode(raw)
    if found.erased or found.replaced >= position or ordering_stream(found.header.stream) != order.header.stream:
        return
    raise Misplaced(at, f"event {position} replaced its payload, and it has the one from before again")


class Replacements:
    """The replaced payloads of an export and their orders.

    An order that was replaced is proved as any other event, so each payload needs its own order alone.
    """

    def __init__(self) -> None:
        self._found: list[_Claim] = []
        self._orders: dict[int, _Orders] = {}

    def add(self, record: Record) -> None:
        """Add a record that is replaced, an order, or both; its payload was compared. Raises `CorruptRecord`."""
        if record.replaced:
            self._found.append(_claim_of(record))
        if record.header.type == REPLACING and not record.erased:
            self._orders[record.header.position] = _said_by(record)

    def prove(self) -> None:
        """Raise `Misplaced` unless each replaced payload was ordered."""
        for claim in self._found:
            try:
                _compare(claim, self._orders.get(claim.order))
            except CorruptRecord as error:
                raise Misplaced(claim.position, str(error)) from error
