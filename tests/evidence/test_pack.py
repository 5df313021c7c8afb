"""The evidence pack of a session: its files over HTTP, what they prove, and what they must not contain."""

import io
import json
import os
import sys
import zipfile
from collections.abc import AsyncGenerator, Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from fleet.core.instance.events import AgentRules, PermissionRulesRead
from fleet.core.manifest import Manifest
from fleet.core.permission_rules import Rule
from fleet.events.envelope import Cause, Recorded
from fleet.evidence.document import Made, PackProof, RelatedSession, Relatives
from fleet.evidence.gather import Gathering
from fleet.evidence.page import render, steps_of
from fleet.evidence.standalone.verify import Wrong, verify, verify_replaced
from fleet.evidence.zipped import zipped
from fleet.limits import PACK_ZIP_SLICE_BYTES
from tests.core.sessions import ACTIVE
from tests.evidence.test_policy_trial import asked, call
from tests.gateway.machine import REPOSITORY, Api, Machine
from tests.gateway.test_diffs import changed
from tests.gateway.test_requests import asking
from tests.histories.golden import DIRECTORY, REGISTRY, read

HOSTILE = "<script>alert(1)</script><img src=x onerror=y>\x1b[2J\u202e\"'&"


async def unpacked(api: Api, session_id: str, folder: Path) -> Path:
    """Download the pack of a session, and return the folder that is in it."""
    answer = await api.send("GET", f"/api/sessions/{session_id}/pack")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        archive.extractall(folder)
    return folder / f"evidence-{session_id}"


async def recorded(machine: Machine, api: Api, folder: Path) -> Path:
    """Record a session with a decision and a change, between events of another one, and return its pack."""
    await api.session(title="Not yours", initialPrompt="a secret of others")
    item, request = await asking(api, directory=REPOSITORY, isolationStrategy="worktree", title=HOSTILE)
    await api.session(title="Not yours either", initialPrompt="another secret")
    body = {"reply": "always", "message": HOSTILE}
    path = f"/api/sessions/{item['id']}"
    assert (await api.send("POST", f"{path}/requests/{request['id']}", body)).status == 204
    await api.settled(item["id"])
    await changed(machine, api, item, a_txt=b"1\n2\n", b_bin=b"\0")
    return await unpacked(api, item["id"], folder)


async def test_pack_says_who_asked_who_decided_and_what_changed(machine: Machine, api: Api, tmp_path: Path) -> None:
    folder = await recorded(machine, api, tmp_path)
    document = json.loads((folder / "pack.json").read_text())
    assert document["title"] == HOSTILE
    assert [(each["text"], each["by"]["actor"], each["turns"]) for each in document["prompts"]] == [
        ("ask", "local", [1]),
        ("bash:5", "local", [2]),
    ]
    (decision,) = document["decisions"]
    assert (decision["decision"], decision["by"]["actor"], decision["message"]) == ("always", "local", HOSTILE)
    assert "from then on everything that matches" in decision["why"]
    assert {each["file"] for each in document["changes"]["files"]} == {"a.txt", "b.bin"}
    assert [turn["outcome"] for turn in document["turns"]] == ["finished", "finished"]
    assert b"+1\n+2\n" in (folder / "changes.patch").read_bytes()
    assert document["costUsd"] > 0
    assert sum(turn["costUsd"] for turn in document["turns"]) == pytest.approx(document["costUsd"])
    assert sum(used["costUsd"] for used in document["used"]) == pytest.approx(document["costUsd"])


async def test_pack_is_verified_by_a_bare_python(machine: Machine, api: Api, tmp_path: Path) -> None:
    folder = await recorded(machine, api, tmp_path)
    command = [sys.executable, "-I", "-S", str(folder / "verify.py")]
    done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"Everything that can be verified here is right." in done.stdout
    assert api.fleet.log.heads().key.encode() in done.stdout


