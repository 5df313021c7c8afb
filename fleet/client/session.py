"""One session in the client: everything that a caller can ask of it and do with it."""

from collections.abc import Sequence
from typing import Any, BinaryIO, Final, Literal
from urllib.parse import quote

from fleet.client.connection import Connection, Page
from fleet.client.sse import SseStream
from fleet.client.stream import Stream, frame_of
from fleet.limits import PAGE_MAX, SESSION_LIST_MAX
from fleet.wire.bodies import (
    AnswerBody,
    At,
    AtQuery,
    AttachmentBody,
    BudgetBody,
    CommandBody,
    DiffQuery,
    EditBody,
    EndQuery,
    ForkBody,
    ModelBody,
    PastPageQuery,
    PromptBody,
    PromptTextBody,
    ResumeBody,
    TodosQuery,
)
from fleet.wire.files import FileItem
from fleet.wire.frames import Event, Frame
from fleet.wire.items import (
    Aborted,
    Created,
    DiffItem,
    Ended,
    EndPreview,
    QueuedItem,
    RequestItem,
    Resumed,
    SessionDetail,
    SessionItem,
    TodoItem,
)
from fleet.wire.setups import SetupBody, SetupDetail
from fleet.wire.transcripts import ConversationItem, Messages, MessagesQuery, TurnItem, TurnsQuery, WholeQuery

_AT_WORK: Final = frozenset(("created", "active"))
_PASSING: Final = frozenset(("session.message-recorded", "session.part-recorded", "session.turn-snapshot-taken"))
"""Events of a running turn, after which it is still running."""


def is_settled(item: SessionDetail) -> bool:
    """Return whether the session has no work of its own left: it is idle, has ended, or waits for a person."""
    if item.status == "waiting_input":
        return _is_held(item) or not all(request.answered for request in item.requests)
    return item.status not in _AT_WORK


def _is_held(item: SessionDetail) -> bool:
    return item.status == "waiting_input" and item.setup is not None and item.setup.status == "held"


def needs_person(item: SessionDetail) -> str | None:
    """Return what a person has to do before the session continues, None for nothing."""
    if _is_held(item):
        return "its set-up needs a person who allows its commands: see the inbox"
    asked = [request.kind for request in item.requests if not request.answered]
    if item.status == "waiting_input" and asked:
        return f"the session asks for an answer ({asked[0]}): see the inbox"
    return item.queue_paused if item.queued else None


def waits_behind(item: SessionDetail) -> str | None:
    """Return what the last prompt of the queue waits for, None for an empty queue."""
    if not item.queued:
        return None
    before = f", and {item.queued - 1} before it" if item.queued > 1 else ""
    return f"{needs_person(item) or 'a turn runs'}{before}"


