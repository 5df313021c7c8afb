"""What does it cost to work on another host? Repository, new commit and preserved work, against git in the same run.

The link is in-process, as `git clone` over `file://` has one in memory: what an engine adds is measured beside it.

Run: python -m bench travel
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import trio

from bench.figures import ROUNDS, Figure, show
from fleet.adapters.git import GitRemovals, GitTransfer, GitTrees, GitWorkspaces
from fleet.adapters.travel import Head, HostAdapters, travelling
from fleet.ports import Removals, Workspaces, WorkspaceSpec

FILES = 3_000
FILE_BYTES = 17_000
"""Random, so that they cannot be compressed: 50 MB in all."""
RATIO_AT_MOST = 1.5
WARM_S_AT_MOST = 0.5


class _Ports(NamedTuple):
    workspaces: Workspaces
    removals: Removals


def _git(directory: Path, *arguments: str) -> None:
    configuration = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    named = ("-c", "user.name=bench", "-c", "user.email=bench@example.org")
    subprocess.run(
        ["git", "-C", str(directory), *named, *arguments],
        check=True,
        capture_output=True,
        env=os.environ | configuration,
    )


def make_large_repository(repository: Path) -> None:
    """Make a repository with a commit of `FILES` files, packed."""
    repository.mkdir()
    for number in range(FILES):
        path = repository / f"d{number % 30}" / f"f{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(FILE_BYTES))
    _git(repository, "init", "-q", "-b", "main")
    _git(repository, "add", ".")
    _git(repository, "commit", "-q", "-m", "Begin")
    _git(repository, "gc", "-q")  # as a repository that was cloned from a server


def _dirty(directory: str, number: int) -> None:
    for each in range(20):
        Path(directory, f"d{each}", f"new{number}").write_text(f"{number}\n" * 20)


async def _clone(repository: Path, to: Path) -> None:
    await trio.run_process(["git", "clone", "-q", f"file://{repository}", str(to)])


async def timed(action: Callable[[], Awaitable[object]]) -> float:
    """Return how long an action takes, in s."""
    started_s = time.perf_counter()
    await action()
    return time.perf_counter() - started_s


def _host(place: Path, name: str, head: GitWorkspaces, trees: GitTrees) -> _Ports:
    root = place / name
    there = GitTrees(root / "trees")
    workspaces = GitWorkspaces(root / "workspaces", [root / "mirrors"])
    adapters = HostAdapters(workspaces, there, GitRemovals(workspaces), GitTransfer(root, there))
    ports = travelling(name, lambda: str(root), adapters, head=Head(head, trees), parcels=place / "parcels")
    return _Ports(ports.workspaces, ports.removals)


async def new_spec(workspaces: Workspaces, repository: Path, workspace_id: str) -> WorkspaceSpec:
    """Return the order for a worktree of a repository."""
    source = await workspaces.inspect(str(repository))
    directory, branch = workspaces.plan(workspace_id, "worktree", source, None, workspace_id)
    return WorkspaceSpec(workspace_id, "worktree", str(repository), directory, branch)


async def _measure(place: Path) -> dict[str, float]:
    repository = place / "repository"
    make_large_repository(repository)
    head, trees = GitWorkspaces(place / "workspaces", [repository]), GitTrees(place / "trees")
    local = _Ports(head, GitRemovals(head))
    first: list[tuple[float, float]] = []
    for number in range(ROUNDS):
        host = _host(place, f"host{number}", head, trees)
        spec = await new_spec(host.workspaces, repository, f"first{number}")
        first.append(
            (
                await timed(partial(host.workspaces.prepare, spec)),
                await timed(partial(_clone, repository, place / f"clone{number}")),
            )
        )
    host, warm, keep = _host(place, "host0", head, trees), list[tuple[float, float]](), list[tuple[float, float]]()
    for number in range(ROUNDS):
        _git(repository, "commit", "-q", "--allow-empty", "-m", f"Commit {number}")
        made: list[float] = []
        kept: list[float] = []
        for name, ports in (("there", host), ("here", local)):
            spec = await new_spec(ports.workspaces, repository, f"{name}{number}")
            made.append(await timed(partial(ports.workspaces.prepare, spec)))
            _dirty(spec.directory, number)
            kept.append(await timed(partial(ports.removals.keep, spec)))
        warm.append((made[0], made[1]))
        keep.append((kept[0], kept[1]))
    best = {"first": first, "warm": warm, "keep": keep}
    return {
        f"{name}_{side}_s": min(column)
        for name, rounds in best.items()
        for side, column in zip(("there", "base"), zip(*rounds, strict=True), strict=True)
    }


def main() -> list[Figure]:
    """Measure and print; return the figures."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("FLEET_BENCH_DIR")) as directory:
        measured = trio.run(_measure, Path(directory).resolve())

    def figure(name: str, what: str, at_most_s: float) -> Figure:
        base_s = measured[f"{name}_base_s"]
        return Figure(what, measured[f"{name}_there_s"] * 1000, "ms", baseline=base_s * 1000, at_most=at_most_s * 1000)

    return show(
        "travel: work on another host",
        [
            figure(
                "first",
                "worktree of a 50 MB repository on a new host (baseline: git clone)",
                RATIO_AT_MOST * measured["first_base_s"],
            ),
            figure(
                "warm",
                "the next one, after a commit (baseline: on this machine)",
                WARM_S_AT_MOST + measured["warm_base_s"],
            ),
            figure(
                "keep",
                "preserve 20 new files and bring them back (baseline: on this machine)",
                WARM_S_AT_MOST + measured["keep_base_s"],
            ),
        ],
    )


if __name__ == "__main__":
    main()
