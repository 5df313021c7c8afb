"""What the history finds, and that it finds the same after a restart, a rebuild, and an erasure."""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio
from trio.testing import MockClock

import fleet.projections.history_store
from fleet.core.session.events import SessionEdited, SessionErased, SessionStopped
from fleet.core.session.turn_events import MessageRecorded, PartRecorded, PromptAccepted, PromptWithdrawn
from fleet.errors import Rejected, Unavailable
from fleet.events.envelope import Cause
from fleet.limits import HISTORY_LAG_S
from fleet.projections.history import History, inline
from fleet.projections.history_page import HistoryPage
from fleet.projections.history_query import HistorySearch
from fleet.projections.history_store import HistoryStore
from tests.projections.sessions_log import DAY_MS, SessionsLog


@asynccontextmanager
async def running(
    world: SessionsLog, file: Path | None = None, *, threads: bool = False
) -> AsyncGenerator[History, None]:
    history = History(world.log, world.feed, file, run_sync=None if threads else inline)
    stopping = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(history.run, stopping)
        yield history
        stopping.set()


async def two_sessions() -> SessionsLog:
    world = SessionsLog()
    await world.create("one", "Implement the login", DAY_MS)
    await world.prompt("one", "p1", "Add error handling to the endpoint")
    await world.part("one", "prt_a", "I changed Zürich's handler in auth.py")
    await world.tool("one", "prt_t", {"input": {"command": "pytest -k tokens"}, "output": "42 passed"})
    await world.end_turn("one")
    await world.create("two", "Write the manual", 2 * DAY_MS)
    return world


def ids(page: HistoryPage) -> list[str]:
    return [found.id for found in page.sessions]


async def find(history: History, search: str, **fields: object) -> list[str]:
    return ids(await history.search(HistorySearch(search, **fields)))  # type: ignore[arg-type] # any field of it


@pytest.mark.parametrize(
    ("search", "kind"),
    [
        ("login", "title"),
        ("LOGIN", "title"),
        ("endpoint", "prompt"),
        ("endpoint error", "prompt"),
        ('"error handling"', "prompt"),
        ("zurich", "answer"),
        ("auth.py", "answer"),
        ("chan", "answer"),
        ("tokens", "tool"),
        ("passed", "tool"),
        ("bash", "tool"),
    ],
)
async def test_words_are_found_in_their_texts(search: str, kind: str) -> None:
    async with running(await two_sessions()) as history:
        [found] = (await history.search(HistorySearch(search))).sessions
    assert (found.id, found.status, found.title) == ("one", "idle", "Implement the login")
    assert found.created_at_ms == DAY_MS
    assert found.snippet is not None
    assert found.snippet.kind == kind
    hits = [found.snippet.text[start:end] for start, end in found.snippet.hits]
    assert hits


async def test_the_snippet_says_where_the_hits_are() -> None:
    world = SessionsLog()
    await world.create("s", "x")
    await world.part("s", "p", "word " * 100 + "😀 the \2needle\3 in a «haystack» " + "word " * 100)
    async with running(world) as history:
        [found] = (await history.search(HistorySearch("needle haystack"))).sessions
    assert found.snippet is not None
    assert [found.snippet.text[start:end] for start, end in found.snippet.hits] == ["needle", "haystack"]
    assert found.snippet.text.startswith("…")
    assert len(found.snippet.text) < 150


@pytest.mark.parametrize("search", ['"handling error"', "endpoint manual", "in log out", "***", '""', "a:b OR"])
async def test_missing_words_are_not_found(search: str) -> None:
    async with running(await two_sessions()) as history:
        assert await history.search(HistorySearch(search)) == HistoryPage((), 0, history.position)


async def test_without_a_search_all_are_listed_newest_first() -> None:
    async with running(await two_sessions()) as history:
        page = await history.search(HistorySearch())
        assert (ids(page), page.total) == (["two", "one"], 2)
        assert page.sessions[0].snippet is None
        assert ids(await history.search(HistorySearch(limit=1, offset=1))) == ["one"]
        assert (await history.search(HistorySearch(limit=1))).total == 2


