"""Point 5 of the dashboard: the Diffs tab, file by file, and the review that goes back to the agent."""

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.server import Server, git, repository

TOTAL = """def total(rows):
    # each row is rounded by itself
    return sum(map(round, rows))
"""
SCRIPT = r"""
edit src/total.py: <<A -> <<B
    # each row is rounded by itself
    return sum(map(round, rows))
A
    return round(sum(rows))
B
write src/new.py: "GREETING = '<b>hello</b>'\n"
---
bash "git rm -q gone.py && git mv old.py renamed.py && chmod +x run.sh && cp logo.png copy.png"
---
say "Done."
"""


@pytest.fixture(scope="module")
def session(fleet: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A session whose first turn has changed files of every kind."""
    directory = repository(tmp_path_factory.mktemp("shop") / "shop")
    (directory / "src").mkdir()
    lines = "".join(f"x{number} = {number}\n" for number in range(60))
    (directory / "src/total.py").write_text(f"{lines}\n\n{TOTAL}\n\n{lines}")
    (directory / "gone.py").write_text("print('gone')\n" * 5)
    (directory / "old.py").write_text(lines)
    (directory / "run.sh").write_text("echo\n")
    (directory / "logo.png").write_bytes(bytes.fromhex(PNG))
    git(directory, "add", ".")
    git(directory, "commit", "--quiet", "-m", "More")
    item = fleet.create(directory, SCRIPT, isolationStrategy="worktree", title="Round once")
    return str(fleet.settled(item["id"])["id"])


PNG = (
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef"
    "0000000049454e44ae426082"
)


def test_files_stand_in_a_tree_with_counts(page: Page, session: str) -> None:
    page.goto(f"/s/{session}?tab=diffs")
    tree = page.get_by_role("tree", name="Changed files")
    for name in (
        "src, 2 added, 2 deleted",
        "total.py, modified, 1 added, 2 deleted",
        "new.py, added, 1 added, 0 deleted",
        "gone.py, deleted, 0 added, 5 deleted",
        "renamed.py, renamed, 0 added, 0 deleted",
        "run.sh, modified, mode",
        "copy.png, added, binary",
    ):
        expect(tree.get_by_role("treeitem", name=name, exact=True)).to_be_visible()
