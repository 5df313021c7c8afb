"""Write the types of the dashboard: what the server takes and gives, in TypeScript, made of its own OpenAPI document.

`web/src/wire/api.ts` comes from openapi-typescript and has every route and schema; `web/src/wire/events.ts` is written
here and has what OpenAPI has no words for: which payload each type of event has, and the frames of the WebSocket.

The head of each file holds digests of what it was made of and of what it holds, so that a test can tell without Node
that both are current and unchanged.
"""

import argparse
import hashlib
import json
import logging
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import structlog

ROOT = Path(__file__).resolve().parent.parent
WIRE = ROOT / "web" / "src" / "wire"
COMPILER = ROOT / "web" / "node_modules" / ".bin" / "openapi-typescript"
VERSION = "7.13.0"
OPTIONS = (
    "--immutable",
    "--alphabetize",
    "--root-types",
    "--root-types-no-schema-prefix",
    "--empty-objects-unknown",
    "--default-non-nullable=false",
)
BETTER_IN_EVENTS = ("LoggedEvent", "EventFrame", "SignalFrame", "Signal", "ServerFrame", "ClientFrame")
"""Schemas that events.ts has as unions."""
LEFT_OUT = ("operationId", "tags", "summary", "description", "security")
"""What an operation says to people: the types do not depend on it."""
_LISTS = re.compile(r"(?<=\S )readonly |(?<=\()readonly ")
"""What makes lists readonly, where it makes members so too: openapi-fetch does not know such a list as one."""
HEAD = """\
// Made by tools/wire_types.py of the server's OpenAPI document: `make wire` writes it again. Do not edit it.
// made of {source}
// holds   {text}
"""


def main() -> None:
    """Write both files; exit 1 with one sentence where that is not possible."""
    parser = argparse.ArgumentParser(description="Write web/src/wire/api.ts and events.ts.")
    parser.add_argument("--compiler", type=Path, default=COMPILER, help="openapi-typescript (default: web's own)")
    compiler: Path = parser.parse_args().compiler
    if not compiler.exists():
        sys.exit(f"there is no {compiler}: run `npm ci` in web/, or name openapi-typescript {VERSION} with --compiler")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    document = served_document()
    WIRE.mkdir(parents=True, exist_ok=True)
    for name, text in (("api.ts", api_types(document, compiler)), ("events.ts", event_types(document))):
        path = WIRE / name
        print(f"{path.relative_to(ROOT)} {'is current' if path.exists() and path.read_text() == text else 'is new'}")
        path.write_text(text)


def served_document() -> dict[str, Any]:
    """Return what a server of this source answers at `/api/openapi.json`."""
    sys.path.insert(0, str(ROOT))
    import trio

    from tests.fakes.opencode import FakeOpenCodeWorld
    from tests.gateway.machine import Machine

    async def asked() -> dict[str, Any]:
        async with trio.open_nursery() as nursery:
            async with Machine(FakeOpenCodeWorld(nursery)).fleet() as api:
                document: dict[str, Any] = (await api.send("GET", "/api/openapi.json")).json
            nursery.cancel_scope.cancel()
        return document

    return trio.run(asked)


# -------------------------------------------------------------------------------------------------------------- api.ts


def api_types(document: dict[str, Any], compiler: Path) -> str:
    """Return api.ts. Raises `CalledProcessError` where the compiler does not understand the document."""
    with tempfile.TemporaryDirectory() as directory:
        source, made = Path(directory, "openapi.json"), Path(directory, "api.ts")
        source.write_text(json.dumps(reduced(document)))
        subprocess.run([compiler, source, *OPTIONS, "--output", made], check=True, stdout=subprocess.DEVNULL)
        return _with_head(_LISTS.sub("", made.read_text()), source_digest(document))


def source_digest(document: dict[str, Any]) -> str:
    """Return the digest of all that api.ts depends on."""
    return _digest(json.dumps([VERSION, OPTIONS, _LISTS.pattern, reduced(document)], sort_keys=True))


def reduced(document: dict[str, Any]) -> dict[str, Any]:
    """Return what types are made of: routes with their good answers, and all schemas that events.ts has not."""
    components = document["components"]
    schemas = {name: of for name, of in components["schemas"].items() if name not in BETTER_IN_EVENTS}
    return {
        "openapi": document["openapi"],
        "info": {"title": document["info"]["title"], "version": "any"},
        "paths": {
            path: {method: _operation(operation) for method, operation in operations.items()}
            for path, operations in document["paths"].items()
        },
        "components": {
            "schemas": _without_examples(schemas),
            "parameters": _without_examples(components["parameters"]),
            "headers": components["headers"],
        },
    }


