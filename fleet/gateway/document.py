"""What openapi.json says of a route: quart-schema's decorators, with types of our own.

quart-schema names optional libraries in its types, which leaves them partly unknown to a strict checker. `Document`
adds what it has no decorators for: answers that are no JSON, and the problems that every route may answer with.
"""

import inspect
import re
from collections.abc import Callable
from typing import Any, TypeVar, cast

import msgspec
import quart_schema
from quart_schema.openapi import OpenAPIProvider
from werkzeug.routing import Rule

from fleet.gateway.problems import ProblemDocument

Route = TypeVar("Route", bound=Callable[..., Any])


def takes(body: type[Any]) -> Callable[[Route], Route]:
    """Document the JSON body."""
    return quart_schema.document_request(body)


def asks(query: type[Any]) -> Callable[[Route], Route]:
    """Document the query parameters."""
    return quart_schema.document_querystring(query)


def gives(body: Any, status: int = 200) -> Callable[[Route], Route]:
    """Document the answer."""
    return quart_schema.document_response(body, status)


def about(*tags: str) -> Callable[[Route], Route]:
    """Put the route under these headings."""
    return quart_schema.tag(tags)


def gives_nothing(route: Route) -> Route:
    """Document that the answer is 204, without a body."""
    return _answers(route, "204", {"description": "Done; Fleet-Position is the log position that was reached."})


def gives_lines(line: Any) -> Callable[[Route], Route]:
    """Document that the answer is JSON lines, each of which is a `line`."""
    schema = {"type": "string", "description": f"A {line.__name__} in each line: {inspect.getdoc(line)}"}
    content = {"application/x-ndjson": {"schema": schema}}
    return lambda route: _answers(route, "200", {"description": "The events, a line of JSON each.", "content": content})


def gives_text(route: Route) -> Route:
    """Document that the answer is plain text."""
    content = {"text/plain": {"schema": {"type": "string"}}}
    return _answers(route, "200", {"description": "Done.", "content": content})


def gives_stream(route: Route) -> Route:
    """Document that the answer is a stream of Server-Sent Events."""
    content = {"text/event-stream": {"schema": {"type": "string"}}}
    return _answers(route, "200", {"description": _STREAM, "content": content})


def gives_login(route: Route) -> Route:
    """Document that the answer is 303, with a cookie."""
    return _answers(route, "303", {"description": "Logged in: the cookie is set, and `Location` leads on."})


def _answers(route: Route, status: str, answer: dict[str, Any]) -> Route:
    route.openapi_answer = (status, answer)  # type: ignore[attr-defined]  # functions take attributes
    return route


_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
_STREAM = (
    "Events as they happen. A frame of a logged event has its position as `id`, its type as `event`, and in `data` its "
    "envelope in camelCase, whose own `data` is the payload as it was logged, with names in snake_case (`GET /api/log` "
    "gives the same). Signals (`delta`, `snapshot` and others) have no `id`, and are in camelCase."
)

_PROBLEM = {
    "description": "What went wrong, and what to do.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
}


class Document(OpenAPIProvider):
    """Makes openapi.json."""

    def build_paths(self, rule: Rule) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the operations of a route, and the schemas that they name."""
        found, components = cast("tuple[dict[str, Any], dict[str, Any]]", super().build_paths(rule))
        # Its own path is wrong where a later parameter has a converter.
        paths = {_PARAMETER.sub(r"{\1}", rule.rule): operations for operations in found.values()}
        more: tuple[str, Any] | None = getattr(self._app.view_functions[rule.endpoint], "openapi_answer", None)
        for operations in paths.values():
            for operation in operations.values():
                answers = {str(status): answer for status, answer in operation["responses"].items()}
                operation["responses"] = {**answers, **dict([more] if more else []), "default": _PROBLEM}
        return paths, {**components, **_schemas(ProblemDocument)[1]}

    def build_response_object(
        self,
        model: Any,
        headers_model: Any,  # noqa: ARG002 - the signature is quart-schema's
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the answer's description; quart-schema's own leaves the parts of a list's items out."""
        schema, components = _schemas(model)
        return {"description": "Done.", "content": {"application/json": {"schema": schema}}}, components


def _schemas(model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    (schema,), components = msgspec.json.schema_components([model], ref_template="#/components/schemas/{name}")
    return schema, components
