"""The routes for sessions: create, list, read, fork, edit, abort, resume, stop."""

from collections.abc import Iterable

import msgspec
from quart import Response

from fleet.actors.caller import Caller
from fleet.actors.fleet import Fleet
from fleet.actors.prompt import NewPrompt
from fleet.actors.usecases.sessions import CommandResult, NewSession, SessionUseCases
from fleet.core.session.state import State as Session
from fleet.core.session.state import status_of
from fleet.core.session.values import Budget, SessionSettings
from fleet.errors import Rejected
from fleet.gateway.items.past import items_at, sessions_at, then
from fleet.gateway.items.session import SessionItems
from fleet.gateway.items.states import last_instance
from fleet.gateway.items.workspaces import end_preview
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.refusals import PROMPT, PROVISION, REMOVAL, SESSION
from fleet.gateway.openapi.responses import json
from fleet.gateway.routes.history import read_statuses
from fleet.gateway.routes.prompts import model_of
from fleet.gateway.server.idempotency import changed_nothing
from fleet.gateway.server.moments import Moment
from fleet.gateway.server.requests import derived, encoded_response, json_response, list_response
from fleet.wire.bodies import (
    AtQuery,
    BudgetBody,
    CreateBody,
    EditBody,
    EndQuery,
    ForkBody,
    ListQuery,
    PastPageQuery,
    ResumeBody,
)
from fleet.wire.items import Aborted, Created, Ended, EndPreview, Resumed, SessionDetail, SessionItem

endpoint = Endpoints("/api/sessions", "sessions")


@endpoint("GET", gives=list[SessionItem])
async def list_sessions(fleet: Fleet, items: SessionItems, query: ListQuery, moment: Moment | None) -> Response:
    """List sessions, newest first.

    Those that have ended are listed too. Each filter that is given has to hold; with `at`, of the
    sessions as they were then.
    """
    position = fleet.log.head()
    if moment is None:
        page, total = _page(fleet, query)
        return await encoded_response(map(items.encoded, page), position=position, total=total)
    found = _matching(fleet, await fleet.past.sessions.all(moment.position), query)
    earlier = await items_at(fleet, items, moment.position, found[query.offset : query.offset + query.limit])
    return await list_response(earlier, position=position, total=len(found))


@endpoint("GET /<session_id>", gives=json(SessionDetail, headers=("Fleet-Position",)))
async def read_session(
    fleet: Fleet,
    items: SessionItems,
    session: Session,
    query: AtQuery,  # noqa: ARG001 - its moment is resolved
    moment: Moment | None,
) -> Response:
    """Read a session, as it is or as it was at an earlier moment.

    With its ancestors, the root first, the sessions that report to it, and its open requests. `evidence` says why
    its status is what it is.
    """
    position = fleet.log.head()
    if moment is not None:
        return json_response(await _detail_at(fleet, items, moment.position, session), position=position)
    detail = items.detail(session, _ancestors(fleet, session), fleet.views.sessions.children(session.id))
    return json_response(msgspec.Raw(detail), position=position)


@endpoint("GET /<session_id>/children", gives=list[SessionItem])
async def list_children(
    fleet: Fleet, items: SessionItems, session: Session, query: PastPageQuery, moment: Moment | None
) -> Response:
    """List the sessions that report to this one.

    Those that were made with it as `onComplete.notifySessionId`. With `at` it is those of then, as they were.
    """
    position, children = fleet.log.head(), fleet.views.sessions.children(session.id)
    if moment is not None:
        children = await sessions_at(fleet, moment.position, children)
        page = children[query.offset : query.offset + query.limit]
        found = await items_at(fleet, items, moment.position, page)
        return await list_response(found, position=position, total=len(children))
    page = children[query.offset : query.offset + query.limit]
    return await encoded_response(map(items.encoded, page), position=position, total=len(children))


async def _detail_at(fleet: Fleet, items: SessionItems, at: int, state: Session) -> SessionDetail:
    """Return a session as it was at a log position. Raises `Rejected` session_not_found where it did not exist yet."""
    earlier = await fleet.past.sessions.one(state.id, at)
    if earlier is None:
        raise Rejected("session_not_found", f"session {state.id} did not exist at position {at}")
    ancestors = await sessions_at(fleet, at, _ancestors(fleet, state))
    children = await sessions_at(fleet, at, fleet.views.sessions.children(state.id))
    return items.earlier_detail(earlier, await then(fleet, at, earlier), ancestors, children)


