"""Reads OpenCode's JSON of messages, tool calls and requests, as tolerantly as the rest of Fleet does.

A body that cannot be read gives an empty value: a pack shows less of it, and the event in `events.jsonl` has it all.
"""

from typing import Any, Final, TypeVar

import msgspec

from fleet.limits import PACK_OUTPUT_CHARS_MAX

Value = TypeVar("Value")


class AgentMessage(msgspec.Struct, frozen=True):
    """The fields of a message's info that a pack shows."""

    agent: str | None = None
    providerID: str | None = None  # noqa: N815 - OpenCode's spelling, here and below
    modelID: str | None = None  # noqa: N815

    @property
    def model(self) -> str | None:
        """The model as `provider/model`."""
        return f"{self.providerID}/{self.modelID}" if self.providerID and self.modelID else None


class _Time(msgspec.Struct, frozen=True):
    start: float | None = None
    end: float | None = None


class ToolState(msgspec.Struct, frozen=True):
    """The state of a tool call."""

    status: str = ""
    title: Any = None
    input: dict[str, Any] = {}
    output: Any = None
    error: Any = None
    metadata: dict[str, Any] = {}
    time: _Time = _Time()

    @property
    def exit_code(self) -> int | None:
        """The exit code of a command that ended by itself."""
        found = self.metadata.get("exit")
        return found if isinstance(found, int) and not isinstance(found, bool) else None

    def words(self, name: str) -> str:
        """Return an input that is a text, "" where there is none."""
        found = self.input.get(name)
        return found if isinstance(found, str) else ""

    def result(self) -> str:
        """Return the output, or the error of a call that failed."""
        found = self.output if isinstance(self.output, str) else self.error
        return found if isinstance(found, str) else ""


class PartBody(msgspec.Struct, frozen=True):
    """The fields of a part that a pack shows."""

    type: str = ""
    text: str = ""
    synthetic: bool = False
    tool: str = ""
    callID: str = ""  # noqa: N815
    state: ToolState = ToolState()


class _Option(msgspec.Struct, frozen=True):
    label: str = ""


class QuestionBody(msgspec.Struct, frozen=True):
    """A question in a request."""

    question: str = ""
    header: str = ""
    options: tuple[_Option, ...] = ()


class _Tool(msgspec.Struct, frozen=True):
    callID: str | None = None  # noqa: N815


SHOWN: Final = ("command", "filepath", "url")
"""What a pack shows of a request's metadata."""


class RequestBody(msgspec.Struct, frozen=True):
    """The fields of a request that a pack shows."""

    permission: str = ""
    type: str = ""
    patterns: tuple[str, ...] = ()
    always: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}
    questions: tuple[QuestionBody, ...] = ()
    tool: _Tool | None = None

    @property
    def asked(self) -> str:
        """What is to be allowed: the whole command or the file; the patterns do not show what joins commands."""
        for name in SHOWN:
            found = self.metadata.get(name)
            if isinstance(found, str) and found:
                return found
        return "; ".join(self.patterns)


def read(body: msgspec.Raw | bytes, empty: Value) -> Value:
    """Return the body as a value of the type of `empty`, or `empty` where it cannot be read."""
    try:
        return msgspec.json.decode(body, type=type(empty))
    except msgspec.MsgspecError:
        return empty


def cut(text: str, chars_max: int = PACK_OUTPUT_CHARS_MAX) -> tuple[str, bool]:
    """Return a text without its middle where it is too long, and whether something was cut."""
    if len(text) <= chars_max:
        return text, False
    half = chars_max // 2
    gap = len(text) - 2 * half
    return f"{text[:half]}\n[… {gap} characters are cut here; events.jsonl has all of them …]\n{text[-half:]}", True
