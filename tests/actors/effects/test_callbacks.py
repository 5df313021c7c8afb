"""Children and their parents: the parent gets every outcome once and in order, also after crashes of either side."""

from typing import Any

import msgspec
import pytest
import trio

from fleet.actors.effects.callbacks import last_words
from fleet.limits import CALLBACK_DEPTH_MAX, CALLBACK_MESSAGE_BYTES_MAX
from fleet.projections.transcripts import MessageView
from tests.gateway.machine import NOWHERE, PLAIN, REPOSITORY, Api, Machine


async def child_of(api: Api, parent: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Create a session that reports to `parent`, by its Fleet id."""
    return await api.session(onComplete={"notifySessionId": parent["id"]}, **fields)


async def told(api: Api, session_id: str) -> list[str]:
    """Return the first lines of what the session was told, as its transcript has it."""
    answer = await api.send("GET", f"/api/sessions/{session_id}/messages?limit=200")
    messages = [message for message in answer.json["messages"] if message["info"]["role"] == "user"]
    return [part["text"].splitlines()[0] for message in messages for part in message["parts"]]


async def callbacks(api: Api, status: str | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        await api.send("GET", "/api/callbacks" + (f"?status={status}" if status else ""))
    ).json
    return found


async def over(api: Api, session_id: str, count: int) -> None:
    """Wait until so many callbacks of the session are over."""
    await api.fleet.views.sessions.wait(
        session_id, lambda s: sum(c.status in ("delivered", "dropped") for c in s.callbacks.sent) == count
    )


@pytest.mark.parametrize("which", ["id", "opencodeId"])
async def test_the_parent_gets_one_callback_for_each_outcome(api: Api, which: str) -> None:
    parent = await api.session(title="Parent")
    notify = {"notifySessionId": parent[which], "notifyInstanceId": parent["instanceId"]}
    child = await api.session(title="Child", initialPrompt="one", onComplete=notify)
    assert child["parentId"] == parent["id"]
    await over(api, child["id"], 1)
    await api.prompt(child["id"], "fail")
    await over(api, child["id"], 2)
    await api.send("POST", f"/api/sessions/{child['id']}/prompt", {"text": "hang"})
    await api.fleet.views.sessions.wait(child["id"], lambda s: s.turn is not None and s.turn.delivered)
    await api.send("POST", f"/api/sessions/{child['id']}/abort")
    await over(api, child["id"], 3)
    await api.settled(parent["id"])
    assert await told(api, parent["id"]) == [
        f'Session "Child" ({child["id"]}) has ended: {outcome}.' for outcome in ("finished", "error", "aborted")
    ]
    items = await callbacks(api)
    assert [(item["outcome"], item["status"], item["number"]) for item in items] == [
        ("finished", "delivered", 1),
        ("error", "delivered", 2),
        ("aborted", "delivered", 3),
    ]
    assert {(item["sessionId"], item["parentId"]) for item in items} == {(child["id"], parent["id"])}
    assert "Cost: 0.001" in items[0]["text"]
    assert await callbacks(api, "undelivered") == await callbacks(api, "pending") == []


async def words_to(api: Api, session_id: str) -> list[str]:
    """Return what the session was told, as its transcript has it."""
    answer = await api.send("GET", f"/api/sessions/{session_id}/messages?limit=200")
    messages = [message for message in answer.json["messages"] if message["info"]["role"] == "user"]
    return [part["text"] for message in messages for part in message["parts"]]


async def test_the_parent_reads_which_files_have_changed_and_what_was_said_last(machine: Machine, api: Api) -> None:
    parent = await api.session(title="Parent")
    child = await child_of(api, parent, directory=REPOSITORY, isolationStrategy="worktree")
    contents = machine.files.contents[child["directory"]] = {f"f{n:02}.py": b"1\n2\n" for n in range(25)}
    contents["a b\nc"] = b"1\n"
    await api.prompt(child["id"], "work")
    await over(api, child["id"], 1)
    await api.settled(parent["id"])
    (words,) = await words_to(api, parent["id"])
    listed = [line for line in words.splitlines() if line.startswith("- ")]
    assert listed[:2] == ['- "a b\\nc" (added, +1 -0)', "- f00.py (added, +2 -0)"]
    assert listed[20:] == ["- and 6 more"]
    answer = await api.send("GET", f"/api/sessions/{child['id']}/messages")
    (said,) = [part["text"] for part in answer.json["messages"][-1]["parts"] if part["type"] == "text"]
    assert words.endswith(f"\n\nIts last message:\n{said}")


async def test_a_late_callback_has_the_details_of_its_own_outcome(machine: Machine, api: Api) -> None:
    """A parent that has stopped hears later, when the child has changed and said more."""
    parent = await api.session(title="Parent")
    await api.send("DELETE", f"/api/sessions/{parent['id']}")
    child = await child_of(api, parent, directory=REPOSITORY, isolationStrategy="worktree")
    for n in (1, 2):
        machine.files.contents[child["directory"]] = {f"f{each}": b"1\n" for each in range(n)}
        await api.prompt(child["id"], f"work {n}")
    assert (await api.send("POST", f"/api/sessions/{parent['id']}/resume")).status == 200
    await over(api, child["id"], 2)
    await api.settled(parent["id"])
    words = await words_to(api, parent["id"])
    told_of = [[line for line in each.splitlines() if line.startswith("- ")] for each in words]
    assert told_of == [["- f0 (added, +1 -0)"], ["- f0 (added, +1 -0)", "- f1 (added, +1 -0)"]]


async def test_a_damaged_list_of_files_does_not_prevent_the_callback(machine: Machine, api: Api) -> None:
    parent = await api.session(title="Parent")
    await api.send("DELETE", f"/api/sessions/{parent['id']}")
    child = await child_of(api, parent, directory=REPOSITORY, isolationStrategy="worktree")
    machine.files.contents[child["directory"]] = {"f0": b"1\n"}
    await api.prompt(child["id"], "work")
    machine.disk.blobs = dict.fromkeys(machine.disk.blobs, b"damaged")
    assert (await api.send("POST", f"/api/sessions/{parent['id']}/resume")).status == 200
    with trio.fail_after(60):
        await over(api, child["id"], 1)
    await api.settled(parent["id"])
    (words,) = await words_to(api, parent["id"])
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


async def test_a_child_that_is_stopped_twice_sends_one_callback(api: Api) -> None:
    parent = await api.session()
    child = await child_of(api, parent, initialPrompt="hang", title="Child")
    await api.fleet.views.sessions.wait(child["id"], lambda s: s.turn is not None and s.turn.delivered)
    for _ in range(2):
        assert (await api.send("DELETE", f"/api/sessions/{child['id']}")).status == 200
    await over(api, child["id"], 1)
    await api.settled(parent["id"])
    assert await told(api, parent["id"]) == [f'Session "Child" ({child["id"]}) has ended: stopped.']


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
async def test_a_parent_that_is_none(api: Api, on_complete: dict[str, Any], status: int, code: str) -> None:
    body = {"directory": PLAIN, "onComplete": on_complete}
    (await api.send("POST", "/api/sessions", body)).problem(status, code)
    assert api.fleet.log.head() == 0


async def test_a_parent_s_instance_must_be_one_of_its_own(api: Api) -> None:
    parent = await api.session()
    body = {"directory": PLAIN, "onComplete": {"notifySessionId": parent["id"], "notifyInstanceId": NOWHERE}}
    (await api.send("POST", "/api/sessions", body)).problem(404, "instance_not_found")


async def test_trees_are_shown_from_both_ends_and_chains_have_a_length(api: Api) -> None:
    chain = [await api.session(title="0")]
    for depth in range(1, CALLBACK_DEPTH_MAX + 1):
        chain.append(await child_of(api, chain[-1], title=str(depth)))
    body = {"directory": PLAIN, "onComplete": {"notifySessionId": chain[-1]["opencodeId"]}}
    refused = (await api.send("POST", "/api/sessions", body)).problem(422, "callback_too_deep")
    assert (refused["field"], str(CALLBACK_DEPTH_MAX) in refused["hint"]) == ("onComplete", True)
    assert len((await api.send("GET", "/api/sessions")).json) == len(chain)

    twin = await child_of(api, chain[0], title="twin")
    last = (await api.send("GET", f"/api/sessions/{chain[-1]['id']}")).json
    assert [relative["title"] for relative in last["ancestors"]] == [str(n) for n in range(CALLBACK_DEPTH_MAX)]
    root = (await api.send("GET", f"/api/sessions/{chain[0]['id']}")).json
    assert (root["ancestors"], {each["title"] for each in root["children"]}) == ([], {"1", "twin"})
    children = await api.send("GET", f"/api/sessions/{chain[0]['opencodeId']}/children")
    assert {each["id"] for each in children.json} == {chain[1]["id"], twin["id"]}
    assert children.headers["x-total-count"] == "2"
    for parent in (chain[0]["id"], chain[0]["opencodeId"]):
        listed = await api.send("GET", f"/api/sessions?parent={parent}")
        assert {each["id"] for each in listed.json} == {chain[1]["id"], twin["id"]}
    assert (await api.send("GET", f"/api/sessions?parent={NOWHERE}")).json == []


async def test_a_callback_that_waits_for_its_parent_is_dropped_when_that_is_erased(api: Api) -> None:
    parent = await api.session()
    child = await child_of(api, parent)
    await api.send("DELETE", f"/api/sessions/{parent['id']}")
    await api.prompt(child["id"], "one")
    await api.fleet.views.sessions.wait(child["id"], lambda s: any(c.status == "undelivered" for c in s.callbacks.sent))
    assert (await api.send("DELETE", f"/api/sessions/{parent['id']}?permanent=true")).json["erased"] is True
    with trio.fail_after(1):
        await over(api, child["id"], 1)
    (dropped,) = await callbacks(api, "dropped")
    assert "erased" in dropped["reason"]


async def test_a_stopped_parent_gets_the_callback_when_it_is_resumed(api: Api) -> None:
    parent = await api.session(title="Parent")
    child = await child_of(api, parent, title="Child")
    await api.send("DELETE", f"/api/sessions/{parent['id']}")
    await api.prompt(child["id"], "one")
    await api.fleet.views.sessions.wait(child["id"], lambda s: any(c.status == "undelivered" for c in s.callbacks.sent))
    (waiting,) = await callbacks(api, "undelivered")
    assert (waiting["sessionId"], waiting["outcome"], "stopped" in waiting["reason"]) == (child["id"], "finished", True)
    assert [item["kind"] for item in (await api.send("GET", "/api/inbox")).json] == ["callback"]
    assert await told(api, parent["id"]) == []

    assert (await api.send("POST", f"/api/sessions/{parent['id']}/resume")).status == 200
    await over(api, child["id"], 1)
    await api.settled(parent["id"])
    assert await told(api, parent["id"]) == [f'Session "Child" ({child["id"]}) has ended: finished.']
    assert await callbacks(api, "undelivered") == []
    assert (await api.send("GET", "/api/inbox")).json == []


async def test_an_undelivered_callback_is_delivered_once_after_a_restart(machine: Machine) -> None:
    async with machine.fleet() as api:
        parent = await api.session()
        child = await child_of(api, parent, title="Child")
        await api.send("DELETE", f"/api/sessions/{parent['id']}")
        await api.prompt(child["id"], "one")
        await api.fleet.views.sessions.wait(
            child["id"], lambda s: any(c.status == "undelivered" for c in s.callbacks.sent)
        )
    async with machine.fleet() as api:
        assert len(await callbacks(api, "undelivered")) == 1
        await api.send("POST", f"/api/sessions/{parent['id']}/resume")
        await over(api, child["id"], 1)
        await api.settled(parent["id"])
        assert len(await told(api, parent["id"])) == 1
    async with machine.fleet() as api:
        await api.send("POST", f"/api/sessions/{parent['id']}/resume")
        await api.prompt(parent["id"], "go on")
        assert await told(api, parent["id"]) == [
            f'Session "Child" ({child["id"]}) has ended: finished.',
            "go on",
        ]
        assert [item["status"] for item in await callbacks(api)] == ["delivered"]


async def test_a_completed_parent_is_woken(machine: Machine) -> None:
    async with machine.fleet() as api:
        parent, other = await api.session(), None
        child = await child_of(api, parent, title="Child")
        other = await api.session()
    async with machine.fleet() as api:
        assert (await api.send("GET", f"/api/sessions/{parent['id']}")).json["status"] == "completed"
        body = {"text": "one", "resume": True}
        assert (await api.send("POST", f"/api/sessions/{child['id']}/prompt", body)).status == 204
        await over(api, child["id"], 1)
        assert len(await told(api, (await api.settled(parent["id"]))["id"])) == 1
        assert (await api.send("GET", f"/api/sessions/{other['id']}")).json["status"] == "completed"


async def test_a_parent_that_was_erased_is_dropped(api: Api) -> None:
    parent = await api.session()
    child = await child_of(api, parent)
    assert (await api.send("DELETE", f"/api/sessions/{parent['id']}?permanent=true")).json["erased"] is True
    await api.prompt(child["id"], "one")
    await over(api, child["id"], 1)
    (dropped,) = await callbacks(api, "dropped")
    assert "erased" in dropped["reason"]
    shown = (await api.send("GET", f"/api/sessions/{child['id']}")).json
    assert (shown["ancestors"], shown["status"]) == ([], "idle")
    (await api.send("GET", f"/api/sessions/{parent['id']}/children")).problem(410, "erased")
