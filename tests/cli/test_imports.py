"""A command imports what it uses: each module takes time before the first word is on the screen."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import atexit, os, pathlib, sys
atexit.register(lambda: pathlib.Path(os.environ["MODULES"]).write_text("\\n".join(sys.modules)))
from fleet.cli import main
main()
"""


def started(directory: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Start a command that writes at its end which modules it has imported."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLEET_")}
    environment |= {"HOME": str(directory), "XDG_CONFIG_HOME": str(directory), "MODULES": str(directory / "modules")}
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def of_ls(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    directory = tmp_path_factory.mktemp("ls")
    with started(directory, "ls", "--url", "http://127.0.0.1:1") as command:
        _, said = command.communicate(timeout=60)
    assert command.returncode == 6, said
    return set((directory / "modules").read_text().splitlines())


@pytest.fixture(scope="module")
def of_serve(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    directory = tmp_path_factory.mktemp("serve")
    options = ("--port", "0", "--data-dir", str(directory / "data"), "--rehearsal", "always")
    with started(directory, "serve", *options) as server:
        assert server.stderr is not None
        next(line for line in server.stderr if "ready" in line)
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)
    return set((directory / "modules").read_text().splitlines())


@pytest.mark.parametrize(
    "module",
    [
        *("fleet.main", "fleet.gateway", "fleet.actors", "fleet.adapters", "fleet.client.sync"),
        *("fleet.cli.commands.new", "fleet.cli.commands.demo", "fleet.cli.commands.token", "fleet.cli.commands.serve"),
        *("structlog", "quart", "hypercorn", "lmdb", "psutil", "mcp", "opentelemetry", "prometheus_client", "asyncio"),
    ],
)
def test_listing_sessions_does_not_import(of_ls: set[str], module: str) -> None:
    assert "fleet.cli.commands.ls" in of_ls
    assert module not in of_ls


@pytest.mark.parametrize(
    "module",
    [
        *("httpx", "httpcore", "mcp", "opentelemetry", "ray", "fleet.traces", "fleet.client"),
        *("fleet.doctor", "fleet.process_report", "fleet.cli.connect", "fleet.cli.commands.ls"),
    ],
)
def test_a_server_does_not_import(of_serve: set[str], module: str) -> None:
    assert "fleet.main" in of_serve
    assert module not in of_serve
