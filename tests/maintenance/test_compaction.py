"""What an erasure leaves on the disk: after a compaction no byte of the session's words, however they are packed."""

import errno
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import lmdb
import pytest
import trio
import zstandard
from trio.abc import Instrument
from trio.testing import MockClock

from fleet.errors import StartupError
from fleet.events.catalog import make_registry
from fleet.events.codec import SALT_BYTES
from fleet.events.dictionary import DICTIONARY
from fleet.events.lmdb_blobs import LmdbBlobs
from fleet.events.lmdb_log import LmdbLog
from fleet.events.rewriting import rewrite
from fleet.events.verify import verify
from fleet.limits import MIB
from fleet.maintenance.compaction import CompactedFile, compact
from fleet.projections.projections import Stores
from fleet.projections.store import LmdbViewStore
from tests.fakes.clock import FakeClock
from tests.fakes.opencode import FakeOpenCodeWorld
from tests.gateway.machine import REPOSITORY, Api, Machine

HOOK = "https://hook.example/"
WORDS = ("Xylophone", "xylophone", "unspeakable", "forbidden", "hidden-tag")
"""The words of the title, of the branch that is named after it, of prompt and answer, of the files, of the tag."""


@asynccontextmanager
async def fleet_on(directory: Path) -> AsyncGenerator[tuple[Machine, Api]]:
    """Run a Fleet on fakes whose log, blobs and views are real files."""
    async with trio.open_nursery() as nursery:
        machine = Machine(FakeOpenCodeWorld(nursery, lost_idle_chance=0, swallowed_term_chance=0))
        with (
            LmdbLog.open(directory, make_registry(), machine.clock) as log,
            LmdbBlobs(directory) as blobs,
            closing(LmdbViewStore(directory / "views", log.sealer)) as views,
        ):
            await nursery.start(log.run)
            history, index = (directory / "views" / name for name in ("history.sqlite", "index.sqlite"))
            stores = Stores(log, blobs, views, history, index, sealer=log.sealer)
            supervision, stopping = machine.supervision(stores), trio.Event()
            async with trio.open_nursery() as running:
                await running.start(supervision.run, stopping)
                yield machine, Api(supervision.fleet)
                stopping.set()
            log.stop()
        nursery.cancel_scope.cancel()


