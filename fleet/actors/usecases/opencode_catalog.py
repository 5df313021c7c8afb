"""Requests what the OpenCode process of an instance offers. Nothing is stored."""

from fleet.actors.context import Context
from fleet.actors.effects.slash_commands import commands_in
from fleet.core.instance.state import OVER
from fleet.errors import Rejected
from fleet.ports import Agent, OfferedModel, OpenCode, SlashCommand


class OpenCodeCatalog:
    """Sends requests to instances. A process serves many directories: `session_id` selects the one of a session.

    Everything here raises `Rejected` instance_not_found, session_not_found or instance_over, and what `OpenCode` does.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    async def agents(self, instance_id: str, session_id: str | None) -> tuple[Agent, ...]:
        """Return the agents that can be named in a prompt."""
        client, directory = await self._reach(instance_id, session_id)
        return await client.agents(directory)

    async def commands(self, instance_id: str, session_id: str | None) -> tuple[SlashCommand, ...]:
        """Return the commands that can be run."""
        client, directory = await self._reach(instance_id, session_id)
        return await commands_in(client, directory)

    async def models(self, instance_id: str, session_id: str | None) -> tuple[OfferedModel, ...]:
        """Return the models that can be used."""
        client, directory = await self._reach(instance_id, session_id)
        return await client.models(directory)

    async def find_files(self, instance_id: str, session_id: str | None, query: str, limit: int) -> tuple[str, ...]:
        """Return the paths that resemble `query`, the best first."""
        client, directory = await self._reach(instance_id, session_id)
        return await client.find_files(directory, query, limit)

    async def _reach(self, instance_id: str, session_id: str | None) -> tuple[OpenCode, str]:
        views = self._context.views
        state = views.instances.get(instance_id)
        if state is None:
            raise Rejected("instance_not_found", f"there is no instance {instance_id}")
        if state.phase in OVER:
            raise Rejected(
                "instance_over", f"the instance is {state.phase}", hint="GET /api/instances lists those that run."
            )
        directory = state.directory
        if session_id is not None:
            session = views.sessions.find(session_id)
            if session is None or session.id not in state.sessions:
                raise Rejected(
                    "session_not_found", f"instance {instance_id} has no session {session_id}", field="session"
                )
            directory = session.directory
        return await self._context.connections.get(instance_id), directory
