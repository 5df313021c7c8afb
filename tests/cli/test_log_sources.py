"""`fleet log` on a data directory and on an export: the same answers, and nothing is written."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fleet.cli.app import command_line
from fleet.events.data_lock import DataLock
from tests.cli.sample_history import ALICE, CAROL, History, write_sample


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return write_sample(tmp_path_factory.mktemp("history"))


@pytest.fixture(params=["--data-dir", "--export"])
def source(request: pytest.FixtureRequest, history: History) -> tuple[str, str]:
    return request.param, str(history.data_dir if request.param == "--data-dir" else history.export)


def log(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(command_line(), ["log", *arguments], input=stdin)


def shown(*arguments: str) -> list[dict[str, Any]]:
    done = log("show", "--json", *arguments)
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_log_filters_work_without_a_server(history: History, source: tuple[str, str]) -> None:
    newest = shown("-n", "3", *source)
    assert [event["position"] for event in newest] == [history.head - 2, history.head - 1, history.head]
    (carols,) = shown("--actor", CAROL, "--type", "session.prompt-accepted", *source)
    assert carols["data"]["text"] == "Also document it: write"
    alices = shown("--session", history.asking[:13], "--actor", ALICE, *source)
    assert {event["type"] for event in alices} >= {"session.created", "session.request-answered"}
    assert shown("--correlation", "answer", *source)[0]["type"] == "session.request-answered"
    assert shown("--from", "2099-01-01", *source) == []
    assert json.loads(log("show", "1", *source).stdout)["position"] == 1


def test_range_of_the_log_is_named_by_positions_times_or_dates(
    history: History, source: tuple[str, str], tmp_path: Path
) -> None:
    everything = shown("-n", "200", *source)
    day = everything[0]["at"][:10]
    assert everything[-1]["at"][:10] == day
    assert [event["position"] for event in shown("--from", "5", "--to", "7", *source)] == [5, 6, 7]
    begun = everything[40]["at"]
    since = [event["position"] for event in everything if event["at"] >= begun]
    assert [
        event["position"] for event in shown("-n", "200", "--from", begun, "--to", str(history.head), *source)
    ] == since
    assert shown("-n", "200", "--from", day, "--to", day, *source) == everything
    done = log("export", "-o", str(tmp_path / "day"), "--from", day, "--to", day, *source)
    assert (done.exit_code, done.stderr.split()[1]) == (0, str(history.head))
    assert log("diff", day, *source).stdout.startswith(f"{history.head} events after position 0 up to {history.head}:")


def test_whole_log_is_proven_without_a_server(history: History, source: tuple[str, str]) -> None:
    done = log("verify", "--json", *source)
    proof = json.loads(done.stdout)
    assert (done.exit_code, proof["intact"], proof["events"]) == (0, True, history.head)


def test_wrong_filters_of_a_local_log_are_reported_as_by_a_server(source: tuple[str, str]) -> None:
    for arguments, said in (
        (["show", "--type", "session.born"], "--type: unknown types"),
        (["show", "--session", "0f"], "no session"),
        (["show", "--from", "yesterday"], "--from: "),
        (["show", "--to", "99999"], "--to: the log ends at"),
        (["export", "-o", "/nowhere", "--to", "99999"], "--to: the log ends at"),
        (["export", "-o", "/nowhere", "--from", "yesterday"], "--from: 'yesterday' is no moment of the log"),
        (["show", "99999"], "no event 99999"),
        (["diff", "99999"], "--from: the log ends at"),
        (["diff", "10", "99999"], "--to: the log ends at"),
        (["diff", "10", "5"], "--to: the range ends at 5, before it begins at 10"),
    ):
        done = log(*arguments, *source)
        assert done.exit_code != 0
        assert said in done.stderr


def test_reading_a_data_directory_needs_no_write_access(history: History) -> None:
    before = {file.name: sha256(file.read_bytes()).hexdigest() for file in history.data_dir.iterdir()}
    shown("--data-dir", str(history.data_dir))
    assert {file.name: sha256(file.read_bytes()).hexdigest() for file in history.data_dir.iterdir()} == before


def test_directory_of_a_running_server_is_refused(tmp_path: Path, history: History) -> None:
    (tmp_path / "events.mdb").write_bytes((history.data_dir / "events.mdb").read_bytes())
    lock = DataLock(tmp_path)
    done = log("show", "--data-dir", str(tmp_path))
    lock.close()
    assert "is in use by a server" in str(done.exception)
    assert shown("-n", "1", "--data-dir", str(tmp_path))


def test_log_that_was_cut_off_names_the_damaged_event(tmp_path: Path, history: History) -> None:
    whole = (history.data_dir / "events.mdb").read_bytes()
    (tmp_path / "events.mdb").write_bytes(whole[: len(whole) // 2])
    done = log("show", "--data-dir", str(tmp_path))
    assert "damaged" in str(done.exception)
    assert (tmp_path / "events.mdb").stat().st_size == len(whole) // 2


def test_missing_or_foreign_log_files_are_reported_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "list.jsonl").write_text("[1, 2]\n")
    (tmp_path / "deep.jsonl").write_text(f'{{"position": 1, "data": {"[" * 100_000}}}\n')
    for source, said in (
        (("--data-dir", str(tmp_path)), "There is no event log in"),
        (("--export", str(tmp_path / "missing")), "cannot be read"),
        (("--export", str(tmp_path / "list.jsonl")), "is not an export"),
        (("--export", str(tmp_path / "deep.jsonl")), "is not an export"),
    ):
        assert said in str(log("show", *source).exception)


def test_export_is_read_from_standard_input(history: History) -> None:
    done = log("show", "--json", "-n", "1", "--export", "-", stdin=history.export.read_bytes())
    assert json.loads(done.stdout)["position"] == history.head


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("log diff 0", 0, "a session ("),
        ("policy try {rules} -s {session}", 0, "Of 0 tool calls in 0 sessions"),
        ("log pack {session} -o {directory}/pack", 1, "taken out of the export"),
    ],
)
def test_export_without_some_data_is_read_as_far_as_it_goes(
    history: History, tmp_path: Path, command: str, code: int, said: str
) -> None:
    less, rules = tmp_path / "less", tmp_path / "rules.json"
    log("export", "-o", str(less), "--redact", "text:document it", "--data-dir", str(history.data_dir))
    rules.write_text('{"permission": "ask"}')
    words = command.format(rules=rules, session=history.asking, directory=tmp_path).split()
    done = CliRunner().invoke(command_line(), [*words, "--export", str(less)])
    assert done.exit_code == code, done.exception
    assert said in done.output


def test_data_directory_and_export_together_are_refused(history: History) -> None:
    done = log("show", "--data-dir", str(history.data_dir), "--export", str(history.export))
    assert (done.exit_code, "give one of them" in done.stderr) == (2, True)
