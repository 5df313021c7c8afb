"""Makes openapi.json from the declarations of the routes: it walks the list of endpoints."""

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import msgspec

from fleet import __version__
from fleet.errors import PROBLEMS
from fleet.gateway.openapi import refusals
from fleet.gateway.openapi import shared_parts as always
from fleet.gateway.openapi.endpoint import HEADERS, Route
from fleet.gateway.openapi.examples import example_of
from fleet.gateway.openapi.responses import schemas_of
from fleet.gateway.openapi.shared_parts import header, parameter
from fleet.gateway.openapi.stream_schemas import stream_schemas
from fleet.gateway.openapi.webhooks import outgoing
from fleet.gateway.server.guard import LOGIN_PATH
from fleet.gateway.server.problems import ProblemDocument
from fleet.wire.bodies import Query
from fleet.wire.items import WireItem

_IN_PATH = re.compile(r"<(?:(\w+):)?(\w+)>")
_ADDRESSED = {
    "session_id": ("A session: its id, or that of OpenCode.", "0198c0de-4d1a-7c3e-9f00-5d2b7a1e4c11"),
    "instance_id": ("An instance, one that has ended included.", "0198c0de-4d1b-7a52-8c11-0f6e2b9d3a44"),
    "workspace_id": ("A workspace.", "0198c0de-4d1c-7d90-b2f3-6a8c1e5f7b22"),
    "webhook_id": ("A webhook.", "0198c0de-5b1e-7d3a-9c55-2f6f5d1c0a11"),
    "token_name": ("An access token.", "wall"),
    "host_name": ("A host.", "node1"),
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
"""The parameters of paths: their meaning, and an example."""
_WITH = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    429: ("Retry-After",),
    502: ("Retry-After",),
    503: ("Retry-After",),
}
"""The headers of a problem, by its status."""


def make_document(endpoints: Sequence[Route]) -> dict[str, Any]:
    """Return the whole document of these routes."""
    schemas: dict[str, Any] = {}
    _add(schemas, schemas_of(ProblemDocument)[1])
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        operation = paths.setdefault(_IN_PATH.sub(r"{\2}", endpoint.path), {})
        operation[endpoint.method.lower()] = _operation(endpoint, schemas)
    webhooks, more = outgoing()
    for parts in (more, stream_schemas()):
        _add(schemas, parts)
    _add_items(schemas)
    for schema in schemas.values():
        if "description" in schema:  # a docstring, which Python strips of its indentation from 3.13 on
            schema["description"] = inspect.cleandoc(schema["description"])
    return {
        "openapi": "3.1.0",
        "info": {"title": "Fleet", "version": __version__, "description": always.ABOUT},
        "security": always.SECURITY,
        "paths": paths,
        "webhooks": webhooks,
        "components": {
            "schemas": schemas,
            "parameters": always.parameters(),
            "headers": always.HEADERS,
            "securitySchemes": always.SCHEMES,
            "responses": {code: _problem(PROBLEMS[code].status, [code]) for code in refusals.NOWHERE},
        },
    }


def _add(schemas: dict[str, Any], more: dict[str, Any]) -> None:
    """Add schemas. Raises ValueError where two different ones have one name."""
    for name, schema in more.items():
        if {**schemas.setdefault(name, schema), "title": None} != {**schema, "title": None}:
            raise ValueError(f"openapi.json has two schemas of the name {name}")


def _add_items(schemas: dict[str, Any]) -> None:
    """Add the items of all responses, and declare all their members required: one with a default is written too."""
    for kind in _kinds(WireItem):
        _add(schemas, schemas_of(kind)[1])
    for kind in _kinds(WireItem):
        schemas[kind.__name__]["required"] = list(schemas[kind.__name__]["properties"])


