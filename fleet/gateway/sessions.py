"""The session routes: create, list, read, describe, prompt, queue, abort, resume, terminate, messages."""

import base64
from typing import get_args

from quart import Blueprint, Response

from fleet.actors.orders import NewPrompt, NewSession, Orders
from fleet.actors.tree import Tree
from fleet.core.session.messages import Model
from fleet.core.session.state import Phase, QueuedPrompt, State
from fleet.errors import Rejected
from fleet.gateway import wire
from fleet.gateway.document import about, asks, gives, gives_nothing, takes
from fleet.gateway.requests import answer, caller, done, read_body, read_query
from fleet.ports import Attachment

_STATUSES = frozenset(get_args(Phase)) - {"unborn"}


def session_routes(tree: Tree) -> Blueprint:
    """Return the routes over one Fleet."""
    routes = Blueprint("sessions", __name__, url_prefix="/api/sessions")
    _add_reads(routes, tree)
    _add_orders(routes, tree.orders)
    return routes


def _add_reads(routes: Blueprint, tree: Tree) -> None:
    orders = tree.orders

    @routes.get("")
    @about("sessions")
    @asks(wire.ListQuery)
    @gives(list[wire.SessionItem])
    async def list_sessions() -> Response:
        """List sessions, newest first."""
        query = read_query(wire.ListQuery)
        found = _matching(tree, query)
        page = found[query.offset : query.offset + query.limit]
        return answer([wire.session_item(state) for state in page], total=len(found))

    @routes.get("/<session_id>")
    @about("sessions")
    @asks(wire.AtQuery)
    @gives(wire.SessionItem)
    async def read_session(session_id: str) -> Response:
        """Read a session, as it is or as it was at a log position."""
        query = read_query(wire.AtQuery)
        state = orders.session(session_id)
        if query.at is not None:
            earlier = tree.views.sessions.at(tree.log, state.id, query.at)
            if earlier is None:
                raise Rejected("session_not_found", f"session {session_id} did not exist at position {query.at}")
            state = earlier
        return answer(wire.session_item(state), position=tree.log.head())

    @routes.get("/<session_id>/queue")
    @about("sessions")
    @gives(list[wire.QueuedItem])
    async def read_queue(session_id: str) -> Response:
        """List the prompts that wait, the next one first."""
        read_query(wire.InstanceQuery)
        queue = orders.session(session_id).queue
        return answer([_queued(prompt) for prompt in queue], total=len(queue))

    @routes.get("/<session_id>/messages")
    @about("sessions")
    @asks(wire.MessagesQuery)
    @gives(wire.Messages)
    async def read_messages(session_id: str) -> Response:
        """Read the transcript, newest page first."""
        query = read_query(wire.MessagesQuery)
        state = orders.session(session_id, query.instance_id)
        return answer(_messages(tree, state, query), position=tree.log.head())


def _add_orders(routes: Blueprint, orders: Orders) -> None:
    @routes.post("")
    @about("sessions")
    @takes(wire.CreateBody)
    @gives(wire.Created)
    async def create_session() -> Response:
        """Create a session; the answer comes once it can take a prompt."""
        read_query(wire.Query)
        body = await read_body(wire.CreateBody)
        outcome = await orders.create(_new_session(body), await caller())
        state = outcome.session
        created = wire.Created(wire.last_instance(state) or "", state.workspace_id, wire.session_item(state))
        return answer(created, position=outcome.position)

    @routes.patch("/<session_id>")
    @about("sessions")
    @takes(wire.DescribeBody)
    @gives(wire.SessionItem)
    async def describe_session(session_id: str) -> Response:
        """Give a session another title or other tags."""
        orders.session(session_id, read_query(wire.InstanceQuery).instance_id)
        body = await read_body(wire.DescribeBody)
        tags = None if body.tags is None else tuple(body.tags)
        outcome = await orders.describe(session_id, body.title, tags, await caller())
        return answer(wire.session_item(outcome.session), position=outcome.position)

    @routes.post("/<session_id>/prompt")
    @about("sessions")
    @takes(wire.PromptBody)
    @gives_nothing
    async def prompt_session(session_id: str) -> Response:
        """Send a prompt; results come over the event streams."""
        orders.session(session_id, read_query(wire.InstanceQuery).instance_id)
        body = await read_body(wire.PromptBody)
        orders.session(session_id, body.instance_id)
        outcome = await orders.prompt(session_id, _new_prompt(body), resume=body.resume, caller=await caller())
        return done(outcome.position)

    @routes.delete("/<session_id>/queue/<prompt_id>")
    @about("sessions")
    @gives_nothing
    async def withdraw_prompt(session_id: str, prompt_id: str) -> Response:
        """Withdraw a waiting prompt."""
        orders.session(session_id, read_query(wire.InstanceQuery).instance_id)
        outcome = await orders.withdraw(session_id, prompt_id, await caller())
        return done(outcome.position)

    @routes.post("/<session_id>/abort")
    @about("sessions")
    @asks(wire.InstanceQuery)
    @gives(wire.Aborted)
    async def abort_session(session_id: str) -> Response:
        """Abort the running turn; the session stays."""
        orders.session(session_id, read_query(wire.InstanceQuery).instance_id)
        outcome, how = await orders.abort(session_id, await caller())
        return answer(wire.Aborted(how, wire.session_item(outcome.session)), position=outcome.position)

    @routes.post("/<session_id>/resume")
    @about("sessions")
    @asks(wire.InstanceQuery)
    @gives(wire.Resumed)
    async def resume_session(session_id: str) -> Response:
        """Bring a session that has ended back to work."""
        orders.session(session_id, read_query(wire.InstanceQuery).instance_id)
        outcome = await orders.resume(session_id, await caller())
        state = outcome.session
        resumed = wire.Resumed(wire.last_instance(state) or "", wire.session_item(state))
        return answer(resumed, position=outcome.position)

    @routes.delete("/<session_id>")
    @about("sessions")
    @asks(wire.InstanceQuery)
    @gives(wire.Ended)
    async def terminate_session(session_id: str) -> Response:
        """Terminate a session."""
        orders.session(session_id, read_query(wire.InstanceQuery).instance_id)
        outcome = await orders.terminate(session_id, await caller())
        return answer(wire.Ended(wire.session_item(outcome.session)), position=outcome.position)


