"""The trees of a session and of its turns, and what they have changed."""

import pytest
from msgspec.structs import replace

from fleet.core.session.commands import ResumeSession
from fleet.core.session.decide import SESSION
from fleet.core.session.events import SessionEvent, WorkspaceAttached
from fleet.core.session.report_commands import (
    ReportChanges,
    ReportStepSnapshot,
    ReportTurnSnapshot,
    ReportWorkspaceReady,
)
from fleet.core.session.state import newest_tree
from fleet.core.session.turn_events import ChangesRecorded, StepSnapshotTaken, TurnSnapshotTaken
from fleet.core.session.values import Totals
from tests.core import sessions as s
from tests.core.given import given


def tree(number: int = 1, name: str = "t1") -> ReportTurnSnapshot:
    return ReportTurnSnapshot(number=number, tree=name, at_ms=s.AT)


def step(number: int = 1, name: str = "t1") -> ReportStepSnapshot:
    return ReportStepSnapshot(number=number, part_id="prt_1", tool="edit", tree=name, at_ms=s.AT)


def recorded(number: int = 1, files: int = 2, name: str = "t2") -> ChangesRecorded:
    return ChangesRecorded(
        number=number,
        tree=name,
        turn_manifest="turn",
        session_manifest="session",
        totals=Totals(files, 10, 3),
        overlaps=(),
        at_ms=s.AT,
    )


def test_first_baseline_of_the_diff_stays() -> None:
    first = ReportWorkspaceReady(
        workspace_id="w1", directory="/trees/w1", branch="fleet/title", at_ms=s.AT, baseline="t0"
    )
    story = given(SESSION, "s1", *s.CREATED).when(first)
    story = story.then(
        WorkspaceAttached(workspace_id="w1", directory="/trees/w1", branch="fleet/title", at_ms=s.AT, baseline="t0")
    )
    assert (story.state.snapshots.baseline, story.state.snapshots.newest) == ("t0", "t0")
    story = story.when(s.instance_ready()).when(s.conversation_open()).when(s.submit()).when(s.changes())
    story = story.when(s.turn_ended(1)).when(s.instance_ended()).when(ResumeSession(at_ms=s.AT))
    story = story.when(
        ReportWorkspaceReady(workspace_id="w1", directory="/trees/w1", branch="fleet/title", at_ms=s.AT, baseline="t9")
    )
    assert (story.state.snapshots.baseline, story.state.snapshots.newest) == ("t0", "t2")


def test_a_baseline_that_could_not_be_taken_is_taken_by_a_resume() -> None:
    story = given(SESSION, "s1", *s.RESUMING).when(
        ReportWorkspaceReady(workspace_id="w1", directory="/trees/w1", branch=None, at_ms=s.AT, baseline="t9")
    )
    assert (story.state.snapshots.baseline, story.state.snapshots.newest) == ("t9", "t9")


def test_tree_of_a_turn_is_recorded_once_before_its_prompt_is_sent() -> None:
    story = (
        given(SESSION, "s1", *s.SENDING)
        .when(tree())
        .then(TurnSnapshotTaken(number=1, tree="t1", at_ms=s.AT))
        .pending("deliver:1:i1")
    )
    assert story.state.turn is not None
    assert story.state.turn.base == "t1"
    story.when(tree(name="later")).then()


@pytest.mark.parametrize("history", [s.ACTIVE, s.WAITING, s.FINISHED, s.LOST_TURN, s.STOPPED, s.CREATED])
def test_prompt_that_was_sent_and_turn_that_ended_need_no_tree(history: tuple[SessionEvent, ...]) -> None:
    given(SESSION, "s1", *history).when(tree()).then()


def test_tree_of_another_turn_is_ignored() -> None:
    given(SESSION, "s1", *s.SENDING).when(tree(2)).then()


def test_a_tree_within_a_turn_is_recorded_if_it_differs_from_the_last_one() -> None:
    story = given(SESSION, "s1", *s.ACTIVE).when(step())
    taken = StepSnapshotTaken(number=1, part_id="prt_1", tool="edit", tree="t1", at_ms=s.AT)
    story = story.then(taken).when(step()).then().when(step(name="t2")).then(replace(taken, tree="t2"))
    assert newest_tree(story.state) == "t2"
    story = story.when(s.changes(tree="t3")).when(s.turn_ended(1))
    assert newest_tree(story.state) == "t3"


@pytest.mark.parametrize("history", [s.SENDING, s.ABORTING, s.FINISHED, s.LOST_TURN, s.STOPPED])
def test_a_tree_within_a_turn_is_recorded_only_while_the_turn_runs(history: tuple[SessionEvent, ...]) -> None:
    given(SESSION, "s1", *history).when(step()).then()
    given(SESSION, "s1", *s.ACTIVE).when(step(2)).then()


@pytest.mark.parametrize("history", [s.ACTIVE, s.WAITING, s.ABORTING, s.LOST_TURN])
def test_changes_of_a_turn_are_recorded_before_it_ends(history: tuple[SessionEvent, ...]) -> None:
    before = given(SESSION, "s1", *history)
    story = before.when(s.changes()).then(recorded())
    assert (story.state.snapshots.newest, story.state.snapshots.manifest, story.state.snapshots.totals) == (
        "t2",
        "session",
        Totals(2, 10, 3),
    )
    assert story.effects == before.effects
    story = story.when(s.changes(files=3, tree="t3")).then(recorded(files=3, name="t3"))
    assert story.state.snapshots.totals == Totals(3, 10, 3)


def test_changes_outlive_the_turn_and_name_sessions_that_worked_at_the_same_time() -> None:
    shared = ReportChanges(
        number=1,
        tree="t2",
        turn_manifest="turn",
        session_manifest="session",
        totals=Totals(1),
        overlaps=("s7",),
        at_ms=s.AT,
    )
    story = given(SESSION, "s1", *s.ACTIVE).when(shared)
    story = story.then(
        ChangesRecorded(
            number=1,
            tree="t2",
            turn_manifest="turn",
            session_manifest="session",
            totals=Totals(1),
            overlaps=("s7",),
            at_ms=s.AT,
        )
    ).when(s.turn_ended(1))
    assert (story.state.snapshots.newest, story.state.snapshots.totals) == ("t2", Totals(1))


@pytest.mark.parametrize("history", [s.CREATED, s.IDLE, s.FINISHED, s.FAILED, s.COMPLETED, s.RESUMED, s.STOPPED])
def test_changes_without_a_turn_are_not_recorded(history: tuple[SessionEvent, ...]) -> None:
    given(SESSION, "s1", *history).when(s.changes()).then()


def test_changes_of_another_turn_are_not_recorded() -> None:
    given(SESSION, "s1", *s.ACTIVE).when(s.changes(2)).then()
