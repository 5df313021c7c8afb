"""The instance: its start, service and stop, and the reports of its end to its sessions."""

import hypothesis
import pytest
from hypothesis import strategies as st

from fleet.core.instance.commands import InstanceCommand, StopReason
from fleet.core.instance.decide import INSTANCE
from fleet.core.instance.effects import InformSession, OperateProcess, SpawnProcess, StopProcess
from fleet.core.instance.events import (
    InstanceEvent,
    InstanceLost,
    InstanceReachable,
    InstanceReady,
    InstanceSpawned,
    InstanceStartFailed,
    InstanceStopped,
    InstanceStopRequested,
    InstanceUnreachable,
    PermissionAllowed,
    RemnantsKilled,
)
from fleet.core.instance.state import LIVE, OVER, State
from fleet.core.transition_table import ImpossibleEvent
from fleet.ports import Exit
from tests.core import instances as i
from tests.core.given import given
from tests.core.walks import walk

ALIVE: dict[str, tuple[InstanceEvent, ...]] = {
    "to be spawned": i.REQUESTED,
    "spawned": i.RUNS,
    "ready": i.SERVES,
    "unreachable": i.UNREACHABLE,
}
ENDED: dict[str, tuple[InstanceEvent, ...]] = {"stopping": i.STOPPING, "stopped": i.OVER, "lost": i.LOST}
alive = pytest.mark.parametrize("history", ALIVE.values(), ids=ALIVE.keys())
over = pytest.mark.parametrize("history", ENDED.values(), ids=ENDED.keys())
always = pytest.mark.parametrize("history", (ALIVE | ENDED).values(), ids=(ALIVE | ENDED).keys())


def test_instance_starts_in_steps_each_logged_before_the_next() -> None:
    story = given(INSTANCE, "i1").when(i.START).then(*i.REQUESTED).pending("spawn")
    assert story.effects == (SpawnProcess("spawn", "i1", "/src"),)
    story = story.when(i.SPAWNED).then(InstanceSpawned(identity=i.IDENTITY, at_ms=i.AT)).pending("await")
    story = story.when(i.READY).then(InstanceReady(endpoint=i.ENDPOINT, at_ms=i.AT)).pending("operate")
    assert story.effects == (OperateProcess("operate", "i1", i.IDENTITY, i.ENDPOINT),)
    assert story.state.sessions == {"s1": "/trees/w1"}


@pytest.mark.parametrize("command", [i.attach("s1"), i.detach("s1"), i.stop(), i.SPAWNED, i.GONE, i.informed("s1")])
def test_commands_to_an_instance_that_was_never_started_are_refused(command: InstanceCommand) -> None:
    given(INSTANCE, "i1").when(command).then_rejected("instance_not_found", says="i1")


@always
def test_instance_is_started_once(history: tuple[InstanceEvent, ...]) -> None:
    given(INSTANCE, "i1", *history).when(i.START).then()


@alive
def test_sessions_attach_to_an_instance_once_each_and_a_move_changes_their_directory(
    history: tuple[InstanceEvent, ...],
) -> None:
    before = given(INSTANCE, "i1", *history)
    story = before.when(i.attach("s2")).then(i.attached("s2")).when(i.attach("s2")).then()
    story = story.when(i.attach("s2", "/else")).then(i.attached("s2", "/else"))
    assert story.state.sessions == {"s1": "/trees/w1", "s2": "/else"}
    assert story.effects == before.effects


@over
def test_session_cannot_attach_to_an_instance_that_is_ending(history: tuple[InstanceEvent, ...]) -> None:
    story = given(INSTANCE, "i1", *history)
    story.when(i.attach("s3")).then_rejected("instance_not_found", says=story.state.phase)


@alive
def test_instance_stops_when_the_last_session_detaches(history: tuple[InstanceEvent, ...]) -> None:
    story = given(INSTANCE, "i1", *history, i.attached("s2"))
    story = story.when(i.detach("s2")).then(i.detached("s2"))
    assert story.state.phase not in OVER
    story = story.when(i.detach("s1")).then(i.detached("s1"), InstanceStopRequested(reason="unused", at_ms=i.AT))
    story.pending("stop").when(i.STOPPED).then(InstanceStopped(steps=i.STEPS, at_ms=i.AT)).pending()


@always
def test_a_session_that_is_not_attached_cannot_detach(history: tuple[InstanceEvent, ...]) -> None:
    given(INSTANCE, "i1", *history).when(i.detach("s9")).then()


@pytest.mark.parametrize("history", [i.REQUESTED, i.RUNS])
def test_instance_that_fails_to_start_is_cleaned_up_and_informs_its_sessions(
    history: tuple[InstanceEvent, ...],
) -> None:
    story = given(INSTANCE, "i1", *history).when(i.START_FAILED)
    story = story.then(InstanceStartFailed(code="opencode_exited", detail="exit code 1", at_ms=i.AT)).pending(
        "stop", "inform:s1"
    )
    assert story.effects[1] == InformSession("inform:s1", "i1", "s1", orderly=False, evidence="exit code 1")
    assert story.state.failure_code == "opencode_exited"
    story = story.when(i.STOPPED).then(InstanceStopped(steps=i.STEPS, at_ms=i.AT)).pending("inform:s1")
    story.when(i.informed("s1")).then(i.detached("s1")).pending()


