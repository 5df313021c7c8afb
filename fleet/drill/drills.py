"""The drills: each breaks a scratch copy in one way, and says in plain words whether Fleet noticed and recovered."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import lmdb

import fleet
from fleet.diagnosis.checks import Check
from fleet.drill.appending import drill_registry
from fleet.drill.scratch import broken_copy, scratch_copy
from fleet.errors import StartupError
from fleet.events.codec import CorruptRecord
from fleet.events.data_lock import lock_holder
from fleet.events.lmdb_keys import position_key, stream_prefix
from fleet.events.lmdb_store import LOG_FILE
from fleet.events.read_only import reading_directory
from fleet.events.unchanged_log import UnchangedLog
from fleet.events.verify import Break, verify
from fleet.limits import DRILL_COPIES_MAX, DRILL_KILLS, DRILL_PROCESS_S, MIB
from fleet.projections.runner import Runner
from fleet.projections.states import States
from fleet.projections.store import UnchangedViewStore
from fleet.projections.views import Views, make_views

_RESTORE: Final = "Restore the data directory from a backup: see docs/backup.md."
_REPORT: Final = "Keep the data directory as it is, and report this: it is a defect of Fleet."


def run_drills(data_dir: Path, place: Path | None = None) -> Iterator[Check]:
    """Run the drills on scratch copies of a data directory, and yield the result of each as soon as there is one.

    Raises `StartupError` where there is nothing to copy, or no room for it.
    """
    for attempt in range(1, DRILL_COPIES_MAX + 1):
        began_s = time.monotonic()
        with scratch_copy(data_dir, place) as copy:
            proof = _verified(copy)
            if proof.state == "failed" and lock_holder(data_dir) is not None and attempt < DRILL_COPIES_MAX:
                continue  # the server wrote while the file was copied
            yield _copied(data_dir, copy, time.monotonic() - began_s)
            yield proof
            if proof.state == "ok":
                for drill in _DRILLS:
                    yield _tried(drill, copy)
            return


def _copied(data_dir: Path, copy: Path, took_s: float) -> Check:
    size_bytes = sum(file.stat().st_size for file in copy.rglob("*") if file.is_file())
    detail = f"{size_bytes / MIB:,.1f} MiB of {data_dir} in {took_s:.1f} s; the original is only read"
    return Check("copy", "ok", detail)


def _tried(drill: Callable[[Path], Check], copy: Path) -> Check:
    """Return the result of a drill; what it raises is a failure of it."""
    try:
        return drill(copy)
    except (StartupError, CorruptRecord, lmdb.Error, OSError) as error:
        return Check(drill.__name__.strip("_").replace("_", " "), "failed", f"{type(error).__name__}: {error}", _REPORT)


def _verified(copy: Path) -> Check:
    try:
        with reading_directory(copy, drill_registry()) as log:
            found = verify(log)
    except (StartupError, CorruptRecord, lmdb.Error) as error:
        return Check("verify", "failed", str(error), _RESTORE)
    if found.first_break is not None:
        return Check("verify", "failed", _told(found.first_break), _RESTORE)
    return Check("verify", "ok", f"{found.events:,} events in {found.streams:,} streams are intact")


def _told(found: Break) -> str:
    return f"event {found.position}: {found.reason}"


# --------------------------------------------------------------------------------------------------------------- replay


def _replay(copy: Path) -> Check:
    stored, rebuilt = make_views(), make_views()
    with (
        reading_directory(copy, drill_registry()) as log,
        closing(UnchangedViewStore(copy / "views", log.sealer)) as rows,
    ):
        Runner(log, rows, stored).open()
        began_s = time.monotonic()
        Runner(log, UnchangedViewStore(copy / "none", None), rebuilt).open()  # without rows: from the first event on
        took_s, events = time.monotonic() - began_s, log.head()
    if differences := _differences(stored, rebuilt):
        advice = "Stop the server and delete the directory `views` in the data directory: the next start rebuilds it."
        detail = f"{len(differences)} states differ from what the events say, such as {differences[0]}"
        return Check("replay", "failed", detail, advice)
    states, speed = sum(len(view) for view in rebuilt), events / max(took_s, 1e-3)
    words = f"{events:,} events give {states:,} states, at {speed:,.0f} events a second"
    if not (copy / "views").is_dir():
        return Check(
            "replay", "ok", f"{words}; stored states were not compared: there are none, or a server is writing them"
        )
    return Check("replay", "ok", f"{words}; the stored states are the same")


def _differences(stored: Views, rebuilt: Views) -> list[str]:
    pairs: list[tuple[States[Any], States[Any]]] = list(zip(stored, rebuilt, strict=True))
    return [
        f"{one.name} {each}"
        for one, other in pairs
        for each in sorted({*one.ids(), *other.ids()})
        if one.get(each) != other.get(each)
    ]


# ------------------------------------------------------------------------------------------------------------- kill -9


def _kill(copy: Path) -> Check:
    confirmed: dict[int, str] = {}
    with broken_copy(copy) as directory:
        for kill in range(1, DRILL_KILLS + 1):
            with appending_process(directory) as process:
                for _ in range(kill**3):  # the first right after the start, the later ones further on
                    position, stream = _line(process).split()
                    confirmed[int(position)] = stream
                process.kill()
                confirmed |= {int(line.split()[0]): line.split()[1] for line in _rest(process)}
            with reading_directory(directory, drill_registry()) as log:
                missing = [each for each, stream in confirmed.items() if not _holds(log, each, stream)]
            if missing:
                detail = f"after kill {kill}, {len(missing)} of {len(confirmed)} confirmed events are not in the log"
                return Check("kill -9", "failed", detail, _REPORT)
        found = _first_break(directory)
    if found is not None:
        return Check("kill -9", "failed", f"after {DRILL_KILLS} kills, {_told(found)}", _REPORT)
    detail = f"{DRILL_KILLS} kills in the middle of appends: all {len(confirmed):,} confirmed events are there"
    return Check("kill -9", "ok", detail)


def _holds(log: UnchangedLog, position: int, stream: str) -> bool:
    return log.read_record(position) is not None and log.indexed_version(stream, position) is not None


# ------------------------------------------------------------------------------------------------------------ full disk


def _full_disk(copy: Path) -> Check:
    with broken_copy(copy) as directory:
        size_bytes = (directory / LOG_FILE).stat().st_size
        with appending_process(directory, str(size_bytes + MIB // 4)) as process:
            lines = [line.split() for line in _rest(process)]
            code = process.wait()
        found = _first_break(directory)
        with reading_directory(directory, drill_registry()) as log:
            head = log.head()
    if found is not None:
        return Check("full disk", "failed", f"after a full disk, {_told(found)}", _REPORT)
    if not lines and code == 0:
        return Check(
            "full disk", "warning", "the log's file has so much free space inside that it did not have to grow"
        )
    if code != 0 or [line[:2] for line in lines[:1]] != [["refused", "disk_full"]] or len(lines) != 2:
        return Check("full disk", "failed", f"the appending process ended with exit code {code} after {lines}", _REPORT)
    if head != int(lines[1][2]):
        return Check("full disk", "failed", f"the log ends at {head}, and not at {lines[1][2]} as confirmed", _REPORT)
    detail = "an append was refused when the file could not grow; nothing was lost, and the next one worked again"
    return Check("full disk", "ok", detail)


# ---------------------------------------------------------------------------------------------------------- lost stream


def _lost_stream(copy: Path) -> Check:
    with reading_directory(copy, drill_registry()) as log:
        streams = [each for each in list(log.streams("session-")) or list(log.streams()) if not log.is_erased(each)]
        if not streams:
            return Check("lost stream", "ok", "the log has no stream that could be lost")
        lost, others = streams[-1], streams[:-1]
        positions = log.stream_positions(lost, 0, log.head() + 1, log.head(), newest_first=False)
    middle = positions[len(positions) // 2]
    for what, key, expected in (("index", None, positions[0]), ("records", position_key(middle), middle)):
        with broken_copy(copy) as directory:
            _delete(directory / LOG_FILE, what.encode(), stream_prefix(lost) if key is None else key)
            found = _first_break(directory)
            if found is None or found.position != expected:
                said = "nothing" if found is None else _told(found)
                detail = f"event {expected} of {lost} was taken from the {what}, and verification says {said}"
                return Check("lost stream", "failed", detail, _REPORT)
            with reading_directory(directory, drill_registry()) as log:
                readable = sum(bool(log.read_stream(each, 0, 1)) for each in others)
            if readable != len(others):
                detail = f"after the loss of {lost}, only {readable} of {len(others)} other streams can be read"
                return Check("lost stream", "failed", detail, _REPORT)
    detail = f"the loss of {lost} is found at event {positions[0]}, and that of event {middle} alone at its position"
    return Check("lost stream", "ok", detail)


def _delete(file: Path, table: bytes, prefix: bytes) -> None:
    """Delete the rows of a table whose keys begin like this, behind the back of the log."""
    map_bytes = 2 * file.stat().st_size + MIB
    with closing(lmdb.open(str(file), subdir=False, lock=False, max_dbs=16, map_size=map_bytes)) as store:
        rows = store.open_db(table)
        with store.begin(write=True, db=rows) as transaction:
            cursor = transaction.cursor()
            found = cursor.set_range(prefix)
            while found and cursor.key().startswith(prefix):
                found = cursor.delete()


# ---------------------------------------------------------------------------------------------------------------- parts


def _first_break(directory: Path) -> Break | None:
    with reading_directory(directory, drill_registry()) as log:
        return verify(log).first_break


@contextmanager
def appending_process(directory: Path, *arguments: str) -> "Generator[subprocess.Popen[str]]":
    """Start the process that appends, with this Fleet's code; it is killed at the end, also at that of a Ctrl-C."""
    path = os.pathsep.join(filter(None, (str(Path(fleet.__file__).parents[1]), os.environ.get("PYTHONPATH"))))
    with subprocess.Popen(
        [sys.executable, "-m", "fleet.drill.appending", str(directory), *arguments],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _line(process: "subprocess.Popen[str]") -> str:
    """Return the next line. Raises `OSError` where the process ended instead."""
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line.endswith("\n"):
        raise OSError(f"the appending process ended with exit code {process.wait(DRILL_PROCESS_S)}")
    return line


def _rest(process: "subprocess.Popen[str]") -> list[str]:
    """Return the complete lines that the process has still written."""
    text = process.stdout.read() if process.stdout is not None else ""
    return [line for line in text.splitlines(keepends=True) if line.endswith("\n")]


_DRILLS: Final = (_replay, _kill, _full_disk, _lost_stream)
