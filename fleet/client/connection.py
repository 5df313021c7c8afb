"""Sends requests to one server and repeats them where that is safe: every write carries an idempotency key."""

import itertools
import uuid
from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from functools import partial
from typing import BinaryIO, TypeVar

import msgspec
import trio

from fleet import __version__
from fleet.backoff import backoff_s
from fleet.client.address import Address
from fleet.client.errors import FleetError, error_of, unreachable, unreadable
from fleet.client.response import LOST, open_response
from fleet.http1 import HttpConnection
from fleet.http_pool import HttpPool, HttpResponse, OversizedResponseError
from fleet.limits import (
    CLIENT_BACKOFF_S_MAX,
    CLIENT_BACKOFF_S_MIN,
    CLIENT_CONNECT_S,
    CLIENT_CONNECTIONS,
    CLIENT_RESPONSE_BYTES_MAX,
    CLIENT_RESPONSE_S,
)
from fleet.wire.bodies import Body, Query

Item = TypeVar("Item")


class Page(list[Item]):
    """A page of a list; `total` is how many there are in all. `go_on`: where the log's next page begins, if any."""

    def __init__(self, items: list[Item], total: int, go_on: int | None = None) -> None:
        super().__init__(items)
        self.total = total
        self.go_on = go_on


def wait_before(attempt: int, failure: FleetError) -> float:
    """Return the seconds before `attempt` (from 1), which follows a failure."""
    wait_s = backoff_s(attempt, first_s=CLIENT_BACKOFF_S_MIN, max_s=CLIENT_BACKOFF_S_MAX)
    return max(wait_s, failure.retry_after_s or 0)


