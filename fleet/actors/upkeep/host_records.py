"""Follows the hosts: it keeps what each said last, and records in the log what has changed.

The core (core/hosts.py) knows what is new. What a full disk refuses is tried again, unless newer news of the same host
has come meanwhile. A host of the log that the engine does not report after a start of the server is silent, and after
its grace it is lost: its lease has ended before, because this server has not been in touch with its agent. Nothing
else declares such a host lost.
"""

import structlog
import trio

from fleet.actors.context import Context
from fleet.actors.runtime.aggregate import Deliver
from fleet.core import hosts as m
from fleet.errors import Problem
from fleet.events.envelope import Cause
from fleet.limits import HOST_GRACE_MARGIN_S, HOST_REPORT_S, HOST_RETRY_S
from fleet.ports import EngineDown, EngineUp, HostEvent, HostLost, HostSilent, HostUp

_log = structlog.get_logger(__name__)

_ENGINE = Cause("policy:hosts")
_UNREPORTED = "it has not answered since the server started"


class HostRecords:
    """The records of one Fleet."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lease_s = context.policy.host_lease_s
        self._reported: set[str] = set()
        self._unrecorded: dict[str | None, HostEvent] = {}

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Follow the hosts until `stopping`. Fits a `ChildSpec`."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._follow)
            nursery.start_soon(self._retry)
            nursery.start_soon(self._miss)
            task_status.started()
            await stopping.wait()
            nursery.cancel_scope.cancel()

    async def _follow(self) -> None:
        while True:
            async with self._context.hosts.watch() as watched:
                async for news in watched:
                    await self._note(news)
            _log.warning("hosts_followed_again", reason="they had more news than could be recorded")
            await trio.sleep(HOST_RETRY_S)

    async def _note(self, news: HostEvent) -> None:
        name = _name_of(news)
        if isinstance(news, HostUp):
            self._context.live[news.info.name] = news.info
        if name is not None:
            self._reported.add(name)
        self._unrecorded.pop(name, None)
        await self._record(news)

    async def _retry(self) -> None:
        """Record again what could not be recorded."""
        while True:
            await trio.sleep(HOST_RETRY_S)
            for name in list(self._unrecorded):
                news = self._unrecorded.pop(name, None)
                if news is not None:
                    await self._record(news)

    async def _miss(self) -> None:
        """Record the hosts of the log that the engine does not report."""
        begun_s = trio.current_time()
        await trio.sleep(HOST_REPORT_S)
        missing = sorted(
            (self._grace_of(each), each.name) for each in self._context.known_hosts.hosts.values() if each.facts
        )
        for _, name in missing:
            if name not in self._reported:
                await self._record(HostSilent(name, _UNREPORTED))
        for grace_s, name in missing:
            await trio.sleep_until(begun_s + grace_s)
            if name not in self._reported:
                await self._record(HostLost(name, f"{_UNREPORTED}, {grace_s:g} s and more ago"))

    def _grace_of(self, host: m.KnownHost) -> float:
        """Return how long it may not answer: its agent may be one of a server with another grace."""
        return max(self._lease_s, 0.0 if host.facts is None else host.facts.lease_s) + HOST_GRACE_MARGIN_S

    async def _record(self, news: HostEvent) -> None:
        command = m.NoteNews(news=news, at_ms=self._context.clock.now_ms())
        if not m.decide(command, self._context.known_hosts):
            return  # hosts answer every few seconds, and an actor would never rest
        try:
            await self._context.actors.hosts.ask(m.HOSTS_ID, Deliver(command, _ENGINE))
        except Problem as problem:
            _log.warning("host_not_recorded", news=type(news).__name__, code=problem.code, detail=problem.detail)
            self._unrecorded.setdefault(_name_of(news), news)


def _name_of(news: HostEvent) -> str | None:
    """Return the host that the news is about, None for the engine."""
    match news:
        case HostUp(info=info):
            return info.name
        case EngineDown() | EngineUp():
            return None
        case _:
            return news.name
