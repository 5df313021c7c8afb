"""The use cases of sessions: each turns a request into commands and waits for the result.

The gateway, the demo and the simulation call it. A use case resolves ids, checks the request before anything is logged,
sends a command to one actor, and waits until the ordered work is done. The views serve reads.
"""

import math
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TypeVar

import msgspec
import trio
from msgspec.structs import replace

from fleet.actors.caller import Caller
from fleet.actors.context import Context, WorkspaceReply
from fleet.actors.effects.erasure import absent_session
from fleet.actors.effects.rooms import Rooms
from fleet.actors.effects.slash_commands import SlashCommands
from fleet.actors.effects.workspace_check import look
from fleet.actors.prompt import NewPrompt
from fleet.actors.usecases.workspace_roots import WorkspaceRoots
from fleet.core.session import commands
from fleet.core.session.consequences import FRESH_HINT
from fleet.core.session.state import State
from fleet.core.session.values import Answer, Budget, SessionSettings
from fleet.core.workspace.commands import EditWorkspace
from fleet.core.workspace.faults import described, way_out
from fleet.errors import PROBLEMS, Problem, Rejected, Unavailable
from fleet.keyed_locks import Locks
from fleet.limits import (
    ABORT_WAIT_S,
    CALLBACK_DEPTH_MAX,
    DISK_CHECK_S,
    INSTANCE_QUEUE_RETRY_S,
    SESSION_READY_TIMEOUT_S,
    STOP_WAIT_S,
)
from fleet.ports import Source, WorkspaceSpec
from fleet.wire.enums import AbortOutcome

Command = TypeVar("Command")


class NewSession(msgspec.Struct, frozen=True):
    """A caller's request for a session. Without a title in its `settings` it gets one from its prompt or directory."""

    directory: str
    settings: SessionSettings = SessionSettings(title="", strategy="existing")
    initial_prompt: NewPrompt | None = None
    notify_session: str | None = None
    notify_instance: str | None = None


class CommandResult(msgspec.Struct, frozen=True):
    """The result of a use case: the session's state and the log position."""

    session: State
    position: int


