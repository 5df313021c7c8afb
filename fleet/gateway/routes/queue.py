"""The routes for a session's queue: list, withdraw and edit waiting prompts, and steer with one."""

import trio
from quart import Response

from fleet.actors.caller import Caller
from fleet.actors.fleet import Fleet
from fleet.core.session.state import QueuedPrompt
from fleet.core.session.state import State as Session
from fleet.core.session.values import Model
from fleet.core.times import rfc3339
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.responses import NOTHING
from fleet.gateway.server.moments import Moment
from fleet.gateway.server.requests import done, paged
from fleet.wire.bodies import ModelBody, PastPageQuery, PromptTextBody
from fleet.wire.items import QueuedItem

endpoint = Endpoints("/api/sessions", "sessions")


@endpoint("GET /<session_id>/queue", gives=list[QueuedItem])
async def read_queue(fleet: Fleet, session: Session, query: PastPageQuery, moment: Moment | None) -> Response:
    """List the prompts that wait, the next one first.

    They are sent one by one, when the turn before has ended. `actor` names the caller that gave it. With `at` it is
    the queue of then.
    """
    position = fleet.log.head()
    queue = session.queue.prompts
    if moment is not None:
        earlier = await fleet.past.sessions.one(session.id, moment.position)
        queue = () if earlier is None else earlier.queue.prompts
    actors = await fleet.transcripts.askers(
        fleet.views.sessions.stream(session.id), [prompt.prompt_id for prompt in queue]
    )
    return paged(queue, query, lambda prompt: _queued(prompt, actors[prompt.prompt_id]), position)


@endpoint("DELETE /<session_id>/queue/<prompt_id>", gives=NOTHING, refuses=("prompt_not_found",))
async def withdraw_prompt(fleet: Fleet, session: Session, prompt_id: str, caller: Caller) -> Response:
    """Withdraw a waiting prompt.

    Its id is that of the queue. One that was sent already is not found.
    """
    result = await fleet.sessions.withdraw(session.id, prompt_id, caller)
    return done(result.position)


@endpoint(
    "PATCH /<session_id>/queue/<prompt_id>",
    gives=NOTHING,
    examples=({"text": "Add error handling to the login and logout endpoints"},),
    refuses=("prompt_not_found", "prompt_sent", "prompt_empty", "queue_full"),
)
async def edit_prompt(fleet: Fleet, session: Session, prompt_id: str, body: PromptTextBody, caller: Caller) -> Response:
    """Give a waiting prompt another text.

    Its attachments, agent and model stay, and so does its place; of a command these are the arguments. One that was
    sent into a turn which ended first cannot be changed any more: OpenCode may hold it.
    """
    result = await fleet.sessions.edit_prompt(session.id, prompt_id, body.text, caller)
    return done(result.position)


@endpoint(
    "POST /<session_id>/queue/<prompt_id>/steer",
    gives=NOTHING,
    refuses=("prompt_not_found", "prompt_sent", "turn_not_steerable"),
)
async def steer_prompt(fleet: Fleet, session: Session, prompt_id: str, caller: Caller) -> Response:
    """Send a waiting prompt into the turn that runs.

    The agent takes it up at its next step. If the turn ends before it has arrived, it waits again and begins the
    next turn.
    """
    result = await fleet.sessions.steer_prompt(session.id, prompt_id, caller)
    await trio.lowlevel.checkpoint()  # the prompt is sent to OpenCode before this response is made
    return done(result.position)


def _queued(prompt: QueuedPrompt, actor: str) -> QueuedItem:
    return QueuedItem(
        id=prompt.prompt_id,
        text=prompt.text,
        accepted_at=rfc3339(prompt.accepted_at_ms),
        attachments=len(prompt.attachments),
        agent=prompt.agent,
        model=_model(prompt.model),
        command=prompt.command,
        actor=actor,
    )


def _model(model: Model | None) -> ModelBody | None:
    return None if model is None else ModelBody(model.provider_id, model.model_id)
