"""Explanations of events, on a small history with real bodies: tool calls, permissions, rules, prompts."""

from typing import Any

import msgspec
import pytest

from fleet.core.instance.events import (
    AgentRules,
    InstanceReady,
    InstanceRequested,
    InstanceSpawned,
    PermissionAllowed,
    PermissionRulesRead,
)
from fleet.core.manifest import ChangedFile, Manifest, encode_manifest
from fleet.core.session.events import CallbackOrdered, SessionDisconnected, StopRequested, WorkspaceAttached
from fleet.core.session.turn_events import (
    AbortRequested,
    ChangesRecorded,
    PartRecorded,
    PromptAccepted,
    PromptEdited,
    RequestAnswered,
    RequestOpened,
    TurnEnded,
    TurnStarted,
)
from fleet.core.session.values import Answer, Totals
from fleet.core.times import rfc3339
from fleet.errors import Rejected
from fleet.events.envelope import Cause
from fleet.ports import Endpoint, ProcessIdentity
from fleet.projections.names import naming
from fleet.projections.why import called_paths, explain, read_event
from tests.fakes.memory_blobs import MemoryBlobs
from tests.projections.sessions_log import SessionsLog

ALICE, CAROL, OPENCODE = Cause("token:alice"), Cause("token:carol"), "instance:i"


def tool(tool_name: str, call_id: str, conversation: str = "", **given: str) -> PartRecorded:
    return called(tool_name, call_id, {"status": "completed", "input": given}, conversation)


def failed(tool_name: str, call_id: str, error: str, **given: str) -> PartRecorded:
    return called(tool_name, call_id, {"status": "error", "error": error, "input": given})


def called(tool_name: str, call_id: str, state: dict[str, Any], conversation: str = "") -> PartRecorded:
    raw = msgspec.Raw(msgspec.json.encode({"type": "tool", "tool": tool_name, "callID": call_id, "state": state}))
    return PartRecorded(
        part_id=f"prt_{call_id}", message_id="msg", type="tool", body=raw, opencode_id=conversation, at_ms=1
    )


def asks(request_id: str, call_id: str, permission: str, path: str) -> RequestOpened:
    body = {"permission": permission, "patterns": [path], "metadata": {}, "tool": {"callID": call_id}}
    raw = msgspec.Raw(msgspec.json.encode(body))
    return RequestOpened(request_id=request_id, opencode_id="ses_s", kind="permission", body=raw, at_ms=1)


class Told(SessionsLog):
    """A history in which every append has its own cause."""

    def __init__(self) -> None:
        super().__init__()
        self.blobs = MemoryBlobs(self.disk)
        self.ready_at = ""

    async def log_one(self, stream: str, event: Any, cause: Cause) -> int:
        return (await self.log.append(stream, self.log.stream_version(stream), [event], cause)).position

    async def why(self, position: int, file: str | None = None) -> list[tuple[str, str]]:
        steps = await explain(self.log, position, naming(self.log), self.blobs, file)
        return [(step.kind, step.sentence) for step in steps]

    async def process(self) -> None:
        requested = InstanceRequested(instance_id="i", key="k", directory="/d", at_ms=1)
        at = await self.log_one("instance-i", requested, Cause("session:s"))
        spawned = InstanceSpawned(identity=ProcessIdentity(7, 1.0, "boot"), at_ms=1)
        await self.log_one("instance-i", spawned, Cause("system", f"@{at}"))
        ready = InstanceReady(endpoint=Endpoint(1, version="1.18.33"), at_ms=1)
        at = await self.log_one("instance-i", ready, Cause("system", f"@{at}"))
        self.ready_at = rfc3339(self.log.read_all(at - 1, 1)[0].recorded_at_ms)

    async def turn(self, number: int, text: str, cause: Cause) -> int:
        """Log the prompt and the start of its turn; return the position of the start."""
        prompt = PromptAccepted(prompt_id=f"p{number}", text=text, at_ms=1)
        at = await self.log_one("session-s", prompt, cause)
        started = TurnStarted(
            number=number, prompt_id=f"p{number}", message_id=f"msg{number}", part_ids=("prt",), at_ms=1
        )
        return await self.log_one("session-s", started, Cause(cause.actor, f"@{at}"))

    async def changed(self, number: int, started: int, *files: str | ChangedFile) -> int:
        listed = tuple(
            ChangedFile(file, "added", 2, 0, False, False, None, "x") if isinstance(file, str) else file
            for file in files
        )
        (digest,) = await self.blobs.put("session-s", [encode_manifest(Manifest(listed))])
        changes = ChangesRecorded(
            number=number,
            tree="t",
            turn_manifest=digest,
            session_manifest=digest,
            totals=Totals(len(files), 2, 0),
            overlaps=(),
            at_ms=1,
        )
        return await self.log_one("session-s", changes, Cause("system", f"@{started}"))


