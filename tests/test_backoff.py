from hypothesis import given
from hypothesis import strategies as st

from fleet.backoff import backoff_s


@given(st.integers(-3, 10_000), st.floats(0, 1))
def test_stays_within_first_and_max(attempt: int, jitter: float) -> None:
    assert 0.05 <= backoff_s(attempt, jitter, first_s=0.1, max_s=10.0) <= 10.0


def test_doubles_until_the_cap() -> None:
    assert [backoff_s(attempt, 0, first_s=1, max_s=10) for attempt in range(1, 7)] == [1, 2, 4, 8, 10, 10]


def test_full_jitter_halves_the_wait() -> None:
    assert backoff_s(3, 1, first_s=1, max_s=10) == 2
