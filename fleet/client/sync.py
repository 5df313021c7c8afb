"""The client for scripts without trio: the same methods, which block. The client works in a thread of its own."""

from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import contextmanager
from functools import partial, wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar

import trio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from fleet.client.client import FleetClient
from fleet.client.errors import FleetError
from fleet.client.session import Session
from fleet.client.socket import Socket
from fleet.client.stream import Stream
from fleet.client.webhook import Webhook
from fleet.limits import CLIENT_RETRY_S
from fleet.wire.frames import Frame

if TYPE_CHECKING:
    from fleet.wire.inbox import NotificationItem

P = ParamSpec("P")
Result = TypeVar("Result")
Item = TypeVar("Item")


class _Facade(Protocol):
    _portal: BlockingPortal
    _real: Any


def _wait(portal: BlockingPortal, work: Callable[[], Awaitable[Result]]) -> Result:
    """Wait for work in the client's thread. An interrupt here, by Ctrl-C, cancels the work there."""
    scope, future = trio.CancelScope(), None  # made first: an interrupt may come while the work is being started

    async def run() -> Result:
        with scope:
            return await work()
        raise RuntimeError("the call was cancelled")

    try:
        future = portal.start_task_soon(run)
        return future.result()
    except BaseException:
        if future is None or not future.done():
            portal.call(scope.cancel)
        raise


def _blocking(method: Callable[Concatenate[Any, P], Awaitable[Result]]) -> Callable[Concatenate[_Facade, P], Result]:
    """Return the method as one that blocks."""

    @wraps(method)
    def call(self: _Facade, /, *args: P.args, **kwargs: P.kwargs) -> Result:
        return _wait(self._portal, partial(method, self._real, *args, **kwargs))

    return call


def _making(
    method: Callable[Concatenate[Any, P], Awaitable[Session]],
) -> Callable[Concatenate[_Facade, P], "SyncSession"]:
    """Return a method that makes a session as one that blocks."""

    @wraps(method)
    def call(self: _Facade, /, *args: P.args, **kwargs: P.kwargs) -> "SyncSession":
        return SyncSession(self._portal, _wait(self._portal, partial(method, self._real, *args, **kwargs)))

    return call


class SyncStream(Generic[Item]):
    """A `Stream` that blocks; `with` opens it."""

    def __init__(self, portal: BlockingPortal, real: Stream[Item]) -> None:
        self._portal = portal
        self._real = real

    @property
    def position(self) -> int | None:
        """The log position to continue from."""
        return self._real.position

    def __enter__(self) -> Self:
        _wait(self._portal, self._real.__aenter__)
        return self

    def __exit__(self, *_: object) -> None:
        self._portal.call(self._real.aclose)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        try:
            return _wait(self._portal, self._real.__anext__)
        except StopAsyncIteration:
            raise StopIteration from None


class SyncSocket:
    """A `Socket` whose streams block; several threads can each read one. `with` opens it.

    >>> with sync.socket() as socket, socket.events(after=0) as events:
    ...     session = sync.create("/home/user/plain", title="Seen")
    ...     print(next(event.data["settings"]["title"] for event in events if event.type == "session.created"))
    Seen
    """

    def __init__(self, portal: BlockingPortal, real: Socket) -> None:
        self._portal = portal
        self._real = real
        self._open = portal.wrap_async_context_manager(real)

    def __enter__(self) -> Self:
        self._open.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def events(self, sessions: str | Iterable[str] | None = None, *, after: int | None = None) -> SyncStream[Frame]:
        """Follow a session, several, or the whole fleet, as `Socket.events` does."""
        return SyncStream(self._portal, self._real.events(sessions, after=after))


