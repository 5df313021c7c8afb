"""A small history of three people for tests of `fleet log`, written as a data directory and as an export.

Alice's first turn asks for permissions, and she answers "always"; Carol's prompt waits meanwhile and runs next. Bob
aborts the turn of another session.
"""

from pathlib import Path
from typing import NamedTuple

import trio
from trio.testing import MockClock

from fleet.actors.caller import Caller
from fleet.actors.prompt import NewPrompt
from fleet.actors.usecases.sessions import NewSession
from fleet.core.session.values import Answer, SessionSettings
from fleet.events.anchors import anchor_line
from fleet.events.blobs import unpack
from fleet.events.catalog import make_registry
from fleet.events.export import export_page
from fleet.events.import_log import import_records
from fleet.events.lmdb_blobs import LmdbBlobs
from tests.fakes.clock import EPOCH_MS, FakeClock
from tests.fakes.memory_log import KEY, MemoryDisk, MemoryLog
from tests.fakes.opencode import FakeOpenCodeWorld
from tests.gateway.machine import PLAIN, REPOSITORY, Api, Machine

ALICE, BOB, CAROL = "token:alice", "token:bob", "token:carol"


class History(NamedTuple):
    """Where the history is, and the sessions in it."""

    data_dir: Path
    export: Path
    asking: str
    aborted: str
    head: int


def write_sample(directory: Path) -> History:
    """Make the history and write it below the directory."""
    machine, (asking, aborted) = happen()
    disk = machine.disk
    data_dir, export = directory / "data", directory / "log.jsonl"
    data_dir.mkdir(mode=0o700)
    export.write_bytes(export_of(disk))
    import_records(data_dir, disk.records, EPOCH_MS)
    with LmdbBlobs(data_dir) as blobs:
        for owner, owned in disk.owned.items():
            trio.run(blobs.put, owner, [unpack(digest, disk.blobs[digest]) for digest in owned])
    return History(data_dir, export, asking, aborted, len(disk.records))


def export_of(disk: MemoryDisk) -> bytes:
    """Return the whole log as an export."""
    log, position, pages = MemoryLog(disk, make_registry(), FakeClock()), 0, list[bytes]()
    while position < log.head():
        page, position = export_page(log, position, log.head())
        pages.append(page)
    return b"".join((*pages, anchor_line(KEY.sign(*log.tip, EPOCH_MS))))


def happen() -> tuple[Machine, tuple[str, str]]:
    """Make the history; return what is left of the machine, and the ids of the sessions."""
    return trio.run(_happen, clock=MockClock(autojump_threshold=0))


async def _happen() -> tuple[Machine, tuple[str, str]]:
    async with trio.open_nursery() as nursery:
        machine = Machine(FakeOpenCodeWorld(nursery, lost_idle_chance=0, swallowed_term_chance=0))
        machine.world.disk = machine.files
        async with machine.fleet() as api:
            sessions = await _ask_twice(api), await _abort(api)
        nursery.cancel_scope.cancel()
    return machine, sessions


async def _create(api: Api, directory: str, title: str, actor: str) -> str:
    settings = SessionSettings(title=title, strategy="existing")
    made = await api.fleet.sessions.create(NewSession(directory, settings), Caller(actor, f"create-{title}"))
    return made.session.id


async def _prompt(api: Api, session_id: str, text: str, actor: str) -> None:
    caller = Caller(actor, f"request-of-{actor}")
    await api.fleet.sessions.prompt(session_id, NewPrompt(text), resume=False, caller=caller)


async def _ask_twice(api: Api) -> str:
    session_id = await _create(api, REPOSITORY, "Rate limit the login", ALICE)
    await _prompt(api, session_id, "Add a limit: ask write", ALICE)
    waiting = await api.fleet.views.sessions.wait(session_id, lambda state: bool(state.requests))
    await _prompt(api, session_id, "Also document it: write", CAROL)
    answer = Answer(reply="always")
    await api.fleet.sessions.answer(session_id, waiting.requests[0].id, answer, Caller(ALICE, "answer"))
    await api.settled(session_id)
    return session_id


async def _abort(api: Api) -> str:
    session_id = await _create(api, PLAIN, "Long build", ALICE)
    await _prompt(api, session_id, "bash:60", ALICE)
    await api.fleet.views.sessions.wait(session_id, lambda state: state.turn is not None and state.turn.delivered)
    await api.fleet.sessions.abort(session_id, Caller(BOB, "abort"))
    await api.settled(session_id)
    return session_id
