"""The details of problems are written in one way: they are shown after a colon and before a hint."""

import ast
import re
from collections.abc import Generator
from functools import cache

from tests.repository import modules, text, tracked

PROBLEM_CLASSES = ("Problem", "Rejected", "Unavailable")
NAMES = ("Fleet", "OpenCode", "OpenCode's", "HEAD", "Fleet-Session", "Last-Event-ID")
"""Words of a detail that are written with a capital letter wherever they stand."""


@cache
def walked(source: str) -> tuple[ast.AST, ...]:
    """Return all nodes of a module, which several tests read."""
    return tuple(ast.walk(ast.parse(source)))


def details(source: str) -> Generator[str]:
    """Yield the details of problems, where they are literals; `…` stands for a value."""
    for node in walked(source):
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


def literals(node: ast.AST | None) -> Generator[str]:
    """Yield the texts that an expression can be, where they are literals; `…` stands for a value."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)
        case ast.IfExp(body=body, orelse=orelse):
            yield from literals(body)
            yield from literals(orelse)
        case _:
            pass


def hints(source: str) -> Generator[str]:
    """Yield what is given as a hint: by name, or by a constant or variable whose name says so."""
    for node in walked(source):
        if isinstance(node, ast.keyword) and node.arg == "hint":
            yield from literals(node.value)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(each, ast.Name) and each.id.lower().endswith("hint") for each in targets):
                yield from literals(node.value)


def is_a_hint(text: str) -> bool:
    """Return whether it is a sentence, or several: it begins with a capital letter or a command."""
    return (text[:1].isupper() or text[:1] == "`") and text.endswith(".")


def test_hints_of_problems_are_sentences() -> None:
    found = {name: list(hints(text(name))) for name in modules("fleet")}
    assert sum(map(len, found.values())) > 120
    assert {
        name: wrong for name, said in found.items() if (wrong := [each for each in said if not is_a_hint(each)])
    } == {}


def test_errors_at_the_start_of_a_command_end_with_a_period() -> None:
    """A value at the end, such as `remedy(…)`, brings its own."""
    found = {
        name: [
            said
            for node in walked(text(name))
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "StartupError" and node.args
            for said in literals(node.args[0])
            if not said.endswith((".", "…"))
        ]
        for name in modules("fleet")
    }
    assert {name: said for name, said in found.items() if said} == {}


ACTIONS = {
    "terminat": "stop",
    "take back": "withdraw",
    "taken back": "withdrawn",
    "bring back": "restore, resume",
    "brought back": "restored, resumed",
}
"""Words for actions that have another one in the API and on the command line."""


def messages(source: str) -> Generator[str]:
    """Yield the literals of a module that are not docstrings."""
    alone = {id(node.value) for node in walked(source) if isinstance(node, ast.Expr)}
    for node in walked(source):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.value


def test_an_action_has_one_word_in_messages_and_on_the_page() -> None:
    """The palette of the page also finds an action by another word, given in `words`."""
    page = [name for name in tracked() if name.startswith("web/src/") and not name.startswith("web/src/wire/")]
    said = {name: [re.sub(r'words: "[^"]*"', "", text(name))] for name in page if name.endswith((".ts", ".tsx"))}
    said |= {name: list(messages(text(name))) for name in modules("fleet")}
    found = {
        name: {f"{word}: {ACTIONS[word]}" for each in texts for word in ACTIONS if word in each.lower()}
        for name, texts in said.items()
    }
    assert {name: words for name, words in found.items() if words} == {}