def test_unreachable_instance_is_not_taken_for_lost() -> None:
    story = given(INSTANCE, "i1", *i.SERVES).when(i.SILENT)
    story = story.then(InstanceUnreachable(evidence="no answer for 15 s", at_ms=i.AT)).pending("operate")
    assert (story.state.phase, story.state.evidence) == ("unreachable", "no answer for 15 s")
    story = story.when(i.SILENT).then()
    story = story.when(i.ANSWERING).then(InstanceReachable(at_ms=i.AT)).pending("operate")
    story.when(i.ANSWERING).then()


@alive
@pytest.mark.parametrize("reason", ["unused", "shutdown"])
def test_requested_stop_of_an_instance_is_reported_as_orderly(
    history: tuple[InstanceEvent, ...], reason: StopReason
) -> None:
    story = given(INSTANCE, "i1", *history).when(i.stop(reason))
    story = story.then(InstanceStopRequested(reason=reason, at_ms=i.AT)).pending("stop", "inform:s1")
    inform = story.effects[1]
    assert isinstance(inform, InformSession)
    assert inform.orderly
    story.when(i.stop(reason)).then()


def test_a_hung_process_is_stopped_and_its_sessions_are_disconnected() -> None:
    story = given(INSTANCE, "i1", *i.UNREACHABLE).when(i.stop("hung"))
    story = story.then(InstanceStopRequested(reason="hung", at_ms=i.AT)).pending("stop", "inform:s1")
    inform = story.effects[1]
    assert isinstance(inform, InformSession)
    assert not inform.orderly, "its sessions are disconnected, not completed"
    assert "did not answer" in inform.evidence
    story.when(i.stop("hung")).then().when(i.STOPPED).then(InstanceStopped(steps=i.STEPS, at_ms=i.AT)).pending(
        "inform:s1"
    )


@pytest.mark.parametrize("history", [i.REQUESTED, i.RUNS, i.SERVES, (*i.UNREACHABLE, InstanceReachable(at_ms=i.AT))])
def test_a_process_that_responds_again_is_not_stopped_as_hung(history: tuple[InstanceEvent, ...]) -> None:
    before = given(INSTANCE, "i1", *history)
    assert before.when(i.stop("hung")).then().effects == before.effects


def test_stop_of_an_instance_lists_the_conversations_to_abort_and_their_directories() -> None:
    story = given(INSTANCE, "i1", *i.SHARED, i.attached("s3")).when(i.stop())
    stop = story.effects[0]
    assert stop == StopProcess("stop", "i1", i.IDENTITY, i.ENDPOINT, ("/trees/w1", "/trees/w2"))


@over
def test_an_instance_that_ends_is_not_stopped_again(history: tuple[InstanceEvent, ...]) -> None:
    given(INSTANCE, "i1", *history).when(i.stop()).then()


@pytest.mark.parametrize("history", [i.SHARED, (*i.UNREACHABLE, i.attached("s2"))])
def test_a_lost_process_is_cleaned_up_and_its_sessions_are_informed(history: tuple[InstanceEvent, ...]) -> None:
    story = given(INSTANCE, "i1", *history).when(i.GONE)
    story = story.then(InstanceLost(exit=Exit(signal=9), evidence="killed", at_ms=i.AT)).pending(
        "stop", "inform:s1", "inform:s2"
    )
    sweep, inform, _ = story.effects
    assert isinstance(sweep, StopProcess)
    assert sweep.endpoint is None, "a lost process cannot be asked"
    assert isinstance(inform, InformSession)
    assert (inform.orderly, inform.evidence) == (False, "killed")
    story = story.when(i.informed("s1")).then(i.detached("s1")).pending("stop", "inform:s2")
    story = story.when(i.STOPPED).then(RemnantsKilled(steps=i.STEPS, at_ms=i.AT)).pending("inform:s2")
    story = story.when(i.STOPPED).then()
    story = story.when(i.informed("s2")).then(i.detached("s2")).pending()
    assert story.state.phase == "lost"


def test_instance_on_a_silent_host_names_the_host_as_the_reason() -> None:
    silent = InstanceUnreachable(evidence="its host n1 does not answer", at_ms=i.AT)
    for history in (i.SERVES, i.UNREACHABLE):
        story = given(INSTANCE, "i1", *history).when(i.HOST_SILENT).then(silent).pending("operate")
        assert story.state.evidence == "its host n1 does not answer"
        story.when(i.HOST_SILENT).then().when(i.SILENT).then().when(i.ANSWERING).then(InstanceReachable(at_ms=i.AT))
    given(INSTANCE, "i1", *i.REQUESTED).when(i.HOST_SILENT).then()


