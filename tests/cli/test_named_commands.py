"""Commands that texts name exist: in errors, hints and help, on pages, and in docs; with the options that they name."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from fleet.cli.app import command_line
from tests.repository import text, tracked

COMMAND = re.compile(r"`fleet ([a-z][^`\n{]*)")
SIGNED_TEXT = "log head"
"""The first line of the text that the server signs: no command."""
TOP = typer.main.get_group(command_line())


def unknown(words: str) -> str | None:
    """Return the first word that is neither a command nor an option of it, None if all are."""
    command: Any = TOP
    for word in words.replace("|", " ").split():
        name = word.strip(".,;:()[]\"'").split("=")[0]
        if isinstance(command, TyperGroup):
            below = command.commands.get(name)
            if below is None:
                return None if name.startswith("-") or not name.isalpha() or name.isupper() else name
            command = below
        elif name.startswith("--") and name not in ("--help", *(each for p in command.params for each in p.opts)):
            return name
    return None


def commands(source: str) -> Iterator[str]:
    yield from COMMAND.findall(re.sub(r'"\s*\n\s*f?"', "", source))  # a literal over two lines


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ("log verify --anchor FILE", None),
        ("stop SESSION --cleanup", None),
        ("token new --role operator", None),
        ("terminate SESSION", "terminate"),
        ("log check", "check"),
        ("stop --clean", "--clean"),
    ],
)
def test_a_command_that_does_not_exist_is_found(words: str, wrong: str | None) -> None:
    assert unknown(words) == wrong


def test_commands_that_texts_name_exist() -> None:
    found = [
        (name, words, unknown(words))
        for name in tracked()
        if name.endswith((".py", ".md", ".ts", ".tsx")) and not name.startswith("tests/")
        for words in commands(text(name))
        if words != SIGNED_TEXT
    ]
    assert len(found) > 100
    assert [each for each in found if each[2] is not None] == []


def leaves(command: Any, path: str = "fleet") -> Iterator[tuple[str, Any]]:
    if isinstance(command, TyperGroup):
        for name, below in command.commands.items():
            yield from leaves(below, f"{path} {name}")
    else:
        yield path, command


def test_every_example_is_of_its_command_and_names_its_options() -> None:
    for path, command in leaves(TOP):
        example = (command.epilog or "").removeprefix("Example: ")
        assert example.startswith(path), path
        assert unknown(example.removeprefix("fleet ")) is None, example


def test_help_is_in_sentences_and_shows_no_types() -> None:
    for path, command in leaves(TOP):
        context = typer.Context(command)
        assert (command.help or "").split("\n\n")[0].rstrip().endswith("."), path
        for parameter in command.get_params(context):
            said = re.sub(r" \[dim\].*", "", parameter.help or "")
            assert said.endswith("."), (path, parameter.name)
            assert said[0].isupper() or said.startswith(("`", "once")), (path, parameter.name)
            assert not (parameter.metavar or "").startswith("<"), (path, parameter.name)
