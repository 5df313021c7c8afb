"""Webhooks through the gateway: who may be registered, what arrives, and what a restart or a dead receiver changes."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import msgspec
import pytest
import trio
from msgspec.structs import replace
from standardwebhooks.webhooks import Webhook

import fleet.actors.effects.webhook
from fleet.core.webhook.payloads import MESSAGE_TYPES
from fleet.limits import WEBHOOK_OPEN_MAX, WEBHOOK_RETRY_WINDOW_S, WEBHOOK_SENDS_MAX, WEBHOOKS_MAX
from tests.fakes.clock import let_pass
from tests.fakes.webhooks import Got
from tests.gateway.machine import NOWHERE, Api, Machine

URL = "https://hooks.example/services/T0/SECRETPATH?token=SECRETTOKEN"
OTHER = "https://other.example/x"


async def register(api: Api, url: str = URL, **fields: object) -> dict[str, Any]:
    answer = await api.send("POST", "/api/webhooks", {"url": url, **fields})
    assert answer.status == 200, answer
    registered: dict[str, Any] = answer.json
    return registered


async def registered_id(api: Api, url: str = URL, **fields: object) -> str:
    return str((await register(api, url, **fields))["webhook"]["id"])


async def deliveries(api: Api, webhook_id: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = (await api.send("GET", f"/api/webhooks/{webhook_id}/deliveries")).json
    return found


async def delivered(api: Api, webhook_id: str) -> list[dict[str, object]]:
    """Wait until no delivery is on its way, and return all, oldest first."""
    with trio.fail_after(3600):
        await api.fleet.views.webhooks.wait(webhook_id, lambda s: not s.open)
    return (await deliveries(api, webhook_id))[::-1]


def types(got: list[Got]) -> list[object]:
    return [each.json["type"] for each in got]


def logged(machine: Machine, api: Api) -> bytes:
    return b"\n".join(each.payload for each in api.fleet.log.read_all())


async def test_what_happens_to_sessions_arrives_signed(machine: Machine, api: Api) -> None:
    registered = await register(api)
    fine = await api.session(title="Fine")
    await api.prompt(fine["id"], "hello")
    bad = await api.session(title="Bad", initialPrompt="fail")
    await api.settled(bad["id"])
    got = await machine.sender.received(2)
    assert types(got) == ["session.finished", "session.error"]
    message = got[1].json["data"]
    assert isinstance(message, dict)
    assert message["session"]["id"] == bad["id"]
    assert message["session"]["title"] == "Bad"
    assert "Invalid API key" in message["text"]
    verifying = Webhook(str(registered["secret"]))
    for each in got:
        assert each.url == URL
        signature = verifying.sign(each.id, _time(each), each.body.decode())
        assert each.headers["webhook-signature"] == signature
    assert got[0].id != got[1].id


def _time(got: Got) -> datetime:
    return datetime.fromtimestamp(int(got.headers["webhook-timestamp"]), UTC)


async def test_open_requests_and_ends_are_sent(machine: Machine, api: Api) -> None:
    webhook_id = await registered_id(api)
    asks = await api.session(initialPrompt="question")
    await api.fleet.views.sessions.wait(asks["id"], lambda s: bool(s.requests))
    await api.send("DELETE", f"/api/sessions/{asks['id']}")
    await machine.sender.received(2)
    found = await delivered(api, webhook_id)
    told = [each["type"] for each in found]
    assert told[0] == "session.request"
    assert told[-1] == "session.stopped"
    assert {each["sessionId"] for each in found} == {asks["id"]}
    data = machine.sender.got[0].json["data"]
    assert isinstance(data, dict)
    assert data["requestId"]


async def test_an_unknown_message_type_is_refused_with_the_known_ones(api: Api) -> None:
    answer = await api.send("POST", "/api/webhooks", {"url": URL, "events": ["bogus"]})
    hint = answer.problem(422, "invalid")["hint"]
    assert all(kind in hint for kind in MESSAGE_TYPES)


async def test_a_test_that_is_answered_with_gone_disables_it(machine: Machine, api: Api) -> None:
    machine.sender.script[URL] = [410]
    webhook_id = await registered_id(api)
    item = (await api.send("POST", f"/api/webhooks/{webhook_id}/test")).json
    assert (item["outcome"], item["status"]) == ("dropped", 410)
    webhook = (await api.send("GET", f"/api/webhooks/{webhook_id}")).json
    assert (webhook["status"], "410" in webhook["reason"]) == ("disabled", True)


async def test_only_what_was_chosen_arrives(machine: Machine, api: Api) -> None:
    await register(api, events=["session.error"])
    everything = await registered_id(api, OTHER)
    item = await api.session()
    await api.prompt(item["id"], "hello")
    await api.prompt(item["id"], "fail")
    await machine.sender.received(3)
    await delivered(api, everything)
    assert types([got for got in machine.sender.got if got.url == URL]) == ["session.error"]
    assert types([got for got in machine.sender.got if got.url == OTHER]) == ["session.finished", "session.error"]


async def test_secret_and_path_are_shown_once_and_never_logged(machine: Machine, api: Api) -> None:
    registered = await register(api, description="Chat")
    assert registered["url"] == URL
    secret = str(registered["secret"])
    assert secret.startswith("whsec_")
    (item,) = (await api.send("GET", "/api/webhooks")).json
    assert item == registered["webhook"]
    assert (item["origin"], item["description"]) == ("https://hooks.example", "Chat")
    assert (item["status"], item["events"], item["waiting"]) == ("active", list(MESSAGE_TYPES), 0)
    assert (await api.send("GET", f"/api/webhooks/{item['id']}")).json == item
    machine.sender.script[URL] = [500]
    await api.send("POST", f"/api/webhooks/{item['id']}/test")
    everything = logged(machine, api) + msgspec.json.encode(
        [(await api.send("GET", path)).json for path in ("/api/webhooks", f"/api/webhooks/{item['id']}/deliveries")]
    )
    for hidden in (secret, secret.removeprefix("whsec_"), "SECRETPATH", "SECRETTOKEN"):
        assert hidden.encode() not in everything


async def test_a_secret_of_the_callers_own_is_used(machine: Machine, api: Api) -> None:
    secret = "whsec_" + "QUJD" * 10
    registered = await register(api, secret=secret)
    assert registered["secret"] == secret
    assert [target.secret for target in machine.webhook_secrets.targets.values()] == [secret]


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "url", "invalid"),
        ({"url": ""}, "url", "invalid"),
        ({"url": "https://hooks.example/" + "x" * 3000}, "url", "invalid"),
        ({"url": "http://hooks.example/"}, "url", "webhook_url_refused"),
        ({"url": "https://169.254.169.254/"}, "url", "webhook_url_refused"),
        ({"url": URL, "events": []}, "events", "invalid"),
        ({"url": URL, "events": ["session.unknown"]}, "events[0]", "invalid"),
        ({"url": URL, "events": ["webhook.test"]}, "events[0]", "invalid"),
        ({"url": URL, "secret": "short"}, "secret", "invalid"),
        ({"url": URL, "secret": "whsec_AAAA"}, "secret", "invalid"),
        ({"url": URL, "description": "x" * 201}, "description", "invalid"),
        ({"url": URL, "surprise": 1}, "surprise", "invalid"),
    ],
)
async def test_a_wrong_registration_changes_nothing(
    machine: Machine, api: Api, body: object, field: str, code: str
) -> None:
    before = api.fleet.log.head()
    problem = (await api.send("POST", "/api/webhooks", body)).problem(422, code)
    assert problem["field"] == field
    assert api.fleet.log.head() == before
    assert machine.webhook_secrets.targets == {}


async def test_an_unknown_webhook_is_not_found(api: Api) -> None:
    before = api.fleet.log.head()
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"enabled": False}),
        ("DELETE", "", None),
        ("GET", "/deliveries", None),
        ("POST", "/test", None),
    ):
        (await api.send(method, f"/api/webhooks/{NOWHERE}{path}", body)).problem(404, "webhook_not_found")
    assert api.fleet.log.head() == before
    assert api.fleet.context.actors.webhooks.statistics().active == 0


async def test_webhooks_have_a_limit(api: Api) -> None:
    for number in range(WEBHOOKS_MAX):
        await register(api, f"https://hooks.example/{number}")
    (await api.send("POST", "/api/webhooks", {"url": URL})).problem(409, "webhooks_full")


async def test_a_repeated_registration_is_one_registration(machine: Machine, api: Api) -> None:
    async def send(url: str = URL) -> tuple[int, object]:
        answer = await api.send("POST", "/api/webhooks", {"url": url}, Idempotency_Key="k")
        return answer.status, answer.json

    first = await send()
    assert await send() == first
    assert (await send(OTHER))[0] == 422
    assert len(machine.webhook_secrets.targets) == 1


async def test_a_test_message_reports_its_delivery(machine: Machine, api: Api) -> None:
    webhook_id = await registered_id(api)
    item = (await api.send("POST", f"/api/webhooks/{webhook_id}/test")).json
    assert (item["type"], item["outcome"], item["status"], item["attempts"]) == ("webhook.test", "delivered", 200, 1)
    assert item["id"] == machine.sender.got[0].id
    assert machine.sender.got[0].json["type"] == "webhook.test"
    for meets, status in ((503, 503), ("absent", None), ("silent", None)):
        machine.sender.script[URL] = [meets]
        item = (await api.send("POST", f"/api/webhooks/{webhook_id}/test")).json
        assert (item["outcome"], item["status"], item["attempts"]) == ("dropped", status, 1)
        assert item["detail"]
    assert len(await deliveries(api, webhook_id)) == 4


async def test_nothing_is_sent_to_an_address_that_was_not_registered(machine: Machine, api: Api) -> None:
    """Something else than Fleet has changed the file of the webhook's secrets."""
    webhook_id = await registered_id(api)
    stored = machine.webhook_secrets.targets[webhook_id]
    machine.webhook_secrets.targets[webhook_id] = replace(stored, url="https://thief.example/")
    item = (await api.send("POST", f"/api/webhooks/{webhook_id}/test")).json
    assert (item["outcome"], machine.sender.got) == ("dropped", [])
    assert "is not the one that it was registered with" in item["detail"]


