"""Forks: a new session with another one's conversation up to a message, and the files as they were then.

In a worktree or clone of its own the files are laid out from the tree that was taken before that message's turn; a fork
that shares the directory has the files as they are.
"""

from msgspec.structs import replace

from fleet.actors.context import Context
from fleet.actors.orders import Caller, NewSession, Orders, Outcome
from fleet.core.session import messages as m
from fleet.core.session.state import State
from fleet.errors import Rejected
from fleet.ports import Strategy


class Forks:
    """Makes forks, on one Fleet."""

    def __init__(self, context: Context, orders: Orders) -> None:
        self._context = context
        self._orders = orders

    async def fork(
        self, any_id: str, title: str | None, message_id: str | None, strategy: Strategy | None, caller: Caller
    ) -> Outcome:
        """Create the fork and return once it can take a prompt. Raises what `Orders.create` raises."""
        session = self._orders.session(any_id)
        if not session.conversation:
            raise Rejected("session_not_ready", "the session has no conversation yet that could be forked")
        wanted = strategy or session.strategy
        tree = self._tree_before(session, message_id)
        new = NewSession(
            directory=session.source_directory,
            title=title or f"{session.title} (fork)",
            strategy=wanted,
            tags=session.tags,
            agent=session.agent,
            model=session.model,
            origin=m.Origin(
                session.id,
                session.opencode_id,
                message_id,
                session.workspace_id,
                None if wanted == "existing" else tree,
            ),
        )
        if wanted != "existing":
            new = replace(new, base_ref=await self._base(session))
        return await self._orders.create(new, caller)

    def _tree_before(self, session: State, message_id: str | None) -> str | None:
        """Return the newest tree, or the one before the turn that `message_id` began."""
        if message_id is None:
            return session.tree
        tree = session.baseline
        for recorded in self._context.log.read_stream(self._context.views.sessions.stream(session.id)):
            event = recorded.event
            if isinstance(event, m.ChangesRecorded):
                tree = event.tree
            elif isinstance(event, m.TurnStarted) and event.message_id == message_id:
                return tree
        raise Rejected("invalid", f"{message_id} is no prompt of this session", field="messageId")

    async def _base(self, session: State) -> str | None:
        """Return the commit that the session's workspace started from."""
        workspace = self._context.views.workspaces.get(session.workspace_id)
        prepared = None if workspace is None else workspace.prepared
        return None if prepared is None else prepared.head
