"""Queries and response bodies of the audit log; see bodies.py and items.py."""

from typing import Annotated, Literal

import msgspec

from fleet.limits import LOG_TYPES_CHARS_MAX, PAGE_DEFAULT
from fleet.wire.bodies import Limit, Position, Query
from fleet.wire.items import WireItem

_SessionName = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
_Types = Annotated[str, msgspec.Meta(max_length=LOG_TYPES_CHARS_MAX)]
_StreamName = Annotated[str, msgspec.Meta(pattern=r"^[!-~]{1,256}$")]


class LogQuery(Query, frozen=True):
    """`GET /api/log`. Every filter that is given has to hold."""

    after: Annotated[Position, msgspec.Meta(description="Events behind this position.")] = 0
    limit: Limit = PAGE_DEFAULT
    before: Annotated[Position | None, msgspec.Meta(description="Events short of this position.")] = None
    order: Annotated[Literal["asc", "desc"], msgspec.Meta(description="`desc`: the newest first.")] = "asc"
    session: Annotated[
        _SessionName | None,
        msgspec.Meta(description="Those of this session: its id (one that was erased too), or OpenCode's."),
    ] = None
    stream: Annotated[
        _StreamName | None, msgspec.Meta(description="Those of this stream, such as `instance-<id>`.")
    ] = None
    type: Annotated[_Types | None, msgspec.Meta(description="Those of these types, with commas in between.")] = None
    actor: Annotated[str | None, msgspec.Meta(description="Those that this one caused, such as `token:<name>`.")] = None
    correlation: Annotated[
        str | None, msgspec.Meta(description="Those that followed from the request of this id (`X-Request-Id`).")
    ] = None
    from_: Annotated[str | None, msgspec.Meta(description="Recorded at this date or RFC 3339 time, or later.")] = (
        msgspec.field(default=None, name="from")
    )
    to: Annotated[str | None, msgspec.Meta(description="Recorded at this date or RFC 3339 time, or earlier.")] = None


class TimeQuery(Query, frozen=True):
    """`GET /api/log/at`."""

    time: Annotated[str, msgspec.Meta(description="An RFC 3339 time, or a date, which stands for its end in UTC.")]


class ExportQuery(Query, frozen=True):
    """`GET /api/log/export`."""

    after: Annotated[Position, msgspec.Meta(description="Events behind this position.")] = 0
    through: Annotated[
        Position | None, msgspec.Meta(description="Up to this position; by default to the end of the log.")
    ] = None


class PositionItem(WireItem, kw_only=True):
    """A position of the log."""

    position: int


class EventItem(WireItem, kw_only=True):
    """An event of the log. `data` is the payload as it was logged, in snake_case; `{}` where it was erased."""

    position: int
    stream: str
    version: int
    type: str
    at: str
    actor: str
    causation_id: str | None
    correlation_id: str | None
    command_id: str | None
    erased: bool
    data: msgspec.Raw


class BreakItem(WireItem, kw_only=True):
    """Where the log stops being what it should be, and why."""

    position: int
    reason: str


class Verification(WireItem, kw_only=True):
    """The proof of the log: events and streams that are whole, the digest of the last event, the first break."""

    intact: bool
    events: int
    streams: int
    erased: int
    digest: str
    first_break: BreakItem | None
