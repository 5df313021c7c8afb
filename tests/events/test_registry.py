from typing import Any

import msgspec
import pytest

from fleet.events.registry import EventRegistry, UnreadableEvent, Upcaster
from tests.events.samples import Counted, Opened, sample_registry


def test_event_is_equal_after_encoding_and_decoding() -> None:
    registry = sample_registry()
    encoded = registry.encode(Counted(3, "é"))
    assert (encoded.type, encoded.schema) == ("sample.counted", 2)
    assert registry.decode(*encoded) == Counted(3, "é")


def test_an_older_schema_is_upcast() -> None:
    assert sample_registry().decode("sample.counted", 1, b'{"count":7,"note":"old"}') == Counted(7, "old")


def test_upcasters_run_in_order() -> None:
    def add(letter: str) -> Upcaster:
        def upcast(fields: dict[str, Any]) -> dict[str, Any]:
            return {"title": fields["title"] + letter}

        return upcast

    registry = EventRegistry()
    registry.register(Opened, "opened", schema=3, upcasters={2: add("b"), 1: add("a")})
    assert registry.decode("opened", 1, b'{"title":"-"}') == Opened("-ab")
    assert registry.decode("opened", 2, b'{"title":"-"}') == Opened("-b")
    assert registry.decode("opened", 3, b'{"title":"-"}') == Opened("-")


@pytest.mark.parametrize(
    ("name", "schema", "payload", "says"),
    [
        ("sample.lost", 1, b"{}", "type 'sample.lost' is unknown"),
        ("sample.opened", 2, b"{}", "sample.opened of schema 2, and the newest known one is 1"),
        ("sample.opened", 1, b'{"title":3}', "payload of this sample.opened"),
        ("sample.opened", 1, b"{", "payload of this sample.opened"),
    ],
)
def test_unreadable_event_is_named_in_the_error(name: str, schema: int, payload: bytes, says: str) -> None:
    with pytest.raises(UnreadableEvent, match=says):
        sample_registry().decode(name, schema, payload)


def test_an_unregistered_class_is_refused() -> None:
    class Stray(msgspec.Struct, frozen=True):
        pass

    with pytest.raises(TypeError, match="Stray is not a registered event"):
        sample_registry().encode(Stray())


def test_invalid_registrations_are_refused() -> None:
    class Changeable(msgspec.Struct):
        pass

    registry = EventRegistry()
    registry.register(Opened, "opened")
    with pytest.raises(ValueError, match="already registered"):
        registry.register(Counted, "opened")
    with pytest.raises(ValueError, match="already registered"):
        registry.register(Opened, "opened-again")
    with pytest.raises(TypeError, match="frozen"):
        registry.register(Changeable, "changeable")
    with pytest.raises(ValueError, match="upcaster for each schema"):
        registry.register(Counted, "counted", schema=3, upcasters={1: dict})
