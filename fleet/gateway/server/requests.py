"""Reads requests (bodies and queries into wire structs, the caller), and makes responses with their log position."""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache, lru_cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
import trio
from msgspec.structs import replace
from quart import Request, Response
from werkzeug.exceptions import RequestEntityTooLarge, RequestTimeout

from fleet.actors.caller import Caller
from fleet.actors.fleet import Fleet
from fleet.errors import Rejected
from fleet.gateway.server.allowed_values import choices
from fleet.gateway.server.guard import READS
from fleet.gateway.server.middleware import visit_of
from fleet.limits import (
    ENCODED_SLICE_ITEMS,
    IDEMPOTENCY_KEY_CHARS_MAX,
    QUERIES_CACHED,
    RESPONSE_SLICE_BYTES,
    RESPONSE_SLICE_ITEMS,
    UNREAD_BODY_DRAIN_S,
)
from fleet.wire.bodies import Body, PageQuery, Query

AnyBody = TypeVar("AnyBody", bound=Body)
AnyQuery = TypeVar("AnyQuery", bound=Query)
Found = TypeVar("Found")

_FIELD = re.compile(r" - at `\$\.?([^`]*)`$")
_NO_CHOICE = re.compile(r"Invalid (?:enum )?value")
_NAMED = re.compile(r"(?:unknown|missing required) field `([^`]*)`")


def body_decoder(body_type: type[AnyBody]) -> Callable[[bytes], AnyBody]:
    """Return what makes a body of its JSON. It raises `Rejected` bad_json, or invalid with the field."""
    decode = msgspec.json.Decoder(body_type).decode

    def decode_body(raw: bytes) -> AnyBody:
        try:
            return decode(raw)
        except msgspec.ValidationError as error:
            raise invalid(error, body_type) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Rejected("bad_json", f"the body is not JSON: {error}") from error
        except RecursionError as error:
            raise Rejected("bad_json", "the body is nested too deeply") from error

    return decode_body


async def raw_body(request: Request) -> bytes:
    """Return the bytes of the body."""
    body = await request.get_data(cache=True, as_text=False)
    return body if isinstance(body, bytes) else body.encode()


async def read_to_its_end(request: Request) -> None:
    """Read the rest of a body that the route does not use, before the response is sent.

    If the response came before the end of the body, the next request on the connection would hang.
    """
    if request.method in READS and not ("Content-Length" in request.headers or "Transfer-Encoding" in request.headers):
        return  # it has none
    with trio.move_on_after(UNREAD_BODY_DRAIN_S), suppress(RequestEntityTooLarge, RequestTimeout):
        await request.get_data(cache=True, as_text=False)


def query_decoder(query_type: type[AnyQuery]) -> Callable[[bytes], AnyQuery]:
    """Return what makes a query of its text, and keeps the last ones. It raises `Rejected` invalid, with the field."""
    fields = _fields_by_name(query_type)

    @lru_cache(QUERIES_CACHED)
    def decode(text: bytes) -> AnyQuery:
        given = parse_qsl(text.decode(), keep_blank_values=True, errors="werkzeug.url_quote")
        named = dict(given)
        if len(named) < len(given):
            twice = next(name for name in named if [each for each, _ in given].count(name) > 1)
            raise Rejected("invalid", f"the parameter {twice} is given twice", field=twice)
        try:
            query = msgspec.convert(named, query_type, strict=False)
        except msgspec.ValidationError as error:
            raise invalid(error, query_type) from error
        # The text "null", which the lax conversion takes for nothing.
        nulls = {name: field for name, field in fields.items() if name in named and getattr(query, field.name) is None}
        for name, field in nulls.items():
            try:
                query = replace(query, **{field.name: msgspec.convert(named[name], field.type)})
            except msgspec.ValidationError as error:
                raise Rejected("invalid", str(error), field=name) from error
        return query

    return decode


@cache
def _fields_by_name(query_type: type[Query]) -> dict[str, msgspec.structs.FieldInfo]:
    """Return a query's fields by their names on the wire: to read them takes longer than to decode a query."""
    return {field.encode_name: field for field in msgspec.structs.fields(query_type)}


def invalid(error: msgspec.ValidationError, kind: Any) -> Rejected:
    """Return the problem that names the field that is wrong in a `kind`, and its values where these are few."""
    text = str(error)
    where, named = _FIELD.search(text), _NAMED.search(text)
    field = where.group(1) if where else None
    if named is not None:
        field = f"{field}.{named.group(1)}" if field else named.group(1)
    known = choices(kind, field) if field and _NO_CHOICE.match(text) else ()
    return Rejected(
        "invalid", _FIELD.sub("", text), field=field or None, hint=f"Use one of {', '.join(known)}." if known else None
    )


