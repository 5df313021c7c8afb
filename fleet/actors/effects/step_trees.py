"""Takes trees between the tool calls of running turns, where it is cheap: files can be read as they were then.

A tree is taken after a call that may have written, beside the turn. No turn waits for it: its end cancels it. Trees are
taken one at a time on the server, and calls that end meanwhile get one tree together. After each one there is a pause
in proportion to its time, for the turn and for the server (limits.py). In a directory whose tree takes too long, none
is taken until the tree at the end of a turn was fast again. On another host none is taken: a tree counts when it is on
the server, and to bring it there costs the server more than to take one of its own.
"""

from typing import Final

import structlog
import trio

from fleet.actors.context import Context
from fleet.actors.effects.diffs import DiffEffects
from fleet.actors.effects.live_events import LiveEvents
from fleet.actors.runtime.aggregate import ReportBack
from fleet.core.session.commands import SessionCommand
from fleet.core.session.report_commands import ReportStepSnapshot
from fleet.core.session.state import State, newest_tree
from fleet.errors import Problem
from fleet.limits import STEP_TREE_S_MAX, STEP_TREES_SHARE, STEP_TREES_SHARE_OF_TURN
from fleet.ports import LOCAL

_log = structlog.get_logger(__name__)

_REST: Final = 1 / STEP_TREES_SHARE - 1
_REST_OF_TURN: Final = 1 / STEP_TREES_SHARE_OF_TURN - 1
"""How many times as long as the tree took is the pause after it."""


class StepTrees:
    """The trees between the tool calls of all running turns."""

    def __init__(self, context: Context, live_events: LiveEvents, diffs: DiffEffects) -> None:
        self._context = context
        self._live_events = live_events
        self._diffs = diffs
        self._one = trio.Lock()
        self._rests_until_s = 0.0

    async def take(self, session_id: str, number: int, report: ReportBack[SessionCommand]) -> None:
        """Take a tree after each call of the turn that may have written, and report it, until it is cancelled.

        It returns early if trees of the directory are not cheap.
        """
        live = self._live_events.of(session_id)
        while True:
            await live.wait_for_call()
            async with self._one:
                await trio.sleep_until(self._rests_until_s)
                state = self._context.views.sessions.get(session_id)
                call = live.take_call()
                if call is None:
                    continue
                if state is None or not self._is_cheap(state):
                    return
                began_s = trio.current_time()
                tree = await self._tree(state)
                took_s = trio.current_time() - began_s
                self._rests_until_s = began_s + took_s + took_s * _REST
            if tree is None:
                return
            at_ms = self._context.clock.now_ms()
            await report(
                ReportStepSnapshot(number=number, part_id=call.part_id, tool=call.tool, tree=tree, at_ms=at_ms)
            )
            await trio.sleep_until(began_s + took_s + took_s * _REST_OF_TURN)

    def _is_cheap(self, state: State) -> bool:
        """Return whether the directory is on this machine, and has trees, the last of which was fast."""
        host = self._context.host_of(state.workspace_id).name
        took_s = self._diffs.took_s(state.workspace_id)
        return host == LOCAL and newest_tree(state) is not None and took_s <= STEP_TREE_S_MAX

    async def _tree(self, state: State) -> str | None:
        """Take a tree; None if it takes too long or cannot be taken."""
        try:
            with trio.move_on_after(STEP_TREE_S_MAX):
                return await self._diffs.take(state)
            detail = f"it takes longer than {STEP_TREE_S_MAX:g} s"
        except Problem as problem:
            detail = problem.detail
        self._diffs.note_slow(state.workspace_id)
        _log.info("step_tree_not_taken", session=state.id, detail=detail)
        return None
