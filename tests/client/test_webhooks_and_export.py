"""What the client does with webhooks, and the log that it takes along."""

import random

import msgspec
import pytest
import trio
import trio.lowlevel

from fleet.client import FleetClient, Invalid, NotFound, sync_client
from fleet.events.export import verify_export
from tests.client.line import Line
from tests.gateway.machine import PLAIN


async def test_client_creates_tests_and_deletes_a_webhook(fleet: FleetClient, line: Line) -> None:
    made = await fleet.register_webhook("https://hooks.example/x", events=["session.finished"], description="CI")
    assert made.secret.startswith("whsec_")
    webhook = fleet.webhook(made.webhook.id)
    session = await fleet.create(PLAIN, prompt="Say something")
    await session.wait()
    await line.api.fleet.views.webhooks.wait(webhook.id, lambda state: bool(state.over))
    (delivery,) = await webhook.deliveries()
    assert (delivery.type, delivery.session_id, delivery.outcome) == ("session.finished", session.id, "delivered")
    assert (await webhook.test()).type == "webhook.test"
    assert (await webhook.deliveries(limit=1)).total == 2
    assert (await webhook.switch(enabled=False)).status == "disabled"
    assert await fleet.webhooks() == [await webhook.read()]
    await webhook.delete()
    with pytest.raises(NotFound) as missing:
        await webhook.read()
    assert missing.value.code == "webhook_not_found"
    with pytest.raises(Invalid) as refused:
        await fleet.register_webhook("https://10.0.0.1/")
    assert refused.value.code == "webhook_url_refused"


@pytest.mark.parametrize("seed", range(3))
async def test_an_export_verifies_after_any_number_of_interruptions(fleet: FleetClient, line: Line, seed: int) -> None:
    chance = random.Random(seed)
    session = await fleet.create(PLAIN)
    for number in range(3):
        await session.prompt(f"turn {number}")
        await session.wait()
    head = line.api.fleet.log.head()

    async def disturb() -> None:
        while True:
            line.cut_after = chance.choice((None, 700, 2000, 5000))
            await trio.sleep(chance.random() / 2)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(disturb)
        await trio.lowlevel.checkpoint()
        async with fleet.export() as export:
            lines = [each async for each in export]
        nursery.cancel_scope.cancel()
    line.cut_after = None
    assert export.position == head
    assert [msgspec.json.decode(each)["position"] for each in lines[:-1]] == list(range(1, head + 1))
    report = verify_export(lines)
    assert (report.events, report.last, report.first_break) == (head, head, None)
    assert report.head is not None


async def test_export_has_only_its_range(fleet: FleetClient, line: Line) -> None:
    assert [each async for each in fleet.export()] == []
    await fleet.create(PLAIN)
    lines = [each async for each in fleet.export(after=1, through=3)]
    assert [msgspec.json.decode(each)["position"] for each in lines] == [2, 3, 3]
    with pytest.raises(Invalid) as ahead:
        await anext(fleet.export(through=10_000))
    assert ahead.value.field == "through"


async def test_sync_client_exports_the_log(fleet: FleetClient, line: Line) -> None:
    await fleet.create(PLAIN)

    def script() -> list[bytes]:
        with sync_client(line.url) as sync, sync.export(through=2) as lines:
            return list(lines)

    assert len(await trio.to_thread.run_sync(script)) == 3
