"""A Fleet on fakes for the commands that speak to a server."""

from pathlib import Path

import pytest

from tests.client.conftest import line, machine, on_fast_clock, quiet

__all__ = ["line", "machine", "quiet"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    on_fast_clock(items, Path(__file__).parent)
