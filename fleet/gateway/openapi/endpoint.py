"""The declaration of a route, made once: the server decodes requests by it, and openapi.json is made from it.

A route is a function of a module. The names and types of its parameters say what it takes:

    the name of a part of the path          that part
    `Session`                               the session in the path; where the query has `instanceId`, which is so
                                            unless another query is declared, only one that has had that instance
    a `Query`, a `Body`, a `Body | None`    the query, the body, the body if there is one, decoded
    `Moment | None`                         the moment that the query asks for with `at`
    `Caller`, `Visitor`                     who asks: as the log names it, and as the guard admitted it
    `Request`                               the request itself, for what no other parameter gives: cookies, the scheme
    the name of a header, in lower case     that header, None where the request has none
    any other type                          the part of the server of this type: `Fleet`, `SessionItems`, `Guard`

What a route does not declare is refused: query parameters, and the body of a request that changes something.
"""

from collections.abc import Awaitable, Callable, Mapping
from types import NoneType
from typing import Any, Final, NamedTuple, get_args, get_type_hints

from quart import Request, Response
from quart.globals import request_ctx

from fleet.actors.caller import Caller
from fleet.actors.fleet import Fleet
from fleet.core.session.state import State as Session
from fleet.errors import Unavailable
from fleet.gateway.openapi import refusals
from fleet.gateway.openapi.responses import Gives, json
from fleet.gateway.server.guard import READS
from fleet.gateway.server.middleware import visit_of
from fleet.gateway.server.moments import Moment, Moments
from fleet.gateway.server.requests import body_decoder, query_decoder, raw_body, read_caller
from fleet.gateway.server.visitor import Visitor
from fleet.wire.bodies import Body, InstanceQuery, Query

Function = Callable[..., Awaitable[Response]]

HEADERS: Final = {"if_none_match": "If-None-Match", "last_event_id": "Last-Event-ID"}
"""The headers that a route can take, by the names of parameters."""


class Parameters(NamedTuple):
    """The parameters of a route's function: names by what they get."""

    names: dict[type, str]
    path: tuple[str, ...]
    headers: tuple[str, ...]
    parts: dict[str, type]
    query: type[Query] = Query
    body: type[Body] = Body
    body_required: bool = False


class Route(NamedTuple):
    """One route: how it is called, what it takes, gives and refuses."""

    method: str
    path: str
    tag: str
    function: Function
    takes: Parameters
    gives: Gives
    refuses: tuple[str, ...]
    examples: tuple[dict[str, Any], ...]
    tells_secret: bool
    changes_nothing: bool

    @property
    def name(self) -> str:
        """The name of the route, which is unique."""
        return self.function.__name__

    @property
    def has_body(self) -> bool:
        """Whether its requests may have a body."""
        return self.method not in READS

    @property
    def reaches_log(self) -> bool:
        """Whether what it changes is in the log: a browser's log-out is not."""
        return self.has_body and self.path.startswith("/api/") and not self.changes_nothing

    def view(self, parts: Mapping[type, Any]) -> Function:
        """Return the function that the framework calls; `parts` are those of the server, by type."""
        takes, function = self.takes, self.function
        names, has_body, reaches_log = takes.names, self.has_body, self.reaches_log
        fixed = {name: parts[kind] for name, kind in takes.parts.items()}
        fleet, sessions, moments = parts[Fleet], parts[Fleet].sessions, parts[Moments]
        decode_query, decode_body = query_decoder(takes.query), body_decoder(takes.body)

        async def view(**path: Any) -> Response:
            if reaches_log and fleet.read_only:
                raise Unavailable("read_only_server", "this server reads its data directory and changes nothing")
            request = request_ctx.request  # the request itself: each use of a proxy looks it up
            given = {**fixed, **{name: path[name] for name in takes.path}}
            query = decode_query(request.query_string)
            for name in takes.headers:
                given[name] = request.headers.get(HEADERS[name])
            if Query in names:
                given[names[Query]] = query
            if Moment in names:
                given[names[Moment]] = await moments.find(getattr(query, "at", None))
            if Session in names:
                given[names[Session]] = sessions.session(path["session_id"], getattr(query, "instance_id", None))
            if has_body:
                raw = await raw_body(request)
                body = decode_body(raw) if raw or takes.body_required else None
                if Body in names:
                    given[names[Body]] = body
            if Caller in names or reaches_log:
                caller = await read_caller(request)
                if Caller in names:
                    given[names[Caller]] = caller
            if Visitor in names:
                given[names[Visitor]] = visit_of(request).visitor
            if Request in names:
                given[names[Request]] = request
            return await function(**given)

        return view


class Endpoints:
    """The routes of one module, below one path and under one heading of openapi.json. It is their decorator."""

    def __init__(self, prefix: str, tag: str) -> None:
        self._prefix = prefix
        self._tag = tag
        self.all: list[Route] = []

    def __call__(
        self,
        address: str,
        *,
        gives: Any,
        tag: str | None = None,
        refuses: tuple[str, ...] = (),
        examples: tuple[dict[str, Any], ...] = (),
        tells_secret: bool = False,
        changes_nothing: bool = False,
    ) -> Callable[[Function], Function]:
        """Declare the function as a route; `address` is a method and a path, as in `GET /<session_id>`.

        `gives` is what it returns: a type, or what responses.py makes. `refuses` are the problem codes that it may
        respond with, beside those that all routes have or its parameters imply. `examples` are of its body. With
        `tells_secret` its responses are not stored; nor are they with `changes_nothing`, a read that has a body.
        """
        method, _, below = address.partition(" ")
        path, heading = self._prefix + below, tag or self._tag
        responses = gives if isinstance(gives, Gives) else json(gives)

        def declare(function: Function) -> Function:
            takes = _parameters(function, path)
            codes = (*_implied(takes, writes=method not in READS), *refuses)
            self.all.append(
                Route(method, path, heading, function, takes, responses, codes, examples, tells_secret, changes_nothing)
            )
            return function

        return declare


def _implied(takes: Parameters, *, writes: bool) -> tuple[str, ...]:
    """Return the codes by which what a route takes may be refused."""
    commands = refusals.COMMAND if Caller in takes.names and writes else ()
    if Session not in takes.names:
        return commands
    by_instance = "instance_id" in takes.query.__struct_fields__
    return (*commands, *(refusals.SESSION if by_instance else refusals.ABSENT))


def _parameters(function: Function, path: str) -> Parameters:
    names: dict[type, str] = {}
    in_path: list[str] = []
    headers: list[str] = []
    parts: dict[str, type] = {}
    more: dict[str, Any] = {}
    for name, kind in get_type_hints(function).items():
        inner = next((each for each in get_args(kind) if each is not NoneType), kind)
        if name == "return":
            continue
        if f"<{name}>" in path or f":{name}>" in path:
            in_path.append(name)
        elif name in HEADERS:
            headers.append(name)
        elif isinstance(inner, type) and issubclass(inner, Body):
            names[Body] = name
            more |= {"body": inner, "body_required": inner is kind}
        elif isinstance(inner, type) and issubclass(inner, Query):
            names[Query] = name
            more["query"] = inner
        elif inner is Moment:
            names[Moment] = name
        elif kind in (Session, Caller, Visitor, Request):
            names[kind] = name
        else:
            parts[name] = kind
    if Session in names:
        more.setdefault("query", InstanceQuery)
    return Parameters(names, tuple(in_path), tuple(headers), parts, **more)
