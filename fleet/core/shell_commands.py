"""Takes a shell command line apart into its single commands, as OpenCode does before it asks for permission.

OpenCode parses the line and asks for each command in it, in a pipe, a list or a substitution. This
is not a shell: a line that it does not understand comes back whole, so that a rule for a single command cannot allow
it by mistake.
"""

import re
from typing import Final

_SEPARATORS: Final = re.compile(r"&&|\|\||;;&|;;|;&|;|\|&|\||&(?![>\d])|\n")
_REDIRECTION: Final = re.compile(r"(?:(?<!\S)\d+|&)?(?:>>|>\||>&|<&|<>|>|<)(?!\()")
_KEYWORDS: Final = re.compile(r"(?:(?:if|then|else|elif|fi|while|until|do|done|time|coproc|!|\{|\})(?=\s|$)|[()]+)\s*")
_SKIPPED: Final = re.compile(r"(?:for|case|select|function|esac|in)\b|\w+\s*\(\)")
_MOVES: Final = frozenset(("cd", "chdir", "popd", "pushd"))
_ASSIGNMENTS: Final = re.compile(r"(?:[A-Za-z_]\w*\+?=(?:'[^']*'|\"[^\"]*\"|[^\s'\"])*(?:\s+|$))*")


def commands_in(line: str) -> tuple[str, ...]:
    """Return the single commands of a command line as they are written, without those that change directory."""
    if "<<" in line:
        return (line.strip(),)  # a here-document: its text is no command
    try:
        found = list(_commands(line))
    except _UnclearError:
        return (line.strip(),) if line.strip() else ()
    return tuple(dict.fromkeys(each for each in found if _name(each) not in _MOVES))


class _UnclearError(Exception):
    """The line cannot be taken apart."""


def _name(command: str) -> str:
    assigned = _ASSIGNMENTS.match(command)
    words = command[assigned.end() if assigned else 0 :].split(None, 1)
    return words[0] if words else ""


def _commands(line: str) -> list[str]:
    """Return the commands, with those inside of substitutions behind the one that they belong to."""
    found: list[str] = []
    for piece, inner in _pieces(line):
        command = _bare(piece)
        if _name(command):
            found.append(command)
        for each in inner:
            found += _commands(each)
    return found


def _bare(piece: str) -> str:
    """Return the command of a piece, without keywords and parentheses around it."""
    command = piece
    while keyword := _KEYWORDS.match(command):
        command = command[keyword.end() :]
    if _SKIPPED.match(command):
        raise _UnclearError
    command = command.rstrip()
    while command.endswith(")") and command.count("(") < command.count(")"):
        command = command[:-1].rstrip()
    return command


def _pieces(line: str) -> list[tuple[str, list[str]]]:
    """Split at separators outside of quotes and substitutions; return each piece with the substitutions in it.

    As in OpenCode's grammar, a redirection behind `a && b` or `a | b` belongs to both: it is no part of the command.
    """
    found: list[tuple[str, list[str]]] = []
    start = at = 0
    inner: list[str] = []
    joined, redirected = False, None
    while at < len(line):
        sign = line[at]
        if sign == "\\":
            at += 2
        elif sign == "'":
            at = _after(line, at + 1, "'")
        elif sign == '"':
            at = _after_double(line, at + 1, inner)
        elif sign == "`" or line.startswith("$(", at):
            at = _substitution(line, at, inner)
        elif sign == "#" and (at == 0 or line[at - 1].isspace()):
            raise _UnclearError
        elif redirection := _REDIRECTION.match(line, at):
            redirected = at if redirected is None else redirected
            at = redirection.end()
        elif separator := _SEPARATORS.match(line, at):
            found.append((_piece(line, start, at, redirected if joined else None), inner))
            joined = separator[0] in ("&&", "||", "|", "|&")
            start = at = separator.end()
            inner, redirected = [], None
        else:
            at += 1
    found.append((_piece(line, start, len(line), redirected if joined else None), inner))
    return found


def _piece(line: str, start: int, end: int, redirected: int | None) -> str:
    return line[start : end if redirected is None else redirected].strip()


def _after(line: str, at: int, sign: str) -> int:
    end = line.find(sign, at)
    if end < 0:
        raise _UnclearError
    return end + 1


def _after_double(line: str, at: int, inner: list[str]) -> int:
    while at < len(line):
        if line[at] == "\\":
            at += 2
        elif line[at] == '"':
            return at + 1
        elif line[at] == "`" or line.startswith("$(", at):
            at = _substitution(line, at, inner)
        else:
            at += 1
    raise _UnclearError


def _substitution(line: str, at: int, inner: list[str]) -> int:
    """Note what is in a substitution, and return where it ends."""
    if line[at] == "`":
        end = _after(line, at + 1, "`")
        inner.append(line[at + 1 : end - 1])
        return end
    depth, end = 1, at + 2
    while end < len(line) and depth:
        if line[end] == "\\":
            end += 1
        elif line[end] == "'":
            end = _after(line, end + 1, "'") - 1
        elif line[end] == '"':
            end = _after_double(line, end + 1, []) - 1
        depth += {"(": 1, ")": -1}.get(line[end], 0)
        end += 1
    if depth:
        raise _UnclearError
    inner.append(line[at + 2 : end - 1])
    return end