async def test_filters_narrow_down_with_and_without_words() -> None:
    world = await two_sessions()
    await world.prompt("two", "p2", "the login too")
    async with running(world) as history:
        for search in ("", "login"):
            assert await find(history, search) == ["two", "one"]
            assert await find(history, search, statuses=("idle",)) == ["one"]
            assert await find(history, search, statuses=("idle", "active")) == ["two", "one"]
            assert await find(history, search, statuses=("error",)) == []
            assert await find(history, search, from_ms=2 * DAY_MS) == ["two"]
            assert await find(history, search, to_ms=DAY_MS) == ["one"]
            assert await find(history, search, from_ms=DAY_MS, to_ms=2 * DAY_MS) == ["two", "one"]
            assert await find(history, search, limit=1, offset=1) == ["one"]


async def test_a_session_with_many_hits_is_found_once() -> None:
    world = SessionsLog()
    for name in ("one", "two"):
        await world.create(name, "the same word")
        for n in range(5):
            await world.part(name, f"p{n}", f"word {n}")
    async with running(world) as history:
        page = await history.search(HistorySearch("word"))
    assert (ids(page), page.total) == (["two", "one"], 2)
    assert page.sessions[0].snippet is not None
    assert page.sessions[0].snippet.text == "word 4"


async def test_the_last_write_of_a_part_wins_and_titles_change() -> None:
    world = await two_sessions()
    await world.part("one", "prt_a", "something else")
    await world.append("one", SessionEdited(title="A better name", tags=(), at_ms=5))
    async with running(world) as history:
        for gone in ("zurich", "login"):
            assert await find(history, gone) == []
        assert await find(history, "something else") == ["one"]
        assert await find(history, "better") == ["one"]


async def test_withdrawn_prompt_is_not_found() -> None:
    world = await two_sessions()
    await world.append("one", PromptAccepted(prompt_id="late", text="the withdrawn one", at_ms=5))
    async with running(world) as history:
        assert await find(history, "withdrawn") == ["one"]
        await world.append("one", PromptWithdrawn(prompt_id="late", reason="", at_ms=6))
        assert await find(history, "withdrawn") == []
        rows = history._store._sql.execute("SELECT kind FROM texts WHERE key = 'prt_p1'").fetchall()
    assert rows == [("prompt",)]


async def test_reasoning_files_and_unexpected_parts_have_no_words() -> None:
    world = await two_sessions()
    await world.json("one", "r", "reasoning", {"type": "reasoning", "text": "secretly"})
    await world.json("one", "x", "text", {"type": "text", "text": 7})
    await world.json("one", "y", "text", ["no", "object"])
    for n, state in enumerate([None, 7, {"input": [{"deep": ["deeper"]}]}, {"output": 7, "error": "broke"}]):
        await world.tool("one", f"t{n}", state)
    async with running(world) as history:
        assert await find(history, "secretly") == []
        assert await find(history, "deeper") == ["one"]
        assert await find(history, "broke") == ["one"]


async def test_only_the_beginning_of_a_long_text_is_searched() -> None:
    world = await two_sessions()
    await world.part("one", "long", "begins " + "é" * 100_000 + " ends")
    async with running(world) as history:
        assert await find(history, "begins") == ["one"]
        assert await find(history, "ends") == []


@pytest.mark.parametrize("threads", [True, False])
async def test_search_includes_the_last_append(tmp_path: Path, threads: bool) -> None:
    world = await two_sessions()
    async with running(world, tmp_path / "history.sqlite", threads=threads) as history:
        for n in range(20):
            await world.create(f"s{n}", f"number{n}")
            assert await find(history, f"number{n}") == [f"s{n}"]
            await world.log.append(f"instance-{n}", 0, [SessionStopped(evidence="", at_ms=1)], Cause())
            assert (await history.search(HistorySearch())).total == n + 3


