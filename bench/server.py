"""A Fleet in a process of its own, as a user starts it, and the OpenCode and repository that benchmarks give it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil

from fleet.adapters.opencode.binary import resolve_binary
from fleet.rehearsal.home import furnish

READY_TIMEOUT_S = 60.0
_PROBE_TIMEOUT_S = 1.0
"""For one request: while OpenCode boots, it may never answer."""

_TOOLS = Path(__file__).parent.parent / ".tools/node_modules/.bin"
FLEET = (sys.executable, "-c", "from fleet.cli import main; main()")


class Server(NamedTuple):
    """A server that is ready. `ready_s`: from the start of its process to the first good answer of /api/readyz."""

    port: int
    process: psutil.Process
    ready_s: float
    http: httpx.Client


@contextmanager
def fleet(
    data_dir: Path,
    *options: str,
    home: Path | None = None,
    before: Path | None = None,
    further: Mapping[str, str] | None = None,
) -> Generator[Server]:
    """Run `fleet serve` on `data_dir`; the OpenCode processes of `home` have their own files there.

    `before` is a directory of programs that are found before all others, `further` has variables of the server.
    """
    environment = opencode_environment(home) if home is not None else dict(os.environ)
    environment.update(further or {})
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # it has each start compile every module, as no user's does
    if before is not None:
        environment["PATH"] = f"{before}{os.pathsep}{environment['PATH']}"
    port = free_port()
    command = [*FLEET, "serve", "--port", str(port), "--data-dir", str(data_dir), *options]
    with running(command, port, "/api/readyz", environment) as server:
        yield server


@contextmanager
def running(
    command: list[str], port: int, ready_path: str, environment: Mapping[str, str], cwd: Path | None = None
) -> Generator[Server]:
    """Run a server while the block runs, entered when `ready_path` answers. Raises RuntimeError if it never does."""
    started_s = time.perf_counter()
    process = subprocess.Popen(command, env=environment, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=READY_TIMEOUT_S, trust_env=False) as http:
            _await_ready(process, http, ready_path, started_s)
            yield Server(port, psutil.Process(process.pid), time.perf_counter() - started_s, http)
    finally:
        process.terminate()
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_ready(process: "subprocess.Popen[bytes]", http: httpx.Client, path: str, started_s: float) -> None:
    while time.perf_counter() - started_s < READY_TIMEOUT_S:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}: run it by hand to see why")
        try:
            if http.get(path, timeout=_PROBE_TIMEOUT_S).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.005)
    raise RuntimeError(f"{process.args!r} was not ready within {READY_TIMEOUT_S:g} s: run it by hand to see why")


def free_port() -> int:
    """Return a port that no process listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def opencode_environment(home: Path) -> dict[str, str]:
    """Return an environment in which OpenCode keeps its files below `home`, and in which Fleet finds it."""
    places = {f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("DATA", "CONFIG", "STATE", "CACHE")}
    furnish(home / "config/opencode")
    # The repository's own after the user's, as the Makefile has it.
    return {**os.environ, **places, "PATH": f"{os.environ.get('PATH', os.defpath)}{os.pathsep}{_TOOLS}"}


def opencode_binary(environment: Mapping[str, str]) -> str:
    """Return the executable that Fleet takes too. Raises `Unavailable`, which says how to get one."""
    return str(resolve_binary(environment.get("FLEET_OPENCODE"), environment))


def make_repository(directory: Path) -> Path:
    """Make a git repository with one commit of a few files."""
    directory.mkdir(parents=True)
    git(directory, "init", "--quiet")
    for number in range(50):
        (directory / f"module_{number}.py").write_text(f"TOTAL = {number}\n" * 20, "utf-8")
    git(directory, "add", ".")
    git(directory, "-c", "user.name=Bench", "-c", "user.email=bench@example.org", "commit", "--quiet", "-m", "Begin")
    return directory


def git(directory: Path, *arguments: str) -> None:
    """Run git in `directory`."""
    subprocess.run(["git", *arguments], cwd=directory, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def create_session(server: Server, repository: Path, strategy: str = "worktree", host: str | None = None) -> Any:
    """Create a session over REST and return the answer; on a named host it reserves nothing."""
    body = {"directory": str(repository), "title": "Bench", "isolationStrategy": strategy}
    there = {} if host is None else {"host": host, "cpus": 0, "memoryMb": 0}
    answer = server.http.post("/api/sessions", json=body | there)
    answer.raise_for_status()
    return answer.json()
