"""The types of the dashboard are those of the server, and schemas of events and frames say what is really sent."""

import importlib
import pkgutil
from collections.abc import Iterable
from typing import Any, cast, get_args

import jsonschema_rs
import msgspec
import pytest

import fleet.wire
from fleet.core.instance.commands import StopReason
from fleet.core.instance.state import PHASES as INSTANCE_PHASES
from fleet.core.session.state import Callback, NotificationKind, Request, TurnEnd
from fleet.core.session.transitions import STATUSES
from fleet.core.session.values import Outcome
from fleet.core.webhook.state import PHASES as WEBHOOK_PHASES
from fleet.core.webhook.state import Delivery
from fleet.core.workspace.state import PHASES as WORKSPACE_PHASES
from fleet.events.catalog import NAMES
from fleet.gateway.openapi.stream_schemas import payload_name
from fleet.ports import NotCarriedKind, Strategy, TurnStatus
from fleet.projections.history_text import Kind
from fleet.wire import enums
from tests.gateway.machine import Api, Machine
from tests.gateway.sockets import connected
from tools import wire_types

WIRE_MODULES = [importlib.import_module(each.name) for each in pkgutil.iter_modules(fleet.wire.__path__, "fleet.wire.")]


@pytest.fixture
async def document(api: Api) -> dict[str, Any]:
    document: dict[str, Any] = (await api.send("GET", "/api/openapi.json")).json
    return document


async def test_the_types_of_the_dashboard_are_current(document: dict[str, Any]) -> None:
    api = (wire_types.WIRE / "api.ts").read_text()
    assert wire_types.is_current(api, wire_types.source_digest(document)), "run `make wire`"
    assert (wire_types.WIRE / "events.ts").read_text() == wire_types.event_types(document), "run `make wire`"


def test_clients_can_decode_every_wire_type() -> None:
    """msgspec decodes no union of Raw and another type, although it encodes one."""
    structs = {found for module in WIRE_MODULES for found in vars(module).values() if is_struct(found)}
    fields = [(each, field) for each in structs for field in fields_of(each)]
    assert len(fields) > 300
    wrong = [f"{each.__name__}.{field.name}" for each, field in fields if is_union_with_raw(field.type)]
    assert not wrong


def fields_of(struct: type[msgspec.Struct]) -> tuple[msgspec.inspect.Field, ...]:
    info = msgspec.inspect.type_info(struct)
    assert isinstance(info, msgspec.inspect.StructType)
    return info.fields


def is_struct(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, msgspec.Struct) and found is not msgspec.Struct


def is_union_with_raw(found: msgspec.inspect.Type) -> bool:
    return isinstance(found, msgspec.inspect.UnionType) and any(
        isinstance(each, msgspec.inspect.RawType) for each in found.types
    )


async def test_a_change_by_hand_or_of_the_server_is_found(document: dict[str, Any]) -> None:
    api = (wire_types.WIRE / "api.ts").read_text()
    assert not wire_types.is_current(api + "\n", wire_types.source_digest(document))
    document["components"]["schemas"]["Count"]["properties"]["more"] = {"type": "integer"}
    assert not wire_types.is_current(api, wire_types.source_digest(document))


