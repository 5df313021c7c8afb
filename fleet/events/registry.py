"""The registry of event classes: stable type names, schema versions and upcasters.

Every event that was written can always be read: a type name never changes its meaning, and upcasters lead from every
older schema to the current one. The classes are defined in fleet/core; codec.py puts the payload into a record.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""Converts the fields of one schema to the next. Pure, except that it may change its argument."""


class UnreadableEvent(Exception):  # noqa: N818 - it says what is wrong with the event
    """This version of Fleet has no class for a recorded event, or the payload does not fit the class.

    `position` is that of the event, 0 where only its payload was decoded.
    """

    position = 0


class DamagedPayload(UnreadableEvent):
    """The payload does not fit the class of its event, which this version of Fleet knows: it was damaged."""


class Encoded(NamedTuple):
    """An event encoded for the log: type name, schema version, JSON in UTF-8."""

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
        """Register `cls` as event type `name` with version `schema`; `upcasters[n]` converts schema n to n + 1.

        With `on_full_disk` it is accepted on a full disk, because it ends something or frees space.

        Raises ValueError when the name or class is already registered or an upcaster is missing, TypeError when `cls`
        is not frozen.
        """
        upcasters = dict(upcasters or {})
        if name in self._entries or cls in self._names:
            raise ValueError(f"{name} or {cls.__name__} is already registered: each name has one class")
        if not cls.__struct_config__.frozen:
            raise TypeError(f"{cls.__name__} is not frozen: declare it with frozen=True")
        if set(upcasters) != set(range(1, schema)):
            raise ValueError(f"{name} has schema {schema}: give an upcaster for each schema from 1 to {schema - 1}")
        self._entries[name] = _Entry(cls, schema, upcasters)
        self._names[cls] = (name, schema)
        if on_full_disk:
            self._on_full_disk.add(cls)

    def is_for_full_disk(self, event: object) -> bool:
        """Return whether the event is accepted on a full disk."""
        return type(event) in self._on_full_disk

    def encode(self, event: object) -> Encoded:
        """Return the event as type, schema and payload. Raises TypeError for an instance of an unregistered class."""
        named = self._names.get(type(event))
        if named is None:
            raise TypeError(f"{type(event).__name__} is not a registered event: register it under a stable name")
        return Encoded(named[0], named[1], self._encode(event))

    def decode(self, type_name: str, schema: int, payload: bytes) -> Any:
        """Return the event in the current schema. Raises `UnreadableEvent`."""
        decoder = self._decoders.get((type_name, schema)) or self._make_decoder(type_name, schema)
        try:
            return decoder(payload)
        except (msgspec.MsgspecError, RecursionError) as error:  # the parser is recursive
            raise DamagedPayload(f"the payload of this {type_name} (schema {schema}) does not fit: {error}") from error

    def require(self, name: str, schema: int) -> None:
        """Raise `UnreadableEvent` for an event type or a schema that this version does not know."""
        entry = self._entries.get(name)
        if entry is None:
            raise UnreadableEvent(f"its type {name!r} is unknown")
        if schema > entry.schema:
            raise UnreadableEvent(f"it is a {name} of schema {schema}, and the newest known one is {entry.schema}")

    def _make_decoder(self, name: str, schema: int) -> Callable[[bytes], Any]:
        self.require(name, schema)
        decoder = self._decoders[name, schema] = _decoder(self._entries[name], schema)
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
