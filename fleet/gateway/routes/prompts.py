"""The routes for prompts, commands, and replies to a session's requests. queue.py has the waiting prompts."""

import base64

import trio
from quart import Blueprint, Response

from fleet.actors.fleet import Fleet
from fleet.actors.prompt import NewPrompt
from fleet.core.session.values import COMPACT, Answer, Model
from fleet.errors import Rejected
from fleet.gateway.items.states import request_item
from fleet.gateway.openapi.document import about, asks, gives, gives_nothing, refuses, takes
from fleet.gateway.openapi.refusals import COMMAND, PROMPT, SESSION
from fleet.gateway.routes.queue import add_queue
from fleet.gateway.server.requests import caller, done, paged, read_body, read_no_body, read_query
from fleet.ports import Attachment
from fleet.wire.bodies import (
    AnswerBody,
    AttachmentBody,
    CommandBody,
    InstancePageQuery,
    InstanceQuery,
    ModelBody,
    PromptBody,
)
from fleet.wire.items import RequestItem


def add_prompts(routes: Blueprint, fleet: Fleet) -> None:
    """Add the routes to those of the sessions."""
    _add_prompts(routes, fleet)
    add_queue(routes, fleet)
    _add_requests(routes, fleet)


def model_of(model: ModelBody | None) -> Model | None:
    """Return the model that a body names."""
    return None if model is None else Model(model.providerID, model.modelID)


def _add_prompts(routes: Blueprint, fleet: Fleet) -> None:
    orders = fleet.sessions

    @routes.post("/<session_id>/prompt")
    @about("sessions")
    @asks(InstanceQuery)
    @takes(PromptBody, {"text": "Add error handling to the login endpoint"})
    @gives_nothing
    @refuses(*COMMAND, *SESSION, *PROMPT, "workspace_gone")
    async def prompt_session(session_id: str) -> Response:
        """Send a prompt; results come over the event streams.

        While the session works, it waits in the queue; `steer` gives it to the turn that runs. `resume` brings a
        session that has ended back first.
        """
        orders.session(session_id, read_query(InstanceQuery).instance_id)
        body = await read_body(PromptBody)
        orders.session(session_id, body.instance_id)
        outcome = await orders.prompt(session_id, _new_prompt(body), resume=body.resume, caller=await caller())
        await trio.lowlevel.checkpoint()  # the prompt leaves for OpenCode before time goes into this answer
        return done(outcome.position)

    @routes.post("/<session_id>/command")
    @about("sessions")
    @asks(InstanceQuery)
    @takes(CommandBody, {"command": "init", "arguments": ""})
    @gives_nothing
    @refuses(*COMMAND, *SESSION, *PROMPT, "workspace_gone")
    async def command_session(session_id: str) -> Response:
        """Run one of OpenCode's commands, as a turn of its own.

        `GET /api/instances/{instance_id}/commands` lists them; one that there is not is refused with their names. While
        a turn runs it waits in the queue, as prompts do. A prompt `/name arguments` does the same.
        """
        orders.session(session_id, read_query(InstanceQuery).instance_id)
        body = await read_body(CommandBody)
        orders.session(session_id, body.instance_id)
        prompt = NewPrompt(body.arguments, (), body.agent, model_of(body.model), body.command)
        outcome = await orders.prompt(session_id, prompt, resume=False, caller=await caller())
        return done(outcome.position)

    @routes.post("/<session_id>/compact")
    @about("sessions")
    @asks(InstanceQuery)
    @gives_nothing
    @refuses(*COMMAND, *SESSION, *PROMPT)
    async def compact_session(session_id: str) -> Response:
        """Have the conversation summed up, as a turn of its own: the model goes on with the summary.

        While a turn runs it waits in the queue, as prompts do. The command `compact` does the same.
        """
        orders.session(session_id, read_query(InstanceQuery).instance_id)
        await read_no_body()
        outcome = await orders.prompt(session_id, NewPrompt("", command=COMPACT), resume=False, caller=await caller())
        return done(outcome.position)


def _add_requests(routes: Blueprint, fleet: Fleet) -> None:
    orders = fleet.sessions

    @routes.get("/<session_id>/requests")
    @about("requests")
    @asks(InstancePageQuery)
    @gives(list[RequestItem])
    @refuses(*SESSION)
    async def list_requests(session_id: str) -> Response:
        """List the permission requests and questions that wait for an answer.

        While one waits, so does the session (`waiting_input`). `request` is OpenCode's own JSON.
        """
        query = read_query(InstancePageQuery)
        requests = orders.session(session_id, query.instance_id).requests
        return paged(requests, query, request_item, fleet.log.head())

    @routes.post("/<session_id>/requests/<request_id>")
    @about("requests")
    @asks(InstanceQuery)
    @takes(AnswerBody, {"reply": "once"}, {"answers": [["Red"]]})
    @gives_nothing
    @refuses(*COMMAND, *SESSION, "request_not_found", "request_answered")
    async def answer_request(session_id: str, request_id: str) -> Response:
        """Answer a permission request or a question.

        `reply` is for a permission, `answers` for a question: a list of labels for each of its parts. Each request is
        answered once: a second answer gets `request_answered` with `answeredBy`, `at` and `reply` of the first.
        """
        orders.session(session_id, read_query(InstanceQuery).instance_id)
        body = await read_body(AnswerBody)
        answers = None if body.answers is None else tuple(tuple(labels) for labels in body.answers)
        given = Answer(body.reply, body.message, answers)
        outcome = await orders.answer(session_id, request_id, given, await caller())
        return done(outcome.position)


def _new_prompt(body: PromptBody) -> NewPrompt:
    attachments = tuple(_attachment(attachment) for attachment in body.attachments)
    return NewPrompt(body.text, attachments, body.agent, model_of(body.model), steer=body.delivery == "steer")


_MIMES = ("text/", "image/")


def _attachment(body: AttachmentBody) -> Attachment:
    # OpenCode stores a file of another type and then fails every later turn of the session.
    if not body.mime.startswith(_MIMES) and body.mime != "application/pdf":
        raise Rejected("invalid", f"attachments of type {body.mime} can't be sent", field="attachments")
    encoded = base64.b64encode(body.data).decode()
    return Attachment(body.mime, body.filename, f"data:{body.mime};base64,{encoded}")
