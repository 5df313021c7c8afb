"""Formats times as text."""

from datetime import UTC, datetime


def rfc3339(unix_ms: int) -> str:
    """Return the time as text, to the millisecond."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
