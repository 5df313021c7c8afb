"""Computes how long to wait before the next attempt. Pure: the caller supplies the jitter and waits."""

from fleet.limits import RESTART_BACKOFF_FIRST_S, RESTART_BACKOFF_MAX_S


def backoff_s(
    attempt: int, jitter: float = 0.0, *, first_s: float = RESTART_BACKOFF_FIRST_S, max_s: float = RESTART_BACKOFF_MAX_S
) -> float:
    """Return the seconds to wait before `attempt` (from 1): `first_s`, doubled each time, never beyond `max_s`.

    `jitter` in 0..1 spreads callers that failed together: it shortens the wait by up to a half.
    """
    doublings = min(max(attempt - 1, 0), 63)  # beyond, every wait is capped anyway, and floats would overflow
    return min(first_s * 2.0**doublings, max_s) * (1.0 - jitter / 2)
