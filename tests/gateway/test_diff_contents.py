"""Diffs without contents, and each content by its digest: of recorded turns, of a running one, and of no other one."""

import base64
from typing import Any

import pytest
import trio

from fleet.core.session.turn_events import ChangesRecorded
from fleet.events.blobs import name_of
from tests.gateway.machine import NOWHERE, REPOSITORY, Answer, Api, Machine
from tests.gateway.test_diffs import begun, changed, diffs, write


async def content(api: Api, session_id: str, digest: str, **headers: str) -> Answer:
    return await api.send("GET", f"/api/sessions/{session_id}/blobs/{digest}", **headers)


def side(change: dict[str, Any], name: str) -> bytes | None:
    """Return a side of a change as bytes, as a diff with contents has it."""
    given = change[name]
    return None if given is None else base64.b64decode(given) if change["encoding"] == "base64" else given.encode()


@pytest.fixture
async def item(api: Api) -> dict[str, Any]:
    return await api.session(REPOSITORY, isolationStrategy="worktree")


async def test_a_diff_without_contents_names_them(machine: Machine, api: Api, item: dict[str, Any]) -> None:
    await changed(machine, api, item, a_txt=b"1\n", b_txt=b"caf\xe9\n")
    await changed(machine, api, item, a_txt=b"2\n", b_txt=None, c_txt=b"")
    for query in ("", "turn=1", "turn=2"):
        whole, listed = [await diffs(api, item["id"], f"?{query}{more}") for more in ("", "&contents=false")]
        assert listed.keys() == whole.keys()
        for name, change in listed.items():
            assert change == {**whole[name], "before": None, "after": None, "encoding": None}
            for at in ("before", "after"):
                expected, digest = side(whole[name], at), change[f"{at}Digest"]
                assert (digest is None) == (expected is None)
                if digest is not None:
                    assert (await content(api, item["id"], digest)).body == expected


async def test_a_content_never_changes_and_says_so(machine: Machine, api: Api, item: dict[str, Any]) -> None:
    await changed(machine, api, item, a_txt=b"<script>1</script>\n")
    digest = (await diffs(api, item["id"]))["a.txt"]["afterDigest"]
    answer = await content(api, item["id"], digest)
    assert (answer.status, answer.body) == (200, b"<script>1</script>\n")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert answer.headers["etag"] == f'"{digest}"'
    for known in (f'"{digest}"', f'W/"{digest}"', f'"other", "{digest}"', "*"):
        again = await content(api, item["id"], digest, If_None_Match=known)
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", f'"{digest}"')
    assert (await content(api, item["id"], digest, If_None_Match='"other"')).status == 200


async def test_only_contents_that_the_session_s_own_diffs_name_can_be_read(
    machine: Machine, api: Api, item: dict[str, Any]
) -> None:
    other = await api.session(REPOSITORY, isolationStrategy="worktree")
    await changed(machine, api, item, a_txt=b"mine\n")
    await changed(machine, api, other, a_txt=b"theirs\n")
    theirs = (await diffs(api, other["id"]))["a.txt"]["afterDigest"]
    stream = api.fleet.views.sessions.stream(item["id"])
    (record,) = [e.event for e in api.fleet.log.read_stream(stream) if isinstance(e.event, ChangesRecorded)]
    assert api.fleet.blobs.owns(stream, record.turn_manifest)
    for digest in (theirs, record.turn_manifest, name_of(b"never"), "x", "A" * 64, theirs.upper()):
        refused = await content(api, item["id"], digest)
        assert refused.problem(404, "blob_not_found")["hint"]
        (await content(api, item["id"], digest, If_None_Match="*")).problem(404, "blob_not_found")
    (await content(api, NOWHERE, theirs)).problem(404, "session_not_found")
    (await content(api, item["id"], f"{theirs}?instanceId={NOWHERE}")).problem(404, "instance_not_found")


@pytest.mark.parametrize("strategy", ["existing", "worktree"])
async def test_contents_of_a_running_turn_can_be_read(machine: Machine, api: Api, strategy: str) -> None:
    item = await api.session(REPOSITORY, isolationStrategy=strategy)
    await changed(machine, api, item, a_txt=b"1\n")
    await begun(api, item["id"], "hang")
    kept = dict(machine.disk.blobs)
    write(machine, item, b_txt=b"live\n")
    live = (await diffs(api, item["id"], "?contents=false"))["b.txt"]["afterDigest"]
    other = await api.session(REPOSITORY, isolationStrategy="worktree")
    (await content(api, other["id"], live)).problem(404, "blob_not_found")
    write(machine, item, b_txt=b"later\n")
    assert (await content(api, item["id"], live)).body == b"live\n"
    assert machine.disk.blobs == kept
    await api.send("DELETE", f"/api/sessions/{item['id']}?permanent=true")
    (await content(api, item["id"], live)).problem(410, "erased")
    assert api.fleet.diffs.live.get(api.fleet.views.sessions.stream(item["id"]), live) is None


async def test_a_diff_that_is_asked_for_during_an_erasure_leaves_nothing(machine: Machine, api: Api) -> None:
    item = await api.session(REPOSITORY, isolationStrategy="worktree")
    await begun(api, item["id"], "hang")
    write(machine, item, a_txt=b"secret\n")
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(api.send, "GET", f"/api/sessions/{item['id']}/diffs?contents=false")
            await trio.lowlevel.checkpoint()
        await api.send("DELETE", f"/api/sessions/{item['id']}?permanent=true")
    stream = api.fleet.views.sessions.stream(item["id"])
    assert api.fleet.diffs.live.get(stream, name_of(b"secret\n")) is None


async def test_the_version_differs_where_the_diff_does(machine: Machine, api: Api, item: dict[str, Any]) -> None:
    async def version(query: str = "") -> str:
        answer = await api.send("GET", f"/api/sessions/{item['id']}/diffs{query}")
        return answer.headers["fleet-tree"]

    empty = await version()
    await changed(machine, api, item, a_txt=b"1\n")
    first = await version()
    assert first not in ("", empty)
    assert await version("?turn=1") == await version("?contents=false") == first
    await begun(api, item["id"], "bash:5")
    assert await version() == first
    write(machine, item, b_txt=b"2\n")
    live = await version()
    assert live != first
    await api.settled(item["id"])
    assert await version() == live  # what was live is recorded, and the same
    assert await version("?turn=1") == first
