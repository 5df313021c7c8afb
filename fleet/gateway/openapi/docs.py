"""The page `/api/docs`: what each route takes, returns and refuses, made on this machine and without a script.

Nothing of it comes from elsewhere, and its Content-Security-Policy lets nothing in: one style sheet of our own is all.
"""

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any, cast

import jinja2
import msgspec
from quart import Blueprint, Response

from fleet.gateway.openapi.document import about, gives_text
from fleet.gateway.server.requests import read_query
from fleet.wire.bodies import Query

_UNIONS = ("ClientFrame", "ServerFrame", "Signal")
_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def docs_routes(document: Callable[[], dict[str, Any]]) -> Blueprint:
    """Return the routes over what makes openapi.json."""
    routes = Blueprint("docs", __name__, url_prefix="/api")

    @cache
    def page() -> str:
        return _render(document())

    @routes.get("/docs")
    @about("fleet")
    @gives_text("text/html", "<!doctype html>\n")
    async def show_docs() -> Response:
        """Show this interface as a page.

        It is made of openapi.json, has no script, and loads nothing from elsewhere.
        """
        read_query(Query)
        return _answer(page(), "text/html; charset=utf-8")

    @routes.get("/docs.css")
    @about("fleet")
    @gives_text("text/css", ":root {\n")
    async def style_docs() -> Response:
        """Give the page its style.

        Only the page at `/api/docs` needs it.
        """
        read_query(Query)
        return _answer(_resource("docs.css"), "text/css; charset=utf-8")

    return routes


def _answer(text: str, content_type: str) -> Response:
    response = Response(text, content_type=content_type)
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _render(document: dict[str, Any]) -> str:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["json"] = _json
    environment.filters["schema"] = _kind
    components = document["components"]
    schemas = components["schemas"]

    def resolved(schema: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = schemas[_kind(schema)] if "$ref" in schema else schema
        return found

    environment.filters["resolved"] = cast("Any", resolved)
    by_tag: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, operations in sorted(document["paths"].items()):
        for method, operation in operations.items():
            by_tag.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    events = _payloads(schemas)
    frames = {union: [_kind(each) for each in schemas[union]["oneOf"]] for union in _UNIONS}
    elsewhere = {*events.values(), *_UNIONS, *(name for names in frames.values() for name in names)}
    template = environment.from_string(_resource("docs.html"))
    return template.render(
        info=document["info"],
        groups=sorted(by_tag.items()),
        schemas=schemas,
        events=events,
        frames=frames,
        others=sorted(schemas.keys() - elsewhere),
        headers=components["parameters"],
        schemes=components["securitySchemes"],
        told={kind: each["post"] for kind, each in document["webhooks"].items()},
    )


def _payloads(schemas: dict[str, Any]) -> dict[str, str]:
    """Return the schema of the payload of each type of event."""
    variants = [each["properties"] for each in schemas["LoggedEvent"]["oneOf"]]
    return {each["type"]["const"]: _kind(each["data"]) for each in variants if "type" in each}


def _resource(name: str) -> str:
    return (files("fleet.gateway.openapi") / name).read_text("utf-8")


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _kind(schema: dict[str, Any]) -> str:
    """Return in a few words what a schema allows."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "const" in schema:
        return str(msgspec.json.encode(schema["const"]).decode())
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    bounds = [f"{name} {schema[key]}" for key, name in _BOUNDS.items() if key in schema]
    return ", ".join((str(schema.get("type", "anything")), *bounds))


_BOUNDS = {
    "minimum": "from",
    "maximum": "to",
    "minLength": "of at least",
    "maxLength": "of at most",
    "maxItems": "at most",
}
