"""Point 3 of the dashboard: a session is created from the page, as the product page says."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.server import Server, git, repository


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a repository and a plain directory in it."""
    projects = tmp_path_factory.mktemp("new") / "projects"
    git(repository(projects / "garden"), "branch", "roses")
    (projects / "notes").mkdir()
    return projects


def dialog(page: Page) -> Locator:
    """Open the dialog from the top bar."""
    page.goto("/")
    page.get_by_role("banner").get_by_role("button", name="New Session").click()
    found = page.get_by_role("dialog", name="New session")
    expect(found.get_by_label("Prompt")).to_be_focused()
    return found


def test_browse_choose_a_strategy_create_and_it_opens(
    page: Page, fleet: Server, projects: Path, accessible: Callable[[Page], None]
) -> None:
    form = dialog(page)
    form.get_by_label("Prompt").fill("Look around and take a note")
    form.get_by_role("textbox", name="Directory").fill(str(projects))
    expect(form.get_by_text("Not a git repository")).to_be_visible()
    form.get_by_role("button", name="Browse…").click()
    form.get_by_role("button", name="garden").click()
    expect(form.get_by_text("A git repository")).to_be_visible()
    expect(form.get_by_role("radio", name=re.compile("Worktree"))).to_be_checked()
    accessible(page)
    form.get_by_label("Branch").fill("ros")
    expect(page.get_by_role("option").filter(has_text="roses")).to_be_visible()
    form.get_by_label("Branch").fill("tulips")
    form.get_by_text("More: title").click()
    form.get_by_label("Title").fill("Plant tulips")
    form.get_by_label("Tags").fill("spring, urgent")
    page.keyboard.press("Control+Enter")
    expect(form).to_be_hidden()
    expect(page).to_have_url(re.compile("/s/"))
    expect(page.get_by_role("heading", name="Plant tulips")).to_be_visible()
    item = fleet.settled(page.url.rpartition("/")[2].partition("?")[0])
    assert (item["isolationStrategy"], item["branch"], item["tags"]) == ("worktree", "tulips", ["spring", "urgent"])


def test_agent_model_parent_and_budget_are_chosen(page: Page, fleet: Server, projects: Path) -> None:
    parent = fleet.create(projects / "garden", 'say "Ready."', title="Head gardener")["id"]
    fleet.settled(parent)
    form = dialog(page)
    form.get_by_role("textbox", name="Directory").fill(str(projects / "garden"))
    expect(form.get_by_text("A git repository")).to_be_visible()
    form.get_by_text("More: title").click()
    for label, typed, option in (
        ("Agent", "pl", re.compile("^plan")),
        ("Model", "reh", re.compile("^rehearsal.rehearsal")),
        ("Parent", parent[:-2], re.compile("Head gardener")),
    ):
        form.get_by_label(label, exact=True).fill(typed)
        page.get_by_role("option", name=option).click()
    form.get_by_label("Budget in dollars").fill("2.5")
    form.get_by_label("Budget in minutes").fill("many")
    form.get_by_role("button", name=re.compile("^Create")).click()
    expect(form.get_by_role("alert").filter(has_text='"many" is not a number')).to_be_visible()
    form.get_by_label("Budget in minutes").fill("30")
    form.get_by_role("button", name=re.compile("^Create")).click()
    expect(page).to_have_url(re.compile("/s/"))
    made = fleet.session(page.url.rpartition("/")[2].partition("?")[0])
    assert (made["agent"], made["parentId"]) == ("plan", parent)
    assert made["model"] == {"providerID": "rehearsal", "modelID": "rehearsal"}
    assert (made["budget"]["usd"], made["budget"]["minutes"]) == (2.5, 30)


def test_a_directory_without_git_is_worked_in_as_it_is(page: Page, fleet: Server, projects: Path) -> None:
    form = dialog(page)
    form.get_by_role("textbox", name="Directory").fill(str(projects / "notes"))
    expect(form.get_by_text("Not a git repository")).to_be_visible()
    expect(form.get_by_role("radio", name=re.compile("Worktree"))).to_be_disabled()
    expect(form.get_by_role("radio", name=re.compile("This directory"))).to_be_checked()
    form.get_by_role("button", name=re.compile("^Create")).click()
    expect(page).to_have_url(re.compile("/s/"))
    assert fleet.session(page.url.rpartition("/")[2].partition("?")[0])["directory"] == str(projects / "notes")


def test_wrong_input_is_named_and_nothing_is_sent(page: Page, fleet: Server) -> None:
    before = len(fleet.call("GET", "/sessions?limit=200"))
    form = dialog(page)
    form.get_by_role("textbox", name="Directory").fill("relative")
    form.get_by_role("button", name=re.compile("^Create")).click()
    expect(form.get_by_role("alert").filter(has_text="has to begin with /")).to_be_visible()
    assert len(fleet.call("GET", "/sessions?limit=200")) == before


def test_a_refusal_brings_the_dialog_back_as_it_was(
    page: Page, fleet: Server, projects: Path, wanted_faults: list[str]
) -> None:
    wanted_faults += ["status of 404", "status of 422", "status of 502"]  # git may be at work in what is removed
    gone = repository(projects / "gone")
    form = dialog(page)
    form.get_by_label("Prompt").fill("Do not lose me")
    form.get_by_role("textbox", name="Directory").fill(str(gone))
    expect(form.get_by_text("A git repository")).to_be_visible()
    shutil.rmtree(gone)
    form.get_by_role("button", name=re.compile("^Create")).click()
    expect(form.get_by_role("alert").first).to_be_visible()
    expect(form.get_by_label("Prompt")).to_have_value("Do not lose me")
    expect(form.get_by_role("textbox", name="Directory")).to_have_value(str(gone))
    page.keyboard.press("Escape")
    expect(form).to_be_hidden()


def test_what_was_typed_survives_closing_the_dialog(page: Page, projects: Path) -> None:
    form = dialog(page)
    form.get_by_label("Prompt").fill("Half a thought")
    page.keyboard.press("Escape")
    expect(form).to_be_hidden()
    page.get_by_role("banner").get_by_role("button", name="New Session").click()
    expect(form.get_by_label("Prompt")).to_have_value("Half a thought")
