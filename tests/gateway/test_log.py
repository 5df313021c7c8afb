"""The audit log over HTTP."""

import socket
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import msgspec
import pytest
import trio

from fleet.core.times import rfc3339
from fleet.core.workspace_roots import WorkspaceRootAdded
from fleet.events import codec
from fleet.events.envelope import Cause
from fleet.events.export import export_page, verify_export
from fleet.events.log import Log
from fleet.events.signing import is_signed
from fleet.wire.audit import SignedHead
from tests.gateway.machine import NOWHERE, Api, Machine


async def test_the_log_is_read_page_by_page(api: Api) -> None:
    session = await api.session(title="A task")
    head = api.fleet.log.head()
    position = 0
    found: list[dict[str, Any]] = []
    while page := (answer := await api.send("GET", f"/api/log?after={position}&limit=3")).json:
        assert answer.headers["x-total-count"] == str(head)
        assert len(page) <= 3
        found += page
        position = page[-1]["position"]
    assert [event["position"] for event in found] == list(range(1, head + 1))
    (created,) = [event for event in found if event["type"] == "session.created"]
    assert created["stream"] == f"session-{session['id']}"
    assert created["data"]["settings"]["title"] == "A task"
    assert created["data"]["session_id"] == session["id"]
    assert (created["version"], created["erased"]) == (1, False)


async def test_event_is_read_by_its_position(api: Api) -> None:
    await api.session()
    head = api.fleet.log.head()
    listed = (await api.send("GET", f"/api/log?after={head - 1}")).json
    assert (await api.send("GET", f"/api/log/{head}")).json == listed[0]
    for position in (0, head + 1, 10**30):
        (await api.send("GET", f"/api/log/{position}")).problem(404, "event_not_found")


@pytest.mark.parametrize(
    "query",
    [
        "after=-1",
        f"after={2**63}",
        "limit=0",
        "limit=201",
        "before=-1",
        "order=newest",
        "type=session.born",
        "type=",
        "from=yesterday",
        "to=2026-13-01",
        "to=99999",
        "from=-1",
        "stream=",
        "stream=%00",
        "session=a%20b",
        "session=x&stream=y",
    ],
)
async def test_wrong_pages_are_refused(api: Api, query: str) -> None:
    (await api.send("GET", f"/api/log?{query}")).problem(422, "invalid")


async def positions(api: Api, query: str) -> list[int]:
    """Return the positions of all pages."""
    found: list[int] = []
    bound = "before" if "order=desc" in query else "after"
    target = f"/api/log?{query}"
    while True:
        answer = await api.send("GET", target)
        assert answer.status == 200
        found += [event["position"] for event in answer.json]
        if "fleet-continue" not in answer.headers:
            return found
        target = f"/api/log?{query}&{bound}={answer.headers['fleet-continue']}"


async def test_the_log_can_be_filtered(api: Api) -> None:
    one, two = await api.session(title="One"), await api.session(title="Two")
    await api.prompt(one["id"], "hello")
    await api.prompt(two["id"], "hello")
    events = api.fleet.log.read_all()
    of_one = [event.position for event in events if event.stream == f"session-{one['id']}"]
    assert await positions(api, f"session={one['id']}&limit=3") == of_one
    assert await positions(api, f"session={one['opencodeId']}") == of_one
    assert await positions(api, f"stream=session-{one['id']}&order=desc&limit=2") == of_one[::-1]
    assert await positions(api, f"session={one['id']}&after={of_one[1]}&before={of_one[4]}") == of_one[2:4]
    started = [event.position for event in events if event.type in ("session.turn-started", "session.turn-ended")]
    assert await positions(api, "type=session.turn-started,session.turn-ended&limit=1") == started
    last = events[-1]
    same = [event.position for event in events if event.cause.correlation_id == last.cause.correlation_id]
    assert await positions(api, f"correlation={last.cause.correlation_id}") == same
    assert await positions(api, "actor=local") == [event.position for event in events if event.cause.actor == "local"]
    assert await positions(api, "order=desc&limit=7") == [event.position for event in events][::-1]
    assert await positions(api, "stream=session-nothing") == []
    (await api.send("GET", f"/api/log?session={NOWHERE}")).problem(404, "session_not_found")


async def test_a_session_that_was_erased_has_its_place_in_the_log(api: Api) -> None:
    session = await api.session(title="Secret")
    await api.send("DELETE", f"/api/sessions/{session['id']}?permanent=true")
    events = (await api.send("GET", f"/api/log?session={session['id']}")).json
    assert events[0]["type"] == "session.created"
    assert all(event["erased"] for event in events)


async def test_times_and_positions_lead_to_each_other(machine: Machine, api: Api) -> None:
    await api.session()
    first = api.fleet.log.head()
    noon = rfc3339(machine.clock.now_ms())
    await trio.sleep(3600)
    await api.session()
    head = api.fleet.log.head()
    assert (await api.send("GET", f"/api/log/at?time={noon}")).json == {"position": first}
    assert (await api.send("GET", "/api/log/at?time=2030-01-01")).json == {"position": head}
    assert (await api.send("GET", "/api/log/at?time=2001-01-01")).json == {"position": 0}
    assert await positions(api, f"to={noon}") == list(range(1, first + 1))
    assert await positions(api, f"from={rfc3339(machine.clock.now_ms() - 1800_000)}") == list(
        range(first + 1, head + 1)
    )
    for query in ("", "time=soon", "time="):
        (await api.send("GET", f"/api/log/at?{query}")).problem(422, "invalid")


