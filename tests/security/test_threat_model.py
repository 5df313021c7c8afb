"""docs/security.md keeps its word: every row of its table names tests, and they are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def rows() -> list[list[str]]:
    text = (ROOT / "docs" / "security.md").read_text("utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def test_every_row_names_tests_that_are_there() -> None:
    assert len(rows()) > 25
    for row in rows():
        assert len(row) == 4, row
        named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", row[3])
        assert named, row
        for file, function in named:
            assert re.search(rf"^(?:async )?def {function}\b", (ROOT / file).read_text(), re.MULTILINE), (
                file,
                function,
            )


def test_every_test_of_this_directory_is_named() -> None:
    named = {Path(file).name for row in rows() for file in re.findall(r"tests/(?:security|browser)/\w+\.py", row[3])}
    here = {path.name for top in ("security", "browser") for path in (ROOT / "tests" / top).glob("test_*.py")}
    assert named == here - {Path(__file__).name}
