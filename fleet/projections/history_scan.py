"""Finds the words that contain parts of words by reading texts, where the vocabulary has too many such words.

All functions may raise `sqlite3.Error`.
"""

import re
import sqlite3
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

from fleet.limits import HISTORY_SCAN_TEXTS_MAX, HISTORY_WORD_CHARS_MAX, HISTORY_WORDS_MAX

_MARKS: Final = re.compile("[\u0300-\u036f]+")
_WORD: Final = re.compile(r"[^\W_]+")
_BEGINNING: Final = re.compile(r"[^\W_]*\Z")
_END: Final = re.compile(r"[^\W_]*")


def folded(text: str) -> str:
    """Return a text in lower case and without accents."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize("NFD", text)))
    return text.lower()


def phrases_in_texts(sql: sqlite3.Connection, expression: str, terms: Sequence[str]) -> list[list[str]]:
    """Return for each term the FTS5 phrases that contain it, in the newest texts that contain all terms.

    `expression` is what the texts match besides; "" for all texts. The first texts are enough when a term has
    `HISTORY_WORDS_MAX` phrases. Without phrases, no text contains all terms.
    """
    found = [dict[str, None]() for _ in terms]
    patterns = [re.compile(re.escape(folded(term))) for term in terms]
    for [text] in _texts(sql, expression):
        plain = folded(text)
        each = [dict.fromkeys(_phrases(pattern, plain)) for pattern in patterns]
        if not all(each):
            continue
        for known, more in zip(found, each, strict=True):
            known.update(more)
        if any(len(known) >= HISTORY_WORDS_MAX for known in found):
            break
    return [list(known)[:HISTORY_WORDS_MAX] for known in found]


def _texts(sql: sqlite3.Connection, expression: str) -> Iterator[tuple[str]]:
    newest = "ORDER BY rowid DESC LIMIT ?"
    if not expression:
        return sql.execute(f"SELECT text FROM words {newest}", (HISTORY_SCAN_TEXTS_MAX,))  # noqa: S608 - constants
    return sql.execute(
        f"SELECT text FROM words WHERE words MATCH ? {newest}",  # noqa: S608 - constants
        (expression, HISTORY_SCAN_TEXTS_MAX),
    )


def _phrases(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    """Yield the phrases of whole words that contain the hits of a pattern."""
    for hit in pattern.finditer(text):
        start = max(0, hit.start() - HISTORY_WORD_CHARS_MAX - 1)
        before = _BEGINNING.search(text, start, hit.start())
        after = _END.match(text, hit.end(), hit.end() + HISTORY_WORD_CHARS_MAX + 1)
        beginning, end = before[0] if before else "", after[0] if after else ""
        if len(beginning) + len(end) <= HISTORY_WORD_CHARS_MAX:
            yield f'"{" ".join(_WORD.findall(beginning + hit[0] + end))}"'