async def test_each_type_of_event_has_a_schema(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    variants = [each["properties"] for each in schemas["LoggedEvent"]["oneOf"]]
    named = {each["type"]["const"]: each["data"]["$ref"].rpartition("/")[2] for each in variants if "type" in each}
    assert named.keys() == NAMES.keys()
    assert len(set(named.values())) == len(NAMES)
    for event_type, name in named.items():
        assert schemas[name]["properties"].keys() == set(NAMES[event_type].__struct_encode_fields__), event_type


def literals(kind: type[Any], field: str) -> set[str]:
    return set(get_args(kind.__annotations__[field]))


async def test_values_of_the_wire_are_those_of_the_core() -> None:
    assert set(get_args(enums.Status)) == STATUSES
    assert get_args(enums.Strategy) == get_args(Strategy)
    assert get_args(enums.TurnOutcome) == get_args(TurnEnd)
    assert get_args(enums.CallbackOutcome) == get_args(Outcome)
    assert set(get_args(enums.CallbackStatus)) == literals(Callback, "status")
    assert set(get_args(enums.RequestKind)) == literals(Request, "kind")
    assert get_args(enums.NotificationKind) == get_args(NotificationKind)
    assert get_args(enums.SnippetKind) == get_args(Kind)
    assert set(get_args(enums.InstanceStatus)) == set(INSTANCE_PHASES) - {"absent"}
    assert get_args(enums.StopReason) == get_args(StopReason)
    assert get_args(enums.NotCarriedKind) == get_args(NotCarriedKind)
    assert set(get_args(enums.WorkspaceStatus)) == set(WORKSPACE_PHASES) - {"absent", "erased"} | {"missing"}
    assert set(get_args(enums.WebhookStatus)) == set(WEBHOOK_PHASES) - {"absent", "deleted"}
    assert set(get_args(enums.DeliveryOutcome)) == literals(Delivery, "outcome")
    assert set(get_args(enums.TurnActivity)) == literals(TurnStatus, "type") | {"idle"}


def strict(value: Any) -> Any:
    """Return the schema such that an object has no members but those that it names."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        whole = {key: strict(each) for key, each in members.items()}
        named = whole.get("type") == "object" and "properties" in whole
        return {"additionalProperties": False, **whole} if named else whole
    return [strict(each) for each in cast("Iterable[Any]", value)] if isinstance(value, list) else value


def validator(document: dict[str, Any], name: str) -> jsonschema_rs.Validator:
    schemas = {"components": {"schemas": strict(document["components"]["schemas"])}}
    return jsonschema_rs.Draft202012Validator({**schemas, "$ref": f"#/components/schemas/{name}"})


async def test_frames_are_as_their_schemas_say(machine: Machine, api: Api, document: dict[str, Any]) -> None:
    session = await api.session(initialPrompt="hello", title="One")
    await api.settled(session["id"])
    gone = await api.session(initialPrompt="bye", title="Two")
    await api.settled(gone["id"])
    assert (await api.send("DELETE", f"/api/sessions/{gone['id']}?permanent=true")).status == 200
    allowed = validator(document, "ServerFrame")
    async with api.listen() as port, connected(port) as client:
        await client.send("subscribe", "all", sessions="*", after=0)
        frames = await client.until("live")
        await client.send(
            "command", "p", method="POST", path=f"/api/sessions/{session['id']}/prompt", body={"text": "go"}
        )
        frames += await client.until("event", event="session.turn-ended")
        frames.append(await client.ask("subscribe", "all", sessions="*"))
        frames.append(await client.ask("ping", "x"))
    for frame in frames:
        errors = [error.message for error in allowed.iter_errors(frame)]
        assert not errors, (frame, errors)
    assert {"snapshot", "event", "live", "error", "reply"} <= {frame["type"] for frame in frames}
    erased = [frame["event"] for frame in frames if frame["type"] == "event" and frame["event"].get("erased")]
    assert {event["stream"] for event in erased} == {f"session-{gone['id']}"}
    assert all(event["data"] == {} for event in erased)


async def test_logged_payloads_are_as_their_schemas_say(api: Api, document: dict[str, Any]) -> None:
    parent = await api.session(initialPrompt="hello")
    child = await api.session(initialPrompt="hello", onComplete={"notifySessionId": parent["id"]}, budget={"usd": 1})
    await api.settled(child["id"])
    await api.settled(parent["id"])
    await api.send("DELETE", f"/api/sessions/{child['id']}")
    events = api.fleet.log.read_all()
    allowed = {kind: validator(document, payload_name(kind)) for kind in {event.type for event in events}}
    for event in events:
        errors = [each.message for each in allowed[event.type].iter_errors(msgspec.json.decode(event.payload))]
        assert not errors, (event, errors)
