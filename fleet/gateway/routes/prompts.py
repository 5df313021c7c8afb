"""The routes for prompts, commands, and replies to a session's requests. queue.py has the waiting prompts."""

import base64

import trio
from quart import Response

from fleet.actors.caller import Caller
from fleet.actors.fleet import Fleet
from fleet.actors.prompt import NewPrompt
from fleet.core.session.state import State as Session
from fleet.core.session.state import initial
from fleet.core.session.values import COMPACT, Answer, Model
from fleet.errors import Rejected
from fleet.gateway.items.states import request_item
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.refusals import PROMPT
from fleet.gateway.openapi.responses import NOTHING
from fleet.gateway.server.moments import Moment
from fleet.gateway.server.requests import done, paged
from fleet.ports import Attachment
from fleet.wire.bodies import AnswerBody, AttachmentBody, CommandBody, ModelBody, PastPageQuery, PromptBody
from fleet.wire.items import RequestItem

endpoint = Endpoints("/api/sessions", "sessions")


def model_of(model: ModelBody | None) -> Model | None:
    """Return the model that a body names."""
    return None if model is None else Model(model.providerID, model.modelID)


@endpoint(
    "POST /<session_id>/prompt",
    gives=NOTHING,
    examples=({"text": "Add error handling to the login endpoint"},),
    refuses=(*PROMPT, "workspace_gone"),
)
async def prompt_session(fleet: Fleet, session: Session, body: PromptBody, caller: Caller) -> Response:
    """Send a prompt; results come over the event streams.

    While the session works, it waits in the queue; `steer` gives it to the turn that runs. `resume` resumes a
    session that has ended first.
    """
    fleet.sessions.session(session.id, body.instance_id)
    result = await fleet.sessions.prompt(session.id, _new_prompt(body), resume=body.resume, caller=caller)
    await trio.lowlevel.checkpoint()  # the prompt is sent to OpenCode before this response is made
    return done(result.position)


@endpoint(
    "POST /<session_id>/command",
    gives=NOTHING,
    examples=({"command": "init", "arguments": ""},),
    refuses=(*PROMPT, "workspace_gone"),
)
async def command_session(fleet: Fleet, session: Session, body: CommandBody, caller: Caller) -> Response:
    """Run one of OpenCode's commands, as a turn of its own.

    `GET /api/instances/{instance_id}/commands` lists them; an unknown one is refused with their names. While
    a turn runs it waits in the queue, as prompts do. A prompt `/name arguments` does the same.
    """
    fleet.sessions.session(session.id, body.instance_id)
    prompt = NewPrompt(body.arguments, (), body.agent, model_of(body.model), body.command)
    result = await fleet.sessions.prompt(session.id, prompt, resume=False, caller=caller)
    return done(result.position)


@endpoint("POST /<session_id>/compact", gives=NOTHING, refuses=PROMPT)
async def compact_session(fleet: Fleet, session: Session, caller: Caller) -> Response:
    """Compact the conversation, as a turn of its own: the model continues with the summary.

    While a turn runs it waits in the queue, as prompts do. The command `compact` does the same.
    """
    result = await fleet.sessions.prompt(session.id, NewPrompt("", command=COMPACT), resume=False, caller=caller)
    return done(result.position)


@endpoint("GET /<session_id>/requests", gives=list[RequestItem], tag="requests")
async def list_requests(fleet: Fleet, session: Session, query: PastPageQuery, moment: Moment | None) -> Response:
    """List the permission requests and questions that wait for an answer.

    While one waits, so does the session (`waiting_input`). `request` is OpenCode's own JSON. With `at` it is those
    that waited then.
    """
    position, state = fleet.log.head(), session
    if moment is not None:
        state = await fleet.past.sessions.one(session.id, moment.position) or initial(session.id)
    return paged(state.requests, query, request_item, position)


@endpoint(
    "POST /<session_id>/requests/<request_id>",
    gives=NOTHING,
    tag="requests",
    examples=({"reply": "once"}, {"answers": [["Red"]]}),
    refuses=("request_not_found", "request_answered"),
)
async def answer_request(fleet: Fleet, session: Session, request_id: str, body: AnswerBody, caller: Caller) -> Response:
    """Answer a permission request or a question.

    `reply` is for a permission, `answers` for a question: a list of labels for each of its parts. Each request is
    answered once: a second answer gets `request_answered` with `answeredBy`, `at` and `reply` of the first.
    """
    answers = None if body.answers is None else tuple(tuple(labels) for labels in body.answers)
    given = Answer(body.reply, body.message, answers)
    result = await fleet.sessions.answer(session.id, request_id, given, caller)
    return done(result.position)


def _new_prompt(body: PromptBody) -> NewPrompt:
    attachments = tuple(_attachment(attachment) for attachment in body.attachments)
    return NewPrompt(body.text, attachments, body.agent, model_of(body.model), steer=body.delivery == "steer")


_MIMES = ("text/", "image/")


def _attachment(body: AttachmentBody) -> Attachment:
    # OpenCode stores a file of another type and then fails every later turn of the session.
    if not body.mime.startswith(_MIMES) and body.mime != "application/pdf":
        raise Rejected("invalid", f"an attachment is {body.mime}; it must be text, image or PDF", field="attachments")
    encoded = base64.b64encode(body.data).decode()
    return Attachment(body.mime, body.filename, f"data:{body.mime};base64,{encoded}")
