"""The ports for time and new identifiers."""

from typing import Protocol

from fleet.ids import OpenCodePrefix


class Clock(Protocol):
    """Wall time. For durations and deadlines use trio's clock."""

    def now_ms(self) -> int:
        """Return the Unix time in milliseconds."""
        ...


class Ids(Protocol):
    """Creates identifiers."""

    def uuid7(self) -> str:
        """Return a UUID version 7 with the current time."""
        ...

    def opencode(self, prefix: OpenCodePrefix) -> str:
        """Return an id in OpenCode's format; strictly ascending, and not ahead of the clock unless it stepped back."""
        ...