def _kinds(base: type[Any]) -> Iterator[type[Any]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _kinds(kind)


def _operation(endpoint: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the operation of a route; the schemas that it names are added."""
    takes, reaches_log = endpoint.takes, endpoint.reaches_log
    summary, _, description = (inspect.getdoc(endpoint.function) or "").partition("\n")
    headers = [*(HEADERS[name] for name in takes.headers), *always.EVERYWHERE]
    if reaches_log:
        headers += ["Idempotency-Key", "Fleet-Session"]
    operation: dict[str, Any] = {
        "operationId": f"{endpoint.method.lower()}_{endpoint.name}",
        "summary": summary,
        "description": description.strip(),
        "tags": [endpoint.tag],
        "parameters": [*_in_path(endpoint.path), *_in_query(takes.query, schemas), *map(parameter, headers)],
        "responses": _responses(endpoint, schemas),
    }
    if endpoint.path == LOGIN_PATH:
        operation["security"] = []
    if endpoint.examples:
        operation["requestBody"] = _body(endpoint, schemas)
    return operation


def _in_path(path: str) -> Iterator[dict[str, Any]]:
    for converter, name in _IN_PATH.findall(path):
        schema = {"type": "integer" if converter == "int" else "string"}
        words, example = _ADDRESSED[name]
        yield {"name": name, "in": "path", "required": True, "schema": schema, "description": words, "example": example}


def _in_query(query: type[Query], schemas: dict[str, Any]) -> Iterator[dict[str, Any]]:
    _, components = schemas_of(query)
    schema = components.pop(query.__name__)
    _add(schemas, components)
    for name, of in schema["properties"].items():
        plain = _without_null(of)
        words = plain.pop("description", "")
        required = name in schema.get("required", ())
        yield {"name": name, "in": "query", "required": required, "description": words, "schema": plain}


def _body(endpoint: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    (schema,), components = schemas_of(endpoint.takes.body)
    _add(schemas, components)
    examples = {f"example {number}": {"value": each} for number, each in enumerate(endpoint.examples, 1)}
    content = {"application/json": {"schema": schema, "examples": examples}}
    return {"required": endpoint.takes.body_required, "content": content}


def _responses(endpoint: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    responses = {str(code): dict(response) for code, response in endpoint.gives.others.items()}
    for code, kinds in endpoint.gives.json.items():
        found, components = schemas_of(*kinds)
        _add(schemas, components)
        schema = {"anyOf": found} if len(found) > 1 else found[0]
        responses[str(code)] = {"description": "Done.", "content": {"application/json": {"schema": schema}}}
    headers = (*endpoint.gives.headers, *(("Fleet-Position",) if endpoint.reaches_log else ()))
    for response in responses.values():
        _complete(response, schemas, headers)
    codes = [*refusals.EVERYWHERE, *endpoint.refuses]
    codes += refusals.WITH_PATH if "<" in endpoint.path else ()
    codes += refusals.WITH_BODY if endpoint.has_body else ()
    codes += refusals.WRITING if endpoint.reaches_log else ()
    responses |= {status: _either(responses.get(status), problem) for status, problem in _problems(codes).items()}
    for status, response in responses.items():
        if status != "101":
            response["headers"] = response.get("headers", {}) | {"X-Request-Id": header("X-Request-Id")}
    return dict(sorted(responses.items()))


def _complete(response: dict[str, Any], components: dict[str, Any], headers: Iterable[str]) -> None:
    """Add headers and an example to a response."""
    named = {name: header(name) for name in headers}
    json = response.get("content", {}).get("application/json")
    if json is not None:
        if json["schema"].get("type") == "array":
            named |= {"X-Total-Count": header("X-Total-Count"), "Fleet-Position": header("Fleet-Position")}
        example = example_of(json["schema"], components)
        response["content"] = {"application/json": {**json, "example": example}}
    response["headers"] = response.get("headers", {}) | named


def _either(response: dict[str, Any] | None, problem: dict[str, Any]) -> dict[str, Any]:
    """Return the response for a status that a route gives for a problem, and perhaps for something else."""
    if response is None:
        return problem
    described = f"{response['description']} {problem['description']}"
    content = {**response["content"], **problem["content"]}
    return {"description": described, "content": content, "headers": {**response["headers"], **problem["headers"]}}


def _problems(codes: Iterable[str]) -> dict[str, Any]:
    """Return a response for each status that these codes have."""
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    return {str(status): _problem(status, own) for status, own in by_status.items()}


def _problem(status: int, codes: list[str]) -> dict[str, Any]:
    reference = {"$ref": "#/components/schemas/ProblemDocument"}
    schema = {"allOf": [reference, {"properties": {"code": {"enum": codes}, "status": {"const": status}}}]}
    examples = {code: {"summary": PROBLEMS[code].title, "value": _example(code)} for code in codes}
    response: dict[str, Any] = {
        "description": " ".join(f"`{code}`: {PROBLEMS[code].title}." for code in codes),
        "content": {"application/problem+json": {"schema": schema, "examples": examples}},
    }
    response["headers"] = {name: header(name) for name in _WITH.get(status, ())}
    return response


def _example(code: str) -> dict[str, Any]:
    kind = PROBLEMS[code]
    document = ProblemDocument(f"urn:fleet:problem:{code}", kind.title, kind.status, code, "What was wrong this time")
    return cast("dict[str, Any]", msgspec.to_builtins(document))


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter: one that is left out is null in a struct, but `null` is a text in a query."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"]
    plain = {key: value for key, value in schema.items() if key not in ("anyOf", "default" if kinds else "")}
    if len(kinds) == 1:
        return {**plain, **kinds[0]}
    if None in schema.get("enum", ()):
        return {**plain, "enum": [value for value in schema["enum"] if value is not None]}
    return schema
