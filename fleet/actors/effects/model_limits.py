"""Knows the context limit of each model. The limits come from the offers of instances (known_offers.py); if a model
whose limit is unknown has responded, the session's own instance is asked.

If the session's process does not respond, the limit remains unknown until another session uses this model.
"""

from collections.abc import Iterable, Sequence

import structlog
import trio

from fleet.actors.context import Context
from fleet.core.session.state import State
from fleet.errors import Problem
from fleet.limits import MODEL_LIMITS_MAX, MODEL_LIMITS_RETRY_S
from fleet.ports import OfferedModel
from fleet.projections.touched import Touched

_log = structlog.get_logger(__name__)

_Model = tuple[str, str]


class ModelLimits:
    """The limits in tokens, by provider and model. `run` fits a `ChildSpec`."""

    def __init__(self, context: Context, touched: Touched) -> None:
        self._context = context
        self._touched = touched
        self._known: dict[_Model, int | None] = {}
        self._unknown: dict[str, None] = {}  # sessions whose process is to be asked
        self._work = trio.Event()

    def of(self, state: State) -> int | None:
        """Return the limit of the model of the session's newest answer; None if it is not known."""
        model = _model_of(state)
        return None if model is None else self._known.get(model)

    def learn(self, models: Iterable[OfferedModel]) -> None:
        """Store the limits of models that OpenCode offers."""
        offered = {(each.provider_id, each.model_id): each.context_tokens for each in models}
        new = {model for model, limit in offered.items() if self._known.get(model) != limit}
        self._known |= offered
        while len(self._known) > MODEL_LIMITS_MAX:
            del self._known[next(iter(self._known))]
        if new:
            self._touched.touch_where(lambda state: _model_of(state) in new)

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Request unknown limits, one process after the other, until `stopping`."""
        async with trio.open_nursery() as nursery:
            with self._touched.follow(self):
                nursery.start_soon(self._ask_all)
                task_status.started()
                await stopping.wait()
            nursery.cancel_scope.cancel()

    async def _ask_all(self) -> None:
        while True:
            await self._work.wait()
            self._work = trio.Event()
            failed: Sequence[str] = [each for each in self._take() if not await self._ask(each)]
            if failed:
                await trio.sleep(MODEL_LIMITS_RETRY_S)

    def _take(self) -> list[str]:
        taken, self._unknown = list(self._unknown), {}
        return taken

    async def _ask(self, session_id: str) -> bool:
        """Request the limits from the session's process; return whether it responded (the model may have no limit)."""
        state = self._context.views.sessions.get(session_id)
        model = None if state is None else _model_of(state)
        if state is None or model is None or model in self._known:
            return True
        client = self._context.connections.current(state.opencode.instance_id or "")
        if client is None:
            return True  # its next change asks again
        try:
            self.learn(await client.models(state.directory))
        except Problem as problem:
            _log.info("model_limits_not_known", session=session_id, code=problem.code)
            return False
        self._known.setdefault(model, None)
        return True

    # ---------------------------------------------------------------------------------------------------- a `Follower`

    def touched(self, session_id: str, position: int) -> None:  # noqa: ARG002 - its current state counts
        """Check a changed session: another model may have answered."""
        state = self._context.views.sessions.get(session_id)
        model = None if state is None or state.opencode.instance_id is None else _model_of(state)
        if model is not None and model not in self._known:
            self._unknown[session_id] = None
            self._work.set()

    def others(self) -> None:
        """Webhooks have no model."""


def _model_of(state: State) -> _Model | None:
    context = state.context
    return None if context is None or not context.model_id else (context.provider_id, context.model_id)
