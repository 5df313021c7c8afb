"""Takes the data of events out of an export: each line keeps its header and the rule, so the chain still verifies.

Rules: `type:NAME` (or the beginning of a type, as `type:session.`), `session:ID`, `text:REGEX` for events in whose
data a text matches, and the groups of `GROUPS`. The mark of a `text` rule does not repeat its text.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple, TypeAlias

import msgspec

from fleet.events.erasures import ordering_stream
from fleet.events.export import ExportLine, read_head
from fleet.events.replacements import REPLACING, ordered_in

GROUPS: Final = {
    "prompts": ("session.prompt-accepted", "session.prompt-edited"),
    "transcripts": ("session.message-recorded", "session.part-recorded"),
    "responses": ("http-response.stored",),
}
"""Rules that name several types."""

_HOLDS_TAKEN: Final = "orders with data that is taken out"
_UNPROVED: Final = "data whose order is not in the export"
"""The marks of what goes with the data that a rule takes out."""

_REPLACED_BYTES_MAX: Final = 40  # the field at the end of a line is shorter
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
    return ordering_stream(line.stream) == stream  # also the stored responses about it


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


class Redaction:
    """Takes out the data of an export, line by line, and keeps account of what replaced data needs (replacements.py).

    An order has the data of other events: it is taken out with any of them. Data whose order is not in the export
    cannot be proved: `finish` takes it out, too.
    """

    def __init__(self, rules: Sequence[RedactionRule]) -> None:
        self._rules = rules
        self._taken = bytearray()  # a byte for each position: a log may have millions
        self._claims: list[tuple[int, int]] = []

    def redact(self, raw: bytes) -> bytes:
        """Return the next line, without its data where a rule applies. Other lines stay as they are."""
        if not (self._rules or _is_replaced(raw)) or read_head(raw) is not None:
            return raw
        line = _decode(raw)
        mark = self._mark(line)
        if mark is not None:
            self._take(line.position)
            return _without_data(line, mark)
        if line.replaced:
            self._claims.append((line.position, line.replaced))
        return raw

    def _mark(self, line: ExportLine) -> str | None:
        for rule in self._rules:
            if (rule.of_erased or not line.erased) and rule.applies(line):
                return rule.mark
        if line.type == REPLACING and not line.erased and any(map(self._is_taken, ordered_in(bytes(line.data)))):
            return _HOLDS_TAKEN
        return None

    def _take(self, position: int) -> None:
        self._taken.extend(bytes(max(0, position + 1 - len(self._taken))))
        self._taken[position] = 1

    def _is_taken(self, position: int) -> bool:
        return 0 <= position < len(self._taken) and bool(self._taken[position])

    def finish(self, last: int) -> Callable[[bytes], bytes] | None:
        """Return what takes out the unproved data of a redacted line; None where all of it is proved.

        The export ends with position `last`.
        """
        unproved = set[int]()
        for position, order in reversed(self._claims):  # an order that was replaced comes before what it orders
            if order > last or order in unproved or self._is_taken(order):
                unproved.add(position)
        return partial(_without_unproved, unproved) if unproved else None


def _is_replaced(raw: bytes) -> bool:
    """Return whether the line of an event says so at its end; a few others may look like one."""
    return b'"replaced":' in raw[-_REPLACED_BYTES_MAX:]


def _without_unproved(positions: AbstractSet[int], raw: bytes) -> bytes:
    if not _is_replaced(raw) or read_head(raw) is not None:
        return raw
    line = _decode(raw)
    return _without_data(line, _UNPROVED) if line.position in positions else raw


def _without_data(line: ExportLine, mark: str) -> bytes:
    taken = msgspec.structs.replace(line, data=msgspec.Raw(b"{}"), salt="", erased=False, redacted=mark, replaced=0)
    return msgspec.json.encode(taken) + b"\n"


def parse_rules(texts: Iterable[str]) -> list[RedactionRule]:
    """Return the rules. Raises ValueError."""
    return [parse_rule(text) for text in texts]
