"""Computes how large a conversation was at a message, from the message's info as OpenCode has it."""

from typing import Final

import msgspec

from fleet.core.session.state import ContextSize
from fleet.limits import OPENCODE_TOKENS_MAX


class _Cache(msgspec.Struct):
    read: float = 0
    write: float = 0


class _Tokens(msgspec.Struct):
    input: float = 0
    output: float = 0
    reasoning: float = 0
    cache: _Cache = msgspec.field(default_factory=_Cache)


class _Answer(msgspec.Struct):
    providerID: str = ""  # noqa: N815 - OpenCode's spelling
    modelID: str = ""  # noqa: N815
    tokens: _Tokens | None = None


_decode: Final = msgspec.json.Decoder(_Answer).decode


def context_of(body: msgspec.Raw | bytes, created_ms: int) -> ContextSize | None:
    """Return the conversation's size at this answer; None if the answer does not contain it (yet)."""
    try:
        info = _decode(body)
    except msgspec.DecodeError:
        return None
    if info.tokens is None:
        return None
    each = info.tokens
    total = each.input + each.output + each.reasoning + each.cache.read + each.cache.write
    tokens = int(min(max(total, 0), OPENCODE_TOKENS_MAX))
    return ContextSize(tokens, created_ms, info.providerID, info.modelID) if tokens else None
