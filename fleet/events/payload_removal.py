"""Takes payloads out of the records of the log, within a commit: of erased events, and of replaced ones.

The digest of the request goes with the payload that the request has made.
"""

from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, NamedTuple

from fleet.events import codec
from fleet.events.command_table import CommandTable
from fleet.events.erasures import ordering_stream

if TYPE_CHECKING:
    import lmdb
    from lmdb import _Database


class PayloadRemoval(NamedTuple):
    """The transaction of the commit, and the tables that it changes. Keys are those of `records`."""

    transaction: "lmdb.Transaction[bytes]"
    records: "_Database"
    commands: CommandTable

    def erase(self, key: bytes) -> None:
        """Erase the payload of a record. Raises `CorruptRecord`."""
        record = self.transaction.get(key, b"", db=self.records)
        self._put(key, codec.erase(record), codec.decode_header(record).command_id)

    def replace(self, key: bytes, order: int, payload: bytes, ordering: AbstractSet[str]) -> None:
        """Replace the payload of a record by order of the event at this position. Raises `CorruptRecord`.

        A record that is erased, or whose orders are not in one of the streams `ordering`, stays as it is.
        """
        record = self.transaction.get(key, b"", db=self.records)
        found = codec.decode(record)
        if not found.erased and ordering_stream(found.header.stream) in ordering:
            self._put(key, codec.replace_payload(record, order, payload), found.header.command_id)

    def _put(self, key: bytes, record: bytes, command_id: str | None) -> None:
        self.transaction.put(key, record, db=self.records)
        if command_id is not None:
            self.commands.erase_digest(self.transaction, command_id)
