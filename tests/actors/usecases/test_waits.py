"""A request that waits ends when another request deletes what it waits for."""

import trio

from tests.gateway.machine import Answer, Api, Machine

URL = "https://hooks.example/fleet"


async def test_test_message_of_a_webhook_that_is_deleted_meanwhile_is_not_waited_for(
    machine: Machine, api: Api
) -> None:
    webhook_id = (await api.send("POST", "/api/webhooks", {"url": URL})).json["webhook"]["id"]
    machine.sender.script[URL] = ["silent"]
    begun = trio.current_time()
    answers: list[Answer] = []

    async def test() -> None:
        answers.append(await api.send("POST", f"/api/webhooks/{webhook_id}/test"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(test)
        await trio.sleep(0.1)
        await api.send("DELETE", f"/api/webhooks/{webhook_id}")
    answers[0].problem(404, "webhook_not_found")
    assert trio.current_time() - begun < 1
