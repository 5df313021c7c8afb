"""The items of workspaces, and of what stopping a session does to its workspace."""

from typing import Any, cast

from msgspec.structs import replace

from fleet.actors.usecases.removal import Ending
from fleet.actors.usecases.removal_preview import EndingPreview, WorkspacePreview
from fleet.core.times import rfc3339
from fleet.core.workspace import state as workspace_state
from fleet.core.workspace.faults import described
from fleet.core.workspace.state import State
from fleet.ports import Condition, NotCarried
from fleet.wire.enums import WorkspaceStatus
from fleet.wire.items import (
    Ended,
    EndedWorkspace,
    EndedWorkspacePreview,
    EndPreview,
    KeptItem,
    RelativeTitle,
    SessionItem,
)
from fleet.wire.workspaces import NotCarriedItem, PortsItem, TeardownItem, WorkspaceDetail, WorkspaceItem


def lacking(state: State) -> list[NotCarried]:
    """Return what of its source a workspace still does not have: its set-up may have filled its submodules."""
    filled = state.set_up and state.recipe is not None and state.recipe.submodules
    found = () if state.prepared is None else state.prepared.not_carried
    return [each for each in found if each.what != "submodules" or not filled]


def workspace_item(state: State) -> WorkspaceItem:
    """Return what the API shows of a workspace in a list."""
    return WorkspaceItem(**_workspace_fields(state))


def workspace_detail(state: State, condition: Condition | None) -> WorkspaceDetail:
    """Return what the API shows of one workspace, with how it was found."""
    branch, dirty = (None, None) if condition is None else (condition.branch, condition.dirty)
    return WorkspaceDetail(**_workspace_fields(state), current_branch=branch, dirty=dirty)


def _workspace_fields(state: State) -> dict[str, Any]:
    spec, prepared = state.spec, state.prepared
    return {
        "id": state.id,
        "title": state.title,
        "host": None if spec is None else spec.host,
        "status": cast(
            "WorkspaceStatus", "missing" if state.fault == "missing" else state.phase
        ),  # never absent or erased
        "isolation_strategy": "existing" if spec is None else spec.strategy,
        "source_directory": "" if spec is None else spec.source_directory,
        "directory": prepared.directory if prepared is not None else "" if spec is None else spec.directory,
        "branch": None if prepared is None else prepared.branch,
        "sessions": list(state.sessions),
        "failure": described(state) or state.failure_detail or None,
        "kept": _kept_item(state),
        "teardown": _teardown_item(state.teardown),
        "ports": None if state.ports is None else PortsItem(first=state.ports.first, count=state.ports.count),
        "returned": list(state.returned),
        "not_carried": [NotCarriedItem(what=each.what, detail=each.detail) for each in lacking(state)],
    }


def _teardown_item(found: workspace_state.Teardown | None) -> TeardownItem | None:
    if found is None:
        return None
    return TeardownItem(exit_code=found.exit_code, detail=found.detail, output=found.output, at=rfc3339(found.at_ms))


def _kept_item(state: State) -> KeptItem | None:
    kept = state.kept
    return (
        None
        if kept is None
        else KeptItem(
            ref=kept.ref,
            commit=kept.commit,
            branch=kept.branch,
            ignored=list(kept.ignored),
            ignored_more=kept.ignored_more,
        )
    )


def ended(ending: Ending, session: SessionItem | None) -> Ended:
    """Return the response to the end of a session."""
    workspace = ending.workspace
    item = None
    if workspace is not None:
        removed = workspace.phase == "removed"
        kept = _kept_item(workspace) if removed else None
        if ending.erased and kept is not None:  # the names of branch and files are words of the session
            kept = replace(kept, branch=None, ignored=[], ignored_more=kept.ignored_more + len(kept.ignored))
        item = EndedWorkspace(id=workspace.id, removed=removed, reason=ending.left, kept=kept)
    return Ended(
        session=None if ending.erased else session, erased=ending.erased, workspace=item, left=list(ending.traces)
    )


def end_preview(preview: EndingPreview) -> EndPreview:
    """Return what the end of a session would do."""
    session = RelativeTitle(id=preview.session.id, title=preview.session.settings.title)
    workspace = None if preview.workspace is None else _workspace_preview(preview.workspace)
    return EndPreview(session=session, erased=preview.erased, workspace=workspace)


def _workspace_preview(preview: WorkspacePreview) -> EndedWorkspacePreview:
    fields, kept = _workspace_fields(preview.state), preview.kept
    return EndedWorkspacePreview(
        id=fields["id"],
        directory=fields["directory"],
        isolation_strategy=fields["isolation_strategy"],
        branch=fields["branch"] if kept is None else kept.branch,
        removed=preview.reason is None,
        reason=preview.reason,
        dirty=preview.dirty,
        kept_ref=None if kept is None else kept.ref,
        ignored=[] if kept is None else list(kept.ignored),
        ignored_more=0 if kept is None else kept.ignored_more,
    )
