"""What openapi.json says of a route: quart-schema's decorators, with types of our own.

quart-schema names optional libraries in its types, which leaves them partly unknown to a strict checker. `Document`
makes of a route what it has no decorators for: answers that are no JSON, headers, examples, and the problem codes
(refusals.py) with their status.
"""

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

import msgspec
import quart_schema
from quart_schema.openapi import OpenAPIProvider
from werkzeug.routing import Rule

from fleet.errors import PROBLEMS
from fleet.gateway import refusals
from fleet.gateway.examples import example_of
from fleet.gateway.guard import READS
from fleet.gateway.problems import ProblemDocument
from fleet.limits import IDEMPOTENCY_KEY_CHARS_MAX

Route = TypeVar("Route", bound=Callable[..., Any])


def takes(body: type[Any], *examples: dict[str, Any]) -> Callable[[Route], Route]:
    """Document the JSON body, with examples as they go over the wire."""

    def document(route: Route) -> Route:
        route.openapi_examples = examples  # type: ignore[attr-defined]  # functions take attributes
        return quart_schema.document_request(body)(route)

    return document


def asks(query: type[Any]) -> Callable[[Route], Route]:
    """Document the query parameters."""
    return quart_schema.document_querystring(query)


def gives(body: Any, status: int = 200) -> Callable[[Route], Route]:
    """Document the answer."""
    return quart_schema.document_response(body, status)


def about(*tags: str) -> Callable[[Route], Route]:
    """Put the route under these headings."""
    return quart_schema.tag(tags)


def refuses(*codes: str) -> Callable[[Route], Route]:
    """Document the problem codes that the route may answer with, beside those that `refusals` has for all."""

    def document(route: Route) -> Route:
        route.openapi_refusals = codes  # type: ignore[attr-defined]
        return route

    return document


def gives_nothing(route: Route) -> Route:
    """Document that the answer is 204, without a body."""
    return _answers(route, "204", {"description": "Done."})


def gives_lines(line: Any) -> Callable[[Route], Route]:
    """Document that the answer is JSON lines, each of which is a `line`."""
    schema = {"type": "string", "description": f"A {line.__name__} in each line: {inspect.getdoc(line)}"}
    content = {"application/x-ndjson": {"schema": schema}}
    return lambda route: _answers(route, "200", {"description": "The events, a line of JSON each.", "content": content})


def gives_text(route: Route) -> Route:
    """Document that the answer is plain text."""
    content = {"text/plain": {"schema": {"type": "string"}}}
    return _answers(route, "200", {"description": "Done.", "content": content})


def gives_page(route: Route) -> Route:
    """Document that the answer is a page for a browser."""
    return _answers(route, "200", {"description": "A page.", "content": {"text/html": {"schema": {"type": "string"}}}})


def gives_style(route: Route) -> Route:
    """Document that the answer is a style sheet."""
    return _answers(route, "200", {"description": "A style.", "content": {"text/css": {"schema": {"type": "string"}}}})


def gives_stream(route: Route) -> Route:
    """Document that the answer is a stream of Server-Sent Events."""
    content = {"text/event-stream": {"schema": {"type": "string"}}}
    route.openapi_parameters = [_LAST_EVENT_ID]  # type: ignore[attr-defined]
    return _answers(route, "200", {"description": _STREAM, "content": content})


def gives_login(route: Route) -> Route:
    """Document that the answer is 303, with a cookie."""
    return _answers(route, "303", {"description": "Logged in: the cookie is set, and `Location` leads on."})


def _answers(route: Route, status: str, answer: dict[str, Any]) -> Route:
    route.openapi_answer = (status, answer)  # type: ignore[attr-defined]
    return route


_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
_STREAM = (
    "Events as they happen. A frame of a logged event has its position as `id`, its type as `event`, and in `data` its "
    "envelope in camelCase, whose own `data` is the payload as it was logged, with names in snake_case (`GET /api/log` "
    "gives the same). Signals (`delta`, `snapshot` and others) have no `id`, and are in camelCase."
)
_LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "The position to go on behind, as browsers send it; it comes before `after`.",
    "schema": {"type": "string", "pattern": "^[0-9]{1,19}$"},
    "example": "0",
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key and request again gives the first answer again, and changes nothing.",
    "schema": {"type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_CHARS_MAX},
    "example": "7f4df7a2-3b0e-4f4e-9f0a-6a2b1f7f6d11",
}
_POSITION = {"description": "The log position that was reached.", "schema": {"type": "integer", "minimum": 0}}
_TOTAL = {"description": "How many there are, on all pages.", "schema": {"type": "integer", "minimum": 0}}
_RETRY = {"description": "Seconds until trying again makes sense.", "schema": {"type": "integer", "minimum": 0}}
_RETRIED = (429, 503)


