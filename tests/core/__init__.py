"""Tests of the pure core."""

import pytest

# These assert on behalf of tests, and should say as much when they fail.
pytest.register_assert_rewrite("tests.core.given", "tests.core.walks")
