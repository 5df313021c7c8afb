"""`fleet mcp` gives agents tools to drive sessions, over the Model Context Protocol.

The session of an agent that creates a session is its maker: the log names it as the cause, and it gets a message about
the outcome. OpenCode does not tell an MCP server which session calls (measured on 1.18.33: neither `_meta` nor
environment), but the server inherits the marker of its instance. So the maker is the session of that instance that is
working; if there are several, the one with this call open; if that is not clear either, the agent has to name itself.
"""

import os
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import typer

from fleet.cli.commands.new import host_of
from fleet.cli.connect import ExitCode, TokenFile, Url, find_server, named
from fleet.config import INSTANCE_VARIABLE
from fleet.errors import StartupError

if TYPE_CHECKING:
    from mcp.server import MCPServer

    from fleet.client import FleetClient, Session
    from fleet.wire.frames import Frame
    from fleet.wire.items import SessionItem

Result = TypeVar("Result")

_INSTRUCTIONS = """Fleet runs coding sessions side by side. Create a session for work that can continue without you; \
you get a message when it is done. wait_for_session, read_session and diff_session return its results."""


def mcp(url: Url = None, token_file: TokenFile = None) -> None:
    """Give agents tools to create, prompt, wait for, read and diff sessions: an MCP server on stdin and stdout.

    Add this to the configuration of OpenCode: {"mcp": {"fleet": {"type": "local", "command": ["fleet", "mcp"]}}}
    """
    import trio

    is_interrupted = False
    try:
        trio.run(_serve, *find_server(url, token_file))
    except* (KeyboardInterrupt, BrokenPipeError):
        is_interrupted = True
    if is_interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)


async def _serve(url: str, token: str | None) -> None:
    """Serve even if Fleet does not run: if this process ended, the agent would not learn why."""
    from fleet.client import FleetClient
    from fleet.limits import MCP_RETRY_S

    async with FleetClient(url, token=token, retry_for_s=MCP_RETRY_S) as fleet:
        await tools(fleet, os.environ.get(INSTANCE_VARIABLE)).run_stdio_async()


def tools(fleet: "FleetClient", instance_id: str | None) -> "MCPServer":
    """Return the server; `instance_id` is the OpenCode process that has started it, None where none has."""
    from mcp.server import MCPServer

    from fleet import __version__
    from fleet.cli.strict_tool import StrictTool

    errors, own = _ErrorTexts(fleet), _Tools(fleet, instance_id)
    functions = (
        *(own.create_session, own.prompt_session, own.wait_for_session),
        *(own.read_session, own.diff_session, own.list_sessions),
    )
    return MCPServer(
        "fleet",
        instructions=_INSTRUCTIONS,
        version=__version__,
        log_level="ERROR",
        tools=[StrictTool.of(errors.around(each)) for each in functions],
    )


