"""A damaged event or content: it has a code of its own, and takes one stream away, not the server."""

import pytest
from msgspec.json import encode
from msgspec.structs import replace

from fleet.events import codec
from fleet.events.codec import SALT_BYTES
from tests.fakes.memory_store import MemoryStore
from tests.gateway.machine import PLAIN, REPOSITORY, Machine


def damage(machine: Machine, stream: str, version: int, payload: bytes) -> int:
    """Replace the payload of an event of the stream; return its position."""
    for at, raw in enumerate(machine.disk.records):
        header = codec.decode(raw).header
        if (header.stream, header.version) == (stream, version):
            end = 4 + len(codec.header_bytes(raw))
            machine.disk.records[at] = raw[: end + SALT_BYTES] + payload
            return header.position
    raise AssertionError(f"{stream} has no version {version}")


@pytest.mark.parametrize("payload", [b"", b"{", b'{"at_ms": "x"}', b"\xff" * 20])
async def test_server_starts_without_the_session_of_a_damaged_event(machine: Machine, payload: bytes) -> None:
    async with machine.fleet() as api:
        broken = await api.prompt((await api.session(PLAIN))["id"], "Hello")
        whole = await api.prompt((await api.session(REPOSITORY))["id"], "Hello")
    machine.views = MemoryStore()
    machine.disk.snapshots.clear()
    position = damage(machine, f"session-{broken['id']}", 3, payload)
    for _ in range(2):  # the second start has the rows of the first one
        async with machine.fleet() as api:
            assert [each["id"] for each in (await api.send("GET", "/api/sessions")).json] == [whole["id"]]
            for path in ("", "/messages", "/diffs"):
                (await api.send("GET", f"/api/sessions/{broken['id']}{path}")).problem(503, "event_damaged")
            refused = await api.send("POST", f"/api/sessions/{broken['id']}/prompt", {"text": "x"})
            refused.problem(503, "event_damaged")
            (await api.send("GET", f"/api/log/{position}")).problem(503, "event_damaged")
            listed = (await api.send("GET", f"/api/log?after={position - 1}&limit=1")).json[0]
            assert ("damaged" in listed["data"], listed["erased"]) == (True, False)
            assert (await api.send("GET", "/api/log/verify")).json["firstBreak"]["position"] == position
            assert (await api.send("POST", f"/api/sessions/{whole['id']}/resume")).status == 200
            await api.prompt(whole["id"], "Go on")
    assert not any(codec.decode(raw).erased for raw in machine.disk.records), "damage is no erasure"


@pytest.mark.parametrize("kept", [False, True])
async def test_payload_that_was_changed_is_served_by_no_route(machine: Machine, *, kept: bool) -> None:
    """Also where the rows of views, which are sealed, still show the session as it was."""
    async with machine.fleet() as api:
        item = await api.prompt((await api.session(PLAIN))["id"], "Allow nothing")
        asked = (await api.send("GET", f"/api/log?session={item['id']}&type=session.prompt-accepted")).json[0]
    position = damage(machine, f"session-{item['id']}", asked["version"], encode(asked["data"] | {"text": "Allow all"}))
    if not kept:
        machine.views = MemoryStore()
        machine.disk.snapshots.clear()
    async with machine.fleet() as api:
        assert (await api.send("GET", f"/api/sessions/{item['id']}")).status == (200 if kept else 503)
        for path in (f"sessions/{item['id']}/messages", f"sessions/{item['id']}/diffs", f"log/{position}"):
            (await api.send("GET", f"/api/{path}")).problem(503, "event_damaged")
        for path in ("log", f"log?session={item['id']}", "search?q=Allow"):
            assert b"Allow all" not in (await api.send("GET", f"/api/{path}")).body


async def test_files_of_a_snapshot_whose_event_is_damaged_are_not_called_missing(machine: Machine) -> None:
    async with machine.fleet() as api:
        item = await api.prompt((await api.session(REPOSITORY))["id"], "Hello")
        taken = (await api.send("GET", f"/api/log?session={item['id']}&type=session.changes-recorded")).json[0]
        files = f"/api/sessions/{item['id']}/files?at={taken['position']}"
        assert (await api.send("GET", files)).json["asOfPosition"] == taken["position"]
        damage(machine, f"session-{item['id']}", taken["version"], b"{")
        (await api.send("GET", files)).problem(503, "event_damaged")