def texts(content: bytes) -> Iterator[bytes]:
    """Yield the content, and what each zlib and zstd stream and each compressed record in it holds."""
    yield content
    for at in offsets(content, b"\x80\x00"):  # the length of a header, with the flag of a compressed payload
        head = at + 4 + int.from_bytes(content[at + 2 : at + 4], "big") + SALT_BYTES
        try:
            yield zlib.decompressobj(-15, zdict=DICTIONARY).decompress(content[head : head + MIB])
        except zlib.error:
            continue
    for at in offsets(content, b"\x28\xb5\x2f\xfd"):
        try:
            yield zstandard.ZstdDecompressor().decompressobj().decompress(content[at:])
        except zstandard.ZstdError:
            continue
    for at in offsets(content, b"\x78"):
        if content[at : at + 2] in (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"):
            try:
                yield zlib.decompressobj().decompress(content[at:])
            except zlib.error:
                continue


def offsets(content: bytes, mark: bytes) -> Iterator[int]:
    at = content.find(mark)
    while at >= 0:
        yield at
        at = content.find(mark, at + 1)


def found(directory: Path) -> set[str]:
    """Return the words that are in any file of the data directory."""
    files = [file.read_bytes() for file in directory.rglob("*") if file.is_file()]
    return {word for content in files for text in texts(content) for word in WORDS if word.encode() in text}


def silent(*_: object) -> None:
    """Show no progress."""


def compacted(directory: Path) -> list[CompactedFile]:
    return list(compact(directory, silent))


def in_a_hurry(main: Callable[[], Awaitable[Any]], *, clock: Any, instruments: Sequence[Instrument]) -> Any:
    """Run on a clock that is ten times as fast: virtual time would not wait for the threads of LMDB."""
    return trio.run(main, clock=MockClock(rate=10), instruments=instruments)


@pytest.mark.trio(run=in_a_hurry)
async def test_erased_session_is_nowhere_in_a_compacted_data_directory(tmp_path: Path) -> None:
    async with fleet_on(tmp_path) as (machine, api):
        other = await api.session(REPOSITORY, title="Another", initialPrompt="Hello")
        machine.sender.script[HOOK] = ["silent"]
        assert (await api.send("POST", "/api/webhooks", {"url": HOOK})).status == 200
        item = await api.session(
            REPOSITORY,
            isolationStrategy="worktree",
            title="Xylophone",
            tags=["hidden-tag"],
            initialPrompt="unspeakable",
            onComplete={"notifySessionId": other["id"]},
        )
        machine.files.contents[item["directory"]] = {"a.txt": b"forbidden\n" * 200}
        await api.prompt(item["id"], "again unspeakable write")
        await api.send("PATCH", f"/api/sessions/{item['id']}", {"title": "Xylophone 2"}, Idempotency_Key="k")
        assert (await api.send("GET", "/api/sessions/history?search=unspeakable")).json
        with trio.fail_after(60):
            await api.fleet.views.sessions.wait(other["id"], lambda s: s.turns >= 2 and s.turn is None)
        await api.send("PATCH", f"/api/sessions/{other['id']}", {"tags": ["a"]}, Idempotency_Key="p")
        assert (await api.send("POST", f"/api/sessions/{other['id']}/fork", {}, Idempotency_Key="f")).status == 200
        for each in (other, item):
            assert (await api.send("GET", f"/api/sessions/{each['id']}/pack")).status == 200
        before = found(tmp_path)
        answer = await api.send("DELETE", f"/api/sessions/{item['id']}?permanent=true", Idempotency_Key="d")
        assert answer.json["erased"]
    assert before == set(WORDS)
    assert found(tmp_path), "the pages that were freed hold the words until they are used again"
    files = compacted(tmp_path)
    assert [file.name for file in files] == [
        "events.mdb",
        "blobs.mdb",
        "views/data.mdb",
        "views/history.sqlite",
        "views/index.sqlite",
    ]
    assert found(tmp_path) == set()
    async with fleet_on(tmp_path) as (_, api):
        assert verify(api.fleet.log).first_break is None
        assert (await api.send("GET", f"/api/sessions/{other['id']}")).json["title"] == "Another"
        (await api.send("GET", f"/api/sessions/{item['id']}")).problem(410, "erased")


def test_data_directory_of_a_running_server_is_not_compacted(tmp_path: Path) -> None:
    with LmdbLog.open(tmp_path, make_registry(), FakeClock()), pytest.raises(StartupError, match="in use"):
        compacted(tmp_path)
    with pytest.raises(StartupError, match=r"no events\.mdb"):
        compacted(tmp_path / "views")


@pytest.mark.parametrize("missing_pages", [0, 1])
def test_interrupted_rewriting_leaves_the_file_as_it_was(tmp_path: Path, missing_pages: int) -> None:
    """Also a file that is shorter than its pages: the next start has to see that."""
    file = tmp_path / "some.mdb"
    with closing(lmdb.open(str(file), subdir=False, lock=False, max_dbs=2)) as environment:
        table = environment.open_db(b"table")
        with environment.begin(write=True) as transaction:
            for number in range(10):
                transaction.put(b"%d" % number, b"value", db=table)
        with environment.begin(write=True) as transaction:  # frees pages at the end, which then may be missing
            transaction.put(b"9", bytes(64 * 1024), db=table)
        with environment.begin(write=True) as transaction:
            transaction.put(b"9", b"value", db=table)
        page_bytes = environment.stat()["psize"]
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size - missing_pages * page_bytes)
    before = file.read_bytes()
    (tmp_path / "some.mdb.compact").write_bytes(b"what a crash has left")

    def interrupt(_: int, __: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StartupError, match="free space on its disk"):
        rewrite(file, interrupt)
    assert file.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["some.mdb"]
    rewrite(file, silent)
    with closing(lmdb.open(str(file), subdir=False, lock=False, max_dbs=2)) as environment:
        table = environment.open_db(b"table")
        with environment.begin() as transaction:
            assert [bytes(key) for key, _ in transaction.cursor(table)] == [b"%d" % number for number in range(10)]
