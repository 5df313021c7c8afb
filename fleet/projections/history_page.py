"""The result of a search of the history: a page of sessions, each with the text in which the words were found."""

import msgspec

from fleet.projections.history_text import Kind


class Snippet(msgspec.Struct, frozen=True):
    """The plain text around a hit, and the positions of the hits in it as [start, end) in code points."""

    kind: Kind
    text: str
    hits: tuple[tuple[int, int], ...]


class FoundSession(msgspec.Struct, frozen=True):
    """A found session and, for a search with words, its newest text with a hit. Times are Unix milliseconds."""

    id: str
    title: str
    status: str
    created_at_ms: int
    updated_at_ms: int
    snippet: Snippet | None


class HistoryPage(msgspec.Struct, frozen=True):
    """Sessions, newest first, and the total, which a search with words counts up to `HISTORY_COUNT_MAX`.

    `position` is the log position of this result.
    """

    sessions: tuple[FoundSession, ...]
    total: int
    position: int