async def test_pack_has_no_payload_of_another_session(machine: Machine, api: Api, tmp_path: Path) -> None:
    folder = await recorded(machine, api, tmp_path)
    everything = b"".join(file.read_bytes() for file in folder.iterdir())
    assert b"secret" not in everything
    assert b"Not yours" not in everything
    assert b'"withheld":true' in everything


def _replaced(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return change


def _without_line(number: int) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        lines = (folder / "events.jsonl").read_bytes().splitlines(keepends=True)
        del lines[number]
        (folder / "events.jsonl").write_bytes(b"".join(lines))

    return change


def _second_data(folder: Path) -> None:
    """Give the event of the prompt other data behind its own, as a reader of JSON would take it, and say the same."""
    file = folder / "events.jsonl"
    lines = file.read_text().splitlines()
    number = next(number for number, line in enumerate(lines) if '"text":"ask"' in line)
    data = json.dumps({**json.loads(lines[number])["data"], "text": "ASK"})
    lines[number] = f'{lines[number].removesuffix("}")},"data":{data}}}'
    file.write_text("".join(f"{line}\n" for line in lines))
    _replaced("pack.json", '"text":"ask"', '"text":"ASK"')(folder)


def _withheld(folder: Path) -> None:
    """Leave only the header of the event that answered, as for events of others."""
    file = folder / "events.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for line in lines:
        if line.get("type") == "session.request-answered":
            kept = {"position": line["position"], "withheld": True, "header": line["header"]}
            line.clear()
            line.update(kept)
    file.write_text("".join(f"{json.dumps(line, separators=(',', ':'), ensure_ascii=False)}\n" for line in lines))


def _changed(change: Callable[[Any], None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        document = json.loads((folder / "pack.json").read_text())
        change(document)
        (folder / "pack.json").write_text(json.dumps(document))

    return apply


FORGERIES: list[tuple[Callable[[Path], None], str]] = [
    (_replaced("events.jsonl", '"text":"ask"', '"text":"ASK"'), "the data of event"),
    (_replaced("events.jsonl", '"actor":"local"', '"actor":"other"'), "actor of event"),
    (_without_line(3), "follows event"),
    (_without_line(-1), "the signature is for event"),
    (_replaced("proof.json", '"signature": "', '"signature": "00'), "not by the key"),
    (_replaced("pack.json", '"text":"ask"', '"text":"ASK"'), "the prompt"),
    (_replaced("pack.json", '"decision":"always"', '"decision":"once"'), "the decision is"),
    (_replaced("pack.json", '"file":"a.txt"', '"file":"z.txt"'), "the changed files"),
    (_replaced("manifest.json", "a.txt", "z.txt"), "manifest.json was changed"),
    (_second_data, "the prompt"),
    (_withheld, "was taken out"),
    (_changed(lambda document: document["prompts"].pop()), "the prompts of the events"),
    (_changed(lambda document: document["decisions"].pop()), "the decisions of the events"),
    (_changed(lambda document: document["decisions"][0].update(by=None, decision="closed")), "the answers of"),
    (_changed(lambda document: document["decisions"][0].update(patterns=["ls"])), "it is asked for"),
    (_changed(lambda document: document["changes"].update(position=None, files=[])), "the changes of the events"),
    (_changed(lambda document: document.update(sessionId="other")), "is not of this session"),
]


async def test_forged_pack_is_found(machine: Machine, api: Api, tmp_path: Path) -> None:
    folder = await recorded(machine, api, tmp_path)
    kept = {file: file.read_bytes() for file in folder.iterdir()}
    verify(folder)
    for forge, words in FORGERIES:
        forge(folder)
        with pytest.raises(Wrong, match=words):
            verify(folder)
        for file, content in kept.items():
            file.write_bytes(content)


def test_value_of_another_kind_is_not_the_ordered_one() -> None:
    order = {"type": "session.callbacks-erased", "data": {"replaced": [{"position": 1, "payload": {"shown": True}}]}}
    verify_replaced({1: {"data": {"shown": True}, "replaced": 2}, 2: order})
    with pytest.raises(Wrong, match="by other data"):
        verify_replaced({1: {"data": {"shown": 1}, "replaced": 2}, 2: order})


class Page(HTMLParser):
    """What a browser would make of the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links |= {value or "" for name, value in attrs if name in ("href", "src")}


def check_harmless(text: str) -> None:
    """Insist that the page has no script, loads nothing, and shows control characters as escapes."""
    page = Page(text)
    assert not page.tags & {"script", "img", "iframe", "link", "object", "embed", "form", "base", "svg"}
    assert not {name for name in page.attributes if name.startswith("on")}
    assert all(link.startswith("#") for link in page.links)
    assert "default-src 'none'" in text.replace("&#39;", "'")
    assert not set(text) & {"\x1b", "\u202e"}


async def test_page_shows_hostile_text_as_text(machine: Machine, api: Api, tmp_path: Path) -> None:
    folder = await recorded(machine, api, tmp_path)
    text = (folder / "index.html").read_text()
    check_harmless(text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "\\u202e" in text


@pytest.mark.parametrize("file", sorted(DIRECTORY.glob("session-*.jsonl")), ids=lambda file: file.stem)
def test_every_golden_history_makes_a_page(file: Path) -> None:
    lines = read(file)
    gathering = Gathering(lines[0].stream.partition("-")[2])
    for number, line in enumerate(lines, 1):
        event = REGISTRY.decode(line.type, line.schema, bytes(line.data))
        cause = Cause("token:ann")
        gathering.apply(
            Recorded(number, line.stream, number, line.type, line.schema, line.at_ms, cause, bytes(line.data), event)
        )
    child = RelatedSession(session_id="child", title=HOSTILE, outcome="finished")
    document = gathering.document(
        Manifest(), {}, Relatives(child, None, (child,)), Made("1", "2026-01-01T00:00:00.000Z", "local")
    )
    proof = PackProof(first=1, last=len(lines), own_events=len(lines), digest="00", key=None)
    document = msgspec.structs.replace(document, proof=proof)
    assert all(each.by.actor == "token:ann" for each in document.prompts)
    check_harmless("".join(render(document, trio.run(steps_of, document), [], gathering.people)))


async def test_erased_or_unknown_session_has_no_pack(api: Api) -> None:
    item = await api.session()
    assert (await api.send("DELETE", f"/api/sessions/{item['id']}?permanent=true")).status == 200
    answer = await api.send("GET", f"/api/sessions/{item['id']}/pack")
    assert answer.status in (404, 410)


def test_call_that_ran_unasked_names_the_answer_that_allowed_it() -> None:
    gathering = Gathering("s1")
    events = (
        *ACTIVE,
        *asked("c1", "always", "git status", always=("git *",)),
        call("c1", "bash", command="git status"),
        call("c2", "bash", command="git log && git diff"),
        call("c3", "bash", command="git log | sh"),
        call("c4", "edit", filePath="/trees/w1/a"),
    )
    for number, event in enumerate(events, 1):
        gathering.apply(Recorded(number, "session-s1", number, "", 1, 0, Cause("token:ann"), b"{}", event))
    nothing = Relatives()
    document = gathering.document(Manifest(), {}, nothing, Made("1", "2026-01-01T00:00:00.000Z", "local"))
    answered = len(ACTIVE) + 2
    assert [each.allowed for each in document.calls] == [
        "OpenCode asked, and ann allowed it always.",
        f"OpenCode did not ask: ann had allowed git * always, at event {answered}.",
        "OpenCode did not ask.",
        "OpenCode did not ask.",
    ]


def test_call_that_ran_unasked_names_the_rule_of_the_configuration_that_allowed_it() -> None:
    gathering = Gathering("s1")
    events = (
        *ACTIVE,
        call("c1", "bash", command="git status && ls"),
        call("c2", "edit", filePath="/trees/w1/a"),
        call("c3", "bash", command="touch a"),
    )
    for number, event in enumerate(events, 2):
        gathering.apply(Recorded(number, "session-s1", number, "", 1, 0, Cause("token:ann"), b"{}", event))
    rules = [
        Rule("*", "*", "allow"),
        Rule("bash", "*", "ask"),
        Rule("bash", "git status*", "allow"),
        Rule("bash", "ls *", "allow"),
    ]
    agents = (AgentRules("build", msgspec.Raw(msgspec.json.encode(rules))),)
    read = PermissionRulesRead(directory=gathering.state.directory, agents=agents, at_ms=0)
    gathering.rules = [Recorded(1, "instance-i1", 1, "", 1, 0, Cause(), b"{}", read)]
    document = gathering.document(Manifest(), {}, Relatives(), Made("1", "2026-01-01T00:00:00.000Z", "local"))
    assert [each.allowed for each in document.calls] == [
        "OpenCode did not ask: its configuration allows bash (git status*), bash (ls *).",
        "OpenCode did not ask: its configuration allows everything that no other rule names.",
        "OpenCode did not ask.",
    ]
    (packed,) = document.rules
    assert (packed.instance_id, packed.position, packed.agents[0].rules) == ("i1", 1, tuple(rules))
    proof = PackProof(first=1, last=9, own_events=9, digest="00", key=None)
    document = msgspec.structs.replace(document, proof=proof)
    page = "".join(render(document, trio.run(steps_of, document), [], gathering.people))
    check_harmless(page)
    assert "Agent build, 4 rules" in page
    assert "<code>git status*</code>" in page


def test_rules_are_those_of_the_process_although_the_server_records_the_last_parts_itself() -> None:
    gathering = Gathering("s1")
    ran, unseen = call("c1", "bash", command="ls"), call("c2", "bash", command="touch a")
    for number, event in enumerate((*ACTIVE, ran, unseen), 2):
        cause = Cause() if event is unseen else Cause("instance:i2")  # the stream broke off before its end
        gathering.apply(Recorded(number, "session-s1", number, "", 1, 0, cause, b"{}", event))

    def read(position: int, instance: str, *rules: Rule) -> Recorded:
        agents = (AgentRules("build", msgspec.Raw(msgspec.json.encode(rules))),)
        event = PermissionRulesRead(directory=gathering.state.directory, agents=agents, at_ms=0)
        return Recorded(position, f"instance-{instance}", 1, "", 1, 0, Cause(), b"{}", event)

    gathering.rules = [read(1, "i1", Rule("*", "*", "allow")), read(99, "i2", Rule("bash", "*", "allow"))]
    document = gathering.document(Manifest(), {}, Relatives(), Made("1", "2026-01-01T00:00:00.000Z", "local"))
    assert {each.allowed for each in document.calls} == {"OpenCode did not ask: its configuration allows bash (*)."}


def test_pack_of_a_fork_has_no_call_that_its_origin_made() -> None:
    gathering = Gathering("s1")
    copied = msgspec.structs.replace(call("c1", "bash", command="rm a"), copied=True)
    for number, event in enumerate((*ACTIVE, copied, call("c2", "bash", command="ls")), 1):
        gathering.apply(Recorded(number, "session-s1", number, "", 1, 0, Cause("token:ann"), b"{}", event))
    document = gathering.document(Manifest(), {}, Relatives(), Made("1", "2026-01-01T00:00:00.000Z", "local"))
    assert [each.command for each in document.calls] == ["ls"]


async def test_reader_that_leaves_in_the_middle_of_a_file_ends_the_zip_without_an_error() -> None:
    async def endless() -> AsyncGenerator[tuple[str, bytes]]:
        while True:
            yield "events.jsonl", os.urandom(PACK_ZIP_SLICE_BYTES)

    pieces = zipped(endless(), "evidence-s1")
    assert await anext(pieces)
    await pieces.aclose()
