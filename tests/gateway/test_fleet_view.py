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
from tests.gateway.door import REPOSITORY, Door, Machine
from tests.gateway.sockets import Client, connected
from tests.gateway.views import Reader, listed


@asynccontextmanager
async def following(door: Door) -> AsyncGenerator[tuple[Reader, Client]]:
    """Read the view of a door that listens."""
    reader = Reader()
    async with door.listen() as port, connected(port) as client:
        await reader.begin(client)
        yield reader, client


async def running(door: Door, text: str = "hang") -> dict[str, Any]:
    """Return a session whose turn runs and does nothing by itself."""
    item = await door.session(initialPrompt=text)
    await door.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    await trio.sleep(1)
    return item


def write(door: Door, item: dict[str, Any], text: str, part_id: str = "prt_x") -> None:
    """Let the agent of a session begin a text."""
    body = msgspec.json.encode({"id": part_id, "type": "text", "text": text, "time": {"start": 1}})
    part = Part(part_id, item["opencodeId"], "msg_x", "text", finished=False, raw=body, text=text)
    door.fleet.inflight.part(item["id"], part)


async def test_a_view_begins_with_everything_and_continues_with_changes(door: Door) -> None:
    one = await door.session(title="One")
    async with door.listen() as port, connected(port) as client:
        await client.send("subscribe", "f", view="fleet")
        frames = await client.until("live", "f")
        head = door.fleet.log.head()
        shown = list((await listed(door)).values())
        begun = {"type": "items", "id": "f", "position": head, "sessions": shown, "more": False, "reset": True}
        assert frames == [begun, {"type": "live", "id": "f", "position": head}]
        reader = Reader()
        reader.take(frames[0])
        two = await door.session(directory=REPOSITORY, isolationStrategy="worktree")
        await door.prompt(one["id"], "turn:2")
        await reader.catch_up(client)
        assert reader.held == await listed(door)
        assert set(reader.held) == {one["id"], two["id"]}
        assert reader.position == door.fleet.log.head()
        await door.knock("DELETE", f"/api/sessions/{one['id']}?permanent=true")
        frames = await reader.catch_up(client)
        gone = {"type": "gone", "id": "f", "position": door.fleet.log.head(), "sessionId": one["id"]}
        assert [frame for frame in frames if frame["type"] == "gone"] == [gone]
        assert reader.held == await listed(door)


@pytest.mark.parametrize("is_read", [True, False])
async def test_the_fleet_view_keeps_nothing_of_an_erased_session(door: Door, is_read: bool) -> None:
    made = await door.session(title="A secret")
    state = door.fleet.views.sessions.get(made["id"])
    assert state is not None
    items = SessionItems(door.fleet)
    view = FleetView(door.fleet, items)
    kept, detail = items.encoded(state), items.detail(state, [], [])
    assert items.encoded(state) is kept
    assert items.detail(state, [], []) is detail
    async with trio.open_nursery() as nursery:
        nursery.start_soon(view.run)
        await trio.testing.wait_all_tasks_blocked()
        with view.read(None, lambda: None) if is_read else nullcontext():
            await door.knock("DELETE", f"/api/sessions/{made['id']}?permanent=true")
            await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert items.encoded(state) is not kept
    assert items.detail(state, [], []) is not detail


async def test_a_view_without_sessions_begins_empty(door: Door) -> None:
    async with following(door) as (reader, _):
        assert [(frame["type"], frame["position"]) for frame in reader.frames] == [("items", 0), ("live", 0)]


async def test_a_view_begins_in_pages_and_only_the_last_may_be_resumed_from(door: Door) -> None:
    for _ in range(FLEET_PAGE_ITEMS + 1):
        await door.session()
    async with following(door) as (reader, _):
        pages = [frame for frame in reader.frames if frame["type"] == "items"]
        assert [len(page["sessions"]) for page in pages] == [FLEET_PAGE_ITEMS, 1]
        assert [(page["more"], page["reset"]) for page in pages] == [(True, True), (False, False)]
        assert [page["position"] for page in pages] == [0, door.fleet.log.head()]
        assert len(reader.held) == FLEET_PAGE_ITEMS + 1


# ------------------------------------------------------------------------------------------------------------- resuming


