"""The `fleet` command as a person meets it: help, exit codes, and errors without a traceback."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from fleet import __version__
from fleet.cli.app import command_line
from fleet.cli.commands.log import log
from fleet.config import KEYS


def fleet(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, without this one's configuration."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FLEET_")}
    program = [sys.executable, "-c", "from fleet.cli import main; main()", *arguments]
    return subprocess.run(
        program, env=clean | environ, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False
    )


def test_fleet_version_prints_the_version() -> None:
    done = fleet("--version")
    assert (done.returncode, done.stdout) == (0, f"fleet {__version__}\n")


def test_a_wrong_option_is_a_usage_error() -> None:
    done = fleet("serve", "--prot", "1")
    assert done.returncode == 2
    assert "--port" in done.stderr


def test_wrong_configuration_is_one_message_and_exit_1(tmp_path: Path) -> None:
    done = fleet("serve", "--port", "x", FLEET_REHEARSAL="maybe", XDG_CONFIG_HOME=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("fleet: The configuration is wrong:\n  - ")
    assert "--port" in done.stderr
    assert "FLEET_REHEARSAL" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("command", ["serve", "doctor"])
def test_help_shows_every_key_and_an_example(command: str) -> None:
    done = CliRunner().invoke(command_line(), [command, "--help"], env={"COLUMNS": "300", "TERMINAL_WIDTH": "300"})
    assert done.exit_code == 0
    for key in KEYS:
        assert key.flag in done.output
        assert key.variable in done.output
    assert f"Example: fleet {command}" in done.output


def test_every_command_has_help_and_an_example() -> None:
    for command in typer.main.get_group(command_line()).commands.values():
        assert command.help
        assert f"Example: fleet {command.name}" in (command.epilog or "")
        for below in command.commands.values() if isinstance(command, TyperGroup) else ():
            assert below.help
            assert f"Example: fleet {command.name} {below.name}" in (below.epilog or "")


def test_the_doctor_ends_with_1_where_fleet_cannot_work(tmp_path: Path) -> None:
    done = fleet("doctor", "--opencode", str(tmp_path / "missing"), XDG_CONFIG_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "there is no OpenCode at" in done.stdout


def test_the_doctor_checks_the_cluster_and_drills_when_it_is_asked_for_both(tmp_path: Path) -> None:
    done = fleet("doctor", "--cluster", "--drill", "--data-dir", str(tmp_path), XDG_CONFIG_HOME=str(tmp_path))
    assert "Fleet is configured for this machine alone" in done.stdout
    assert "There is no event log in " in done.stderr, "and no drill without one"


def test_the_doctor_in_json_names_a_taken_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = fleet("doctor", "--json", "--port", port, "--data-dir", str(tmp_path), XDG_CONFIG_HOME=str(tmp_path))
    assert done.returncode == 1
    assert f'"detail": "127.0.0.1:{port}: Address already in use"' in done.stdout


def test_fleet_rehearsal_serves_until_it_is_stopped() -> None:
    program = [sys.executable, "-c", "from fleet.cli import main; main()", "rehearsal"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        first_line = running.stdout.readline()
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=20) == 0
    assert first_line.startswith("The rehearsal model is at http://127.0.0.1:")


def test_fleet_rehearsal_names_a_port_that_is_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = fleet("rehearsal", "--port", port)
    assert done.returncode == 1
    assert done.stderr.startswith(f"fleet: Port {port} cannot be listened on: ")
    assert "Address already in use" in done.stderr


def test_a_server_whose_log_is_json_writes_nothing_else(tmp_path: Path) -> None:
    """From the first line to the last, its start, a request and its end."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FLEET_")}
    options = ["--port", "0", "--data-dir", str(tmp_path / "data"), "--rehearsal", "always"]
    program = [sys.executable, "-c", "from fleet.cli import main; main()", "serve", *options]
    program += ["--log-format", "json", "--log-level", "debug"]
    environment = clean | {"XDG_CONFIG_HOME": str(tmp_path)}
    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True, env=environment) as running:
        assert running.stderr is not None
        ready = json.loads(running.stderr.readline())
        assert (ready["event"], ready["version"], ready["level"]) == ("ready", __version__, "info")
        httpx.get(f"{ready['url']}/api/healthz", headers={"X-Request-Id": "r1"}, trust_env=False)
        running.send_signal(signal.SIGTERM)
        lines = [json.loads(line) for line in running.stderr.read().splitlines()]
        assert running.wait(timeout=60) == 0
    assert any(line["event"] == "request" and line["request_id"] == "r1" for line in lines)
    assert any(line["event"] == "stopping" for line in lines)


def test_documentation_of_the_command_line_has_each_subcommand() -> None:
    page = (Path(__file__).parents[2] / "docs/cli.md").read_text("utf-8")
    shown = set(re.findall(r"`(?:fleet )?((?:log )?[a-z][a-z-]+)`", page))
    names = {command.name for command in command_line().registered_commands if command.name}
    names |= {f"log {each.name}" for each in log.registered_commands}
    assert {"history", "log verify"} <= names
    assert names - shown == set()
