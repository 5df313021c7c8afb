"""Runs the benchmarks, all or those that are named, and prints one table: python -m bench [NAME ...]."""

import platform
import sys
import time
from collections.abc import Callable, Mapping
from typing import Final

import psutil

from bench import (
    adoption,
    ask,
    backup,
    cluster,
    commands,
    create,
    dashboard,
    first_delta,
    history,
    hosts,
    log,
    log_bytes,
    memory,
    past,
    proof,
    replay,
    rest,
    stalls,
    startup,
    streams,
    transcript,
    travel,
    trees,
)
from bench.figures import HEADINGS, Figure

BENCHES: Final[Mapping[str, Callable[[], list[Figure]]]] = {
    "ask": ask.main,
    "log": log.main,
    "proof": proof.main,
    "commands": commands.main,
    "replay": replay.main,
    "startup": startup.main,
    "rest": rest.main,
    "stalls": stalls.main,
    "create": create.main,
    "first_delta": first_delta.main,
    "memory": memory.main,
    "past": past.main,
    "history": history.main,
    "transcript": transcript.main,
    "trees": trees.main,
    "travel": travel.main,
    "cluster": cluster.main,
    "adoption": adoption.main,
    "hosts": hosts.main,
    "backup": backup.main,
    "log_bytes": log_bytes.main,
    "streams": streams.main,
    "dashboard": dashboard.main,
}


def main(names: list[str]) -> int:
    """Run and return the exit code: 2 for a name that is none. A missed target is shown, and no error."""
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        print(f"there is no bench {', '.join(unknown)}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    started_s = time.perf_counter()
    print(f"Python {platform.python_version()}, {platform.system()}, {psutil.cpu_count()} cores")
    print(HEADINGS)
    figures = [figure for name in names or BENCHES for figure in BENCHES[name]()]
    missed = sum(not figure.met for figure in figures)
    print(f"{len(figures)} figures in {time.perf_counter() - started_s:.0f} s, {missed} missed their target")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
