"""What holds for all tests: which of them share one process of `make test`, and that none depends on speed."""

import gc
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler.loadscope import LoadScopeScheduling  # type: ignore[import-untyped]  # it has no types

if TYPE_CHECKING:
    from playwright.sync_api import Playwright

# No example fails because the machine is busy.
settings.register_profile("fleet", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fleet")


_TOGETHER: Final = ("tests/e2e/", "tests/page/", "tests/browser/", "tests/simulation/test_checks.py")
"""Files of which each stays in one process."""


class ByFixtures(LoadScopeScheduling):  # type: ignore[misc]  # the same
    """Keeps tests that share something expensive in one process: a second process would make it again.

    A file of `tests/e2e`, `tests/page` or `tests/browser` stays together, and a process that has files of the page
    keeps its server and its browser for all of them. All of `tests/ray` shares one cluster, and the tests of the
    simulation's checkers share their histories. All other tests go to whichever process is free.
    (The groups of pytest-xdist 3.8 have no effect under pytest 9.2.)
    """

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith("tests/ray/"):
            return "tests/ray"
        return nodeid.partition("::")[0] if nodeid.startswith(_TOGETHER) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFixtures:
    """Return what hands tests to the processes of `make test`."""
    return ByFixtures(config, log)


def pytest_configure(config: pytest.Config) -> None:
    """Collect golden histories where that was asked for (tests/histories/golden.py)."""
    if name := os.environ.get("FLEET_WRITE_GOLDEN"):
        from tests.histories.golden import Collector

        collector = Collector()
        config.add_cleanup(lambda: collector.write_what_is_new(name))


@pytest.fixture(scope="session")
def playwright() -> Iterator["Playwright"]:
    """What drives browsers: one of a process, because it runs an event loop there."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


def pytest_collection_finish(session: pytest.Session) -> None:
    """Keep what was imported and collected out of the garbage collector's sight, which would look at it all again."""
    gc.collect()
    gc.freeze()
