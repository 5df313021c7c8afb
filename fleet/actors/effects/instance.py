"""Carries out the effects of an instance: spawn the process, operate it, stop it, and inform its sessions.

To operate it means: hold the connection, pass its events to live_events.py, and wait for its end. After a restart of
Fleet the same effect finds the running process and adopts it, or reports that it has ended. The stored identity (pid,
start time, boot) and password prove that it is the same process.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import structlog
import trio

from fleet.actors.context import Context
from fleet.actors.effects.host_calls import until_host_answers, within
from fleet.actors.effects.known_offers import KnownOffers
from fleet.actors.effects.live_events import LiveEvents
from fleet.actors.runtime.aggregate import Deliver, ReportBack
from fleet.actors.runtime.causation import cause_here
from fleet.actors.runtime.retry import Patience, persist
from fleet.core.instance import commands
from fleet.core.instance.effects import AwaitReady, Effect, InformSession, OperateProcess, SpawnProcess, StopProcess
from fleet.core.instance.state import State
from fleet.core.session.commands import SessionCommand
from fleet.core.session.report_commands import ReportInstanceEnded
from fleet.errors import Problem, Rejected, Unavailable
from fleet.limits import (
    ABORT_GRACE_S,
    HEALTH_TIMEOUT_S,
    OFFERS_DELAY_S,
    SPAWN_READY_TIMEOUT_S,
    TURN_RECHECK_S,
    UNREACHABLE_GRACE_S,
    UNREACHABLE_POLL_S,
)
from fleet.ports import Endpoint, Exit, OpenCode, ProcessIdentity, StreamLost, StreamOpened

_log = structlog.get_logger(__name__)

Reporter = ReportBack[commands.InstanceCommand]


class InstanceEffects:
    """The effects of all instances."""

    def __init__(self, context: Context, live_events: LiveEvents, offers: KnownOffers) -> None:
        self._context = context
        self._live_events = live_events
        self._offers = offers

    async def perform(self, instance_id: str, effect: Effect, report: Reporter) -> None:
        """Carry out `effect` for the instance and report."""
        await _PERFORM[type(effect)](self, instance_id, effect, report)

    def _now(self) -> int:
        return self._context.clock.now_ms()

    # --------------------------------------------------------------------------------------------------------- start

    async def _spawn(self, instance_id: str, effect: SpawnProcess, report: Reporter) -> None:
        host = self._context.host_of_instance(instance_id).opencode

        async def spawn() -> ProcessIdentity:
            if any(found.instance_id == instance_id for found in await host.find()):
                await host.stop(instance_id, None)  # a crash came between the spawn and its record
            return await host.spawn(instance_id, effect.directory)

        identity = await until_host_answers(spawn, instance=instance_id)
        await report(commands.ReportSpawned(identity=identity, at_ms=self._now()))

    async def _await_ready(self, instance_id: str, effect: AwaitReady, report: Reporter) -> None:
        host = self._context.host_of_instance(instance_id)
        wait = partial(host.opencode.wait_ready, instance_id, effect.identity)
        ready = partial(until_host_answers, wait, instance=instance_id)
        endpoint = await within(self._context, host.name, SPAWN_READY_TIMEOUT_S, ready)
        if endpoint is not None:
            await report(commands.ReportReady(endpoint=endpoint, at_ms=self._now()))
            return
        late = f"it did not report its port within {SPAWN_READY_TIMEOUT_S:.0f} s"
        raise Unavailable("opencode_not_ready", f"OpenCode is not ready: {late}")

    # ------------------------------------------------------------------------------------------------------- operate

    async def _operate(self, instance_id: str, effect: OperateProcess, report: Reporter) -> None:
        until_exit = partial(self._until_exit, instance_id, effect, report)
        try:
            how = await until_host_answers(until_exit, instance=instance_id)
        except Unavailable as problem:
            if problem.code != "opencode_unreachable":
                raise
            # Its password is gone: Fleet cannot use the process any more.
            _log.warning("instance_not_connected", instance=instance_id, code=problem.code, detail=problem.detail)
            await report(commands.StopInstance(reason="failed", at_ms=self._now()))
            return
        await report(commands.ReportLost(exit=how, evidence=_describe(how), at_ms=self._now()))

    async def _until_exit(self, instance_id: str, effect: OperateProcess, report: Reporter) -> Exit:
        host = self._context.host_of_instance(instance_id).opencode
        async with host.connect(instance_id, effect.endpoint) as client, trio.open_nursery() as nursery:
            with self._context.connections.opened(instance_id, client, nursery):
                nursery.start_soon(self._listen, instance_id, client, report)
                nursery.start_soon(self._prove_hung, instance_id, effect, report)
                nursery.start_soon(self._offers.learn, instance_id)
                nursery.start_soon(self._read_rules, instance_id, client, report)
                wait = partial(host.wait_exit, instance_id, effect.identity)
                how = await until_host_answers(wait, instance=instance_id)
                nursery.cancel_scope.cancel()
        return how

    async def _listen(self, instance_id: str, client: OpenCode, report: Reporter) -> None:
        state = self._context.views.instances.get(instance_id)
        silent = state is not None and state.phase == "unreachable"  # found before a restart of Fleet
        async with client.events() as events:
            async for event in events:
                if isinstance(event, StreamOpened):
                    self._wake_sessions(instance_id)
                    if silent:
                        silent = False
                        await report(commands.ReportReachable(at_ms=self._now()))
                elif isinstance(event, StreamLost):
                    if not await self._is_responsive(client):
                        silent = True
                        await report(commands.ReportUnreachable(evidence=event.reason, at_ms=self._now()))
                else:
                    self._live_events.dispatch(event)

    async def _is_responsive(self, client: OpenCode) -> bool:
        with trio.move_on_after(HEALTH_TIMEOUT_S):
            try:
                await client.health()
            except Unavailable:
                return False
            return True
        return False

    async def _prove_hung(self, instance_id: str, effect: OperateProcess, report: Reporter) -> None:
        """Stop an unresponsive process only if a second sign proves that it will not respond again (law 8)."""
        while True:
            await trio.sleep(UNREACHABLE_POLL_S)
            state = self._context.views.instances.get(instance_id)
            if state is None or state.phase != "unreachable":
                continue
            silent_s = (self._now() - state.since_ms) / 1000
            host = self._context.host_of_instance(instance_id).opencode
            if silent_s >= UNREACHABLE_GRACE_S and host.is_suspended(effect.identity):
                await report(commands.StopInstance(reason="hung", at_ms=self._now()))

    async def _read_rules(self, instance_id: str, client: OpenCode, report: Reporter) -> None:
        """Record by which rules the process asks, allows and denies, for each directory that its sessions use.

        OpenCode starts what a directory configures, so it is asked about those in use alone.
        """
        instances, known = self._context.views.instances, dict[str, bool]()
        while True:
            await trio.sleep(OFFERS_DELAY_S)
            while directory := _unread(instances.get(instance_id), known):
                try:
                    agents = tuple((agent.name, agent.rules) for agent in await client.agents(directory))
                    read = commands.ReportPermissionRules(directory=directory, agents=agents, at_ms=self._now())
                    await report(read)
                except Problem as problem:
                    _log.info("permission_rules_not_read", instance=instance_id, code=problem.code)
                state = instances.get(instance_id)
                known[directory] = state is not None and directory in state.rules
            await instances.change_of(instance_id, instances.get(instance_id))

    def _wake_sessions(self, instance_id: str) -> None:
        state = self._context.views.instances.get(instance_id)
        self._live_events.wake_all(list(state.sessions) if state is not None else [])

    # ---------------------------------------------------------------------------------------------------------- stop

    async def _stop(self, instance_id: str, effect: StopProcess, report: Reporter) -> None:
        if effect.endpoint is not None:
            await self._quiet_all(instance_id, effect.endpoint, effect.directories)
        stop = partial(self._context.host_of_instance(instance_id).opencode.stop, instance_id, effect.identity)
        steps = await until_host_answers(stop, instance=instance_id)
        await report(commands.ReportInstanceStopped(steps=steps, at_ms=self._now()))

    async def _quiet_all(self, instance_id: str, endpoint: Endpoint, directories: tuple[str, ...]) -> None:
        try:
            host = self._context.host_of_instance(instance_id).opencode
            async with host.connect(instance_id, endpoint) as client:
                with trio.move_on_after(ABORT_GRACE_S):
                    for directory in directories:
                        await self._quiet(client, directory)
        except Problem as problem:  # an earlier stop, interrupted by a crash, has deleted the password
            _log.info("stop_without_abort", instance=instance_id, code=problem.code)

    async def _quiet(self, client: OpenCode, directory: str) -> None:
        """Abort every turn of the directory: a signal to the server would not end the tools' processes."""
        try:
            while running := await client.statuses(directory):
                for opencode_id in running:
                    await client.abort(opencode_id, directory)
                await trio.sleep(TURN_RECHECK_S)
        except Problem as problem:  # the process is stopped by signals nevertheless
            _log.info("stop_without_abort", directory=directory, code=problem.code)

    async def _inform(self, _: str, effect: InformSession, report: Reporter) -> None:
        ended = ReportInstanceEnded(
            instance_id=effect.instance_id,
            orderly=effect.orderly,
            evidence=effect.evidence,
            host_lost=effect.host_lost,
            at_ms=self._now(),
        )
        deliver = Deliver[SessionCommand](ended, cause_here(f"instance:{effect.instance_id}"))
        inform = partial(self._context.actors.sessions.ask, effect.session_id, deliver)
        with suppress(Rejected):  # there is no such session
            await persist(inform, Patience("session_not_informed", session=effect.session_id), every_s=TURN_RECHECK_S)
        await report(commands.ReportInformed(session_id=effect.session_id, at_ms=self._now()))


def _unread(state: State | None, known: Mapping[str, bool]) -> str | None:
    """Return a directory in use whose rules are to be read: a new one, or one that was released since, and used again.

    `known` are those that were read, and whether rules of them were recorded.
    """
    in_use, recorded = ((), ()) if state is None else (state.sessions.values(), state.rules)
    unread = (each for each in in_use if each not in known or (known[each] and each not in recorded))
    return next(unread, None)


def _describe(how: Exit) -> str:
    if how.reason is not None:
        return f"the OpenCode process was ended on its host: {how.reason}"
    if how.signal is not None:
        return f"the OpenCode process was killed by signal {how.signal}"
    if how.code is not None:
        return f"the OpenCode process exited with code {how.code}"
    return "the OpenCode process is gone"


_PERFORM: Mapping[type[Any], Callable[[InstanceEffects, str, Any, Reporter], Awaitable[None]]] = {
    SpawnProcess: InstanceEffects._spawn,
    AwaitReady: InstanceEffects._await_ready,
    OperateProcess: InstanceEffects._operate,
    StopProcess: InstanceEffects._stop,
    InformSession: InstanceEffects._inform,
}