class _Tools:
    """The tools: their names, arguments and docstrings are what the agent reads of them."""

    def __init__(self, fleet: "FleetClient", instance_id: str | None) -> None:
        self._fleet = fleet
        self._instance_id = instance_id
        self._here = str(Path.cwd())

    async def create_session(  # noqa: PLR0917 - a tool's arguments have names
        self,
        prompt: str,
        directory: str = "",
        title: str = "",
        isolation: Literal["existing", "worktree", "clone"] = "worktree",
        notify: bool = True,
        maker: str = "",
        host: str = "",
    ) -> dict[str, Any]:
        """Create a session that works on `prompt` by itself, by default in a git worktree of `directory` (yours).

        You get a message when it is done, unless `notify` is false. `maker` is your own session's id; give it if an
        error asks for it. `host` is the machine that it works on: a name, or a label such as `gpu=true`.
        """
        own = await _maker(self._fleet, self._instance_id, maker, prompt)
        acting = self._fleet if own is None else self._fleet.acting_for(own)
        session = await acting.create(
            os.path.join(self._here, directory),  # noqa: PTH118 - a path of the server's machine, not looked at here
            title=title or None,
            isolation_strategy=isolation,
            prompt=prompt,
            on_complete=own if notify else None,
            host=host_of([host] if host else []),
        )
        note = "you will get a message when it is done" if own and notify else "wait_for_session waits until it is done"
        return {**_brief(await session.read()), "note": note}

    async def prompt_session(self, session: str, text: str, maker: str = "") -> dict[str, Any]:
        """Send a session a prompt. While it works, prompts wait in its queue: `promptWaitsFor` says for what."""
        from fleet.client.session import waits_behind

        own = await _maker(self._fleet, self._instance_id, maker, text, required=False)
        found = await _named(self._fleet if own is None else self._fleet.acting_for(own), session)
        await found.prompt(text)
        item = await found.read()
        return {**_brief(item), "promptWaitsFor": waits_behind(item)}

    async def wait_for_session(self, session: str, seconds: float = 20) -> dict[str, Any]:
        """Wait until a session has nothing more to do or needs a person; then `answer` is its last message.

        `needsPerson` says what a person has to do before it continues its work.

        After `seconds` you get its current state, without an answer while it works: call again.
        """
        import msgspec
        import trio

        from fleet.client.session import needs_person
        from fleet.limits import MCP_WAIT_S_MAX

        found = await _named(self._fleet, session)
        with trio.move_on_after(min(max(seconds, 0), MCP_WAIT_S_MAX)):
            await found.wait()
        item = await found.read()
        requests = [{"kind": each.kind, "request": msgspec.json.decode(each.request)} for each in item.requests]
        works = item.status == "active" or item.queued > 0
        answer = None if works else await _last_answer(found)
        return {**_brief(item), "requests": requests, "needsPerson": needs_person(item), "answer": answer}

    async def read_session(self, session: str, messages: int = 10) -> str:
        """Read the last messages of a session."""
        page = await (await _named(self._fleet, session)).messages(limit=min(max(messages, 1), 200))
        return _cut("\n\n".join(filter(None, (_text_of(each.info, each.parts) for each in page.messages))))

    async def diff_session(self, session: str, turn: int = 0) -> str:
        """Read what a session has changed, in total or in one turn, as a patch."""
        import trio

        from fleet.cli.commands.diff import patch

        items = await (await _named(self._fleet, session)).diffs(turn=turn or None)
        patches = [await trio.to_thread.run_sync(patch, item) for item in items]
        return _cut(b"".join(patches).decode("utf-8", "replace")) or "nothing has changed"

    async def list_sessions(self, search: str = "", status: str = "", limit: int = 20) -> list[dict[str, Any]]:
        """List sessions, the newest first; `status` may be active, idle, waiting_input, error, completed, stopped."""
        chosen = [status] if status else []
        return [_brief(each) for each in await self._fleet.sessions(search=search or None, status=chosen, limit=limit)]