class SyncSession:
    """A `Session` whose methods block.

    >>> session = sync.create("/home/user/plain", prompt="Say something")
    >>> session.wait().outcome
    'finished'
    """

    def __init__(self, portal: BlockingPortal, real: Session) -> None:
        self._portal = portal
        self._real = real
        self.id = real.id
        self.created = real.created

    def __repr__(self) -> str:
        return f"SyncSession({self.id!r})"

    read = _blocking(Session.read)
    messages = _blocking(Session.messages)
    turns = _blocking(Session.turns)
    conversations = _blocking(Session.conversations)
    part = _blocking(Session.part)
    pack = _blocking(Session.pack)
    part_content = _blocking(Session.part_content)
    diffs = _blocking(Session.diffs)
    content = _blocking(Session.content)
    queue = _blocking(Session.queue)
    requests = _blocking(Session.requests)
    todos = _blocking(Session.todos)
    children = _blocking(Session.children)
    files = _blocking(Session.files)
    wait = _blocking(Session.wait)
    prompt = _blocking(Session.prompt)
    command = _blocking(Session.command)
    compact = _blocking(Session.compact)
    withdraw = _blocking(Session.withdraw)
    edit_prompt = _blocking(Session.edit_prompt)
    steer_prompt = _blocking(Session.steer_prompt)
    answer = _blocking(Session.answer)
    edit = _blocking(Session.edit)
    abort = _blocking(Session.abort)
    setup = _blocking(Session.setup)
    allow_setup = _blocking(Session.allow_setup)
    skip_setup = _blocking(Session.skip_setup)
    resume = _blocking(Session.resume)
    fork = _making(Session.fork)
    end = _blocking(Session.end)
    preview_end = _blocking(Session.preview_end)

    def events(self, *, after: int | None = None) -> SyncStream[Frame]:
        """Follow it, as `Session.events` does."""
        return SyncStream(self._portal, self._real.events(after=after))


class SyncWebhook:
    """A `Webhook` whose methods block."""

    def __init__(self, portal: BlockingPortal, real: Webhook) -> None:
        self._portal = portal
        self._real = real
        self.id = real.id

    def __repr__(self) -> str:
        return f"SyncWebhook({self.id!r})"

    read = _blocking(Webhook.read)
    switch = _blocking(Webhook.switch)
    delete = _blocking(Webhook.delete)
    test = _blocking(Webhook.test)
    deliveries = _blocking(Webhook.deliveries)


