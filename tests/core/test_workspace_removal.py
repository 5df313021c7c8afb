"""A workspace without claims is removed after its work was preserved, and can be restored."""

import pytest
from msgspec.structs import replace

from fleet.core.workspace.commands import (
    EditWorkspace,
    RebindWorkspace,
    RelocateWorkspace,
    RemoveWorkspace,
    ReportFault,
    ReportPreserved,
    WorkspaceCommand,
)
from fleet.core.workspace.decide import WORKSPACE
from fleet.core.workspace.effects import Remove, Restore
from fleet.core.workspace.events import (
    WorkPreserved,
    WorkspaceEdited,
    WorkspaceEvent,
    WorkspaceFailed,
    WorkspaceLookedAt,
    WorkspaceReady,
    WorkspaceRebound,
    WorkspaceRelocated,
    WorkspaceRemovalFailed,
    WorkspaceRemoved,
    WorkspaceRequested,
    WorkspaceRestored,
    WorkspaceRestoreFailed,
    WorkspaceRestoreRequested,
)
from tests.core import workspaces as w
from tests.core.given import given

PHASES: dict[str, tuple[WorkspaceEvent, ...]] = {
    "preparing": w.PREPARING,
    "ready": w.READY,
    "failed": w.FAILED,
    "removing": w.REMOVING,
    "removed": w.REMOVED,
    "restoring": w.RESTORING,
}
REPORTS: dict[str, tuple[WorkspaceCommand, ...]] = {
    "preparing": (w.DONE, w.BROKE),
    "removing": (ReportPreserved(kept=w.KEPT, at_ms=w.AT), w.GONE, w.STAYS),
    "restoring": (w.BACK, w.NOT_BACK),
}
KEPT = ReportPreserved(kept=w.KEPT, at_ms=w.AT)
BUSY = WorkspaceRemovalFailed(code="workspace_busy", detail="pid 7 works there", at_ms=w.AT)


def test_the_last_release_removes_the_workspace_after_its_work_was_preserved() -> None:
    story = given(WORKSPACE, "w1", *w.READY).when(w.remove()).then(w.released(), w.REMOVAL).pending("remove")
    assert story.effects == (Remove("remove", w.ORDER),)
    story = story.when(KEPT).then(WorkPreserved(kept=w.KEPT, at_ms=w.AT)).pending("remove").when(KEPT).then()
    story = story.when(w.GONE).then(WorkspaceRemoved(at_ms=w.AT)).pending()
    assert (story.state.phase, story.state.kept, story.state.sessions) == ("removed", w.KEPT, ())


def test_a_workspace_that_another_session_claims_is_not_removed() -> None:
    story = given(WORKSPACE, "w1", *w.READY, w.claimed("s2")).when(w.remove("s1", 2)).then(w.released("s1")).pending()
    assert (story.state.phase, story.state.sessions) == ("ready", ("s2",))
    story.when(w.remove("s9", 2)).then().when(w.remove("s2", 2)).then(w.released("s2"), w.REMOVAL)


def test_workspace_that_was_claimed_since_the_request_is_not_removed() -> None:
    story = given(WORKSPACE, "w1", *w.READY).when(w.prepare("s1")).then(w.claimed("s1"))
    story = story.when(w.remove("s1", 1)).then().pending()
    assert (story.state.phase, story.state.sessions, story.state.claims) == ("ready", ("s1",), 2)
    story.when(w.remove("s1", 2)).then(w.released("s1"), w.REMOVAL)


def test_a_directory_that_was_there_before_is_never_removed() -> None:
    story = given(WORKSPACE, "w1").when(w.prepare(spec=w.GIVEN)).when(w.DONE)
    story = story.when(w.remove()).then(w.released()).pending().when(w.remove()).then()
    story = given(WORKSPACE, "w1").when(w.prepare(spec=w.GIVEN)).when(w.remove()).then(w.released())
    assert story.when(w.DONE).then(WorkspaceReady(prepared=w.PREPARED, at_ms=w.AT)).state.phase == "ready"


def test_several_sessions_release_together_and_the_last_removes_the_workspace() -> None:
    story = given(WORKSPACE, "w1", *w.READY, w.claimed("s2"))
    both = RemoveWorkspace(session_ids=("s1", "s2", "s9"), claims=2, at_ms=w.AT)
    story.when(both).then(w.released("s1"), w.released("s2"), w.REMOVAL).pending("remove")


def test_a_restored_workspace_without_claims_can_be_removed_again() -> None:
    story = given(WORKSPACE, "w1", *w.RESTORING, WorkspaceRestored(at_ms=w.AT))
    story.when(RemoveWorkspace(session_ids=(), claims=1, at_ms=w.AT)).then(w.REMOVAL).pending("remove")


