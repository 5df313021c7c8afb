"""The world of the tests of travel, with the template and the home of the tests of git."""

from pathlib import Path

import pytest

from tests.adapters.git.conftest import home, template
from tests.adapters.travel.world import TravelWorld

__all__ = ["home", "template"]


@pytest.fixture
def world(tmp_path: Path, template: Path, home: Path) -> TravelWorld:
    return TravelWorld(tmp_path, template)
