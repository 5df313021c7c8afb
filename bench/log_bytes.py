"""How many bytes of log does a turn leave, beside what OpenCode stores of the same turn?

Turns of a real OpenCode with the rehearsal model: its usual job (look around, write a note, report), and a shell
command with a long output. What is in use is counted: the tables' pages of Fleet's log, and of OpenCode's database all
pages that are not free, those in its write-ahead log included. The files grow by other amounts: LMDB writes into pages
that became free, SQLite fills its write-ahead log before it starts again at its beginning.

Run: python -m bench log_bytes
"""

import sqlite3
import tempfile
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import lmdb

from bench.figures import Figure, show
from bench.server import Server, create_session, fleet, make_repository
from fleet.rehearsal.script import Bash, fenced, print_script

JOBS = 10
LONG_OUTPUTS = 5
_OUTPUT = 'for n in $(seq 400); do echo "case $n of the suite: passed"; done'
_TURN_TIMEOUT_S = 120.0
_POLL_S = 0.1
_QUIET_S = 1.0
"""A log that has not grown for so long has everything of the turn."""


class Bytes(NamedTuple):
    """Bytes in use, and sizes of files, at one moment."""

    log: int
    blobs: int
    opencode: int
    log_file: int
    opencode_files: int

    def per_turn_since(self, before: "Bytes", turns: int) -> "Bytes":
        """Return what each of the turns has added."""
        return Bytes(*((now - then) // turns for now, then in zip(self, before, strict=True)))


def _look(data_dir: Path, home: Path) -> Bytes:
    log, store = data_dir / "events.mdb", home / "data/opencode/opencode.db"
    wal = store.with_name("opencode.db-wal")
    files = store.stat().st_size + (wal.stat().st_size if wal.exists() else 0)
    return Bytes(_lmdb_bytes(log), _lmdb_bytes(data_dir / "blobs.mdb"), _sqlite_bytes(store), _on_disk(log), files)


def _on_disk(file: Path) -> int:
    return file.stat().st_blocks * 512  # the unit of the system call, on every disk


def _lmdb_bytes(file: Path) -> int:
    """Return the bytes of the pages that the tables use. No process writes meanwhile, so it needs no lock."""
    with (
        lmdb.open(str(file), subdir=False, lock=False, readonly=True, max_dbs=8) as environment,
        environment.begin() as transaction,
    ):
        names = [bytes(name) for name in transaction.cursor().iternext(keys=True, values=False)]
        tables = [transaction.stat(environment.open_db(name, txn=transaction, create=False)) for name in names]
    return sum(t["psize"] * (t["branch_pages"] + t["leaf_pages"] + t["overflow_pages"]) for t in tables)


def _sqlite_bytes(file: Path) -> int:
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as store:
        pages, free, size = (
            store.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
    return int((pages - free) * size)


def _prompts() -> tuple[list[str], list[str]]:
    jobs = [f"Look around and take a note about part {number}" for number in range(JOBS)]
    outputs = [fenced(print_script(((Bash(_OUTPUT),),))) for _ in range(LONG_OUTPUTS)]
    return jobs, outputs


def _work(server: Server, session_id: str, prompts: Iterable[str]) -> None:
    """Have one turn for each prompt, and return when the log has all of them."""
    path = f"/api/sessions/{session_id}"
    for prompt in prompts:
        turns = _get(server, path)["turns"]
        server.http.post(f"{path}/prompt", json={"text": prompt}).raise_for_status()
        _await_turn(server, path, turns + 1)
    _await_quiet(server)


def _await_turn(server: Server, path: str, turns: int) -> None:
    deadline_s = time.monotonic() + _TURN_TIMEOUT_S
    while (session := _get(server, path))["turns"] < turns or session["status"] != "idle":
        if time.monotonic() > deadline_s or session["status"] in ("error", "disconnected"):
            raise RuntimeError(f"a turn has not ended well: the session is {session['status']}, {session['evidence']}")
        time.sleep(_POLL_S)


def _await_quiet(server: Server) -> None:
    head = -1
    while (position := _get(server, "/api/healthz")["position"]) != head:
        head = position
        time.sleep(_QUIET_S)


def _get(server: Server, path: str) -> Any:
    answer = server.http.get(path)
    answer.raise_for_status()
    return answer.json()


def _measure(root: Path) -> tuple[Bytes, Bytes, Bytes]:
    """Return what a job adds, what a long output adds, and what a turn adds on average."""
    data_dir, home = root / "data", root / "home"
    repository = make_repository(root / "repository")
    jobs, outputs = _prompts()
    with fleet(data_dir, "--rehearsal", "always", home=home) as server:
        session_id = create_session(server, repository)["session"]["id"]
        _work(server, session_id, ["Begin with a note"])  # the first turn has OpenCode make a title
        begun = _look(data_dir, home)
        _work(server, session_id, jobs)
        noted = _look(data_dir, home)
        _work(server, session_id, outputs)
        ended = _look(data_dir, home)
    return (
        noted.per_turn_since(begun, JOBS),
        ended.per_turn_since(noted, LONG_OUTPUTS),
        ended.per_turn_since(begun, JOBS + LONG_OUTPUTS),
    )


def _row(name: str, ours: int, theirs: int) -> Figure:
    return Figure(name, ours / 1000, "KB", theirs / 1000)


def main() -> list[Figure]:
    """Measure, print and return KB a turn."""
    with tempfile.TemporaryDirectory() as temporary:
        job, output, mean = _measure(Path(temporary).resolve())
    return show(
        "log_bytes: a turn in Fleet's log, against OpenCode's own store",
        [
            _row("the usual job: a look around, a note, a report", job.log, job.opencode),
            _row("the usual job, with the blobs of its diff", job.log + job.blobs, job.opencode),
            _row("a shell command with 12 KB of output", output.log, output.opencode),
            Figure("the mean of 10 jobs and 5 commands", mean.log / 1000, "KB", mean.opencode / 1000, at_most=20.0),
            _row("growth of the files, with the write-ahead log", mean.log_file, mean.opencode_files),
        ],
    )


if __name__ == "__main__":
    main()