class Connection:
    """The connection to one server.

    An attempt that fails by the connection, or that Fleet defers (Retry-After), is repeated until `retry_for_s` after
    the first; then its error is raised. `notify` is called with the error when a repeated attempt has failed as well,
    and with None after the next response. It is not called for a connection that the first retry restores.

    Raises ValueError for an invalid address or token.
    """

    def __init__(self, url: str, token: str | None, retry_for_s: float) -> None:
        self.address = Address(url)
        self.retry_for_s = retry_for_s
        self.notify: Callable[[FleetError | None], None] | None = None
        self._away = False
        self._streams: set[HttpConnection] = set()
        self._closed = trio.Event()
        self.headers = {"User-Agent": f"fleet/{__version__}"}
        if token is not None:
            self.headers["Authorization"] = f"Bearer {checked_token(token)}"
        self._http = HttpPool(self._connect, kept_max=CLIENT_CONNECTIONS, response_bytes_max=CLIENT_RESPONSE_BYTES_MAX)

    @property
    def url(self) -> str:
        """The server's address, without a final slash."""
        return self.address.url

    def with_headers(self, headers: Mapping[str, str]) -> "Connection":
        """Return the same connection, with more headers in each request."""
        other = copy(self)
        other.headers = {**self.headers, **headers}
        return other

    async def aclose(self) -> None:
        """Close all connections. A stream that is being opened is closed when it is open."""
        self._closed.set()
        for response in list(self._streams):
            self.shut(response)
        self._http.close()
        await trio.lowlevel.checkpoint()

    def failed(self, failure: FleetError, times: int) -> None:
        """Record the number of failed attempts and the last failure; another attempt follows."""
        if times > 1 and not self._away:
            self._away = True
            if self.notify is not None:
                self.notify(failure)

    def succeeded(self) -> None:
        """Record that the server responds."""
        if self._away:
            self._away = False
            if self.notify is not None:
                self.notify(None)

    # ------------------------------------------------------------------------------------------------------- requests

    async def read(
        self,
        kind: type[Item],
        path: str,
        query: Query | None = None,
        *,
        retry: bool = True,
        method: str = "GET",
        body: Body | None = None,
    ) -> Item:
        """Return the response to a GET, or to another request that changes nothing."""
        return self._decode(await self._send(method, path, query, body, None, retry=retry), kind)

    async def content(self, path: str, query: Query | None = None) -> bytes:
        """Return the bytes of the response to a GET."""
        return (await self._send("GET", path, query, None, None)).body

    async def save(self, path: str, file: BinaryIO) -> None:
        """Write the bytes of the response to a GET into a file as they arrive; each attempt begins the file again."""
        await self._repeated(partial(self._save, path, file), self.retry_for_s)

    async def _save(self, path: str, file: BinaryIO) -> None:
        response = await self.open(path, Query(), accept="*/*", patience_s=CLIENT_RESPONSE_S)
        try:
            file.seek(0)
            file.truncate()
            while chunk := await self._received(response):
                file.write(chunk)
        finally:
            self.shut(response)

    async def _received(self, response: HttpConnection) -> bytes:
        try:
            return await response.receive(CLIENT_RESPONSE_S)
        except LOST as error:
            raise unreachable(self.url, error) from error

    async def page(self, kind: type[Item], path: str, query: Query | None = None) -> Page[Item]:
        """Return a page of a list."""
        response = await self._send("GET", path, query, None, None)
        items = self._decode(response, list[kind])  # type: ignore[valid-type]  # a type that is known at run time
        total, go_on = response.field("x-total-count"), response.field("fleet-continue")
        return Page(items, len(items) if total is None else int(total), None if go_on is None else int(go_on))

    async def write(
        self,
        kind: type[Item],
        method: str,
        path: str,
        *,
        body: Body | None = None,
        query: Query | None = None,
        key: str | None = None,
    ) -> Item:
        """Return the response to a command. A caller that stores its own `key` can repeat it after a crash, too."""
        return self._decode(await self._send(method, path, query, body, key or str(uuid.uuid4())), kind)

    async def command(
        self, method: str, path: str, *, body: Body | None = None, query: Query | None = None, key: str | None = None
    ) -> None:
        """Send a command that has no response body."""
        await self._send(method, path, query, body, key or str(uuid.uuid4()))

    def _decode(self, response: HttpResponse, kind: type[Item]) -> Item:
        try:
            return msgspec.json.decode(response.body, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise unreadable(self.url, response.status, error) from error

    async def _send(
        self, method: str, path: str, query: Query | None, body: Body | None, key: str | None, *, retry: bool = True
    ) -> HttpResponse:
        headers = self.headers | ({} if key is None else {"Idempotency-Key": key})
        content = b"" if body is None else msgspec.json.encode(body)
        target = self.address.target(path, query)
        attempt = partial(self._attempt, method, target, content, headers)
        return await self._repeated(attempt, self.retry_for_s if retry else 0)

    async def _repeated(self, attempt: Callable[[], Awaitable[Item]], retry_for_s: float) -> Item:
        """Return what `attempt` returns; where it raises a transient `FleetError`, try again for so long."""
        end = trio.current_time() + retry_for_s
        for times in itertools.count(1):
            try:
                result = await attempt()
            except FleetError as failure:
                wait = wait_before(times, failure)
                if not failure.transient or trio.current_time() + wait > end:
                    raise
                self.failed(failure, times)
            else:
                self.succeeded()
                return result
            await trio.sleep(wait)
        raise AssertionError("the pauses have no end")

    async def _attempt(self, method: str, target: str, content: bytes, headers: Mapping[str, str]) -> HttpResponse:
        try:
            with trio.fail_after(CLIENT_RESPONSE_S):
                response = await self._http.ask(method, target, content, list(headers.items()))
        except LOST as error:
            raise unreachable(self.url, error) from error
        except OversizedResponseError as error:
            raise unreadable(self.url, 200, error) from error
        if not 200 <= response.status < 300:
            raise error_of(response)
        return response

    async def _connect(self) -> HttpConnection:
        with trio.fail_after(CLIENT_CONNECT_S):
            return HttpConnection(await self.address.connect(), (("Host", self.address.authority),))

    # -------------------------------------------------------------------------------------------------------- streams

    async def open(
        self, path: str, query: Query, *, accept: str = "text/event-stream", patience_s: float = CLIENT_CONNECT_S
    ) -> HttpConnection:
        """Open a stream; an attempt is made once, and fails where the response does not begin in `patience_s`."""
        headers = {**self.headers, "Accept": accept}
        try:
            response = await open_response(self.address, self.address.target(path, query), headers, patience_s)
        except LOST as error:
            raise unreachable(self.url, error) from error
        if self._closed.is_set():
            response.close()
            raise trio.ClosedResourceError("the client is closed")
        self._streams.add(response)
        return response

    def shut(self, response: HttpConnection) -> None:
        """Close a stream that was opened."""
        self._streams.discard(response)
        response.close()


def checked_token(given: str) -> str:
    """Return the token. Raises ValueError."""
    if not given.isascii() or not given.isprintable() or given.split() != [given]:
        raise ValueError("a token is one word, as `fleet token new` prints it")
    return given
