"""The parts of openapi.json that describe one route: quart-schema's decorators, with Fleet's own types.

quart-schema names optional libraries in its types, which leaves them partly unknown to a strict checker. `Document`
makes of a route what it has no decorators for: answers that are no JSON, headers, examples, and the problem codes
(refusals.py) with their status.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar, cast

import msgspec
import quart_schema
from quart_schema.openapi import OpenAPIProvider
from werkzeug.routing import BaseConverter, Rule

from fleet.errors import PROBLEMS
from fleet.gateway.openapi import refusals
from fleet.gateway.openapi import shared_parts as always
from fleet.gateway.openapi.examples import example_of
from fleet.gateway.openapi.shared_parts import header, parameter
from fleet.gateway.openapi.stream_schemas import stream_schemas
from fleet.gateway.openapi.webhooks import outgoing
from fleet.gateway.server.guard import LOGIN_PATH, READS
from fleet.gateway.server.problems import ProblemDocument
from fleet.wire.items import WireItem

Route = TypeVar("Route", bound=Callable[..., Any])


def takes(body: type[Any], *examples: dict[str, Any], required: bool = True) -> Callable[[Route], Route]:
    """Document the JSON body, with examples as they go over the wire."""

    def document(route: Route) -> Route:
        route.openapi_examples = examples  # type: ignore[attr-defined]  # functions take attributes
        route.openapi_body_required = required  # type: ignore[attr-defined]
        return quart_schema.document_request(body)(route)

    return document


def asks(query: type[Any]) -> Callable[[Route], Route]:
    """Document the query parameters."""
    return quart_schema.document_querystring(query)


class Either(NamedTuple):
    """Bodies of which an answer has one."""

    kinds: tuple[type[Any], ...]


def gives(body: Any, status: int = 200, *, headers: tuple[str, ...] = ()) -> Callable[[Route], Route]:
    """Document the answer; lists have `X-Total-Count` and `Fleet-Position`, what writes has the latter, unnamed."""

    def document(route: Route) -> Route:
        if headers:
            route.openapi_headers = headers  # type: ignore[attr-defined]
        return quart_schema.document_response(body, status)(route)

    return document


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
    """Document that the answer is a file of JSON lines, each of which is a `line`."""
    schema, components = _schemas(line)
    example = msgspec.json.encode(example_of(schema, components)).decode() + "\n"
    words = f"A {line.__name__} in each line: {inspect.getdoc(line)}"
    content = {"application/x-ndjson": {"schema": {"type": "string", "description": words}, "example": example}}
    headers = {name: header(name) for name in ("Fleet-Position", "Content-Disposition")}
    answer = {"description": "The events, a line of JSON each.", "content": content, "headers": headers}
    return lambda route: _answers(route, "200", answer)


def gives_text(media_type: str, example: str) -> Callable[[Route], Route]:
    """Document that the answer is a text: how it may begin."""
    content = {media_type: {"schema": {"type": "string"}, "example": example}}
    return lambda route: _answers(route, "200", {"description": "Done.", "content": content})


def gives_file(*media_types: str) -> Callable[[Route], Route]:
    """Document that the answer is a file, of one of these types."""
    file = {"schema": {"type": "string", "format": "binary"}, "example": "the bytes of the file"}
    content: dict[str, Any] = dict.fromkeys(media_types, file)
    headers = {"Content-Disposition": header("Content-Disposition")}
    return lambda route: _answers(route, "200", {"description": "The file.", "content": content, "headers": headers})


def gives_bytes(route: Route) -> Route:
    """Document that the answer is bytes that never change, or 304 for a client that has them."""
    headers = {"ETag": header("ETag")}
    content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}, "example": "Hello\n"}}
    route.openapi_parameters = [parameter("If-None-Match")]  # type: ignore[attr-defined]
    _answers(route, "200", {"description": "Done.", "content": content, "headers": headers})
    return _answers(route, "304", {"description": "The client has it.", "headers": headers})


def gives_stream(event: str, frame: Any) -> Callable[[Route], Route]:
    """Document that the answer is a stream of Server-Sent Events: how it shows this event, whose data is a `frame`."""
    schema, components = _schemas(frame)
    example = f"id: 42\nevent: {event}\ndata: {msgspec.json.encode(example_of(schema, components)).decode()}\n\n"
    content = {"text/event-stream": {"schema": {"type": "string"}, "example": example}}

    def document(route: Route) -> Route:
        route.openapi_parameters = [parameter("Last-Event-ID")]  # type: ignore[attr-defined]
        return _answers(route, "200", {"description": _STREAM, "content": content})

    return document


def gives_login(route: Route) -> Route:
    """Document that the answer is 303, with a cookie; or the page, or one that says how to build it."""
    headers = {name: header(name) for name in ("Location", "Set-Cookie")}
    html = {"text/html": {"schema": {"type": "string"}, "example": "<!doctype html>\n"}}
    _answers(route, "200", {"description": "The page, which says how to log in.", "content": html})
    _answers(route, "403", {"description": "The page, which says how to make another link.", "content": html})
    _answers(route, "503", {"description": "The page is not built.", "content": html})
    return _answers(route, "303", {"description": "Logged in: `Location` leads on.", "headers": headers})


def gives_logout(route: Route) -> Route:
    """Document that the answer is 204, and takes the cookie back."""
    return _answers(route, "204", {"description": "Done.", "headers": {"Set-Cookie": header("Set-Cookie")}})


def gives_websocket(route: Route) -> Route:
    """Document that the answer to an upgrade is a WebSocket."""
    return _answers(route, "101", {"description": "The WebSocket is open."})


def _answers(route: Route, status: str, answer: dict[str, Any]) -> Route:
    answers: dict[str, dict[str, Any]] = getattr(route, "openapi_answers", {})
    route.openapi_answers = {**answers, status: answer}  # type: ignore[attr-defined]
    return route


_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
_STREAM = (
    "Events as they happen. A frame of a logged event has its position as `id`, its type as `event`, and in `data` its "
    "envelope in camelCase, whose own `data` is the payload as it was logged, with names in snake_case (`GET /api/log` "
    "gives the same). Signals (`delta`, `snapshot` and others) have no `id`, and are in camelCase."
)
_ADDRESSED = {
    "session_id": ("A session: its id, or that of OpenCode.", "0198c0de-4d1a-7c3e-9f00-5d2b7a1e4c11"),
    "instance_id": ("An instance, one that has ended included.", "0198c0de-4d1b-7a52-8c11-0f6e2b9d3a44"),
    "workspace_id": ("A workspace.", "0198c0de-4d1c-7d90-b2f3-6a8c1e5f7b22"),
    "webhook_id": ("A webhook.", "0198c0de-5b1e-7d3a-9c55-2f6f5d1c0a11"),
    "token_name": ("An access token.", "wall"),
    "prompt_id": ("A prompt that waits in the queue.", "0198c0de-4d1e-7b11-a0c4-3e9d5f8a6b77"),
    "part_id": ("A part of a message.", "prt_7f2c91d4effeXk2mQ8vR4tYw1Z"),
    "request_id": ("A permission request or question of the session.", "per_7f2c91d4effeXk2mQ8vR4tYw1Z"),
    "notification_id": ("A notification, as the list names it.", "0198c0de-4d1a-7c3e-9f00-5d2b7a1e4c11:1"),
    "digest": (
        "The digest of a content, as a diff names it.",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ),
    "position": ("A log position.", 42),
    "path": ("A path below the session's directory.", "src/login.py"),
}
"""What stands in a path, with an example."""
_ITSELF = {
    "summary": "Read this document.",
    "description": "It is made of the server's own code; `/api/docs` shows it as a page.",
    "tags": ["fleet"],
    "responses": {"200": {"description": "Done.", "content": {"application/json": {"schema": {"type": "object"}}}}},
}
"""The route of quart-schema."""
_WITH = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    429: ("Retry-After",),
    502: ("Retry-After",),
    503: ("Retry-After",),
}
"""The headers of a problem, by its status."""


class Document(OpenAPIProvider):
    """Makes openapi.json."""

    def schema(self) -> dict[str, Any]:
        """Return the whole document."""
        whole = super().schema()
        whole["info"]["description"] = always.ABOUT
        whole["security"] = always.SECURITY
        whole["webhooks"], told = outgoing()
        components = whole["components"]
        for more in (told, stream_schemas()):
            _add(components["schemas"], more)
        _add_items(components["schemas"])
        components["parameters"] = always.parameters()
        components["headers"] = always.HEADERS
        components["securitySchemes"] = always.SCHEMES
        components["responses"] = {code: _problem(PROBLEMS[code].status, [code]) for code in refusals.NOWHERE}
        return whole

    def generate_rules(self) -> Iterable[Rule]:
        """Return all routes; quart-schema's own leaves out that of the document."""
        yield from super().generate_rules()
        yield from (rule for rule in self._app.url_map.iter_rules() if rule.endpoint == "openapi")

    def build_path_parameter(self, name: str, converter: BaseConverter) -> dict[str, Any]:
        """Return what stands in the path, with words and an example."""
        words, example = _ADDRESSED[name]
        return {**super().build_path_parameter(name, converter), "description": words, "example": example}

    def build_paths(self, rule: Rule) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the operations of a route, and the schemas that they name."""
        found, components = cast("tuple[dict[str, Any], dict[str, Any]]", super().build_paths(rule))
        components |= _schemas(ProblemDocument)[1]
        # Its own path is wrong where a later parameter has a converter.
        paths = {_PARAMETER.sub(r"{\1}", rule.rule): operations for operations in found.values()}
        route = self._app.view_functions[rule.endpoint]
        for path, operations in paths.items():
            for method, operation in operations.items():
                whole = {**operation, **_ITSELF} if rule.endpoint == "openapi" else operation
                operations[method] = _operation(route, method, path, whole, components)
        return paths, components

    def build_querystring_parameters(self, model: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Return the query's parameters; quart-schema's own leaves out which of them must be there."""
        (_,), components = msgspec.json.schema_components([model], ref_template="#/components/schemas/{name}")
        schema = components.pop(model.__name__)
        required = schema.get("required", ())
        parameters: list[dict[str, Any]] = []
        for name, of in schema["properties"].items():
            plain = _without_null(of)
            words = plain.pop("description", "")
            found = {"name": name, "in": "query", "required": name in required, "description": words, "schema": plain}
            parameters.append(found)
        return parameters, components

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
        kinds = model.kinds if isinstance(model, Either) else (model,)
        schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
        schema = {"anyOf": list(schemas)} if len(kinds) > 1 else schemas[0]
        return {"description": "Done.", "content": {"application/json": {"schema": schema}}}, components


