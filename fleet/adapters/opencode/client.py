"""The HTTP client of one ready `opencode serve`: the `OpenCode` port.

`http` sends the requests, `wire` knows the JSON, `events` follows the stream, and `process` opens a client with the
right password. Every request has a deadline and a limit for its response. A status code alone is not trusted, because
OpenCode responds to unknown paths with 200 and its web page. The directory is sent as a query wherever the response
depends on it.
"""

from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Final, Literal, TypeVar
from urllib.parse import quote, urlencode

import msgspec
import trio

from fleet.adapters.opencode import offer_wire, wire
from fleet.adapters.opencode.binary import release
from fleet.adapters.opencode.copies import replay
from fleet.adapters.opencode.events import OpenCodeEventStream
from fleet.adapters.opencode.http import pool_of, what_went_wrong
from fleet.errors import Problem, Unavailable
from fleet.http_pool import FAULTS, HttpPool, HttpResponse, OversizedResponseError
from fleet.limits import (
    COMMAND_ACCEPT_S,
    CREATED_AHEAD_KEPT,
    MCP_ANSWER_S,
    OPENCODE_REQUEST_TIMEOUT_S,
    OPENCODE_RESPONSE_BYTES_MAX,
    REPLAYED_AT_ONCE,
    REPLAYED_MAX,
)
from fleet.ports import (
    Agent,
    Endpoint,
    McpServers,
    Message,
    OfferedModel,
    OpenCodeEvent,
    OpenCodeSession,
    OpenRequest,
    Prompt,
    RecordedMessage,
    SlashCommand,
    TurnStatus,
)

T = TypeVar("T")

USERNAME: Final = "opencode"
_OWN_SESSION_IDS_SINCE: Final = (1, 17, 19)
_REPLAYS_SINCE: Final = (1, 18, 33)  # older versions were not tried


class _Begun:
    """A request that was begun ahead of the call that needs its result."""

    def __init__(self) -> None:
        self._has_ended = trio.Event()
        self._has_succeeded = False

    async def run(self, request: Callable[[], Awaitable[object]]) -> None:
        try:
            self._has_succeeded = await _quietly(request)
        finally:
            self._has_ended.set()

    async def succeeded(self) -> bool:
        await self._has_ended.wait()
        return self._has_succeeded


async def _quietly(request: Callable[[], Awaitable[object]]) -> bool:
    """Send the request and return whether it succeeded."""
    try:
        await request()
    except Problem:
        return False
    return True