async def test_a_reader_that_reconnects_gets_only_what_has_changed(door: Door) -> None:
    still, busy, gone = [await door.session() for _ in range(3)]
    async with door.listen() as port:
        reader = Reader()
        async with connected(port) as client:
            await reader.begin(client)
            await door.knock("PATCH", f"/api/sessions/{busy['id']}", {"title": "Again"})
            await reader.catch_up(client)
        await door.prompt(busy["id"], "Hello")
        await door.knock("DELETE", f"/api/sessions/{gone['id']}?permanent=true")
        new = await door.session()
        async with connected(port) as client:
            await reader.begin(client)
            told = {item["id"] for frame in reader.frames if frame["type"] == "items" for item in frame["sessions"]}
            assert told == {busy["id"], new["id"]}
            assert [frame["type"] for frame in reader.frames] == ["items", "gone", "live"]
            assert reader.resets == 1
            assert reader.held == await listed(door)
            assert still["id"] in reader.held


async def test_a_reader_that_was_cut_off_at_its_begin_begins_again(door: Door) -> None:
    for _ in range(FLEET_PAGE_ITEMS + 1):
        await door.session()
    async with door.listen() as port:
        reader = Reader()
        for frames in (1, 10**6):
            async with connected(port) as client:
                await reader.begin(client, frames)
        assert reader.resets == 2
        assert reader.held == await listed(door)


async def test_a_reader_that_reconnects_gets_parts_in_flight(door: Door) -> None:
    item = await running(door)
    async with door.listen() as port:
        reader = Reader()
        async with connected(port) as client:
            await reader.begin(client)
            await door.knock("PATCH", f"/api/sessions/{item['id']}", {"title": "Other"})
            await reader.catch_up(client)
        write(door, item, "Something else")
        async with connected(port) as client:
            await reader.begin(client)
            assert reader.resets == 1
            assert reader.held[item["id"]]["activity"]["text"] == "Something else"


async def test_after_a_restart_a_reader_gets_all_sessions_again(machine: Machine) -> None:
    reader = Reader()
    async with machine.fleet(killed=True) as door:
        await running(door)
        async with door.listen() as port, connected(port) as client:
            await reader.begin(client)
    async with machine.fleet() as door, door.listen() as port, connected(port) as client:
        await reader.begin(client)
        await reader.catch_up(client)
        assert reader.resets == 2
        assert reader.held == await listed(door)


async def test_a_reader_with_a_cursor_of_another_log_gets_all_sessions_again(door: Door) -> None:
    await door.session()
    async with door.listen() as port, connected(port) as client:
        reader = Reader()
        reader.position = 10**6
        await reader.begin(client)
        assert (reader.resets, reader.position) == (1, door.fleet.log.head())
        assert reader.held == await listed(door)


