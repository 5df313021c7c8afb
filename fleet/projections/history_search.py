"""Searches the tables of the history (history_store.py). All functions may raise `sqlite3.Error`."""

import sqlite3
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

from fleet.limits import HISTORY_COUNT_MAX, HISTORY_SNIPPET_WORDS, HISTORY_TEXTS_MAX, HISTORY_WORDS_MAX
from fleet.projections import history_scan as scan
from fleet.projections import history_vocabulary as vocabulary
from fleet.projections.history_page import FoundSession, HistoryPage, Snippet
from fleet.projections.history_query import HistorySearch, match_expression, terms_of
from fleet.projections.history_text import unmark

_KIND: Final = "iif(kind = 'answer' AND (number, message) IN asked, 'prompt', kind)"
_COLUMNS: Final = "s.id, s.title, s.phase, s.created_ms, s.changed_ms"


def reached(sql: sqlite3.Connection) -> int:
    """Return the log position of the history."""
    [position] = sql.execute("SELECT position FROM reached").fetchone()
    return int(position)


def search(sql: sqlite3.Connection, query: HistorySearch) -> HistoryPage:
    """Return the sessions that match."""
    if not query.search.strip():
        return _list(sql, query)
    expression = match_expression(terms_of(query.search, partial(vocabulary.phrases, sql)))
    page = _match(sql, expression, query)
    if page.total:
        return page
    thorough = _thorough(sql, query.search)
    return page if thorough == expression else _match(sql, thorough, query)


def _thorough(sql: sqlite3.Connection, text: str) -> str:
    """Return the expression for texts that contain all terms anywhere inside of words; "" if there is none.

    It costs more, and is for searches without hits: they mean that no text contains all terms.
    """
    terms = terms_of(text, partial(vocabulary.short_phrases, sql))
    loose = [
        term for term in terms if len(term.others) >= HISTORY_WORDS_MAX - 1
    ]  # more words contain it than are listed
    if not loose or len(terms) == 1:
        return match_expression(terms)
    rest = match_expression(term for term in terms if term not in loose)
    found = scan.phrases_in_texts(sql, rest, [term.text for term in loose])
    if not all(found):
        return ""
    return " AND ".join(filter(None, (rest, *(f"({' OR '.join(phrases)})" for phrases in found))))


def _list(sql: sqlite3.Connection, query: HistorySearch) -> HistoryPage:
    where, values = _conditions(query)
    [total] = sql.execute(f"SELECT count(*) FROM sessions s WHERE {where}", values).fetchone()  # noqa: S608 - constants
    rows = sql.execute(
        f"SELECT {_COLUMNS} FROM sessions s WHERE {where} ORDER BY s.number DESC LIMIT ? OFFSET ?",  # noqa: S608
        (*values, query.limit, query.offset),
    )
    return HistoryPage(tuple(_found(row, None) for row in rows), total, reached(sql))


def _match(sql: sqlite3.Connection, expression: str, query: HistorySearch) -> HistoryPage:
    if not expression:
        return HistoryPage((), 0, reached(sql))
    sessions: list[tuple[int, tuple[Any, ...]]] = []
    total = 0
    for row, found in _hits(sql, expression, query):
        if query.offset <= total < query.offset + query.limit:
            sessions.append((row, found))
        total += 1
        if total >= max(HISTORY_COUNT_MAX, query.offset + query.limit):
            break
    snippets = _snippets(sql, expression, [row for row, _ in sessions])
    page = tuple(_found(found, snippets[row]) for row, found in sessions)
    return HistoryPage(page, total, reached(sql))


def _hits(sql: sqlite3.Connection, expression: str, query: HistorySearch) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield the newest text with a hit of each session, newest session first."""
    where, values = _conditions(query)
    rows = sql.execute(
        f"SELECT w.rowid, {_COLUMNS} FROM words w CROSS JOIN sessions s ON s.number = w.rowid / ? "  # noqa: S608
        f"WHERE w.words MATCH ? AND w.rowid BETWEEN ? AND ? AND {where} ORDER BY w.rowid DESC",
        (HISTORY_TEXTS_MAX, expression, *_range(sql, query), *values),
    )
    before = None
    for row, *found in rows:
        if found[0] != before:
            before = found[0]
            yield row, tuple(found)


def _range(sql: sqlite3.Connection, query: HistorySearch) -> tuple[int, int]:
    """Return the first and last row that sessions of the query's times can have."""
    times = HistorySearch(from_ms=query.from_ms, to_ms=query.to_ms)
    where, values = _conditions(times)
    first, last = 0, 1 << 42
    if values:
        bounds = f"SELECT min(s.number), max(s.number) FROM sessions s WHERE {where}"  # noqa: S608 - constants
        first, last = (number or 0 for number in sql.execute(bounds, values).fetchone())
    return first * HISTORY_TEXTS_MAX, (last + 1) * HISTORY_TEXTS_MAX - 1


def _snippets(sql: sqlite3.Connection, expression: str, rows: Sequence[int]) -> dict[int, Snippet]:
    """Return the snippets of these rows, which are in descending order."""
    if not rows:
        return {}
    # One pass over the range: FTS5 would restart for each single row, which costs more than the search.
    places = ", ".join("?" * len(rows))
    marked = sql.execute(
        f"SELECT rowid, CASE WHEN rowid IN ({places}) THEN snippet(words, 0, char(2), char(3), '…', ?) END "  # noqa: S608
        "FROM words WHERE words MATCH ? AND rowid BETWEEN ? AND ? ORDER BY rowid DESC",
        (*rows, HISTORY_SNIPPET_WORDS, expression, rows[-1], rows[0]),
    )
    texts = {row: text for row, text in marked if text is not None}
    kinds = dict(sql.execute(f"SELECT row, {_KIND} FROM texts WHERE row IN ({places})", rows))  # noqa: S608
    return {row: Snippet(kinds[row], *unmark(texts[row])) for row in rows}


def _found(row: tuple[Any, ...], snippet: Snippet | None) -> FoundSession:
    return FoundSession(row[0], row[1], row[2], row[3], row[4], snippet)


def _conditions(query: HistorySearch) -> tuple[str, list[Any]]:
    """Return the condition on sessions, and its values."""
    conditions, values = ["TRUE"], list[Any]()
    if query.statuses:
        conditions.append(f"s.phase IN ({', '.join('?' * len(query.statuses))})")
        values += query.statuses
    if query.from_ms is not None:
        conditions.append("s.created_ms >= ?")
        values.append(query.from_ms)
    if query.to_ms is not None:
        conditions.append("s.created_ms <= ?")
        values.append(query.to_ms)
    return " AND ".join(conditions), values