class Document(OpenAPIProvider):
    """Makes openapi.json."""

    def build_paths(self, rule: Rule) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the operations of a route, and the schemas that they name."""
        found, components = cast("tuple[dict[str, Any], dict[str, Any]]", super().build_paths(rule))
        components |= _schemas(ProblemDocument)[1]
        # Its own path is wrong where a later parameter has a converter.
        paths = {_PARAMETER.sub(r"{\1}", rule.rule): operations for operations in found.values()}
        route = self._app.view_functions[rule.endpoint]
        for path, operations in paths.items():
            for method, operation in operations.items():
                operations[method] = _operation(route, method, path, operation, components)
        return paths, components

    def build_querystring_parameters(self, model: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Return the query's parameters; quart-schema's own leaves out which of them must be there."""
        (_,), components = msgspec.json.schema_components([model], ref_template="#/components/schemas/{name}")
        schema = components.pop(model.__name__)
        required = schema.get("required", ())
        return [
            {"name": name, "in": "query", "required": name in required, "schema": _without_null(of)}
            for name, of in schema["properties"].items()
        ], components

    def build_request_body(self, model: Any, source: Any) -> tuple[dict[str, Any], dict[str, Any]]:  # noqa: ARG002
        """Return the body's description; quart-schema's own names schemas that it does not give."""
        schema, components = _schemas(model)
        return {"required": True, "content": {"application/json": {"schema": schema}}}, components

    def build_response_object(
        self,
        model: Any,
        headers_model: Any,  # noqa: ARG002 - the signature is quart-schema's, here and above
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the answer's description; quart-schema's own leaves the parts of a list's items out."""
        schema, components = _schemas(model)
        return {"description": "Done.", "content": {"application/json": {"schema": schema}}}, components


def _operation(
    route: Any, method: str, path: str, operation: dict[str, Any], components: dict[str, Any]
) -> dict[str, Any]:
    answers: dict[str, Any] = {str(status): dict(answer) for status, answer in operation["responses"].items()}
    more: tuple[str, Any] | None = getattr(route, "openapi_answer", None)
    if more is not None:
        answers[more[0]] = dict(more[1])
    writes = method.upper() not in READS
    reaches = writes and path.startswith("/api/")  # a browser's log-out does nothing to the log
    for answer in answers.values():
        _complete(answer, components, reaches=reaches)
    parameters = [*operation["parameters"], *getattr(route, "openapi_parameters", ())]
    codes = [*refusals.EVERYWHERE, *getattr(route, "openapi_refusals", ())]
    if "{" in path:
        codes += refusals.WITH_PATH
    if writes:
        codes += refusals.WRITING
    if reaches:
        codes.append("idempotency_conflict")
        parameters.append(_IDEMPOTENCY_KEY)
    answers |= {status: answer for status, answer in _problems(codes).items() if status not in answers}
    documented: dict[str, Any] = {**operation, "parameters": parameters, "responses": dict(sorted(answers.items()))}
    examples = getattr(route, "openapi_examples", ())
    if examples:
        content = operation["requestBody"]["content"]["application/json"]
        named = {f"example {number}": {"value": example} for number, example in enumerate(examples, 1)}
        documented["requestBody"]["content"] = {"application/json": {**content, "examples": named}}
    return documented


def _complete(answer: dict[str, Any], components: dict[str, Any], *, reaches: bool) -> None:
    """Add headers and an example to an answer."""
    json = answer.get("content", {}).get("application/json")
    headers = {"Fleet-Position": _POSITION} if reaches else {}
    if json is not None:
        if json["schema"].get("type") == "array":
            headers["X-Total-Count"] = _TOTAL
        example = example_of(json["schema"], components)
        answer["content"] = {"application/json": {**json, "example": example}}
    if headers:
        answer["headers"] = headers


def _problems(codes: Iterable[str]) -> dict[str, Any]:
    """Return an answer for each status that these codes have."""
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    return {str(status): _problem(status, own) for status, own in by_status.items()}


def _problem(status: int, codes: list[str]) -> dict[str, Any]:
    reference = {"$ref": "#/components/schemas/ProblemDocument"}
    schema = {"allOf": [reference, {"properties": {"code": {"enum": codes}, "status": {"const": status}}}]}
    examples = {code: {"summary": PROBLEMS[code].title, "value": _example(code)} for code in codes}
    answer: dict[str, Any] = {
        "description": " ".join(f"`{code}`: {PROBLEMS[code].title}." for code in codes),
        "content": {"application/problem+json": {"schema": schema, "examples": examples}},
    }
    if status in _RETRIED:
        answer["headers"] = {"Retry-After": _RETRY}
    return answer


def _example(code: str) -> dict[str, Any]:
    kind = PROBLEMS[code]
    document = ProblemDocument(f"urn:fleet:problem:{code}", kind.title, kind.status, code, "What was wrong this time")
    return cast("dict[str, Any]", msgspec.to_builtins(document))


def _schemas(model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    (schema,), components = msgspec.json.schema_components([model], ref_template="#/components/schemas/{name}")
    return schema, components


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter: one that is left out is null in a struct, but `null` is a text in a query."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"]
    plain = {key: value for key, value in schema.items() if key not in ("anyOf", "default" if kinds else "")}
    if len(kinds) == 1:
        return {**plain, **kinds[0]}
    if None in schema.get("enum", ()):
        return {**plain, "enum": [value for value in schema["enum"] if value is not None]}
    return schema
