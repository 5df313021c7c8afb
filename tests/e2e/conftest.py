"""What every end-to-end test needs: the real OpenCode."""

import os
import shutil
from pathlib import Path

import pytest

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
