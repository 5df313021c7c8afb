"""Lists the allowed values of a field for a caller that sent another one, from the schema of its type."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

_STEP: Final = re.compile(r"\w+|\[[^\]]*\]")


def choices(kind: Any, path: str) -> list[str]:
    """Return the values of the field at `path`, as msgspec writes it (`events[0]`), where these are named words."""
    schemas, definitions = msgspec.json.schema_components((kind,), ref_template="{name}")
    found: Sequence[Mapping[str, Any]] = schemas
    for step in _STEP.findall(path):
        whole = [each for schema in found for each in _alternatives(schema, definitions)]
        inner = (each.get("items") if step[0] == "[" else each.get("properties", {}).get(step) for each in whole)
        found = [each for each in inner if each]
    named = {value for schema in found for each in _alternatives(schema, definitions) for value in each.get("enum", ())}
    return sorted(value for value in named if isinstance(value, str))


def _alternatives(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "$ref" in schema:
        yield from _alternatives(definitions[schema["$ref"]], definitions)
        return
    yield schema
    for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _alternatives(each, definitions)
