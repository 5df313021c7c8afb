"""Translates the server's problems, whose words are those of HTTP, into the words of the command line."""

import re
from collections.abc import Mapping
from typing import Final

from fleet.client import FleetError, Unreachable

_OPTIONS: Final[Mapping[str, str]] = {
    "agent": "--agent",
    "after": "--after",
    "actor": "--actor",
    "at": "--at",
    "baseRef": "--base",
    "cpus": "--cpus",
    "host": "--host",
    "memoryMb": "--memory-mb",
    "onHostLoss": "--on-host-loss",
    "before": "--before",
    "branch": "--branch",
    "budget.minutes": "--minutes",
    "budget.tokens": "--tokens",
    "budget.usd": "--usd",
    "directory": "DIRECTORY",
    "from": "--from",
    "initialPrompt": "--prompt",
    "message": "--message",
    "messageId": "--message",
    "minutes": "--minutes",
    "model": "--model",
    "search": "--search",
    "session": "--session",
    "status": "--status",
    "tag": "--tag",
    "tags": "--tag",
    "title": "--title",
    "to": "--to",
    "tokens": "--tokens",
    "turn": "--turn",
    "type": "--type",
    "usd": "--usd",
}
"""What people write for a field of a request."""

_TOKEN: Final = "Create one with `fleet token new`, and put it into FLEET_TOKEN or a file for --token-file."  # noqa: S105 - a sentence
_ENDED: Final = "Resume it with `fleet resume`, or send the prompt with --resume."
_ROOTS: Final = "The server's `workspace_roots` say where sessions may work."
_HINTS: Final[Mapping[str, str]] = {
    "token_required": _TOKEN,
    "token_invalid": _TOKEN,
    "session_stopped": _ENDED,
    "session_completed": _ENDED,
    "session_disconnected": _ENDED,
    "directory_outside_roots": _ROOTS,
}
"""What to do, where a problem's own hint names requests and headers."""

_WORDS: Final = (
    (re.compile(r" \(POST /\S+\)"), ""),  # beside the command that does the same
    (re.compile(r"POST /api/workspaces/(\S+)/restore"), r"`fleet workspaces restore \1`"),
    (re.compile(r"\bforce=true"), "--force"),
    (re.compile(r'"fresh": true'), "--fresh"),
    (re.compile(r"\bbaseRef\b"), "--base"),
)
"""What a hint says for HTTP, and what people write."""

_ADDRESS: Final = "give the server's address with --url or FLEET_URL, such as http://localhost:3000"


def option_of(error: FleetError) -> str | None:
    """Return the option whose value the server refuses, None if the problem is not about an option."""
    return _option(error.field) if error.code == "invalid" and error.field is not None else None


def _option(field: str) -> str | None:
    return _OPTIONS.get(field) or _OPTIONS.get(field.partition("[")[0].partition(".")[0])


def sentence_of(error: FleetError, url: str) -> str:
    """Return the text for a person at a terminal."""
    if isinstance(error, Unreachable):
        plainly = " Fleet itself speaks http; for https it needs a proxy." if url.startswith("https:") else ""
        return f"{error.detail}. Start Fleet with `fleet serve`, or give its address with --url or FLEET_URL.{plainly}"
    if error.code in ("unreadable", "not_found"):  # every Fleet has the routes that the commands use
        answer = f" (HTTP {error.status})" if error.status else ""
        return f"The server at {url}{answer} is not Fleet, or another version of it: {_ADDRESS}."
    option = error.field and (_option(error.field) or error.field)
    hint = None if error.hint is None else _HINTS.get(error.code, _in_words(error.hint))
    return " ".join(filter(None, (option and f"{option}:", f"{error}.", hint)))


def _in_words(hint: str) -> str:
    for pattern, words in _WORDS:
        hint = pattern.sub(words, hint)
    return hint