async def test_erasures_are_remembered_for_a_while(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.projections.touched.FLEET_ERASED_MAX", 1)
    sessions = [await door.session() for _ in range(3)]
    async with door.listen() as port:
        for erased, resets in ((sessions[:1], 1), (sessions[1:], 2)):
            reader = Reader()
            async with connected(port) as client:
                await reader.begin(client)
                await door.session()
                await reader.catch_up(client)
            for item in erased:
                await door.knock("DELETE", f"/api/sessions/{item['id']}?permanent=true")
            async with connected(port) as client:
                await reader.begin(client)
            assert reader.resets == resets
            assert reader.held == await listed(door)


# -------------------------------------------------------------------------------------------------- how much, how often


async def test_a_session_is_sent_at_most_four_times_a_second_and_always_its_newest_state(door: Door) -> None:
    item = await running(door)
    async with following(door) as (reader, client):
        write(door, item, "0")
        for number in range(200):
            delta = PartDelta(item["opencodeId"], "msg_x", "prt_x", "text", f"\nline {number}")
            door.fleet.inflight.delta(item["id"], delta)
            await trio.sleep(0.01)
        frames = await reader.catch_up(client)
        assert 6 <= len(frames) <= 2 + 2.2 / FLEET_ITEM_INTERVAL_S
        assert reader.held[item["id"]]["activity"]["text"] == "line 199"
        assert reader.held == await listed(door)


async def test_a_change_after_a_quiet_time_is_sent_at_once(door: Door) -> None:
    item = await door.session()
    async with following(door) as (_, client):
        await trio.sleep(5)
        began = trio.current_time()
        await door.knock("PATCH", f"/api/sessions/{item['id']}", {"title": "Now"})
        assert (await client.frame())["session"]["title"] == "Now"
        assert trio.current_time() == began


async def test_a_position_means_that_everything_before_it_was_sent(door: Door) -> None:
    """While one session's change waits for its time, the frames of others may not be resumed from beyond it."""
    one, two = await door.session(), await door.session()
    async with following(door) as (reader, client):
        await door.knock("PATCH", f"/api/sessions/{one['id']}", {"title": "First"})
        reader.take(await client.frame())
        before = door.fleet.log.head()
        await door.knock("PATCH", f"/api/sessions/{one['id']}", {"title": "Second"})
        await door.knock("PATCH", f"/api/sessions/{two['id']}", {"title": "Other"})
        frame = await client.frame()
        assert (frame["session"]["title"], frame["position"]) == ("Other", before)
        frame = await client.frame()
        assert (frame["session"]["title"], frame["position"]) == ("Second", door.fleet.log.head())


async def test_a_slow_reader_gets_its_cursor_and_misses_nothing(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.gateway.live.fleet_view.FLEET_WAITING_MAX", 1)
    sessions = [await door.session() for _ in range(3)]
    async with following(door) as (reader, client):
        for item in sessions:
            door.fleet.touched.touch(item["id"])
        frames = await client.until("lagging")
        assert frames[-1] == {"type": "lagging", "id": "f", "after": reader.position}
        assert door.fleet.inflight.readers() == 0
        await reader.begin(client)
        assert reader.held == await listed(door)


async def test_readers_share_the_bytes_of_an_item(door: Door) -> None:
    item = await door.session()
    items, state = SessionItems(door.fleet), door.fleet.views.sessions.get(item["id"])
    assert state is not None
    assert items.encoded(state) is items.encoded(state)
    assert msgspec.json.decode(items.encoded(state)) == (await listed(door))[item["id"]]


async def test_the_view_leaves_out_what_ended_long_ago(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.gateway.live.fleet_view.FLEET_ENDED_S", 600.0)
    ended, kept = await door.session(), await door.session()
    await door.knock("DELETE", f"/api/sessions/{ended['id']}")
    await trio.sleep(540)
    async with following(door) as (reader, _):
        assert set(reader.held) == {ended["id"], kept["id"]}
    await trio.sleep(120)
    async with following(door) as (reader, client):
        assert set(reader.held) == {kept["id"]}
        await door.knock("PATCH", f"/api/sessions/{ended['id']}", {"title": "Late"})
        assert await reader.catch_up(client) == []
        await door.knock("POST", f"/api/sessions/{ended['id']}/resume")
        await reader.catch_up(client)
        assert reader.held == await listed(door)


async def test_nothing_is_left_of_readers_that_go(door: Door) -> None:
    await door.session()
    async with following(door) as (_, client):
        await client.send("subscribe", "i", view="inbox")
        await client.until("live", "i")
        assert (await client.ask("unsubscribe", "f"))["status"] == 204
        await client.send("subscribe", "f", view="fleet")
        await client.until("live", "f")
        await client.send("subscribe", "f", view="fleet")
        assert (await client.until("error"))[-1]["code"] == "invalid"
    live = door.app.live_views
    assert (live.fleet.readers, live.inbox.readers) == (0, 0)


# ------------------------------------------------------------------------------------------------- what is shown beside


async def test_a_process_that_does_not_respond_is_shown(machine: Machine, door: Door) -> None:
    item = await door.session()
    async with following(door) as (reader, client):
        machine.world.hang(item["instanceId"])
        await door.fleet.views.instances.wait(item["instanceId"], lambda s: s.phase == "unreachable")
        await reader.catch_up(client)
        assert "does not answer" in reader.held[item["id"]]["evidence"]
        assert reader.held == await listed(door)
        machine.world.resume(item["instanceId"])
        await door.fleet.views.instances.wait(item["instanceId"], lambda s: s.phase == "ready")
        await reader.catch_up(client)
        assert "does not answer" not in reader.held[item["id"]]["evidence"]
        assert reader.held == await listed(door)


async def test_the_scripted_model_is_shown(door: Door) -> None:
    item, other = await door.session(), await door.session(model={"providerID": "acme", "modelID": "big"})
    async with following(door) as (reader, client):
        door.fleet.rehearse("rehearsal")
        await reader.catch_up(client)
        assert (reader.held[item["id"]]["rehearsal"], reader.held[other["id"]]["rehearsal"]) == (True, False)
        assert reader.held == await listed(door)


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
    door: Door, fields: dict[str, Any], field: str
) -> None:
    await door.session()
    async with door.listen() as port, connected(port) as client:
        refused = await client.ask("subscribe", "f", **fields)
        assert (refused["code"], refused["problem"]["field"]) == ("invalid", field)


async def test_events_come_without_signals_where_none_are_wanted(door: Door) -> None:
    item = await door.session()
    async with door.listen() as port, connected(port) as client:
        await client.send("subscribe", "s", sessions=[item["id"]], after=0, signals="none")
        frames = await client.until("live", "s")
        assert {frame["type"] for frame in frames} == {"event", "live"}
        assert door.fleet.inflight.readers() == 0
        await door.prompt(item["id"], "Hello")
        frames = await client.until("event", "s", "session.turn-ended")
        assert {frame["type"] for frame in frames} == {"event"}