@endpoint(
    "POST",
    gives=Created,
    examples=(
        {"directory": "/home/dev/my-project", "title": "Implement auth module", "isolationStrategy": "worktree"},
    ),
    refuses=(*SESSION, *PROVISION, *PROMPT, "callback_too_deep"),
)
async def create_session(fleet: Fleet, items: SessionItems, body: CreateBody, caller: Caller) -> Response:
    """Create a session, and respond when it accepts prompts.

    It works in the directory as it is (`existing`), in a new git worktree, or in a clone. If its workspace or its
    process cannot be made, the session stays in `error`, and the problem names it as `sessionId`.
    """
    return _created(items, await fleet.sessions.create(_new_session(body), caller))


@endpoint(
    "POST /<session_id>/fork",
    gives=Created,
    examples=({"title": "Another way"},),
    refuses=("session_not_found", "erased", *PROVISION, "session_active"),
)
async def fork_session(fleet: Fleet, items: SessionItems, session_id: str, body: ForkBody, caller: Caller) -> Response:
    """Create a session with this one's conversation and files, up to a message.

    The files come as they were at that message. If they were not recorded then, they are those that were recorded last
    before it, and `filesAsOf` says so. Without `messageId` all that was said comes along, up to the turn that runs.
    """
    forked = await fleet.forks.fork(session_id, body.title, body.message_id, body.isolation_strategy, caller)
    return _created(items, forked)


@endpoint(
    "PATCH /<session_id>",
    gives=SessionItem,
    examples=({"title": "Implement login", "tags": ["auth"], "budget": {"usd": 2.5}},),
)
async def edit_session(fleet: Fleet, items: SessionItems, session: Session, body: EditBody, caller: Caller) -> Response:
    """Change a session's title, tags or budget.

    What is left out stays as it is; `null` as `budget` removes the budget.
    """
    result = await _edit(fleet.sessions, session.id, body, caller)
    return json_response(items.item(result.session), position=result.position)


@endpoint("POST /<session_id>/abort", gives=Aborted)
async def abort_session(fleet: Fleet, items: SessionItems, session: Session, caller: Caller) -> Response:
    """Abort the running turn; the session stays.

    The response comes once the turn has stopped, or says in `outcome` how far that got.
    """
    result, how = await fleet.sessions.abort(session.id, caller)
    return json_response(Aborted(outcome=how, session=items.item(result.session)), position=result.position)


@endpoint(
    "POST /<session_id>/resume",
    gives=Resumed,
    examples=({"fresh": False}, {"fresh": True}),
    refuses=(*PROVISION, "session_active"),
)
async def resume_session(
    fleet: Fleet, items: SessionItems, session: Session, body: ResumeBody | None, caller: Caller
) -> Response:
    """Resume a session that has ended.

    It gets a process again, and continues its conversation in its workspace. If either no longer exists, 410 says
    which. With `fresh` the session starts a new conversation in its workspace; the old one can still be read, as one
    of its conversations.
    """
    result = await fleet.sessions.resume(session.id, caller, fresh=body is not None and body.fresh)
    state = result.session
    resumed = Resumed(instance_id=last_instance(state), session=items.item(state))
    return json_response(resumed, position=result.position)


@endpoint("DELETE /<session_id>", gives=json(Ended, EndPreview), refuses=(*SESSION, *REMOVAL, "session_not_ready"))
async def end_session(fleet: Fleet, items: SessionItems, session_id: str, query: EndQuery, caller: Caller) -> Response:
    """Stop a session; on request, remove its workspace or erase the session.

    Before a workspace is removed, what exists only there is kept under `refs/fleet/` of the repository, and the
    response says where. `permanent=true` erases what Fleet holds of the session, and has OpenCode delete its copy of
    the conversation; `left` says what is left elsewhere. With `dryRun=true` nothing is done: the response, an
    `EndPreview`, says what would be.
    """
    if query.dry_run:
        return await _preview_end(fleet, session_id, query)
    if query.permanent and _was_erased(fleet, session_id, caller):
        return json_response(Ended(session=None, erased=True, workspace=None, left=[]), position=fleet.log.head())
    state = fleet.sessions.session(session_id, query.instance_id)
    ending = await fleet.endings.end(
        state.id, caller, cleanup=query.cleanup_workspace, permanent=query.permanent, force=query.force
    )
    return json_response(items.ended(ending), position=ending.position)