async def test_a_failed_message_is_tried_again_under_its_id(machine: Machine, api: Api) -> None:
    webhook_id = await registered_id(api)
    machine.sender.script[URL] = [500, (503, 60.0), "absent", "silent", 204]
    await api.prompt((await api.session())["id"], "hello")
    (item,) = await delivered(api, webhook_id)
    assert (item["outcome"], item["attempts"], item["status"], item["nextAt"]) == ("delivered", 5, 204, None)
    got = machine.sender.got
    assert len({each.id for each in got}) == 1
    assert {each.body for each in got} == {got[0].body}
    waits = [round(after.at_s - before.at_s) for before, after in pairwise(got)]
    assert waits == [5, 60 + 20, 15 + 40]
    assert len({each.headers["webhook-signature"] for each in got}) == len(got)


async def test_one_bad_message_does_not_hold_up_the_others(machine: Machine, api: Api) -> None:
    webhook_id = await registered_id(api)
    machine.sender.script[URL] = [400, 200, 200, 400]
    item = await api.session()
    for text in ("one", "two", "three"):
        await api.prompt(item["id"], text)
    await machine.sender.received(3)
    await trio.sleep(1)
    found = (await deliveries(api, webhook_id))[::-1]
    assert [each["outcome"] for each in found] == ["pending", "delivered", "delivered"]
    assert found[0]["nextAt"]


