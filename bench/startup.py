"""How long does a start take with a million events? From the process's start to the first good answer of /api/readyz.

The whole server as a user starts it, with its interpreter, imports, recovery and gateway, against the same on an empty
data directory. Both do without the rehearsal model: nothing asks OpenCode for its providers.

Run: python -m bench startup
"""

import tempfile
from functools import partial
from pathlib import Path

import psutil

from bench import sample_log
from bench.figures import Figure, best, show
from bench.server import fleet

SESSIONS = 10_000
"""Of 101 events each; with workspaces and instances 1,067,000 events."""
READY_S = 1.2
EMPTY_READY_S = 0.5


def _ready_s(data_dir: Path) -> float:
    with fleet(data_dir, "--rehearsal", "never") as server:
        return server.ready_s


def _resident_mb(data_dir: Path) -> float:
    with fleet(data_dir, "--rehearsal", "never") as server:
        return private_mb(server.process)


def private_mb(process: psutil.Process) -> float:
    """Return the resident memory that is the process's own: without mapped files, LMDB's and the executable's."""
    memory = process.memory_info()
    return (memory.rss - memory.shared) / 1e6


def main() -> list[Figure]:
    """Measure, print and return seconds, and the memory that idle sessions take in the server."""
    full = sample_log.written(SESSIONS)
    with tempfile.TemporaryDirectory() as empty:
        ready, at_least = best(min, partial(_ready_s, full), partial(_ready_s, Path(empty)))
        loaded, unloaded = _resident_mb(full), _resident_mb(Path(empty))
    per_thousand = (loaded - unloaded) / (SESSIONS / 1000)
    return show(
        f"startup: {SESSIONS:,} sessions and a million events, against an empty log",
        [
            Figure("from the process's start to ready", ready, "s", at_least, at_most=READY_S),
            Figure("the same with an empty log", at_least, "s", at_most=EMPTY_READY_S),
            Figure("memory of the server", loaded, "MB", unloaded),
            Figure("memory per 1,000 idle sessions", per_thousand, "MB"),
        ],
    )


if __name__ == "__main__":
    main()
