"""Point 8 of the dashboard: processes with memory and sessions, workspaces, webhooks, roots, theme, keys."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.server import Server, repository


@pytest.fixture(scope="module")
def sharing(fleet: Server, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Titles of three sessions that share one OpenCode process and one workspace."""
    project, titles = repository(tmp_path_factory.mktemp("shared") / "barn"), ["Hay", "Oat", "Rye"]
    items = [fleet.create(project, 'say "Done."', title=title) for title in titles]
    for item in items:
        fleet.settled(item["id"])
    return titles


@pytest.fixture(scope="module")
def ended(fleet: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A session that has ended, whose worktree is not used any more."""
    directory = repository(tmp_path_factory.mktemp("settings") / "workshop")
    item = fleet.create(directory, 'write a.txt: "1"\n---\nsay "Done."', isolationStrategy="worktree", title="Saw")
    fleet.settled(item["id"])
    fleet.call("DELETE", f"/sessions/{item['id']}")
    return str(fleet.became(item["id"], "stopped")["id"])


def test_processes_show_memory_and_sessions(page: Page, sharing: list[str], accessible: Callable[[Page], None]) -> None:
    page.goto("/processes")
    row = page.get_by_role("region", name="OpenCode processes").get_by_role("row").filter(has_text=sharing[0])
    for title in sharing:
        expect(row.get_by_role("link", name=title, exact=True)).to_be_visible()
    expect(row).to_contain_text("ready")
    expect(row).to_contain_text("MiB")
    expect(page.get_by_text(re.compile("orphan")).first).to_be_visible()
    accessible(page)


def test_a_workspace_is_removed_and_brought_back(page: Page, ended: str, fleet: Server) -> None:
    directory = Path(fleet.session(ended)["directory"])
    page.goto("/processes")
    row = page.get_by_role("row").filter(has_text=str(directory))
    row.get_by_role("button", name="Remove…").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Remove").click()
    expect(row).to_contain_text("kept as refs/fleet/")
    assert not directory.exists()
    row.get_by_role("button", name="Restore").click()
    expect(row.get_by_role("button", name="Remove…")).to_be_visible()
    assert (directory / "a.txt").exists()


def test_theme_and_keys_are_kept(page: Page, accessible: Callable[[Page], None]) -> None:
    page.goto("/settings")
    page.get_by_role("combobox", name=re.compile("Theme")).click()
    page.get_by_role("option", name="Dark", exact=True).click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    accessible(page)
    page.get_by_label("Single letters are shortcuts").uncheck()
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.get_by_label("Single letters are shortcuts")).not_to_be_checked()
    page.locator("body").press("g")
    page.locator("body").press("i")
    expect(page).to_have_url(re.compile("/settings"))


def test_a_webhook_is_added_and_deleted(page: Page) -> None:
    page.goto("/settings")
    page.get_by_label("Address").fill("http://127.0.0.1:1/hook")
    page.get_by_role("button", name="Add").first.click()
    expect(page.get_by_role("dialog", name="The webhook's secret")).to_contain_text("whsec_")
    page.keyboard.press("Escape")
    row = page.get_by_role("row").filter(has_text="127.0.0.1:1")
    row.get_by_role("button", name="Delete…").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    expect(row).to_be_hidden()


def test_a_root_narrows_where_sessions_may_work(page: Page, tmp_path: Path) -> None:
    page.goto("/settings")
    page.get_by_label("Allow only below").fill(str(tmp_path))
    page.get_by_role("button", name="Add").last.click()
    row = page.get_by_role("row").filter(has_text=str(tmp_path))
    expect(row).to_contain_text("chosen here")
    row.get_by_role("button", name="Remove").click()
    expect(row).to_be_hidden()


@pytest.mark.parametrize("path", ["/", "/inbox", "/history", "/log", "/processes", "/settings", "/new"])
def test_every_page_is_accessible_on_a_dark_phone(
    open_context: Callable[..., BrowserContext],
    path: str,
    accessible: Callable[[Page], None],
    ended: str,
    sharing: list[str],
) -> None:
    context = open_context(color_scheme="dark", viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    page.goto(path)
    expect(page.locator("[data-phase=live]")).to_be_visible()  # a dialog hides it from others than eyes
    if path == "/processes":
        expect(page.get_by_role("link", name=sharing[-1], exact=True)).to_have_count(2)  # by process and workspace
    accessible(page)
    page.wait_for_function("document.documentElement.scrollWidth <= 390")
