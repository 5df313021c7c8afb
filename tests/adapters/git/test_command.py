"""How git is run: bounded, and gone when no task waits for it any more."""

import os
from pathlib import Path

import psutil
import pytest
import trio

from fleet.adapters.git import command
from fleet.errors import Problem, Unavailable


@pytest.fixture
def scripted_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put an executable of our own before git."""
    script = tmp_path / "bin" / "git"
    script.parent.mkdir()
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    return script


def write(script: Path, text: str) -> None:
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)


async def test_cancelling_ends_git_and_what_it_started(scripted_git: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "pids"
    os.mkfifo(fifo)
    # The child ignores TERM, as a stubborn filter would.
    write(scripted_git, f"(trap '' TERM; sleep 600) & echo $$ $! > {fifo}; wait")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: command.attempt("status", directory="/"))
        pids = [int(pid) for pid in (await trio.Path(fifo).read_text()).split()]
        assert all(psutil.pid_exists(pid) for pid in pids)
        nursery.cancel_scope.cancel()
    with trio.fail_after(60):
        while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids):
            await trio.lowlevel.checkpoint()


async def test_too_much_output_is_refused(scripted_git: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "GIT_OUTPUT_BYTES_MAX", 1000)
    write(scripted_git, "yes")
    with pytest.raises(Problem, match="more than 1000 bytes"):
        await command.attempt("log", directory="/")


async def test_a_timeout_says_which_command(scripted_git: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "GIT_TIMEOUT_S", 0.05)
    write(scripted_git, "exec sleep 60")
    with pytest.raises(Problem, match="git clone took longer"):
        await command.attempt("clone", directory="/")


async def test_error_has_the_end_of_the_output_of_git(scripted_git: Path) -> None:
    write(scripted_git, "seq 100000 >&2; echo fatal: the reason >&2; exit 128")
    with pytest.raises(Problem, match="fatal: the reason") as caught:
        await command.run("status", directory="/")
    assert len(caught.value.detail) < 5000


async def test_git_gets_a_clean_environment(scripted_git: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_SSH_COMMAND", "evil")
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "evil")
    write(scripted_git, "env")
    seen = dict(line.split("=", 1) for line in (await command.run("status", directory="/")).splitlines() if "=" in line)
    assert "evil" not in seen.values()
    assert (seen["GIT_TERMINAL_PROMPT"], seen["LC_ALL"]) == ("0", "C")


async def test_says_that_git_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="not installed"):
        await command.attempt("status", directory="/")


@pytest.mark.parametrize("said", ["fatal: write error: No space left on device", "error: Disk quota exceeded"])
def test_a_disk_that_git_finds_full_is_a_full_disk(said: str) -> None:
    problem = command.Output("clone", 128, "", said).failed()
    assert (problem.code, problem.retry_after_s) == ("disk_full", 10)
    assert said in problem.detail
