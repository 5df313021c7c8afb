"""Remembers that the contents of an imported log were not part of its export, so they do not count as lost.

`import.json` in the data directory has the position up to which they were left out, with a seal: a program that deletes
contents cannot say that they were never there.
"""

from pathlib import Path
from typing import Final

import msgspec

from fleet.events.batch import LogEnd
from fleet.events.seals import DigestAt, Sealer
from fleet.private_files import write_private

FILE: Final = "import.json"


class _LeftOut(msgspec.Struct, frozen=True):
    contents_left_out_through: int
    seal: str


def write_left_out(directory: Path, sealer: Sealer, end: LogEnd) -> None:
    """Record durably that no content which an event up to `end` names was imported. Raises `OSError`."""
    stored = _LeftOut(end.position, _seal(sealer, end.position, end.digest))
    write_private(directory / FILE, msgspec.json.encode(stored), durable=True)


def read_left_out(directory: Path, sealer: Sealer | None, digest_at: DigestAt) -> int:
    """Return the position up to which contents were left out; 0 for none, also where the seal is not right."""
    try:
        stored = msgspec.json.decode((directory / FILE).read_bytes(), type=_LeftOut)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return 0
    position = stored.contents_left_out_through
    digest = None if sealer is None else digest_at(position)
    is_sealed = sealer is not None and digest is not None and _seal(sealer, position, digest) == stored.seal
    return position if is_sealed else 0


def _seal(sealer: Sealer, position: int, digest: bytes) -> str:
    return sealer.seal(b"left out", position.to_bytes(8, "big"), digest).hex()
