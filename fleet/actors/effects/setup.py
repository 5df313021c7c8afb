"""Sets up workspaces and tears them down, with the commands that a person has allowed.

The recipe is read once from the new checkout and recorded; exactly the recorded commands run. A set-up waits for its
permission without a limit; abort, skip and the end of the session cancel it. A teardown runs the commands that were
allowed with its set-up, for a limited time, and a removal waits for it no longer than that.
"""

from collections.abc import Mapping
from typing import Final

import structlog

from fleet.actors.context import Context
from fleet.actors.effects.diffs import DiffEffects
from fleet.actors.effects.host_calls import await_answer
from fleet.actors.effects.port_ranges import PortRanges
from fleet.actors.runtime.aggregate import Deliver, ReportBack
from fleet.actors.runtime.causation import cause_here
from fleet.core import trust
from fleet.core.session import effects as e
from fleet.core.session.commands import SessionCommand
from fleet.core.session.report_commands import ReportSetupEnded, ReportSetupHeld, ReportSetupOutput, ReportSetupStarted
from fleet.core.session.state import State
from fleet.core.workspace.commands import RecordSetup, ReportTornDown, WorkspaceCommand
from fleet.core.workspace.state import State as Workspace
from fleet.errors import Problem, Rejected
from fleet.limits import SETUP_DETAIL_CHARS, SETUP_S, TEARDOWN_S
from fleet.ports import OnOutput, Recipe, Script, ScriptEnd, WorkspaceSpec

_log = structlog.get_logger(__name__)

_NOT_ALLOWED: Final = "it did not run: its commands are no longer allowed"


