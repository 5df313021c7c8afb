"""openapi.json: it is valid, it has every route, and it says what the routes take and give."""

import html
import json
import re
from typing import Any

import jsonschema_rs
import pytest
from openapi_spec_validator import validate

from fleet.core.webhook.payloads import MESSAGE_TYPES, TEST
from fleet.errors import PROBLEMS
from fleet.events.catalog import NAMES
from tests.gateway.machine import Api, Machine

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
async def document(api: Api) -> dict[str, Any]:
    answer = await api.send("GET", "/api/openapi.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    document: dict[str, Any] = answer.json
    return document


async def test_document_is_valid_openapi(document: dict[str, Any]) -> None:
    validate(document)


async def test_document_has_every_route(api: Api, document: dict[str, Any]) -> None:
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in api.app.url_map.iter_rules()
        for method in rule.methods or ()
        if method.lower() in METHODS and rule.endpoint != "static" and not rule.endpoint.startswith("page.")
    }
    documented = {(path, method) for path, item in document["paths"].items() for method in item if method in METHODS}
    assert documented == served


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, item[method]) for path, item in document["paths"].items() for method in item.keys() & METHODS
    ]


def parameters(document: dict[str, Any], operation: dict[str, Any]) -> list[dict[str, Any]]:
    known = document["components"]["parameters"]
    return [known[p["$ref"].rpartition("/")[2]] if "$ref" in p else p for p in operation["parameters"]]


async def test_each_route_says_what_it_does(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        assert operation.get("summary"), (method, path)
        assert operation.get("description"), (method, path)
        assert operation.get("tags"), (method, path)
        # A default would allow any answer: each status stands there (documented.py holds all answers to that).
        assert all(re.fullmatch("[1-5][0-9][0-9]", status) for status in operation["responses"]), (method, path)
        assert {"403", "422", "431", "500"} <= operation["responses"].keys(), (method, path)
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)


async def test_descriptions_of_schemas_have_no_indentation(document: dict[str, Any]) -> None:
    descriptions = [schema.get("description", "") for schema in document["components"]["schemas"].values()]
    assert any("\n" in each for each in descriptions)
    assert [each for each in descriptions if "\n " in each] == []


async def test_each_body_and_each_answer_has_an_example_that_its_schema_allows(document: dict[str, Any]) -> None:
    validators: dict[str, jsonschema_rs.Validator] = {}  # of each schema: many answers have the same

    def check(content: dict[str, Any], where: str) -> None:
        for body in content.values():
            examples = [body["example"]] if "example" in body else [e["value"] for e in body["examples"].values()]
            assert examples, where
            schema = json.dumps(body["schema"])
            if schema not in validators:
                whole = {"components": document["components"], **body["schema"]}
                validators[schema] = jsonschema_rs.validator_for(whole)
            for example in examples:
                validators[schema].validate(example)

    for method, path, operation in operations(document):
        if "requestBody" in operation:
            check(operation["requestBody"]["content"], f"{method} {path}")
        for status, answer in operation["responses"].items():
            check(answer.get("content", {}), f"{method} {path} {status}")


async def test_each_problem_code_is_documented(document: dict[str, Any]) -> None:
    codes = {
        code
        for _, _, operation in operations(document)
        for answer in operation["responses"].values()
        for code in answer.get("content", {}).get("application/problem+json", {}).get("examples", {})
    }
    elsewhere = {"method_not_allowed", "subscription_not_found", "setup_failed", "setup_aborted"}
    assert PROBLEMS.keys() - codes == elsewhere  # no route; WebSocket alone; a session's failure alone
    nowhere = document["components"]["responses"]["method_not_allowed"]
    assert nowhere["content"]["application/problem+json"]["examples"].keys() == {"method_not_allowed"}
    assert nowhere["headers"].keys() == {"Allow"}


async def test_what_must_be_there_is_required(document: dict[str, Any]) -> None:
    (path,) = [p for p in document["paths"]["/api/workspace-roots"]["delete"]["parameters"] if p.get("in") == "query"]
    assert (path["name"], path["required"]) == ("path", True)
    for method, path, operation in operations(document):
        taken = {p["name"] for p in parameters(document, operation)}
        assert {"X-Request-Id", "traceparent"} <= taken
        writes = method != "get" and path not in ("/logout", "/api/policy/try")
        assert taken & {"Idempotency-Key", "Fleet-Session"} == (
            {"Idempotency-Key", "Fleet-Session"} if writes else set()
        )


