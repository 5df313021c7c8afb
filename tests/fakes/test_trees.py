"""The fake passes the contract."""

import pytest

from tests.contracts.trees_contract import TreesContract
from tests.fakes.trees import FakeTrees
from tests.fakes.workspaces import FakeDisk


class FakeWorld:
    def __init__(self) -> None:
        self.disk = FakeDisk()
        self.restart()

    def restart(self) -> None:
        self.trees = FakeTrees(self.disk)

    def directory(self, name: str) -> str:
        self.disk.directories.add(f"/allowed/{name}")
        return f"/allowed/{name}"

    def write(self, directory: str, name: str, content: bytes) -> None:
        self.disk.contents.setdefault(directory, {})[name] = content

    def remove(self, directory: str, name: str) -> None:
        del self.disk.contents[directory][name]


@pytest.fixture
def world() -> FakeWorld:
    return FakeWorld()


class TestFakeTrees(TreesContract):
    """The contract."""
