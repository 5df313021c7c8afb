"""The set-up of a workspace on the page: allowed in the inbox, seen while it runs, tried again where it failed."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.server import Server, git, repository


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = repository(tmp_path_factory.mktemp("setups") / "shop")
    command = "echo Installing; test -e ../good || { echo No network; exit 3; }"
    (made / ".fleet.toml").write_text(f'[workspace]\nsetup = "{command}"\n')
    git(made, "add", ".")
    git(made, "commit", "--quiet", "-m", "Set up")
    return made


def test_a_set_up_is_allowed_fails_and_is_tried_again(
    page: Page, fleet: Server, project: Path, accessible: Callable[[Page], None]
) -> None:
    item = fleet.create(project, 'say "Ready."', title="Needs packages", isolationStrategy="worktree")
    fleet.became(item["id"], "waiting_input")
    page.goto("/inbox")
    card = page.get_by_role("list", name="What waits for you").locator("> li").filter(has_text="Needs packages")
    expect(card).to_contain_text("echo Installing; test -e ../good")
    expect(card).to_contain_text("SHA-256")
    accessible(page)
    card.get_by_role("button", name="Allow in this repository").click()
    page.mouse.move(5, 5)  # while the pointer moves over the list, the answered card stays beside its successor
    expect(card.filter(has_text="failure")).to_contain_text("exit code 3")
    card.get_by_role("link", name="Needs packages").click()
    step = page.get_by_role("region", name="Set-up of the workspace")
    expect(step).to_contain_text("Set-up failed")
    expect(step).to_contain_text("exit code 3")
    expect(step.get_by_text("No network", exact=False).first).to_be_visible()
    accessible(page)
    (Path(item["directory"]).parent / "good").touch()
    step.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("Ready.").last).to_be_visible()
    expect(step).to_have_count(0)  # it has begun to work: the log has the set-up
    assert fleet.settled(item["id"])["setup"]["status"] == "done"
