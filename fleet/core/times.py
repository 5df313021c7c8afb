"""Formats times as text."""

from datetime import UTC, datetime
from functools import lru_cache

from fleet.limits import SECONDS_CACHED


def rfc3339(unix_ms: int) -> str:
    """Return the time as text, to the millisecond."""
    unix_s, ms = divmod(unix_ms, 1000)
    return f"{_to_the_second(unix_s)}.{ms:03}Z"


@lru_cache(SECONDS_CACHED)
def _to_the_second(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat()[:19]
