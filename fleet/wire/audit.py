"""Queries and response bodies of the audit log; see bodies.py and items.py."""

from typing import Annotated, Literal

import msgspec

from fleet.limits import LOG_HEADS_EXPECTED_MAX, LOG_TYPES_CHARS_MAX, PAGE_DEFAULT, PATH_CHARS_MAX
from fleet.wire.bodies import Limit, Position, Query
from fleet.wire.enums import WhyKind
from fleet.wire.items import ChangesItem, WireItem

_SessionName = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
_Types = Annotated[str, msgspec.Meta(max_length=LOG_TYPES_CHARS_MAX)]
_Heads = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[0-9]{1,18}:[0-9a-f]{64}(,[0-9]{1,18}:[0-9a-f]{64})*$", max_length=84 * LOG_HEADS_EXPECTED_MAX
    ),
]
_Path = Annotated[str, msgspec.Meta(max_length=PATH_CHARS_MAX)]
_StreamName = Annotated[str, msgspec.Meta(pattern=r"^[!-~]{1,256}$")]


_Moment = Position | Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
"""A position, an RFC 3339 time, or a date in UTC."""


class LogQuery(Query, frozen=True):
    """`GET /api/log`. An event has to match every given filter."""

    after: Annotated[Position, msgspec.Meta(description="Events after this position.")] = 0
    limit: Limit = PAGE_DEFAULT
    before: Annotated[Position | None, msgspec.Meta(description="Events before this position.")] = None
    order: Annotated[Literal["asc", "desc"], msgspec.Meta(description="`desc`: the newest first.")] = "asc"
    session: Annotated[
        _SessionName | None,
        msgspec.Meta(description="Events of this session: its id (also of an erased one), or OpenCode's."),
    ] = None
    stream: Annotated[
        _StreamName | None, msgspec.Meta(description="Events of this stream, such as `instance-<id>`.")
    ] = None
    type: Annotated[_Types | None, msgspec.Meta(description="Events of these types, separated by commas.")] = None
    actor: Annotated[str | None, msgspec.Meta(description="Events that this actor caused, such as `token:<name>`.")] = (
        None
    )
    correlation: Annotated[str | None, msgspec.Meta(description="Events caused by this request (`X-Request-Id`).")] = (
        None
    )
    from_: Annotated[
        _Moment | None,
        msgspec.Meta(description="At this position or later, or recorded at this RFC 3339 time or date, or later."),
    ] = msgspec.field(default=None, name="from")
    to: Annotated[
        _Moment | None,
        msgspec.Meta(description="At this position or earlier, or recorded at this RFC 3339 time or date, or earlier."),
    ] = None


class TimeQuery(Query, frozen=True):
    """`GET /api/log/at`."""

    time: Annotated[str, msgspec.Meta(description="An RFC 3339 time, or a date: the end of that day in UTC.")]


class ExportQuery(Query, frozen=True):
    """`GET /api/log/export`."""

    after: Annotated[Position, msgspec.Meta(description="Events after this position.")] = 0
    through: Annotated[
        Position | None, msgspec.Meta(description="Up to this position; by default to the end of the log.")
    ] = None


class VerifyQuery(Query, frozen=True):
    """`GET /api/log/verify`."""

    at: Annotated[Position | None, msgspec.Meta(description="Up to this position; by default the whole log.")] = None
    expect: Annotated[
        _Heads | None,
        msgspec.Meta(
            description="The log must have events with these digests: `POSITION:DIGEST`, separated by commas. "
            "Use heads that were stored elsewhere before: a log that was rewritten, cut off or replaced does not."
        ),
    ] = None
    scope: Annotated[
        Literal["all", "chain", "heads"],
        msgspec.Meta(
            description="`chain` verifies every event with its index and commands; `all` also folds them and compares "
            "snapshots, views and blobs (not with `at`, which ends at an earlier event); `heads` only compares heads."
        ),
    ] = "all"


