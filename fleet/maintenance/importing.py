"""Imports a whole export of a log into a new data directory: the same records, byte for byte, and the contents.

The directory has no place of its own, like a copy: its log names processes and workspaces of another Fleet.
"""

from contextlib import closing, suppress
from pathlib import Path

import msgspec

from fleet.adapters.clock import SystemClock
from fleet.adapters.ids import SystemIds
from fleet.errors import StartupError
from fleet.events.blobs import is_name, name_of
from fleet.events.catalog import make_registry
from fleet.events.data_lock import DataLock
from fleet.events.directory_identity import write_import_identity
from fleet.events.export import ExportReport, verify_export
from fleet.events.import_log import import_records
from fleet.events.left_out import write_left_out
from fleet.events.lmdb_blobs import LmdbBlobs
from fleet.events.lmdb_store import LOG_FILE
from fleet.events.log import LogReader
from fleet.events.read_only import read_manifest, reading_directory, reading_export
from fleet.events.signing import read_key
from fleet.events.verify import verify
from fleet.limits import BLOB_BYTES_MAX
from fleet.private_files import make_private_directory
from fleet.projections.contents import contents_of


class Imported(msgspec.Struct, frozen=True):
    """What was imported: events, contents, and the digest of the last event in hex.

    `left_out`: the export was made without contents.
    """

    events: int
    contents: int
    digest: str
    left_out: bool = False

    def verify(self, data_dir: Path) -> None:
        """Verify the new log. Raises `StartupError` where it is not the exported one."""
        with reading_directory(data_dir, make_registry()) as log:
            report = verify(log)
        broken = report.first_break
        if broken is not None or report.digest.hex() != self.digest:
            why = "its digest is another one" if broken is None else f"event {broken.position}: {broken.reason}"
            raise StartupError(f"The imported log in {data_dir} is not the exported one ({why}).")


async def import_export(events: Path, blobs: Path, data_dir: Path, now_ms: int) -> Imported:
    """Import an export into a directory that has no log. Raises `StartupError`."""
    if (data_dir / LOG_FILE).exists():
        raise StartupError(f"{data_dir} has a log already: name a new directory with --data-dir.")
    report, left_out = _proved(events), _are_left_out(events, blobs)
    make_private_directory(data_dir)
    with closing(DataLock(data_dir)), reading_export(str(events), make_registry()) as exported:
        contents = await _import_contents(exported, blobs, data_dir)  # first: it is the log that makes a data directory
        write_import_identity(data_dir, SystemIds(SystemClock()).uuid7(), events)
        records = (exported.read_record(position) or b"" for position in range(1, report.last + 1))
        end = import_records(data_dir, records, now_ms)
        key = read_key(data_dir)
        if left_out and key is not None:
            write_left_out(data_dir, key.sealer, end)
    return Imported(report.events, contents, end.digest.hex(), left_out)


def _are_left_out(events: Path, blobs: Path) -> bool:
    """Return whether the export was made without contents. Raises `StartupError` where they were lost since."""
    exported = read_manifest(events.parent)
    if exported is not None and exported.contents and not blobs.is_dir():
        raise StartupError(f"{events.parent} was exported with contents, and {blobs} is not there: take a whole copy.")
    return not blobs.is_dir() if exported is None else not exported.contents


def _proved(events: Path) -> ExportReport:
    try:
        with events.open("rb") as lines:
            report = verify_export(lines)
    except OSError as error:
        raise StartupError(f"{events} cannot be read: {error.strerror}.") from error
    if report.first_break is not None:
        broken = report.first_break
        raise StartupError(f"{events} is not what was exported: event {broken.position}: {broken.reason}.")
    if report.first != 1 or report.redactions:
        why = "data was taken out of it" if report.redactions else f"it begins with event {report.first}"
        raise StartupError(f"{events} is not a whole log ({why}): export it without --from, --session and --redact.")
    return report


async def _import_contents(exported: LogReader, blobs: Path, data_dir: Path) -> int:
    """Store the contents beside the export under the streams whose events name them."""

    def read(digest: str) -> bytes | None:
        file = blobs / digest
        if not is_name(digest) or not file.is_file() or file.stat().st_size > BLOB_BYTES_MAX:
            return None  # any client may have made the export: what it names may be any file, or a device
        with suppress(OSError):
            content = file.read_bytes()
            if name_of(content) == digest:
                return content
        return None

    count = 0
    with LmdbBlobs(data_dir) as store:
        for owner, digest in contents_of(exported, read):
            content = read(digest)
            if content is not None:
                await store.put(owner, [content])
                count += 1
    return count