async def test_earlier_moment_of_a_damaged_stream_is_damaged_and_not_missing(machine: Machine) -> None:
    """The views still have the session and its workspace, but their earlier states cannot be folded."""
    async with machine.fleet() as api:
        whole = await api.session(PLAIN)
        item = await api.prompt((await api.session(REPOSITORY))["id"], "Hello")
        session, workspace = f"sessions/{item['id']}", f"workspaces/{item['workspaceId']}"
        assert (await api.send("PATCH", f"/api/{workspace}", {"title": "Later"})).status == 200
        created, *_, last = (await api.send("GET", f"/api/log?session={item['id']}")).json
        damage(machine, f"session-{item['id']}", 2, b"{")
        damage(machine, f"workspace-{item['workspaceId']}", 1, b"{")
        at = f"?at={last['position'] - 1}"
        for path in (session, *(f"{session}/{each}" for each in ("requests", "queue", "diffs", "files")), workspace):
            (await api.send("GET", f"/api/{path}{at}")).problem(503, "event_damaged")
        listed = await api.send("GET", f"/api/sessions{at}")
        assert [each["id"] for each in listed.json] == [whole["id"]], "lists do without it, as they do after a restart"
        for path in ("fleet/summary", "inbox", "workspaces", f"sessions/{whole['id']}", f"{session}/children"):
            assert (await api.send("GET", f"/api/{path}{at}")).status == 200
        ahead = await api.send("GET", f"/api/{session}?at={created['position'] - 1}")
        ahead.problem(404, "session_not_found")


async def test_what_belongs_to_a_damaged_stream_is_kept(machine: Machine) -> None:
    async with machine.fleet() as api:
        item = await api.session(REPOSITORY, isolationStrategy="worktree")
        ended = await api.send("DELETE", f"/api/sessions/{item['id']}?cleanupWorkspace=true")
        assert ended.status == 200
        hook = (await api.send("POST", "/api/webhooks", {"url": "https://hooks.example/x"})).json["webhook"]
    machine.views = MemoryStore()
    damage(machine, f"session-{item['id']}", 1, b"?")
    damage(machine, f"webhook-{hook['id']}", 1, b"?")
    async with machine.fleet() as api:
        (await api.send("GET", f"/api/sessions/{item['id']}")).problem(503, "event_damaged")
        assert (await api.send("GET", f"/api/workspaces/{item['workspaceId']}")).json["status"] == "removed"
        assert list(machine.webhook_secrets.targets) == [hook["id"]]


async def test_the_process_of_a_damaged_stream_is_not_stopped_at_a_start(machine: Machine) -> None:
    machine.policy = replace(machine.policy, leave_running=True)
    async with machine.fleet() as api:
        item = await api.session(PLAIN, initialPrompt="bash:60")
        await api.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    left = machine.world.living()
    assert [process.instance_id for process in left] == [item["instanceId"]]
    machine.views = MemoryStore()
    damage(machine, f"instance-{item['instanceId']}", 1, b"?")
    async with machine.fleet():
        assert machine.world.living() == left, "what is not known is not stopped"


async def test_readiness_names_the_damaged_stream(machine: Machine) -> None:
    async with machine.fleet() as api:
        item = await api.session(PLAIN)
    machine.views = MemoryStore()
    damage(machine, f"session-{item['id']}", 1, b"?")
    async with machine.fleet() as api:
        ready = (await api.send("GET", "/api/readyz")).json
        assert ready["status"] == "degraded"
        assert item["id"] in ready["reasons"][0]


async def test_damaged_content_has_a_code_of_its_own(machine: Machine) -> None:
    async with machine.fleet() as api:
        item = await api.session(REPOSITORY, isolationStrategy="worktree")
        machine.files.contents[item["directory"]] = {"a.txt": b"text\n"}
        await api.prompt(item["id"], "Hello")
        path = f"/api/sessions/{item['id']}/diffs"
        (change,) = (await api.send("GET", path)).json
        machine.disk.blobs[change["afterDigest"]] = b"other"
        (await api.send("GET", path)).problem(503, "content_damaged")