@pytest.mark.parametrize("phase", PHASES)
def test_title_of_a_workspace_can_be_set_and_cleared_in_every_phase(phase: str) -> None:
    story = given(WORKSPACE, "w1", *PHASES[phase])
    story = story.when(EditWorkspace(title="Mine", at_ms=w.AT)).then(WorkspaceEdited(title="Mine", at_ms=w.AT))
    assert (story.state.title, story.state.phase) == ("Mine", phase)
    story = story.when(EditWorkspace(title="Mine", at_ms=w.AT)).then()
    assert (
        story.when(EditWorkspace(title=None, at_ms=w.AT)).then(WorkspaceEdited(title=None, at_ms=w.AT)).state.title
        is None
    )


def test_a_clone_is_removed_as_well() -> None:
    story = given(WORKSPACE, "w1").when(w.prepare(spec=replace(w.ORDER, strategy="clone"))).when(w.DONE)
    story.when(w.remove()).then(w.released(), w.REMOVAL)


@pytest.mark.parametrize("phase", ["preparing", "failed", "removing", "removed", "restoring"])
def test_release_of_a_workspace_that_is_not_ready_does_not_remove_it(phase: str) -> None:
    story = given(WORKSPACE, "w1", *PHASES[phase])
    claims = ("s1",) if "s1" in story.state.sessions else ()
    after = story.when(w.remove()).then(*(w.released() for _ in claims))
    assert (after.state.phase, after.state.sessions) == (phase, ())
    assert after.effects == story.effects


def test_a_workspace_that_was_released_during_preparation_is_removed_when_ready() -> None:
    story = given(WORKSPACE, "w1", *w.PREPARING).when(w.remove()).then(w.released()).pending("prepare")
    story = story.when(w.DONE).then(WorkspaceReady(prepared=w.PREPARED, at_ms=w.AT), w.REMOVAL).pending("remove")
    story.when(KEPT).when(w.GONE).then(WorkspaceRemoved(at_ms=w.AT)).pending()


def test_a_workspace_that_was_claimed_during_preparation_is_kept() -> None:
    story = given(WORKSPACE, "w1", *w.PREPARING).when(w.remove()).when(w.claim("s2")).then(w.claimed("s2"))
    story.when(w.DONE).then(WorkspaceReady(prepared=w.PREPARED, at_ms=w.AT)).pending()


def test_failed_removal_leaves_the_workspace_as_it_was_and_says_why() -> None:
    story = given(WORKSPACE, "w1", *w.REMOVING).when(w.STAYS).then(BUSY).pending()
    assert (story.state.phase, story.state.failure_code) == ("ready", "workspace_busy")
    story.when(w.claim("s2")).then(w.claimed("s2"))
    again = story.when(w.remove()).then(w.REMOVAL).pending("remove")
    assert (again.state.failure_code, again.state.failure_detail) == (None, "")


def test_the_newest_preserved_work_is_restored() -> None:
    other = replace(w.KEPT, commit="cafe")
    story = given(WORKSPACE, "w1", *w.NOT_REMOVED, w.REMOVAL, WorkPreserved(kept=w.KEPT, at_ms=w.AT))
    story = (
        story.when(ReportPreserved(kept=other, at_ms=w.AT))
        .then(WorkPreserved(kept=other, at_ms=w.AT))
        .when(w.GONE)
        .when(w.RESTORE)
    )
    assert story.effects == (Restore("restore", w.ORDER, other),)


def test_a_workspace_is_restored_from_its_preserved_work() -> None:
    story = given(WORKSPACE, "w1", *w.REMOVED).when(w.RESTORE).then(WorkspaceRestoreRequested(at_ms=w.AT))
    assert story.pending("restore").effects == (Restore("restore", w.ORDER, w.KEPT),)
    story = story.when(w.RESTORE).then().when(w.claim("s2")).then(w.claimed("s2"))
    story = story.when(w.BACK).then(WorkspaceRestored(at_ms=w.AT)).pending()
    assert (story.state.phase, story.state.sessions, story.state.prepared) == ("ready", ("s2",), w.PREPARED)
    story.when(w.RESTORE).then()


def test_a_restore_that_fails_loses_nothing_and_can_be_tried_again() -> None:
    story = given(WORKSPACE, "w1", *w.RESTORING).when(w.NOT_BACK)
    story = story.then(WorkspaceRestoreFailed(code="git_failed", detail="no space", at_ms=w.AT)).pending()
    assert (story.state.phase, story.state.kept, story.state.failure_code) == ("removed", w.KEPT, "git_failed")
    story = story.when(w.RESTORE).then(WorkspaceRestoreRequested(at_ms=w.AT)).pending("restore")
    assert story.state.failure_code is None