@pytest.mark.parametrize("history", [*ALIVE.values(), i.STOPPING])
def test_instance_is_lost_with_its_host_and_needs_no_stop(
    history: tuple[InstanceEvent, ...],
) -> None:
    lost = InstanceLost(exit=Exit(), evidence="its host n1 is lost", host_lost=True, at_ms=i.AT)
    story = given(INSTANCE, "i1", *history).when(i.HOST_LOST).then(lost)
    assert {effect.key for effect in story.effects} == {f"inform:{session}" for session in story.state.sessions}
    assert all(isinstance(effect, InformSession) and effect.host_lost for effect in story.effects)
    assert (story.state.phase, story.state.swept, story.state.keeps_processes) == ("lost", True, False)
    story.when(i.HOST_LOST).then().when(i.STOPPED).then()


def test_start_of_an_instance_fails_if_its_host_is_lost_first() -> None:
    story = given(INSTANCE, "i1", *i.RUNS).when(i.HOST_LOST)
    assert story.state.failure_code == "host_unreachable"
    assert given(INSTANCE, "i1", *i.SERVES).when(i.HOST_LOST).state.failure_code is None


@over
def test_session_is_informed_once_of_the_end_of_its_instance(history: tuple[InstanceEvent, ...]) -> None:
    story = given(INSTANCE, "i1", *history).when(i.informed("s1")).then(i.detached("s1"))
    assert "inform:s1" not in {effect.key for effect in story.effects}
    story.when(i.informed("s1")).then()


@over
@pytest.mark.parametrize("report", [i.SPAWNED, i.READY, i.START_FAILED, i.SILENT, i.ANSWERING, i.GONE])
def test_late_reports_to_an_instance_change_nothing(
    history: tuple[InstanceEvent, ...], report: InstanceCommand
) -> None:
    given(INSTANCE, "i1", *history).when(report).then()


@alive
@pytest.mark.parametrize("report", [i.STOPPED, i.informed("s1")])
def test_reports_of_an_instance_stop_that_was_not_requested_change_nothing(
    history: tuple[InstanceEvent, ...], report: InstanceCommand
) -> None:
    given(INSTANCE, "i1", *history).when(report).then()


def test_permission_that_is_always_allowed_is_recorded_once() -> None:
    allowed = PermissionAllowed(
        session_id="s1",
        request_id="r1",
        directory="/trees/w1",
        permission="bash",
        patterns=("git status *",),
        at_ms=i.AT,
    )
    story = given(INSTANCE, "i1", *i.SERVES).when(i.ALLOW).then(allowed).pending("operate")
    assert story.state.allowed == (allowed,)
    story.when(i.ALLOW).then()
    given(INSTANCE, "i1", *i.OVER).when(i.ALLOW).then()


def test_instance_ignores_a_second_process_identity() -> None:
    given(INSTANCE, "i1", *i.RUNS).when(i.SPAWNED).then()


def test_instance_without_a_process_identity_cannot_become_ready() -> None:
    given(INSTANCE, "i1", *i.REQUESTED).when(i.READY).then().pending("spawn")


def test_instance_log_that_contradicts_the_transition_table_is_refused() -> None:
    with pytest.raises(ImpossibleEvent, match="InstanceReady in an instance that is stopped"):
        given(INSTANCE, "i1", *i.OVER, InstanceReady(endpoint=i.ENDPOINT, at_ms=i.AT))


sessions = st.sampled_from(("s1", "s2", "s3"))
anything: st.SearchStrategy[InstanceCommand] = st.one_of(
    st.sampled_from((i.START, i.SPAWNED, i.READY, i.START_FAILED, i.SILENT, i.ANSWERING, i.GONE, i.STOPPED, i.ALLOW)),
    st.sampled_from((i.HOST_SILENT, i.HOST_LOST)),
    st.builds(i.attach, sessions, st.sampled_from(("/a", "/b"))),
    st.builds(i.detach, sessions),
    st.builds(i.stop, st.sampled_from(("unused", "shutdown", "failed", "hung"))),
    st.builds(i.informed, sessions),
)


def commands(state: State) -> st.SearchStrategy[InstanceCommand]:
    return st.just(i.START) if state.phase == "absent" else anything


def check(state: State, log: tuple[InstanceEvent, ...]) -> None:
    """What lives is operated, what is over is stopped or swept and told; then nothing is left to do."""
    keys = {effect.key for effect in INSTANCE.pending(state)}
    told = {f"inform:{session}" for session in state.sessions}
    if state.phase == "starting":
        assert keys == ({"await"} if state.identity else {"spawn"})
    elif state.phase in LIVE:
        assert keys == {"operate"}
        assert state.sessions
    elif state.phase == "stopped":
        assert keys == told
    else:
        swept = state.host_lost or any(isinstance(event, RemnantsKilled) for event in log)
        assert keys == told | (set() if swept else {"stop"})


@hypothesis.settings(max_examples=100)
@hypothesis.given(st.data())
def test_an_instance_keeps_its_laws(data: st.DataObject) -> None:
    walk(data, INSTANCE, commands, check)
