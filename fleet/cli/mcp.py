"""`fleet mcp`: sessions as tools for agents, over the Model Context Protocol.

An agent that makes a session is its maker: the log names it as the cause, and it gets word of the outcome. OpenCode
tells an MCP server nothing of the session that calls (measured on 1.18.33: neither `_meta` nor environment), but the
server inherits the mark of its instance. So the maker is the session of that instance that is at work; where several
are, the one with this very call open; where that tells nothing either, the agent is asked to name itself.
"""

import os
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from fleet.cli.remote import connected, named
from fleet.errors import StartupError

if TYPE_CHECKING:
    from mcp.server import MCPServer

    from fleet.client import FleetClient, Session
    from fleet.wire.frames import Frame
    from fleet.wire.items import SessionItem

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_INSTRUCTIONS = """Fleet runs coding sessions side by side. Make a session for work that can go on without you; you \
get a message when it is done. wait_for_session, read_session and diff_session tell what became of it."""


@connected
async def mcp(fleet: "FleetClient") -> None:
    """Let agents drive sessions: an MCP server on stdin and stdout. They can make, prompt, wait for, read, diff them.

    In the configuration of OpenCode: {"mcp": {"fleet": {"type": "local", "command": ["fleet", "mcp"]}}}
    """
    await tools(fleet, os.environ.get("FLEET_INSTANCE_ID")).run_stdio_async()


def tools(fleet: "FleetClient", instance_id: str | None) -> "MCPServer":
    """Return the server; `instance_id` is the OpenCode process that has started it, None where none has."""
    from mcp.server import MCPServer

    from fleet import __version__
    from fleet.limits import MCP_WAIT_S_MAX

    here = str(Path.cwd())
    server = MCPServer("fleet", instructions=_INSTRUCTIONS, version=__version__, log_level="ERROR")

    @server.tool()
    @_telling
    async def create_session(  # noqa: PLR0917 - a tool's arguments have names
        prompt: str,
        directory: str = "",
        title: str = "",
        isolation: Literal["existing", "worktree", "clone"] = "worktree",
        notify: bool = True,
        maker: str = "",
    ) -> dict[str, Any]:
        """Make a session that works on `prompt` by itself, by default in a git worktree of `directory` (yours).

        You get a message when it is done, unless `notify` is false. `maker` is your own session's id; give it where you
        are asked for it.
        """
        own = await _maker(fleet, instance_id, maker, prompt)
        acting = fleet if own is None else fleet.acting_for(own)
        session = await acting.create(
            os.path.join(here, directory),  # noqa: PTH118 - a path of the server's machine, not looked at here
            title=title or None,
            isolation_strategy=isolation,
            prompt=prompt,
            on_complete=own if notify else None,
        )
        told = "you will get a message when it is done" if own and notify else "wait_for_session tells when it is done"
        return {**_brief(await session.read()), "note": told}

    @server.tool()
    @_telling
    async def prompt_session(session: str, text: str, maker: str = "") -> dict[str, Any]:
        """Tell a session what to do next. While it works, prompts wait in its queue."""
        own = await _maker(fleet, instance_id, maker, text, required=False)
        found = await named(fleet if own is None else fleet.acting_for(own), session)
        await found.prompt(text)
        return _brief(await found.read())

    @server.tool()
    @_telling
    async def wait_for_session(session: str, seconds: float = 20) -> dict[str, Any]:
        """Wait until a session has nothing more to do or needs a person; then `answer` is what it said last.

        After `seconds` it is told as it stands: call again.
        """
        import msgspec
        import trio

        found = await named(fleet, session)
        with trio.move_on_after(min(max(seconds, 0), MCP_WAIT_S_MAX)):
            await found.wait()
        item = await found.read()
        requests = [{"kind": each.kind, "request": msgspec.json.decode(each.request)} for each in item.requests]
        return {**_brief(item), "requests": requests, "answer": await _last_answer(found)}

    @server.tool()
    @_telling
    async def read_session(session: str, messages: int = 10) -> str:
        """Read the last messages of a session."""
        page = await (await named(fleet, session)).messages(limit=min(max(messages, 1), 200))
        return _cut("\n\n".join(filter(None, (_told(each.info, each.parts) for each in page.messages))))

    @server.tool()
    @_telling
    async def diff_session(session: str, turn: int = 0) -> str:
        """Read what a session has changed in all, or in one turn, as a patch."""
        import trio

        from fleet.cli.diff import patch

        items = await (await named(fleet, session)).diffs(turn=turn or None)
        patches = [await trio.to_thread.run_sync(patch, item) for item in items]
        return _cut(b"".join(patches).decode("utf-8", "replace")) or "nothing has changed"

    @server.tool()
    @_telling
    async def list_sessions(search: str = "", status: str = "", limit: int = 20) -> list[dict[str, Any]]:
        """List sessions, the newest first; `status` may be active, idle, waiting_input, error, completed, stopped."""
        chosen = [status] if status else []
        return [_brief(each) for each in await fleet.sessions(search=search or None, status=chosen, limit=limit)]

    return server


def _telling(tool: Callable[Arguments, Awaitable[Result]]) -> Callable[Arguments, Awaitable[Result]]:
    """Return the tool as one whose errors the agent gets to read: the SDK hides those that it does not know."""

    @wraps(tool)
    async def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        from mcp.server.mcpserver.exceptions import ToolError

        from fleet.client import FleetError

        try:
            return await tool(*args, **kwargs)
        except (FleetError, StartupError, ValueError) as error:
            hint = getattr(error, "hint", None)
            raise ToolError(f"{error} {hint or ''}".strip()) from error

    return call


async def _maker(
    fleet: "FleetClient", instance_id: str | None, given: str, text: str, *, required: bool = True
) -> str | None:
    """Return the id of the session that calls, None where none does. Raises `ValueError` where nothing tells."""
    if given:
        return (await (await named(fleet, given)).read()).id
    if instance_id is None:
        return None
    at_work = await _at_work(fleet, instance_id)
    if len(at_work) == 1:
        return at_work[0]
    calling = await _calling(fleet, at_work, text)
    if calling is None and required:
        raise ValueError(
            f"{len(at_work)} sessions work in your process, so that it cannot be told which of them you are: "
            f"name your own session as `maker`, one of {', '.join(at_work)} (list_sessions shows their directories)"
        )
    return calling


async def _at_work(fleet: "FleetClient", instance_id: str) -> list[str]:
    from fleet.cli.remote import every_session

    sessions = await every_session(fleet, status=["active", "waiting_input"])
    return [each.id for each in sessions if each.instance_id == instance_id]


async def _calling(fleet: "FleetClient", sessions: list[str], text: str) -> str | None:
    """Return the session that has a call with this text open, None where none or several have."""
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
    page = await session.messages(limit=20)
    told = (_told(each.info, each.parts) for each in reversed(page.messages))
    return _cut(next((text for text in told if text.startswith("assistant: ")), "").removeprefix("assistant: "))


def _told(info: Any, parts: list[Any]) -> str:
    """Return the texts of a message with who said them, "" where there are none."""
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
