"""The responses of routes, for their declarations: JSON of a type, nothing, a text, a file, a stream."""

import inspect
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from fleet.gateway.openapi.examples import example_of
from fleet.gateway.openapi.shared_parts import header


class Gives(NamedTuple):
    """The responses of a route, by status: types of JSON, descriptions of others; and headers of all of them."""

    json: Mapping[int, tuple[Any, ...]]
    others: Mapping[int, dict[str, Any]] = {}
    headers: tuple[str, ...] = ()


def schemas_of(*kinds: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the schemas of types, and the components that these name."""
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    return list(schemas), components


def json(*kinds: Any, headers: tuple[str, ...] = ()) -> Gives:
    """Return the response that is JSON of one of these types.

    A list has the headers `X-Total-Count` and `Fleet-Position`, what changes something has the latter, unnamed.
    """
    return Gives({200: kinds}, headers=headers)


def lines(line: Any) -> Gives:
    """Return the response that is a file of JSON lines, each of which is a `line`."""
    (schema,), components = schemas_of(line)
    example = msgspec.json.encode(example_of(schema, components)).decode() + "\n"
    words = f"A {line.__name__} in each line: {inspect.getdoc(line)}"
    content = {"application/x-ndjson": {"schema": {"type": "string", "description": words}, "example": example}}
    named = _named("Fleet-Position", "Content-Disposition")
    response = {"description": "The events, a line of JSON each.", "content": content, "headers": named}
    return Gives({}, {200: response})


def text(media_type: str, example: str) -> Gives:
    """Return the response that is a text: how it may begin."""
    content = {media_type: {"schema": {"type": "string"}, "example": example}}
    return Gives({}, {200: {"description": "Done.", "content": content}})


def download(*media_types: str) -> Gives:
    """Return the response that is a file, of one of these types."""
    content = {"schema": {"type": "string", "format": "binary"}, "example": "the bytes of the file"}
    contents: dict[str, Any] = dict.fromkeys(media_types, content)
    named = _named("Content-Disposition")
    return Gives({}, {200: {"description": "The file.", "content": contents, "headers": named}})


def events(event: str, frame: Any) -> Gives:
    """Return the response that is a stream of Server-Sent Events: how it shows this event, whose data is a `frame`."""
    (schema,), components = schemas_of(frame)
    example = f"id: 42\nevent: {event}\ndata: {msgspec.json.encode(example_of(schema, components)).decode()}\n\n"
    content = {"text/event-stream": {"schema": {"type": "string"}, "example": example}}
    return Gives({}, {200: {"description": _STREAM, "content": content}})


def _named(*names: str) -> dict[str, Any]:
    return {name: header(name) for name in names}


_STREAM: Final = (
    "Events as they happen. A frame of a logged event has its position as `id`, its type as `event`, and in `data` its "
    "envelope in camelCase, whose own `data` is the payload as it was logged, with names in snake_case (`GET /api/log` "
    "gives the same). Signals (`delta`, `snapshot` and others) have no `id`, and are in camelCase."
)
_PAGE: Final = {"text/html": {"schema": {"type": "string"}, "example": "<!doctype html>\n"}}
_CONTENT: Final = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}, "example": "Hello\n"}}

NOTHING: Final = Gives({}, {204: {"description": "Done."}})
BYTES: Final = Gives(
    {},
    {
        200: {"description": "Done.", "content": _CONTENT, "headers": _named("ETag")},
        304: {"description": "The client has it.", "headers": _named("ETag")},
    },
)
"""Bytes that never change; 304 for a client that has them."""
PACKED: Final = Gives(
    {},
    {
        200: {
            "description": "Done.",
            "content": {
                "application/vnd.msgpack": {
                    "schema": {"type": "string", "format": "binary"},
                    "example": "MessagePack, as fleet/wire/backup.py has it",
                }
            },
        }
    },
)
LOGIN: Final = Gives(
    {},
    {
        200: {"description": "The page, which says how to log in.", "content": _PAGE},
        303: {"description": "Logged in: `Location` leads on.", "headers": _named("Location", "Set-Cookie")},
        403: {"description": "The page, which says how to make another link.", "content": _PAGE},
        503: {"description": "The page is not built.", "content": _PAGE},
    },
)
LOGOUT: Final = Gives({}, {204: {"description": "Done.", "headers": _named("Set-Cookie")}})
WEBSOCKET: Final = Gives({}, {101: {"description": "The WebSocket is open."}})