@pytest.fixture
async def told() -> Told:
    told = Told()
    await told.create("s", "Limit the login")
    attached = WorkspaceAttached(workspace_id="w", directory="/d", branch=None, at_ms=1)
    await told.log_one("session-s", attached, Cause())
    await told.process()
    return told


async def test_file_leads_to_tool_permission_process_and_prompt(told: Told) -> None:
    started = await told.turn(1, "Add a limit", ALICE)
    follows = Cause(OPENCODE, f"@{started}")
    await told.log_one("session-s", asks("r", "c1", "edit", "/d/src/login.py"), follows)
    answered = RequestAnswered(request_id="r", answer=Answer(reply="once", message="only this"), at_ms=1)
    await told.log_one("session-s", answered, CAROL)
    await told.log_one("session-s", tool("edit", "c1", filePath="/d/src/login.py"), follows)
    await told.log_one("session-s", tool("read", "c2", filePath="/d/src/login.py"), follows)
    await told.log_one("session-s", tool("write", "c3", filePath="/d/other.py"), follows)
    changes = await told.changed(1, started, "other.py", "src/login.py")
    assert await told.why(changes, "src/login.py") == [
        ("change", 'src/login.py was created (+2 -0) in turn 1 of session "Limit the login"'),
        ("tool", "The agent used the tool edit (src/login.py)"),
        ("permission", "carol allowed it once: only this"),
        ("permission", "OpenCode asked for permission: edit src/login.py"),
        ("process", f"The turn ran in OpenCode 1.18.33, process 7, which was ready at {told.ready_at}"),
        ("turn", 'Turn 1 of session "Limit the login" began'),
        ("prompt", 'alice sent the prompt "Add a limit" to session "Limit the login"'),
    ]
    assert await called_paths(told.log, read_event(told.log, changes)) == {"src/login.py", "other.py"}


async def test_always_rule_explains_a_call_that_was_not_asked_for(told: Told) -> None:
    started = await told.turn(1, "Build it", ALICE)
    answered = RequestAnswered(request_id="r", answer=Answer(reply="always"), at_ms=1)
    at = await told.log_one("session-s", answered, CAROL)
    rule = PermissionAllowed(
        session_id="s", request_id="r", directory="/d", permission="bash", patterns=("make *",), at_ms=1
    )
    await told.log_one("instance-i", rule, Cause("session:s", f"@{at}"))
    covered = await told.log_one("session-s", tool("bash", "c1", command="make all"), Cause(OPENCODE, f"@{started}"))
    other = await told.log_one("session-s", tool("bash", "c2", command="rm x"), Cause(OPENCODE, f"@{started}"))
    rules = [sentence for kind, sentence in await told.why(covered) if kind == "permission"]
    assert rules == [
        "OpenCode did not ask, because carol had always allowed bash (make *) in this directory, until the process ends"
    ]
    assert [kind for kind, _ in await told.why(other)] == ["tool", "process", "turn", "prompt"]


async def test_configuration_explains_a_call_that_was_not_asked_for(told: Told) -> None:
    rules = [
        {"permission": "*", "pattern": "*", "action": "ask"},
        {"permission": "edit", "pattern": "*", "action": "allow"},
    ]
    agents = (AgentRules("plan", msgspec.Raw(b"[]")), AgentRules("build", msgspec.Raw(msgspec.json.encode(rules))))
    await told.log_one("instance-i", PermissionRulesRead(directory="/d", agents=agents, at_ms=1), Cause("instance:i"))
    started = await told.turn(1, "Write it", ALICE)
    written = await told.log_one("session-s", tool("write", "c1", filePath="/d/a.py"), Cause(OPENCODE, f"@{started}"))
    ran = await told.log_one("session-s", tool("bash", "c2", command="ls"), Cause(OPENCODE, f"@{started}"))
    steps = await told.why(written)
    assert steps[1] == ("permission", "OpenCode did not ask: its configuration allows edit (*)")
    assert "permission" not in [kind for kind, _ in await told.why(ran)]


def ruled(directory: str = "/d", **bash: str) -> PermissionRulesRead:
    """OpenCode's rules as it gives them: its own first."""
    rules = [
        {"permission": "*", "pattern": "*", "action": "allow"},
        *({"permission": "bash", "pattern": pattern, "action": action} for pattern, action in bash.items()),
    ]
    agents = (AgentRules("build", msgspec.Raw(msgspec.json.encode(rules))),)
    return PermissionRulesRead(directory=directory, agents=agents, at_ms=1)


