"""The bases of messages: commands, which ask an aggregate for something, and events, which say what happened to it.

Messages are keyword-only: a call names each field, so a new field can be declared at any place.
"""

import msgspec


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A request of a caller or an effect to an aggregate. Imperative; `at_ms` is the time of the request (Unix)."""

    at_ms: int


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact about an aggregate, as the log holds it. Past tense; `at_ms` is the time at which it happened (Unix)."""

    at_ms: int
