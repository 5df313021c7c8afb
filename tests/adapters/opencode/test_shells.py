"""The program that OpenCode starts as a shell, with real shells and ports."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from fleet.adapters.opencode.shells import LocalShells

BASH = shutil.which("bash") or "/bin/bash"


def shells(tmp_path: Path, **environment: str) -> LocalShells:
    return LocalShells(tmp_path / "it's data", {"PATH": os.environ["PATH"], **environment})


def place(tmp_path: Path, workspace: str) -> Path:
    directory = tmp_path / "it's data" / "workspaces" / workspace / "shop" / "src"
    directory.mkdir(parents=True)
    return directory


def said(program: str, directory: Path, command: str) -> str:
    done = subprocess.run(
        [program, "-c", command], cwd=directory, env={}, capture_output=True, text=True, check=True, timeout=20
    )
    return done.stdout.strip()


async def test_a_command_has_the_variables_of_the_workspace_that_it_runs_in(tmp_path: Path) -> None:
    found = shells(tmp_path, SHELL=BASH)
    program = found.environment()["SHELL"]
    one, two, neither = place(tmp_path, "w1"), place(tmp_path, "w2"), place(tmp_path, "w3")
    await found.expose("w1", {"FLEET_PORT_BASE": "20000", "FLEET_SOURCE_DIRECTORY": "/a b'c$d"})
    await found.expose("w2", {"FLEET_PORT_BASE": "20010"})
    assert Path(program).name == "bash"
    command = 'echo "$FLEET_PORT_BASE $FLEET_SOURCE_DIRECTORY"'
    assert [said(program, at, command) for at in (one, two, neither)] == ["20000 /a b'c$d", "20010", ""]
    assert said(program, tmp_path, command) == ""
    assert said(program, one, "echo $SHELL $0 ${BASH_VERSION:+bash} [$here]") == f"{BASH} {BASH} bash []"
    await found.expose("w1", {"FLEET_PORT_BASE": "20050"})
    assert said(program, one, command) == "20050"
    await found.forget("w1")
    await found.forget("w1")
    assert said(program, one, command) == ""


@pytest.mark.parametrize("own", [None, "/usr/bin/fish", "/nowhere/zsh"])
async def test_shell_that_opencode_refuses_is_replaced(tmp_path: Path, own: str | None) -> None:
    found = shells(tmp_path, **({} if own is None else {"SHELL": own}))
    program = found.environment()["SHELL"]
    assert Path(program).name == "bash"
    assert said(program, tmp_path, "echo [${BASH_VERSION:+bash}] [$(printenv SHELL)]") == f"[bash] [{own or ''}]"


async def test_a_server_that_opencode_has_started_does_not_take_the_program_for_the_users_shell(tmp_path: Path) -> None:
    outer = shells(tmp_path, SHELL=BASH).environment()
    program = LocalShells(tmp_path / "it's data", outer).environment()["SHELL"]
    assert said(program, tmp_path, "echo ${BASH_VERSION:+bash}") == "bash"


async def test_names_of_directories_run_nothing(tmp_path: Path) -> None:
    found = LocalShells(tmp_path / "it's\n$(touch one) x*}", {"PATH": os.environ["PATH"], "SHELL": BASH})
    program = found.environment()["SHELL"]
    inside = Path(program).parents[1] / "workspaces" / "w1" / "'\n;touch two"
    inside.mkdir(parents=True)
    await found.expose("w1", {"FLEET_SOURCE_DIRECTORY": "'\n$(touch three)"})
    assert said(program, inside, 'echo "$FLEET_SOURCE_DIRECTORY"') == "'\n$(touch three)"
    assert not list(inside.iterdir())


async def test_shells_stay_unchanged_if_the_program_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "it's data").write_text("a file")
    assert shells(tmp_path, SHELL=BASH).environment()["SHELL"] == BASH


async def test_ports_on_which_others_listen_are_not_free(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert not await shells(tmp_path).are_free(port - 2, 5)
    assert await shells(tmp_path).are_free(port, 1)