async def test_a_prompt_is_indexed_a_moment_later_or_when_a_search_wants_it(autojump_clock: MockClock) -> None:
    world = await two_sessions()
    async with running(world) as history:
        await find(history, "login")
        for number, lag_s in enumerate((HISTORY_LAG_S / 2, HISTORY_LAG_S * 2)):
            before = history.position
            await world.prompt("one", f"later-{number}", "Rename the lexicon")
            await world.prompt("one", f"last-{number}", "Sort the thesaurus")
            await trio.sleep(lag_s)
            assert history.position == (before if lag_s < HISTORY_LAG_S else world.log.head())
            assert await find(history, "thesaurus") == ["one"]
    assert autojump_clock.current_time() < 4 * HISTORY_LAG_S


async def test_erased_text_is_not_found_live_or_after_a_rebuild(tmp_path: Path) -> None:
    world = await two_sessions()
    async with running(world, tmp_path / "history.sqlite") as history:
        assert await find(history, "login") == ["one"]
    await world.log.erase("session-one")
    async with running(world, tmp_path / "rebuilt.sqlite") as history:
        assert (await find(history, ""), await find(history, "login")) == (["two"], [])
    again = SessionsLog(world.disk)
    await again.append("one", SessionStopped(evidence="", at_ms=9))
    await again.log.erase("session-one")
    async with running(again, tmp_path / "history.sqlite") as history:
        assert (await find(history, ""), await find(history, "login")) == (["two"], [])
        assert history._store._sql.execute("SELECT count(*) FROM texts").fetchone() == (1,)
    assert b"Z\xc3\xbcrich" not in (tmp_path / "history.sqlite").read_bytes()


async def test_files_contain_no_erased_words(tmp_path: Path) -> None:
    world = await two_sessions()

    def bytes_of_all_files() -> bytes:
        return b"".join(file.read_bytes() for file in sorted(tmp_path.iterdir()))

    async with running(world, tmp_path / "history.sqlite") as history:
        assert await find(history, "endpoint") == ["one"]
        assert b"endpoint" in bytes_of_all_files()
        await world.append("one", SessionStopped(evidence="", at_ms=9), SessionErased(at_ms=9))
        assert await find(history, "endpoint") == []
        assert b"endpoint" not in bytes_of_all_files()
        assert await find(history, "manual") == ["two"]


async def test_crash_before_the_journal_is_emptied_leaves_no_erased_words(tmp_path: Path) -> None:
    world = await two_sessions()
    store = HistoryStore(tmp_path / "history.sqlite")
    store.open(0)
    store.apply(list(world.log.read_all()), world.log.head())
    with pytest.MonkeyPatch.context() as crash:
        crash.setattr(store, "_empty_journal", lambda: None)
        await world.append("one", SessionStopped(evidence="", at_ms=9), SessionErased(at_ms=9))
        store.apply(list(world.log.read_all())[-2:], world.log.head())
    assert b"endpoint" in (tmp_path / "history.sqlite-wal").read_bytes()
    again = HistoryStore(tmp_path / "history.sqlite")
    again.open(world.log.head())
    assert b"endpoint" not in (tmp_path / "history.sqlite-wal").read_bytes()
    again.close()
    store.close()


@pytest.mark.parametrize("message_first", [True, False])
async def test_prompt_without_a_turn_is_found_as_a_prompt(message_first: bool) -> None:
    world = await two_sessions()
    asked = MessageRecorded(
        message_id="msg_steered", opencode_id="ses_one", role="user", at_ms=5, body=msgspec.Raw(b"{}")
    )
    part = PartRecorded(
        part_id="prt_steered",
        message_id="msg_steered",
        type="text",
        at_ms=5,
        body=msgspec.Raw(b'{"type":"text","text":"go left"}'),
    )
    await world.append("one", *((asked, part) if message_first else (part, asked)))
    await world.append(
        "one",
        MessageRecorded(message_id="msg_1", opencode_id="ses_one", role="assistant", at_ms=5, body=msgspec.Raw(b"{}")),
    )
    async with running(world) as history:
        for search, kind in (("left", "prompt"), ("zurich", "answer"), ("endpoint", "prompt")):
            [found] = (await history.search(HistorySearch(search))).sessions
            assert found.snippet is not None
            assert found.snippet.kind == kind


