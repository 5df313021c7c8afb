"""The frames of a WebSocket: those of clients, and those of the server that are not events."""

from typing import Annotated, Literal

import msgspec

from fleet.limits import IDEMPOTENCY_KEY_CHARS_MAX, SOCKET_ID_CHARS_MAX, SOCKET_PATH_CHARS_MAX, SOCKET_SESSIONS_MAX
from fleet.wire.bodies import Position
from fleet.wire.inbox import InboxItem
from fleet.wire.items import SessionItem

FrameId = Annotated[str, msgspec.Meta(min_length=1, max_length=SOCKET_ID_CHARS_MAX)]


class _ClientFrame(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, tag_field="type"):
    """A frame of a client. `id` is the client's own: the server's replies contain it."""

    id: FrameId


class Subscribe(_ClientFrame, frozen=True, omit_defaults=True, tag="subscribe"):
    """Follow these sessions, or with `*` everything, after the position `after`; without it, from now on.

    Or follow a `view` instead: `fleet` is the item of every session, `inbox` everything that waits for a person.
    `signals` says whether signals about unfinished parts are sent with a session's events.
    """

    sessions: (
        Annotated[list[str], msgspec.Meta(min_length=1, max_length=SOCKET_SESSIONS_MAX)]
        | Literal["*"]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    after: Position | None = None
    view: Literal["fleet", "inbox"] | msgspec.UnsetType = msgspec.UNSET
    signals: Literal["all", "none"] = "all"


class Unsubscribe(_ClientFrame, frozen=True, tag="unsubscribe"):
    """End the subscription of this id."""


class Command(_ClientFrame, frozen=True, tag="command"):
    """Run the REST request with this method, path (with its query) and JSON body."""

    method: Literal["POST", "PUT", "PATCH", "DELETE"]
    path: Annotated[str, msgspec.Meta(max_length=SOCKET_PATH_CHARS_MAX, pattern=r"^/api/[!-~]+$")]
    body: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    idempotency_key: (
        Annotated[str, msgspec.Meta(min_length=1, max_length=IDEMPOTENCY_KEY_CHARS_MAX, pattern=r"^[ -~]+$")] | None
    ) = None


class Ping(_ClientFrame, frozen=True, tag="ping"):
    """Request a reply."""


ClientFrame = Subscribe | Unsubscribe | Command | Ping


class Reply(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, tag_field="type", tag="reply"):
    """A command, a ping or the end of a subscription succeeded: the REST response, its headers as fields."""

    id: str
    status: int
    position: int | None = None
    total: int | None = None
    body: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Error(msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag="error", omit_defaults=True):
    """A frame was refused: the problem document of REST, and its code.

    `id` is the frame's, missing if it had no valid one. `retry_after_s` is set if a later retry can succeed.
    """

    status: int
    code: str
    problem: msgspec.Raw
    id: str | None = None
    retry_after_s: int | None = None


class Live(msgspec.Struct, frozen=True, tag_field="type", tag="live"):
    """A subscription has got everything up to `position`: later frames are sent as they happen."""

    id: str
    position: int


class Lagging(msgspec.Struct, frozen=True, tag_field="type", tag="lagging"):
    """A subscription has ended because its buffer was full. Subscribe again with this `after` to miss nothing."""

    id: str
    after: int


class Items(msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag="items"):
    """Sessions at the begin of a fleet view; `reset`: discard all earlier ones. `more`: a further frame follows."""

    id: str
    position: int
    sessions: list[SessionItem]
    more: bool
    reset: bool


class Item(msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag="item"):
    """The new state of a session of a fleet view."""

    id: str
    position: int
    session: SessionItem


class Gone(msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag="gone"):
    """A session of a fleet view was erased."""

    id: str
    position: int
    session_id: str


class Inbox(msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag="inbox"):
    """Everything that waits for a person."""

    id: str
    position: int
    items: list[InboxItem]


ServerFrame = Reply | Error | Live | Lagging | Items | Item | Gone | Inbox
"""Frames of the server that are structs; `event`, `signal` and `snapshot` are joined from encoded parts."""
