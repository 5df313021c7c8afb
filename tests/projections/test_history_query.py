"""Everything that a person types is a search; times are what people and programs write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import Rejected
from fleet.projections.history_query import HistorySearch, match_expression, parse_instant, terms_of
from fleet.projections.history_store import HistoryStore


@pytest.mark.parametrize(
    ("search", "expression"),
    [
        ("auth", '"auth"*'),
        ("fix auth", '"fix" AND "auth"*'),
        ('"fix auth" now', '"fix auth" AND "now"*'),
        ('now "fix auth"', '"now" AND "fix auth"'),
        ('"fix auth', '"fix auth"'),
        ("a OR b", '"a" AND "OR" AND "b"'),
        ("x NEAR(y, 2)", '"x" AND "NEAR(y," AND "2)"*'),
        ("title:x*", '"title:x*"*'),
        ("a-b ^c", '"a-b" AND "^c"*'),
        ('*** -- ""', ""),
        ("  ", ""),
        ("é", '"é"'),
    ],
)
def test_words_and_phrases(search: str, expression: str) -> None:
    assert match_expression(terms_of(search)) == expression


STORE = HistoryStore(None)
STORE.open(0)


@given(st.text(max_size=60) | st.text('ab"*^:-+(){}. NEARORNOT\0', max_size=60))
def test_any_search_text_is_valid(search: str) -> None:
    assert STORE.search(HistorySearch(search)).total == 0


@pytest.mark.parametrize(
    ("text", "first_ms", "last_ms"),
    [
        ("1970-01-02", 86_400_000, 2 * 86_400_000 - 1),
        ("1970-01-01T00:00:01Z", 1000, 1000),
        ("1970-01-01T01:00:00.250+01:00", 250, 250),
        ("1969-12-31T23:59:59Z", -1000, -1000),
    ],
)
def test_times(text: str, first_ms: int, last_ms: int) -> None:
    assert parse_instant(text, "from") == first_ms
    assert parse_instant(text, "to", last=True) == last_ms


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-01-01T00:00:00", "9999-12-31", "20260101", "1"])
def test_invalid_time_is_rejected(text: str) -> None:
    with pytest.raises(Rejected, match="use a date") as rejected:
        parse_instant(text, "to", last=True)
    assert rejected.value.field == "to"