async def test_a_rebuilt_model_answers_as_the_live_one(tmp_path: Path) -> None:
    world = SessionsLog()
    queries = [HistorySearch(), HistorySearch("login"), HistorySearch("e"), HistorySearch("passed", ("idle",))]
    async with running(world, tmp_path / "live.sqlite") as live:
        filled = await two_sessions()
        for recorded in filled.log.read_all():
            await world.append(recorded.stream.removeprefix("session-"), recorded.event)
            await live.search(queries[0])
        answers = [await live.search(query) for query in queries]
    async with running(world, tmp_path / "rebuilt.sqlite") as rebuilt:
        assert [await rebuilt.search(query) for query in queries] == answers
    async with running(world, tmp_path / "live.sqlite") as reopened:
        assert [await reopened.search(query) for query in queries] == answers


@pytest.mark.parametrize("harm", ["garbage", "version", "ahead", "missing", "empty"])
async def test_unusable_model_is_rebuilt(tmp_path: Path, harm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "views" / "history.sqlite"
    world = await two_sessions()
    async with running(world, file) as history:
        assert await find(history, "login") == ["one"]
    if harm == "garbage":
        file.write_bytes(b"not a database at all" * 1000)
    elif harm == "version":
        monkeypatch.setattr(fleet.projections.history_store, "VERSION", 99)
    elif harm == "ahead":
        world = SessionsLog()
        await world.create("other", "The login of another log")
    elif harm == "missing":
        file.unlink()
    else:
        file.write_bytes(b"")
    async with running(world, file) as history:
        assert await find(history, "login") == (["other"] if harm == "ahead" else ["one"])


async def test_damage_found_by_a_search_is_repaired(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    file = tmp_path / "history.sqlite"
    world = await two_sessions()
    async with running(world, file) as history:
        await history.search(HistorySearch())
        history._store._sql.execute("DROP TABLE texts")
        history._store._sql.execute("CREATE TABLE texts (number INTEGER CHECK (number < 0), key, row, kind, message)")
        await world.part("two", "p", "mended")  # an IntegrityError
        assert await find(history, "mended") == ["two"]
        assert await find(history, "login") == ["one"]


async def test_search_uses_a_model_that_does_not_catch_up(autojump_clock: MockClock) -> None:
    world = await two_sessions()
    history = History(world.log, world.feed, None, run_sync=inline)
    with pytest.raises(Unavailable) as unavailable:
        await history.search(HistorySearch())
    assert unavailable.value.code == "timed_out"
    history._store.open(0)
    assert await history.search(HistorySearch()) == HistoryPage((), 0, 0)
    history._store.close()


async def test_history_continues_after_a_disk_error(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await two_sessions()
    apply, refusals = HistoryStore.apply, [sqlite3.OperationalError("database or disk is full")] * 3

    def full(store: HistoryStore, *arguments: object) -> None:
        if refusals:
            raise refusals.pop()
        apply(store, *arguments)  # type: ignore[arg-type] # as they came

    monkeypatch.setattr(HistoryStore, "apply", full)
    async with running(world, tmp_path / "history.sqlite") as history:
        await trio.sleep(60)
        assert history.position == world.log.head()
        assert await find(history, "login") == ["one"]
    assert refusals == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (HistorySearch("x" * 201), "search"),
        (HistorySearch(limit=0), "limit"),
        (HistorySearch(limit=101), "limit"),
        (HistorySearch(offset=-1), "offset"),
    ],
)
async def test_search_beyond_the_limits_is_rejected(query: HistorySearch, field: str) -> None:
    async with running(SessionsLog()) as history:
        with pytest.raises(Rejected) as rejected:
            await history.search(query)
    assert rejected.value.field == field
