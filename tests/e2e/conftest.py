"""What every end-to-end test needs: the real OpenCode, and a server over it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.server import Server

_LOCAL = Path(__file__).parents[2] / ".tools/node_modules/opencode-ai/bin/opencode.exe"


@pytest.fixture(scope="session")
def opencode_binary() -> Path:
    """The OpenCode to test with: `FLEET_OPENCODE`, else the one on PATH, else the one that `make setup` installed."""
    named = os.environ.get("FLEET_OPENCODE")
    found = named or shutil.which("opencode") or (str(_LOCAL) if _LOCAL.exists() else None)
    if found is None:
        pytest.fail(
            "End-to-end tests need OpenCode: run `make setup`, or set FLEET_OPENCODE to its binary", pytrace=False
        )
    if not os.access(found, os.X_OK):
        pytest.fail(f"{found} is not an executable file: correct FLEET_OPENCODE, or run `make setup`", pytrace=False)
    return Path(found)


@pytest.fixture(scope="module")
def server(opencode_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server for a whole module."""
    server = Server(tmp_path_factory.mktemp("fleet").resolve(), opencode_binary)
    try:
        server.start()
        yield server
        assert server.end() == 0, server.log.read_text()
        assert server.marked() == []
    finally:
        server.close()


@pytest.fixture
def stopped(opencode_binary: Path, tmp_path: Path) -> Iterator[Server]:
    """A server that has not been started, for a test that starts and ends it as it likes."""
    server = Server(tmp_path.resolve(), opencode_binary)
    try:
        yield server
    finally:
        server.close()
