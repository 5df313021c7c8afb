"""The items that are made from the state of a session: itself, its requests, its set-up, turns and conversations."""

from typing import Any, NamedTuple, cast

import msgspec

from fleet.core.instance.state import State as Instance
from fleet.core.session.activity import Activity, of_request
from fleet.core.session.consequences import queue_paused
from fleet.core.session.state import RUNNING, Failure, Request, Setup, State, status_of
from fleet.core.session.values import SessionSettings, Totals
from fleet.core.times import rfc3339
from fleet.core.workspace.faults import described
from fleet.core.workspace.state import ReturnedWork
from fleet.core.workspace.state import State as WorkspaceState
from fleet.gateway.items.allowances import allowed_to, sharing_with
from fleet.ports import Tokens
from fleet.projections.history_page import Snippet
from fleet.projections.transcripts import ConversationView
from fleet.projections.turns import Turn
from fleet.wire.bodies import BudgetBody, ModelBody
from fleet.wire.enums import Status
from fleet.wire.items import (
    ActivityItem,
    ChangesItem,
    FailureItem,
    HistoryItem,
    LastTurnItem,
    NeedItem,
    Relative,
    RequestItem,
    SessionDetail,
    SessionItem,
    SetupBrief,
    SetupItem,
    SnippetItem,
    TokensItem,
)
from fleet.wire.setups import SetupDetail
from fleet.wire.transcripts import ConversationItem, SteeredItem, TurnItem


class Surroundings(NamedTuple):
    """What an item shows beside the session's own state, as it is now.

    `activity` is that of a part in flight, `silent` the session's process where that does not answer, `context_limit`
    that of the model in tokens, `rehearsal` the provider of the scripted model where the server has it, `lost` the
    session's workspace where something is wrong with it, `host` the name of its host, `returned` what came back to it.
    """

    activity: Activity | None = None
    silent: Instance | None = None
    context_limit: int | None = None
    rehearsal: str | None = None
    lost: WorkspaceState | None = None
    host: str | None = None
    returned: tuple[ReturnedWork, ...] = ()


def session_item(state: State, around: Surroundings) -> SessionItem:
    """Return what the API shows of a session in a list."""
    return SessionItem(**_session_fields(state, around))


def _session_fields(state: State, around: Surroundings) -> dict[str, Any]:
    evidence, evidence_at_ms = _evidence(state, around)
    return {
        "id": state.id,
        "opencode_id": state.opencode.session_id,
        "title": state.settings.title,
        "status": cast("Status", status_of(state)),  # one that is not born or was erased is in no view
        "status_since": rfc3339(state.since_ms),
        "evidence": evidence,
        "evidence_at": rfc3339(evidence_at_ms),
        "instance_id": last_instance(state),
        "workspace_id": state.workspace_id,
        "directory": state.directory,
        "source_directory": state.source_directory,
        "isolation_strategy": state.settings.strategy,
        "branch": state.settings.branch,
        "parent_id": state.settings.parent_id,
        "tags": list(state.settings.tags),
        "created_at": rfc3339(state.created_at_ms),
        "updated_at": rfc3339(state.changed_at_ms),
        "ended_at": None if state.ended_at_ms is None else rfc3339(state.ended_at_ms),
        "turns": state.turns,
        "queued": len(state.queue.prompts),
        "open_requests": len(state.requests),
        "tokens": tokens_item(state.usage.tokens),
        "cost_usd": state.usage.cost_usd,
        "budget": None
        if state.settings.budget is None
        else BudgetBody(state.settings.budget.usd, state.settings.budget.tokens, state.settings.budget.minutes),
        "changes": _changes_item(state.snapshots.totals),
        "outcome": state.last_outcome if state.turn is None else None,
        "failure": _failure_item(state.failure),
        "agent": state.settings.agent,
        "model": None
        if state.settings.model is None
        else ModelBody(state.settings.model.provider_id, state.settings.model.model_id),
        "repository": repository_of(state),
        "context_tokens": None if state.context is None else state.context.tokens,
        "context_limit": around.context_limit,
        "running_ms": state.running_ms,
        "last_turn": _last_turn_item(state),
        "rehearsal": around.rehearsal is not None and provider_of(state) in (None, around.rehearsal),
        "queue_paused": queue_paused(state),
        "activity": _activity_item(state, around.activity),
        "setup": None if state.setup is None else SetupBrief(**_setup_fields(state.setup)),
        "host": around.host,
        "need": _need_item(state.settings),
        "returned": list(around.returned),
    }


