"""What goes wrong around a command is one sentence and an exit code, never a traceback."""

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from fleet.cli.failures import sentence_and_code
from fleet.errors import StartupError
from tests.cli.terminal import fleet
from tests.client.line import Line
from tests.gateway.machine import PLAIN

PROGRAM = [sys.executable, "-c", "from fleet.cli import main; main()"]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a directory that was deleted."""
    directory = tmp_path / "gone"
    directory.mkdir()
    monkeypatch.chdir(directory)
    directory.rmdir()
    return directory


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FLEET_")}
    environment = {**clean, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*PROGRAM, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.usefixtures("gone")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["ls", "--url", "http://127.0.0.1:9"], 6),
        (["doctor", "--port", "0"], None),
        (["ps", "--data-dir", "/nonexistent"], 1),
        (["serve", "--host", "not an address", "--data-dir", "/nonexistent"], 1),
        (["serve", "--data-dir", "here"], 1),
        (["serve", "--config", "here"], 1),
    ],
)
def test_deleted_current_directory_causes_no_traceback(arguments: list[str], code: int | None) -> None:
    done = run(*arguments)
    assert "Traceback" not in done.stderr
    assert code is None or done.returncode == code
    assert "here" not in arguments or "the current directory was deleted" in done.stderr


@pytest.mark.usefixtures("gone")
def test_a_command_that_needs_the_current_directory_says_that_it_is_gone() -> None:
    with pytest.raises(FileNotFoundError) as missing:
        Path().absolute()
    sentence = "the current directory was deleted. Change to one that exists, then try again."
    assert sentence_and_code(ExceptionGroup("", [missing.value])) == (sentence, 1)


def test_expected_errors_are_one_sentence_and_defects_a_traceback() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/data/file")
    assert sentence_and_code(full) == ("/data/file: No space left on device.", 1)
    assert sentence_and_code(ExceptionGroup("", [ExceptionGroup("", [StartupError("No.")])])) == ("No.", 1)
    assert sentence_and_code(ExceptionGroup("", [full, KeyError("x")])) is None
    assert sentence_and_code(ValueError("x")) is None


def test_output_that_cannot_be_written_is_reported_in_one_sentence(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    with (tmp_path / "out").open("w") as out:
        done = subprocess.run(
            [*PROGRAM, "--version"], stdout=out, stderr=subprocess.PIPE, text=True, preexec_fn=limit, check=False
        )
    assert (done.returncode, done.stderr) == (1, "fleet: File too large.\n")


async def test_prompt_on_stdin_that_is_not_utf_8_is_refused(line: Line) -> None:
    done = await fleet(line, "new", PLAIN, "--prompt", "-", stdin=b"caf\xe9")
    assert (done.code, done.out) == (2, "")
    assert "standard input is not text in UTF-8: byte 0xe9 at offset 3" in " ".join(done.err.replace("│", "").split())
    done = await fleet(line, "new", PLAIN, "--prompt", os.fsdecode(b"caf\xe9"))
    assert (done.code, done.out) == (2, "")
    assert "is not UTF-8 text" in done.err
