"""The fleet view of the WebSocket: what a reader puts together of it is what `GET /api/sessions` lists."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from fleet.gateway.items.session import SessionItems
from fleet.gateway.live.fleet_view import FleetView
from fleet.limits import FLEET_ITEM_INTERVAL_S, FLEET_PAGE_ITEMS
from fleet.ports import Part, PartDelta
from tests.gateway.machine import REPOSITORY, Api, Machine
from tests.gateway.sockets import Client, connected
from tests.gateway.views import Reader, listed


@asynccontextmanager
async def following(api: Api) -> AsyncGenerator[tuple[Reader, Client]]:
    """Read the view of an API that listens."""
    reader = Reader()
    async with api.listen() as port, connected(port) as client:
        await reader.begin(client)
        yield reader, client


async def running(api: Api, text: str = "hang") -> dict[str, Any]:
    """Return a session whose turn runs and does nothing by itself."""
    item = await api.session(initialPrompt=text)
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    await trio.sleep(1)
    return item


def write(api: Api, item: dict[str, Any], text: str, part_id: str = "prt_x") -> None:
    """Let the agent of a session begin a text."""
    body = msgspec.json.encode({"id": part_id, "type": "text", "text": text, "time": {"start": 1}})
    part = Part(part_id, item["opencodeId"], "msg_x", "text", finished=False, raw=body, text=text)
    api.fleet.inflight.part(item["id"], part)


async def test_a_view_begins_with_everything_and_continues_with_changes(api: Api) -> None:
    one = await api.session(title="One")
    async with api.listen() as port, connected(port) as client:
        await client.send("subscribe", "f", view="fleet")
        frames = await client.until("live", "f")
        head = api.fleet.log.head()
        shown = list((await listed(api)).values())
        begun = {"type": "items", "id": "f", "position": head, "sessions": shown, "more": False, "reset": True}
        assert frames == [begun, {"type": "live", "id": "f", "position": head}]
        reader = Reader()
        reader.take(frames[0])
        two = await api.session(directory=REPOSITORY, isolationStrategy="worktree")
        await api.prompt(one["id"], "turn:2")
        await reader.catch_up(client)
        assert reader.held == await listed(api)
        assert set(reader.held) == {one["id"], two["id"]}
        assert reader.position == api.fleet.log.head()
        await api.send("DELETE", f"/api/sessions/{one['id']}?permanent=true")
        frames = await reader.catch_up(client)
        gone = {"type": "gone", "id": "f", "position": api.fleet.log.head(), "sessionId": one["id"]}
        assert [frame for frame in frames if frame["type"] == "gone"] == [gone]
        assert reader.held == await listed(api)


@pytest.mark.parametrize("is_read", [True, False])
async def test_the_fleet_view_keeps_nothing_of_an_erased_session(api: Api, is_read: bool) -> None:
    made = await api.session(title="A secret")
    state = api.fleet.views.sessions.get(made["id"])
    assert state is not None
    items = SessionItems(api.fleet)
    view = FleetView(api.fleet, items)
    kept, detail = items.encoded(state), items.detail(state, [], [])
    assert items.encoded(state) is kept
    assert items.detail(state, [], []) is detail
    async with trio.open_nursery() as nursery:
        nursery.start_soon(view.run)
        await trio.testing.wait_all_tasks_blocked()
        with view.read(None, lambda: None) if is_read else nullcontext():
            await api.send("DELETE", f"/api/sessions/{made['id']}?permanent=true")
            await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert items.encoded(state) is not kept
    assert items.detail(state, [], []) is not detail


async def test_a_view_without_sessions_begins_empty(api: Api) -> None:
    async with following(api) as (reader, _):
        assert [(frame["type"], frame["position"]) for frame in reader.frames] == [("items", 0), ("live", 0)]


async def test_a_view_begins_in_pages_and_only_the_last_may_be_resumed_from(api: Api) -> None:
    for _ in range(FLEET_PAGE_ITEMS + 1):
        await api.session()
    async with following(api) as (reader, _):
        pages = [frame for frame in reader.frames if frame["type"] == "items"]
        assert [len(page["sessions"]) for page in pages] == [FLEET_PAGE_ITEMS, 1]
        assert [(page["more"], page["reset"]) for page in pages] == [(True, True), (False, False)]
        assert [page["position"] for page in pages] == [0, api.fleet.log.head()]
        assert len(reader.held) == FLEET_PAGE_ITEMS + 1


# ------------------------------------------------------------------------------------------------------------- resuming


async def test_a_reader_that_reconnects_gets_only_what_has_changed(api: Api) -> None:
    still, busy, gone = [await api.session() for _ in range(3)]
    async with api.listen() as port:
        reader = Reader()
        async with connected(port) as client:
            await reader.begin(client)
            await api.send("PATCH", f"/api/sessions/{busy['id']}", {"title": "Again"})
            await reader.catch_up(client)
        await api.prompt(busy["id"], "Hello")
        await api.send("DELETE", f"/api/sessions/{gone['id']}?permanent=true")
        new = await api.session()
        async with connected(port) as client:
            await reader.begin(client)
            told = {item["id"] for frame in reader.frames if frame["type"] == "items" for item in frame["sessions"]}
            assert told == {busy["id"], new["id"]}
            assert [frame["type"] for frame in reader.frames] == ["items", "gone", "live"]
            assert reader.resets == 1
            assert reader.held == await listed(api)
            assert still["id"] in reader.held


async def test_a_reader_that_was_cut_off_at_its_begin_begins_again(api: Api) -> None:
    for _ in range(FLEET_PAGE_ITEMS + 1):
        await api.session()
    async with api.listen() as port:
        reader = Reader()
        for frames in (1, 10**6):
            async with connected(port) as client:
                await reader.begin(client, frames)
        assert reader.resets == 2
        assert reader.held == await listed(api)


async def test_a_reader_that_reconnects_gets_parts_in_flight(api: Api) -> None:
    item = await running(api)
    async with api.listen() as port:
        reader = Reader()
        async with connected(port) as client:
            await reader.begin(client)
            await api.send("PATCH", f"/api/sessions/{item['id']}", {"title": "Other"})
            await reader.catch_up(client)
        write(api, item, "Something else")
        async with connected(port) as client:
            await reader.begin(client)
            assert reader.resets == 1
            assert reader.held[item["id"]]["activity"]["text"] == "Something else"


async def test_after_a_restart_a_reader_gets_all_sessions_again(machine: Machine) -> None:
    reader = Reader()
    async with machine.fleet(killed=True) as api:
        await running(api)
        async with api.listen() as port, connected(port) as client:
            await reader.begin(client)
    async with machine.fleet() as api, api.listen() as port, connected(port) as client:
        await reader.begin(client)
        await reader.catch_up(client)
        assert reader.resets == 2
        assert reader.held == await listed(api)


async def test_a_reader_with_a_cursor_of_another_log_gets_all_sessions_again(api: Api) -> None:
    await api.session()
    async with api.listen() as port, connected(port) as client:
        reader = Reader()
        reader.position = 10**6
        await reader.begin(client)
        assert (reader.resets, reader.position) == (1, api.fleet.log.head())
        assert reader.held == await listed(api)


async def test_erasures_are_remembered_for_a_while(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.projections.touched.FLEET_ERASED_MAX", 1)
    sessions = [await api.session() for _ in range(3)]
    async with api.listen() as port:
        for erased, resets in ((sessions[:1], 1), (sessions[1:], 2)):
            reader = Reader()
            async with connected(port) as client:
                await reader.begin(client)
                await api.session()
                await reader.catch_up(client)
            for item in erased:
                await api.send("DELETE", f"/api/sessions/{item['id']}?permanent=true")
            async with connected(port) as client:
                await reader.begin(client)
            assert reader.resets == resets
            assert reader.held == await listed(api)


# -------------------------------------------------------------------------------------------------- how much, how often


async def test_a_session_is_sent_at_most_four_times_a_second_and_always_its_newest_state(api: Api) -> None:
    item = await running(api)
    async with following(api) as (reader, client):
        write(api, item, "0")
        for number in range(200):
            delta = PartDelta(item["opencodeId"], "msg_x", "prt_x", "text", f"\nline {number}")
            api.fleet.inflight.delta(item["id"], delta)
            await trio.sleep(0.01)
        frames = await reader.catch_up(client)
        assert 6 <= len(frames) <= 2 + 2.2 / FLEET_ITEM_INTERVAL_S
        assert reader.held[item["id"]]["activity"]["text"] == "line 199"
        assert reader.held == await listed(api)


async def test_a_change_after_a_quiet_time_is_sent_at_once(api: Api) -> None:
    item = await api.session()
    async with following(api) as (_, client):
        await trio.sleep(5)
        began = trio.current_time()
        await api.send("PATCH", f"/api/sessions/{item['id']}", {"title": "Now"})
        assert (await client.frame())["session"]["title"] == "Now"
        assert trio.current_time() == began


async def test_a_position_means_that_everything_before_it_was_sent(api: Api) -> None:
    """While one session's change waits for its time, the frames of others may not be resumed from beyond it."""
    one, two = await api.session(), await api.session()
    async with following(api) as (reader, client):
        await api.send("PATCH", f"/api/sessions/{one['id']}", {"title": "First"})
        reader.take(await client.frame())
        before = api.fleet.log.head()
        await api.send("PATCH", f"/api/sessions/{one['id']}", {"title": "Second"})
        await api.send("PATCH", f"/api/sessions/{two['id']}", {"title": "Other"})
        frame = await client.frame()
        assert (frame["session"]["title"], frame["position"]) == ("Other", before)
        frame = await client.frame()
        assert (frame["session"]["title"], frame["position"]) == ("Second", api.fleet.log.head())


