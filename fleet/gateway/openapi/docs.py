"""The page `/api/docs`: what each route takes, returns and refuses, made on this machine and without a script.

Nothing of it comes from elsewhere, and its Content-Security-Policy lets nothing in: one style sheet of our own is all.
"""

from collections.abc import Sequence
from functools import cached_property
from importlib.resources import files
from typing import Any, cast

import jinja2
import msgspec
from quart import Response

from fleet.gateway.openapi.document import make_document
from fleet.gateway.openapi.endpoint import Endpoints, Route
from fleet.gateway.openapi.responses import text

_UNIONS = ("ClientFrame", "ServerFrame", "Signal")
_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class Document:
    """openapi.json and the page that is made from it, each when it is first asked for."""

    def __init__(self, endpoints: Sequence[Route]) -> None:
        self._endpoints = endpoints

    @cached_property
    def json(self) -> bytes:
        """The document."""
        return msgspec.json.encode(make_document(self._endpoints), order="sorted")

    @cached_property
    def page(self) -> str:
        """The page."""
        return _render(msgspec.json.decode(self.json))


endpoint = Endpoints("/api", "fleet")


@endpoint("GET /openapi.json", gives=dict)
async def openapi(document: Document) -> Response:
    """Read this document.

    It is made of the server's own code; `/api/docs` shows it as a page.
    """
    return Response(document.json, content_type="application/json")


@endpoint("GET /docs", gives=text("text/html", "<!doctype html>\n"))
async def show_docs(document: Document) -> Response:
    """Show this interface as a page.

    It is made of openapi.json, has no script, and loads nothing from elsewhere.
    """
    return _response(document.page, "text/html; charset=utf-8")


@endpoint("GET /docs.css", gives=text("text/css", ":root {\n"))
async def style_docs() -> Response:
    """Give the page its style.

    Only the page at `/api/docs` needs it.
    """
    return _response(_resource("docs.css"), "text/css; charset=utf-8")


def _response(text: str, content_type: str) -> Response:
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
