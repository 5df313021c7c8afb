"""How much memory does a session take? Of OpenCode's processes, shared and one per directory, with worktree sessions.

`shared` is the default policy: sessions on one repository share a process. The baseline is the policy `directory`, a
process for each. Resident memory as the system counts it: pages that several processes map count for each of them.

Run: python -m bench memory
"""

import tempfile
from pathlib import Path

from bench.figures import Figure, show
from bench.server import Server, create_session, fleet, make_repository

SHARED = (1, 2, 4, 8)
SEPARATE = (1, 2, 4)
"""A process for each takes about 400 MB and 3 s: four of them tell what eight do."""


def _resident_mb(server: Server) -> float:
    return sum(instance["memoryBytes"] or 0 for instance in server.http.get("/api/instances").json()) / 1e6


def _grow(root: Path, home: Path, policy: str, counts: tuple[int, ...]) -> dict[int, float]:
    """Return MB of all OpenCode processes by the number of sessions."""
    repository = make_repository(root / "repository")
    options = ("--rehearsal", "always", "--instance-policy", policy)
    resident: dict[int, float] = {}
    with fleet(root / "data", *options, home=home) as server:
        for number in range(1, max(counts) + 1):
            create_session(server, repository)
            if number in counts:
                resident[number] = _resident_mb(server)
    return resident


def main() -> list[Figure]:
    """Measure, print and return MB."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        separate = _grow(root / "separate", root / "home", "directory", SEPARATE)
        shared = _grow(root / "shared", root / "home", "shared", SHARED)
    rows = [Figure(f"OpenCode with {n} sessions in one process", shared[n], "MB", separate.get(n)) for n in SHARED]
    each = (shared[max(SHARED)] - shared[1]) / (max(SHARED) - 1)
    each_separate = (separate[max(SEPARATE)] - separate[1]) / (max(SEPARATE) - 1)
    rows.append(Figure("each session after the first", each, "MB", each_separate))
    return show("memory: OpenCode's processes, against a process per directory", rows)


if __name__ == "__main__":
    main()
