"""`fleet log why` on a history that is recorded once: events, outcomes and files lead to the right person."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import trio

from fleet.core.session.turn_events import PromptAccepted
from fleet.events.envelope import Cause
from tests.cli.sample_history import History, export_of, write_sample
from tests.cli.test_log_sources import log
from tests.projections.sessions_log import SessionsLog


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return write_sample(tmp_path_factory.mktemp("history"))


def why(history: History, *arguments: str) -> list[str]:
    done = log("why", *arguments, "--data-dir", str(history.data_dir))
    assert done.exit_code == 0, done.output or done.exception
    return [re.split("  +", line.strip(), maxsplit=2)[-1] for line in done.stdout.splitlines()]


def steps(history: History, *arguments: str) -> list[dict[str, Any]]:
    done = log("why", "--json", *arguments, "--export", str(history.export))
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_file_leads_to_the_person_whose_prompt_waited(history: History) -> None:
    first, *_, last = why(history, "notes.txt")
    assert first == 'notes.txt was created (+1 -0) in turn 2 of session "Rate limit the login"'
    assert last == 'carol sent the prompt "Also document it: write" to session "Rate limit the login"'
    assert why(history, "/home/user/project/notes.txt", "--session", history.asking[:13])[-1] == last
    missing = log("why", "src/nothing.py", "--data-dir", str(history.data_dir))
    assert (missing.exit_code, "no turn has changed the file" in missing.stderr) == (1, True)


def test_outcome_of_a_session_names_who_aborted_it(history: History) -> None:
    told = why(history, history.aborted[:13])
    assert told[:2] == ['Turn 1 was aborted (session "Long build")', "bob requested the abort"]
    assert told[-1] == 'alice sent the prompt "bash:60" to session "Long build"'


def test_every_event_of_a_turn_leads_to_its_prompt(history: History) -> None:
    """Alice's and Carol's turns are in one stream, and one append ends the first and begins the second."""
    events = [json.loads(line) for line in history.export.read_text().splitlines()]
    own = [event for event in events if event.get("stream") == f"session-{history.asking}"]
    turn = 0
    for event in own:
        turn += event["type"] == "session.turn-started"
        if turn and event["type"] in ("session.part-recorded", "session.changes-recorded", "session.turn-ended"):
            last = steps(history, str(event["position"]))[-1]
            assert (last["kind"], last["actor"]) == ("prompt", ("token:alice", "token:carol")[turn - 1]), event


def test_steps_in_json_name_their_events(history: History) -> None:
    answered = json.loads(
        log("show", "--json", "--type", "session.request-answered", "--export", str(history.export)).stdout
    )
    first, second, *_ = steps(history, str(answered["position"]))
    assert (first["sentence"], first["position"]) == ("alice allowed it always", answered["position"])
    assert second["type"] == "session.request-opened"
    assert second["position"] < first["position"]


def test_log_between_compares_two_moments(history: History) -> None:
    events = [json.loads(line) for line in history.export.read_text().splitlines()]
    second = next(event["position"] for event in events if event.get("data", {}).get("session_id") == history.aborted)
    for source in (("--data-dir", str(history.data_dir)), ("--export", str(history.export))):
        told = log("diff", str(second - 1), *source).stdout
        assert f'"Long build" ({history.aborted}): created by alice, then completed' in told
        assert "alice: bash:60" in told
        assert f'"Rate limit the login" ({history.asking}): idle, then completed' in told
    found = json.loads(log("diff", "0", "--json", "--data-dir", str(history.data_dir)).stdout)
    asking = next(each for each in found["sessions"] if each["id"] == history.asking)
    assert [each["actor"] for each in asking["prompts"]] == ["token:alice", "token:carol"]
    assert "notes.txt" in asking["files"]


async def test_log_between_names_a_session_that_sent_a_prompt_by_its_title(tmp_path: Path) -> None:
    logged = SessionsLog()
    await logged.create("parent", "Plan the work")
    await logged.create("child", "Write the tests")
    prompt = PromptAccepted(prompt_id="p", text="The tests are written", at_ms=1)
    await logged.log.append("session-parent", 2, [prompt], Cause("session:child"))
    (tmp_path / "log.jsonl").write_bytes(export_of(logged.disk))
    told = await trio.to_thread.run_sync(log, "diff", "0", "--export", str(tmp_path / "log.jsonl"))
    assert 'session "Write the tests": The tests are written' in told.stdout, told.output
