"""The registry of event classes: stable type names, schema versions and upcasters.

Keeps the rule that what was once written can always be read: a type name never changes its meaning, and every older
schema has a way up to the current one. The classes themselves live in fleet/core; codec.py puts the payload into a
record.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""Turns the fields of one schema into those of the next. Pure; may change the dict that it is given."""


class UnreadableEvent(Exception):  # noqa: N818 - it says what is wrong with the event
    """A recorded event that this version of Fleet has no class for, or whose payload does not fit its class."""


class Encoded(NamedTuple):
    """An event as it goes into the log: type name, schema version, JSON in UTF-8."""

    type: str
    schema: int
    payload: bytes


class _Entry(NamedTuple):
    cls: type[msgspec.Struct]
    schema: int
    upcasters: Mapping[int, Upcaster]


class EventRegistry:
    """The event classes by name, and their codec."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._names: dict[type[Any], tuple[str, int]] = {}
        self._on_full_disk: set[type[Any]] = set()
        self._decoders: dict[tuple[str, int], Callable[[bytes], Any]] = {}
        self._encode = msgspec.json.Encoder().encode

    def register(
        self,
        cls: type[msgspec.Struct],
        name: str,
        schema: int = 1,
        upcasters: Mapping[int, Upcaster] | None = None,
        *,
        on_full_disk: bool = False,
    ) -> None:
        """Let `cls` be the event type `name`, at version `schema`; `upcasters[n]` leads from schema n to n + 1.

        With `on_full_disk` it is taken on a full disk: what it records ends something or gives space back.

        Raises ValueError when name or class are taken or an upcaster is missing, TypeError when `cls` can be changed
        after the fact.
        """
        upcasters = dict(upcasters or {})
        if name in self._entries or cls in self._names:
            raise ValueError(f"{name} or {cls.__name__} is registered already: names and classes are one to one")
        if not cls.__struct_config__.frozen:
            raise TypeError(f"{cls.__name__} is not frozen: events are facts, declare it with frozen=True")
        if set(upcasters) != set(range(1, schema)):
            raise ValueError(f"{name} has schema {schema}: give an upcaster for each schema from 1 to {schema - 1}")
        self._entries[name] = _Entry(cls, schema, upcasters)
        self._names[cls] = (name, schema)
        if on_full_disk:
            self._on_full_disk.add(cls)

    def is_for_full_disk(self, event: object) -> bool:
        """Say whether the event is taken on a full disk."""
        return type(event) in self._on_full_disk

    def encode(self, event: object) -> Encoded:
        """Return the event as type, schema and payload. Raises TypeError for an instance of an unregistered class."""
        named = self._names.get(type(event))
        if named is None:
            raise TypeError(f"{type(event).__name__} is not a registered event: register it under a stable name")
        return Encoded(named[0], named[1], self._encode(event))

    def decode(self, type_name: str, schema: int, payload: bytes) -> Any:
        """Return the event, at the current schema. Raises `UnreadableEvent`."""
        decoder = self._decoders.get((type_name, schema)) or self._make_decoder(type_name, schema)
        try:
            return decoder(payload)
        except msgspec.MsgspecError as error:
            raise UnreadableEvent(f"the payload of a {type_name} (schema {schema}) does not fit: {error}") from error

    def _make_decoder(self, name: str, schema: int) -> Callable[[bytes], Any]:
        entry = self._entries.get(name)
        if entry is None:
            raise UnreadableEvent(
                f"the log holds an event of the unknown type {name!r}: use the version of Fleet that wrote it, or newer"
            )
        if schema > entry.schema:
            raise UnreadableEvent(
                f"the log holds a {name} of schema {schema}, this Fleet knows up to {entry.schema}: use a newer Fleet"
            )
        decoder = self._decoders[name, schema] = _decoder(entry, schema)
        return decoder


def _decoder(entry: _Entry, schema: int) -> Callable[[bytes], Any]:
    if schema == entry.schema:
        return msgspec.json.Decoder(entry.cls).decode
    steps = [entry.upcasters[n] for n in range(schema, entry.schema)]
    read = msgspec.json.Decoder(dict[str, Any]).decode

    def decode(payload: bytes) -> Any:
        fields = read(payload)
        for step in steps:
            fields = step(fields)
        return msgspec.convert(fields, entry.cls)

    return decode
