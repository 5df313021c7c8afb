"""Parts of words are found: in identifiers, in numbers of versions, and in writing that has no spaces."""

import sqlite3
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.core.session.events import SessionErased, SessionStopped
from fleet.limits import HISTORY_WORDS_MAX
from fleet.projections.history_query import HistorySearch
from fleet.projections.history_vocabulary import SCHEMA, forget, learn, phrases, words_of
from tests.projections.sessions_log import SessionsLog
from tests.projections.test_history import find, running

CHINESE = "我们明天上午开会议讨论项目的进度"
KOREAN = "새로운 알림을 보내는 기능을 추가했습니다"
JAPANESE = "テストの結果を確認してください"
THAI = "เราจะประชุมพรุ่งนี้เช้า"
CODE = "class UserNameField(Field): pass  # since v1.18.33, see find_by_email in Straße.PY"


async def world_of(*texts: str) -> SessionsLog:
    world = SessionsLog()
    for n, text in enumerate(texts):
        await world.create(f"s{n}", "x")
        await world.part(f"s{n}", "p", text)
    return world


@pytest.mark.parametrize(
    ("text", "search"),
    [
        (CHINESE, "会议"),
        (CHINESE, "会"),
        (CHINESE, "会议讨论"),
        (CHINESE, "明天 进度"),
        (CHINESE, "进度"),
        (KOREAN, "알림"),
        (KOREAN, "기능"),
        (unicodedata.normalize("NFD", KOREAN), "알림"),
        (KOREAN, unicodedata.normalize("NFD", "알림")),
        (JAPANESE, "結果"),
        (JAPANESE, "確認"),
        (THAI, "ประชุม"),
        (CODE, "Name"),
        (CODE, "namef"),
        (CODE, "NAME"),
        (CODE, "1.18"),
        (CODE, "8.33"),
        (CODE, "email"),
        (CODE, "by_e"),
        (CODE, "traße"),
        (CODE, "Name 18.33"),
    ],
)
async def test_part_of_a_word_is_found_and_marked(text: str, search: str) -> None:
    async with running(await world_of("nothing of it", text)) as history:
        [found] = (await history.search(HistorySearch(search))).sessions
    assert (found.id, found.snippet is not None and found.snippet.kind) == ("s1", "answer")
    assert found.snippet is not None
    assert found.snippet.hits


@pytest.mark.parametrize("search", ["议会", "会议x", "知らせ", "1.19", "NameUser", "emails", "림알"])
async def test_words_in_no_text_are_not_found(search: str) -> None:
    async with running(await world_of(CHINESE, KOREAN, JAPANESE, CODE)) as history:
        assert await find(history, search) == []


@pytest.mark.parametrize(
    "search", ["1.18", "8.3", "v1.18.3", "by_e", "by_email in str", "me field", "lue siz", "户 值s"]
)
async def test_part_is_found_although_many_words_contain_it(search: str) -> None:
    counted = range(HISTORY_WORDS_MAX + 9)
    many = [" ".join(f"{n}{part}" for n in counted) for part in ("1", "8", "by", "me", "lue", "siz", "户", "值")]
    async with running(await world_of(*many, f"{CODE} userValue valueSize 用户e 的值s", *many)) as history:
        assert await find(history, search) == [f"s{len(many)}"]


async def test_short_part_in_a_word_is_found_if_no_word_begins_with_it() -> None:
    async with running(await world_of("nothing", "the userDB and its userID")) as history:
        assert [await find(history, search) for search in ("db", "ID", "rd", "db the", "db x")] == [["s1"]] * 4 + [[]]


async def test_parts_that_many_words_contain_are_found_in_one_text() -> None:
    many = [" ".join(f"{part}{n}" for n in range(HISTORY_WORDS_MAX + 9)) for part in ("name", "size")]
    async with running(await world_of(*many, "the longUserNameOfAll and theLongSizeOfAll", *many)) as history:
        assert await find(history, "name size") == ["s2"]
        assert await find(history, "size name the") == ["s2"]
        assert await find(history, "size name other") == []


async def test_each_session_is_found_once_by_words_and_parts() -> None:
    world = await world_of("the name", "a UserName", "other", "Names of names", "UserName and name")
    await world.append("s1", SessionStopped(evidence="", at_ms=9))
    async with running(world) as history:
        assert await find(history, "name") == ["s4", "s3", "s1", "s0"]
        assert await find(history, "name", limit=2, offset=1) == ["s3", "s1"]
        assert await find(history, "name", statuses=("stopped",)) == ["s1"]
        assert (await history.search(HistorySearch("name", limit=1))).total == 4


async def test_changed_or_erased_text_is_not_found(tmp_path: Path) -> None:
    world = await world_of(CHINESE, CODE)
    file = tmp_path / "history.sqlite"
    async with running(world, file) as history:
        assert (await find(history, "会议"), await find(history, "serNam")) == (["s0"], ["s1"])
        await world.part("s0", "p", KOREAN)
        assert (await find(history, "会议"), await find(history, "알림")) == ([], ["s0"])
        await world.append("s1", SessionStopped(evidence="", at_ms=9), SessionErased(at_ms=9))
        assert await find(history, "serNam") == []
        await world.append("s0", SessionStopped(evidence="", at_ms=9), SessionErased(at_ms=9))
        assert await find(history, "알림") == []
        tables = ("words", "pieces", "signs")
        assert history._store._sql.execute("SELECT count(*) FROM vocabulary").fetchone() == (0,)
        blocks = [history._store._sql.execute(f"SELECT block FROM {table}_data").fetchall() for table in tables]
    left = b"".join(block for rows in blocks for [block] in rows) + b"".join(map(Path.read_bytes, tmp_path.iterdir()))
    for erased in ("用", "会议", "알", "usern", "field"):
        assert erased.encode() not in left


@given(st.text("aBcß1.-_ é会議알림ข", min_size=1, max_size=30), st.data())
def test_every_part_of_a_word_is_found_and_forgotten(text: str, data: st.DataObject) -> None:
    words = words_of(text)
    if not words:
        return
    word = data.draw(st.sampled_from(words))
    start = data.draw(st.integers(0, len(word) - 1))
    part = word[start : start + data.draw(st.integers(1, 6))]
    sql = sqlite3.connect(":memory:")
    sql.executescript(f"CREATE VIRTUAL TABLE words USING fts5(text); {SCHEMA}")
    learn(sql, text)
    if len(part) > 2 or all(each in "会議알림ข" for each in part):
        assert part == word or f'"{word}"' in phrases(sql, part)
    forget(sql, text)
    assert [sql.execute(f"SELECT count(*) FROM {each}").fetchone() for each in ("vocabulary", "pieces")] == [(0,), (0,)]
    assert phrases(sql, part) == []
    sql.close()


def test_word_stays_while_another_text_has_it() -> None:
    sql = sqlite3.connect(":memory:")
    sql.executescript(f"CREATE VIRTUAL TABLE words USING fts5(text); {SCHEMA}")
    sql.execute("INSERT INTO words VALUES ('the UserName')")
    for text in ("the UserName", "another UserName"):
        learn(sql, text)
    forget(sql, "another UserName")
    assert [phrases(sql, part) for part in ("Name", "other")] == [['"username"'], []]
    sql.close()
