"""A machine for each test, and a Fleet on it, on virtual time."""

from pathlib import Path

import pytest

from tests.gateway.conftest import api, machine, on_virtual_time

__all__ = ["api", "machine"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    on_virtual_time(items, Path(__file__).parent)
