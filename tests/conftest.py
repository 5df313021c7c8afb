"""What a run over several processes has to know (`make test`): tests with the real OpenCode wait for each other."""

from pathlib import Path

import pytest

_END_TO_END = Path(__file__).parent / "e2e"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what starts OpenCode on one of the processes: several at once would make each other late."""
    for item in items:
        if _END_TO_END in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("opencode"))
