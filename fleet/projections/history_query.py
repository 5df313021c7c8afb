"""Turns a search of the history into a safe FTS5 expression, and its times into milliseconds.

A search consists of words and "phrases", which must all be in the same title, prompt, message or tool output. A word
may be part of longer ones, and the last word may be a prefix. FTS5's own syntax is escaped, so no search is a syntax
error.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from unicodedata import normalize

import msgspec

from fleet.errors import Rejected
from fleet.limits import HISTORY_PAGE_DEFAULT, HISTORY_PAGE_MAX, HISTORY_PREFIX_CHARS_MIN, HISTORY_SEARCH_CHARS_MAX

_WORDS: Final = re.compile(r'"([^"]*)"?|([^\s"]+)')
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d\Z")


class HistorySearch(msgspec.Struct, frozen=True):
    """A search. Empty `search` and `statuses` match all; times are of the creation, in Unix ms, inclusive."""

    search: str = ""
    statuses: tuple[str, ...] = ()
    from_ms: int | None = None
    to_ms: int | None = None
    limit: int = HISTORY_PAGE_DEFAULT
    offset: int = 0

    def check(self) -> None:
        """Raise `Rejected` invalid for a search beyond the limits."""
        if len(self.search) > HISTORY_SEARCH_CHARS_MAX:
            why = f"the search is {len(self.search)} characters; the limit is {HISTORY_SEARCH_CHARS_MAX}"
            raise Rejected("invalid", why, field="search")
        if not 1 <= self.limit <= HISTORY_PAGE_MAX:
            raise Rejected("invalid", f"the limit is a number from 1 to {HISTORY_PAGE_MAX}", field="limit")
        if not 0 <= self.offset < 1 << 31:
            raise Rejected("invalid", "the offset is a number of at least 0", field="offset")


class Term(NamedTuple):
    """A word or phrase of a search: its text, the FTS5 expression of it, and the phrases that contain it."""

    text: str
    quoted: str
    others: Sequence[str]

    @property
    def expression(self) -> str:
        """The FTS5 expression of the term with its other phrases."""
        return f"({' OR '.join((self.quoted, *self.others))})" if self.others else self.quoted


def terms_of(search: str, inside: Callable[[str], Sequence[str]] = lambda _: ()) -> list[Term]:
    """Return the words and phrases of a search text.

    `inside` returns the phrases that contain a word, or a part in a script without spaces (history_vocabulary.py).
    """
    found = [
        (phrase or word, bool(word)) for phrase, word in _WORDS.findall(normalize("NFC", search.replace("\0", " ")))
    ]
    terms = [(text, plain) for text, plain in found if any(char.isalnum() for char in text)]
    quoted = [f'"{text}"' for text, _ in terms]
    if terms and terms[-1][1] and len(terms[-1][0]) >= HISTORY_PREFIX_CHARS_MIN:
        quoted[-1] += "*"
    return [
        Term(text, one, inside(text) if plain or not text.isascii() else ())
        for one, (text, plain) in zip(quoted, terms, strict=True)
    ]


def match_expression(terms: Iterable[Term]) -> str:
    """Return the FTS5 expression for texts with all terms; "" for no terms."""
    return " AND ".join(term.expression for term in terms)


def parse_instant(text: str, field: str, *, last: bool = False) -> int:
    """Return the Unix milliseconds of an RFC 3339 time, or the first or `last` one of a date in UTC.

    Raises `Rejected` invalid for `field`.
    """
    try:
        if _DATE.match(text):
            day = datetime.fromisoformat(text).replace(tzinfo=UTC)
            return _ms(day + timedelta(days=1)) - 1 if last else _ms(day)
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None:
            raise ValueError("no time zone")  # noqa: TRY301 - one error text for all causes
        return _ms(instant)
    except (ValueError, OverflowError) as error:
        raise Rejected(
            "invalid",
            f"{text[:50]!r} is not a time: use a date (2026-01-31) or RFC 3339 (2026-01-31T12:00:00Z)",
            field=field,
        ) from error


def _ms(instant: datetime) -> int:
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
