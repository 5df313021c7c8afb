"""Forks a session: the new session has the conversation up to a message, and the files as they were then.

A fork in its own worktree or clone gets the files of the tree from before that message's turn. If none was taken then,
because the turn before ended in a crash, it gets those of the last tree before. A fork that shares the directory has
the present files. The conversation is cut at the beginning of a turn: of the turn that the message began or steered, or
of the running turn.
"""

from typing import NamedTuple

import trio
from msgspec.structs import replace

from fleet.actors.caller import Caller
from fleet.actors.context import Context
from fleet.actors.effects.workspace_check import missing
from fleet.actors.usecases.sessions import CommandResult, NewSession, SessionUseCases
from fleet.core.session.state import State
from fleet.core.session.turn_events import ChangesRecorded, PromptDelivered, TurnSnapshotTaken, TurnStarted, TurnSteered
from fleet.core.session.values import ForkPoint
from fleet.errors import Rejected
from fleet.limits import FEED_PAGE_EVENTS
from fleet.ports import Strategy
from fleet.projections.change_records import ChangeRecords


class _Cut(NamedTuple):
    """The point of a fork: the first message that is not copied, and the files at that time, if a tree was taken then.

    `position` is that of the point's event, None for the end.
    """

    message_id: str | None
    tree: str | None
    position: int | None = None
    files_as_of: int | None = None


class Forks:
    """Makes forks, on one Fleet."""

    def __init__(self, context: Context, sessions: SessionUseCases, records: ChangeRecords) -> None:
        self._context = context
        self._sessions = sessions
        self._records = records

    async def fork(
        self, any_id: str, title: str | None, message_id: str | None, strategy: Strategy | None, caller: Caller
    ) -> CommandResult:
        """Create the fork and return once it can take a prompt. Raises as `SessionUseCases.create`."""
        session = self._sessions.session(any_id)
        if not session.opencode.session_exists:
            raise Rejected("session_not_ready", "the session has no conversation yet that could be forked")
        wanted = strategy or session.settings.strategy
        if wanted == "existing" and session.settings.strategy != "existing":
            raise Rejected(
                "invalid",
                f"the files of this session are in its {session.settings.strategy};"
                f" a fork in {session.source_directory!r} would be without them",
                field="isolationStrategy",
                hint="Fork it as a worktree or clone.",
            )
        cut = await self._cut(session.id, message_id)
        if wanted == "existing":
            cut = cut._replace(message_id=None if message_id is None else cut.message_id, tree=None)
        elif cut.tree is None:
            cut = await self._nearest(session, cut)
        settings = replace(
            session.settings,
            title=title or f"{session.settings.title} (fork)",
            strategy=wanted,
            branch=None,
            base_ref=None if wanted == "existing" else await self._base(session),
            budget=None,
            host=self._host(session),
            parent_id=None,
            origin=ForkPoint(
                session.id, session.opencode.session_id, cut.message_id, session.workspace_id, cut.tree, cut.files_as_of
            ),
        )
        new = NewSession(session.source_directory, settings)
        return await self._sessions.create(new, caller)

    async def _cut(self, session_id: str, message_id: str | None) -> _Cut:
        """Return where the turn that `message_id` began or steered begins; without one, the running turn, or the end.

        A turn of which no tree was recorded leaves the files unknown.
        """
        cuts: dict[int, _Cut] = {}
        turns: dict[str, int] = {}
        tree = self._sessions.session(session_id).snapshots.baseline
        log, stream = self._context.log, self._context.views.sessions.stream(session_id)
        for read, (_, position, event) in enumerate(log.replay(stream), 1):
            if read % FEED_PAGE_EVENTS == 0:
                await trio.lowlevel.checkpoint()
            if isinstance(event, TurnStarted):
                turns[event.message_id] = event.number
                cuts[event.number] = _Cut(event.message_id, tree, position)
                tree = None
            elif isinstance(event, PromptDelivered) and event.kept_as is not None:
                number = turns[event.message_id]
                turns[event.kept_as] = number
                cuts[number] = cuts[number]._replace(message_id=event.kept_as)
            elif isinstance(event, TurnSteered):
                turns[event.message_id] = event.number
            elif isinstance(event, TurnSnapshotTaken) and event.number in cuts:
                cuts[event.number] = cuts[event.number]._replace(tree=event.tree)
            elif isinstance(event, ChangesRecorded):
                tree = event.tree
        session = self._sessions.session(session_id)  # as of the last event that was read
        if message_id is None:
            return _Cut(None, tree) if session.turn is None else cuts[session.turn.number]
        if message_id not in turns:
            raise Rejected("invalid", f"{message_id} is no prompt of this session", field="messageId")
        return cuts[turns[message_id]]

    async def _nearest(self, session: State, cut: _Cut) -> _Cut:
        """Return the cut with the present files for a fork at the end, else with the last tree before it.

        Raises `Rejected` workspace_gone or tree_gone if there is neither.
        """
        gone = None if cut.message_id is not None else await missing(self._context, session.id)
        if cut.message_id is None and gone is None:
            return cut._replace(tree=await self._tree_now(session))
        stream = self._context.views.sessions.stream(session.id)
        taken = await self._records.tree(stream, cut.position)
        if taken is not None:
            return cut._replace(tree=taken.tree, files_as_of=taken.position)
        if gone is not None:
            raise Rejected(
                "workspace_gone", gone, hint="No snapshot of its files was ever taken, so none can be forked."
            )
        raise Rejected(
            "tree_gone",
            f"no snapshot of the files was taken before {cut.message_id}, so the fork would be without them",
            hint="Fork at a later message, or wait until the turn is over and fork without one.",
        )

    async def _tree_now(self, session: State) -> str:
        tree = await self._context.host_of(session.workspace_id).trees.take(session.workspace_id, session.directory)
        if self._sessions.session(session.id).turns != session.turns:
            raise Rejected("session_active", "a turn began while the files were read", hint="Try again.")
        return tree

    def _host(self, session: State) -> str | None:
        """Return the host that the session was created for by name; None if a fork would have to wait for it."""
        name = session.settings.host
        return name if name is None or self._context.known_hosts.takes_sessions(name) else None

    async def _base(self, session: State) -> str | None:
        """Return the commit that the session's workspace started from."""
        workspace = self._context.views.workspaces.get(session.workspace_id)
        prepared = None if workspace is None else workspace.prepared
        return None if prepared is None else prepared.head