class SyncFleetClient:
    """A `FleetClient` whose methods block; `sync_client` makes it.

    >>> with sync.events() as events:
    ...     session = sync.create("/home/user/plain", title="Seen")
    ...     print(next(event.data["settings"]["title"] for event in events if event.type == "session.created"))
    Seen
    """

    def __init__(self, portal: BlockingPortal, real: FleetClient) -> None:
        self._portal = portal
        self._real = real
        self.url = real.url

    create = _making(FleetClient.create)
    sessions = _blocking(FleetClient.sessions)
    history = _blocking(FleetClient.history)
    inbox = _blocking(FleetClient.inbox)
    callbacks = _blocking(FleetClient.callbacks)
    notifications = _blocking(FleetClient.notifications)
    unread_count = _blocking(FleetClient.unread_count)
    read_notification = _blocking(FleetClient.read_notification)
    webhooks = _blocking(FleetClient.webhooks)
    register_webhook = _blocking(FleetClient.register_webhook)
    health = _blocking(FleetClient.health)
    info = _blocking(FleetClient.info)
    summary = _blocking(FleetClient.summary)
    instances = _blocking(FleetClient.instances)
    instance = _blocking(FleetClient.instance)
    orphans = _blocking(FleetClient.orphans)
    hosts = _blocking(FleetClient.hosts)
    hosts_engine = _blocking(FleetClient.hosts_engine)
    drain_host = _blocking(FleetClient.drain_host)
    undrain_host = _blocking(FleetClient.undrain_host)
    agents = _blocking(FleetClient.agents)
    commands = _blocking(FleetClient.commands)
    models = _blocking(FleetClient.models)
    find_files = _blocking(FleetClient.find_files)
    directories = _blocking(FleetClient.directories)
    branches = _blocking(FleetClient.branches)
    offers = _blocking(FleetClient.offers)
    make_directory = _blocking(FleetClient.make_directory)
    workspace_roots = _blocking(FleetClient.workspace_roots)
    choose_root = _blocking(FleetClient.choose_root)
    withdraw_root = _blocking(FleetClient.withdraw_root)
    trusted = _blocking(FleetClient.trusted)
    recipe = _blocking(FleetClient.recipe)
    trust = _blocking(FleetClient.trust)
    revoke_trust = _blocking(FleetClient.revoke_trust)
    workspaces = _blocking(FleetClient.workspaces)
    workspace = _blocking(FleetClient.workspace)
    edit_workspace = _blocking(FleetClient.edit_workspace)
    rebind_workspace = _blocking(FleetClient.rebind_workspace)
    remove_workspace = _blocking(FleetClient.remove_workspace)
    restore = _blocking(FleetClient.restore)
    tokens = _blocking(FleetClient.tokens)
    revoke_token = _blocking(FleetClient.revoke_token)
    login_link = _blocking(FleetClient.login_link)
    log = _blocking(FleetClient.log)
    retention = _blocking(FleetClient.retention)
    chain = _blocking(FleetClient.chain)
    why = _blocking(FleetClient.why)
    between = _blocking(FleetClient.between)
    position_at = _blocking(FleetClient.position_at)
    event = _blocking(FleetClient.event)
    verify = _blocking(FleetClient.verify)
    head = _blocking(FleetClient.head)
    try_policy = _blocking(FleetClient.try_policy)
    backup_part = _blocking(FleetClient.backup_part)
    record_backup = _blocking(FleetClient.record_backup)

    def acting_for(self, session_id: str) -> "SyncFleetClient":
        """Return this client on behalf of a session, as `FleetClient.acting_for` does."""
        return SyncFleetClient(self._portal, self._real.acting_for(session_id))

    def on_loss(self, notify: Callable[[FleetError | None], None], *, retry_for_s: float | None = None) -> None:
        """Call `notify` in the client's thread, as `FleetClient.on_loss` does."""
        self._real.on_loss(notify, retry_for_s=retry_for_s)

    def session(self, session_id: str) -> SyncSession:
        """Return the session with this id, Fleet's or OpenCode's, without a request to the server."""
        return SyncSession(self._portal, self._real.session(session_id))

    def events(self, *, after: int | None = None) -> SyncStream[Frame]:
        """Follow the whole fleet, as `FleetClient.events` does."""
        return SyncStream(self._portal, self._real.events(after=after))

    def webhook(self, webhook_id: str) -> SyncWebhook:
        """Return the webhook with this id, without a request to the server."""
        return SyncWebhook(self._portal, self._real.webhook(webhook_id))

    def export(self, *, after: int = 0, through: int | None = None) -> SyncStream[bytes]:
        """Return the log as lines, as `FleetClient.export` does."""
        return SyncStream(self._portal, self._real.export(after=after, through=through))

    def socket(self) -> SyncSocket:
        """Return a connection for many streams, as `FleetClient.socket` does."""
        return SyncSocket(self._portal, self._real.socket())

    def follow_notifications(self, *, after: int | None = None) -> "SyncStream[NotificationItem]":
        """Follow the notifications of all sessions."""
        return SyncStream(self._portal, self._real.follow_notifications(after=after))


@contextmanager
def sync_client(
    url: str = "http://localhost:3000", *, token: str | None = None, retry_for_s: float = CLIENT_RETRY_S
) -> Generator[SyncFleetClient]:
    """Yield a `FleetClient` whose methods block, for scripts without trio. It runs in a thread of its own."""
    with start_blocking_portal("trio", name="fleet-client") as portal:
        client = portal.call(partial(FleetClient, url, token=token, retry_for_s=retry_for_s))
        with portal.wrap_async_context_manager(client):
            yield SyncFleetClient(portal, client)
