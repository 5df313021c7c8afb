"""A session whose repository asks for a set-up: it waits for a person, runs, fails, is retried, aborted or skipped."""

import pytest
from msgspec.structs import replace

from fleet.core.session.commands import AbortTurn, ResumeSession, SkipSetup, StopSession
from fleet.core.session.decide import SESSION
from fleet.core.session.effects import SetUpWorkspace
from fleet.core.session.events import (
    ProvisionFailed,
    ResumeRequested,
    SessionEvent,
    SetupEnded,
    SetupHeld,
    SetupOutput,
    SetupSkipped,
    SetupStarted,
)
from fleet.core.session.report_commands import ReportSetupEnded, ReportSetupHeld, ReportSetupOutput, ReportSetupStarted
from fleet.core.session.state import State, status_of
from tests.core import sessions as s
from tests.core.given import given

HELD = (*s.TO_SET_UP, SetupHeld(at_ms=s.AT))
RUNS = (*HELD, SetupStarted(at_ms=s.AT))
FAILED = (
    *RUNS,
    SetupEnded(exit_code=1, detail="no", at_ms=s.AT),
    ProvisionFailed(step="setup", code="setup_failed", detail="no", at_ms=s.AT),
)


def how(state: State) -> tuple[str, str | None, str]:
    assert state.setup is not None
    return state.setup.status, state.provisioning, status_of(state)


def test_a_set_up_waits_for_permission_then_runs_and_the_session_continues() -> None:
    story = given(SESSION, "s1", *s.CREATED).when(s.workspace_ready(s.RECIPE)).then(s.TO_SET_UP[-1]).pending("setup")
    assert how(story.state) == ("required", "setup", "created")
    story = story.when(ReportSetupHeld(at_ms=s.AT)).then(SetupHeld(at_ms=s.AT)).pending("setup")
    assert how(story.state) == ("held", "setup", "waiting_input")
    assert story.state.notifications[-1].kind == "request"
    story = story.when(ReportSetupHeld(at_ms=s.AT)).then()
    story = story.when(ReportSetupStarted(at_ms=s.AT)).then(SetupStarted(at_ms=s.AT)).pending("setup")
    assert how(story.state) == ("running", "setup", "created")
    story = story.when(ReportSetupOutput(text="added 1 package\n", at_ms=s.AT)).then(
        SetupOutput(text="added 1 package\n", at_ms=s.AT)
    )
    story = story.when(ReportSetupEnded(exit_code=0, code=None, detail="", at_ms=s.AT, baseline="t2")).then(
        SetupEnded(exit_code=0, detail="", at_ms=s.AT, baseline="t2")
    )
    assert how(story.pending("instance").state) == ("done", "instance", "created")
    assert story.state.snapshots.baseline == "t2"


def test_baseline_of_earlier_turns_stays_after_another_set_up() -> None:
    story = (
        given(SESSION, "s1", *s.RESUMED[:-2])
        .when(ReportSetupEnded(exit_code=0, code=None, detail="", at_ms=s.AT, baseline="t2"))
        .then()
    )
    assert story.state.snapshots.baseline is None


def test_failed_set_up_is_an_error_and_resume_repeats_it() -> None:
    story = given(SESSION, "s1", *RUNS).when(s.setup_ended(1, "setup_failed")).then(*FAILED[-2:]).pending()
    assert how(story.state) == ("failed", None, "error")
    assert story.state.failure is not None
    assert story.state.failure.step == "setup"
    story = (
        story.when(ResumeSession(at_ms=s.AT)).pending("workspace").when(s.workspace_ready(s.RECIPE)).pending("setup")
    )
    assert how(story.state) == ("required", "setup", "error")


def test_prompts_wait_during_the_set_up() -> None:
    given(SESSION, "s1", *RUNS).when(s.submit("p1")).then(s.accepted("p1")).pending("setup")


@pytest.mark.parametrize("history", [s.TO_SET_UP, HELD, RUNS])
def test_abort_ends_a_running_set_up(history: tuple[SessionEvent, ...]) -> None:
    said = "the set-up was aborted"
    ended = (
        SetupEnded(exit_code=None, detail=said, at_ms=s.AT),
        ProvisionFailed(step="setup", code="setup_aborted", detail=said, at_ms=s.AT),
    )
    story = given(SESSION, "s1", *history).when(AbortTurn(at_ms=s.AT)).then(*ended).pending()
    story = story.when(AbortTurn(at_ms=s.AT)).then()
    for late in (
        ReportSetupHeld(at_ms=s.AT),
        ReportSetupStarted(at_ms=s.AT),
        ReportSetupOutput(text="x", at_ms=s.AT),
        s.setup_ended(),
    ):
        story = story.when(late).then()


def test_stop_of_the_session_ends_its_set_up() -> None:
    story = given(SESSION, "s1", *RUNS).when(StopSession(at_ms=s.AT)).pending("end")
    assert how(story.state) == ("failed", None, "created")


def test_a_person_can_skip_the_set_up() -> None:
    story = given(SESSION, "s1", *HELD).when(SkipSetup(at_ms=s.AT)).then(SetupSkipped(at_ms=s.AT)).pending("instance")
    assert how(story.state) == ("skipped", "instance", "created")
    story = given(SESSION, "s1", *FAILED).when(SkipSetup(at_ms=s.AT))
    story = story.then(SetupSkipped(at_ms=s.AT), ResumeRequested(at_ms=s.AT)).pending("workspace")
    assert how(story.when(s.workspace_ready()).pending("instance").state) == ("skipped", "instance", "error")


def test_only_a_waiting_set_up_can_be_skipped() -> None:
    given(SESSION, "s1", *RUNS).when(SkipSetup(at_ms=s.AT)).then_rejected("session_not_ready", says="Abort it first.")
    for history in (s.CREATED, s.IDLE, s.STOPPED):
        given(SESSION, "s1", *history).when(SkipSetup(at_ms=s.AT)).then_rejected("setup_not_waiting")


def test_set_up_whose_host_is_lost_disconnects_the_session_or_begins_again_on_another_host() -> None:
    end = ReportSetupEnded(exit_code=None, code="host_unreachable", detail="no answer", host_lost=True, at_ms=s.AT)
    ended = SetupEnded(exit_code=None, detail="no answer", at_ms=s.AT)
    lost = s.disconnected("", "no answer")
    story = given(SESSION, "s1", *RUNS).when(end).then(ended, lost).pending()
    assert how(story.state) == ("failed", None, "disconnected")
    story = given(SESSION, "s1", *s.roaming(*RUNS)).when(end).then(ended, lost, ResumeRequested(at_ms=s.AT))
    story.pending("workspace")


def test_each_set_up_of_a_workspace_is_an_attempt_of_its_own() -> None:
    again = (ResumeRequested(at_ms=s.AT + 5), replace(s.TO_SET_UP[-1], at_ms=s.AT + 6))
    stories = [given(SESSION, "s1", *history) for history in (RUNS, (*FAILED, *again))]
    attempts = [effect.attempt for story in stories for effect in story.effects if isinstance(effect, SetUpWorkspace)]
    assert attempts == [s.AT, s.AT + 6]