async def test_a_chain_leads_from_an_event_to_its_first_cause(api: Api) -> None:
    session = await api.session()
    await api.prompt(session["id"], "hello")
    (ended,) = (await api.send("GET", "/api/log?type=session.turn-ended")).json
    links = (await api.send("GET", f"/api/log/{ended['position']}/chain")).json
    assert links[0] == ended
    for event, cause in pairwise(links):
        assert event["causationId"] == f"@{cause['position']}"
    assert links[-1]["causationId"] is None
    assert (links[-1]["type"], links[-1]["actor"]) == ("session.prompt-accepted", "local")
    for position in (0, api.fleet.log.head() + 1):
        (await api.send("GET", f"/api/log/{position}/chain")).problem(404, "event_not_found")


async def test_a_whole_log_is_proven(api: Api) -> None:
    session = await api.session()
    for _ in range(12):  # more events than one step of the verification
        await api.prompt(session["id"], "again")
    found = (await api.send("GET", "/api/log/verify")).json
    assert (found["intact"], found["firstBreak"], found["erased"]) == (True, None, 0)
    assert found["events"] == api.fleet.log.head() > 128
    assert len(found["digest"]) == 64


async def test_verification_compares_the_index_that_the_server_uses(api: Api) -> None:
    session = await api.session()
    await api.prompt(session["id"], "again")
    await api.send("GET", f"/api/sessions/{session['id']}/messages")
    found = (await api.send("GET", "/api/log/verify")).json
    assert ("session index" in found["checked"], found["notChecked"]) == (True, ["search index"])
    for scope in ("chain", "heads"):
        found = (await api.send("GET", f"/api/log/verify?scope={scope}")).json
        assert {"snapshots", "session index", "search index"} < set(found["notChecked"])
    index = api.fleet.indexes.connection()
    assert index is not None
    assert index.execute("DELETE FROM bodies").rowcount > 0
    found = (await api.send("GET", "/api/log/verify")).json
    assert found["intact"] is False
    assert "index" in found["firstBreak"]["reason"]
    assert "bodies" in found["firstBreak"]["reason"]


async def test_a_changed_event_is_found(machine: Machine, api: Api) -> None:
    await api.session(title="Harmless")
    (created,) = [event for event in api.fleet.log.read_all() if event.type == "session.created"]
    raw = machine.disk.records[created.position - 1]
    forged = codec.decode(raw).payload.replace(b"Harmless", b"Harmful!")
    machine.disk.records[created.position - 1] = codec.join(codec.header_bytes(raw), codec.decode(raw).salt, forged)
    found = (await api.send("GET", "/api/log/verify")).json
    assert found["intact"] is False
    assert found["firstBreak"]["position"] == created.position
    assert found["events"] == created.position - 1
    assert "payload" in found["firstBreak"]["reason"]


async def test_an_erased_event_says_so(api: Api) -> None:
    session = await api.session(title="Secret")
    assert (await api.send("DELETE", f"/api/sessions/{session['id']}?permanent=true")).status == 200
    events = (await api.send("GET", "/api/log?limit=200")).json
    of_session = [event for event in events if event["stream"] == f"session-{session['id']}"]
    assert of_session
    assert all(event["erased"] and event["data"] == {} for event in of_session)
    found = (await api.send("GET", "/api/log/verify")).json
    assert (found["intact"], found["erased"]) == (True, len(of_session))
    (erasure,) = found["erasures"]
    assert (erasure["stream"], erasure["position"]) == (of_session[-1]["stream"], of_session[-1]["position"])
    assert (erasure["actor"], erasure["events"]) == ("local", len(of_session))


async def test_the_export_holds_every_event_and_proves_itself(api: Api) -> None:
    session = await api.session(title="Größe")
    for _ in range(12):  # more than one page
        await api.prompt(session["id"], "again")
    head = api.fleet.log.head()
    answer = await api.send("GET", "/api/log/export")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-ndjson")
    assert answer.headers["fleet-position"] == str(head)
    assert f"fleet-log-1-{head}.jsonl" in answer.headers["content-disposition"]
    lines = answer.body.splitlines(keepends=True)
    found = verify_export(lines)
    assert (found.events, found.first_break) == (head, None)
    assert found.head is not None
    assert msgspec.json.decode(lines[0])["data"] == (await api.send("GET", "/api/log/1")).json["data"]
    proof = (await api.send("GET", f"/api/log/verify?at={head}")).json
    assert proof["digest"] == found.digest.hex()

    part = (await api.send("GET", "/api/log/export?after=3&through=7")).body.splitlines()
    assert [msgspec.json.decode(line)["position"] for line in part] == [4, 5, 6, 7, 7]
    proof = (await api.send("GET", "/api/log/verify?at=7")).json
    assert (proof["digest"], proof["events"]) == (verify_export(part).digest.hex(), 7)
    end = verify_export((await api.send("GET", f"/api/log/export?after={head}")).body.splitlines())
    assert (end.events, end.first_break, (end.head or found.head) == found.head) == (0, None, True)


