"""The ports: what Fleet asks of the outside world, as types.

Adapters implement them (fleet/adapters), fakes stand in for them in the simulation (tests/fakes), and one contract suite
per port runs against both. A port raises `Problem` for what a caller can act on; every wait in it is a trio checkpoint,
so that the caller sets the deadline.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

import msgspec

from fleet.ids import OpenCodePrefix

Strategy = Literal["existing", "worktree", "clone"]

# --------------------------------------------------------------------------------------------------- clock and ids


class Clock(Protocol):
    """Wall time. Durations and deadlines are trio's."""

    def now_ms(self) -> int:
        """Return the Unix time in milliseconds."""
        ...


class Ids(Protocol):
    """Fresh identifiers."""

    def uuid7(self) -> str:
        """Return a UUID version 7 of now."""
        ...

    def opencode(self, prefix: OpenCodePrefix) -> str:
        """Return an id in OpenCode's format; ids of one process are strictly ascending and never ahead of the clock."""
        ...


# ------------------------------------------------------------------------------------------------------- workspaces


class WorkspaceOrder(msgspec.Struct, frozen=True):
    """What is asked of a workspace. The order is logged before it is carried out, and carried out idempotently.

    `source_directory` is real and absolute. `directory` is where the checkout goes (for `existing` the source itself).
    `branch` is the branch to create or check out, `base_ref` what a new branch starts from.
    """

    workspace_id: str
    strategy: Strategy
    source_directory: str
    directory: str
    branch: str | None = None
    base_ref: str | None = None


class Source(msgspec.Struct, frozen=True):
    """A directory that somebody named, looked at.

    `repository` is the real path of the common git directory (shared by all worktrees), None outside of git. `top` is
    the work tree's root, None for a bare repository and outside of git. `head` is the commit, None where there is none.
    """

    directory: str
    repository: str | None
    top: str | None
    branch: str | None
    head: str | None


class PreparedWorkspace(msgspec.Struct, frozen=True):
    """A workspace that is ready: its real directory and, in git, branch (None when detached) and commit."""

    directory: str
    repository: str | None
    branch: str | None
    head: str | None


class Workspaces(Protocol):
    """Directories, git worktrees and clones."""

    async def inspect(self, directory: str) -> Source:
        """Resolve symlinks, check the allowed roots and say what is there.

        Raises `Rejected`: directory_missing, not_a_directory, directory_outside_roots, directory_unreadable.
        """
        ...

    def plan(
        self, workspace_id: str, strategy: Strategy, source: Source, branch: str | None, title: str
    ) -> tuple[str, str | None]:
        """Return (directory, branch) for a new workspace: names that collide with nothing, chosen before the intent is logged."""
        ...

    async def check(self, order: WorkspaceOrder) -> None:
        """Refuse, before anything is logged, what `prepare` would refuse.

        Raises `Rejected`: not_a_repository, repository_empty, branch_invalid, branch_exists, branch_checked_out,
        base_ref_unknown.
        """
        ...

    async def prepare(self, order: WorkspaceOrder) -> PreparedWorkspace:
        """Make the workspace, or finish one that a crash left half-made. Raises `Problem`."""
        ...

    async def discard(self, order: WorkspaceOrder) -> None:
        """Remove what `prepare` left behind when it failed, or a crash did. Only what nobody has worked in yet."""
        ...

    async def strays(self, known: frozenset[str]) -> tuple[str, ...]:
        """Return the directories below Fleet's workspace directory that belong to no id in `known`."""
        ...


# ------------------------------------------------------------------------------------------- OpenCode, the processes


class ProcessIdentity(msgspec.Struct, frozen=True):
    """Proof of which process is meant: a pid is reused, a pid with its start time and boot is not.

    `started_at` is in clock ticks or seconds since boot, whatever the platform gives: compared for equality only.
    """

    pid: int
    started_at: float
    boot_id: str


class Endpoint(msgspec.Struct, frozen=True):
    """Where a ready OpenCode listens."""

    port: int
    version: str


class Exit(msgspec.Struct, frozen=True):
    """How a process ended: exit code or signal number; both None when it was not our child."""

    code: int | None = None
    signal: int | None = None


class FoundProcess(msgspec.Struct, frozen=True):
    """A live process that carries the marker of one of our instances. `server` is False for what its tools started."""

    instance_id: str
    identity: ProcessIdentity
    server: bool


class StopStep(msgspec.Struct, frozen=True):
    """One step of a stop, for the log: `term`, `term_again`, `kill`, `sweep`; and what it reached."""

    step: str
    pids: tuple[int, ...] = ()


class OpenCodeHost(Protocol):
    """Starts, finds and stops `opencode serve` processes on this machine."""

    async def spawn(self, instance_id: str, directory: str) -> ProcessIdentity:
        """Start a process with `directory` as its working directory.

        Own session and process group, output to a log file, a fresh password in a file of mode 0600, the marker
        `FLEET_INSTANCE_ID` in its environment. Raises `Unavailable`: opencode_missing, opencode_not_executable.
        """
        ...

    async def wait_ready(self, instance_id: str, identity: ProcessIdentity) -> Endpoint:
        """Wait until it listens and is healthy. Raises `Unavailable` opencode_exited (with the log's tail)."""
        ...

    async def wait_exit(self, instance_id: str, identity: ProcessIdentity) -> Exit:
        """Wait until the process is gone; at once where it is gone already."""
        ...

    async def stop(self, instance_id: str, identity: ProcessIdentity | None) -> tuple[StopStep, ...]:
        """TERM, TERM again, KILL, then sweep by marker until no process of the instance is left. Idempotent."""
        ...

    async def find(self) -> tuple[FoundProcess, ...]:
        """Return every live process that carries a marker of this data directory."""
        ...

    def memory_bytes(self, identity: ProcessIdentity) -> int | None:
        """Return the resident memory, None when the process is gone."""
        ...

    def connect(self, instance_id: str, endpoint: Endpoint) -> "AbstractAsyncContextManager[OpenCode]":
        """Open a client for a ready process, with its password."""
        ...


