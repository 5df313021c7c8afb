"""The messages of webhooks: which events cause one, and its body.

What a person is notified of, and the ends of a session that need no notification. The body has the shape that Standard
Webhooks asks for (`type`, `timestamp`, `data`); a session in it is as it is when the message is sent.
"""

from typing import Any, Final, get_args

import msgspec

from fleet.core.session.events import SessionCompleted, SessionStopped
from fleet.core.session.notifications import tells
from fleet.core.session.state import State, status_of
from fleet.core.session.turn_events import RequestOpened
from fleet.core.times import rfc3339
from fleet.limits import WEBHOOK_TEXT_CHARS_MAX
from fleet.ports import MessageType

MESSAGE_TYPES: Final[tuple[MessageType, ...]] = get_args(MessageType)

TEST: Final = "webhook.test"
"""The type of what the test button sends. It cannot be chosen."""


def webhook_payload(event: Any) -> tuple[str, str] | None:
    """Return the message type and the text for an event, None where webhooks are not told of it."""
    if isinstance(event, SessionCompleted):
        return "session.completed", event.evidence
    if isinstance(event, SessionStopped):
        return "session.stopped", event.evidence
    notified = tells(event)
    return None if notified is None else (f"session.{notified[0]}", notified[1])


class ToldChanges(msgspec.Struct, frozen=True, rename="camel"):
    """How much the session has changed."""

    files: int
    additions: int
    deletions: int


class ToldSession(msgspec.Struct, frozen=True, rename="camel"):
    """The session, as it is when the message is sent."""

    id: str
    opencode_id: str
    title: str
    status: str
    directory: str
    branch: str | None
    parent_id: str | None
    tags: tuple[str, ...]
    turns: int
    cost_usd: float
    changes: ToldChanges | None


class SessionNotice(msgspec.Struct, frozen=True, rename="camel"):
    """`position` is that of the event in the log; `request_id` names the open request that a request is."""

    position: int
    text: str
    request_id: str | None
    session: ToldSession


class TestMessage(msgspec.Struct, frozen=True, rename="camel"):
    """What the test button sends."""

    webhook_id: str
    text: str


class WebhookMessage(msgspec.Struct, frozen=True):
    """The body; `timestamp` is when it happened."""

    type: str
    timestamp: str
    data: SessionNotice | TestMessage


def message_body(position: int, recorded_at_ms: int, event: Any, state: State) -> bytes:
    """Return the message about `event` of the session `state`. Raises ValueError where there is nothing to tell."""
    telling = webhook_payload(event)
    if telling is None:
        raise ValueError(f"webhooks are not told of {type(event).__name__}")
    changes = state.snapshots.totals
    shown = ToldSession(
        state.id,
        state.opencode.session_id,
        state.settings.title,
        status_of(state),
        state.directory,
        state.settings.branch,
        state.settings.parent_id,
        state.settings.tags,
        state.turns,
        state.usage.cost_usd,
        None if changes is None else ToldChanges(changes.files, changes.additions, changes.deletions),
    )
    request_id = event.request_id if isinstance(event, RequestOpened) else None
    happening = SessionNotice(position, telling[1][:WEBHOOK_TEXT_CHARS_MAX], request_id, shown)
    return msgspec.json.encode(WebhookMessage(telling[0], rfc3339(recorded_at_ms), happening))


def try_body(webhook_id: str, at_ms: int) -> bytes:
    """Return the message that the test button sends."""
    return msgspec.json.encode(
        WebhookMessage(TEST, rfc3339(at_ms), TestMessage(webhook_id, "Fleet reaches this webhook"))
    )
