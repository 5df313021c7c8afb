"""What the dashboard promises is proved by tests that exist: tests/page/coverage.toml names them."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
POINTS = tomllib.loads((ROOT / "tests/page/coverage.toml").read_text("utf-8"))


def test_every_point_of_the_dashboard_has_tests() -> None:
    assert len(POINTS) == 12
    assert all(point["tests"] for point in POINTS.values())


@pytest.mark.parametrize("named", sorted({test for point in POINTS.values() for test in point["tests"]}))
def test_a_named_test_exists(named: str) -> None:
    file, _, name = named.partition("::")
    assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE)
