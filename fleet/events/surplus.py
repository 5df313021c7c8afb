"""Finds entries in the log's tables that belong to no event: verify.py leads from each event to its entries alone."""

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from fleet.events import codec
from fleet.events.envelope import CommandRecord
from fleet.events.lmdb_keys import STREAM_KEY_TAIL_BYTES, command_key, position_key

if TYPE_CHECKING:
    import lmdb
    from lmdb import _Database

_decode_command = msgspec.msgpack.Decoder(tuple[str, int, int, bytes]).decode


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


def find_surplus(transaction: "lmdb.Transaction[bytes]", tables: Tables) -> Surplus | None:
    """Return the first entry without its event. Reads all entries: for a log whose sizes are wrong."""
    for key, record in transaction.cursor(tables.records):
        position = codec.decode_header(record).position
        if key != position_key(position):
            return Surplus(position, "the log has a second record that claims to be this event")
    for key, _ in transaction.cursor(tables.by_stream):
        position = int.from_bytes(key[-8:], "big")
        header = _header_at(transaction, tables, position)
        if header is None or header.stream.encode() != key[:-STREAM_KEY_TAIL_BYTES]:
            stream = bytes(key[:-STREAM_KEY_TAIL_BYTES]).decode(errors="replace")
            return Surplus(position, f"the index leads from {stream} to this event, which is not of that stream")
    for key, value in transaction.cursor(tables.commands):
        command = CommandRecord(*_decode_command(value))
        header = _header_at(transaction, tables, command.position)
        known = header is not None and header.command_id is not None and command_key(header.command_id) == key
        if not known:
            return Surplus(command.position, "a command has a record that leads to this event, which is not of it")
    return None


def _header_at(transaction: "lmdb.Transaction[bytes]", tables: Tables, position: int) -> codec.Header | None:
    record = transaction.get(position_key(position), db=tables.records)
    return None if record is None else codec.decode_header(record)
