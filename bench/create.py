"""How long does it take to create a worktree session, the first and further ones on a repository, with real OpenCode?

By hand it is what Fleet can't do without: `git worktree add`, `opencode serve` (for the first), a session in it. Before
each further one, what the one before has begun is given time to end. How many git processes Fleet itself starts for it
is counted by a `git` in front of the real one, in a round of its own, because that one takes time.

Run: python -m bench create
"""

import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx

from bench.figures import Figure, show
from bench.server import (
    create_session,
    fleet,
    free_port,
    git,
    make_repository,
    opencode_binary,
    opencode_environment,
    running,
)

ROUNDS = 2
FURTHER = 5
PAUSE_S = 0.5
Times = tuple[float, float]


def _by_hand(root: Path, home: Path) -> Times:
    repository = make_repository(root / "repository")
    environment = opencode_environment(home)
    port = free_port()
    command = [opencode_binary(environment), "serve", "--hostname", "127.0.0.1", "--port", str(port)]
    started_s = time.perf_counter()
    git(repository, "worktree", "add", "-b", "one", str(root / "one"))
    with running(command, port, "/global/health", environment, cwd=repository) as opencode:
        _open(opencode.http, root / "one")
        first_s = time.perf_counter() - started_s
        return first_s, _further(lambda number: _next_by_hand(opencode.http, repository, root / f"next-{number}"))


def _next_by_hand(http: httpx.Client, repository: Path, directory: Path) -> None:
    git(repository, "worktree", "add", "-b", directory.name, str(directory))
    _open(http, directory)


def _further(create: Callable[[int], object]) -> float:
    """Return how long the fastest of several further sessions took."""
    taken_s: list[float] = []
    for number in range(FURTHER):
        time.sleep(PAUSE_S)
        taken_s.append(_timed(partial(create, number)))
    return min(taken_s)


def _open(http: httpx.Client, directory: Path) -> None:
    http.post("/session", params={"directory": str(directory)}, json={"title": "Bench"}).raise_for_status()


def _with_fleet(root: Path, home: Path) -> Times:
    repository = make_repository(root / "repository")
    with fleet(root / "data", "--rehearsal", "always", home=home) as server:
        first_s = _timed(partial(create_session, server, repository))
        return first_s, _further(lambda _: create_session(server, repository))


def _git_processes(root: Path, home: Path) -> int:
    """Return how many times the server has started git for a further session on a repository."""
    repository, log, script = make_repository(root / "repository"), root / "started", root / "bin" / "git"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\necho \"$PPID\" >> '{log}'\nexec '{shutil.which('git')}' \"$@\"\n")
    script.chmod(0o755)
    with fleet(root / "data", "--rehearsal", "always", home=home, before=script.parent) as server:
        for _ in range(2):
            log.write_text("")
            create_session(server, repository)
        return log.read_text().splitlines().count(str(server.process.pid))


def _timed(work: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    work()
    return time.perf_counter() - started_s


def _warm_up(environment: dict[str, str]) -> None:
    """Let OpenCode make its database: it does so once per user, not once per session."""
    port = free_port()
    command = [opencode_binary(environment), "serve", "--hostname", "127.0.0.1", "--port", str(port)]
    with running(command, port, "/global/health", environment):
        pass


def main() -> list[Figure]:
    """Measure, print and return seconds."""
    with tempfile.TemporaryDirectory() as temporary:
        home, rounds = Path(temporary) / "home", Path(temporary)
        _warm_up(opencode_environment(home))
        ours: list[Times] = []
        by_hand: list[Times] = []
        for number in range(ROUNDS):
            by_hand.append(_by_hand(rounds / f"by-hand-{number}", home))
            ours.append(_with_fleet(rounds / f"fleet-{number}", home))
        processes = _git_processes(rounds / "counted", home)
    (first, further), (first_by_hand, further_by_hand) = (map(min, zip(*side, strict=True)) for side in (ours, by_hand))
    return show(
        "create: a worktree session with the real OpenCode, against git and OpenCode by hand",
        [
            Figure("the first on a repository", first, "s", first_by_hand),
            Figure("a further one on it", further, "s", further_by_hand, at_most=1.5 * further_by_hand),
            Figure("git processes for a further one", processes, "git", baseline=1, at_most=25),
        ],
    )


if __name__ == "__main__":
    main()
