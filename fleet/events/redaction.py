"""Takes the data of events out of an export: each line keeps its header and the rule, so the chain still verifies.

Rules: `type:NAME` (or the beginning of a type, as `type:session.`), `session:ID`, `text:REGEX` for events in whose
data a text matches, and the groups of `GROUPS`. The mark of a `text` rule does not repeat its text.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple, TypeAlias

import msgspec

from fleet.events.export import ExportLine, read_head

GROUPS: Final = {
    "prompts": ("session.prompt-accepted", "session.prompt-edited"),
    "transcripts": ("session.message-recorded", "session.part-recorded"),
    "responses": ("http-response.stored",),
}
"""Rules that name several types."""

_Json: TypeAlias = "str | int | float | list[_Json] | dict[str, _Json] | None"
_decode: Final = msgspec.json.Decoder(ExportLine).decode


class RedactionRule(NamedTuple):
    """A rule: the mark that it leaves, and whether it takes out the data of a line.

    With `of_erased` the mark also stands for "erased": the export says nothing of what it leaves out, so it needs no
    order of an erasure that it does not contain.
    """

    mark: str
    applies: Callable[[ExportLine], bool]
    of_erased: bool = False


def parse_rule(text: str) -> RedactionRule:
    """Return the rule. Raises ValueError."""
    if text in GROUPS:
        return RedactionRule(text, partial(_is_of, GROUPS[text]))
    kind, _, value = text.partition(":")
    if not value or kind not in ("type", "session", "text"):
        groups = ", ".join(GROUPS)
        raise ValueError(f"{text!r} is not a rule: use type:NAME, session:ID, text:REGEX, or one of {groups}")
    if kind == "type":
        return RedactionRule(text, partial(_has_type, value))
    if kind == "session":
        return RedactionRule(text, partial(_is_in, f"session-{value}"))
    try:
        pattern = re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is not a regular expression: {error}") from error
    return RedactionRule("text", partial(_contains, pattern))


def only_session(session_id: str) -> RedactionRule:
    """Return the rule that takes out the data of everything outside of a session."""
    applies = partial(_is_outside, f"session-{session_id}")
    return RedactionRule(f"outside of session {session_id}", applies, of_erased=True)


def only_between(after: int, through: int) -> RedactionRule:
    """Return the rule that takes out the data of events outside of a range: after a position, up to another one."""
    return RedactionRule(f"outside of events {after + 1} to {through}", partial(_is_beyond, after, through))


def _is_of(types: Sequence[str], line: ExportLine) -> bool:
    return line.type in types


def _has_type(name: str, line: ExportLine) -> bool:
    return line.type == name or (name.endswith(".") and line.type.startswith(name))


def _is_in(stream: str, line: ExportLine) -> bool:
    return line.stream == stream


def _is_outside(stream: str, line: ExportLine) -> bool:
    return line.stream != stream


def _contains(pattern: re.Pattern[str], line: ExportLine) -> bool:
    data = bytes(line.data)
    texts = (data.decode(), *_strings(msgspec.json.decode(data)))
    return any(pattern.search(text) for text in texts)


def _strings(value: _Json) -> Iterator[str]:
    """Yield all strings in a JSON value as they are without JSON's escapes, also those in JSON inside a string."""
    if isinstance(value, str):
        yield value
        if value[:1] in ("{", "["):
            with suppress(msgspec.DecodeError):
                yield from _strings(msgspec.json.decode(value))
    elif isinstance(value, dict):
        for name, member in value.items():
            yield name
            yield from _strings(member)
    elif isinstance(value, list):
        for member in value:
            yield from _strings(member)


def _is_beyond(after: int, through: int, line: ExportLine) -> bool:
    return not after < line.position <= through


def redact(raw: bytes, rules: Sequence[RedactionRule]) -> bytes:
    """Return the line of an export, without its data where a rule applies. Other lines stay as they are."""
    if not rules or read_head(raw) is not None:
        return raw
    line = _decode(raw)
    mark = next((rule.mark for rule in rules if (rule.of_erased or not line.erased) and rule.applies(line)), None)
    if mark is None:
        return raw
    taken = msgspec.structs.replace(line, data=msgspec.Raw(b"{}"), salt="", erased=False, redacted=mark, replaced=0)
    return msgspec.json.encode(taken) + b"\n"


def parse_rules(texts: Iterable[str]) -> list[RedactionRule]:
    """Return the rules. Raises ValueError."""
    return [parse_rule(text) for text in texts]
