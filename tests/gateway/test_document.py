"""openapi.json: it is valid, it has every route, and it says what the routes take and give."""

import re
from typing import Any

import pytest
from openapi_spec_validator import validate

from tests.gateway.door import Door

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
async def document(door: Door) -> dict[str, Any]:
    answer = await door.knock("GET", "/api/openapi.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    document: dict[str, Any] = answer.json
    return document


async def test_it_is_valid(document: dict[str, Any]) -> None:
    validate(document)


async def test_it_has_every_route(door: Door, document: dict[str, Any]) -> None:
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in door.app.url_map.iter_rules()
        for method in rule.methods or ()
        if method.lower() in METHODS and rule.endpoint not in ("static", "openapi")
    }
    documented = {(path, method) for path, item in document["paths"].items() for method in item if method in METHODS}
    assert documented == served


async def test_each_route_says_what_it_does(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for method in item.keys() & METHODS:
            operation = item[method]
            assert operation.get("summary"), (method, path)
            assert operation.get("tags"), (method, path)
            assert operation["responses"], (method, path)


async def test_bodies_and_parameters_have_the_names_of_the_wire(document: dict[str, Any]) -> None:
    create = document["paths"]["/api/sessions"]["post"]
    body = create["requestBody"]["content"]["application/json"]["schema"]
    if "$ref" in body:
        body = document["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    assert {"directory", "title", "isolationStrategy", "branch", "baseRef", "initialPrompt"} <= body[
        "properties"
    ].keys()
    assert body["required"] == ["directory"]
    listed = document["paths"]["/api/sessions"]["get"]["parameters"]
    assert {"status", "search", "tag", "workspace", "limit", "offset"} <= {parameter["name"] for parameter in listed}
