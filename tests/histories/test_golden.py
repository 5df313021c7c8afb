"""What was logged once makes the same states in every later version: golden histories, folded by today's deciders."""

import os
from pathlib import Path
from typing import Any

import msgspec.inspect
import pytest

from fleet.events.catalog import NAMES
from tests.histories.golden import DIRECTORY, covered, folded, read, write

FILES = sorted(DIRECTORY.glob("*.jsonl"))
LOGGED_PORTS = {
    "host": {"Endpoint", "Exit", "ProcessIdentity", "StopStep"},
    "removals": {"PreservedWork"},
    "setups": {"Recipe"},
    "transcript": {"Attachment", "Tokens"},
    "workspaces": {"NotCarried", "PreparedWorkspace", "WorkspaceSpec"},
}
"""Structs of ports that are fields of events: what a port takes or gives is logged as it is.

All other values of events are in fleet/core. These cannot be: the ports speak of them, and core stands above ports.
"""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_golden_history_makes_the_recorded_states(file: Path) -> None:
    lines = read(file)
    if os.environ.get("FLEET_WRITE_HISTORIES"):
        write(file, lines)
        lines = read(file)
    for number, (line, now) in enumerate(zip(lines, folded(lines), strict=True), 1):
        assert now.state == line.state, f"line {number}, {line.type}: if this is intended, run `make histories`"


def test_every_event_type_is_in_a_golden_history() -> None:
    assert NAMES.keys() - covered() == set(), "tests/histories/golden.py says how a test's log becomes a history"


def test_only_listed_structs_of_ports_are_logged() -> None:
    found: dict[str, set[str]] = {}
    for struct in structs_of([msgspec.inspect.type_info(event) for event in NAMES.values()]):
        package, _, module = struct.__module__.rpartition(".")
        if package == "fleet.ports":
            found.setdefault(module, set()).add(struct.__name__)
        else:
            assert struct.__module__.startswith("fleet.core."), struct
    assert found == LOGGED_PORTS


def structs_of(types: list[msgspec.inspect.Type]) -> set[type[Any]]:
    """Return all structs in these types, and in the fields of those."""
    found: set[type[Any]] = set()
    while types:
        each = types.pop()
        if isinstance(each, msgspec.inspect.StructType) and each.cls not in found:
            found.add(each.cls)
            types += [field.type for field in each.fields]
        types += [getattr(each, name) for name in ("item_type", "key_type", "value_type") if hasattr(each, name)]
        types += [*getattr(each, "types", ()), *getattr(each, "item_types", ())]
    return found