def _add(schemas: dict[str, Any], more: dict[str, Any]) -> None:
    """Add schemas. Raises ValueError where two different ones have one name."""
    for name, schema in more.items():
        if {**schemas.setdefault(name, schema), "title": None} != {**schema, "title": None}:
            raise ValueError(f"openapi.json has two schemas of the name {name}")


def _add_items(schemas: dict[str, Any]) -> None:
    """Add the items of all answers, and say that each has all its members: one with a default is written too."""
    for kind in _kinds(WireItem):
        _add(schemas, _schemas(kind)[1])
    for kind in _kinds(WireItem):
        schemas[kind.__name__]["required"] = list(schemas[kind.__name__]["properties"])


def _kinds(base: type[Any]) -> Iterator[type[Any]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _kinds(kind)


def _operation(
    route: Any, method: str, path: str, operation: dict[str, Any], components: dict[str, Any]
) -> dict[str, Any]:
    answers: dict[str, Any] = {str(status): dict(answer) for status, answer in operation["responses"].items()}
    more: dict[str, dict[str, Any]] = getattr(route, "openapi_answers", {})
    answers |= {status: dict(answer) for status, answer in more.items()}
    writes = method.upper() not in READS
    reaches = writes and path.startswith("/api/")  # a browser's log-out does nothing to the log
    for answer in answers.values():
        _complete(
            answer, components, (*getattr(route, "openapi_headers", ()), *(("Fleet-Position",) if reaches else ()))
        )
    parameters = [*operation["parameters"], *getattr(route, "openapi_parameters", ())]
    parameters += map(parameter, always.EVERYWHERE)
    codes = [*refusals.EVERYWHERE, *getattr(route, "openapi_refusals", ())]
    if "{" in path:
        codes += refusals.WITH_PATH
    if writes:
        codes += refusals.WRITING
    if reaches:
        codes.append("idempotency_conflict")
        parameters += [parameter("Idempotency-Key"), parameter("Fleet-Session")]
    answers |= {status: _either(answers.get(status), problem) for status, problem in _problems(codes).items()}
    for status, answer in answers.items():
        if status != "101":
            answer["headers"] = answer.get("headers", {}) | {"X-Request-Id": header("X-Request-Id")}
    documented: dict[str, Any] = {
        **operation,
        "description": operation["description"].strip(),
        "parameters": parameters,
        "responses": dict(sorted(answers.items())),
    }
    if path == LOGIN_PATH:
        documented["security"] = []
    examples = getattr(route, "openapi_examples", ())
    if examples:
        content = operation["requestBody"]["content"]["application/json"]
        named = {f"example {number}": {"value": example} for number, example in enumerate(examples, 1)}
        documented["requestBody"]["content"] = {"application/json": {**content, "examples": named}}
        documented["requestBody"]["required"] = getattr(route, "openapi_body_required", True)
    return documented


def _complete(answer: dict[str, Any], components: dict[str, Any], headers: Iterable[str]) -> None:
    """Add headers and an example to an answer."""
    named = {name: header(name) for name in headers}
    json = answer.get("content", {}).get("application/json")
    if json is not None:
        if json["schema"].get("type") == "array":
            named |= {"X-Total-Count": header("X-Total-Count"), "Fleet-Position": header("Fleet-Position")}
        example = example_of(json["schema"], components)
        answer["content"] = {"application/json": {**json, "example": example}}
    answer["headers"] = answer.get("headers", {}) | named


def _either(answer: dict[str, Any] | None, problem: dict[str, Any]) -> dict[str, Any]:
    """Return the answer of a status that a route gives as a problem, and perhaps as something else."""
    if answer is None:
        return problem
    described = f"{answer['description']} {problem['description']}"
    content = {**answer["content"], **problem["content"]}
    return {"description": described, "content": content, "headers": {**answer["headers"], **problem["headers"]}}


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
    answer["headers"] = {name: header(name) for name in _WITH.get(status, ())}
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
