"""Remembers the agents, commands and models that OpenCode last offered, as choices for a new session.

Fleet asks an instance soon after it is ready, and again when a caller asks and the answer is old. Answers stay in
memory by repository, also when the instance has ended; after a restart of Fleet the instances that still run are asked
again. An instance is only asked about directories of its own sessions, because OpenCode starts the plugins and MCP
servers that a directory's configuration names. opencode_catalog.py asks a given instance each time.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import structlog
import trio

from fleet.actors.context import Context
from fleet.actors.effects.model_limits import ModelLimits
from fleet.actors.effects.slash_commands import commands_in
from fleet.core.session.state import State
from fleet.errors import Problem
from fleet.limits import OFFERS_ASK_S, OFFERS_DELAY_S, OFFERS_FRESH_S, OFFERS_KEPT
from fleet.ports import Agent, OfferedModel, SlashCommand, Source

_log = structlog.get_logger(__name__)


class Offered(msgspec.Struct, frozen=True):
    """The agents, commands and models that an instance offered, and when."""

    as_of_ms: int
    instance_id: str
    agents: tuple[Agent, ...]
    commands: tuple[SlashCommand, ...]
    models: tuple[OfferedModel, ...]


class _Place(NamedTuple):
    """Where an instance can be asked. `key` is the repository, or the directory outside of git."""

    instance_id: str
    directory: str
    key: str


class KnownOffers:
    """The known offers by repository; the oldest are discarded first. `limits` gets the offered models too."""

    def __init__(self, context: Context, limits: ModelLimits) -> None:
        self._context = context
        self._limits = limits
        self._known: OrderedDict[str, Offered] = OrderedDict()

    async def learn(self, instance_id: str) -> None:
        """Ask an instance that has become ready, once its first session has had time to begin."""
        await trio.sleep(OFFERS_DELAY_S)
        await self._first([place for place in self._places() if place.instance_id == instance_id])

    async def find(self, source: Source | None) -> Offered | None:
        """Return the offer for a directory, or for None any offer; None if nothing is known yet.

        It comes from a live instance of the repository, else the last known one of the repository, else from any live
        instance, else the newest known one.
        """
        key = None if source is None else source.repository or source.directory
        live = list(self._places())
        own = await self._first([place for place in live if place.key == key])
        if own is not None:
            return own
        if key is not None and key in self._known:
            return self._known[key]
        return await self._first(live) or next(reversed(self._known.values()), None)

    async def _first(self, places: list[_Place]) -> Offered | None:
        """Return the offer of the first place that responds; a recent offer is returned without a request."""
        for place in places:
            known = self._known.get(place.key)
            if known is not None and self._context.clock.now_ms() - known.as_of_ms < OFFERS_FRESH_S * 1000:
                return known
            asked = await self._ask(place)
            if asked is not None:
                return asked
        return None

    def _places(self) -> Iterator[_Place]:
        """Yield where live instances can be asked: one session for each repository of each, the newest first."""
        seen: set[tuple[str, str]] = set()
        views = self._context.views
        for instance in reversed(views.instances.alive()):
            if instance.phase != "ready":
                continue
            for session in filter(None, map(views.sessions.get, reversed(instance.sessions))):
                if (instance.id, _key(session)) not in seen:
                    seen.add((instance.id, _key(session)))
                    yield _Place(instance.id, session.directory, _key(session))

    async def _ask(self, place: _Place) -> Offered | None:
        client = self._context.connections.current(place.instance_id)
        if client is None:
            return None
        try:
            with trio.move_on_after(OFFERS_ASK_S):
                agents = await client.agents(place.directory)
                commands = await commands_in(client, place.directory)
                models = await client.models(place.directory)
                return self._keep(place, agents, commands, models)
        except Problem as problem:
            _log.info("offers_not_learnt", instance=place.instance_id, code=problem.code)
        return None

    def _keep(
        self,
        place: _Place,
        agents: tuple[Agent, ...],
        commands: tuple[SlashCommand, ...],
        models: tuple[OfferedModel, ...],
    ) -> Offered:
        offered = Offered(self._context.clock.now_ms(), place.instance_id, agents, commands, models)
        self._limits.learn(models)
        self._known.pop(place.key, None)
        self._known[place.key] = offered
        while len(self._known) > OFFERS_KEPT:
            self._known.popitem(last=False)
        return offered


def _key(session: State) -> str:
    return session.source_repository or session.source_directory