async def test_every_parameter_has_words_and_those_of_a_path_an_example(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for parameter in parameters(document, operation):
            assert parameter["description"].endswith("."), (method, path, parameter)
            if parameter["in"] == "path":
                jsonschema_rs.validate(parameter["schema"], parameter["example"])


async def test_document_names_the_ways_to_authenticate(document: dict[str, Any]) -> None:
    assert document["security"] == [{"token": []}, {"cookie": []}, {}]  # on loopback nothing, as long as no token is
    schemes = document["components"]["securitySchemes"]
    assert (schemes["token"]["scheme"], schemes["cookie"]["name"]) == ("bearer", "fleet-3000")
    apart = [path for _, path, operation in operations(document) if operation.get("security") == []]
    assert apart == ["/login"]  # the code of its link is enough
    for method, path, operation in operations(document):
        assert {"WWW-Authenticate", "X-Request-Id"} <= operation["responses"]["401"]["headers"].keys(), (method, path)
    assert {"Location", "Set-Cookie"} <= document["paths"]["/login"]["get"]["responses"]["303"]["headers"].keys()
    assert "Set-Cookie" in document["paths"]["/logout"]["post"]["responses"]["204"]["headers"]


async def test_document_has_the_websocket(document: dict[str, Any]) -> None:
    operation = document["paths"]["/api/ws"]["get"]
    assert operation["operationId"] == "get_open_websocket"
    assert {"101", "426"} <= operation["responses"].keys()


async def test_examples_of_texts_are_true(api: Api, document: dict[str, Any]) -> None:
    for path, media_type in (
        ("/api/docs", "text/html"),
        ("/api/docs.css", "text/css"),
        ("/api/metrics", "text/plain"),
    ):
        example = document["paths"][path]["get"]["responses"]["200"]["content"][media_type]["example"]
        lines = (await api.send("GET", path)).body.decode().splitlines()
        assert {re.sub(r"[\d.]+$", "", line) for line in example.splitlines()} <= {
            re.sub(r"[\d.]+$", "", line) for line in lines
        }


async def test_what_webhooks_are_sent_is_described(machine: Machine, api: Api, document: dict[str, Any]) -> None:
    assert document["webhooks"].keys() == {*MESSAGE_TYPES, TEST}
    for kind, each in document["webhooks"].items():
        body = each["post"]["requestBody"]["content"]["application/json"]
        assert body["example"]["type"] == kind
        jsonschema_rs.validate({"components": document["components"], **body["schema"]}, body["example"])
    registered = (await api.send("POST", "/api/webhooks", {"url": "https://hooks.example/x"})).json
    await api.send("POST", f"/api/webhooks/{registered['webhook']['id']}/test")
    await api.session(initialPrompt="hello")
    got = await machine.sender.received(2)
    assert [each.json["type"] for each in got] == [TEST, "session.finished"]
    for each in got:
        told = document["webhooks"][each.json["type"]]["post"]
        schema = told["requestBody"]["content"]["application/json"]["schema"]
        jsonschema_rs.validate({"components": document["components"], **schema}, each.json)
        assert {parameter["name"] for parameter in told["parameters"]} <= each.headers.keys()


async def test_the_page_has_every_route_and_nothing_from_elsewhere(api: Api, document: dict[str, Any]) -> None:
    page = await api.send("GET", "/api/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    text = page.body.decode()
    for _, path, operation in operations(document):
        assert f"<code>{html.escape(path)}</code>" in text
        assert f'id="{operation["operationId"]}"' in text
    ids = re.findall(r'id="schema-(\w+)"', text)
    assert sorted(ids) == sorted(document["components"]["schemas"].keys() - {"ClientFrame", "ServerFrame", "Signal"})
    assert all(f"<code>{event_type}</code>" in text for event_type in NAMES)
    assert re.findall(r"(?:src|href)=\"(?!#|/api/)", text) == []
    assert not re.search(r"<script|<style|style=|\son\w+=|@import", text)
    style = await api.send("GET", "/api/docs.css")
    assert (style.status, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert "url(" not in style.body.decode()


@pytest.mark.parametrize("path", ["/api/docs", "/api/docs.css"])
async def test_docs_page_cannot_be_framed_and_loads_its_own_style_only(api: Api, path: str) -> None:
    headers = (await api.send("GET", path)).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["x-frame-options"] == "DENY"


async def test_bodies_and_parameters_have_the_names_of_the_wire(document: dict[str, Any]) -> None:
    create = document["paths"]["/api/sessions"]["post"]
    body = create["requestBody"]["content"]["application/json"]["schema"]
    if "$ref" in body:
        body = document["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    assert {"directory", "title", "isolationStrategy", "branch", "baseRef", "initialPrompt"} <= body[
        "properties"
    ].keys()
    assert body["required"] == ["directory"]
    assert "ModelBody" in document["components"]["schemas"]
    listed = parameters(document, document["paths"]["/api/sessions"]["get"])
    assert {"status", "search", "tag", "workspace", "limit", "offset"} <= {parameter["name"] for parameter in listed}
