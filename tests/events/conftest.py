"""A data directory that the tests of tampering copy."""

from pathlib import Path

import pytest

from tests.events.sound import make_sound


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with two sessions, an erased third one, rows of views, snapshots, commands and blobs."""
    return make_sound(tmp_path_factory.mktemp("sound"))
