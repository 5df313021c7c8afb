"""The workspace: made once, shared by those who claim it, tried again where it failed."""

import hypothesis
import pytest
from hypothesis import strategies as st
from msgspec.structs import replace

from fleet.core.transition_table import ImpossibleEvent
from fleet.core.workspace.commands import ReportFault, ReportPreserved, ReportSaved, WorkspaceCommand
from fleet.core.workspace.decide import WORKSPACE
from fleet.core.workspace.effects import Prepare
from fleet.core.workspace.events import (
    WorkSaved,
    WorkspaceEvent,
    WorkspaceFailed,
    WorkspaceReady,
    WorkspaceRemovalFailed,
    WorkspaceRemovalRequested,
    WorkspaceRemoved,
    WorkspaceRequested,
    WorkspaceRestored,
    WorkspaceRestoreFailed,
    WorkspaceRestoreRequested,
)
from fleet.core.workspace.state import State
from tests.core import workspaces as w
from tests.core.given import given
from tests.core.walks import walk


def test_a_workspace_is_prepared_for_the_first_session_that_asks() -> None:
    story = given(WORKSPACE, "w1").when(w.prepare()).then(*w.PREPARING).pending("prepare")
    (effect,) = story.effects
    assert isinstance(effect, Prepare)
    assert effect.spec == w.ORDER
    story = story.when(w.DONE).then(WorkspaceReady(prepared=w.PREPARED, at_ms=w.AT)).pending()
    assert (story.state.phase, story.state.prepared, story.state.sessions) == ("ready", w.PREPARED, ("s1",))


@pytest.mark.parametrize("command", [w.claim("s1"), w.DONE, w.BROKE])
def test_an_unknown_workspace_rejects_commands(command: WorkspaceCommand) -> None:
    given(WORKSPACE, "w1").when(command).then_rejected("workspace_not_found", says="w1")


@pytest.mark.parametrize("history", [w.PREPARING, w.READY])
def test_claims_of_a_workspace_are_counted_also_repeated_ones(history: tuple[WorkspaceEvent, ...]) -> None:
    before = given(WORKSPACE, "w1", *history)
    story = before.when(w.claim("s2")).then(w.claimed("s2")).when(w.claim("s2")).then(w.claimed("s2"))
    story = story.when(w.prepare("s3", replace(w.ORDER, branch="other"))).then(w.claimed("s3"))
    assert (story.state.sessions, story.state.claims) == (("s1", "s2", "s3"), 4)
    assert story.state.spec == w.ORDER
    assert story.effects == before.effects


def test_a_failed_workspace_has_the_reason() -> None:
    story = given(WORKSPACE, "w1", *w.PREPARING).when(w.BROKE)
    story = story.then(WorkspaceFailed(code="git_failed", detail="no space", at_ms=w.AT)).pending()
    assert (story.state.failure_code, story.state.failure_detail) == ("git_failed", "no space")


@pytest.mark.parametrize("command", [w.claim("s1"), w.prepare("s1")])
def test_failed_workspace_is_retried_with_its_first_spec(command: WorkspaceCommand) -> None:
    story = given(WORKSPACE, "w1", *w.FAILED).when(command).then(w.REQUESTED, w.claimed("s1")).pending("prepare")
    assert (story.state.failure_code, story.state.failure_detail) == (None, "")
    story.when(w.DONE).then(WorkspaceReady(prepared=w.PREPARED, at_ms=w.AT))


def test_another_session_can_retry_a_failed_workspace() -> None:
    story = given(WORKSPACE, "w1", *w.FAILED).when(w.claim("s2")).then(w.REQUESTED, w.claimed("s2"))
    assert story.state.sessions == ("s1", "s2")


@pytest.mark.parametrize("history", [w.READY, w.FAILED])
@pytest.mark.parametrize("report", [w.DONE, w.BROKE])
def test_late_reports_to_a_workspace_change_nothing(
    history: tuple[WorkspaceEvent, ...], report: WorkspaceCommand
) -> None:
    given(WORKSPACE, "w1", *history).when(report).then()