async def test_each_command_of_a_line_has_the_rule_that_allowed_or_denied_it(told: Told) -> None:
    await told.log_one(
        "instance-i", ruled(**{"*": "ask", "git status*": "allow", "ls *": "allow", "rm *": "deny"}), Cause()
    )
    follows = Cause(OPENCODE, f"@{await told.turn(1, 'Look', ALICE)}")
    listed = await told.log_one("session-s", tool("bash", "c1", command="git status && ls src > a.txt"), follows)
    wrote = await told.log_one("session-s", tool("write", "c2", filePath="/d/b.txt"), follows)
    denied = await told.log_one("session-s", failed("bash", "c3", "a rule prevents it", command="rm a.txt"), follows)
    broken = await told.log_one("session-s", failed("bash", "c4", "no such file", command="ls missing"), follows)
    asked = await told.log_one("session-s", tool("bash", "c5", command="touch x"), follows)  # the request is lost
    assert (await told.why(listed))[1] == (
        "permission",
        "OpenCode did not ask: its configuration allows bash (git status*), bash (ls *)",
    )
    assert (await told.why(wrote))[1] == (
        "permission",
        "OpenCode did not ask: its configuration allows everything that no other rule names",
    )
    assert (await told.why(denied))[:2] == [
        ("tool", "The agent failed to use the tool bash (rm a.txt)"),
        ("permission", "OpenCode refused it: its configuration denies bash (rm *)"),
    ]
    assert (await told.why(broken))[1] == ("permission", "OpenCode did not ask: its configuration allows bash (ls *)")
    assert "permission" not in [kind for kind, _ in await told.why(asked)]
    changes = await told.changed(1, listed, "a.txt")
    assert [sentence for _, sentence in await told.why(changes)][1:4] == [
        "The agent used the tool bash (touch x)",
        "The agent used the tool write (b.txt)",
        "OpenCode did not ask: its configuration allows everything that no other rule names",
    ]


async def test_rules_of_the_repository_explain_a_call_in_its_worktree_and_say_so(told: Told) -> None:
    await told.log_one("instance-i", ruled("/repository"), Cause())
    follows = Cause(OPENCODE, f"@{await told.turn(1, 'Look', ALICE)}")
    wrote = await told.log_one("session-s", tool("write", "c1", filePath="/d/b.txt"), follows)
    allowed = "OpenCode did not ask: its configuration allows everything that no other rule names"
    assert (await told.why(wrote))[1] == ("permission", f"{allowed}, as it was read in /repository")


async def test_rules_that_were_read_after_a_call_in_its_directory_explain_it(told: Told) -> None:
    """Fleet reads them some seconds after OpenCode has."""
    await told.log_one("instance-i", ruled("/repository", **{"*": "deny"}), Cause())
    follows = Cause(OPENCODE, f"@{await told.turn(1, 'Look', ALICE)}")
    ran = await told.log_one("session-s", tool("bash", "c1", command="ls"), follows)
    await told.log_one("instance-i", ruled(**{"ls": "allow"}), Cause())
    await told.log_one("instance-i", ruled(**{"ls": "deny"}), Cause())
    assert (await told.why(ran))[1] == ("permission", "OpenCode did not ask: its configuration allows bash (ls)")


async def test_work_of_a_sub_agent_leads_to_the_call_that_started_it(told: Told) -> None:
    await told.log_one("instance-i", ruled(), Cause())
    follows = Cause(OPENCODE, f"@{await told.turn(1, 'Delegate', ALICE)}")
    wrote = await told.log_one("session-s", tool("write", "c1", "child", filePath="/d/four.txt"), follows)
    started = {"status": "completed", "input": {"description": "four"}, "metadata": {"sessionId": "child"}}
    task = called("task", "c2", started)
    await told.log_one("session-s", task, follows)
    assert [sentence for _, sentence in await told.why(wrote)][:3] == [
        "The sub-agent used the tool write (four.txt)",
        "OpenCode did not ask: its configuration allows everything that no other rule names",
        "The agent used the tool task (four), which started the sub-agent; the same rule applied",
    ]


async def test_paths_are_relative_to_the_directory_that_the_session_had_then(told: Told) -> None:
    before = Cause(OPENCODE, f"@{await told.turn(1, 'Here', ALICE)}")
    here = await told.log_one("session-s", tool("write", "c1", filePath="/d/a.py"), before)
    attached = WorkspaceAttached(workspace_id="w", directory="/restored", branch=None, at_ms=1)
    await told.log_one("session-s", attached, Cause())
    after = Cause(OPENCODE, f"@{await told.turn(2, 'There', ALICE)}")
    there = await told.log_one("session-s", tool("write", "c2", filePath="/restored/a.py"), after)
    assert [(await told.why(each))[0][1] for each in (here, there)] == ["The agent used the tool write (a.py)"] * 2


