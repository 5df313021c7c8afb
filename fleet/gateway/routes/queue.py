"""The routes for a session's queue: list, withdraw and edit waiting prompts, and steer with one."""

import trio
from quart import Blueprint, Response

from fleet.actors.fleet import Fleet
from fleet.core.session.state import QueuedPrompt
from fleet.core.session.values import Model
from fleet.core.times import rfc3339
from fleet.gateway.openapi.document import about, asks, gives, gives_nothing, refuses, takes
from fleet.gateway.openapi.refusals import COMMAND, SESSION
from fleet.gateway.server.requests import caller, check_cursor, done, paged, read_body, read_no_body, read_query
from fleet.wire.bodies import InstanceQuery, ModelBody, PromptTextBody, QueueQuery
from fleet.wire.items import QueuedItem


def add_queue(routes: Blueprint, fleet: Fleet) -> None:
    """Add the routes to those of the sessions."""
    _add_list(routes, fleet)
    _add_orders(routes, fleet)


def _add_list(routes: Blueprint, fleet: Fleet) -> None:
    @routes.get("/<session_id>/queue")
    @about("sessions")
    @asks(QueueQuery)
    @gives(list[QueuedItem])
    @refuses(*SESSION)
    async def read_queue(session_id: str) -> Response:
        """List the prompts that wait, the next one first.

        They are sent one by one, when the turn before has ended. `actor` names the caller that gave it. With `at` it is
        the queue of then.
        """
        query, position = read_query(QueueQuery), fleet.log.head()
        state = fleet.sessions.session(session_id, query.instance_id)
        queue = state.queue.prompts
        if query.at is not None:
            earlier = await fleet.past.sessions.one(state.id, check_cursor(fleet, query.at, "at"))
            queue = () if earlier is None else earlier.queue.prompts
        actors = await fleet.transcripts.askers(
            fleet.views.sessions.stream(state.id), [prompt.prompt_id for prompt in queue]
        )
        return paged(queue, query, lambda prompt: _queued(prompt, actors[prompt.prompt_id]), position)


def _add_orders(routes: Blueprint, fleet: Fleet) -> None:
    orders = fleet.sessions

    @routes.delete("/<session_id>/queue/<prompt_id>")
    @about("sessions")
    @asks(InstanceQuery)
    @gives_nothing
    @refuses(*COMMAND, *SESSION, "prompt_not_found")
    async def withdraw_prompt(session_id: str, prompt_id: str) -> Response:
        """Withdraw a waiting prompt.

        Its id is that of the queue. One that was sent already is not found.
        """
        orders.session(session_id, read_query(InstanceQuery).instance_id)
        await read_no_body()
        outcome = await orders.withdraw(session_id, prompt_id, await caller())
        return done(outcome.position)

    @routes.patch("/<session_id>/queue/<prompt_id>")
    @about("sessions")
    @asks(InstanceQuery)
    @takes(PromptTextBody, {"text": "Add error handling to the login and logout endpoints"})
    @gives_nothing
    @refuses(*COMMAND, *SESSION, "prompt_not_found", "prompt_sent", "prompt_empty", "queue_full")
    async def edit_prompt(session_id: str, prompt_id: str) -> Response:
        """Give a waiting prompt another text.

        Its attachments, agent and model stay, and so does its place; of a command these are the arguments. One that was
        sent into a turn which ended first cannot be changed any more: OpenCode may hold it.
        """
        orders.session(session_id, read_query(InstanceQuery).instance_id)
        body = await read_body(PromptTextBody)
        outcome = await orders.edit_prompt(session_id, prompt_id, body.text, await caller())
        return done(outcome.position)

    @routes.post("/<session_id>/queue/<prompt_id>/steer")
    @about("sessions")
    @asks(InstanceQuery)
    @gives_nothing
    @refuses(*COMMAND, *SESSION, "prompt_not_found", "prompt_sent", "turn_not_steerable")
    async def steer_prompt(session_id: str, prompt_id: str) -> Response:
        """Send a waiting prompt into the turn that runs.

        The agent takes it up at its next step. Where the turn ends before it has arrived, it waits again and begins the
        next turn.
        """
        orders.session(session_id, read_query(InstanceQuery).instance_id)
        await read_no_body()
        outcome = await orders.steer_prompt(session_id, prompt_id, await caller())
        await trio.lowlevel.checkpoint()  # the prompt leaves for OpenCode before time goes into this answer
        return done(outcome.position)


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
