"""Carries out the effects of a session: provision it, deliver its prompts, stop and end it.

The session itself (what may happen and what it means) is fleet/core/session; the actor around it is aggregate.py.
prompt_delivery.py sends prompts, and turn.py follows a turn to its end. Each effect here is idempotent. A `Problem`
that it raises is reported as its failure or makes it retry (failures.py).
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import structlog
import trio

from fleet.actors.context import Context
from fleet.actors.effects.callbacks import Callbacks
from fleet.actors.effects.diffs import DiffEffects
from fleet.actors.effects.directory_release import DirectoryReleases
from fleet.actors.effects.erasure import SessionErasure
from fleet.actors.effects.host_calls import await_answer, within
from fleet.actors.effects.live_events import LiveEvents
from fleet.actors.effects.moves import Moves
from fleet.actors.effects.openings import Openings, lost_with_host
from fleet.actors.effects.placement import Delayed, Placement
from fleet.actors.effects.prompt_delivery import Deliveries
from fleet.actors.effects.restored_conversations import RestoredConversations
from fleet.actors.effects.rooms import Rooms
from fleet.actors.effects.saving import save_session
from fleet.actors.effects.setup import Setups
from fleet.actors.effects.turn import TurnEffects
from fleet.actors.effects.workspace_check import look
from fleet.actors.runtime.aggregate import Deliver, ReportBack
from fleet.actors.runtime.causation import cause_here
from fleet.actors.runtime.retry import Patience, persist
from fleet.core.instance.commands import DetachSession, InstanceCommand
from fleet.core.instance.state import LIVE, OVER
from fleet.core.paths import is_inside
from fleet.core.session import effects as e
from fleet.core.session.commands import SessionCommand
from fleet.core.session.decide_reports import ended_early
from fleet.core.session.report_commands import (
    ReportDetached,
    ReportInstanceReady,
    ReportProvisionDelayed,
    ReportSessionStopped,
    ReportWorkspaceReady,
)
from fleet.core.session.state import State
from fleet.core.workspace.commands import PrepareWorkspace
from fleet.core.workspace.faults import described
from fleet.errors import Problem, Rejected
from fleet.events.envelope import Cause
from fleet.limits import (
    DETACH_RETRY_S,
    ERASURE_RETRY_S,
    HOST_TRIES_S,
    HOST_TRY_S,
    SAVE_LAST_S,
    SPAWN_READY_TIMEOUT_S,
    TURN_RECHECK_S,
)
from fleet.ports import WorkspaceSpec
from fleet.side_by_side import both

_log = structlog.get_logger(__name__)

_WORKSPACE_SETTLED = frozenset(("ready", "failed", "removing", "removed"))

Reporter = ReportBack[SessionCommand]


class SessionEffects:
    """The effects of all sessions; `perform` is bound to one by its id."""

    def __init__(
        self,
        context: Context,
        live_events: LiveEvents,
        placement: Placement,
        diffs: DiffEffects,
        erasure: SessionErasure,
        *,
        setups: Setups,
        callbacks: Callbacks,
        rooms: Rooms,
        restored: RestoredConversations,
    ) -> None:
        self._context = context
        self._live_events = live_events
        self._placement = placement
        self._diffs = diffs
        self._erasure = erasure
        self._setups = setups
        self._releases = DirectoryReleases(context)
        self._deliveries = Deliveries(context, live_events, diffs, self._releases)
        self._turns = TurnEffects(context, live_events, diffs)
        self._callbacks = callbacks
        self._moves = Moves(context, rooms)
        self._openings = Openings(context, live_events, restored)

    async def perform(self, session_id: str, effect: e.Effect, report: Reporter) -> None:
        """Carry out `effect` for the session and report."""
        await _PERFORM[type(effect)](self, session_id, effect, report)

    def _now(self) -> int:
        return self._context.clock.now_ms()

    # ------------------------------------------------------------------------------------------- creation and resume

    async def _prepare_workspace(self, session_id: str, effect: e.ProvideWorkspace, report: Reporter) -> None:
        async def delayed(reason: str) -> None:
            reason = f"waits for {reason}"
            await report(ReportProvisionDelayed(step="workspace", reason=reason, at_ms=self._now()))

        gives_up_s = trio.current_time() + HOST_TRIES_S
        while True:
            session = self._context.views.sessions.get(session_id)
            spec = effect.spec if session is None else await self._moves.place(session, effect.spec, delayed)
            try:
                ready = await self._workspace(session_id, spec)
            except Problem as problem:
                if session is None or problem.code != "host_unreachable" or trio.current_time() > gives_up_s:
                    raise
                _log.warning("host_does_not_answer", session=session_id, host=spec.host, detail=problem.detail)
                await delayed(f"a host that answers: {problem.detail}")
                await self._await_host(session, spec.host, problem)
            else:
                await report(ready)
                return

    async def _await_host(self, session: State, host: str, problem: Problem) -> None:
        """Wait until the next attempt makes sense. Raises the problem if the host was chosen by name, and is lost."""
        workspace = self._context.views.workspaces.get(session.workspace_id)
        if workspace is None or workspace.prepared is None:
            await trio.sleep(HOST_TRY_S)  # another host may take it
        elif await await_answer(self._context, host):
            await trio.sleep(HOST_TRY_S)
        elif session.settings.host == host:
            raise problem

    async def _workspace(self, session_id: str, spec: WorkspaceSpec) -> SessionCommand:
        workspace_id = spec.workspace_id
        command = PrepareWorkspace(spec=spec, session_id=session_id, at_ms=self._now())
        await self._context.actors.workspaces.ask(workspace_id, Deliver(command, self._cause(session_id)))
        state = await self._context.views.workspaces.wait(workspace_id, lambda s: s.phase in _WORKSPACE_SETTLED)
        if state.phase in ("removing", "removed"):
            raise Problem("workspace_gone", f"the workspace is {state.phase}")
        if state.prepared is None or state.phase == "failed":
            raise Problem(state.failure_code or "internal", state.failure_detail)
        self._check_stays(state.prepared.directory, workspace_id)
        seen = await look(self._context, workspace_id)
        if seen is not None and seen.fault == "missing":
            raise Problem("workspace_gone", described(seen) or "the workspace is missing")
        try:
            await self._context.host_of(workspace_id).workspaces.require(state.prepared.directory)
        except Rejected as refusal:  # any other problem means that the check itself failed
            seen = await look(self._context, workspace_id)
            gone = None if seen is None else described(seen)
            raise Problem("workspace_gone", gone or f"the workspace is gone: {refusal.detail}") from refusal
        session = self._context.views.sessions.get(session_id)
        first = session is None or session.snapshots.baseline is None
        origin = None if session is None else session.settings.origin
        fresh = session is not None and not session.opencode.session_exists  # no agent has worked there yet
        if fresh and origin is not None and origin.tree is not None:
            await self._context.host_of(workspace_id).trees.lay_out(
                origin.workspace_id, origin.tree, state.prepared.directory
            )
        directory, branch = state.prepared.directory, state.prepared.branch
        recipe = await self._setups.recipe(session, state)
        if session is not None and fresh and recipe is None:
            self._create_ahead(session, directory)

        async def take_baseline() -> str | None:
            return await self._diffs.baseline(workspace_id, directory) if first else None

        baseline, _ = await both(take_baseline(), self._setups.equip(state))
        return ReportWorkspaceReady(
            workspace_id=workspace_id,
            directory=directory,
            branch=branch,
            at_ms=self._now(),
            baseline=baseline,
            recipe=recipe,
        )

    def _create_ahead(self, session: State, directory: str) -> None:
        """Let the process that the session will probably share create OpenCode's session, at the same time as all this.

        The directory must be complete, with no set-up to come.
        """
        instance = self._placement.shared_with(session)
        if instance is not None:
            self._context.connections.create_ahead(instance.id, session.opencode.session_id, directory)

    def _check_stays(self, directory: str, workspace_id: str) -> None:
        """Raise `Problem` workspace_gone if the directory is inside another workspace that is being removed.

        A removal checks for sessions after it has begun, so either it or this check sees the other.
        """
        for other in self._context.views.workspaces:
            going = other.phase in ("removing", "removed") and other.spec is not None and other.id != workspace_id
            if going and other.spec is not None and is_inside(directory, (other.spec.directory,)):
                raise Problem("workspace_gone", f"{directory!r} is in a workspace that is {other.phase}")

    async def _set_up(self, session_id: str, effect: e.SetUpWorkspace, report: Reporter) -> None:
        await self._setups.set_up(session_id, effect, report)

    async def _attach_instance(self, session_id: str, effect: e.AttachInstance, report: Reporter) -> None:
        async def delayed(reason: str) -> None:
            await report(ReportProvisionDelayed(step="instance", reason=reason, at_ms=self._now()))

        await report(await self._instance(session_id, effect, delayed))

    async def _instance(self, session_id: str, effect: e.AttachInstance, delayed: Delayed) -> SessionCommand:
        instance_id = await self._placement.place(session_id, effect, delayed)
        wait = partial(self._context.views.instances.wait, instance_id, lambda s: s.phase in LIVE | OVER)
        host = self._context.host_of_instance(instance_id).name
        state = await within(self._context, host, SPAWN_READY_TIMEOUT_S * 2, wait)  # its own deadline comes first
        if state is None:
            raise Problem("opencode_not_ready", "the OpenCode process did not become ready in time")
        if state.phase in LIVE:
            return ReportInstanceReady(instance_id=instance_id, at_ms=self._now())
        if state.host_lost:
            return lost_with_host("instance", state.evidence, self._now())
        if state.failure_code is not None:
            raise Problem(state.failure_code, state.evidence)
        raise Problem("opencode_exited", ended_early(state.evidence))

    async def _open_conversation(self, session_id: str, effect: e.OpenConversation, report: Reporter) -> None:
        await self._openings.open(session_id, effect, report)

    # ----------------------------------------------------------------------------------------------------- end of life

    async def _end(self, session_id: str, effect: e.EndSession, report: Reporter) -> None:
        evidence, leaves = "a stop was requested", False
        state = self._context.views.sessions.get(session_id)
        turn = None if state is None else state.turn
        if effect.instance_id is not None:
            try:
                client = await self._context.connections.get(effect.instance_id)
                if turn is not None and not turn.delivered:
                    await self._turns.await_late(client, effect.opencode_id, turn.message_id)
                steered = turn is not None and bool(turn.steering)
                leaves = not await self._turns.abort_until_idle(
                    client, effect.opencode_id, effect.directory, twice=steered
                )
                if turn is not None:
                    await self._turns.record(session_id, client, effect.opencode_id, turn.message_id, report)
            except Problem as problem:
                leaves = True
                _log.warning("stop_without_opencode", session=session_id, code=problem.code)
            leaves = leaves and self._is_shared(effect.instance_id, session_id)
            if leaves:
                evidence += "; OpenCode does not answer: what may run there is aborted as soon as it does"
            else:
                await self._detach(session_id, effect.instance_id)
        for instance_id in [] if state is None else await self._placement.attached(state):
            if not leaves or instance_id != effect.instance_id:
                await self._detach(session_id, instance_id)
        await self._record_changes(session_id, report)
        self._live_events.forget(session_id)
        await report(ReportSessionStopped(evidence=evidence, at_ms=self._now(), leaves=leaves))

    def _is_shared(self, instance_id: str, session_id: str) -> bool:
        """Return whether the process continues without the session, because other sessions use it."""
        instance = self._context.views.instances.get(instance_id)
        if instance is None or instance.phase in OVER:
            return False
        others = (self._context.views.sessions.get(other) for other in instance.sessions if other != session_id)
        return any(other is not None and other.opencode.detaching_from != instance_id for other in others)

    async def _record_changes(self, session_id: str, report: Reporter) -> None:
        state = self._context.views.sessions.get(session_id)
        if state is not None and state.turn is not None:
            await self._diffs.record(session_id, state.turn.number, report, patient=False)  # the host may be gone
            with trio.move_on_after(SAVE_LAST_S):
                await save_session(self._context, session_id)

    async def _detach(self, session_id: str, instance_id: str) -> None:
        command = DetachSession(session_id=session_id, at_ms=self._now())
        deliver = Deliver[InstanceCommand](command, self._cause(session_id))
        detach = partial(self._context.actors.instances.ask, instance_id, deliver)
        await persist(detach, Patience("session_not_detached", session=session_id), every_s=TURN_RECHECK_S)
        if (state := self._context.views.sessions.get(session_id)) is not None:
            await self._releases.left(instance_id, state.directory)

    async def _leave(self, session_id: str, effect: e.DetachInstance, report: Reporter) -> None:
        """Detach the session once nothing runs for it; without sessions the process is stopped."""
        while self._is_shared(effect.instance_id, session_id):
            try:
                client = await self._context.connections.get(effect.instance_id)
                if await self._turns.abort_until_idle(client, effect.opencode_id, effect.directory, twice=True):
                    break
            except Problem as problem:
                _log.warning("leaves_a_silent_instance", session=session_id, code=problem.code)
            await trio.sleep(DETACH_RETRY_S)
        try:
            await self._detach(session_id, effect.instance_id)
        except Rejected as rejected:
            _log.info("left_a_gone_instance", session=session_id, code=rejected.code)
        self._live_events.forget(session_id)
        await report(ReportDetached(instance_id=effect.instance_id, at_ms=self._now()))

    async def _erase(self, session_id: str, _: e.EraseRecords, __: Reporter) -> None:
        """Erase everything that is stored for the session."""
        erase = partial(self._erasure.erase, session_id)
        await persist(erase, Patience("erasure_retried", session=session_id), every_s=ERASURE_RETRY_S)

    def _cause(self, session_id: str) -> Cause:
        return cause_here(f"session:{session_id}")

    # --------------------------------------------------------------------------------------------------------- turns

    async def _deliver(self, session_id: str, effect: e.DeliverPrompt, report: Reporter) -> None:
        await self._deliveries.deliver(session_id, effect, report)

    async def _follow(self, session_id: str, effect: e.FollowTurn, report: Reporter) -> None:
        await self._turns.follow(session_id, effect, report)

    async def _stop_turn(self, session_id: str, effect: e.StopTurn, _: Reporter) -> None:
        await self._turns.stop(session_id, effect)

    async def _steer(self, session_id: str, effect: e.SteerTurn, report: Reporter) -> None:
        await self._deliveries.steer(session_id, effect, report)

    async def _answer(self, session_id: str, effect: e.AnswerOpenCode, report: Reporter) -> None:
        await self._turns.answer(session_id, effect, report)

    async def _notify_parent(self, session_id: str, effect: e.NotifyParent, report: Reporter) -> None:
        await self._callbacks.notify(session_id, effect, report)

    async def _settle(self, session_id: str, effect: e.Settle, report: Reporter) -> None:
        await self._turns.check_idle_after_resume(session_id, effect, report)


_PERFORM: Mapping[type[Any], Callable[[SessionEffects, str, Any, Reporter], Awaitable[None]]] = {
    e.ProvideWorkspace: SessionEffects._prepare_workspace,
    e.SetUpWorkspace: SessionEffects._set_up,
    e.AttachInstance: SessionEffects._attach_instance,
    e.OpenConversation: SessionEffects._open_conversation,
    e.DeliverPrompt: SessionEffects._deliver,
    e.FollowTurn: SessionEffects._follow,
    e.StopTurn: SessionEffects._stop_turn,
    e.Settle: SessionEffects._settle,
    e.EndSession: SessionEffects._end,
    e.DetachInstance: SessionEffects._leave,
    e.EraseRecords: SessionEffects._erase,
    e.SteerTurn: SessionEffects._steer,
    e.AnswerOpenCode: SessionEffects._answer,
    e.NotifyParent: SessionEffects._notify_parent,
}
