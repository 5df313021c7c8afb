"""The schemas in openapi.json that no route has: payloads of logged events, signals, and WebSocket frames.

A payload is named after the event's type (`session.turn-started` is `SessionTurnStarted`), because two events may have
classes of the same name. The values inside payloads are named `Logged…`: they are in snake_case, as in the log, while
the responses of routes are in camelCase.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, cast, get_args

import msgspec

from fleet.events.catalog import NAMES
from fleet.wire import frames, sockets

Schemas = dict[str, Any]

_AT: Final = "#/components/schemas/"
_POSITION: Final[Schemas] = {"type": "integer", "minimum": 1}
_ENVELOPE: Final[Schemas] = {
    "position": _POSITION,
    "stream": {"type": "string"},
    "version": {"type": "integer", "minimum": 1},
    "type": {"enum": list(NAMES)},
    "at": {"type": "string"},
    "actor": {"type": "string"},
    "data": {"type": "object"},
}
_CAUSE: Final[Schemas] = {
    "causationId": {
        "type": "string",
        "description": "What the event followed from: `@` and the position of an event, or what a caller names.",
    },
    "correlationId": {"type": "string", "description": "The request that began it (`X-Request-Id`)."},
}
"""Members that are left out where they are not known."""
_SIGNALS: Final = (frames.Delta, frames.PartChanged, frames.StatusChanged)


def payload_name(event_type: str) -> str:
    """Return the name of the schema of the payload of this type of event."""
    return "".join(word.capitalize() for word in event_type.replace(".", "-").split("-"))


def stream_schemas() -> Schemas:
    """Return the schemas by name."""
    found = _payloads()
    found["LoggedEvent"] = _logged_event()
    found |= _of([frames.Snapshot, *_SIGNALS], lambda name: name)
    for signal in _SIGNALS:
        _tag(found[signal.__name__], signal.type)
    for name in (*(signal.__name__ for signal in _SIGNALS), "Snapshot", "InFlightSession", "InFlightPart"):
        found[name]["required"] = list(found[name]["properties"])
    found["Signal"] = _one_of(
        (signal.__name__ for signal in _SIGNALS), "A change of what is in flight; it is not logged."
    )
    return found | _socket_frames()


def _payloads() -> Schemas:
    found: Schemas = {}
    for event_type, kind in NAMES.items():
        for name, schema in _of([kind], partial(_logged_name, kind.__name__, payload_name(event_type))).items():
            if found.setdefault(name, schema) != schema:
                raise ValueError(f"two different values inside of events are called {name}")
    return found


def _logged_name(own: str, payload: str, name: str) -> str:
    """Return the schema's name for the class `name`, in the payload of the class `own`."""
    return payload if name == own else f"Logged{name}"


def _logged_event() -> Schemas:
    whole = [_variant({"type": {"const": name}, "data": _ref(payload_name(name))}) for name in NAMES]
    erased = _variant({"erased": {"const": True}, "data": {"type": "object", "maxProperties": 0}})
    return {
        "description": "An event of the log, as live readers get it. An `erased` event has no data any more.",
        "type": "object",
        "required": list(_ENVELOPE),
        "properties": _ENVELOPE | _CAUSE | {"erased": {"const": True}},
        "oneOf": [*whole, erased],
    }


def _socket_frames() -> Schemas:
    """Return the frames; subscriptions.py writes those with logged events, signals and snapshots by hand."""
    sent, answered = get_args(sockets.ClientFrame), get_args(sockets.ServerFrame)
    names = {kind.__name__: f"{kind.__name__}Frame" for kind in (*sent, *answered)}
    found = _of([*sent, *answered], lambda name: names.get(name, name))
    for kind in answered:
        if kind.__struct_config__.omit_defaults:
            _omit_nulls(found[names[kind.__name__]])
    found["ErrorFrame"]["properties"]["problem"] = _ref("ProblemDocument")
    found["EventFrame"] = _frame(
        "event", "A logged event, for a subscription.", position=_POSITION, event=_ref("LoggedEvent")
    )
    found["SignalFrame"] = _frame("signal", "A signal, for a subscription.", signal=_ref("Signal"))
    found["SnapshotFrame"] = _frame("snapshot", "The parts in flight, for a subscription.", snapshot=_ref("Snapshot"))
    streams = ("EventFrame", "SignalFrame", "SnapshotFrame")
    found["ClientFrame"] = _one_of((names[kind.__name__] for kind in sent), "What a client sends over `/api/ws`.")
    found["ServerFrame"] = _one_of(
        (*streams, *(names[kind.__name__] for kind in answered)), "What the server sends over `/api/ws`."
    )
    return found


def _frame(kind: str, description: str, **members: Schemas) -> Schemas:
    properties = {"type": {"enum": [kind]}, "id": {"type": "string"}, **members}
    return {"description": description, "type": "object", "required": list(properties), "properties": properties}


def _variant(properties: Schemas) -> Schemas:
    return {"required": list(properties), "properties": properties}


def _tag(schema: Schemas, kind: str) -> None:
    schema["properties"] = {"type": {"enum": [kind]}, **schema["properties"]}


def _omit_nulls(schema: Schemas) -> None:
    """Say that members which would be null are left out."""
    for name, of in schema["properties"].items():
        if "default" in of:
            (schema["properties"][name],) = (kind for kind in of["anyOf"] if kind != {"type": "null"})


def _one_of(names: Iterable[str], description: str) -> Schemas:
    return {"description": description, "oneOf": [_ref(name) for name in names]}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _AT + name}


def _of(kinds: Iterable[type[Any]], name_of: Callable[[str], str]) -> Schemas:
    """Return the schemas of these classes and of their members, each under the name that `name_of` gives."""
    _, found = msgspec.json.schema_components(tuple(kinds), ref_template=_AT + "{name}")
    named: Schemas = {}
    for name, schema in found.items():
        named[name_of(name)] = {key: value for key, value in _renamed(schema, name_of).items() if key != "title"}
    return named


def _renamed(value: Any, name_of: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        whole = cast("dict[str, Any]", value)
        return {
            key: _AT + name_of(each.removeprefix(_AT)) if key == "$ref" else _renamed(each, name_of)
            for key, each in whole.items()
        }
    if isinstance(value, list):
        return [_renamed(each, name_of) for each in cast("Iterable[Any]", value)]
    return value