@pytest.mark.parametrize("phase", ["preparing", "failed", "removing"])
def test_only_a_removed_workspace_can_be_restored(phase: str) -> None:
    given(WORKSPACE, "w1", *PHASES[phase]).when(w.RESTORE).then_rejected("workspace_busy", says=phase)


def test_workspace_whose_directory_was_deleted_is_made_again() -> None:
    story = given(WORKSPACE, "w1", *w.READY).when(ReportFault(fault="missing", at_ms=w.AT))
    story = story.then(WorkspaceLookedAt(fault="missing", at_ms=w.AT)).pending()
    story = story.when(ReportFault(fault="missing", at_ms=w.AT)).then()
    story = story.when(w.RESTORE).then(w.REQUESTED).pending("prepare")
    story = story.when(w.BROKE).then(WorkspaceFailed(code="git_failed", detail="no space", at_ms=w.AT)).pending()
    assert story.state.fault == "missing"
    story = story.when(w.RESTORE).then(w.REQUESTED).pending("prepare")
    story = story.when(w.DONE).then(WorkspaceReady(prepared=w.PREPARED, at_ms=w.AT)).pending()
    assert (story.state.phase, story.state.fault) == ("ready", None)


@pytest.mark.parametrize("phase", ["failed", "removed"])
def test_workspace_gets_a_new_source_after_the_source_was_moved(phase: str) -> None:
    story = given(WORKSPACE, "w1", *PHASES[phase]).when(RebindWorkspace(source_directory="/moved", at_ms=w.AT))
    story = story.then(WorkspaceRebound(source_directory="/moved", at_ms=w.AT)).pending()
    assert story.state.spec == replace(w.ORDER, source_directory="/moved")
    story.when(RebindWorkspace(source_directory="/moved", at_ms=w.AT)).then()


@pytest.mark.parametrize("phase", ["ready", "failed", "removed"])
def test_a_workspace_is_elsewhere_after_its_data_directory_was_restored(phase: str) -> None:
    spec, prepared = replace(w.ORDER, directory="/new/w1"), replace(w.PREPARED, directory="/new/w1")
    relocate = RelocateWorkspace(spec=spec, prepared=prepared, at_ms=w.AT)
    story = given(WORKSPACE, "w1", *PHASES[phase]).when(relocate)
    story = story.then(WorkspaceRelocated(spec=spec, prepared=prepared, at_ms=w.AT)).pending()
    assert (story.state.spec, story.state.prepared, story.state.phase) == (spec, prepared, phase)
    story.when(relocate).then()


def test_a_source_is_not_changed_while_the_workspace_is_being_made() -> None:
    given(WORKSPACE, "w1", *w.PREPARING).when(RebindWorkspace(source_directory="/moved", at_ms=w.AT)).then_rejected(
        "workspace_busy"
    )


def test_a_given_directory_that_was_deleted_is_not_made_again() -> None:
    history: tuple[WorkspaceEvent, ...] = (
        WorkspaceRequested(spec=w.GIVEN, at_ms=w.AT),
        w.claimed("s1"),
        WorkspaceReady(prepared=w.PREPARED, at_ms=w.AT),
    )
    story = given(WORKSPACE, "w1", *history).when(ReportFault(fault="missing", at_ms=w.AT))
    story.when(w.RESTORE).then_rejected("workspace_gone", says="Create the directory again")


@pytest.mark.parametrize("phase", ["removing", "removed"])
@pytest.mark.parametrize("command", [w.claim("s2"), w.prepare("s2")])
def test_a_removed_workspace_cannot_be_claimed_and_names_the_way_to_restore_it(
    phase: str, command: WorkspaceCommand
) -> None:
    story = given(WORKSPACE, "w1", *PHASES[phase]).when(command)
    story.then_rejected("workspace_gone", says="POST /api/workspaces/w1/restore").then_rejected(
        "workspace_gone", says=phase
    )


@pytest.mark.parametrize("phase", PHASES)
def test_reports_to_a_workspace_that_were_not_requested_change_nothing(phase: str) -> None:
    story = given(WORKSPACE, "w1", *PHASES[phase])
    for ordered, reports in REPORTS.items():
        for report in reports if ordered != phase else ():
            story.when(report).then()


@pytest.mark.parametrize("command", [w.remove(), w.RESTORE, KEPT, w.GONE, w.BACK])
def test_an_unknown_workspace_cannot_be_removed_or_restored(command: WorkspaceCommand) -> None:
    given(WORKSPACE, "w1").when(command).then_rejected("workspace_not_found", says="w1")