class _ErrorTexts:
    """Shows errors to the agent: the SDK hides those that it does not know."""

    def __init__(self, fleet: "FleetClient") -> None:
        self._fleet = fleet
        self._reached = False

    def around(self, tool: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """Return the tool with readable errors."""

        @wraps(tool)
        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._reach()
            return await self._run(tool(*args, **kwargs))

        return call

    async def _reach(self) -> None:
        """Fail at once if Fleet does not run at the first call; later, the client waits for a restart."""
        if not self._reached:
            await self._run(self._fleet.health(retry=False))
            self._reached = True

    @staticmethod
    async def _run(doing: Awaitable[Result]) -> Result:
        from mcp.server.mcpserver.exceptions import ToolError

        from fleet.client import FleetError, Unreachable

        try:
            return await doing
        except Unreachable as lost:
            raise ToolError(
                f"{lost.detail}. Fleet does not run there: start it with `fleet serve`, then call again."
            ) from lost
        except (FleetError, StartupError, ValueError) as error:
            hint = getattr(error, "hint", None)
            raise ToolError(f"{error}. {hint or ''}".strip()) from error


async def _named(fleet: "FleetClient", name: str) -> "Session":
    """Return the session, as `named` does; the error names the agent's tool, not the command."""
    from fleet.client import NotFound

    try:
        return await named(fleet, name)
    except NotFound as error:
        raise NotFound(error.code, f"there is no session {name!r}; list_sessions lists the sessions") from error


async def _maker(
    fleet: "FleetClient", instance_id: str | None, given: str, text: str, *, required: bool = True
) -> str | None:
    """Return the id of the session that calls, None if none does. Raises `ValueError` if it is not clear which."""
    if given:
        return (await (await _named(fleet, given)).read()).id
    if instance_id is None:
        return None
    at_work = await _at_work(fleet, instance_id)
    if len(at_work) == 1:
        return at_work[0]
    calling = await _calling(fleet, at_work, text)
    if calling is None and required:
        raise ValueError(
            f"{len(at_work)} sessions work in your process, and Fleet does not know which of them is yours: "
            f"give its id as `maker`, one of {', '.join(at_work)} (list_sessions shows their directories)"
        )
    return calling


async def _at_work(fleet: "FleetClient", instance_id: str) -> list[str]:
    from fleet.cli.connect import every_session

    sessions = await every_session(fleet, status=["active", "waiting_input"])
    return [each.id for each in sessions if each.instance_id == instance_id]


async def _calling(fleet: "FleetClient", sessions: list[str], text: str) -> str | None:
    """Return the session that has a call with this text open, None unless exactly one has."""
    import trio

    from fleet.limits import MCP_CALLER_S

    found: set[str] = set()
    with trio.move_on_after(MCP_CALLER_S):
        async with fleet.events() as events:
            async for frame in events:
                found |= {session_id for session_id, part in _parts(frame) if _is_call(part, text)} & set(sessions)
    return found.pop() if len(found) == 1 else None


def _parts(frame: "Frame") -> list[tuple[str, dict[str, Any]]]:
    from fleet.wire.frames import PartChanged, Snapshot

    if isinstance(frame, Snapshot):
        return [(each.session_id, part.body or {}) for each in frame.sessions for part in each.parts]
    return [(frame.session_id, frame.part)] if isinstance(frame, PartChanged) else []


def _is_call(part: dict[str, Any], text: str) -> bool:
    state: dict[str, Any] = part.get("state") or {}
    given: dict[str, Any] = state.get("input") or {}
    return part.get("type") == "tool" and state.get("status") == "running" and text in given.values()


def _brief(item: "SessionItem") -> dict[str, Any]:
    return {
        "id": item.id,
        "title": item.title,
        "status": item.status,
        "evidence": item.evidence,
        "outcome": item.outcome,
        "directory": item.directory,
        "branch": item.branch,
        "costUsd": item.cost_usd,
    }


async def _last_answer(session: "Session") -> str:
    """Return the agent's last message after the last prompt, "" if there is none."""
    page = await session.messages(limit=20)
    for each in reversed(page.messages):
        text = _text_of(each.info, each.parts)
        if text:
            return _cut(text.removeprefix("assistant: ")) if text.startswith("assistant: ") else ""
    return ""


def _text_of(info: Any, parts: list[Any]) -> str:
    """Return the texts of a message after its role, "" if it has none."""
    import msgspec

    role = msgspec.json.decode(info, type=dict[str, Any]).get("role")
    bodies = [msgspec.json.decode(part, type=dict[str, Any]) for part in parts]
    text = "\n".join(str(body.get("text", "")) for body in bodies if body.get("type") == "text")
    return f"{role}: {text}" if text.strip() else ""


def _cut(text: str) -> str:
    from fleet.limits import MCP_TEXT_CHARS_MAX

    if len(text) <= MCP_TEXT_CHARS_MAX:
        return text
    return text[:MCP_TEXT_CHARS_MAX] + f"\n… {len(text) - MCP_TEXT_CHARS_MAX} characters more"
