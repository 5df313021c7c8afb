"""Stores the commands of the log in its table `commands`: command id -> where its events are, and its digest."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import lmdb
import msgspec
from msgspec.structs import replace

from fleet.events.codec import unreadable_page
from fleet.events.envelope import ERASED_DIGEST, CommandRecord
from fleet.events.lmdb_keys import command_key

if TYPE_CHECKING:
    from lmdb import _Database

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[str, int, int, bytes]).decode


def decode_command(value: bytes) -> CommandRecord:
    """Return the stored record of a command. Raises `msgspec.MsgspecError`."""
    return CommandRecord(*_decode(value))


class CommandTable:
    """The commands in an open environment."""

    def __init__(self, table: "_Database") -> None:
        self.table = table

    def find(self, transaction: "lmdb.Transaction[bytes]", command_id: str) -> CommandRecord | None:
        """Return the record of a command id, None for one that is new. Raises `CorruptRecord`."""
        try:
            found = transaction.get(command_key(command_id), None, self.table)
        except lmdb.Error as error:
            raise unreadable_page(error) from error
        return None if found is None else decode_command(found)

    def put(self, transaction: "lmdb.Transaction[bytes]", commands: Mapping[str, CommandRecord]) -> None:
        """Write the records of these command ids."""
        for command_id, record in commands.items():
            value = _encode((record.stream, record.position, record.version, record.digest))
            transaction.put(command_key(command_id), value, db=self.table)

    def erase_digest(self, transaction: "lmdb.Transaction[bytes]", command_id: str) -> None:
        """Replace the digest of a command, from which its request could be guessed."""
        found = self.find(transaction, command_id)
        if found is not None:
            self.put(transaction, {command_id: replace(found, digest=ERASED_DIGEST)})