def _evidence(state: State, around: Surroundings) -> tuple[str, int]:
    """Return why the session has its status, and since when, with what is known of its process and workspace."""
    evidence, evidence_at_ms = state.evidence, state.evidence_at_ms or state.since_ms
    if around.silent is not None:  # newer than what the session saw last
        evidence = f"its OpenCode does not answer ({around.silent.evidence}); before that: {evidence}"
        evidence_at_ms = around.silent.since_ms
    fault = None if around.lost is None else described(around.lost)
    if around.lost is not None and fault is not None:
        evidence, evidence_at_ms = f"{fault}; before that: {evidence}", around.lost.fault_since_ms
    return evidence, evidence_at_ms


def _need_item(settings: SessionSettings) -> NeedItem | None:
    need = NeedItem(
        host=settings.host,
        labels=dict(settings.host_labels),
        cpus=settings.cpus,
        memory_mb=settings.memory_mb,
        on_host_loss=settings.on_host_loss,
    )
    return None if need == _NO_NEED else need


_NO_NEED = NeedItem(host=None, labels={}, cpus=None, memory_mb=None, on_host_loss="ask")


def _setup_fields(setup: Setup) -> dict[str, Any]:
    return {
        "status": setup.status,
        "exit_code": setup.exit_code,
        "detail": setup.detail,
        "started_at": rfc3339(setup.started_at_ms) if setup.started_at_ms else None,
        "ended_at": rfc3339(setup.ended_at_ms) if setup.ended_at_ms else None,
    }


def setup_item(setup: Setup | None) -> SetupItem | None:
    """Return what the API shows of a set-up, None where there is none."""
    return None if setup is None else SetupItem(**_setup_fields(setup), **_recipe_fields(setup))


def setup_detail(item: SetupItem, output: str) -> SetupDetail:
    """Return a set-up with what it has written."""
    return SetupDetail(**msgspec.structs.asdict(item), output=output)


def _recipe_fields(setup: Setup) -> dict[str, Any]:
    recipe = setup.recipe
    names = ("digest", "setup", "teardown", "submodules")
    return {name: getattr(recipe, name) for name in names}


def repository_of(state: State) -> str | None:
    """Return the path of the main repository: that of its work tree, or of a bare one; None outside of git."""
    common = state.source_repository
    return None if common is None else common.removesuffix("/.git")


def provider_of(state: State) -> str | None:
    """Return the provider of the model that answers, as far as it is known: none was named, and none has answered."""
    answered = None if state.context is None else state.context.provider_id or None
    return answered or (None if state.settings.model is None else state.settings.model.provider_id)


def _last_turn_item(state: State) -> LastTurnItem | None:
    if not state.turns:
        return None
    started = rfc3339(state.turn_started_at_ms)
    if state.turn is not None:
        return LastTurnItem(number=state.turns, started_at=started, ended_at=None, outcome=None)
    return LastTurnItem(
        number=state.turns, started_at=started, ended_at=rfc3339(state.turn_ended_at_ms), outcome=state.last_outcome
    )


def _activity_item(state: State, now: Activity | None) -> ActivityItem | None:
    waiting = next((request for request in reversed(state.requests) if request.answer is None), None)
    if waiting is not None:
        found: Activity | None = of_request(waiting.body, waiting.opened_at_ms)
    elif now is not None and state.phase in RUNNING:
        found = now
    else:
        found = state.last_line
    return (
        None
        if found is None
        else ActivityItem(kind=found.kind, text=found.text.rstrip(), tool=found.tool, at=rfc3339(found.at_ms))
    )