def _operation(operation: dict[str, Any]) -> dict[str, Any]:
    answers = {status: answer for status, answer in operation["responses"].items() if status < "400"}
    kept = {name: value for name, value in operation.items() if name not in LEFT_OUT}
    whole: dict[str, Any] = _without_examples({**kept, "responses": answers})
    return whole


def _without_examples(value: Any) -> Any:
    """Return it without what types do not show: examples, and that null is the default."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {
            key: _without_examples(each)
            for key, each in members.items()
            if key not in ("example", "examples") and (key, each) != ("default", None)
        }
    return [_without_examples(each) for each in cast("Iterable[Any]", value)] if isinstance(value, list) else value


# ----------------------------------------------------------------------------------------------------------- events.ts

EVENTS = """\

import type {{
{imports}
}} from "./api.ts";

/** What each type of event says, as it was logged: with names in snake_case. */
export interface EventData {{
{data}
}}

export type EventType = keyof EventData;

/** All types of events, in the order of the server's catalog. */
export const EVENT_TYPES: readonly EventType[] = [
{types}
];

interface Envelope {{
  readonly position: number;
  readonly stream: string;
  readonly version: number;
  readonly at: string;
  readonly actor: string;
  readonly causationId?: string | null;
  readonly correlationId?: string | null;
}}

type OneOf<Type extends EventType> = Type extends EventType
  ? Envelope & {{ readonly type: Type; readonly erased?: false; readonly data: EventData[Type] }}
  : never;

/** An event whose payload was erased: look at `erased` before you look at `type`. */
export interface ErasedEvent extends Envelope {{
  readonly type: EventType;
  readonly erased: true;
  readonly data: object;
}}

/** An event with its payload; for `Type`, give one type of event or some. */
export type IntactEvent<Type extends EventType = EventType> = OneOf<Type>;

/** An event as live readers get it. */
export type LoggedEvent = IntactEvent | ErasedEvent;

/** An event as `GET /api/log` gives it: with what led to it. */
export type AuditEvent = LoggedEvent & Pick<EventItem, "causationId" | "correlationId" | "commandId">;

export type Signal = {signals};

/** A logged event, for a subscription. */
export interface EventFrame {{
  readonly type: "event";
  readonly id: string;
  readonly position: number;
  readonly event: LoggedEvent;
}}

/** A signal, for a subscription: it is never logged, and may be lost. */
export interface SignalFrame {{
  readonly type: "signal";
  readonly id: string;
  readonly signal: Signal;
}}

/** All that the server sends over `/api/ws`. */
export type ServerFrame = {server};

/** All that a client sends over `/api/ws`. */
export type ClientFrame = {client};
"""


def event_types(document: dict[str, Any]) -> str:
    """Return events.ts."""
    schemas = document["components"]["schemas"]
    payloads = _payloads(schemas)
    unions = {name: _names(schemas[name]) for name in ("Signal", "ServerFrame", "ClientFrame")}
    named = {"EventItem", *payloads.values(), *(name for names in unions.values() for name in names)} - set(
        BETTER_IN_EVENTS
    )
    text = EVENTS.format(
        imports="\n".join(f"  {name}," for name in sorted(named)),
        data="\n".join(f'  readonly "{kind}": {payload};' for kind, payload in payloads.items()),
        types="\n".join(f'  "{kind}",' for kind in payloads),
        signals=" | ".join(unions["Signal"]),
        server=" | ".join(unions["ServerFrame"]),
        client=" | ".join(unions["ClientFrame"]),
    )
    return _with_head(text, _digest(json.dumps([payloads, unions])))


def _payloads(schemas: dict[str, Any]) -> dict[str, str]:
    """Return the name of the payload's schema for each type of event."""
    variants = [each["properties"] for each in schemas["LoggedEvent"]["oneOf"]]
    return {each["type"]["const"]: _name(each["data"]) for each in variants if "type" in each}


def _names(schema: dict[str, Any]) -> list[str]:
    return [_name(each) for each in schema["oneOf"]]


def _name(reference: dict[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]


# ------------------------------------------------------------------------------------------------------- what they hold


def is_current(text: str, source: str) -> bool:
    """Say whether a file was made of what has the digest `source`, and is as it was made."""
    found = re.match(r"//.*\n// made of (\S+)\n// holds   (\S+)\n", text)
    return found is not None and found.groups() == (source, _digest(text[found.end() :]))


def _with_head(text: str, source: str) -> str:
    return HEAD.format(source=source, text=_digest(text)) + text


def _digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    main()
