"""What holds for all tests: which of them share one process of `make test`, and that none depends on speed."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No example fails because the machine is busy.
settings.register_profile("fleet", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fleet")
_HERE = Path(__file__).parent
_GROUPS = {"e2e": "opencode", "page": "page"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what starts OpenCode, and what shares a browser, on one process each: several would make each other late."""
    for item in items:
        folder = item.path.relative_to(_HERE).parts[0] if item.path.is_relative_to(_HERE) else ""
        if folder in _GROUPS:
            item.add_marker(pytest.mark.xdist_group(_GROUPS[folder]))
