"""What does the diff of a turn cost in a large repository? Snapshot and diff against `git status` in the same run.

Run: python -m bench trees
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from bench.figures import Figure, show
from fleet.adapters.git import GitTrees

FILES = 50_000
CHANGED = 20
"""Files that a turn changes: some edited, some new."""
ROUNDS = 7
"""Both sides take turns, and the best round counts: the machine is shared."""
RATIO_AT_MOST = 2.0


def _git(repository: Path, *arguments: str) -> None:
    configuration = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(
        ["git", "-C", str(repository), *arguments], check=True, capture_output=True, env=os.environ | configuration
    )


def _make(repository: Path) -> None:
    for number in range(FILES):
        path = repository / f"d{number % 50}" / f"e{number // 50 % 20}" / f"f{number}.txt"
        if number < 1000:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"file {number}\n" * 20)
    _git(repository, "init", "-q")
    _git(repository, "config", "gc.auto", "0")  # it would continue in the background
    _git(repository, "add", ".")
    _git(repository, "-c", "user.name=bench", "-c", "user.email=bench@example.org", "commit", "-q", "-m", "Begin")


def _work(repository: Path, turn: int) -> None:
    for number in range(CHANGED // 2):
        (repository / f"d{number}" / f"new{turn}.txt").write_text(f"turn {turn}\n")
        edited = turn * CHANGED + number
        (repository / f"d{edited % 50}" / f"e{edited // 50 % 20}" / f"f{edited}.txt").write_text(f"edited in {turn}\n")


async def _timed(action: Callable[[], Awaitable[object]]) -> float:
    started_s = time.perf_counter()
    await action()
    return time.perf_counter() - started_s


async def _measure(place: Path) -> dict[str, float]:
    repository = place / "repository"
    repository.mkdir()
    _make(repository)
    trees = GitTrees(place / "trees")
    before = ""

    async def status() -> None:
        await trio.run_process(["git", "-C", str(repository), "status", "--porcelain"], capture_stdout=True)

    async def turn() -> None:
        nonlocal before
        after = await trees.take("bench", str(repository))
        assert len(await trees.diff("bench", before, after)) == CHANGED
        before = after

    async def first() -> None:
        nonlocal before
        before = await trees.take("bench", str(repository))

    first_s = await _timed(first)
    await status()  # refreshes the repository's own index: both sides know every file
    rounds: list[tuple[float, float]] = []
    for number in range(ROUNDS):
        _work(repository, number)
        rounds.append((await _timed(turn), await _timed(status)))
    turn_s, status_s = (min(column) for column in zip(*rounds, strict=True))
    return {"first_s": first_s, "turn_s": turn_s, "status_s": status_s, "ratio": turn_s / status_s}


def main() -> list[Figure]:
    """Measure and print; return the figures."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("FLEET_BENCH_DIR")) as directory:
        measured = trio.run(_measure, Path(directory).resolve())
    status_s = measured["status_s"]
    return show(
        "trees: the diff of a turn",
        [
            Figure(f"first snapshot of {FILES:,} files", measured["first_s"] * 1000, "ms"),
            Figure(
                f"snapshot and diff of a turn with {CHANGED} changed files (baseline: git status)",
                measured["turn_s"] * 1000,
                "ms",
                baseline=status_s * 1000,
                at_most=RATIO_AT_MOST * status_s * 1000,
            ),
        ],
    )


if __name__ == "__main__":
    main()
