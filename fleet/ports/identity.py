"""The ports for time and new identifiers."""

from typing import Protocol

from fleet.ids import OpenCodePrefix


class Clock(Protocol):
    """Wall time. Durations and deadlines are trio's."""

    def now_ms(self) -> int:
        """Return the Unix time in milliseconds."""
        ...


class Ids(Protocol):
    """Fresh identifiers."""

    def uuid7(self) -> str:
        """Return a UUID version 7 of now."""
        ...

    def opencode(self, prefix: OpenCodePrefix) -> str:
        """Return an id in OpenCode's format; strictly ascending, and not ahead of the clock unless it stepped back."""
        ...
