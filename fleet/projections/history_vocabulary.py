"""The vocabulary of the history finds words that contain a search term, as in identifiers or text without spaces.

    vocabulary  id, word     each searched word once, case-folded
    pieces      FTS5         the trigrams of each word, for parts of three or more characters
    signs       FTS5         the single signs of words in scripts without spaces, for parts of one or two signs

So a search for a part becomes a search for the words that contain it, which uses the index of whole words
(history_store.py). Where too many words contain it, those of the texts themselves are used (history_scan.py). A word is
removed with the last text that has it. Both indexes store no content, so a deletion must repeat the inserted text.
"""

import re
import sqlite3
from collections.abc import Iterable
from typing import Final

from fleet.limits import HISTORY_WORD_CHARS_MAX, HISTORY_WORDS_MAX
from fleet.projections.history_scan import folded, phrases_in_texts

SCHEMA: Final = """
CREATE TABLE vocabulary (id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE);
CREATE VIRTUAL TABLE pieces USING fts5(word, content = '', tokenize = 'trigram', detail = none);
CREATE VIRTUAL TABLE signs USING fts5(word, content = '');
"""
INDEXES: Final = ("pieces", "signs")

_TRIGRAM: Final = 3
_WORD: Final = re.compile(r"[^\W_]+")  # as in the tokenizer of the index of words, except for single marks
_SIGN: Final = (
    "\u0e00-\u0fff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff"  # Thai, Lao, Tibetan, Burmese, Hangul's letters, Khmer
    "\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"  # Kana, Hangul's letters, Han
    "\uac00-\ud7ff\uf900-\ufaff\uff66-\uffdc\U00020000-\U0003ffff"  # Hangul, Han, half-width Kana and Hangul, Han
)
_SIGNS: Final = re.compile(f"[{_SIGN}]")


def words_of(text: str) -> list[str]:
    """Return the words of a text in order, in lower case and without accents."""
    return _WORD.findall(folded(text))


def learn(sql: sqlite3.Connection, text: str) -> None:
    """Add the words of a text."""
    for word in set(words_of(text)):
        if len(word) > HISTORY_WORD_CHARS_MAX:
            continue
        added = sql.execute("INSERT OR IGNORE INTO vocabulary (word) VALUES (?)", (word,))
        if added.rowcount:
            sql.execute("INSERT INTO pieces (rowid, word) VALUES (?, ?)", (added.lastrowid, word))
            if signs := _signs(word):
                sql.execute("INSERT INTO signs (rowid, word) VALUES (?, ?)", (added.lastrowid, signs))


def forget(sql: sqlite3.Connection, text: str) -> None:
    """Remove the words that were only in this text, which is already removed from the index of words."""
    for word in set(words_of(text)):
        [known] = sql.execute("SELECT max(id) FROM vocabulary WHERE word = ?", (word,)).fetchone()
        if known is None or sql.execute("SELECT 1 FROM words WHERE words MATCH ? LIMIT 1", (f'"{word}"',)).fetchone():
            continue
        sql.execute("DELETE FROM vocabulary WHERE id = ?", (known,))
        sql.execute("INSERT INTO pieces (pieces, rowid, word) VALUES ('delete', ?, ?)", (known, word))
        if signs := _signs(word):
            sql.execute("INSERT INTO signs (signs, rowid, word) VALUES ('delete', ?, ?)", (known, signs))


def _signs(word: str) -> str:
    return " ".join(_SIGNS.findall(word))


def phrases(sql: sqlite3.Connection, term: str) -> list[str]:
    """Return FTS5 phrases of texts that contain the term inside words; none when whole words are enough."""
    words = words_of(term)
    if len(words) == 1:
        return _others(_holding(sql, words[0]), words[0])
    if not words or len(words[0]) > HISTORY_WORD_CHARS_MAX:
        return []
    rest = " ".join(words[1:])
    beginning = "*" if term[-1:].isalnum() else ""
    ending = _ending(sql, words[0])
    if len(ending) < HISTORY_WORDS_MAX:
        return [f'"{each} {rest}"{beginning}' for each in ending]
    [found] = phrases_in_texts(sql, f'"{rest}"{beginning}', [term])
    return found


def short_phrases(sql: sqlite3.Connection, term: str) -> list[str]:
    """Return the phrases of a term, those of a part of one or two letters included."""
    words = words_of(term)
    if len(words) != 1 or len(words[0]) >= _TRIGRAM or _SIGNS.search(words[0]):
        return phrases(sql, term)
    rows = sql.execute(
        "SELECT word FROM vocabulary WHERE instr(word, ?) ORDER BY length(word) LIMIT ?", (words[0], HISTORY_WORDS_MAX)
    )
    return _others([word for [word] in rows], words[0])


def _others(found: Iterable[str], word: str) -> list[str]:
    return [f'"{each}"' for each in found if each != word]


def _holding(sql: sqlite3.Connection, part: str) -> Iterable[str]:
    """Return words that contain the part, the shortest first."""
    if len(part) >= _TRIGRAM:
        last = len(part) - _TRIGRAM
        trigrams = dict.fromkeys(part[at : at + _TRIGRAM] for at in (*range(0, last, _TRIGRAM), last))
        return _found(sql, "pieces", " AND ".join(f'"{each}"' for each in trigrams), part)
    if _SIGNS.search(part):
        return _found(sql, "signs", f'"{_signs(part)}"', part)
    return ()  # most words contain one or two given letters: `short_phrases`


def _found(sql: sqlite3.Connection, index: str, expression: str, part: str) -> list[str]:
    rows = sql.execute(
        f"SELECT v.word FROM {index} i JOIN vocabulary v ON v.id = i.rowid "  # noqa: S608 - constants
        f"WHERE i.{index} MATCH ? AND instr(v.word, ?) ORDER BY length(v.word) LIMIT ?",
        (expression, part, HISTORY_WORDS_MAX),
    )
    return [word for [word] in rows]


def _ending(sql: sqlite3.Connection, part: str) -> list[str]:
    """Return words that end with the part."""
    if len(part) >= _TRIGRAM or _SIGNS.search(part):
        return [word for word in _holding(sql, part) if word.endswith(part)]
    rows = sql.execute(
        "SELECT word FROM vocabulary WHERE substr(word, ?) = ? LIMIT ?", (-len(part), part, HISTORY_WORDS_MAX)
    )
    return [word for [word] in rows]
