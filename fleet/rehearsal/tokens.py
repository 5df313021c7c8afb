"""The tokens of a script's line: strings, heredocs, marks and bare words, and a cursor over them.

Which words make a statement is parse.py's business.
"""

import json
import re
from typing import NamedTuple, cast

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"(?:[^"\\]|\\.)*")
      | <<(?P<heredoc>\w+)
      | (?P<mark>->|[:,])
      | (?P<word>[^\s":,]+)
    )""",
    re.VERBOSE,
)


class Complaint(Exception):  # noqa: N818 - parse.py turns it into a ScriptError
    """One line is wrong."""


class ScriptLines:
    """The script's lines, one at a time, so that a heredoc can take those that follow its statement."""

    def __init__(self, text: str) -> None:
        self._rest = text.removesuffix("\n").split("\n")[::-1] if text else []
        self.number = 0

    def take(self) -> str | None:
        """Return the next line, or None after the last."""
        if not self._rest:
            return None
        self.number += 1
        return self._rest.pop().removesuffix("\r")

    def heredoc(self, word: str) -> str:
        """Return the lines up to the one that is `word` alone."""
        begun = self.number
        body: list[str] = []
        while (line := self.take()) is not None:
            if line.strip() == word:
                return "".join(f"{line}\n" for line in body)
            body.append(line)
        raise Complaint(f"`<<{word}` of line {begun} is never closed: put a line `{word}` after its text")


class ScriptToken(NamedTuple):
    """One word of a line; `kind` is string, mark, word or end."""

    kind: str
    value: str


class Arguments:
    """A cursor over the tokens of one line; each method takes what it names or complains."""

    def __init__(self, tokens: list[ScriptToken]) -> None:
        self._tokens = tokens
        self._at = 0

    def peek(self) -> ScriptToken:
        """Return the next token without taking it."""
        return self._tokens[self._at] if self._at < len(self._tokens) else ScriptToken("end", "the end of the line")

    def next(self) -> ScriptToken:
        """Take the next token."""
        token = self.peek()
        self._at += 1
        return token

    def string(self, what: str) -> str:
        """Take a string or heredoc."""
        token = self.next()
        if token.kind != "string":
            raise Complaint(f'expected {what} in double quotes or as `<<END`, not "{token.value}"')
        return token.value

    def name(self, what: str) -> str:
        """Take a bare word or a string."""
        token = self.next()
        if token.kind not in ("word", "string"):
            raise Complaint(f'expected {what}, not "{token.value}"')
        return token.value

    def number(self, what: str, low: int, high: int) -> int:
        """Take a whole number within the bounds."""
        token = self.next()
        if token.kind != "word" or not re.fullmatch(r"[0-9]{1,9}", token.value) or not low <= int(token.value) <= high:
            raise Complaint(f'expected {what} from {low} to {high}, not "{token.value}"')
        return int(token.value)

    def quantity(self, pattern: re.Pattern[str], what: str) -> re.Match[str]:
        """Take a word of this pattern."""
        token = self.next()
        match = pattern.fullmatch(token.value)
        if token.kind != "word" or match is None:
            raise Complaint(f'expected {what}, not "{token.value}"')
        return match

    def mark(self, *wanted: str) -> None:
        """Take one of these marks or words."""
        token = self.next()
        if token.kind not in ("mark", "word") or token.value not in wanted:
            raise Complaint(f'expected `{"` or `".join(wanted)}`, not "{token.value}"')

    def skip(self, wanted: str) -> bool:
        """Take the word or mark if it comes next, and say whether it did."""
        found = self.peek().kind in ("mark", "word") and self.peek().value == wanted
        self._at += found
        return found

    def strings(self, what: str) -> tuple[str, ...]:
        """Take strings parted by commas, at least one."""
        found = [self.string(what)]
        while self.skip(","):
            found.append(self.string(what))
        return tuple(found)

    def colon_before_text(self) -> None:
        """Take the colon; before a string or heredoc it may be left out."""
        if not self.skip(":") and self.peek().kind != "string":
            self.mark(":")

    def end(self) -> None:
        """Complain if anything is left."""
        if self.peek().kind != "end":
            raise Complaint(f'"{self.peek().value}" is too much')


def tokens_of(line: str, lines: ScriptLines) -> list[ScriptToken]:
    """Return the tokens of a line; a heredoc takes the lines that follow."""
    tokens: list[ScriptToken] = []
    at = 0
    line = line.rstrip()
    while at < len(line):
        match = _TOKEN.match(line, at)
        if match is None:
            raise Complaint(f"a double quote is not closed: {line[at:].strip()[:40]}")
        kind = cast("str", match.lastgroup)
        value = match[kind]
        if kind == "string":
            tokens.append(ScriptToken("string", _unquoted(value)))
        elif kind == "heredoc":
            tokens.append(ScriptToken("string", lines.heredoc(value)))
        else:
            tokens.append(ScriptToken(kind, value))
        at = match.end()
    return tokens


def _unquoted(literal: str) -> str:
    try:
        return str(json.loads(literal, strict=False))
    except ValueError:
        raise Complaint(f"{literal[:40]} is not a JSON string: a backslash is written \\\\") from None