async def test_a_log_is_held_to_a_head_that_it_once_had(machine: Machine, api: Api) -> None:
    (await api.send("GET", "/api/log/head")).problem(404, "event_not_found")
    await api.session()
    head = (await api.send("GET", "/api/log/head")).json
    assert is_signed(msgspec.convert(head, SignedHead))
    expect = f"expect={head['position']}:{head['digest']}"
    await api.session()
    for scope in ("chain", "heads"):
        query = f"/api/log/verify?scope={scope}&{expect}"
        found = (await api.send("GET", query)).json
        assert (found["intact"], found["head"]["position"]) == (True, api.fleet.log.head())
        found = (await api.send("GET", f"{query},99999:{'0' * 64}")).json
        assert (found["intact"], found["firstBreak"]["position"]) == (False, api.fleet.log.head() + 1)
        assert "its end was cut off" in found["firstBreak"]["reason"]
    (await api.send("GET", "/api/log/verify?expect=7")).problem(422, "invalid")


@pytest.mark.parametrize("path", ["export?through=99999", "verify?at=99999"])
async def test_position_beyond_the_log_is_refused(api: Api, path: str) -> None:
    problem = (await api.send("GET", f"/api/log/{path}")).problem(422, "invalid")
    assert problem["field"] in path


@pytest.mark.trio(run=trio.run)
async def test_a_reader_that_does_not_read_delays_no_other(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in range(30):
        await api.fleet.log.append("padding", version, [WorkspaceRootAdded(path="x" * 500_000, at_ms=1)], Cause())
    read: list[int] = []

    def counted(log: Log, after: int, through: int) -> tuple[bytes, int]:
        page, position = export_page(log, after, through)
        read.append(len(page))
        return page, position

    monkeypatch.setattr("fleet.gateway.routes.log.export_page", counted)
    async with api.listen() as port:
        async with await trio.open_tcp_stream("127.0.0.1", port) as idle:
            idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await idle.send_all(b"GET /api/log/export HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await trio.sleep(0.5)
            assert sum(read) < 15_000_000 < sum(len(event.payload) for event in api.fleet.log.read_all())
            with trio.fail_after(60):
                assert (await api.send("GET", "/api/healthz")).status == 200
        total = 0
        async with api.follow(port, "/api/log/export") as stream, aclosing(stream.chunks()) as chunks:
            async for chunk in chunks:
                total += len(chunk)
        assert total > 15_000_000


async def test_event_is_explained_down_to_its_request(machine: Machine, api: Api) -> None:
    machine.world.disk = machine.files
    session = await api.session(title="A task", initialPrompt="write")
    item = await api.settled(session["id"])
    answer = await api.send("GET", "/api/log?type=session.changes-recorded")
    position = answer.json[0]["position"]
    steps = (await api.send("GET", f"/api/log/{position}/why?file=notes.txt")).json
    assert steps[0]["sentence"] == f'notes.txt was created (+1 -0) in turn {item["turns"]} of session "A task"'
    assert steps[0]["position"] == position
    assert (steps[-1]["kind"], steps[-1]["actor"]) == ("prompt", "local")
    (await api.send("GET", "/api/log/99999/why")).problem(404, "event_not_found")


async def test_two_moments_are_compared(api: Api) -> None:
    first = await api.session(title="Before")
    start = api.fleet.log.head()
    await api.prompt(first["id"], "hello")
    await api.send("POST", f"/api/sessions/{first['id']}/compact")
    await api.settled(first["id"])
    second = await api.session(title="In between")
    await api.send("DELETE", f"/api/sessions/{second['id']}")
    answer = await api.send("GET", f"/api/log/between?from={start}")
    assert (answer.json["first"], answer.json["last"]) == (start, api.fleet.log.head())
    stopped, prompted = answer.json["sessions"]
    assert (stopped["title"], stopped["createdBy"], stopped["statusBefore"]) == ("In between", "local", None)
    assert stopped["status"] == "stopped"
    assert (prompted["id"], prompted["statusBefore"], prompted["status"]) == (first["id"], "idle", "idle")
    assert [(each["actor"], each["text"]) for each in prompted["prompts"]] == [
        ("local", "hello"),
        ("local", "/compact"),
    ]
    assert (prompted["turns"], prompted["createdBy"], prompted["tokens"] > 0) == (2, None, True)
    nothing = (await api.send("GET", f"/api/log/between?from={api.fleet.log.head()}&to=2099-01-01")).json
    assert nothing["sessions"] == []
    (await api.send("GET", "/api/log/between?from=99999")).problem(422, "invalid")
    (await api.send("GET", "/api/log/between?from=yesterday")).problem(422, "invalid")
