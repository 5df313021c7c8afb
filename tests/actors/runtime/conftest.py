from collections.abc import Iterator

import pytest
import structlog.testing


@pytest.fixture(autouse=True)
def _quiet_logs() -> Iterator[None]:
    """Keep the crashes that these tests cause out of the output: rendering their tracebacks takes most of the time."""
    with structlog.testing.capture_logs():
        yield
