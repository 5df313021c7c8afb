"""Reads members of OpenCode's JSON, whose shape differs between versions: what is missing is empty."""

from collections.abc import Mapping
from typing import Any, cast

import msgspec


def record_of(body: bytes) -> Mapping[str, Any]:
    """Return the object, an empty one for other content."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}


def nested(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the member that is an object, an empty one if it is not."""
    found = record.get(name)
    return cast("Mapping[str, Any]", found) if isinstance(found, dict) else {}


def text(record: Mapping[str, Any], name: str) -> str:
    """Return the member that is a text, an empty one if it is not."""
    found = record.get(name)
    return found if isinstance(found, str) else ""
