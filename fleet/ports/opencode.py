"""The port for one ready `opencode serve`, over HTTP."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

from fleet.ports.offers import Agent, McpServers, OfferedModel, SlashCommand
from fleet.ports.stream import OpenCodeEvent
from fleet.ports.transcript import Message, OpenCodeSession, OpenRequest, Prompt, RecordedMessage, TurnStatus


class OpenCode(Protocol):
    """One ready `opencode serve`.

    Every call raises `Unavailable` opencode_unreachable when no response arrives in time, and `Problem`
    opencode_refused when the response cannot be understood. Directories are real and absolute.
    """

    async def health(self) -> str:
        """Return the version (`GET /global/health`)."""
        ...

    async def create_session(self, session_id: str, directory: str) -> str:
        """Create the session with this id unless it exists (`POST /api/session`), and return its id.

        Versions that accept no id (before 1.17.19) return another id (`POST /session`).
        """
        ...

    async def name_session(self, session_id: str, title: str) -> OpenCodeSession:
        """Set the title and return the session (`PATCH /session/S`). OpenCode loads the session's directory for it.

        A session without a title gets one from a model at its first prompt.
        """
        ...

    async def add_messages(self, messages: tuple[RecordedMessage, ...], session: OpenCodeSession) -> bool:
        """Add the messages to a session that was only created, and return whether it has them (`POST /sync/replay`).

        It saves the process of `OpenCodeHost.restore_messages`. False: there are too many, or this version cannot;
        some may have been added.
        """
        ...

    async def create_ahead(self, session_id: str, directory: str) -> None:
        """Create the session for the `create_session` that follows. Never reports a failure.

        Versions that accept no id (before 1.17.19) load the directory instead.
        """
        ...

    async def load(self, directory: str) -> None:
        """Load what OpenCode needs for `directory`, which its first request there would do. Never reports a failure."""
        ...

    async def read_session(self, session_id: str) -> OpenCodeSession | None:
        """Return the session, None when OpenCode's store does not have it."""
        ...

    async def statuses(self, directory: str) -> Mapping[str, TurnStatus]:
        """Return the sessions of `directory` that are not idle in this process."""
        ...

    async def prompt(self, session_id: str, directory: str, prompt: Prompt) -> None:
        """Send the prompt (`POST /session/S/prompt_async`). OpenCode accepts it only in memory: read it back."""
        ...

    async def compact(self, session_id: str, directory: str, provider_id: str, model_id: str) -> None:
        """Start a turn in which this model summarizes the conversation (`POST /session/S/summarize`).

        OpenCode chooses the id of its message, which has a part of the type `compaction`.
        """
        ...

    async def read_message(self, session_id: str, message_id: str) -> Message | None:
        """Return one message, None when the store does not have it."""
        ...

    async def read_messages(self, session_id: str, newest: int | None = None) -> tuple[Message, ...]:
        """Return the `newest` messages, or all, oldest first."""
        ...

    async def abort(self, session_id: str, directory: str) -> None:
        """Stop the running turn and the processes of its tools. Does nothing when no turn runs."""
        ...

    async def delete_session(self, session_id: str) -> None:
        """Delete the session and those of its sub-agents from OpenCode's store. Does nothing if it has none."""
        ...

    async def replace_part(self, session_id: str, message_id: str, part_id: str, body: bytes) -> None:
        """Replace a part by this JSON (`PATCH /session/S/message/M/part/P`). Does nothing if the store has none."""
        ...

    async def open_requests(self, directory: str) -> tuple[OpenRequest, ...]:
        """Return the waiting permissions and questions of `directory`, including stale ones after an abort."""
        ...

    async def reply_permission(
        self, request_id: str, directory: str, reply: Literal["once", "always", "reject"], message: str | None
    ) -> None:
        """Answer a permission request. Raises `Problem` request_not_found if it is no longer open."""
        ...

    async def reply_question(
        self, request_id: str, directory: str, answers: tuple[tuple[str, ...], ...] | None
    ) -> None:
        """Answer a question, or dismiss it with None. Raises `Problem` request_not_found if it is not open."""
        ...

    async def children(self, session_id: str) -> tuple[OpenCodeSession, ...]:
        """Return the sessions of the sub-agents that a session has started directly."""
        ...

    async def agents(self, directory: str) -> tuple[Agent, ...]:
        """Return the agents that can be used in `directory`, including its own (`GET /agent`)."""
        ...

    async def commands(self, directory: str) -> tuple[SlashCommand, ...]:
        """Return the commands that can be run in `directory`, including its own (`GET /command`)."""
        ...

    async def models(self, directory: str) -> tuple[OfferedModel, ...]:
        """Return the models that can be used in `directory` (`GET /config/providers`)."""
        ...

    async def mcp_servers(self, directory: str) -> McpServers:
        """Return the MCP servers that are configured and enabled for `directory`."""
        ...

    async def find_files(self, directory: str, query: str, limit: int) -> tuple[str, ...]:
        """Return paths in `directory` that resemble `query`, the best first; those of directories end with `/`."""
        ...

    async def dispose(self, directory: str) -> None:
        """Stop everything that runs for `directory` and free its memory (`POST /instance/dispose`)."""
        ...

    def events(self) -> AbstractAsyncContextManager[AsyncIterator[OpenCodeEvent]]:
        """Follow `/global/event` for all directories, without the duplicate `sync` events; reconnect after failures.

        Yields `StreamOpened` after each (re)connect and `StreamLost` when the stream breaks or is silent for longer
        than `EVENT_SILENCE_S`. Events of unknown types are counted, not yielded.
        """
        ...