class Setups:
    """The set-ups and teardowns of all workspaces."""

    def __init__(self, context: Context, diffs: DiffEffects) -> None:
        self._context = context
        self._diffs = diffs
        self._port_ranges = PortRanges(context)

    def _now(self) -> int:
        return self._context.clock.now_ms()

    async def equip(self, workspace: Workspace) -> None:
        """Lease ports to a workspace, and set the environment of commands that agents run in it."""
        equipped = await self._port_ranges.lease(workspace)
        if equipped.ports is not None:
            await self._context.host_of(equipped.id).shells.expose(equipped.id, variables_of(equipped))

    async def recipe(self, session: State | None, workspace: Workspace) -> Recipe | None:
        """Return how the session's workspace is to be set up; None if it needs no set-up or already has it.

        An existing directory belongs to a person, who has set it up.
        """
        spec = workspace.spec
        if session is None or spec is None or spec.strategy == "existing" or workspace.set_up:
            return None
        recipe = await self._context.at(spec.host).scripts.read(_place(workspace, spec))
        before = session.setup
        skipped = before is not None and before.status == "skipped" and before.recipe == recipe
        return None if skipped else recipe

    async def set_up(self, session_id: str, effect: e.SetUpWorkspace, report: ReportBack[SessionCommand]) -> None:
        """Wait until the commands are allowed, run them, and report the result."""
        written = _Tail()

        async def on_output(text: str) -> None:
            written.take(text)
            await report(ReportSetupOutput(text=text, at_ms=self._now()))

        try:
            await self._await_permission(effect, report)
            await report(ReportSetupStarted(at_ms=self._now()))
            await self._record(effect, complete=False)
            end = await self._run(effect.workspace_id, effect.recipe.script, SETUP_S, effect.attempt, on_output)
            if end.code == 0:
                await self._record(effect, complete=True)
        except Problem as problem:
            lost = problem.code == "host_unreachable" and not await self._host_answers(effect.workspace_id)
            failed = ReportSetupEnded(
                exit_code=None, code=problem.code, detail=problem.detail, host_lost=lost, at_ms=self._now()
            )
            await report(failed)
            return
        if end.code == 0:
            baseline = await self._baseline(session_id)
            await report(ReportSetupEnded(exit_code=0, code=None, detail="", at_ms=self._now(), baseline=baseline))
        else:
            detail = _failure("set-up", end, SETUP_S, written.text)
            await report(ReportSetupEnded(exit_code=end.code, code="setup_failed", detail=detail, at_ms=self._now()))

    async def _host_answers(self, workspace_id: str) -> bool:
        """Wait until the host answers or is lost, and return whether it answers: what ran there has ended."""
        return await await_answer(self._context, self._context.host_of(workspace_id).name)

    async def _await_permission(self, effect: e.SetUpWorkspace, report: ReportBack[SessionCommand]) -> None:
        recipe, trusted = effect.recipe, self._context.views.trust
        if recipe.problem:
            raise Rejected("setup_invalid", recipe.problem)
        state = trusted.get(trust.TRUST_ID)
        if state is None or not state.allows(effect.repository, recipe.digest):
            await report(ReportSetupHeld(at_ms=self._now()))
            await trusted.wait(trust.TRUST_ID, lambda now: now.allows(effect.repository, recipe.digest))

    async def _record(self, effect: e.SetUpWorkspace, *, complete: bool) -> None:
        """Record the set-up in the workspace: a resume does not repeat it, and the teardown is this recipe's."""
        command = RecordSetup(repository=effect.repository, recipe=effect.recipe, complete=complete, at_ms=self._now())
        deliver = Deliver[WorkspaceCommand](command, cause_here(f"workspace:{effect.workspace_id}"))
        await self._context.actors.workspaces.ask(effect.workspace_id, deliver)

    async def _run(
        self, workspace_id: str, text: str, timeout_s: float, attempt: int, on_output: OnOutput
    ) -> ScriptEnd:
        workspace = self._context.views.workspaces.get(workspace_id)
        if not text or workspace is None or workspace.spec is None:
            return ScriptEnd(0)
        spec = workspace.spec
        place = _place(workspace, spec)
        script = Script(f"setup-{workspace_id}", text, place, variables_of(workspace), timeout_s, attempt)
        return await self._context.at(spec.host).scripts.run(script, on_output)

    async def _baseline(self, session_id: str) -> str | None:
        """Return the tree after the set-up: files that the set-up makes are not changes of the session."""
        state = self._context.views.sessions.get(session_id)
        if state is None or state.turns:
            return None
        return await self._diffs.baseline(state.workspace_id, state.directory)

    async def tear_down(self, workspace: Workspace) -> ReportTornDown | None:
        """Run the teardown of the workspace's set-up and return its result; None if there is no teardown."""
        recipe = workspace.recipe
        if recipe is None or not recipe.teardown:
            return None
        trusted = self._context.views.trust.get(trust.TRUST_ID)
        if trusted is None or not trusted.allows(workspace.recipe_of, recipe.digest):
            return ReportTornDown(exit_code=None, detail=_NOT_ALLOWED, output="", at_ms=self._now())
        written = _Tail()

        async def on_output(text: str) -> None:
            written.take(text)

        try:
            end = await self._run(workspace.id, recipe.teardown, TEARDOWN_S, workspace.since_ms, on_output)
            detail = "" if end.code == 0 else _failure("teardown", end, TEARDOWN_S, "")
        except Problem as problem:
            end, detail = ScriptEnd(None), problem.detail
        if detail:
            _log.warning("workspace_not_torn_down", workspace=workspace.id, detail=detail)
        return ReportTornDown(exit_code=end.code, detail=detail, output=written.text, at_ms=self._now())


def _place(workspace: Workspace, spec: WorkspaceSpec) -> str:
    """Return the workspace's directory on its host."""
    return spec.directory if workspace.prepared is None else workspace.prepared.directory


class _Tail:
    """The end of a script's output."""

    def __init__(self) -> None:
        self.text = ""

    def take(self, text: str) -> None:
        self.text = (self.text + text)[-SETUP_DETAIL_CHARS:]


def variables_of(workspace: Workspace) -> Mapping[str, str]:
    """Return the environment variables that describe the workspace to scripts and to the agent's commands."""
    source = "" if workspace.spec is None else workspace.spec.source_directory
    found = {"FLEET_WORKSPACE_ID": workspace.id, "FLEET_SOURCE_DIRECTORY": source}
    if workspace.ports is not None:
        found["FLEET_PORT_BASE"] = str(workspace.ports.first)
        found["FLEET_PORT_COUNT"] = str(workspace.ports.count)
    return found


def _failure(what: str, end: ScriptEnd, timeout_s: float, written: str) -> str:
    if end.code is None:
        said = f"the {what} took longer than {timeout_s:.0f} s and was ended"
    else:
        said = f"the {what} ended with exit code {end.code}"
    last = " / ".join(line.strip() for line in written.splitlines()[-3:] if line.strip())
    return f"{said}: {last}" if last else said
