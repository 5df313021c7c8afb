"""Commands, events and items are made by the names of their fields, so that a new field can stand at any place."""

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

import msgspec
import pytest

import fleet.core
import fleet.wire
from fleet.core.messages import Command, Event


def structs(package: ModuleType) -> Iterator[type[msgspec.Struct]]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        module = import_module(found.name)
        for kind in vars(module).values():
            if inspect.isclass(kind) and issubclass(kind, msgspec.Struct) and kind.__module__ == found.name:
                yield kind


MESSAGES = [
    *(kind for kind in structs(fleet.core) if issubclass(kind, Command | Event)),
    *(kind for kind in structs(fleet.wire) if kind.__name__.endswith("Item") and kind.__name__ != "Item"),
]


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_fields_of_messages_are_keyword_only(kind: type[msgspec.Struct]) -> None:
    parameters = inspect.signature(kind).parameters.values()
    assert [each.name for each in parameters if each.kind is not inspect.Parameter.KEYWORD_ONLY] == []


def test_all_messages_are_found() -> None:
    assert len(MESSAGES) > 150
