"""No text of an agent moves the cursor, sets a colour or a title, or writes backwards."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from fleet.cli.sanitize import SafeConsole, json_of, line_of, plain

DANGEROUS = {chr(code) for code in (*range(32), *range(127, 160))} - {"\n", "\t"} | set("\u202e\u2066\u2028\u200f")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;a title\x07x", "x"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b2Jx", "x"),
        ("\x1bP1;2|payload\x1b\\x", "x"),
        ("\x1bcx", "x"),
        ("10%\r20%\r\n", "10%\n20%\n"),
        ("bell\x07 and \x00", "bell\\x07 and \\x00"),
        ("unfinished \x1b[31", "unfinished \\x1b[31"),
        ("unfinished \x1b]0;title", "unfinished \\x1b]0;title"),
        ("\u202eevil", "\\u202eevil"),
        ("half a \ud800 pair", "half a \\ud800 pair"),
        ("naïve 日本語 🙂", "naïve 日本語 🙂"),
    ],
)
def test_control_characters_are_shown_as_escapes(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(st.text(st.one_of(st.sampled_from("\x1b[]0;mPX\\\x07\x9b\x9d\r\n\t2J\u202e"), st.characters()), max_size=60))
def test_no_combination_of_control_characters_reaches_the_terminal(text: str) -> None:
    assert not DANGEROUS & set(plain(text))
    assert plain(plain(text)) == plain(text)
    assert not {"\n", "\t"} & set(line_of(text))


@given(st.text(st.one_of(st.sampled_from("\x1b[]0;m\x07\x9b\r"), st.characters()), max_size=60))
def test_safe_console_prints_no_control_characters_from_outside(text: str) -> None:
    out = io.StringIO()
    console = SafeConsole(file=out)
    table = Table(text, title=text)
    table.add_row(Text(text), text)
    for renderable in (text, Text(text), table):
        console.print(renderable)
    assert not DANGEROUS & set(out.getvalue())


def test_json_output_keeps_its_values_without_control_characters() -> None:
    value = {"text": "\x1b[31m \x9b2J \u202e é \x7f"}
    for text in (json_of(value), json_of(value, lines=True)):
        assert json.loads(text) == value
        assert not DANGEROUS & set(text)
        assert "é" in text


def test_long_unterminated_sequence_is_escaped_quickly() -> None:
    for piece in ("\x1b]0;", "\x1bP", "\x1b[", "\x9b0;"):
        assert len(plain(piece * 200_000)) < 3_000_000
