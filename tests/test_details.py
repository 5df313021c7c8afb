"""The details of problems are written in one way: they are shown after a colon and before a hint."""

import ast
from collections.abc import Generator

from tests.repository import modules, text

PROBLEM_CLASSES = ("Problem", "Rejected", "Unavailable")
NAMES = ("Fleet", "OpenCode", "OpenCode's", "HEAD", "Fleet-Session", "Last-Event-ID")
"""Words of a detail that are written with a capital letter wherever they stand."""


def details(source: str) -> Generator[str]:
    """Yield the details of problems, where they are literals; `…` stands for a value."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in PROBLEM_CLASSES and len(node.args) > 1:
            detail = node.args[1]
            parts = detail.values if isinstance(detail, ast.JoinedStr) else [detail]
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)


def is_a_detail(text: str) -> bool:
    """Return whether it can stand after a colon and before a hint."""
    begins_small = not text[:1].isupper() or text.split(maxsplit=1)[0].rstrip(":") in NAMES
    return begins_small and (". " in text or not text.endswith("."))


def test_details_of_problems_begin_small_and_end_without_a_period() -> None:
    found = {name: list(details(text(name))) for name in modules("fleet")}
    assert sum(map(len, found.values())) > 200
    wrong = {name: [each for each in said if not is_a_detail(each)] for name, said in found.items()}
    assert {name: each for name, each in wrong.items() if each} == {}
