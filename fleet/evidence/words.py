"""The sentences of an evidence pack, for a reader who does not know Fleet."""

from collections.abc import Mapping
from typing import Final

_KINDS: Final[Mapping[str, str]] = {
    "token": "the holder of the token “{}”",
    "session": "the session {}",
    "instance": "OpenCode (process {})",
    "workspace": "the workspace {}",
    "policy": "Fleet's rule “{}”",
    "webhook": "the webhook {}",
}


def who(actor: str) -> str:
    """Return an actor in words."""
    if actor == "local":
        return "the user of Fleet's own machine"
    if actor == "system":
        return "Fleet"
    kind, _, name = actor.partition(":")
    return _KINDS[kind].format(name) if kind in _KINDS and name else actor


def begin(sentence: str) -> str:
    """Return the sentence with a capital letter at its beginning."""
    return sentence[:1].upper() + sentence[1:]