class Session:
    """A session of a Fleet. It is a name, not a copy: every call asks the server.

    `id` is its Fleet id or its OpenCode id, as the caller named it. `created` is what it was when this client made it,
    None otherwise. `files_as_of` is set for a fork that this client made and whose files are of an earlier moment than
    its conversation: the log position of their snapshot. Every method raises `FleetError`: `NotFound` where there is
    no such session.

    >>> session = await fleet.create("/home/user/plain", title="Try it")
    >>> await session.prompt("Say something")
    >>> item = await session.wait()
    >>> item.title, item.status, item.outcome
    ('Try it', 'idle', 'finished')
    """

    def __init__(self, connection: Connection, session_id: str, created: SessionItem | None = None) -> None:
        self.id = session_id
        self.created = created
        self.files_as_of: int | None = None
        self._connection = connection
        self._path = f"/sessions/{quote(session_id, safe='')}"

    def __repr__(self) -> str:
        return f"Session({self.id!r})"

    # -------------------------------------------------------------------------------------------------------- reading

    async def read(self, *, at: At = None) -> SessionDetail:
        """Return it as it is, or as it was: `at` is a position of the log, or an RFC 3339 time, here and below."""
        return await self._connection.read(SessionDetail, self._path, AtQuery(at))

    async def messages(
        self,
        *,
        limit: int = 50,
        before: str | None = None,
        after: str | None = None,
        at: At = None,
        around: str | None = None,
        conversation: str | None = None,
        cut: bool = False,
    ) -> Messages:
        """Return a page of the transcript, the newest by default; `pagination` has what to continue with.

        `conversation` is a sub-agent's, by its OpenCode id. With `cut` long strings inside parts are cut.
        """
        query = MessagesQuery(limit, before, after, at, None, around, conversation, cut)
        return await self._connection.read(Messages, f"{self._path}/messages", query)

    async def turns(self, *, at: At = None, limit: int = SESSION_LIST_MAX, offset: int = 0) -> Page[TurnItem]:
        """Return its turns, oldest first, as they are or as they were at a position of the log."""
        return await self._connection.page(TurnItem, f"{self._path}/turns", TurnsQuery(limit, offset, at=at))

    async def conversations(self) -> Page[ConversationItem]:
        """Return its own conversation, and those of its sub-agents."""
        return await self._connection.page(ConversationItem, f"{self._path}/conversations", WholeQuery())

    async def part(self, part_id: str) -> dict[str, Any]:
        """Return a whole part of a message, in OpenCode's own shape."""
        return await self._connection.read(dict[str, Any], f"{self._path}/parts/{quote(part_id, safe='')}")

    async def part_content(self, part_id: str) -> bytes:
        """Return the file that a part is, or an attachment of a tool's result."""
        return await self._connection.content(f"{self._path}/parts/{quote(part_id, safe='')}/content")

    async def diffs(self, *, turn: int | str | None = None, at: At = None, contents: bool = True) -> list[DiffItem]:
        """Return its changes: all, of one turn (its number or a message id), or as of a log position.

        Without `contents` the files alone are listed, and `content` reads a side of one by its digest.
        """
        query = DiffQuery(turn=None if turn is None else str(turn), at=at, contents=contents)
        return await self._connection.page(DiffItem, f"{self._path}/diffs", query)

    async def pack(self, file: BinaryIO) -> None:
        """Write its evidence pack into a file as it arrives: a zip with a page, its events, and what proves them.

        >>> from io import BytesIO
        >>> session, file = await fleet.create("/home/user/plain"), BytesIO()
        >>> await session.pack(file)
        >>> file.getvalue()[:2]
        b'PK'
        """
        await self._connection.save(f"{self._path}/pack", file)

    async def content(self, digest: str) -> bytes:
        """Return a content that one of its diffs names: `before_digest` or `after_digest` of a `DiffItem`."""
        return await self._connection.content(f"{self._path}/blobs/{quote(digest, safe='')}")

    async def queue(self, *, at: At = None) -> Page[QueuedItem]:
        """Return the prompts that wait, or waited at a position of the log, the next one first."""
        return await self._connection.page(QueuedItem, f"{self._path}/queue", PastPageQuery(PAGE_MAX, at=at))

    async def requests(self, *, at: At = None) -> Page[RequestItem]:
        """Return the permission requests and questions that are open, or were open at an earlier moment."""
        return await self._connection.page(RequestItem, f"{self._path}/requests", PastPageQuery(PAGE_MAX, at=at))

    async def todos(self, *, at: At = None) -> list[TodoItem]:
        """Return the agent's todo list, now or at a position of the log."""
        return await self._connection.page(TodoItem, f"{self._path}/todos", TodosQuery(at=at))

    async def children(self, *, at: At = None, limit: int = 50, offset: int = 0) -> Page[SessionItem]:
        """Return the children of this session, as they are or as they were at an earlier moment."""
        query = PastPageQuery(limit, offset, at=at)
        return await self._connection.page(SessionItem, f"{self._path}/children", query)

    async def files(self, path: str = "", *, at: At = None) -> FileItem:
        """Return a file of its workspace, or the listing of a directory, as it is or as it was after a turn."""
        return await self._connection.read(FileItem, f"{self._path}/files/{quote(path)}".rstrip("/"), AtQuery(at))

    def events(self, *, after: int | None = None) -> Stream[Frame]:
        """Follow it: `Event`s of the log from behind `after` on (from now on without it), and signals between them.

        >>> session = await fleet.create("/home/user/plain")
        >>> async with session.events() as events:
        ...     await session.prompt("Say something")
        ...     async for event in events:
        ...         if event.type == "session.turn-ended":
        ...             print(event.data["outcome"])
        ...             break
        finished
        """
        return SseStream(self._connection, f"{self._path}/events", after, frame_of)

    async def wait(self) -> SessionDetail:
        """Wait until it has no work of its own left, and return it: `outcome` says how its last turn ended.

        It also returns when the session needs a person: `status` is `waiting_input` then, and `requests` says why.
        A deadline is the caller's: `with trio.fail_after(60): await session.wait()`.
        """
        async with self.events() as events:
            while True:
                item = await self.read()
                if is_settled(item):
                    return item
                async for event in events:
                    if isinstance(event, Event) and event.type not in _PASSING:
                        break

    # ---------------------------------------------------------------------------------------------------------- doing

    async def prompt(
        self,
        text: str,
        *,
        attachments: Sequence[AttachmentBody] = (),
        agent: str | None = None,
        model: ModelBody | None = None,
        delivery: Literal["queue", "steer"] = "queue",
        resume: bool = False,
        key: str | None = None,
    ) -> None:
        """Send a prompt; while a turn runs it waits in the queue, or goes into that turn with `delivery="steer"`.

        With `resume` a session that has ended is brought back first.
        """
        body = PromptBody(text, None, list(attachments), agent, model, delivery, resume)
        await self._connection.command("POST", f"{self._path}/prompt", body=body, key=key)

    async def command(
        self,
        command: str,
        arguments: str = "",
        *,
        agent: str | None = None,
        model: ModelBody | None = None,
        key: str | None = None,
    ) -> None:
        """Run one of OpenCode's commands, as a turn of its own."""
        body = CommandBody(command, arguments, None, agent, model)
        await self._connection.command("POST", f"{self._path}/command", body=body, key=key)

    async def compact(self, *, key: str | None = None) -> None:
        """Compact the conversation, as a turn of its own."""
        await self._connection.command("POST", f"{self._path}/compact", key=key)

    async def withdraw(self, prompt_id: str) -> None:
        """Withdraw a waiting prompt."""
        await self._connection.command("DELETE", f"{self._path}/queue/{quote(prompt_id, safe='')}")

    async def edit_prompt(self, prompt_id: str, text: str) -> None:
        """Change the text of a waiting prompt."""
        path = f"{self._path}/queue/{quote(prompt_id, safe='')}"
        await self._connection.command("PATCH", path, body=PromptTextBody(text))

    async def steer_prompt(self, prompt_id: str) -> None:
        """Send a waiting prompt into the running turn."""
        await self._connection.command("POST", f"{self._path}/queue/{quote(prompt_id, safe='')}/steer")

    async def answer(
        self,
        request_id: str,
        reply: Literal["once", "always", "reject"] | None = None,
        *,
        answers: Sequence[Sequence[str]] | None = None,
        message: str | None = None,
    ) -> None:
        """Answer a permission request by `reply`, a question by `answers`: labels or free text for each question."""
        given = None if answers is None else [list(labels) for labels in answers]
        body = AnswerBody(reply, message, given)
        await self._connection.command("POST", f"{self._path}/requests/{quote(request_id, safe='')}", body=body)

    async def edit(
        self, *, title: str | None = None, tags: Sequence[str] | None = None, budget: BudgetBody | None = None
    ) -> SessionItem:
        """Change its title, tags or budget: `BudgetBody()` for no budget."""
        body = EditBody(title, None if tags is None else list(tags))
        if budget is not None:
            body.budget = budget
        return await self._connection.write(SessionItem, "PATCH", self._path, body=body)

    async def abort(self) -> Aborted:
        """Abort the running turn, and wait for its end."""
        return await self._connection.write(Aborted, "POST", f"{self._path}/abort")

    async def setup(self) -> SetupDetail:
        """Return the set-up of its workspace, with its output. Raises `NotFound` where its repository asks for none."""
        return await self._connection.read(SetupDetail, f"{self._path}/setup")

    async def allow_setup(self, digest: str) -> SetupDetail:
        """Allow the commands of its waiting set-up, by the digest of the content that was read."""
        return await self._connection.write(SetupDetail, "POST", f"{self._path}/setup", body=SetupBody("allow", digest))

    async def skip_setup(self) -> SetupDetail:
        """Continue without a set-up that waits for a person or has failed."""
        return await self._connection.write(SetupDetail, "POST", f"{self._path}/setup", body=SetupBody("skip"))

    async def resume(self, *, fresh: bool = False) -> Resumed:
        """Resume it after its end, and return when it accepts prompts.

        With `fresh` it begins a new conversation in its workspace.
        """
        body = ResumeBody(fresh) if fresh else None
        return await self._connection.write(Resumed, "POST", f"{self._path}/resume", body=body)

    async def fork(
        self,
        *,
        title: str | None = None,
        message_id: str | None = None,
        isolation_strategy: Literal["existing", "worktree", "clone"] | None = None,
        key: str | None = None,
    ) -> "Session":
        """Create a session with the conversation and files of this one, before the message or now."""
        body = ForkBody(title, message_id, isolation_strategy)
        made = await self._connection.write(Created, "POST", f"{self._path}/fork", body=body, key=key)
        forked = Session(self._connection, made.session.id, made.session)
        forked.files_as_of = made.files_as_of
        return forked

    async def end(self, *, cleanup_workspace: bool = False, permanent: bool = False, force: bool = False) -> Ended:
        """Stop it; also remove its worktree or clone, or erase everything that Fleet has of it.

        Work that exists nowhere else is preserved under `refs/fleet/` first, and the response says where.
        """
        query = EndQuery(None, permanent, cleanup_workspace, force)
        return await self._connection.write(Ended, "DELETE", self._path, query=query)

    async def preview_end(
        self, *, cleanup_workspace: bool = False, permanent: bool = False, force: bool = False
    ) -> EndPreview:
        """Return what `end` would remove and keep, where, and why a workspace would stay. Nothing is done."""
        query = EndQuery(None, permanent, cleanup_workspace, force, dry_run=True)
        return await self._connection.read(EndPreview, self._path, query, method="DELETE")