class SessionUseCases:
    """The use cases of sessions, on one Fleet."""

    def __init__(self, context: Context, rooms: Rooms) -> None:
        self._context = context
        self._rooms = rooms
        self._roots = WorkspaceRoots(context)
        self._creating = Locks()
        self._commands = SlashCommands(context)

    # ------------------------------------------------------------------------------------------------------ creation

    async def create(self, new: NewSession, caller: Caller) -> CommandResult:
        """Create a session and return once it can take a prompt.

        Raises `Rejected` for what is wrong with the request; nothing has changed then. What goes wrong later leaves the
        session in `error`, where resume tries again: the problem names it as `sessionId`. So does the same creation, by
        its key, unless the reason lies with the request.
        """
        async with self._one_at_a_time(caller):
            session_id = caller.created_before(self._context.log)
            if session_id is None:
                command = await self._creation(new)
                session_id = command.session_id
                await self._ask(session_id, command, caller)
            elif self._may_work_now(session_id):
                resume = commands.ResumeSession(at_ms=self._now())
                await self._ask(session_id, resume, replace(caller, idempotency_key=None))
        return await self._provisioned(session_id)

    def _one_at_a_time(self, caller: Caller) -> AbstractAsyncContextManager[None]:
        """Serialise creations with the same idempotency key: the second request finds the first's session."""
        key = caller.idempotency_key
        return nullcontext() if key is None else self._creating.hold(key)

    def _may_work_now(self, session_id: str) -> bool:
        """Return whether the creation failed for a temporary reason, not because of the request."""
        session = self._context.views.sessions.get(session_id)
        if session is None or session.phase != "error" or session.provisioning is not None:
            return False
        failure = session.failure
        return failure is not None and failure.step is not None and PROBLEMS[failure.code].status >= 500

    async def _creation(self, new: NewSession) -> commands.CreateSession:
        context = self._context
        parent = None if new.notify_session is None else self._parent(new.notify_session, new.notify_instance)
        prompt = new.initial_prompt and await self._commands.resolve(new.initial_prompt, None)
        source = await context.local.workspaces.inspect(new.directory)
        self._roots.require(source.directory)
        if new.settings.strategy != "existing" and source.repository is not None:
            self._roots.require(source.repository)
        await self._rooms.require(new.settings)
        settings = replace(new.settings, title=new.settings.title or _default_title(new, source))
        spec = await self._workspace_spec(settings, source)
        now = context.clock.now_ms()
        return commands.CreateSession(
            session_id=context.ids.uuid7(),
            settings=replace(
                settings, branch=spec.branch, base_ref=spec.base_ref, parent_id=None if parent is None else parent.id
            ),
            workspace_id=spec.workspace_id,
            source_directory=source.directory,
            source_repository=source.repository,
            directory=spec.directory,
            opencode_id=context.ids.opencode("ses"),
            at_ms=now,
            initial_prompt=None if prompt is None else self._submission(prompt, resume=False),
            depth=0 if parent is None else parent.depth + 1,
        )

    def _parent(self, any_id: str, instance_id: str | None) -> State:
        """Return the session that gets the callbacks. A new session cannot close a cycle; a chain may be too long."""
        parent = self.session(any_id, instance_id)
        if parent.depth >= CALLBACK_DEPTH_MAX:
            raise Rejected(
                "callback_too_deep",
                f"session {any_id} has {parent.depth} ancestors already",
                field="onComplete",
                hint=f"At most {CALLBACK_DEPTH_MAX} sessions may wait for each other in a chain.",
            )
        return parent

    async def _workspace_spec(self, settings: SessionSettings, source: Source) -> WorkspaceSpec:
        context = self._context
        if settings.strategy == "existing":
            for field, value in (("branch", settings.branch), ("baseRef", settings.base_ref)):
                if value is not None:
                    raise Rejected("invalid", f"{field} goes with a worktree or a clone", field=field)
            shared = context.views.workspaces.existing(source.directory)
            if shared is not None and shared.spec is not None and shared.phase != "failed":
                return shared.spec
        workspace_id = context.ids.uuid7()
        directory, branch = context.local.workspaces.plan(
            workspace_id, settings.strategy, source, settings.branch, settings.title
        )
        spec = WorkspaceSpec(workspace_id, settings.strategy, source.directory, directory, branch, settings.base_ref)
        await context.local.workspaces.check(spec, source)
        return spec

    # ------------------------------------------------------------------------------------------------ prompts and turns

    async def prompt(self, any_id: str, prompt: NewPrompt, *, resume: bool, caller: Caller) -> CommandResult:
        """Put a prompt into the session's queue. With `resume`, a session that has ended is brought back first."""
        session = self.session(any_id)
        submission = self._submission(await self._commands.resolve(prompt, session), resume=resume)
        workspace = await look(self._context, session.workspace_id)
        if workspace is not None and workspace.fault == "missing":
            submission = replace(submission, lost=(described(workspace) or "", way_out(workspace)))
        return await self._ask(session.id, submission, caller)

    def _submission(self, prompt: NewPrompt, *, resume: bool) -> commands.SubmitPrompt:
        context = self._context
        return commands.SubmitPrompt(
            prompt_id=context.ids.uuid7(),
            text=prompt.text,
            at_ms=context.clock.now_ms(),
            new_ids=context.new_turn_ids(),
            attachments=prompt.attachments,
            agent=prompt.agent,
            model=prompt.model,
            resume=resume,
            command=prompt.command,
            steer=prompt.steer,
        )

    async def withdraw(self, any_id: str, prompt_id: str, caller: Caller) -> CommandResult:
        """Take a waiting prompt out of the queue."""
        session = self.session(any_id)
        return await self._ask(session.id, commands.WithdrawPrompt(prompt_id=prompt_id, at_ms=self._now()), caller)

    async def edit_prompt(self, any_id: str, prompt_id: str, text: str, caller: Caller) -> CommandResult:
        """Replace the text of a waiting prompt."""
        session = self.session(any_id)
        return await self._ask(
            session.id, commands.EditPrompt(prompt_id=prompt_id, text=text, at_ms=self._now()), caller
        )

    async def steer_prompt(self, any_id: str, prompt_id: str, caller: Caller) -> CommandResult:
        """Send a waiting prompt into the running turn."""
        session = self.session(any_id)
        command = commands.SteerPrompt(prompt_id=prompt_id, at_ms=self._now(), new_ids=self._context.new_turn_ids())
        return await self._ask(session.id, command, caller)

    async def answer(self, any_id: str, request_id: str, answer: Answer, caller: Caller) -> CommandResult:
        """Answer a permission request or question; the answer is sent to OpenCode afterwards."""
        session = self.session(any_id)
        command = commands.AnswerRequest(request_id=request_id, answer=answer, at_ms=self._now(), actor=caller.actor)
        return await self._ask(session.id, command, caller)

    async def read_notifications(self, any_id: str, numbers: tuple[int, ...] | None, caller: Caller) -> CommandResult:
        """Mark these notifications as read; None for all."""
        session = self.session(any_id)
        command = commands.ReadNotifications(numbers=numbers, at_ms=self._now())
        return await self._ask(session.id, command, caller)

    async def set_budget(self, any_id: str, budget: Budget | None, caller: Caller) -> CommandResult:
        """Change or remove the session's budget."""
        session = self.session(any_id)
        command = commands.SetBudget(budget=budget, at_ms=self._now(), new_ids=self._context.new_turn_ids())
        return await self._ask(session.id, command, caller)

    async def abort(self, any_id: str, caller: Caller) -> tuple[CommandResult, AbortOutcome]:
        """Abort the running turn, wait for that, and return `aborted`, `nothing_to_abort` or `aborting`."""
        session = self.session(any_id)
        ordered = await self._ask(session.id, commands.AbortTurn(at_ms=self._now()), caller)
        if session.provisioning == "setup" and ordered.session.provisioning is None:
            return ordered, "aborted"
        turn = ordered.session.turn
        if turn is None or not turn.aborting:
            return ordered, "nothing_to_abort"
        number = turn.number
        with trio.move_on_after(ABORT_WAIT_S):
            state = await self._once(session.id, lambda s: s.turn is None or s.turn.number != number)
            return self._result(state), "aborted" if state.last_outcome == "aborted" else "ended"
        return self._result(self.session(session.id)), "aborting"

    # ------------------------------------------------------------------------------------------------ resume and end

    async def resume(self, any_id: str, caller: Caller, *, fresh: bool = False) -> CommandResult:
        """Resume the session and return once it can accept a prompt. Raises the problem that prevented it.

        With `fresh` it begins a new conversation in its workspace.
        """
        session = self.session(any_id)
        opencode_id = self._context.ids.opencode("ses") if fresh else None
        await self._ask(session.id, commands.ResumeSession(at_ms=self._now(), opencode_id=opencode_id), caller)
        return await self._provisioned(session.id)

    async def skip_setup(self, any_id: str, caller: Caller) -> CommandResult:
        """Let the session continue in a workspace that is not set up; return as soon as that is ordered."""
        session = self.session(any_id)
        return await self._ask(session.id, commands.SkipSetup(at_ms=self._now()), caller)

    async def stop(self, any_id: str, caller: Caller) -> CommandResult:
        """End the session and return once it has stopped."""
        session = self.session(any_id)
        await self._ask(session.id, commands.StopSession(at_ms=self._now()), caller)
        # A repeated request finds an end that is over, and perhaps a session that was resumed since.
        state = await self._wait(session.id, lambda s: not s.stopping, STOP_WAIT_S, "stopped")
        return self._result(state)

    async def edit(self, any_id: str, title: str | None, tags: tuple[str, ...] | None, caller: Caller) -> CommandResult:
        """Change the session's title or tags."""
        session = self.session(any_id)
        return await self._ask(session.id, commands.EditSession(at_ms=self._now(), title=title, tags=tags), caller)

    async def edit_workspace(self, workspace_id: str, title: str | None, caller: Caller) -> WorkspaceReply:
        """Set a workspace's title; None removes it. Raises `Rejected` workspace_not_found."""
        command = EditWorkspace(title=title, at_ms=self._now())
        return await self._context.actors.workspaces.ask(workspace_id, caller.deliver(command))

    # -------------------------------------------------------------------------------------------------------- reading

    def session(self, any_id: str, instance_id: str | None = None) -> State:
        """Return the session with this Fleet or OpenCode id; with `instance_id`, only if it has had that instance."""
        state = self._context.views.sessions.find(any_id)
        if state is None:
            raise absent_session(self._context.log, any_id)
        if instance_id is not None and instance_id not in state.opencode.instance_ids:
            raise Rejected("instance_not_found", f"session {any_id} never had an instance {instance_id}")
        return state

    # -------------------------------------------------------------------------------------------------------- waiting

    async def _provisioned(self, session_id: str) -> CommandResult:
        # A set-up takes its time, or a person's: who ordered it sees it run, and prompts wait in the queue.
        state = await self._wait(
            session_id, lambda s: s.provisioning in (None, "setup"), SESSION_READY_TIMEOUT_S, "ready", needs_log=True
        )
        failure = state.failure if state.provisioning is None else None
        if failure is not None and failure.step not in (None, "setup"):  # which fails or not when it has been answered
            retry_after_s = INSTANCE_QUEUE_RETRY_S if failure.code == "overloaded" else None
            hint = FRESH_HINT if state.has_lost_conversation else self._way_back(state, failure.code)
            extra = {"sessionId": session_id}
            raise Problem(failure.code, failure.detail, hint=hint, retry_after_s=retry_after_s, extra=extra)
        return self._result(state)

    def _way_back(self, session: State, code: str) -> str | None:
        """Return how its workspace can be restored; None if that is not what is wrong, or Fleet has not removed it."""
        if code != "workspace_gone":
            return None
        workspace = self._context.views.workspaces.get(session.workspace_id)
        if workspace is not None and workspace.fault is not None:
            return way_out(workspace)
        removed = workspace is not None and workspace.phase in ("removing", "removed")
        return f"Restore it with POST /api/workspaces/{session.workspace_id}/restore." if removed else None

    async def _wait(
        self, session_id: str, until: Callable[[State], bool], timeout_s: float, what: str, *, needs_log: bool = False
    ) -> State:
        """Wait until `until(state)` holds; with `needs_log`, only while no full disk keeps events out of the log."""
        with trio.move_on_after(timeout_s):
            while True:
                with trio.move_on_after(DISK_CHECK_S if needs_log else math.inf):
                    return await self._once(session_id, until)
                log = self._context.log.statistics()
                if log.refuses and log.shortage:
                    raise Unavailable(
                        "disk_full",
                        f"session {session_id} is not {what}, and continues when there is space: {log.shortage}",
                        extra={"sessionId": session_id},
                    )
        raise Unavailable(
            "timed_out",
            f"session {session_id} is not {what} after {timeout_s:.0f} s: the work continues, read its status",
            extra={"sessionId": session_id},
            retry_after_s=5,
        )

    async def _once(self, session_id: str, until: Callable[[State], bool]) -> State:
        """Wait until `until(state)` holds. Raises `erased` as soon as another request has erased the session."""
        state = await self._context.views.sessions.wait_while_present(session_id, until)
        if state is None:
            raise absent_session(self._context.log, session_id)
        return state

    def _now(self) -> int:
        return self._context.clock.now_ms()

    def _result(self, state: State) -> CommandResult:
        return CommandResult(state, self._context.log.head())

    async def _ask(self, session_id: str, command: commands.SessionCommand, caller: Caller) -> CommandResult:
        reply = await self._context.actors.sessions.ask(session_id, caller.deliver(command))
        return CommandResult(reply.state, reply.position)


def _default_title(new: NewSession, source: Source) -> str:
    if new.initial_prompt is not None and new.initial_prompt.text.strip():
        first_line = new.initial_prompt.text.strip().splitlines()[0]
        return first_line if len(first_line) <= TITLE_FROM_PROMPT_CHARS else f"{first_line[:TITLE_FROM_PROMPT_CHARS]}…"
    return source.directory.rstrip("/").rpartition("/")[2] or source.directory


TITLE_FROM_PROMPT_CHARS = 60
