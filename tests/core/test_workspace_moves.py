"""A workspace moves to another host when its own is lost or drained, and what it left there is remembered."""

import pytest
from msgspec.structs import replace

from fleet.core.workspace.commands import ReportLeftovers, ReportPreserved, ReportRemoved
from fleet.core.workspace.decide import WORKSPACE
from fleet.core.workspace.effects import Prepare
from fleet.core.workspace.events import (
    LeftoversRemoved,
    WorkPreserved,
    WorkSaved,
    WorkspaceEvent,
    WorkspaceFailed,
    WorkspaceReady,
    WorkspaceRemoved,
)
from fleet.core.workspace.state import ReturnedWork
from tests.core import workspaces as w
from tests.core.given import given

SAVED = WorkSaved(saved=w.KEPT, at_ms=w.AT)


def left(host: str) -> ReportLeftovers:
    return ReportLeftovers(host=host, kept=None, at_ms=w.AT)


@pytest.mark.parametrize(("history", "saved"), [(w.AWAY, None), ((*w.AWAY, SAVED), w.KEPT)])
def test_a_workspace_is_made_on_the_other_host_from_what_was_saved(
    history: tuple[WorkspaceEvent, ...], saved: object
) -> None:
    story = given(WORKSPACE, "w1", *history).when(w.move()).then(w.moved()).pending("prepare")
    (prepare,) = story.effects
    assert isinstance(prepare, Prepare)
    assert (prepare.spec.host, prepare.saved) == ("n2", saved)
    assert [(each.spec.host, each.saved) for each in story.state.left] == [("n1", saved)]
    story = story.when(w.DONE).then(WorkspaceReady(prepared=w.PREPARED, at_ms=w.AT)).pending()
    assert story.state.phase == "ready"


@pytest.mark.parametrize("history", [w.AWAY[:2], (*w.AWAY[:2], WorkspaceFailed(code="x", detail="", at_ms=w.AT))])
def test_a_workspace_that_was_not_made_yet_moves_too(history: tuple[WorkspaceEvent, ...]) -> None:
    given(WORKSPACE, "w1", *history).when(w.move()).then(w.moved()).pending("prepare")


def test_a_move_that_was_decided_before_something_changed_does_nothing() -> None:
    story = given(WORKSPACE, "w1", *w.AWAY)
    story.when(w.move(claims=2)).then()
    story.when(w.move(source="n3")).then()
    story.when(w.move()).when(w.move()).then()


@pytest.mark.parametrize("history", [w.REMOVING, w.REMOVED])
def test_a_removed_workspace_does_not_move(history: tuple[WorkspaceEvent, ...]) -> None:
    given(WORKSPACE, "w1", *history).when(w.move(source="local")).then_rejected("workspace_gone")


def test_workspace_does_not_move_to_a_host_that_still_has_its_older_directory() -> None:
    story = given(WORKSPACE, "w1", *w.AWAY, w.moved(), WorkspaceReady(prepared=w.PREPARED, at_ms=w.AT))
    back = w.move(source="n2", host="n1")
    story.when(back).then_rejected("host_unsuitable")
    story = story.when(left("n1")).then(LeftoversRemoved(host="n1", kept=None, at_ms=w.AT))
    story.when(left("n1")).then()
    story.when(back).then(w.moved("n1"))


def test_removal_on_a_lost_host_is_complete_when_its_directory_there_is_removed() -> None:
    removing = given(WORKSPACE, "w1", *w.AWAY, SAVED, w.released(), w.REMOVAL).when(
        ReportPreserved(kept=w.KEPT, at_ms=w.AT)
    )
    story = removing.when(ReportRemoved(left=True, at_ms=w.AT)).then(WorkspaceRemoved(left=True, at_ms=w.AT))
    assert [(each.spec.host, each.saved) for each in story.state.left] == [("n1", w.KEPT)]
    newer = replace(w.KEPT, commit="newer")
    cleared = story.when(ReportLeftovers(host="n1", kept=newer, at_ms=w.AT)).state
    assert (cleared.left, cleared.returned, cleared.kept, cleared.saved) == ((), (), newer, newer)
    returned = replace(newer, ref="refs/fleet/returned/w1-n1")
    other = story.when(ReportLeftovers(host="n1", kept=returned, at_ms=w.AT)).state
    assert (other.returned, other.kept) == ((ReturnedWork("n1", returned.ref or ""),), w.KEPT), (
        "it does not continue what had been saved"
    )


def test_work_preserved_by_a_removal_replaces_work_saved_before() -> None:
    removed = given(WORKSPACE, "w1", *w.AWAY, SAVED, w.released(), w.REMOVAL)
    later = WorkPreserved(kept=replace(w.KEPT, commit="later"), at_ms=w.AT)
    assert removed.state.saved == w.KEPT
    assert given(WORKSPACE, "w1", *w.AWAY, SAVED, w.released(), w.REMOVAL, later).state.saved == later.kept
    assert given(WORKSPACE, "w1", *w.REMOVED).state.saved is None, "on the server's machine nothing has to be saved"
