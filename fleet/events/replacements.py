"""Proves replaced payloads: events of a parent lose what a child has reported, when the child is erased.

The order is a later event of the session. It holds the new payloads, and they are written in its commit, so one is
never there without the other. The chain of digests covers the order, and every read compares both.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec

from fleet.events.codec import CorruptRecord, Proof, Record, decode, require_payload
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
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptRecord(f"the payloads that it orders cannot be read: {error}") from error


def require_order(read: Callable[[int], Record | None], record: Record) -> None:
    """Raise `CorruptRecord` unless a later event of its session orders the payload of a replaced record.

    `read` returns records by position.
    """
    order = read(record.replaced) if record.replaced > record.header.position else None
    if order is None or order.erased or order.header.type != REPLACING:
        raise CorruptRecord(f"its payload was replaced, and no order for that is at position {record.replaced}")
    if order.header.stream != ordering_stream(record.header.stream):
        raise CorruptRecord(f"its payload was replaced by an order of another session, at position {record.replaced}")
    if order.replaced:
        require_order(read, order)
    else:
        require_payload(order)
    if ordered_in(order.payload).get(record.header.position) != record.payload:
        raise CorruptRecord(f"its payload was replaced by another one than is ordered at position {record.replaced}")


def proof_in(read: Callable[[int], bytes | None]) -> Proof:
    """Return the proof of replaced records with the orders in a log, whose raw records are read by position."""

    def order(position: int) -> Record | None:
        raw = read(position)
        return None if raw is None else decode(raw)

    return partial(require_order, order)


class Replacements:
    """The replaced payloads of an export and their orders, in the order of their positions."""

    def __init__(self) -> None:
        self._found: list[Record] = []
        self._orders: dict[int, Record] = {}

    def add(self, record: Record) -> None:
        """Add a record that is replaced, an order, or both."""
        if record.replaced:
            self._found.append(record)
        if record.header.type == REPLACING and not record.erased:
            self._orders[record.header.position] = record

    def prove(self) -> None:
        """Raise `Misplaced` unless each replaced payload was ordered."""
        for record in self._found:
            try:
                require_order(self._orders.get, record)
            except CorruptRecord as error:
                raise Misplaced(record.header.position, str(error)) from error