async def _preview_end(fleet: Fleet, session_id: str, query: EndQuery) -> Response:
    position = fleet.log.head()
    state = fleet.sessions.session(session_id, query.instance_id)
    preview = await fleet.end_previews.look(
        state.id, cleanup=query.cleanup_workspace, permanent=query.permanent, force=query.force
    )
    return changed_nothing(json_response(end_preview(preview), position=position))


def _was_erased(fleet: Fleet, session_id: str, caller: Caller) -> bool:
    """Return whether this very request has erased the session, and a crash came before its response."""
    record = fleet.stored_responses.find_erasure(caller)
    named = None if record is None else record.stream.partition("-")[2]
    return named is not None and (session_id == named or session_id.startswith("ses_"))


def _created(items: SessionItems, result: CommandResult) -> Response:
    state = result.session
    origin = state.settings.origin
    created = Created(
        instance_id=last_instance(state),
        workspace_id=state.workspace_id,
        session=items.item(state),
        files_as_of=None if origin is None else origin.files_as_of,
    )
    return json_response(created, position=result.position)


async def _edit(sessions: SessionUseCases, session_id: str, body: EditBody, caller: Caller) -> CommandResult:
    tags = None if body.tags is None else tuple(body.tags)
    budget_alone = body.title is None and tags is None and body.budget is not msgspec.UNSET
    if not budget_alone:
        edited = await sessions.edit(session_id, body.title, tags, caller)
        if body.budget is msgspec.UNSET:
            return edited
        caller = derived(caller, "budget")
    return await sessions.set_budget(session_id, _budget(body.budget or None), caller)


def _new_session(body: CreateBody) -> NewSession:
    return NewSession(
        directory=body.directory,
        settings=SessionSettings(
            title=body.title or "",
            strategy=body.isolation_strategy,
            branch=body.branch,
            base_ref=body.base_ref,
            tags=tuple(body.tags),
            agent=body.agent,
            model=model_of(body.model),
            budget=_budget(body.budget),
            host=body.host if isinstance(body.host, str) else None,
            host_labels=body.host if isinstance(body.host, dict) else {},
            cpus=body.cpus,
            memory_mb=body.memory_mb,
            on_host_loss=body.on_host_loss,
        ),
        initial_prompt=None if body.initial_prompt is None else NewPrompt(body.initial_prompt),
        notify_session=None if body.on_complete is None else body.on_complete.notify_session_id,
        notify_instance=None if body.on_complete is None else body.on_complete.notify_instance_id,
    )


def _budget(body: BudgetBody | None) -> Budget | None:
    return None if body is None else Budget(body.usd, body.tokens, body.minutes)


def _ancestors(fleet: Fleet, state: Session) -> list[Session]:
    """Return the sessions that get reports of this one, the root first."""
    found: list[Session] = []
    parent_id = state.settings.parent_id
    while parent_id is not None and (parent := fleet.views.sessions.get(parent_id)) is not None:
        found.insert(0, parent)
        parent_id = parent.settings.parent_id
    return found


def _page(fleet: Fleet, query: ListQuery) -> tuple[list[Session], int]:
    """Return the page of sessions that was asked for, newest first, and how many there are on all pages."""
    sessions = fleet.views.sessions
    if (query.status, query.search, query.parent, query.tag, query.workspace) == (None,) * 5:
        return sessions.newest(query.offset, query.limit), len(sessions)
    found = _matching(fleet, sessions, query)
    return found[query.offset : query.offset + query.limit], len(found)


def _matching(fleet: Fleet, states: Iterable[Session], query: ListQuery) -> list[Session]:
    statuses = read_statuses(query.status)
    needle = None if query.search is None else query.search.casefold()
    parent = None if query.parent is None else fleet.views.sessions.find(query.parent)
    parent_id = query.parent if parent is None else parent.id  # an erased one still has children
    found = [
        state
        for state in states
        if (not statuses or status_of(state) in statuses)
        and (needle is None or needle in state.settings.title.casefold())
        and (parent_id is None or parent_id == state.settings.parent_id)
        and (query.tag is None or query.tag in state.settings.tags)
        and (query.workspace is None or query.workspace == state.workspace_id)
    ]
    return sorted(found, key=lambda state: state.id, reverse=True)
