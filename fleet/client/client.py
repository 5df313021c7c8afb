"""The client of one Fleet: methods about the whole fleet, and access to each session."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote

from fleet.client.access import Access
from fleet.client.audit import AuditLog
from fleet.client.connection import Connection, Page
from fleet.client.errors import FleetError
from fleet.client.places import Places
from fleet.client.session import Session
from fleet.client.socket import Socket
from fleet.client.sse import SseStream
from fleet.client.stream import Stream, frame_of, notification_of
from fleet.client.webhook import Webhook
from fleet.limits import CLIENT_RETRY_S
from fleet.ports import MessageType
from fleet.wire.bodies import (
    At,
    AtQuery,
    BudgetBody,
    CallbackQuery,
    CreateBody,
    HistoryQuery,
    ListQuery,
    ModelBody,
    NotificationQuery,
    OnComplete,
    PageQuery,
    PastQuery,
    ReadBody,
    WebhookBody,
)
from fleet.wire.callbacks import CallbackItem
from fleet.wire.enums import OnHostLoss
from fleet.wire.frames import Frame
from fleet.wire.inbox import Count, InboxItem, NotificationItem
from fleet.wire.items import Created, HistoryItem, SessionItem
from fleet.wire.server import Health, Info, Summary
from fleet.wire.webhooks import NewWebhookItem, WebhookItem


class FleetClient(Places, AuditLog, Access):
    """A connection to a Fleet server, for as long as its `async with` block.

    `token` is what `fleet token` made, where the server asks for one. Requests are repeated while the connection fails
    or Fleet puts them off, until `retry_for_s` seconds after the first attempt (0: once only); writes carry an
    idempotency key, so that none happens twice. Streams resume by themselves. Every method raises `FleetError`; what
    can be no address or token, ValueError.

    >>> session = await fleet.create("/home/user/project", isolation_strategy="worktree", prompt="Look around")
    >>> item = await session.wait()
    >>> item.outcome, item.turns
    ('finished', 1)
    """

    def __init__(
        self, url: str = "http://localhost:3000", *, token: str | None = None, retry_for_s: float = CLIENT_RETRY_S
    ) -> None:
        self._connection = Connection(url, token, retry_for_s)

    def acting_for(self, session_id: str) -> "FleetClient":
        """Return this client, on the same connection, for a session, which the log names as cause (`causationId`)."""
        other = copy(self)
        other._connection = self._connection.with_headers({"Fleet-Session": session_id})
        return other

    def on_loss(self, notify: Callable[[FleetError | None], None], *, retry_for_s: float | None = None) -> None:
        """Call `notify` with the error of a lost connection, and with None when it is restored; set `retry_for_s`."""
        self._connection.notify = notify
        if retry_for_s is not None:
            self._connection.retry_for_s = retry_for_s

    @property
    def url(self) -> str:
        """The server's address."""
        return self._connection.url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.aclose()

    # ------------------------------------------------------------------------------------------------------- sessions

    async def create(
        self,
        directory: str,
        *,
        title: str | None = None,
        isolation_strategy: Literal["existing", "worktree", "clone"] = "existing",
        branch: str | None = None,
        base_ref: str | None = None,
        prompt: str | None = None,
        agent: str | None = None,
        model: ModelBody | None = None,
        tags: Sequence[str] = (),
        on_complete: str | None = None,
        budget: BudgetBody | None = None,
        host: str | Mapping[str, str] | None = None,
        cpus: float | None = None,
        memory_mb: int | None = None,
        on_host_loss: OnHostLoss = "ask",
        key: str | None = None,
    ) -> Session:
        """Create a session, and return when it accepts prompts.

        `directory` is one of the server's machine. `prompt` lets it begin at once; `on_complete` is the session that
        gets its outcomes. `host` is the name of a host, or labels that it must have. With a `key` of the caller's
        own the same create can be repeated after a crash.
        """
        body = CreateBody(
            directory=directory,
            title=title,
            isolation_strategy=isolation_strategy,
            branch=branch,
            base_ref=base_ref,
            initial_prompt=prompt,
            agent=agent,
            model=model,
            tags=list(tags),
            on_complete=None if on_complete is None else OnComplete(on_complete),
            budget=budget,
            host=host if host is None or isinstance(host, str) else dict(host),
            cpus=cpus,
            memory_mb=memory_mb,
            on_host_loss=on_host_loss,
        )
        made = await self._connection.write(Created, "POST", "/sessions", body=body, key=key)
        return Session(self._connection, made.session.id, made.session)

    def session(self, session_id: str) -> Session:
        """Return the session with this id, Fleet's or OpenCode's, without a request to the server."""
        return Session(self._connection, session_id)

    async def sessions(
        self,
        *,
        status: Sequence[str] = (),
        search: str | None = None,
        parent: str | None = None,
        tag: str | None = None,
        workspace: str | None = None,
        at: At = None,
        limit: int = 50,
        offset: int = 0,
    ) -> Page[SessionItem]:
        """Return sessions, the newest first; with `at` (a position of the log, or an RFC 3339 time) as they were then.

        >>> session = await fleet.create("/home/user/plain", tags=["nightly"])
        >>> page = await fleet.sessions(status=["idle"], tag="nightly")
        >>> page.total, [item.status for item in page]
        (1, ['idle'])
        """
        query = ListQuery(
            status=",".join(status) or None,
            search=search,
            parent=parent,
            tag=tag,
            workspace=workspace,
            at=at,
            limit=limit,
            offset=offset,
        )
        return await self._connection.page(SessionItem, "/sessions", query)

    async def history(
        self,
        search: str = "",
        *,
        status: Sequence[str] = (),
        begin: str | None = None,
        end: str | None = None,
        limit: int = 20,
        offset: int = 0,
    ) -> Page[HistoryItem]:
        """Return sessions that contain words; `begin` and `end` are dates or RFC 3339 times of creation."""
        query = HistoryQuery(
            search=search, status=",".join(status) or None, from_=begin, to=end, limit=limit, offset=offset
        )
        return await self._connection.page(HistoryItem, "/sessions/history", query)

    def events(self, *, after: int | None = None) -> Stream[Frame]:
        """Follow the whole fleet: each `Event` of the log behind `after` (from now on without it), and signals.

        >>> async with fleet.events() as events:
        ...     session = await fleet.create("/home/user/plain", title="Seen")
        ...     async for event in events:
        ...         if event.type == "session.created":
        ...             print(event.data["settings"]["title"])
        ...             break
        Seen
        """
        return SseStream(self._connection, "/events", after, frame_of)

    def socket(self) -> Socket:
        """Return a connection for many streams, to be opened with `async with`.

        Hundreds of sessions can be followed with `socket.events`, each or together, on one WebSocket.
        """
        return Socket(self._connection)

    # --------------------------------------------------------------------------------------------- what waits for you

    async def inbox(self, *, at: At = None, limit: int = 50, offset: int = 0) -> Page[InboxItem]:
        """Return everything that waits for a person in all sessions, oldest first; with `at`, what waited then."""
        return await self._connection.page(InboxItem, "/inbox", PastQuery(limit, offset, at))

    async def callbacks(
        self,
        *,
        status: Literal["pending", "undelivered", "delivered", "dropped"] | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> Page[CallbackItem]:
        """Return the callbacks from children to parents, the oldest first."""
        return await self._connection.page(CallbackItem, "/callbacks", CallbackQuery(limit, offset, status=status))

    async def notifications(
        self, *, session: str | None = None, unread: bool = False, limit: int = 50, offset: int = 0
    ) -> Page[NotificationItem]:
        """Return the notifications, the newest first."""
        query = NotificationQuery(session=session, unread=unread, limit=limit, offset=offset)
        return await self._connection.page(NotificationItem, "/notifications", query)

    def follow_notifications(self, *, after: int | None = None) -> Stream[NotificationItem]:
        """Follow the notifications of all sessions."""
        return SseStream(self._connection, "/notifications/stream", after, notification_of)

    async def unread_count(self) -> int:
        """Return the number of unread notifications."""
        return (await self._connection.read(Count, "/notifications/unread-count")).count

    async def read_notification(self, notification_id: str | None = None) -> None:
        """Mark a notification, or all of them, as read."""
        if notification_id is None:
            await self._connection.command("POST", "/notifications/read")
        else:
            await self._connection.command(
                "PATCH", f"/notifications/{quote(notification_id, safe=':')}", body=ReadBody()
            )

    async def webhooks(self, *, limit: int = 50, offset: int = 0) -> Page[WebhookItem]:
        """Return the webhooks, the oldest first."""
        return await self._connection.page(WebhookItem, "/webhooks", PageQuery(limit, offset))

    async def register_webhook(
        self,
        url: str,
        *,
        events: Sequence[MessageType] | None = None,
        secret: str | None = None,
        description: str = "",
        key: str | None = None,
    ) -> NewWebhookItem:
        """Register a webhook: an address that gets messages about sessions. Its secret is returned only here."""
        body = WebhookBody(url, None if events is None else list(events), secret, description)
        return await self._connection.write(NewWebhookItem, "POST", "/webhooks", body=body, key=key)

    def webhook(self, webhook_id: str) -> Webhook:
        """Return the webhook with this id, without a request to the server."""
        return Webhook(self._connection, webhook_id)

    # ------------------------------------------------------------------------------------------------------ the fleet

    async def health(self, *, retry: bool = True) -> Health:
        """Return the server's version and log position; without `retry`, after one attempt."""
        return await self._connection.read(Health, "/healthz", retry=retry)

    async def info(self) -> Info:
        """Return information about the server: its version and OpenCode's, its roots and limits."""
        return await self._connection.read(Info, "/info")

    async def summary(self, *, at: At = None) -> Summary:
        """Return counts and sums over all sessions and instances, now or at an earlier moment."""
        return await self._connection.read(Summary, "/fleet/summary", AtQuery(at))
