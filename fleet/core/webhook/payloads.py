"""The messages of webhooks: which events cause one, and its body.

Every notification causes one, and so do the ends of a session that notify no person. The body has the shape of Standard
Webhooks (`type`, `timestamp`, `data`); it shows the session's state at the time of sending.
"""

from typing import Any, Final, get_args

import msgspec

from fleet.core.session.events import SessionCompleted, SessionStopped
from fleet.core.session.notifications import notification_for
from fleet.core.session.state import State, status_of
from fleet.core.session.turn_events import RequestOpened
from fleet.core.times import rfc3339
from fleet.limits import WEBHOOK_TEXT_CHARS_MAX
from fleet.ports import MessageType

MESSAGE_TYPES: Final[tuple[MessageType, ...]] = get_args(MessageType)

TEST: Final = "webhook.test"
"""The type of test messages. A webhook cannot subscribe to it."""


def webhook_payload(event: Any) -> tuple[str, str] | None:
    """Return the message type and the text for an event; None if it causes no message."""
    if isinstance(event, SessionCompleted):
        return "session.completed", event.evidence
    if isinstance(event, SessionStopped):
        return "session.stopped", event.evidence
    notified = notification_for(event)
    return None if notified is None else (f"session.{notified[0]}", notified[1])


class NoticeChanges(msgspec.Struct, frozen=True, rename="camel"):
    """The number of files and lines that the session has changed."""

    files: int
    additions: int
    deletions: int


class NoticeSession(msgspec.Struct, frozen=True, rename="camel"):
    """The session's state when the message is sent."""

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
    changes: NoticeChanges | None


class SessionNotice(msgspec.Struct, frozen=True, rename="camel"):
    """A message about a session. `position` is the event's in the log; `request_id` is the open request, if any."""

    position: int
    text: str
    request_id: str | None
    session: NoticeSession


class TestMessage(msgspec.Struct, frozen=True, rename="camel"):
    """The data of a test message."""

    webhook_id: str
    text: str


class WebhookMessage(msgspec.Struct, frozen=True):
    """The body of a message; `timestamp` is the time of the event."""

    type: str
    timestamp: str
    data: SessionNotice | TestMessage


def message_body(position: int, recorded_at_ms: int, event: Any, state: State) -> bytes:
    """Return the message about `event` of the session `state`. Raises ValueError if the event causes no message."""
    payload = webhook_payload(event)
    if payload is None:
        raise ValueError(f"{type(event).__name__} causes no webhook message")
    changes = state.snapshots.totals
    shown = NoticeSession(
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
        None if changes is None else NoticeChanges(changes.files, changes.additions, changes.deletions),
    )
    request_id = event.request_id if isinstance(event, RequestOpened) else None
    notice = SessionNotice(position, payload[1][:WEBHOOK_TEXT_CHARS_MAX], request_id, shown)
    return msgspec.json.encode(WebhookMessage(payload[0], rfc3339(recorded_at_ms), notice))


def try_body(webhook_id: str, at_ms: int) -> bytes:
    """Return the body of a test message."""
    return msgspec.json.encode(
        WebhookMessage(TEST, rfc3339(at_ms), TestMessage(webhook_id, "Fleet reaches this webhook"))
    )
