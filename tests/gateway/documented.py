"""Holds the responses of the gateway to openapi.json: the status, the problem's code, media type, headers, body."""

import re
from typing import Any, Protocol

import jsonschema_rs
import msgspec
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

OWN_HEADERS = {
    "fleet-position",
    "fleet-continue",
    "fleet-tree",
    "x-total-count",
    "x-request-id",
    "location",
    "set-cookie",
    "www-authenticate",
    "retry-after",
    "content-disposition",
}
"""What openapi.json has to tell of; the others are the same on every answer (test_middleware.py)."""

_documents: dict[frozenset[str], dict[str, Any]] = {}
_validators: dict[tuple[str, int], jsonschema_rs.Validator] = {}


class Answered(Protocol):
    """What came back."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Any: ...
    @property
    def body(self) -> bytes: ...


async def check_documented(app: QuartTrio, method: str, target: str, answer: Answered) -> None:
    """Fail where the answer is none of those that the document has for this route."""
    try:
        rule, _ = app.url_map.bind("localhost").match(target.partition("?")[0], method, return_rule=True)
    except HTTPException:
        return  # no route: any problem will do
    if rule.endpoint == "static" or rule.endpoint.startswith("page.") or method in ("HEAD", "OPTIONS"):
        return
    document = await _document(app)
    operation = document["paths"][re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)][method.lower()]
    where = f"{method} {rule.rule} answered {answer.status}"
    documented = operation["responses"].get(str(answer.status))
    assert documented is not None, f"{where}, which is not documented: {answer.body[:500]!r}"
    _check_headers(document, documented.get("headers", {}), answer, where)
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    if "content" not in documented:
        assert answer.body == b"", f"{where} with a body"
        return
    assert media_type in documented["content"], f"{where} as {media_type}"
    if media_type in ("application/json", "application/problem+json"):
        schema = documented["content"][media_type]["schema"]
        validator = _validator(document, operation["operationId"], answer.status, schema)
        errors = [error.message for error in validator.iter_errors(msgspec.json.decode(answer.body))]
        assert not errors, f"{where}: {errors[:3]} {answer.body[:500]!r}"


def _check_headers(document: dict[str, Any], documented: dict[str, Any], answer: Answered, where: str) -> None:
    for name in documented:
        header = document["components"]["headers"][name]
        schema = header["schema"]
        if answer.status < 400 and header.get("required", True):
            assert name.lower() in answer.headers, f"{where} without {name}"
        if name.lower() in answer.headers:
            given = answer.headers[name.lower()]
            jsonschema_rs.validate(schema, int(given) if schema["type"] == "integer" else given)
    told = {name for name in answer.headers if name in OWN_HEADERS}
    assert told <= {name.lower() for name in documented}, f"{where} with {told}"


async def _document(app: QuartTrio) -> dict[str, Any]:
    routes = frozenset(rule.rule for rule in app.url_map.iter_rules())
    if routes not in _documents:
        async with app.test_request_context("/api/openapi.json"):  # past a guard that may refuse all
            view: Any = app.ensure_async(app.view_functions["openapi"])
            response: Any = await app.make_response(await view())
        _documents[routes] = msgspec.json.decode(await response.get_data(as_text=False))
    return _documents[routes]


def _validator(document: dict[str, Any], operation: str, status: int, schema: Any) -> jsonschema_rs.Validator:
    if (operation, status) not in _validators:
        whole = {"components": document["components"], **schema}
        _validators[operation, status] = jsonschema_rs.Draft202012Validator(whole)
    return _validators[operation, status]