async def test_kill_9_between_order_and_delivery_loses_nothing_and_keeps_the_id(machine: Machine) -> None:
    machine.sender.script[URL] = ["absent"]
    async with machine.fleet(killed=True) as api:
        webhook_id = await registered_id(api)
        await api.prompt((await api.session())["id"], "hello")
        await api.fleet.views.webhooks.wait(webhook_id, lambda s: bool(s.open) and s.open[0].attempts == 2)
        (before,) = await deliveries(api, webhook_id)
    machine.sender.script[URL] = ["silent"]
    async with machine.fleet(killed=True):
        await machine.sender.received(1)  # the receiver has it, and Fleet dies before it knows
    machine.sender.script[URL] = [200]
    async with machine.fleet() as api:
        (after,) = await delivered(api, webhook_id)
        assert (after["id"], after["outcome"]) == (before["id"], "delivered")
        assert [each.id for each in machine.sender.got] == [before["id"]] * 2


async def test_what_happens_while_the_follower_is_dead_is_found_in_the_log(machine: Machine) -> None:
    async with machine.fleet(killed=True) as api:
        webhook_id = await registered_id(api, events=["session.finished"])
        item = await api.session()
        await api.prompt(item["id"], "one")
        await machine.sender.received(1)
        await api.send("PATCH", f"/api/webhooks/{webhook_id}", {"enabled": False})
        await api.prompt(item["id"], "two")
        await api.prompt(item["id"], "three")
        assert len(machine.sender.got) == 1
        assert (await api.send("GET", "/api/inbox")).json == []
    async with machine.fleet() as api:
        assert (await api.send("GET", f"/api/webhooks/{webhook_id}")).json["status"] == "disabled"
        await api.send("PATCH", f"/api/webhooks/{webhook_id}", {"enabled": True})
        await machine.sender.received(3)
        found = await delivered(api, webhook_id)
        assert [each["outcome"] for each in found] == ["delivered"] * 3
        assert len({each["position"] for each in found}) == 3


async def test_cursor_of_a_webhook_advances_over_events_that_it_does_not_want(
    machine: Machine, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet.actors.effects.webhook, "WEBHOOK_CURSOR_EVENTS", 5)
    webhook_id = await registered_id(api, events=["session.error"])
    await api.prompt((await api.session())["id"], "hello")
    head = api.fleet.log.head()
    state = await api.fleet.views.webhooks.wait(webhook_id, lambda s: s.cursor >= head)
    assert (state.open, state.over, machine.sender.got) == ((), (), [])


