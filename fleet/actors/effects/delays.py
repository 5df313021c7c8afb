"""Finds out from OpenCode why a turn makes no progress, so that people see more than "OpenCode works".

The provider may limit the rate or be away, a tool may run for long, an MCP server may not answer. Each reason stays
valid for a while, so that the log does not get it every few seconds. A person is notified if the delay is long.
"""

import re
from typing import Final, NamedTuple

import trio

from fleet.actors.context import Context
from fleet.actors.effects.live_events import LiveEvents
from fleet.actors.runtime.aggregate import ReportBack
from fleet.core.session import effects as e
from fleet.core.session.activity import Activity, head, of_part
from fleet.core.session.commands import SessionCommand
from fleet.core.session.report_commands import ReportTurnDelayed
from fleet.core.times import rfc3339
from fleet.errors import Problem
from fleet.limits import DELAY_LONG_MIN, DELAY_MCP_S, DELAY_RETRY_S, DELAY_STEPS_MIN, DELAY_TOOL_LONG_MIN
from fleet.ports import McpServers, OpenCode, TurnStatus

_LIMITED: Final = re.compile(r"rate.?limit|too many requests|\b429\b|quota|overloaded", re.IGNORECASE)
_NO_LETTER: Final = re.compile(r"[^a-zA-Z0-9_-]")
_NO_SERVERS: Final = McpServers((), are_starting=False)


class Delay(NamedTuple):
    """Why a turn makes no progress; if it `is_long`, a person is notified."""

    reason: str
    is_long: bool


_NONE: Final = Delay("", is_long=False)


class Delays:
    """Reports to sessions why their turns make no progress."""

    def __init__(self, context: Context, live_events: LiveEvents) -> None:
        self._context = context
        self._live_events = live_events

    async def report_delay(
        self, session_id: str, client: OpenCode, effect: e.FollowTurn, report: ReportBack[SessionCommand]
    ) -> None:
        """Report why the running turn makes no progress, or that it does again, if that has changed."""
        state = self._context.views.sessions.get(session_id)
        if state is None or state.turn is None or state.requests:
            return
        delay = await self._delay(session_id, client, effect.directory)
        if delay.reason != state.turn.delay or (delay.is_long and not state.turn.delay_told):
            now_ms = self._context.clock.now_ms()
            await report(
                ReportTurnDelayed(number=effect.number, reason=delay.reason, at_ms=now_ms, is_long=delay.is_long)
            )

    async def _delay(self, session_id: str, client: OpenCode, directory: str) -> Delay:
        live, now_ms = self._live_events.of(session_id), self._context.clock.now_ms()
        if live.retry is not None and live.retrying_since_s:
            since_s = trio.current_time() - min(live.retrying_since_s.values())
            return of_retry(live.retry, since_s, now_ms)
        tool = self._oldest_tool(session_id, now_ms)
        if tool is not None:
            asks = _minutes(now_ms - tool.at_ms) > 0 and "_" in (tool.tool or "")
            return of_tool(tool, now_ms, (await _mcp_servers(client, directory)).names if asks else ())
        silent_s = trio.current_time() - live.active_s
        servers = await _mcp_servers(client, directory) if silent_s >= DELAY_MCP_S else _NO_SERVERS
        if servers.are_starting:
            return of_start(servers.names, silent_s)
        return of_silence(silent_s)

    def _oldest_tool(self, session_id: str, now_ms: int) -> Activity | None:
        """Return the tool that runs for the longest time; a sub-agent's own tools count, not the sub-agent itself."""
        parts = self._context.inflight.snapshot(frozenset((session_id,)))[session_id]
        found = (of_part(part.body, now_ms) for part in parts if part.type == "tool" and part.body is not None)
        tools = [each for each in found if each is not None and each.tool != "task"]
        return min(tools, key=lambda tool: tool.at_ms, default=None)


def of_retry(status: TurnStatus, since_s: float, now_ms: int) -> Delay:
    """Return the delay by a provider whose call OpenCode retries."""
    wait_s = max(0.0, (status.next_ms - now_ms) / 1000)
    if max(since_s, wait_s) < DELAY_RETRY_S:
        return _NONE
    what = "rate-limited" if _LIMITED.search(status.message) else "the provider fails"
    words = f" ({head(status.message)})" if status.message.strip() else ""
    again = f"tries again at {rfc3339(status.next_ms)[11:16]} UTC" if status.next_ms > 0 else "tries again"
    return Delay(f"{what}{words}, {again}", max(since_s, wait_s) >= DELAY_LONG_MIN * 60)


def of_tool(tool: Activity, now_ms: int, mcp_servers: tuple[str, ...]) -> Delay:
    """Return the delay by a tool; that of an MCP server has the server's name before its own."""
    minutes, name = _minutes(now_ms - tool.at_ms), tool.tool or "a tool"
    if minutes == 0:
        return _NONE
    for server in sorted(mcp_servers, key=len, reverse=True):
        prefix = f"{_NO_LETTER.sub('_', server)}_"
        if name.startswith(prefix):
            reason = f"waits for the MCP server {server}: {name.removeprefix(prefix)} has run for {minutes} min"
            return Delay(reason, minutes >= DELAY_LONG_MIN)
    doing = f": {tool.text}" if tool.text else ""
    return Delay(f"{name} has run for {minutes} min{doing}", minutes >= DELAY_TOOL_LONG_MIN)


def of_start(mcp_servers: tuple[str, ...], silent_s: float) -> Delay:
    """Return the delay by MCP servers that have to respond before OpenCode begins."""
    servers = f"the MCP server{'s' if len(mcp_servers) > 1 else ''} {', '.join(mcp_servers)}"
    return Delay(f"waits for {servers} to start", silent_s >= DELAY_LONG_MIN * 60)


def of_silence(silent_s: float) -> Delay:
    """Return the delay by a model that sends nothing."""
    minutes = _minutes(int(silent_s * 1000))
    return Delay(f"nothing has come from the model for {minutes} min", minutes >= DELAY_LONG_MIN) if minutes else _NONE


def _minutes(took_ms: int) -> int:
    """Return the age in minutes, rounded down to one of the reported steps; 0 before the first."""
    return max((step for step in DELAY_STEPS_MIN if step * 60_000 <= took_ms), default=0)


async def _mcp_servers(client: OpenCode, directory: str) -> McpServers:
    try:
        return await client.mcp_servers(directory)
    except Problem:  # this version does not list them, or does not respond, which is reported elsewhere
        return _NO_SERVERS