async def read_caller(request: Request) -> Caller:
    """Return who asks, with the idempotency key and a digest of the whole request."""
    visit = visit_of(request)
    actor = "local" if visit.visitor is None else visit.visitor.actor
    behalf = _behalf(request)
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return Caller(actor, visit.request_id, on_behalf_of=behalf)
    if not 0 < len(key) <= IDEMPOTENCY_KEY_CHARS_MAX:
        raise Rejected("invalid", f"an idempotency key must have 1 to {IDEMPOTENCY_KEY_CHARS_MAX} characters")
    whole = b"\0".join((request.method.encode(), request.full_path.encode(), await raw_body(request)))
    return Caller(actor, visit.request_id, f"http:{key}", hashlib.sha256(whole).digest(), behalf)


def _behalf(request: Request) -> str | None:
    """Return the cause that the log names for the request: the session on whose behalf the caller says it acts.

    The guard has verified the caller (`actor`), but not the session: it explains, and allows nothing.
    """
    session_id = request.headers.get("Fleet-Session")
    if session_id is None:
        return None
    if not re.fullmatch(r"[0-9A-Za-z_-]{1,64}", session_id):
        raise Rejected("invalid", "Fleet-Session is not a session id", field="Fleet-Session")
    return f"session:{session_id}"


def derived(who: Caller, part: str) -> Caller:
    """Return the caller of one of several commands that a request is made of: each has a key of its own."""
    key = who.idempotency_key
    return who if key is None else replace(who, idempotency_key=f"{part}:{key}")


def check_cursor(fleet: Fleet, position: int, field: str = "after") -> int:
    """Return the position. Raises `Rejected` invalid for one that is ahead of the log."""
    if position > fleet.log.head():
        raise Rejected("invalid", f"the log ends at {fleet.log.head()}: {position} is ahead of it", field=field)
    return position


def json_response(value: Any, *, status: int = 200, position: int | None = None, total: int | None = None) -> Response:
    """Return `value` as JSON; `position` and `total` go into headers."""
    response = Response(msgspec.json.encode(value), status, content_type="application/json")
    return _with_headers(response, position, total)


async def list_response(
    items: Iterable[Any], *, position: int, total: int | None = None, headers: dict[str, str] | None = None
) -> Response:
    """Return a list of any length as JSON; its items are made and encoded a few at a time, with checkpoints between.

    `total` None says that these are all of them.
    """
    encoded = map(msgspec.json.encode, items)
    return await _joined(encoded, RESPONSE_SLICE_ITEMS, position=position, total=total, headers=headers)


async def encoded_response(items: Iterable[bytes], *, position: int, total: int) -> Response:
    """Return a list of items as JSON, most of which were encoded before; likewise."""
    return await _joined(items, ENCODED_SLICE_ITEMS, position=position, total=total)


async def _joined(
    items: Iterable[bytes], slice_items: int, *, position: int, total: int | None, headers: dict[str, str] | None = None
) -> Response:
    encoded: list[bytes] = []
    since, slice_bytes = 0, 0
    for item in items:
        encoded.append(item)
        slice_bytes += len(item)
        if slice_bytes >= RESPONSE_SLICE_BYTES or len(encoded) - since >= slice_items:
            since, slice_bytes = len(encoded), 0
            await trio.lowlevel.checkpoint()
    response = Response(b"[" + b",".join(encoded) + b"]", 200, headers, content_type="application/json")
    return _with_headers(response, position, len(encoded) if total is None else total)


def paged(found: Sequence[Found], query: PageQuery, item: Callable[[Found], Any] | None, position: int) -> Response:
    """Return the page that was asked for and how many were found. `item` makes each; without it they are items."""
    page = found[query.offset : query.offset + query.limit]
    return json_response(page if item is None else [item(each) for each in page], position=position, total=len(found))


def done(position: int) -> Response:
    """Return 204 with the log position that the command reached."""
    return _with_headers(Response(b"", 204), position, None)


def _with_headers(response: Response, position: int | None, total: int | None) -> Response:
    if position is not None:
        response.headers["Fleet-Position"] = str(position)
    if total is not None:
        response.headers["X-Total-Count"] = str(total)
    return response