def test_workspace_log_that_contradicts_the_transition_table_is_refused() -> None:
    with pytest.raises(ImpossibleEvent, match="WorkspaceReady in a workspace that is absent"):
        WORKSPACE.evolve(WORKSPACE.initial("w1"), WorkspaceReady(prepared=w.PREPARED, at_ms=w.AT))


sessions = st.sampled_from(("s1", "s2", "s3"))
commands: st.SearchStrategy[WorkspaceCommand] = st.one_of(
    st.builds(w.prepare, sessions, st.sampled_from((w.ORDER, w.ORDER, w.GIVEN))),
    st.builds(w.claim, sessions),
    st.builds(w.remove, sessions, st.integers(1, 4)),  # as decided by a caller that may have seen an older state
    st.sampled_from((w.DONE, w.DONE, w.BROKE, w.RESTORE, w.GONE, w.STAYS, w.BACK, w.NOT_BACK)),
    st.builds(ReportFault, fault=st.sampled_from(("missing", "cut_off", None)), at_ms=st.just(w.AT)),
    st.builds(
        ReportPreserved, kept=st.sampled_from((w.KEPT, replace(w.KEPT, commit=None, ref=None))), at_ms=st.just(w.AT)
    ),
)


def check(state: State, log: tuple[WorkspaceEvent, ...]) -> None:
    """Each claims once; each order has one answer; what rests orders nothing; what is in use or given stays."""
    assert len(set(state.sessions)) == len(state.sessions)
    asked = sum(isinstance(event, ORDERS) for event in log)
    answered = sum(isinstance(event, ANSWERS) for event in log)
    busy = state.phase in ("preparing", "removing", "restoring")
    assert asked - answered == len(WORKSPACE.pending(state)) == busy
    if state.phase == "removing":
        assert not state.sessions
        assert state.spec == w.ORDER, "the directory was there before"
    if state.phase == "ready" and state.spec == w.ORDER and isinstance(log[-1], WorkspaceReady) and is_first(log):
        assert state.sessions, "no session is left that could ask for its removal"


def is_first(log: tuple[WorkspaceEvent, ...]) -> bool:
    return sum(isinstance(event, WorkspaceReady) for event in log) == 1


ORDERS = (WorkspaceRequested, WorkspaceRemovalRequested, WorkspaceRestoreRequested)
ANSWERS = (
    *(WorkspaceReady, WorkspaceFailed, WorkspaceRemoved, WorkspaceRemovalFailed),
    *(WorkspaceRestored, WorkspaceRestoreFailed),
)


@hypothesis.settings(max_examples=150)
@hypothesis.given(st.data())
def test_a_workspace_keeps_its_laws(data: st.DataObject) -> None:
    walk(data, WORKSPACE, lambda state: commands | st.builds(w.remove, sessions, st.just(state.claims)), check)


def test_work_on_another_host_is_saved_while_the_session_continues() -> None:
    ready: tuple[WorkspaceEvent, ...] = (
        WorkspaceRequested(spec=w.ELSEWHERE, at_ms=w.AT),
        w.claimed("s1"),
        WorkspaceReady(prepared=w.PREPARED, at_ms=w.AT),
    )
    saved = ReportSaved(saved=w.KEPT, host="n1", at_ms=w.AT)
    story = given(WORKSPACE, "w1", *ready).when(saved).then(WorkSaved(saved=w.KEPT, at_ms=w.AT)).pending()
    assert (story.state.saved, story.state.phase) == (w.KEPT, "ready")
    story.when(saved).then()
    given(WORKSPACE, "w1", *ready).when(ReportSaved(saved=w.KEPT, host="n2", at_ms=w.AT)).then()  # it was moved since


def test_a_workspace_that_was_never_made_may_be_made_on_another_host() -> None:
    story = given(WORKSPACE, "w1", *w.FAILED).when(w.prepare(spec=w.ELSEWHERE))
    story.then(WorkspaceRequested(spec=w.ELSEWHERE, at_ms=w.AT), w.claimed("s1")).pending("prepare")