async def test_a_dead_receiver_is_given_up_and_the_inbox_says_so(machine: Machine, api: Api) -> None:
    webhook_id = await registered_id(api, description="Pager", events=["session.finished"])
    machine.sender.script[URL] = [500]
    await api.prompt((await api.session())["id"], "hello")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(let_pass, 2 * WEBHOOK_RETRY_WINDOW_S, 60.0)
        state = await api.fleet.views.webhooks.wait(webhook_id, lambda s: s.phase == "disabled")
        nursery.cancel_scope.cancel()
    assert trio.current_time() >= WEBHOOK_RETRY_WINDOW_S
    assert len(machine.sender.got) < 40
    (item,) = (await api.send("GET", "/api/inbox")).json
    assert (item["kind"], item["webhookId"], item["title"]) == ("webhook", webhook_id, "Pager")
    assert item["sessionId"] is None
    assert "3 days" in item["detail"]
    assert state.open
    machine.sender.script[URL] = [200]
    switched = (await api.send("PATCH", f"/api/webhooks/{webhook_id}", {"enabled": True})).json
    assert (switched["status"], switched["waiting"]) == ("active", 1)
    assert [each["outcome"] for each in await delivered(api, webhook_id)] == ["delivered"]
    assert (await api.send("GET", "/api/inbox")).json == []


async def test_simultaneous_deliveries_are_limited_and_no_message_is_lost(
    machine: Machine, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.actors.effects.webhook.WEBHOOK_OPEN_MAX", 2)
    assert WEBHOOK_OPEN_MAX > 2
    webhook_id = await registered_id(api)
    machine.sender.script[URL] = [500]
    item = await api.session()
    for number in range(5):
        await api.prompt(item["id"], f"prompt {number}")
    assert (await api.send("GET", f"/api/webhooks/{webhook_id}")).json["waiting"] == 2
    machine.sender.script[URL] = [200]
    await api.fleet.views.webhooks.wait(webhook_id, lambda s: len(s.over) == 5)
    assert [each["outcome"] for each in await deliveries(api, webhook_id)] == ["delivered"] * 5


async def test_a_deleted_webhook_is_gone_with_its_secret(machine: Machine) -> None:
    async with machine.fleet() as api:
        webhook_id = await registered_id(api)
        machine.sender.script[URL] = ["absent"]
        await api.prompt((await api.session())["id"], "hello")
        assert (await api.send("DELETE", f"/api/webhooks/{webhook_id}")).status == 204
        assert (await api.send("GET", "/api/webhooks")).json == []
        assert machine.webhook_secrets.targets == {}
        (await api.send("DELETE", f"/api/webhooks/{webhook_id}")).problem(404, "webhook_not_found")
        machine.sender.script[URL] = [200]
    async with machine.fleet() as api:
        assert (await api.send("GET", "/api/webhooks")).json == []
        await trio.sleep(3600)
    assert machine.sender.got == []


async def test_a_secret_that_a_crash_left_without_its_webhook_is_swept(machine: Machine) -> None:
    async with machine.fleet(killed=True) as api:
        webhook_id = await registered_id(api)
    machine.webhook_secrets.targets[NOWHERE] = machine.webhook_secrets.targets[webhook_id]
    async with machine.fleet():
        assert list(machine.webhook_secrets.targets) == [webhook_id]


async def test_a_webhook_without_its_secret_says_so(machine: Machine, api: Api) -> None:
    webhook_id = await registered_id(api)
    machine.webhook_secrets.targets.clear()
    item = (await api.send("POST", f"/api/webhooks/{webhook_id}/test")).json
    assert item["outcome"] == "dropped"
    assert "are not in the data directory" in item["detail"]


async def test_nothing_is_sent_of_an_erased_session(machine: Machine, api: Api) -> None:
    webhook_id = await registered_id(api)
    machine.sender.script[URL] = ["absent"]
    item = await api.session(title="Private")
    await api.prompt(item["id"], "hello")
    await api.send("DELETE", f"/api/sessions/{item['id']}?permanent=true")
    machine.sender.script[URL] = [200]
    found = await delivered(api, webhook_id)
    assert found
    assert {each["outcome"] for each in found} == {"dropped"}
    assert machine.sender.got == []


async def test_a_silent_receiver_has_few_connections_and_delays_no_other(machine: Machine, api: Api) -> None:
    await registered_id(api, events=["session.finished"])
    quick = await registered_id(api, OTHER, events=["session.finished"])
    machine.sender.script[URL] = ["silent"]
    items = [await api.session() for _ in range(WEBHOOK_SENDS_MAX + 3)]
    began_s = trio.current_time()
    for item in items:
        await api.prompt(item["id"], "hello")
    await api.fleet.views.webhooks.wait(quick, lambda s: len(s.over) == len(items))
    assert trio.current_time() - began_s < 15
    assert WEBHOOK_SENDS_MAX <= machine.sender.sending_most <= WEBHOOK_SENDS_MAX + 1