# --------------------------------------------------------------------------------------------- OpenCode, the protocol


class Tokens(msgspec.Struct, frozen=True):
    """Token counts of one message, as OpenCode gives them: `input` without cached, `output` without reasoning."""

    input: int = 0
    output: int = 0
    reasoning: int = 0
    cache_read: int = 0
    cache_write: int = 0


class MessageInfo(msgspec.Struct, frozen=True):
    """What Fleet reads of a message's `info`; `raw` is OpenCode's JSON, kept as it came."""

    id: str
    session_id: str
    role: Literal["user", "assistant"]
    created_ms: int
    raw: bytes
    parent_id: str | None = None
    completed_ms: int | None = None
    finish: str | None = None
    error_name: str | None = None
    error_message: str | None = None
    cost_usd: float = 0.0
    tokens: Tokens = Tokens()


class Part(msgspec.Struct, frozen=True):
    """What Fleet reads of a message part; `raw` is OpenCode's JSON, kept as it came.

    `finished`: no further change is expected (a text with its end time, a tool completed or failed, a step marker).
    `text` is set for text and reasoning parts.
    """

    id: str
    session_id: str
    message_id: str
    type: str
    finished: bool
    raw: bytes
    text: str | None = None


class Message(msgspec.Struct, frozen=True):
    """A message with its parts, read back from OpenCode's store."""

    info: MessageInfo
    parts: tuple[Part, ...]


class OpenCodeSession(msgspec.Struct, frozen=True):
    """A session in OpenCode's store."""

    id: str
    directory: str
    title: str
    parent_id: str | None = None


class TurnStatus(msgspec.Struct, frozen=True):
    """What `/session/status` says of a session that is not idle."""

    type: Literal["busy", "retry"]
    attempt: int = 0
    message: str = ""


class OpenRequest(msgspec.Struct, frozen=True):
    """A permission or question that waits for an answer; `raw` is OpenCode's JSON."""

    id: str
    session_id: str
    kind: Literal["permission", "question"]
    raw: bytes


class Attachment(msgspec.Struct, frozen=True):
    """A file that goes with a prompt; `url` is a `data:` URL."""

    mime: str
    filename: str
    url: str


class Prompt(msgspec.Struct, frozen=True):
    """A prompt as it is sent: with a message id and one part id for each part, so that sending again is harmless."""

    message_id: str
    part_ids: tuple[str, ...]
    text: str
    attachments: tuple[Attachment, ...] = ()
    agent: str | None = None
    provider_id: str | None = None
    model_id: str | None = None


class StreamOpened(msgspec.Struct, frozen=True):
    """The event stream is (again) connected: whatever happened before may have been missed."""


class StreamLost(msgspec.Struct, frozen=True):
    """The event stream broke or fell silent; the reason is evidence, not proof of death."""

    reason: str


class MessageChanged(msgspec.Struct, frozen=True):
    """`message.updated`."""

    session_id: str
    info: MessageInfo


class PartChanged(msgspec.Struct, frozen=True):
    """`message.part.updated`."""

    session_id: str
    part: Part


class PartDelta(msgspec.Struct, frozen=True):
    """`message.part.delta`: text to be appended to the part's `field`."""

    session_id: str
    message_id: str
    part_id: str
    field: str
    delta: str


class StatusChanged(msgspec.Struct, frozen=True):
    """`session.status`; None is idle."""

    session_id: str
    status: TurnStatus | None


class TurnErrored(msgspec.Struct, frozen=True):
    """`session.error`. Not always final, not always about a session."""

    session_id: str | None
    name: str
    message: str


class RequestOpened(msgspec.Struct, frozen=True):
    """`permission.asked` or `question.asked`."""

    session_id: str
    request: OpenRequest


class RequestClosed(msgspec.Struct, frozen=True):
    """`permission.replied`, `question.replied` or `question.rejected`."""

    session_id: str
    request_id: str


class SessionChanged(msgspec.Struct, frozen=True):
    """`session.created`, `session.updated` or `session.deleted`."""

    session_id: str
    parent_id: str | None
    deleted: bool


OpenCodeEvent = (
    StreamOpened
    | StreamLost
    | MessageChanged
    | PartChanged
    | PartDelta
    | StatusChanged
    | TurnErrored
    | RequestOpened
    | RequestClosed
    | SessionChanged
)


class OpenCode(Protocol):
    """One ready `opencode serve`.

    Every call raises `Unavailable` opencode_unreachable when there is no answer in time, and `Problem`
    opencode_refused when the answer makes no sense. Directories are real and absolute.
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

    async def dispose(self, directory: str) -> None:
        """Stop everything that runs for `directory` and give its memory back (`POST /instance/dispose`)."""
        ...

    def events(self) -> AbstractAsyncContextManager[AsyncIterator[OpenCodeEvent]]:
        """Follow `/global/event`: all directories, without the `sync` doubles, reconnecting by itself.

        Yields `StreamOpened` after each (re)connect and `StreamLost` when the stream breaks or is silent for longer than
        `EVENT_SILENCE_S`. Events of unknown types are counted, not yielded.
        """
        ...
