"""Finds entries in the log's tables that belong to no event: verify.py leads from each event to its entries alone."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from fleet.events import codec
from fleet.events.command_table import decode_command
from fleet.events.lmdb_keys import STREAM_KEY_TAIL_BYTES, command_key, position_key
from fleet.limits import VERIFY_PAGE_EVENTS

if TYPE_CHECKING:
    import lmdb
    from lmdb import _Database


class TableSizes(NamedTuple):
    """How many entries the tables have."""

    records: int
    index_entries: int
    command_entries: int


class Surplus(NamedTuple):
    """An entry without its record: the position that it names, and the reason."""

    position: int
    reason: str


class Tables(NamedTuple):
    """The tables to look into."""

    records: "_Database"
    by_stream: "_Database"
    commands: "_Database"


def sizes_of(transaction: "lmdb.Transaction[bytes]", tables: Tables) -> TableSizes:
    """Return the sizes, without reading the entries."""
    return TableSizes(*(transaction.stat(table)["entries"] for table in tables))


Search: TypeAlias = Iterator[Surplus | None]
"""The first entry without its event, if any, with None after each step of some milliseconds."""


def find_surplus(begin: Callable[[], "lmdb.Transaction[bytes]"], tables: Tables) -> Search:
    """Find the first entry without its event. It reads all entries: for a log whose sizes are wrong.

    `begin` returns the transaction of the next step: a commit between two steps ends the one before.
    """
    for table, check in ((tables.records, _of_record), (tables.by_stream, _of_index), (tables.commands, _of_command)):
        after = b""
        while page := _page((transaction := begin()), table, after):
            for key, value in page:
                if (found := check(transaction, tables, key, value)) is not None:
                    yield found
                    return
            after = page[-1][0] + b"\0"
            yield None


def _page(transaction: "lmdb.Transaction[bytes]", table: "_Database", after: bytes) -> list[tuple[bytes, bytes]]:
    cursor = transaction.cursor(table)
    return list(islice(cursor, VERIFY_PAGE_EVENTS)) if cursor.set_range(after) else []


def _of_record(_: "lmdb.Transaction[bytes]", __: Tables, key: bytes, record: bytes) -> Surplus | None:
    position = codec.decode_header(record).position
    if key == position_key(position):
        return None
    return Surplus(position, "the log has a second record that claims to be this event")


def _of_index(transaction: "lmdb.Transaction[bytes]", tables: Tables, key: bytes, _: bytes) -> Surplus | None:
    position = int.from_bytes(key[-8:], "big")
    header = _header_at(transaction, tables, position)
    if header is not None and header.stream.encode() == key[:-STREAM_KEY_TAIL_BYTES]:
        return None
    stream = bytes(key[:-STREAM_KEY_TAIL_BYTES]).decode(errors="replace")
    return Surplus(position, f"the index leads from {stream} to this event, which is not of that stream")


def _of_command(transaction: "lmdb.Transaction[bytes]", tables: Tables, key: bytes, value: bytes) -> Surplus | None:
    command = decode_command(value)
    header = _header_at(transaction, tables, command.position)
    if header is not None and header.command_id is not None and command_key(header.command_id) == key:
        return None
    return Surplus(command.position, "a command has a record that leads to this event, which is not of it")


def _header_at(transaction: "lmdb.Transaction[bytes]", tables: Tables, position: int) -> codec.Header | None:
    record = transaction.get(position_key(position), db=tables.records)
    return None if record is None else codec.decode_header(record)
