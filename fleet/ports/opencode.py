"""The port for one ready `opencode serve`, over HTTP."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

from fleet.ports.offers import Agent, McpServers, OfferedModel, SlashCommand
from fleet.ports.stream import OpenCodeEvent
from fleet.ports.transcript import Message, OpenCodeSession, OpenRequest, Prompt, TurnStatus


class OpenCode(Protocol):
    """One ready `opencode serve`.

    Every call raises `Unavailable` opencode_unreachable when there is no answer in time, and `Problem`
    opencode_refused when the response cannot be understood. Directories are real and absolute.
    """

    async def health(self) -> str:
        """Return the version (`GET /global/health`)."""
        ...

    async def create_session(self, session_id: str, directory: str, title: str) -> OpenCodeSession:
        """Create the session with this id, or return the one that has it (`POST /api/session`, then PATCH the title).

        Versions that can't take an id (before 1.17.19) give another id back (`POST /session`).
        """
        ...

    async def read_session(self, session_id: str) -> OpenCodeSession | None:
        """Return the session, None when OpenCode's store does not have it."""
        ...

    async def statuses(self, directory: str) -> Mapping[str, TurnStatus]:
        """Return the sessions of `directory` that are not idle in this process."""
        ...

    async def prompt(self, session_id: str, directory: str, prompt: Prompt) -> None:
        """Hand the prompt over (`POST /session/S/prompt_async`). Accepted in memory only: read it back."""
        ...

    async def compact(self, session_id: str, directory: str, provider_id: str, model_id: str) -> None:
        """Begin to have the conversation summed up by this model (`POST /session/S/summarize`): a turn of its own.

        OpenCode chooses the message's id; a part of its, of the type `compaction`, tells it.
        """
        ...

    async def read_message(self, session_id: str, message_id: str) -> Message | None:
        """Return one message, None when the store does not have it."""
        ...

    async def read_messages(self, session_id: str, newest: int | None = None) -> tuple[Message, ...]:
        """Return the `newest` messages, or all, oldest first."""
        ...

    async def abort(self, session_id: str, directory: str) -> None:
        """Stop the running turn and what its tools started. Nothing happens where none runs."""
        ...

    async def open_requests(self, directory: str) -> tuple[OpenRequest, ...]:
        """Return the permissions and questions that wait in `directory`; after an abort stale ones are among them."""
        ...

    async def reply_permission(
        self, request_id: str, directory: str, reply: Literal["once", "always", "reject"], message: str | None
    ) -> None:
        """Answer a permission request. Raises `Problem` request_not_found where it is not open any more."""
        ...

    async def reply_question(
        self, request_id: str, directory: str, answers: tuple[tuple[str, ...], ...] | None
    ) -> None:
        """Answer a question, or dismiss it with None. Raises `Problem` request_not_found where it is not open."""
        ...

    async def children(self, session_id: str) -> tuple[OpenCodeSession, ...]:
        """Return the sessions of the sub-agents that a session has started itself."""
        ...

    async def agents(self, directory: str) -> tuple[Agent, ...]:
        """Return the agents that can be named in `directory`, those of its own included (`GET /agent`)."""
        ...

    async def commands(self, directory: str) -> tuple[SlashCommand, ...]:
        """Return the commands that can be run in `directory`, those of its own included (`GET /command`)."""
        ...

    async def models(self, directory: str) -> tuple[OfferedModel, ...]:
        """Return the models that can be used in `directory` (`GET /config/providers`)."""
        ...

    async def mcp_servers(self, directory: str) -> McpServers:
        """Return the MCP servers that the configuration of `directory` names and does not switch off."""
        ...

    async def find_files(self, directory: str, query: str, limit: int) -> tuple[str, ...]:
        """Return paths in `directory` that resemble `query`, the best first; those of directories end with `/`."""
        ...

    async def dispose(self, directory: str) -> None:
        """Stop everything that runs for `directory` and give its memory back (`POST /instance/dispose`)."""
        ...

    def events(self) -> AbstractAsyncContextManager[AsyncIterator[OpenCodeEvent]]:
        """Follow `/global/event`: all directories, without the `sync` doubles, reconnecting by itself.

        Yields `StreamOpened` after each (re)connect and `StreamLost` when the stream breaks or is silent for longer
        than `EVENT_SILENCE_S`. Events of unknown types are counted, not yielded.
        """
        ...
