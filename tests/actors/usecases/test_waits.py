"""A request that waits ends when another request deletes what it waits for."""

import trio

from tests.gateway.door import Answer, Door, Machine

URL = "https://hooks.example/fleet"


async def test_test_message_of_a_webhook_that_is_deleted_meanwhile_is_not_waited_for(
    machine: Machine, door: Door
) -> None:
    webhook_id = (await door.knock("POST", "/api/webhooks", {"url": URL})).json["webhook"]["id"]
    machine.sender.script[URL] = ["silent"]
    begun = trio.current_time()
    answers: list[Answer] = []

    async def test() -> None:
        answers.append(await door.knock("POST", f"/api/webhooks/{webhook_id}/test"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(test)
        await trio.sleep(0.1)
        await door.knock("DELETE", f"/api/webhooks/{webhook_id}")
    answers[0].problem(404, "webhook_not_found")
    assert trio.current_time() - begun < 1