class PositionItem(WireItem, kw_only=True):
    """A position of the log."""

    position: int


class WhyQuery(Query, frozen=True):
    """`GET /api/log/{position}/why`."""

    file: Annotated[
        _Path | None,
        msgspec.Meta(
            description="A file that the turn changed, relative to the session's directory: only what explains it."
        ),
    ] = None


class WhyStep(WireItem, kw_only=True):
    """One step of an explanation: a plain sentence, and the event that says so."""

    kind: WhyKind
    sentence: str
    position: int
    at: str
    actor: str
    stream: str
    type: str


class BetweenQuery(Query, frozen=True):
    """`GET /api/log/between`."""

    from_: Annotated[_Moment, msgspec.Meta(description="A position, or an RFC 3339 time or a date.")] = msgspec.field(
        name="from"
    )
    to: Annotated[
        _Moment | None, msgspec.Meta(description="The same; by default the end of the log. A date is its end.")
    ] = None


class PromptBetween(WireItem, kw_only=True):
    """A prompt: who sent it, and the beginning of its text."""

    position: int
    at: str
    actor: str
    text: str


class SessionBetween(WireItem, kw_only=True):
    """What happened in a session between two positions.

    `statusBefore` is None for a session that was created in between, `status` for one that was erased. `created` and
    `erased` are the actors. `files` are at most 20 of the changed files, `prompts` the last 20 of `promptsTotal`.
    """

    id: str
    title: str
    status_before: str | None
    status: str | None
    created_by: str | None
    erased_by: str | None
    outcome: str | None
    prompts: list[PromptBetween]
    prompts_total: int
    turns: int
    failed: int
    aborts: int
    answered: int
    files: list[str]
    changes_before: ChangesItem | None
    changes: ChangesItem | None
    tokens: int
    cost_usd: float


class Between(WireItem, kw_only=True):
    """What changed in the fleet after a position up to another one: sessions, the one that changed last first."""

    first: int
    last: int
    first_at: str | None
    last_at: str | None
    sessions: list[SessionBetween]


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


class SignedHead(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    """An end of the log, signed by the server: position and digest of the event that was the last one then.

    `digest`, `key` (Ed25519, the public one) and `signature` are hex; `signedAtMs` is Unix time. The signed text is in
    docs/audit.md. The digests of events are chained: a head vouches for every event up to it.
    """

    position: int
    digest: str
    signed_at_ms: int
    key: str
    signature: str


class BreakItem(WireItem, kw_only=True):
    """The position at which the log is broken, and why."""

    position: int
    reason: str


class ErasedStreamItem(WireItem, kw_only=True):
    """An erased stream: the event that ordered it, and how many of its events are erased.

    `erased` is less than `events` while the erasure is not complete.
    """

    stream: str
    position: int
    actor: str
    at: str
    events: int
    erased: int


class Verification(WireItem, kw_only=True):
    """The result of verifying the log: intact events and streams, digest of the last event, first break.

    `head` is the signed head that the log ends with. `erasures` lists the erased streams, at most 1,000. `checked`
    names what was verified, `not_checked` what was not: `fleet log replay` compares the search index.
    `contents_left_out`: so many contents were not part of the export that the log was imported from.
    """

    intact: bool
    checked: list[str]
    events: int
    streams: int
    erased: int
    digest: str
    erasures: list[ErasedStreamItem]
    head: SignedHead | None
    first_break: BreakItem | None
    contents_left_out: int = 0
    not_checked: tuple[str, ...] = ()


class ExpiringSession(WireItem, kw_only=True):
    """A session that the rule erases, and when it did something for the last time."""

    id: str
    title: str
    ended_at: str


class RetentionRule(WireItem, kw_only=True):
    """The rule that erases ended sessions, null for none, and the first of the sessions that it erases next."""

    keep_transcripts_days: float | None
    due: list[ExpiringSession]
    total: int
