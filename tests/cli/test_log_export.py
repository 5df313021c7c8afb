"""`fleet log export` and `import`: parts of a log that still prove themselves, and a log that is the same again."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import trio

from fleet.errors import StartupError
from fleet.events.catalog import make_registry
from fleet.events.directory_identity import require_home
from fleet.events.envelope import Cause
from fleet.events.import_log import import_records
from fleet.events.read_only import reading_export
from fleet.events.redaction import parse_rule
from tests.cli.sample_history import History, write_sample
from tests.cli.terminal import fleet
from tests.cli.test_log_sources import log
from tests.client.line import Line
from tests.events.samples import Opened, reworded, sample_registry
from tests.fakes.clock import EPOCH_MS, FakeClock
from tests.fakes.memory_log import MemoryDisk, MemoryLog


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return write_sample(tmp_path_factory.mktemp("history"))


def exported(history: History, output: Path, *options: str) -> list[dict[str, Any]]:
    """Export, let the export prove itself, and return its events."""
    done = log("export", "-o", str(output), *options, "--data-dir", str(history.data_dir))
    assert done.exit_code == 0, done.output or done.exception
    proof = log("verify", "--json", "--export", str(output))
    assert (proof.exit_code, json.loads(proof.stdout)["intact"]) == (0, True), proof.output
    lines = [json.loads(line) for line in (output / "events.jsonl").read_text().splitlines()]
    return [line for line in lines if "signature" not in line]


def test_whole_export_becomes_the_same_log(history: History, tmp_path: Path) -> None:
    events = exported(history, tmp_path / "all", "--contents")
    assert len(events) == history.head
    imported = ("import", str(tmp_path / "all"), "--data-dir", str(tmp_path / "data"))
    done = json.loads(log(*imported, "--verify", "--json").stdout)
    proof = json.loads(log("verify", "--json", "--data-dir", str(tmp_path / "data")).stdout)
    original = json.loads(log("verify", "--json", "--data-dir", str(history.data_dir)).stdout)
    assert (proof["intact"], proof["digest"]) == (True, original["digest"])
    assert (done["digest"], done["events"], done["contents"] > 0) == (original["digest"], history.head, True)
    told = log("why", "notes.txt", "--data-dir", str(tmp_path / "data")).stdout
    assert "notes.txt was created (+1 -0) in turn 2" in told
    assert "has a log already" in str(log(*imported).exception)


def test_contents_that_were_not_exported_are_not_called_lost(history: History, tmp_path: Path) -> None:
    exported(history, tmp_path / "all")
    data = tmp_path / "data"
    done = json.loads(log("import", str(tmp_path / "all"), "--data-dir", str(data), "--json").stdout)
    assert (done["contents"], done["leftOut"]) == (0, True)
    proof = log("verify", "--data-dir", str(data))
    assert proof.exit_code == 0, proof.output
    assert re.search(r"^[1-9]\d* contents were not part of the export$", proof.stdout, re.MULTILINE)
    stated = (data / "import.json").read_text()
    (data / "import.json").write_text(stated.replace(f":{history.head},", f":{history.head - 1},"))
    assert "is missing" in log("verify", "--data-dir", str(data)).stdout
    exported(history, tmp_path / "with", "--contents")
    shutil.rmtree(tmp_path / "with" / "blobs")
    refused = log("import", str(tmp_path / "with"), "--data-dir", str(tmp_path / "new"))
    assert "was exported with contents" in str(refused.exception)


def test_imported_log_must_be_restored_before_a_server_starts(history: History, tmp_path: Path) -> None:
    exported(history, tmp_path / "all")
    assert log("import", str(tmp_path / "all"), "--data-dir", str(tmp_path / "data")).exit_code == 0
    with pytest.raises(StartupError, match=r"was imported from .*all.*(?s:.*)restore --in-place"):
        require_home(tmp_path / "data")


def test_only_plain_files_are_imported_as_contents(history: History, tmp_path: Path) -> None:
    exported(history, tmp_path / "all", "--contents")
    whole = log("import", str(tmp_path / "all"), "--data-dir", str(tmp_path / "whole"), "--json")
    named = sorted((tmp_path / "all" / "blobs").iterdir())[0]
    named.unlink()
    named.symlink_to("/dev/zero")  # it never ends
    less = log("import", str(tmp_path / "all"), "--data-dir", str(tmp_path / "less"), "--json")
    assert json.loads(less.stdout)["contents"] < json.loads(whole.stdout)["contents"]


def test_single_session_is_exported(history: History, tmp_path: Path) -> None:
    events = exported(history, tmp_path / "one", "--session", history.asking[:13])
    whole = {event["stream"] for event in events if event["data"] != {}}
    assert whole == {f"session-{history.asking}"}
    others = [event for event in events if event["stream"] != f"session-{history.asking}"]
    assert {event["redacted"] for event in others} == {f"outside of session {history.asking}"}
    assert all(event["salt"] == "" for event in others)
    refused = log("import", str(tmp_path / "one"), "--data-dir", str(tmp_path / "new"))
    assert "is not a whole log (data was taken out of it)" in str(refused.exception)


def test_redaction_rules_mark_what_they_remove(history: History, tmp_path: Path) -> None:
    events = exported(history, tmp_path / "less", "--redact", "transcripts", "--redact", "text:document it")
    marks = {event["type"]: event["redacted"] for event in events if "redacted" in event}
    assert marks["session.part-recorded"] == "transcripts"
    assert marks["session.prompt-accepted"] == "text"
    assert b"document it" not in (tmp_path / "less" / "events.jsonl").read_bytes()
    assert (
        "was taken out of this export by the rule 'transcripts'"
        in log("verify", "--export", str(tmp_path / "less")).stdout
    )
    changed = (tmp_path / "less" / "events.jsonl").read_text().replace('"redacted":"text"', '"erased":true', 1)
    (tmp_path / "less" / "events.jsonl").write_text(changed)
    assert log("verify", "--export", str(tmp_path / "less")).exit_code == 1


async def _replaced() -> list[bytes]:
    disk = MemoryDisk()
    log = MemoryLog(disk, sample_registry(), FakeClock())
    await log.append("session-a", 0, [Opened("child"), Opened("other")], Cause())
    await log.append("session-a", 2, [reworded((1, b'{"title":"erased"}'))], Cause())
    return disk.records


def test_export_of_an_export_keeps_its_marks(history: History, tmp_path: Path) -> None:
    exported(history, tmp_path / "first", "--redact", "transcripts")
    for name, rules in (("same", ()), ("second", ("--redact", "prompts"))):
        done = log("export", "-o", str(tmp_path / name), "--export", str(tmp_path / "first"), *rules)
        assert done.exit_code == 0, done.output
        proof = log("verify", "--json", "--export", str(tmp_path / name))
        assert json.loads(proof.stdout)["intact"], proof.output
    first, same, second = ((tmp_path / name / "events.jsonl").read_text() for name in ("first", "same", "second"))
    assert same == first
    assert second.count('"redacted":"transcripts"') == first.count('"redacted":"transcripts"') > 0
    assert '"redacted":"prompts"' in second


def test_export_without_an_order_still_proves_itself(tmp_path: Path) -> None:
    import_records(tmp_path, trio.run(_replaced), EPOCH_MS)
    history = History(tmp_path, tmp_path, "", "", 3)
    assert [event.get("redacted") for event in exported(history, tmp_path / "whole")] == [None] * 3
    events = exported(history, tmp_path / "less", "--redact", "type:session.callbacks-erased")
    assert [event["data"] for event in events] == [{}, {"title": "other"}, {}]
    assert {each.name for each in (tmp_path / "less").iterdir()} == {"events.jsonl", "export.json"}
    assert "data whose order is not in the export" in log("verify", "--export", str(tmp_path / "less")).stdout


def test_range_of_positions_is_exported(history: History, tmp_path: Path) -> None:
    events = exported(history, tmp_path / "part", "--from", "10", "--to", "20")
    assert [event["position"] for event in events if "redacted" not in event] == list(range(10, 21))


@pytest.mark.parametrize("rule", ["", "everything", "type:", "text:("])
def test_wrong_redaction_rule_is_refused(rule: str) -> None:
    with pytest.raises(ValueError, match=r"is not a (rule|regular expression)"):
        parse_rule(rule)


@pytest.mark.parametrize("rule", ["prompts", "transcripts", "type:instance.", "type:session.created"])
def test_export_without_some_data_still_explains_the_rest(history: History, tmp_path: Path, rule: str) -> None:
    exported(history, tmp_path / "less", "--redact", rule)
    source = ("--export", str(tmp_path / "less"))
    assert "outcome" in {step["kind"] for step in json.loads(log("why", history.asking, "--json", *source).stdout)}
    told = log("diff", "1", *source)
    assert told.exit_code == 0, told.exception
    assert ("data of it was erased or taken out" in told.stdout) == (rule != "type:instance.")
    packed = log("pack", history.asking, "-o", str(tmp_path / "pack"), *source)
    assert packed.exit_code == (0 if rule == "type:instance." else 1), packed.exception
    assert isinstance(packed.exception, SystemExit | None)


def test_reader_of_an_export_may_end_early(history: History) -> None:
    """What goes wrong with the output is not blamed on the file that is read."""
    with pytest.raises(BrokenPipeError), reading_export(str(history.export), make_registry()):
        raise BrokenPipeError


async def test_server_signs_a_part_of_its_log(line: Line, tmp_path: Path) -> None:
    await line.api.session(title="Exported")
    done = await fleet(line, "log", "export", "-o", str(tmp_path / "part"), "--to", "3")
    assert done.code == 0, done.err
    proof = json.loads((await fleet(line, "log", "verify", "--json", "--export", str(tmp_path / "part"))).out)
    assert (proof["intact"], proof["last"]) == (proof["head"] is not None, 3)
    assert (await fleet(line, "log", "export", "-o", str(tmp_path / "x"), "--contents")).code == 2


async def test_part_of_a_log_with_an_erased_session_proves_itself(line: Line, tmp_path: Path) -> None:
    kept, erased = [(await line.api.session(title=title))["id"] for title in ("Kept", "Erased")]
    await line.api.send("PATCH", f"/api/sessions/{kept}", {"title": "Kept on"})
    await line.api.send("DELETE", f"/api/sessions/{erased}?permanent=true")
    for name, *options in (("session", "--session", kept), ("whole",)):
        done = await fleet(line, "log", "export", "-o", str(tmp_path / name), *options)
        assert done.code == 0, done.err
        proof = json.loads((await fleet(line, "log", "verify", "--json", "--export", str(tmp_path / name))).out)
        assert (proof["intact"], proof["erased"] > 0) == (True, name == "whole"), proof["firstBreak"]
    created = json.loads((await fleet(line, "log", "show", "--json", "--type", "session.created", "-n", "1")).out)
    told = (await fleet(line, "log", "why", str(created["position"]))).out
    assert f"(session.created of session-{erased}); its data was erased\n" in told
    assert f"this machine's user ordered the erasure of session-{erased}\n" in told


def test_failed_export_leaves_no_file(history: History, tmp_path: Path) -> None:
    """An export without events, and one of a damaged log, would look like an answer."""
    lines = history.export.read_bytes().splitlines(keepends=True)
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_bytes(b"".join([*lines[:20], lines[20].replace(b'"actor":"', b'"actor":"x', 1), *lines[21:]]))
    beyond, backwards = ("--from", "999999"), ("--from", "20", "--to", "10")
    for source, *options in (
        (("--data-dir", str(history.data_dir)), *beyond),
        (("--data-dir", str(history.data_dir)), *backwards),
        (("--export", str(damaged)),),
    ):
        done = log("export", "-o", str(tmp_path / "none"), *options, *source)
        assert done.exit_code != 0
        assert not (tmp_path / "none").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    refused = log("export", "-o", str(tmp_path / "mine"), "--data-dir", str(history.data_dir))
    assert "is not empty: choose another one with -o" in str(refused.exception)
    assert [each.name for each in (tmp_path / "mine").iterdir()] == ["file"]
