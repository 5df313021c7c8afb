"""Response bodies about the server itself; see items.py."""

from typing import Literal

from fleet.wire.items import TokensItem, WireItem


class Summary(WireItem, kw_only=True):
    """Counts and sums over all sessions and instances. Memory and uptime of an earlier moment are not known."""

    sessions: dict[str, int]
    instances: int
    memory_bytes: int | None
    queued: int
    open_requests: int
    tokens: TokensItem
    cost_usd: float
    uptime_seconds: float | None
    position: int


class LimitsItem(WireItem, kw_only=True):
    """Limits that a page has to know."""

    body_bytes: int
    prompt_bytes: int
    title_chars: int
    tags: int


class Info(WireItem, kw_only=True):
    """Versions, roots and limits of this server."""

    version: str
    opencode_version: str | None
    rehearsal: bool
    ready: bool
    read_only: bool
    started_at: str
    roots: list[str]
    limits: LimitsItem
    position: int


class Health(WireItem, kw_only=True):
    """Liveness and readiness. `reasons` says what Fleet cannot do now, if it is `degraded`."""

    status: Literal["ok", "degraded", "starting"]
    version: str
    position: int
    reasons: list[str]
