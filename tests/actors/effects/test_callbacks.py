"""Children and their parents: the parent gets every outcome once and in order, also after crashes of either side."""

from typing import Any

import msgspec
import pytest
import trio

from fleet.actors.effects.callbacks import last_words
from fleet.limits import CALLBACK_DEPTH_MAX, CALLBACK_MESSAGE_BYTES_MAX
from fleet.projections.transcripts import MessageView
from tests.gateway.door import NOWHERE, PLAIN, REPOSITORY, Door, Machine


async def child_of(door: Door, parent: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Create a session that reports to `parent`, by its Fleet id."""
    return await door.session(onComplete={"notifySessionId": parent["id"]}, **fields)


async def told(door: Door, session_id: str) -> list[str]:
    """Return the first lines of what the session was told, as its transcript has it."""
    answer = await door.knock("GET", f"/api/sessions/{session_id}/messages?limit=200")
    messages = [message for message in answer.json["messages"] if message["info"]["role"] == "user"]
    return [part["text"].splitlines()[0] for message in messages for part in message["parts"]]


async def callbacks(door: Door, status: str | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        await door.knock("GET", "/api/callbacks" + (f"?status={status}" if status else ""))
    ).json
    return found


async def over(door: Door, session_id: str, count: int) -> None:
    """Wait until so many callbacks of the session are over."""
    await door.fleet.views.sessions.wait(
        session_id, lambda s: sum(c.status in ("delivered", "dropped") for c in s.callbacks.sent) == count
    )


@pytest.mark.parametrize("which", ["id", "opencodeId"])
async def test_the_parent_gets_one_callback_for_each_outcome(door: Door, which: str) -> None:
    parent = await door.session(title="Parent")
    notify = {"notifySessionId": parent[which], "notifyInstanceId": parent["instanceId"]}
    child = await door.session(title="Child", initialPrompt="one", onComplete=notify)
    assert child["parentId"] == parent["id"]
    await over(door, child["id"], 1)
    await door.prompt(child["id"], "fail")
    await over(door, child["id"], 2)
    await door.knock("POST", f"/api/sessions/{child['id']}/prompt", {"text": "hang"})
    await door.fleet.views.sessions.wait(child["id"], lambda s: s.turn is not None and s.turn.delivered)
    await door.knock("POST", f"/api/sessions/{child['id']}/abort")
    await over(door, child["id"], 3)
    await door.settled(parent["id"])
    assert await told(door, parent["id"]) == [
        f'Session "Child" ({child["id"]}) has ended: {outcome}.' for outcome in ("finished", "error", "aborted")
    ]
    items = await callbacks(door)
    assert [(item["outcome"], item["status"], item["number"]) for item in items] == [
        ("finished", "delivered", 1),
        ("error", "delivered", 2),
        ("aborted", "delivered", 3),
    ]
    assert {(item["sessionId"], item["parentId"]) for item in items} == {(child["id"], parent["id"])}
    assert "Cost: 0.001" in items[0]["text"]
    assert await callbacks(door, "undelivered") == await callbacks(door, "pending") == []


async def words_to(door: Door, session_id: str) -> list[str]:
    """Return what the session was told, as its transcript has it."""
    answer = await door.knock("GET", f"/api/sessions/{session_id}/messages?limit=200")
    messages = [message for message in answer.json["messages"] if message["info"]["role"] == "user"]
    return [part["text"] for message in messages for part in message["parts"]]


async def test_the_parent_reads_which_files_have_changed_and_what_was_said_last(machine: Machine, door: Door) -> None:
    parent = await door.session(title="Parent")
    child = await child_of(door, parent, directory=REPOSITORY, isolationStrategy="worktree")
    contents = machine.files.contents[child["directory"]] = {f"f{n:02}.py": b"1\n2\n" for n in range(25)}
    contents["a b\nc"] = b"1\n"
    await door.prompt(child["id"], "work")
    await over(door, child["id"], 1)
    await door.settled(parent["id"])
    (words,) = await words_to(door, parent["id"])
    listed = [line for line in words.splitlines() if line.startswith("- ")]
    assert listed[:2] == ['- "a b\\nc" (added, +1 -0)', "- f00.py (added, +2 -0)"]
    assert listed[20:] == ["- and 6 more"]
    answer = await door.knock("GET", f"/api/sessions/{child['id']}/messages")
    (said,) = [part["text"] for part in answer.json["messages"][-1]["parts"] if part["type"] == "text"]
    assert words.endswith(f"\n\nIts last message:\n{said}")


async def test_a_late_callback_has_the_details_of_its_own_outcome(machine: Machine, door: Door) -> None:
    """A parent that has stopped hears later, when the child has changed and said more."""
    parent = await door.session(title="Parent")
    await door.knock("DELETE", f"/api/sessions/{parent['id']}")
    child = await child_of(door, parent, directory=REPOSITORY, isolationStrategy="worktree")
    for n in (1, 2):
        machine.files.contents[child["directory"]] = {f"f{each}": b"1\n" for each in range(n)}
        await door.prompt(child["id"], f"work {n}")
    assert (await door.knock("POST", f"/api/sessions/{parent['id']}/resume")).status == 200
    await over(door, child["id"], 2)
    await door.settled(parent["id"])
    words = await words_to(door, parent["id"])
    told_of = [[line for line in each.splitlines() if line.startswith("- ")] for each in words]
    assert told_of == [["- f0 (added, +1 -0)"], ["- f0 (added, +1 -0)", "- f1 (added, +1 -0)"]]


async def test_a_damaged_list_of_files_does_not_prevent_the_callback(machine: Machine, door: Door) -> None:
    parent = await door.session(title="Parent")
    await door.knock("DELETE", f"/api/sessions/{parent['id']}")
    child = await child_of(door, parent, directory=REPOSITORY, isolationStrategy="worktree")
    machine.files.contents[child["directory"]] = {"f0": b"1\n"}
    await door.prompt(child["id"], "work")
    machine.disk.blobs = dict.fromkeys(machine.disk.blobs, b"damaged")
    assert (await door.knock("POST", f"/api/sessions/{parent['id']}/resume")).status == 200
    with trio.fail_after(60):
        await over(door, child["id"], 1)
    await door.settled(parent["id"])
    (words,) = await words_to(door, parent["id"])
    assert "Files changed: 1 (+1 -0)" in words
    assert [line for line in words.splitlines() if line.startswith("- ")] == ["- their names cannot be read"]
    assert "\n\nIts last message:\n" in words


def message(role: str, *texts: str) -> MessageView:
    parts = [msgspec.Raw(msgspec.json.encode({"type": "text", "text": text})) for text in texts]
    return MessageView(msgspec.Raw(msgspec.json.encode({"role": role})), parts)


def test_the_last_message_is_that_of_the_last_turn_and_has_a_limit() -> None:
    assert last_words([message("assistant", "before"), message("user", "do"), message("assistant")]) == ""
    assert last_words([message("assistant", "one", "two"), message("assistant", " ")]) == "one\n\ntwo"
    long = "é" * CALLBACK_MESSAGE_BYTES_MAX
    assert last_words([message("assistant", long)]) == (
        "é" * (CALLBACK_MESSAGE_BYTES_MAX // 2) + f"\n… and {CALLBACK_MESSAGE_BYTES_MAX} bytes more"
    )
    broken = MessageView(msgspec.Raw(b'{"role":"assistant"}'), [msgspec.Raw(b"[1]"), msgspec.Raw(b'{"type":"tool"}')])
    assert last_words([broken]) == ""


async def test_a_child_that_is_stopped_twice_sends_one_callback(door: Door) -> None:
    parent = await door.session()
    child = await child_of(door, parent, initialPrompt="hang", title="Child")
    await door.fleet.views.sessions.wait(child["id"], lambda s: s.turn is not None and s.turn.delivered)
    for _ in range(2):
        assert (await door.knock("DELETE", f"/api/sessions/{child['id']}")).status == 200
    await over(door, child["id"], 1)
    await door.settled(parent["id"])
    assert await told(door, parent["id"]) == [f'Session "Child" ({child["id"]}) has ended: stopped.']


@pytest.mark.parametrize(
    ("on_complete", "status", "code"),
    [
        ({"notifySessionId": NOWHERE}, 404, "session_not_found"),
        ({"notifySessionId": "ses_none"}, 404, "session_not_found"),
        ({"notifySessionId": ""}, 422, "invalid"),
        ({}, 422, "invalid"),
        ({"notifySessionId": NOWHERE, "url": "http://x"}, 422, "invalid"),
    ],
)
async def test_a_parent_that_is_none(door: Door, on_complete: dict[str, Any], status: int, code: str) -> None:
    body = {"directory": PLAIN, "onComplete": on_complete}
    (await door.knock("POST", "/api/sessions", body)).problem(status, code)
    assert door.fleet.log.head() == 0


async def test_a_parent_s_instance_must_be_one_of_its_own(door: Door) -> None:
    parent = await door.session()
    body = {"directory": PLAIN, "onComplete": {"notifySessionId": parent["id"], "notifyInstanceId": NOWHERE}}
    (await door.knock("POST", "/api/sessions", body)).problem(404, "instance_not_found")


async def test_trees_are_shown_from_both_ends_and_chains_have_a_length(door: Door) -> None:
    chain = [await door.session(title="0")]
    for depth in range(1, CALLBACK_DEPTH_MAX + 1):
        chain.append(await child_of(door, chain[-1], title=str(depth)))
    body = {"directory": PLAIN, "onComplete": {"notifySessionId": chain[-1]["opencodeId"]}}
    refused = (await door.knock("POST", "/api/sessions", body)).problem(422, "callback_too_deep")
    assert (refused["field"], str(CALLBACK_DEPTH_MAX) in refused["hint"]) == ("onComplete", True)
    assert len((await door.knock("GET", "/api/sessions")).json) == len(chain)

    twin = await child_of(door, chain[0], title="twin")
    last = (await door.knock("GET", f"/api/sessions/{chain[-1]['id']}")).json
    assert [relative["title"] for relative in last["ancestors"]] == [str(n) for n in range(CALLBACK_DEPTH_MAX)]
    root = (await door.knock("GET", f"/api/sessions/{chain[0]['id']}")).json
    assert (root["ancestors"], {each["title"] for each in root["children"]}) == ([], {"1", "twin"})
    children = await door.knock("GET", f"/api/sessions/{chain[0]['opencodeId']}/children")
    assert {each["id"] for each in children.json} == {chain[1]["id"], twin["id"]}
    assert children.headers["x-total-count"] == "2"
    for parent in (chain[0]["id"], chain[0]["opencodeId"]):
        listed = await door.knock("GET", f"/api/sessions?parent={parent}")
        assert {each["id"] for each in listed.json} == {chain[1]["id"], twin["id"]}
    assert (await door.knock("GET", f"/api/sessions?parent={NOWHERE}")).json == []


async def test_a_callback_that_waits_for_its_parent_is_dropped_when_that_is_erased(door: Door) -> None:
    parent = await door.session()
    child = await child_of(door, parent)
    await door.knock("DELETE", f"/api/sessions/{parent['id']}")
    await door.prompt(child["id"], "one")
    await door.fleet.views.sessions.wait(
        child["id"], lambda s: any(c.status == "undelivered" for c in s.callbacks.sent)
    )
    assert (await door.knock("DELETE", f"/api/sessions/{parent['id']}?permanent=true")).json["erased"] is True
    with trio.fail_after(1):
        await over(door, child["id"], 1)
    (dropped,) = await callbacks(door, "dropped")
    assert "erased" in dropped["reason"]


async def test_a_stopped_parent_gets_the_callback_when_it_is_resumed(door: Door) -> None:
    parent = await door.session(title="Parent")
    child = await child_of(door, parent, title="Child")
    await door.knock("DELETE", f"/api/sessions/{parent['id']}")
    await door.prompt(child["id"], "one")
    await door.fleet.views.sessions.wait(
        child["id"], lambda s: any(c.status == "undelivered" for c in s.callbacks.sent)
    )
    (waiting,) = await callbacks(door, "undelivered")
    assert (waiting["sessionId"], waiting["outcome"], "stopped" in waiting["reason"]) == (child["id"], "finished", True)
    assert [item["kind"] for item in (await door.knock("GET", "/api/inbox")).json] == ["callback"]
    assert await told(door, parent["id"]) == []

    assert (await door.knock("POST", f"/api/sessions/{parent['id']}/resume")).status == 200
    await over(door, child["id"], 1)
    await door.settled(parent["id"])
    assert await told(door, parent["id"]) == [f'Session "Child" ({child["id"]}) has ended: finished.']
    assert await callbacks(door, "undelivered") == []
    assert (await door.knock("GET", "/api/inbox")).json == []


async def test_an_undelivered_callback_is_delivered_once_after_a_restart(machine: Machine) -> None:
    async with machine.fleet() as door:
        parent = await door.session()
        child = await child_of(door, parent, title="Child")
        await door.knock("DELETE", f"/api/sessions/{parent['id']}")
        await door.prompt(child["id"], "one")
        await door.fleet.views.sessions.wait(
            child["id"], lambda s: any(c.status == "undelivered" for c in s.callbacks.sent)
        )
    async with machine.fleet() as door:
        assert len(await callbacks(door, "undelivered")) == 1
        await door.knock("POST", f"/api/sessions/{parent['id']}/resume")
        await over(door, child["id"], 1)
        await door.settled(parent["id"])
        assert len(await told(door, parent["id"])) == 1
    async with machine.fleet() as door:
        await door.knock("POST", f"/api/sessions/{parent['id']}/resume")
        await door.prompt(parent["id"], "go on")
        assert await told(door, parent["id"]) == [
            f'Session "Child" ({child["id"]}) has ended: finished.',
            "go on",
        ]
        assert [item["status"] for item in await callbacks(door)] == ["delivered"]


async def test_a_completed_parent_is_woken(machine: Machine) -> None:
    async with machine.fleet() as door:
        parent, other = await door.session(), None
        child = await child_of(door, parent, title="Child")
        other = await door.session()
    async with machine.fleet() as door:
        assert (await door.knock("GET", f"/api/sessions/{parent['id']}")).json["status"] == "completed"
        body = {"text": "one", "resume": True}
        assert (await door.knock("POST", f"/api/sessions/{child['id']}/prompt", body)).status == 204
        await over(door, child["id"], 1)
        assert len(await told(door, (await door.settled(parent["id"]))["id"])) == 1
        assert (await door.knock("GET", f"/api/sessions/{other['id']}")).json["status"] == "completed"


async def test_a_parent_that_was_erased_is_dropped(door: Door) -> None:
    parent = await door.session()
    child = await child_of(door, parent)
    assert (await door.knock("DELETE", f"/api/sessions/{parent['id']}?permanent=true")).json["erased"] is True
    await door.prompt(child["id"], "one")
    await over(door, child["id"], 1)
    (dropped,) = await callbacks(door, "dropped")
    assert "erased" in dropped["reason"]
    shown = (await door.knock("GET", f"/api/sessions/{child['id']}")).json
    assert (shown["ancestors"], shown["status"]) == ([], "idle")
    (await door.knock("GET", f"/api/sessions/{parent['id']}/children")).problem(410, "erased")
