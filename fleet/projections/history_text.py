"""Selects the words of OpenCode's parts that are searched: the model's text, and the input and output of tools.

Reasoning, files and markers are not searched, and long texts only up to a limit. OpenCode's JSON is read tolerantly: a
part of an unexpected shape has no words.
"""

from typing import Any, Final, Literal, TypeAlias, cast

import msgspec

from fleet.limits import HISTORY_INPUT_BYTES_MAX, HISTORY_TEXT_BYTES_MAX

Kind: TypeAlias = Literal["title", "prompt", "answer", "tool"]
"""The kind of a text."""


class _Part(msgspec.Struct):
    type: str = ""
    text: Any = None
    tool: Any = None
    state: Any = None


_decode: Final = msgspec.json.Decoder(_Part).decode


def text_of(part_type: str, body: msgspec.Raw) -> tuple[Kind, str] | None:
    """Return the searched text of a part, None if it has none. The kind of a user's text is `answer` here, too."""
    if part_type not in ("text", "tool"):
        return None
    try:
        read = _decode(body)
    except msgspec.MsgspecError:
        return None
    if part_type == "text":
        return "answer", clip(read.text if isinstance(read.text, str) else "")
    state = _members(read.state)
    words = [read.tool, state.get("title"), *_strings(state.get("input")), state.get("error")]
    asked = clip("\n".join(word for word in words if isinstance(word, str)), HISTORY_INPUT_BYTES_MAX)
    output = state.get("output")
    return "tool", f"{asked}\n{clip(output)}" if isinstance(output, str) else asked


class _Replaced(msgspec.Struct):
    part_id: str = ""
    type: str = ""
    body: msgspec.Raw = msgspec.Raw(b"{}")


def replaced_text(payload: msgspec.Raw) -> tuple[str, str | None]:
    """Return the id of the part in a replaced payload, and its searched text; None if it is no part with a text."""
    read = msgspec.json.decode(payload, type=_Replaced)
    found = text_of(read.type, read.body)
    return read.part_id, None if found is None else found[1]


def clip(text: str, bytes_max: int = HISTORY_TEXT_BYTES_MAX) -> str:
    """Return the beginning of the text, without the characters that mark hits."""
    # Each character takes at least a byte, so the slice bounds the encoded text.
    kept = text[:bytes_max].encode("utf-8", "replace")[:bytes_max].decode("utf-8", "ignore")
    return kept.replace("\2", " ").replace("\3", " ").replace("\0", " ")


def unmark(marked: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Return the text without the marks of its hits, and the positions of the hits."""
    text, hits = "", list[tuple[int, int]]()
    for n, piece in enumerate(marked.replace("\3", "\2").split("\2")):
        if n % 2:
            hits.append((len(text), len(text) + len(piece)))
        text += piece
    return text, tuple(hits)


def _strings(value: Any) -> list[str]:
    """Return the strings in a JSON value, in order."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [found for child in cast("list[object]", value) for found in _strings(child)]
    return [found for child in _members(value).values() for found in _strings(child)]


def _members(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