def _new_session(body: wire.CreateBody) -> NewSession:
    return NewSession(
        directory=body.directory,
        title=body.title,
        strategy=body.isolation_strategy,
        branch=body.branch,
        base_ref=body.base_ref,
        tags=tuple(body.tags),
        initial_prompt=None if body.initial_prompt is None else NewPrompt(body.initial_prompt),
        agent=body.agent,
        model=_model(body.model),
    )


def _new_prompt(body: wire.PromptBody) -> NewPrompt:
    attachments = tuple(_attachment(attachment) for attachment in body.attachments)
    return NewPrompt(body.text, attachments, body.agent, _model(body.model))


def _model(model: wire.ModelBody | None) -> Model | None:
    return None if model is None else Model(model.providerID, model.modelID)


_MIMES = ("text/", "image/")


def _attachment(body: wire.AttachmentBody) -> Attachment:
    # OpenCode stores a file of another type and then fails every later turn of the session.
    if not body.mime.startswith(_MIMES) and body.mime != "application/pdf":
        raise Rejected("invalid", f"attachments of type {body.mime} can't be sent", field="attachments")
    encoded = base64.b64encode(body.data).decode()
    return Attachment(body.mime, body.filename, f"data:{body.mime};base64,{encoded}")


def _matching(tree: Tree, query: wire.ListQuery) -> list[State]:
    statuses = None if query.status is None else set(query.status.split(","))
    if statuses is not None and not statuses <= _STATUSES:
        wrong = ", ".join(sorted(statuses - _STATUSES))
        raise Rejected("invalid", f"{wrong} is no status; there are {', '.join(sorted(_STATUSES))}", field="status")
    needle = None if query.search is None else query.search.casefold()
    found = [
        state
        for state in tree.views.sessions
        if (statuses is None or state.phase in statuses)
        and (needle is None or needle in state.title.casefold())
        and (query.tag is None or query.tag in state.tags)
        and (query.workspace is None or query.workspace == state.workspace_id)
    ]
    return sorted(found, key=lambda state: state.id, reverse=True)


def _queued(prompt: QueuedPrompt) -> wire.QueuedItem:
    accepted = wire.rfc3339(prompt.accepted_at_ms)
    return wire.QueuedItem(prompt.prompt_id, prompt.text, accepted, len(prompt.attachments), prompt.agent)


def _messages(tree: Tree, state: State, query: wire.MessagesQuery) -> wire.Messages:
    if query.before is not None and query.after is not None:
        raise Rejected("invalid", "give before or after, not both", field="before")
    stream = tree.views.sessions.stream(state.id)
    try:
        page = tree.transcripts.page(stream, query.limit, query.before, query.after, query.at)
    except KeyError as error:
        field = "before" if query.before is not None else "after"
        raise Rejected("invalid", f"the session has no message {error.args[0]}", field=field) from error
    messages = [wire.MessageItem(message.info, message.parts) for message in page.messages]
    return wire.Messages(messages, wire.Pagination(page.before, page.after, page.total))
