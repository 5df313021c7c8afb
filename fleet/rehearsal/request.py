"""The chat-completions request as the rehearsal model reads it: it ignores every field that it does not need.

It answers what reply.py asks: which prompt is being worked on, how far the work is, where, and with which tools. The
state of a conversation is in its messages alone, so the server keeps none.
"""

import hashlib
import posixpath
import re
from enum import Enum
from functools import cached_property

import msgspec

MODEL = "rehearsal"

_WORKING_DIRECTORY = re.compile(r"^\s*Working directory: (?P<path>.+?)\s*$", re.MULTILINE)
_CHARS_PER_TOKEN = 4


class BadRequest(Exception):  # noqa: N818 - the name that OpenAI's clients know
    """The body is not a chat-completions request; the text says what is wrong."""


class Purpose(Enum):
    """The kind of a request: OpenCode asks the same endpoint for titles and for summaries of its context."""

    WORK = "work"
    TITLE = "title"
    SUMMARY = "summary"


class ContentPart(msgspec.Struct):
    """A part of a message; only text matters here."""

    type: str = "text"
    text: str = ""


class RequestMessage(msgspec.Struct):
    """One message of the conversation."""

    role: str
    content: str | list[ContentPart] | None = None

    @property
    def text(self) -> str:
        """The text of all parts."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.type == "text")
        return self.content or ""


class ToolParameters(msgspec.Struct):
    """The properties that a tool's JSON schema names."""

    properties: dict[str, msgspec.Raw] = {}


class ToolFunction(msgspec.Struct):
    """A tool's name and what it takes."""

    name: str
    parameters: ToolParameters | None = None


class Tool(msgspec.Struct):
    """A tool on offer."""

    function: ToolFunction


class StreamOptions(msgspec.Struct):
    """How the stream is wanted."""

    include_usage: bool = False


class ChatRequest(msgspec.Struct, dict=True):
    """A chat-completions request. `digest` stands for its exact bytes: ids in the answer come from it."""

    messages: list[RequestMessage]
    model: str = MODEL
    stream: bool = False
    stream_options: StreamOptions | None = None
    tools: list[Tool] | None = None
    digest: str = ""

    @cached_property
    def _prompt_index(self) -> int:
        return max(index for index, message in enumerate(self.messages) if message.role == "user")

    @property
    def prompt(self) -> str:
        """The text of the last user message: what is being worked on."""
        return self.messages[self._prompt_index].text

    @property
    def rounds(self) -> int:
        """How many answers the conversation holds since the prompt: the index of the step that comes next."""
        return sum(message.role == "assistant" for message in self.messages[self._prompt_index :])

    @property
    def has_tools(self) -> bool:
        """Whether any tool is offered; titles and summaries come without."""
        return bool(self.tools)

    @property
    def purpose(self) -> Purpose:
        """The beginnings of OpenCode's system prompts (of versions 1.3 to 1.18)."""
        system = self._system.lower()
        if not self.has_tools and "title generator" in system:
            return Purpose.TITLE
        if not self.has_tools and ("context summarization" in system or "summarizing conversations" in system):
            return Purpose.SUMMARY
        return Purpose.WORK

    @property
    def _system(self) -> str:
        return "\n".join(message.text for message in self.messages if message.role in ("system", "developer"))

    def offered(self, tool: str) -> frozenset[str] | None:
        """Return the names of the tool's parameters, or None when it is not offered."""
        for offer in self.tools or ():
            if offer.function.name == tool:
                return frozenset(offer.function.parameters.properties if offer.function.parameters else ())
        return None

    def resolve(self, path: str) -> str:
        """Return the path made absolute with the working directory of OpenCode's system prompt, if it names one."""
        match = _WORKING_DIRECTORY.search(self._system)
        return posixpath.normpath(posixpath.join(match["path"], path)) if match else path

    @property
    def tokens(self) -> int:
        """A rough count of the request's tokens: a quarter of its characters, at least one."""
        return max(1, sum(len(message.text) for message in self.messages) // _CHARS_PER_TOKEN)


_DECODER = msgspec.json.Decoder(ChatRequest)


def read_request(body: bytes) -> ChatRequest:
    """Decode a request; raises BadRequest with a sentence for the caller."""
    try:
        request = _DECODER.decode(body)
    except msgspec.ValidationError as error:
        raise BadRequest(f"The body is not a chat-completions request: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"The body is not JSON: {error}") from None
    if not any(message.role == "user" for message in request.messages):
        raise BadRequest("`messages` holds no message of the role `user`, so there is nothing to answer")
    request.digest = hashlib.sha256(body).hexdigest()
    return request
