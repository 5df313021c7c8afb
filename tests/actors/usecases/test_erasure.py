"""What a permanent deletion does outside of Fleet, and what its response says about that."""

import pytest

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
