"""Response bodies about the server itself; see items.py."""

from typing import Literal

from fleet.wire.items import Item, TokensItem


class Summary(Item):
    """The fleet at a glance."""

    sessions: dict[str, int]
    instances: int
    memory_bytes: int
    queued: int
    open_requests: int
    tokens: TokensItem
    cost_usd: float
    uptime_seconds: float
    position: int


class LimitsItem(Item):
    """Limits that a page has to know."""

    body_bytes: int
    prompt_bytes: int
    title_chars: int
    tags: int


class Info(Item):
    """What this server is."""

    version: str
    opencode_version: str | None
    rehearsal: bool
    ready: bool
    started_at: str
    roots: list[str]
    limits: LimitsItem
    position: int


class Health(Item):
    """Liveness and readiness."""

    status: Literal["ok", "starting"]
    version: str
    position: int
