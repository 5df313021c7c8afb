"""The metrics: Prometheus' own parser reads them, and they move with what happens."""

import re

import trio
from prometheus_client.parser import text_string_to_metric_families

from fleet.limits import HISTORY_LAG_S
from tests.gateway.machine import NOWHERE, REPOSITORY, Api, Machine
from tests.gateway.test_webhooks import URL, registered_id


class Sample:
    """The metrics at one moment."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.values = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def of(self, name: str, **labels: str) -> float:
        """Return the value; a counter that never moved is 0."""
        assert re.sub("_(total|count|sum|bucket)$", "", name) in self.families, name
        return self.values.get((name, tuple(sorted(labels.items()))), 0.0)


async def sample(api: Api) -> Sample:
    answer = await api.send("GET", "/api/metrics")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return Sample(answer.body.decode())


async def test_metrics_follow_sessions_events_and_requests(machine: Machine, api: Api) -> None:
    before = await sample(api)
    assert before.of("fleet_sessions", status="idle") == 0
    item = await api.session(REPOSITORY, title="SECRETTITLE")
    await api.prompt(item["id"], "hello")
    asks = await api.session(initialPrompt="question")
    await api.fleet.views.sessions.wait(asks["id"], lambda s: bool(s.requests))
    after = await sample(api)
    head = api.fleet.log.head()
    assert after.of("fleet_log_position") == head
    assert sum(value for (name, _), value in after.values.items() if name == "fleet_events_total") == head
    assert after.of("fleet_events_total", type="session.turn-ended") == 1
    assert after.of("fleet_log_commit_events_sum") == head
    assert after.of("fleet_log_commits_total") == after.of("fleet_log_commit_events_count") > 0
    assert after.of("fleet_log_appends_total") >= after.of("fleet_log_commits_total")
    assert after.of("fleet_sessions", status="idle") == after.of("fleet_sessions", status="waiting_input") == 1
    assert after.of("fleet_requests_open") == 1
    state = api.fleet.views.sessions.get(item["id"])
    assert state is not None
    assert after.of("fleet_tokens", kind="output") >= state.usage.tokens.output > 0
    assert after.of("fleet_cost_usd") >= state.usage.cost_usd > 0
    assert after.of("fleet_instances", status="ready") == len(machine.world.living())
    assert after.of("fleet_instance_memory_bytes") >= after.of("fleet_instance_memory_largest_bytes") > 0
    assert after.of("fleet_actors_active", directory="sessions") == 2
    assert after.of("fleet_actor_activations_total", directory="sessions") == 2
    assert after.of("fleet_actors_busy", directory="sessions") >= 1
    assert after.of("fleet_command_seconds_count", aggregate="session", outcome="done") >= 3
    asked = {"method": "POST", "route": "/api/sessions", "status": "200"}
    assert after.of("fleet_http_request_seconds_count", **asked) == 2
    assert after.of("fleet_blob_puts_total") > 0
    assert after.of("fleet_blobs_stored_bytes") > 0
    assert after.of("process_resident_memory_bytes") > 0
    await trio.sleep(10)
    assert (await sample(api)).of("fleet_view_lag_events", view="rows") == 0
    assert (await sample(api)).of("fleet_view_lag_events", view="history") == 0


async def test_refusals_are_counted_and_labels_hold_no_ids(api: Api) -> None:
    item = await api.session(title="SECRETTITLE")
    await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": ""})
    await api.send("GET", f"/api/sessions/{NOWHERE}")
    await api.send("GET", "/api/nothing/here")
    await api.send("GET", "/api/sessions", Host="evil.example")
    answer = await api.send("GET", "/api/metrics")
    found = Sample(answer.body.decode())
    route = {"method": "GET", "route": "/api/sessions/<session_id>", "status": "404"}
    assert found.of("fleet_http_request_seconds_count", **route) == 1
    nowhere = {"method": "other", "route": "none", "status": "404"}
    assert found.of("fleet_http_request_seconds_count", **nowhere) == 1
    refused = {"method": "GET", "route": "/api/sessions", "status": "403"}
    assert found.of("fleet_http_request_seconds_count", **refused) == 1
    codes = {"prompt_empty": 1, "session_not_found": 1, "not_found": 1, "forbidden_origin": 1, "read_only": 0}
    assert {code: found.of("fleet_http_refusals_total", code=code) for code in codes} == codes
    text = answer.body.decode()
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}|ses_|SECRETTITLE|/home/", text)
    assert len(found.values) < 1000


async def test_when_a_series_began_is_no_series(api: Api) -> None:
    await api.session()
    assert [name for name, _ in (await sample(api)).values if name.endswith("_created")] == []


async def test_metrics_count_refused_commands_apart_from_done_ones(api: Api) -> None:
    item = await api.session()
    await api.send("DELETE", f"/api/sessions/{item['id']}")
    (await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": "x"})).problem(409, "session_stopped")
    assert (await sample(api)).of("fleet_command_seconds_count", aggregate="session", outcome="rejected") == 1


async def test_readers_and_webhooks_are_counted(machine: Machine, api: Api) -> None:
    webhook_id = await registered_id(api)
    machine.sender.script[URL] = ["absent"]
    before = await sample(api)
    await api.prompt((await api.session())["id"], "hello")
    await api.fleet.views.webhooks.wait(webhook_id, lambda s: bool(s.open) and s.open[0].attempts > 0)
    async with api.listen() as port, api.follow(port, "/api/events") as stream:
        await stream.frame()
        await trio.sleep(2 * HISTORY_LAG_S)
        found = await sample(api)
        assert found.of("fleet_feed_readers", phase="live") == before.of("fleet_feed_readers", phase="live") + 1
        assert found.of("fleet_signal_readers") == 1
        assert found.of("fleet_feed_lag_events") == 0
    assert found.of("fleet_webhooks", status="active") == 1
    assert (found.of("fleet_webhook_messages"), found.of("fleet_webhooks_failing")) == (1, 1)
    assert found.of("fleet_events_total", type="webhook.delivery-failed") >= 1


async def test_restarts_are_counted(api: Api) -> None:
    async def crash() -> None:
        raise RuntimeError("spoilt")

    assert (await sample(api)).of("fleet_child_restarts_total", child="views") == 0
    api.fleet.runner.save = crash  # type: ignore[method-assign]  # a store that breaks
    await trio.sleep(3)
    del api.fleet.runner.save
    assert (await sample(api)).of("fleet_child_restarts_total", child="views") >= 1


async def test_a_slow_reader_is_seen(api: Api) -> None:
    async with api.fleet.feed.subscribe(after=0, buffer=1):
        item = await api.session()
        await api.prompt(item["id"], "hello")
        slow = await sample(api)
        assert slow.of("fleet_feed_lag_events") == api.fleet.log.head()
        assert slow.of("fleet_feed_saturations_total") == 1
    assert (await sample(api)).of("fleet_feed_saturations_total") == 1