async def test_a_slow_reader_gets_its_cursor_and_misses_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.gateway.live.fleet_view.FLEET_WAITING_MAX", 1)
    sessions = [await api.session() for _ in range(3)]
    async with following(api) as (reader, client):
        for item in sessions:
            api.fleet.touched.touch(item["id"])
        frames = await client.until("lagging")
        assert frames[-1] == {"type": "lagging", "id": "f", "after": reader.position}
        assert api.fleet.inflight.readers() == 0
        await reader.begin(client)
        assert reader.held == await listed(api)


async def test_readers_share_the_bytes_of_an_item(api: Api) -> None:
    item = await api.session()
    items, state = SessionItems(api.fleet), api.fleet.views.sessions.get(item["id"])
    assert state is not None
    assert items.encoded(state) is items.encoded(state)
    assert msgspec.json.decode(items.encoded(state)) == (await listed(api))[item["id"]]


async def test_the_view_leaves_out_what_ended_long_ago(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.gateway.live.fleet_view.FLEET_ENDED_S", 600.0)
    ended, kept = await api.session(), await api.session()
    await api.send("DELETE", f"/api/sessions/{ended['id']}")
    await trio.sleep(540)
    async with following(api) as (reader, _):
        assert set(reader.held) == {ended["id"], kept["id"]}
    await trio.sleep(120)
    async with following(api) as (reader, client):
        assert set(reader.held) == {kept["id"]}
        await api.send("PATCH", f"/api/sessions/{ended['id']}", {"title": "Late"})
        assert await reader.catch_up(client) == []
        await api.send("POST", f"/api/sessions/{ended['id']}/resume")
        await reader.catch_up(client)
        assert reader.held == await listed(api)


async def test_nothing_is_left_of_readers_that_go(api: Api) -> None:
    await api.session()
    async with following(api) as (_, client):
        await client.send("subscribe", "i", view="inbox")
        await client.until("live", "i")
        assert (await client.ask("unsubscribe", "f"))["status"] == 204
        await client.send("subscribe", "f", view="fleet")
        await client.until("live", "f")
        await client.send("subscribe", "f", view="fleet")
        assert (await client.until("error"))[-1]["code"] == "invalid"
    live = api.app.live_views
    assert (live.fleet.readers, live.inbox.readers) == (0, 0)


# ------------------------------------------------------------------------------------------------- what is shown beside


async def test_a_process_that_does_not_respond_is_shown(machine: Machine, api: Api) -> None:
    item = await api.session()
    async with following(api) as (reader, client):
        machine.world.hang(item["instanceId"])
        await api.fleet.views.instances.wait(item["instanceId"], lambda s: s.phase == "unreachable")
        await reader.catch_up(client)
        assert "does not answer" in reader.held[item["id"]]["evidence"]
        assert reader.held == await listed(api)
        machine.world.resume(item["instanceId"])
        await api.fleet.views.instances.wait(item["instanceId"], lambda s: s.phase == "ready")
        await reader.catch_up(client)
        assert "does not answer" not in reader.held[item["id"]]["evidence"]
        assert reader.held == await listed(api)


async def test_the_scripted_model_is_shown(api: Api) -> None:
    item, other = await api.session(), await api.session(model={"providerID": "acme", "modelID": "big"})
    async with following(api) as (reader, client):
        api.fleet.rehearse("rehearsal")
        await reader.catch_up(client)
        assert (reader.held[item["id"]]["rehearsal"], reader.held[other["id"]]["rehearsal"]) == (True, False)
        assert reader.held == await listed(api)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"view": "fleet", "sessions": "*"}, "sessions"),
        ({"view": "all"}, "view"),
        ({"view": None}, "view"),
        ({}, "sessions"),
        ({"view": "fleet", "after": -1}, "after"),
        ({"sessions": "*", "signals": "some"}, "signals"),
    ],
)
async def test_a_subscription_that_names_nothing_to_follow_is_refused(
    api: Api, fields: dict[str, Any], field: str
) -> None:
    await api.session()
    async with api.listen() as port, connected(port) as client:
        refused = await client.ask("subscribe", "f", **fields)
        assert (refused["code"], refused["problem"]["field"]) == ("invalid", field)


async def test_events_come_without_signals_where_none_are_wanted(api: Api) -> None:
    item = await api.session()
    async with api.listen() as port, connected(port) as client:
        await client.send("subscribe", "s", sessions=[item["id"]], after=0, signals="none")
        frames = await client.until("live", "s")
        assert {frame["type"] for frame in frames} == {"event", "live"}
        assert api.fleet.inflight.readers() == 0
        await api.prompt(item["id"], "Hello")
        frames = await client.until("event", "s", "session.turn-ended")
        assert {frame["type"] for frame in frames} == {"event"}
