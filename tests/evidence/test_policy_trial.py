"""Trials of rules and budgets over the recorded past of a session."""

from typing import Any

import msgspec

from fleet.core.session.events import SessionEvent
from fleet.core.session.turn_events import PartRecorded, RequestAnswered, RequestClosed, RequestOpened, TurnContinued
from fleet.core.session.values import Answer, raw
from fleet.events import codec
from fleet.events.catalog import make_registry
from fleet.events.envelope import Cause
from fleet.evidence.policy_trial import rules_from, try_rules
from fleet.wire.policy import PolicyBody, SessionTrial
from tests.core.sessions import ACTIVE, AT, accepted, ended, paid, started
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import MemoryDisk, MemoryLog
from tests.gateway.machine import Api


def call(name: str, tool: str, **given: str) -> PartRecorded:
    body = {"type": "tool", "tool": tool, "callID": name, "state": {"status": "completed", "input": given}}
    return PartRecorded(
        part_id=f"prt_{name}", message_id="msg_a", type="tool", body=raw(msgspec.json.encode(body)), at_ms=AT
    )


def asked(name: str, reply: Any, *patterns: str, always: tuple[str, ...] = ()) -> tuple[SessionEvent, ...]:
    """A request of the call with this name, and its answer."""
    body = {"permission": "bash", "patterns": patterns, "always": always, "tool": {"callID": name}}
    return (
        RequestOpened(
            request_id=f"per_{name}",
            opencode_id="ses_1",
            kind="permission",
            body=raw(msgspec.json.encode(body)),
            at_ms=AT,
        ),
        RequestAnswered(request_id=f"per_{name}", answer=Answer(reply), actor="token:ann", at_ms=AT),
        RequestClosed(request_id=f"per_{name}", at_ms=AT),
        TurnContinued(at_ms=AT),
    )


async def tried(*events: SessionEvent, **rules: Any) -> SessionTrial:
    """Return what the rules would have done with a session of these events."""
    log = MemoryLog(MemoryDisk(), make_registry(), FakeClock())
    for version, event in enumerate((*ACTIVE, *events)):
        await log.append("session-s1", version, [event], Cause())
    body = msgspec.convert(rules, PolicyBody)
    found = await try_rules(log, "session-s1", rules_from(body, "/home/user"))
    assert found is not None
    return found


async def test_session_with_an_event_that_cannot_be_read_is_left_out() -> None:
    disk = MemoryDisk()
    log = MemoryLog(disk, make_registry(), FakeClock())
    await log.append("session-s1", 0, ACTIVE, Cause())
    disk.records[2] = codec.erase(disk.records[2])  # as in an export from which data was taken out
    assert await try_rules(log, "session-s1", rules_from(PolicyBody(), "/home/user")) is None


async def test_trial_counts_what_would_be_asked_allowed_and_blocked() -> None:
    found = await tried(
        call("c1", "bash", command="git status"),
        *asked("c2", "once", "make"),
        call("c2", "bash", command="make"),
        call("c3", "edit", filePath="/trees/w1/a.py"),
        call("c4", "webfetch", url="https://a.org"),
        *asked("c5", "reject", "rm -r x"),
        call("c5", "bash", command="rm -r x"),
        permission={"bash": {"*": "allow", "rm *": "deny"}, "edit": "ask", "webfetch": "deny"},
    )
    assert (found.calls, found.allowed, found.asked, found.blocked) == (5, 2, 1, 2)
    assert (found.newly_asked, found.newly_allowed, found.newly_blocked) == (1, 1, 1)
    examples = [(each.action, each.tool, each.rule) for each in found.examples]
    assert examples == [
        ("deny", "webfetch", 'webfetch "*" = deny'),
        ("deny", "bash", 'bash "rm *" = deny'),
        ("ask", "edit", 'edit "*" = ask'),
        ("allow", "bash", 'bash "*" = allow'),
    ]
    assert [each.past for each in found.examples[:2]] == [
        "it ran, and OpenCode did not ask",
        "OpenCode asked, and ann rejected it",
    ]


async def test_answer_of_always_counts_only_where_the_rules_would_ask() -> None:
    events = (
        *asked("c1", "always", "git status", always=("git *",)),
        call("c1", "bash", command="git status"),
        call("c2", "bash", command="git log"),
    )
    found = await tried(*events, permission={"bash": "ask"})
    assert (found.asked, found.allowed) == (1, 1)
    found = await tried(*events, permission={"bash": {"*": "ask", "git status": "allow"}})
    assert (found.asked, found.allowed) == (1, 1)
    assert found.newly_asked == 1


async def test_trial_finds_the_turn_after_which_the_budget_is_used_up() -> None:
    more = (ended(1, "finished"), accepted("p2"), started(2, "p2"), paid(2.0, name="msg_b"), ended(2, "finished"))
    last = (accepted("p3"), started(3, "p3"), ended(3, "finished"))
    found = await tried(paid(0.5), *more, *last, budget={"usd": 1})
    assert found.budget is not None
    assert (found.budget.turn, found.budget.turns_held, found.turns) == (2, 1, 3)
    assert found.budget.what == "2.5000 of 1 USD are used"
    assert (found.calls, (await tried(paid(0.5), *more, budget={"usd": 9})).budget) == (0, None)


async def test_rules_are_tried_over_http(api: Api) -> None:
    item = await api.session(initialPrompt="write:1")
    await api.settled(item["id"])
    await api.session()
    answer = await api.send("POST", "/api/policy/try", {"permission": "deny"})
    assert answer.status == 200, answer
    (found,) = answer.json["sessions"]
    assert (found["sessionId"], found["calls"], found["newlyBlocked"]) == (item["id"], 1, 1)
    chosen = await api.send("POST", "/api/policy/try", {"permission": "ask", "sessions": []})
    assert chosen.json["sessions"] == []
    (await api.send("POST", "/api/policy/try", {"permission": {"bash": "maybe"}})).problem(422, "invalid")


async def test_call_that_a_fork_has_copied_is_not_tried_and_one_that_failed_did_not_run() -> None:
    copied = msgspec.structs.replace(call("c1", "bash", command="rm a"), copied=True)
    body = {"type": "tool", "tool": "bash", "callID": "c2", "state": {"status": "error", "input": {"command": "rm b"}}}
    failed = msgspec.structs.replace(call("c2", "bash"), body=raw(msgspec.json.encode(body)))
    found = await tried(copied, failed, permission={"bash": "deny"})
    assert [(each.asked, each.past) for each in found.examples] == [("rm b", "it failed, and OpenCode did not ask")]
    assert found.calls == 1
