"""Reading a long session holds up nothing else: between two checkpoints few events and bytes are read."""

import pytest

from fleet.limits import FEED_PAGE_EVENTS, KIB, RESPONSE_SLICE_BYTES, RESPONSE_SLICE_ITEMS
from tests.gateway.machine import REPOSITORY, Api, Machine
from tests.step_load import step_load

TURNS = 60
FILES_EACH = 5


async def long_session(machine: Machine) -> str:
    """Run a session whose stream takes several pages. The Fleet that ran it has ended, so nothing is in memory."""
    async with machine.fleet() as api:
        item = await api.session(REPOSITORY, isolationStrategy="worktree")
        for number in range(TURNS):
            contents = machine.files.contents.setdefault(item["directory"], {})
            contents |= {f"{number * FILES_EACH + name}.txt": b"x" * 2 * KIB for name in range(FILES_EACH)}
            await api.prompt(item["id"], f"Turn {number}")
        stream = api.fleet.views.sessions.stream(item["id"])
        assert len(api.fleet.log.read_stream(stream)) > 2 * FEED_PAGE_EVENTS
        return str(item["id"])


@pytest.mark.parametrize("path", ["diffs", "diffs?turn=3", "diffs?at=150", "diffs?contents=false", "todos"])
async def test_no_more_than_a_page_of_events_is_read_at_once(machine: Machine, path: str) -> None:
    session_id = await long_session(machine)
    async with machine.fleet() as api:
        await check_pages(api, session_id, path)


async def check_pages(api: Api, session_id: str, path: str) -> None:
    stream = api.fleet.views.sessions.stream(session_id)
    with step_load(api.fleet) as first:
        answer = await api.send("GET", f"/api/sessions/{session_id}/{path}")
    assert answer.status == 200
    assert len(api.fleet.log.read_stream(stream)) <= first.events
    assert first.events_max <= FEED_PAGE_EVENTS
    with step_load(api.fleet) as second:
        assert (await api.send("GET", f"/api/sessions/{session_id}/{path}")).body == answer.body
    assert second.events <= 1  # it looks whether there is more, and at the first event: the rest is known


async def test_a_fork_reads_no_more_than_a_page_of_events_at_once(machine: Machine) -> None:
    session_id = await long_session(machine)
    async with machine.fleet() as api:
        with step_load(api.fleet) as load:
            answer = await api.send("POST", f"/api/sessions/{session_id}/fork", {})
    assert answer.status == 200
    assert load.events > 2 * FEED_PAGE_EVENTS
    assert load.events_max <= FEED_PAGE_EVENTS


async def test_contents_are_read_a_few_files_at_a_time(machine: Machine) -> None:
    session_id = await long_session(machine)
    async with machine.fleet() as api:
        with step_load(api.fleet) as load:
            answer = await api.send("GET", f"/api/sessions/{session_id}/diffs")
        assert len(answer.json) == TURNS * FILES_EACH
    assert load.blob_bytes > 4 * load.blob_bytes_max
    assert load.blob_bytes_max < RESPONSE_SLICE_BYTES + RESPONSE_SLICE_ITEMS * 4 * KIB