def _changes_item(changes: Totals | None) -> ChangesItem | None:
    return (
        None
        if changes is None
        else ChangesItem(files=changes.files, additions=changes.additions, deletions=changes.deletions)
    )


def session_detail(
    state: State, around: Surroundings, ancestors: list[State], children: list[State], instance: Instance | None = None
) -> SessionDetail:
    """Return what the API shows of one session; `instance` is the process that it works in now."""
    return SessionDetail(
        **_session_fields(state, around),
        ancestors=[relative(ancestor) for ancestor in ancestors],
        children=[relative(child) for child in children],
        requests=[request_item(request) for request in state.requests],
        sharing=sharing_with(state, instance),
        allowed=allowed_to(state, instance),
    )


def history_item(state: State, around: Surroundings, snippet: Snippet | None) -> HistoryItem:
    """Return what the API shows of a session in the history."""
    found = (
        None
        if snippet is None
        else SnippetItem(kind=snippet.kind, text=snippet.text, hits=[list(hit) for hit in snippet.hits])
    )
    return HistoryItem(**_session_fields(state, around), snippet=found)


def relative(state: State) -> Relative:
    """Return a session as another one's ancestor or child."""
    return Relative(id=state.id, title=state.settings.title, status=cast("Status", status_of(state)))


def request_item(request: Request) -> RequestItem:
    """Return an open request."""
    opened = rfc3339(request.opened_at_ms)
    answered = request.answer is not None
    return RequestItem(
        id=request.id,
        kind=request.kind,
        opencode_id=request.opencode_id,
        opened_at=opened,
        answered=answered,
        request=msgspec.Raw(request.body),
    )


def last_instance(state: State) -> str | None:
    """Return the instance that the session has, or else the last that it had."""
    if state.opencode.instance_id is not None:
        return state.opencode.instance_id
    return state.opencode.instance_ids[-1] if state.opencode.instance_ids else None


def tokens_item(tokens: Tokens) -> TokensItem:
    """Return the token counts."""
    return TokensItem(
        input=tokens.input,
        output=tokens.output,
        reasoning=tokens.reasoning,
        cache_read=tokens.cache_read,
        cache_write=tokens.cache_write,
    )


def _failure_item(failure: Failure | None) -> FailureItem | None:
    return None if failure is None else FailureItem(code=failure.code, detail=failure.detail, at=rfc3339(failure.at_ms))


def turn_item(turn: Turn) -> TurnItem:
    """Return what the API shows of a turn."""
    return TurnItem(
        number=turn.number,
        message_id=turn.message_id,
        prompt_id=turn.prompt_id,
        prompt=turn.asked.head,
        actor=turn.asked.actor,
        started_at=rfc3339(turn.started_at_ms),
        ended_at=None if turn.ended_at_ms is None else rfc3339(turn.ended_at_ms),
        outcome=turn.outcome,
        cost_usd=turn.cost_usd,
        tokens=tokens_item(turn.tokens),
        changes=_changes_item(turn.changes),
        steered=[
            SteeredItem(message_id=s.message_id, prompt=s.asked.head, actor=s.asked.actor, at=rfc3339(s.at_ms))
            for s in turn.steered
        ],
        position=turn.position,
        end_position=turn.end_position,
    )


def conversation_item(view: ConversationView) -> ConversationItem:
    """Return what the API shows of a conversation; a sub-agent's is named by the call that has started it."""
    subagent = view.subagent
    created = None if view.created_ms is None else rfc3339(view.created_ms)
    if subagent is None:
        return ConversationItem(
            id=view.id, parent_id=None, title=None, agent=None, messages=view.messages, created_at=created
        )
    return ConversationItem(
        id=view.id,
        parent_id=subagent.parent_id,
        title=subagent.title,
        agent=subagent.agent,
        messages=view.messages,
        created_at=created,
    )
