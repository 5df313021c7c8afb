"""What a permanent deletion does outside of Fleet, and what its response says about that."""

import pytest
import structlog
import trio

from tests.actors.usecases.test_removal import worked
from tests.gateway.door import PLAIN, REPOSITORY, Door, Machine


@pytest.mark.parametrize("others", [True, False])
async def test_conversation_is_deleted_from_opencode_with_its_session(
    machine: Machine, door: Door, others: bool
) -> None:
    item = await worked(machine, door, "worktree")
    if others:  # they keep a process alive
        await door.session(REPOSITORY)
    answer = await door.knock("DELETE", f"/api/sessions/{item['id']}?permanent=true")
    assert (answer.json["erased"], answer.json["left"]) == (True, [])
    assert item["opencodeId"] not in machine.world.store.sessions


async def test_answer_of_an_erasure_names_what_is_left_and_is_kept_without_it(machine: Machine, door: Door) -> None:
    parent = await door.session(PLAIN)
    item = await door.session(REPOSITORY, initialPrompt="Hello", onComplete={"notifySessionId": parent["id"]})
    await door.settled(item["id"])
    await door.settled(parent["id"])
    await door.knock("DELETE", f"/api/sessions/{parent['id']}")
    machine.world.delete_fault = True
    path = f"/api/sessions/{item['id']}?permanent=true"
    answer = await door.knock("DELETE", path, Idempotency_Key="k")
    conversation, callbacks = answer.json["left"]
    assert item["opencodeId"] in conversation
    assert parent["id"] in callbacks
    assert (await door.knock("DELETE", path, Idempotency_Key="k")).json == {**answer.json, "left": []}


@pytest.mark.parametrize("fault", [False, True])
async def test_conversation_is_deleted_from_opencode_after_a_crash(machine: Machine, fault: bool) -> None:
    """Or the server's log names it, and the session is erased all the same."""
    async with machine.fleet(killed=True) as door:
        item = await worked(machine, door, "worktree")
        sessions = door.fleet.views.sessions
        async with trio.open_nursery() as nursery:
            nursery.start_soon(door.knock, "DELETE", f"/api/sessions/{item['id']}?permanent=true")
            while (state := sessions.get(item["id"])) is not None:
                await sessions.change_of(item["id"], state)
            nursery.cancel_scope.cancel()
    assert item["opencodeId"] in machine.world.store.sessions
    machine.world.delete_fault = fault
    with structlog.testing.capture_logs() as logs:
        async with machine.fleet() as door:
            (await door.knock("GET", f"/api/sessions/{item['id']}")).problem(410, "erased")
            assert door.fleet.log.is_erased(f"session-{item['id']}")
    assert (item["opencodeId"] in machine.world.store.sessions) is fault
    left = [each["left"] for each in logs if each["event"] == "erasure_left"]
    assert [item["opencodeId"] in sentence for [sentence] in left] == [True] * fault


@pytest.mark.parametrize("existed", [False, True])
async def test_branch_that_stays_is_named_as_left(machine: Machine, door: Door, existed: bool) -> None:
    branches = machine.files.repositories[REPOSITORY].branches
    if existed:
        branches["feature"] = branches["main"]
    item = await door.session(REPOSITORY, isolationStrategy="worktree", branch="feature")
    answer = await door.knock("DELETE", f"/api/sessions/{item['id']}?permanent=true")
    assert ("feature" in branches) is existed
    assert answer.json["left"] == ["the repository still has the branch feature"] * existed
