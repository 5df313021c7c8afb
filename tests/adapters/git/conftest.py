"""The world of the git adapter: one template repository per run, copied."""

from pathlib import Path

import pytest

from tests.adapters.git.world import GitWorld, make_template


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template") / "repository")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the home of the user whose git configuration counts. It is empty."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return home


@pytest.fixture
def world(tmp_path: Path, template: Path, home: Path) -> GitWorld:
    return GitWorld(tmp_path, template)