class OpenCodeClient:
    """`fleet.ports.OpenCode` for the process at `endpoint`."""

    def __init__(self, endpoint: Endpoint, http: HttpPool, authorization: str) -> None:
        self._endpoint = endpoint
        self._http = http
        self._authorization = authorization
        self._created_ahead: dict[str, _Begun] = {}

    async def health(self) -> str:
        """Read `/global/health`, which starts nothing and needs no database."""
        response = await self._send("GET", "/global/health")
        return self._read(response, wire.version)

    async def create_session(self, session_id: str, directory: str) -> str:
        """Create the session with Fleet's id if the version accepts one.

        Such a version does not load the directory for it, as it does for `POST /session`: that takes longer.
        """
        if not self._accepts_ids:
            return (await self._session("POST", "/session", directory, {})).id
        begun = self._created_ahead.pop(session_id, None)
        if begun is None or not await begun.succeeded():
            await self._create(session_id, directory)
        return session_id

    async def name_session(self, session_id: str, title: str) -> OpenCodeSession:
        """Set the title."""
        return await self._session("PATCH", f"/session/{session_id}", None, {"title": title})

    async def add_messages(self, messages: tuple[RecordedMessage, ...], session: OpenCodeSession) -> bool:
        """Replay the events that add the messages; OpenCode refuses those that do not follow on what it has."""
        if release(self._endpoint.version) < _REPLAYS_SINCE:
            return False
        events = replay(messages, session)
        if len(events) > REPLAYED_MAX:
            return False
        for begin in range(0, len(events), REPLAYED_AT_ONCE):
            body = {"directory": session.directory, "events": events[begin : begin + REPLAYED_AT_ONCE]}
            try:
                self._done(await self._send("POST", "/sync/replay", session.directory, body))
            except Unavailable:
                raise
            except Problem:
                return False
        return True

    async def create_ahead(self, session_id: str, directory: str) -> None:
        """Create the session once."""
        if not self._accepts_ids:
            await self.load(directory)
        elif session_id not in self._created_ahead:
            await self._begin(session_id).run(partial(self._create, session_id, directory))

    async def load(self, directory: str) -> None:
        """Read `/session/status`: any request of v1 about a directory makes OpenCode load it."""
        await _quietly(partial(self.statuses, directory))

    def _begin(self, session_id: str) -> _Begun:
        """Remember that the session is created; one that never opens would be remembered as long as its process."""
        if len(self._created_ahead) >= CREATED_AHEAD_KEPT:
            del self._created_ahead[next(iter(self._created_ahead))]
        self._created_ahead[session_id] = begun = _Begun()
        return begun

    @property
    def _accepts_ids(self) -> bool:
        return release(self._endpoint.version) >= _OWN_SESSION_IDS_SINCE

    async def _create(self, session_id: str, directory: str) -> None:
        """Create the session; one that exists stays unchanged."""
        order = {"id": session_id, "location": {"directory": directory}}
        self._read(await self._send("POST", "/api/session", None, order), wire.created_session_id)

    async def read_session(self, session_id: str) -> OpenCodeSession | None:
        """Read the session; OpenCode searches its whole store, regardless of the directory."""
        response = await self._send("GET", f"/session/{session_id}")
        return None if response.status == 404 else self._read(response, wire.session)

    async def statuses(self, directory: str) -> Mapping[str, TurnStatus]:
        """Read `/session/status` of the directory."""
        return self._read(await self._send("GET", "/session/status", directory), wire.statuses)

    async def prompt(self, session_id: str, directory: str, prompt: Prompt) -> None:
        """Send the prompt. Raises `Problem` session_gone if the store lacks the session (since 1.15.13)."""
        if prompt.command is not None:
            await self._command(session_id, directory, prompt)
            return
        path = f"/session/{session_id}/prompt_async"
        response = await self._send("POST", path, directory, msgspec.Raw(wire.prompt_body(prompt)))
        _must_exist(response, session_id)
        if response.status != 204:
            raise self._refused(response)

    async def _command(self, session_id: str, directory: str, prompt: Prompt) -> None:
        """Run a command. OpenCode responds when its turn is over; the turn continues without a waiting caller."""
        path = f"/session/{session_id}/command"
        with trio.move_on_after(COMMAND_ACCEPT_S):
            response = await self._send("POST", path, directory, msgspec.Raw(wire.command_body(prompt)))
            _must_exist(response, session_id)
            self._done(response)

    async def compact(self, session_id: str, directory: str, provider_id: str, model_id: str) -> None:
        """Compact the conversation. OpenCode responds when that is done, and continues without a waiting caller."""
        path = f"/session/{session_id}/summarize"
        with trio.move_on_after(COMMAND_ACCEPT_S):
            response = await self._send("POST", path, directory, {"providerID": provider_id, "modelID": model_id})
            _must_exist(response, session_id)
            self._done(response)

    async def read_message(self, session_id: str, message_id: str) -> Message | None:
        """Read one message."""
        response = await self._send("GET", f"/session/{session_id}/message/{message_id}")
        return None if response.status == 404 else self._read(response, wire.message)

    async def read_messages(self, session_id: str, newest: int | None = None) -> tuple[Message, ...]:
        """Read the transcript. Raises `Problem` session_gone where the store lacks the session."""
        parameters = {} if newest is None else {"limit": str(newest)}
        response = await self._send("GET", f"/session/{session_id}/message", parameters=parameters)
        _must_exist(response, session_id)
        return self._read(response, wire.messages)

    async def abort(self, session_id: str, directory: str) -> None:
        """Abort the turn; OpenCode confirms it for any session, running or not."""
        self._done(await self._send("POST", f"/session/{session_id}/abort", directory))

    async def delete_session(self, session_id: str) -> None:
        """Delete the session; OpenCode deletes those of its sub-agents as well."""
        response = await self._send("DELETE", f"/session/{session_id}")
        if response.status != 404:
            self._done(response)

    async def replace_part(self, session_id: str, message_id: str, part_id: str, body: bytes) -> None:
        """Replace the part, if the store has it: OpenCode would create it otherwise."""
        message = await self.read_message(session_id, message_id)
        if message is not None and any(part.id == part_id for part in message.parts):
            path = f"/session/{session_id}/message/{message_id}/part/{part_id}"
            self._done(await self._send("PATCH", path, None, msgspec.Raw(body)))

    async def open_requests(self, directory: str) -> tuple[OpenRequest, ...]:
        """Read `/permission` and `/question` of the directory."""
        permissions = await self._send("GET", "/permission", directory)
        questions = await self._send("GET", "/question", directory)
        return (
            *self._read(permissions, lambda body: wire.requests("permission", body)),
            *self._read(questions, lambda body: wire.requests("question", body)),
        )

    async def reply_permission(
        self, request_id: str, directory: str, reply: Literal["once", "always", "reject"], message: str | None
    ) -> None:
        """Answer a permission request (`POST /permission/P/reply`)."""
        body = {"reply": reply} if message is None else {"reply": reply, "message": message}
        self._replied(await self._send("POST", f"/permission/{request_id}/reply", directory, body), request_id)

    async def reply_question(
        self, request_id: str, directory: str, answers: tuple[tuple[str, ...], ...] | None
    ) -> None:
        """Answer a question (`POST /question/Q/reply`), or dismiss it (`…/reject`)."""
        verb, body = ("reject", None) if answers is None else ("reply", {"answers": answers})
        self._replied(await self._send("POST", f"/question/{request_id}/{verb}", directory, body), request_id)

    def _replied(self, response: HttpResponse, request_id: str) -> None:
        if response.status == 404:
            raise Problem("request_not_found", f"OpenCode no longer has an open request {request_id}")
        self._done(response)

    async def children(self, session_id: str) -> tuple[OpenCodeSession, ...]:
        """Read `/session/S/children`."""
        response = await self._send("GET", f"/session/{session_id}/children")
        return () if response.status == 404 else self._read(response, wire.sessions)

    async def agents(self, directory: str) -> tuple[Agent, ...]:
        """Read `/agent` of the directory."""
        return self._read(await self._send("GET", "/agent", directory), offer_wire.agents)

    async def commands(self, directory: str) -> tuple[SlashCommand, ...]:
        """Read `/command` of the directory."""
        return self._read(await self._send("GET", "/command", directory), offer_wire.commands)

    async def models(self, directory: str) -> tuple[OfferedModel, ...]:
        """Read `/config/providers`: `/provider` would return 6 MB of models that are not set up."""
        return self._read(await self._send("GET", "/config/providers", directory), offer_wire.models)

    async def mcp_servers(self, directory: str) -> McpServers:
        """Read `/config`, then `/mcp`, which responds when each server has responded or timed out (30 s)."""
        names = self._read(await self._send("GET", "/config", directory), offer_wire.mcp_names)
        with trio.move_on_after(MCP_ANSWER_S):
            if names:
                await self._send("GET", "/mcp", directory)
            return McpServers(names, are_starting=False)
        return McpServers(names, are_starting=True)

    async def find_files(self, directory: str, query: str, limit: int) -> tuple[str, ...]:
        """Read `/find/file`. Some versions ignore the limit, so it is applied here as well."""
        parameters = {"query": query, "limit": str(limit)}
        response = await self._send("GET", "/find/file", directory, parameters=parameters)
        return self._read(response, offer_wire.found_files)[:limit]

    async def dispose(self, directory: str) -> None:
        """Dispose the directory's instance; OpenCode responds at once and then needs up to 2 s."""
        self._done(await self._send("POST", "/instance/dispose", directory))

    def events(self) -> AbstractAsyncContextManager[AsyncIterator[OpenCodeEvent]]:
        """Follow the stream; closing the context closes the connection. The yielded stream has `statistics()`."""
        return self._events()

    @asynccontextmanager
    async def _events(self) -> AsyncGenerator[OpenCodeEventStream]:
        stream = OpenCodeEventStream(self._endpoint, self._authorization)
        try:
            yield stream
        finally:
            stream.close()

    async def _session(
        self, method: str, path: str, directory: str | None, order: Mapping[str, str]
    ) -> OpenCodeSession:
        return self._read(await self._send(method, path, directory, order), wire.session)

    async def _send(
        self,
        method: str,
        path: str,
        directory: str | None = None,
        body: object = None,
        parameters: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        query = {**(parameters or {}), **({} if directory is None else {"directory": directory})}
        target = f"{quote(path)}?{urlencode(query)}" if query else quote(path)
        try:
            with trio.fail_after(OPENCODE_REQUEST_TIMEOUT_S):
                response = await self._http.ask(method, target, b"" if body is None else msgspec.json.encode(body))
        except OversizedResponseError:
            limit = f"{OPENCODE_RESPONSE_BYTES_MAX} bytes"
            raise _refusal(f"its response to {method} {path} exceeds the limit of {limit}") from None
        except (*FAULTS, trio.TooSlowError) as error:
            opencode = f"OpenCode on port {self._endpoint.port}"
            detail = f"{opencode} did not respond to {method} {path}: {what_went_wrong(error)}."
            raise Unavailable("opencode_unreachable", detail, retry_after_s=1) from error
        if (response.field("content-type") or "").startswith("text/html"):
            raise _refusal(f"version {self._endpoint.version} does not know {method} {path}")
        return response

    def _read(self, response: HttpResponse, decode: Callable[[bytes], T]) -> T:
        self._done(response)
        try:
            return decode(response.body)
        except wire.WireError as error:
            raise _refusal(
                f"version {self._endpoint.version} sent a response that Fleet cannot read: {error}"
            ) from error

    def _done(self, response: HttpResponse) -> None:
        if not 200 <= response.status < 300:
            raise self._refused(response)

    def _refused(self, response: HttpResponse) -> Problem:
        if response.status == 401:
            return _refusal("it does not accept this instance's password: another process may have the port now")
        reason = wire.refusal(response.body) or "without a reason"
        return _refusal(f"it responded with {response.status}: {reason}")


def _refusal(reason: str) -> Problem:
    return Problem(
        "opencode_refused",
        f"OpenCode refused the request: {reason}",
        hint="`fleet doctor` reports whether this version of OpenCode is known to work.",
    )


def _must_exist(response: HttpResponse, session_id: str) -> None:
    if response.status == 404:
        raise Problem(
            "session_gone",
            f"OpenCode's store has no session {session_id}",
            hint='Fleet still has its transcript. Resume it with "fresh": true to begin a new conversation.',
        )


@asynccontextmanager
async def open_client(endpoint: Endpoint, password: str) -> AsyncGenerator[OpenCodeClient]:
    """Open a client for the process at `endpoint`."""
    authorization = f"Basic {b64encode(f'{USERNAME}:{password}'.encode()).decode()}"
    http = pool_of(endpoint, authorization)
    try:
        yield OpenCodeClient(endpoint, http, authorization)
    finally:
        http.close()
