"""Shortens parts and messages for a reader that shows one screen at a time; a further request gets the full text."""

from collections.abc import Iterable
from typing import Any, cast

import msgspec

from fleet.limits import PART_STRING_CHARS_MAX

_Holder = dict[Any, Any] | list[Any]


def cut_part(part: msgspec.Raw) -> msgspec.Raw:
    """Return the part with its long strings cut, and `truncated` where one was; unchanged where none is long."""
    if len(memoryview(part)) <= PART_STRING_CHARS_MAX:
        return part
    whole = _decoded(part)
    if whole is None or not _cut(whole):
        return part
    return msgspec.Raw(msgspec.json.encode({**whole, "truncated": True}))


def without_diffs(info: msgspec.Raw) -> msgspec.Raw:
    """Return a message's info without the diffs that OpenCode repeats in a user's message."""
    if b'"diffs"' not in bytes(info):
        return info
    whole = _decoded(info)
    summary = None if whole is None else whole.get("summary")
    if whole is None or whole.get("role") != "user" or not isinstance(summary, dict):
        return info
    left = {key: value for key, value in cast("dict[str, Any]", summary).items() if key != "diffs"}
    return msgspec.Raw(msgspec.json.encode({**whole, "summary": left}))


def _decoded(raw: msgspec.Raw) -> dict[str, Any] | None:
    """Return the object, None for what is none or is nested too deeply to be read here."""
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        return None


def _cut(whole: dict[str, Any]) -> bool:
    """Cut the long strings inside, in place, and say whether there was one."""
    found = False
    inside: list[_Holder] = [whole]
    while inside:
        each = inside.pop()
        for key, value in _members(each):
            if isinstance(value, str) and len(value) > PART_STRING_CHARS_MAX:
                each[key] = value[:PART_STRING_CHARS_MAX]
                found = True
            elif isinstance(value, dict | list):
                inside.append(each[key])
    return found


def _members(each: _Holder) -> Iterable[tuple[Any, Any]]:
    return each.items() if isinstance(each, dict) else enumerate(each)