async def test_renamed_file_is_named_before_and_after(told: Told) -> None:
    started = await told.turn(1, "Rename", ALICE)
    moved = tool("bash", "c1", command="git mv old.py new.py")
    await told.log_one("session-s", moved, Cause(OPENCODE, f"@{started}"))
    file = ChangedFile("new.py", "modified", 0, 0, False, False, "x", "x", old_file="old.py")
    changes = await told.changed(1, started, file)
    for name in ("old.py", "new.py"):
        assert [sentence for _, sentence in await told.why(changes, name)][:2] == [
            'old.py was renamed to new.py in turn 1 of session "Limit the login"',
            "The agent used the tool bash (git mv old.py new.py)",
        ]


async def test_outcome_of_an_aborted_turn_names_who_aborted_and_who_prompted(told: Told) -> None:
    await told.turn(1, "Wait", ALICE)
    at = await told.log_one("session-s", AbortRequested(number=1, at_ms=1), CAROL)
    ended = TurnEnded(number=1, outcome="aborted", evidence="stopped", at_ms=1)
    end = await told.log_one("session-s", ended, Cause("token:carol", f"@{at}"))
    assert await told.why(end) == [
        ("outcome", 'Turn 1 was aborted (session "Limit the login")'),
        ("outcome", "carol requested the abort"),
        ("turn", 'Turn 1 of session "Limit the login" began'),
        ("prompt", 'alice sent the prompt "Wait" to session "Limit the login"'),
    ]


async def test_outcome_of_a_stopped_turn_names_who_stopped_the_session(told: Told) -> None:
    await told.turn(1, "Wait", ALICE)
    at = await told.log_one("session-s", StopRequested(at_ms=1), CAROL)
    ended = TurnEnded(number=1, outcome="aborted", evidence="stopped", at_ms=1)
    end = await told.log_one("session-s", ended, Cause("token:carol", f"@{at}"))
    await told.log_one("session-s", StopRequested(at_ms=1), ALICE)
    assert [sentence for _, sentence in await told.why(end)][:3] == [
        'Turn 1 was aborted (session "Limit the login")',
        "carol requested a stop of the session",
        'Turn 1 of session "Limit the login" began',
    ]


async def test_outcome_of_an_interrupted_turn_names_the_loss_of_its_process(told: Told) -> None:
    started = await told.turn(1, "Wait", ALICE)
    lost = SessionDisconnected(instance_id="i", evidence="the OpenCode process is gone", at_ms=1)
    await told.log_one("session-s", lost, Cause("instance:i"))
    ended = TurnEnded(number=1, outcome="interrupted", evidence="its last message is unfinished", at_ms=1)
    end = await told.log_one("session-s", ended, Cause("system", f"@{started}"))
    assert [sentence for _, sentence in await told.why(end)][:2] == [
        'Turn 1 was interrupted (session "Limit the login"): its last message is unfinished',
        "The session lost its OpenCode process: the OpenCode process is gone",
    ]


async def test_waiting_prompt_belongs_to_its_sender_and_its_edits_are_explained(told: Told) -> None:
    """The log of an older Fleet: the cause of the turn leads to another person's turn."""
    first = await told.turn(1, "First", ALICE)
    await told.log_one("session-s", PromptAccepted(prompt_id="p2", text="Draft", at_ms=1), CAROL)
    await told.log_one("session-s", PromptEdited(prompt_id="p2", text="Second", at_ms=1), ALICE)
    started = TurnStarted(number=2, prompt_id="p2", message_id="msg2", part_ids=("prt",), at_ms=1)
    second = await told.log_one("session-s", started, Cause("system", f"@{first}"))
    assert await told.why(second) == [
        ("turn", 'Turn 2 of session "Limit the login" began'),
        ("prompt", 'alice changed its text to "Second"'),
        ("prompt", 'carol sent the prompt "Draft" to session "Limit the login"'),
    ]


async def test_callback_leads_on_to_the_child(told: Told) -> None:
    await told.create("child", "The child")
    ordered = CallbackOrdered(number=1, outcome="finished", text="done", at_ms=1)
    at = await told.log_one("session-child", ordered, Cause("system", "@1"))
    started = await told.turn(1, "The child is done", Cause("session:child", f"@{at}"))
    assert [sentence for _, sentence in await told.why(started)] == [
        'Turn 1 of session "Limit the login" began',
        'session "The child" sent the prompt "The child is done" to session "Limit the login"',
        'The parent will be notified that the session finished (session "The child")',
        'The session "Limit the login" was created in /d (existing)',
    ]


async def test_erased_events_are_explained_as_such_and_missing_ones_refused(told: Told) -> None:
    started = await told.turn(1, "Secret", ALICE)
    await told.log.erase("session-s")
    sentences = [sentence for _, sentence in await told.why(started)]
    assert sentences[0] == (
        "alice caused this event (session.turn-started of session-s); its data was erased or taken out"
    )
    assert all("Secret" not in sentence for sentence in sentences)
    for position in (0, 999):
        with pytest.raises(Rejected, match="no event"):
            await told.why(position)
