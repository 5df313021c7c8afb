"""A command imports what it uses: each module takes time before the first word is on the screen."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

PROGRAM = """
import atexit, gc, json, os, pathlib, sys
objects = []
gc.callbacks.append(lambda phase, _: objects.append(len(gc.get_objects())) if phase == "start" else None)
atexit.register(lambda: pathlib.Path(os.environ["SEEN"]).write_text(json.dumps([list(sys.modules), max(objects)])))
from fleet.cli import main
main()
"""


class Seen(NamedTuple):
    """What a command imported, and how many objects there were when it last collected garbage."""

    modules: set[str]
    objects: int


def started(directory: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Start a command that writes at its end what `seen` reads."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLEET_")}
    environment |= {"HOME": str(directory), "XDG_CONFIG_HOME": str(directory), "SEEN": str(directory / "seen")}
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def seen(directory: Path) -> Seen:
    modules, objects = json.loads((directory / "seen").read_text())
    return Seen(set(modules), objects)


@pytest.fixture(scope="module")
def of_ls(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    directory = tmp_path_factory.mktemp("ls")
    with started(directory, "ls", "--url", "http://127.0.0.1:1") as command:
        _, said = command.communicate(timeout=60)
    assert command.returncode == 6, said
    return seen(directory)


@pytest.fixture(scope="module")
def of_serve(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    directory = tmp_path_factory.mktemp("serve")
    options = ("--port", "0", "--data-dir", str(directory / "data"), "--rehearsal", "never")
    with started(directory, "serve", *options) as server:
        assert server.stderr is not None
        next(line for line in server.stderr if "ready" in line)
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)
    return seen(directory)


def test_commands_do_not_scan_imported_objects_for_garbage(of_ls: Seen, of_serve: Seen) -> None:
    assert max(of_ls.objects, of_serve.objects) < 20_000  # the interpreter's own start; a server has 210,000


@pytest.mark.parametrize(
    "module",
    [
        *("fleet.composition.server", "fleet.gateway", "fleet.actors", "fleet.adapters", "fleet.client.sync"),
        *("fleet.cli.commands.new", "fleet.cli.commands.demo", "fleet.cli.commands.token", "fleet.cli.commands.serve"),
        *("structlog", "quart", "hypercorn", "lmdb", "psutil", "mcp", "opentelemetry", "prometheus_client", "asyncio"),
    ],
)
def test_fleet_ls_does_not_import_what_it_does_not_use(of_ls: Seen, module: str) -> None:
    assert "fleet.cli.commands.ls" in of_ls.modules
    assert module not in of_ls.modules


@pytest.mark.parametrize(
    "module",
    [
        *("httpx", "httpcore", "mcp", "opentelemetry", "ray", "fleet.traces", "fleet.client", "fleet.rehearsal.app"),
        *("fleet.diagnosis.doctor", "fleet.diagnosis.process_report", "fleet.cli.connect", "fleet.cli.commands.ls"),
        "fleet.evidence",
    ],
)
def test_fleet_serve_does_not_import_what_it_does_not_use(of_serve: Seen, module: str) -> None:
    assert "fleet.composition.server" in of_serve.modules
    assert module not in of_serve.modules
