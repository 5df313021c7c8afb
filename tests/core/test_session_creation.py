"""A session comes up: workspace, instance, conversation; each step can fail, and be tried again."""

import pytest

from fleet.core.session.commands import (
    AbortTurn,
    CreateSession,
    EditSession,
    ResumeSession,
    SessionCommand,
    StopSession,
)
from fleet.core.session.decide import SESSION
from fleet.core.session.decide_reports import ended_early
from fleet.core.session.events import (
    ResumeRequested,
    SessionEdited,
    SessionEvent,
    SessionResumed,
    SessionSettled,
    SetupEnded,
    SetupSkipped,
    SetupStarted,
)
from fleet.core.session.turn_events import PromptDelivered
from fleet.core.session.values import ProvisionStep
from fleet.core.transition_table import ImpossibleEvent
from fleet.limits import TITLE_CHARS_MAX
from tests.core import sessions as s
from tests.core.given import given

STEPS: dict[ProvisionStep, tuple[SessionEvent, ...]] = {
    "workspace": s.CREATED,
    "setup": s.TO_SET_UP,
    "instance": s.IN_WORKSPACE,
    "conversation": s.ON_INSTANCE,
}
each_step = pytest.mark.parametrize(("step", "history"), STEPS.items(), ids=STEPS.keys())


def test_a_session_is_provisioned_step_by_step_and_waits_for_a_prompt() -> None:
    story = given(SESSION, "s1").when(s.create()).then(*s.CREATED).pending("workspace")
    story = story.when(s.workspace_ready()).then(s.WORKSPACE).pending("instance")
    story = story.when(s.instance_ready()).then(s.attached("i1")).pending("conversation:i1")
    story = story.when(s.conversation_open()).then(s.OPENED).pending()
    assert (story.state.phase, story.state.opencode.instance_ids) == ("idle", ("i1",))


def test_evidence_names_the_present_step_of_a_creation() -> None:
    story = given(SESSION, "s1", *s.CREATED)
    assert story.state.evidence == "created; its workspace is being prepared"
    story = story.when(s.workspace_ready())
    assert story.state.evidence == "its workspace is ready; it gets an OpenCode process"
    story = story.when(s.instance_ready())
    assert story.state.evidence == "OpenCode creates the session"


@pytest.mark.parametrize("end", [SetupEnded(exit_code=0, detail="", at_ms=s.AT), SetupSkipped(at_ms=s.AT)])
def test_evidence_says_that_a_set_up_is_over(end: SessionEvent) -> None:
    story = given(SESSION, "s1", *s.TO_SET_UP, SetupStarted(at_ms=s.AT), end)
    assert story.state.evidence == "its workspace is ready; it gets an OpenCode process"


def test_session_sends_its_initial_prompt_when_provisioned() -> None:
    story = given(SESSION, "s1").when(s.create(initial=s.submit("p1"))).then(*s.CREATED, s.accepted("p1"))
    story = story.pending("workspace").when(s.workspace_ready()).when(s.instance_ready())
    story = story.when(s.conversation_open("now")).then(s.OPENED, s.started(1, "p1", "now")).pending("deliver:1:i1")
    assert story.state.phase == "active"


@each_step
def test_a_session_accepts_prompts_while_it_is_provisioned(
    step: ProvisionStep, history: tuple[SessionEvent, ...]
) -> None:
    story = given(SESSION, "s1", *history)
    before = story.effects
    story = story.when(s.submit("p1")).then(s.accepted("p1"))
    assert story.effects == before


def test_session_is_created_once() -> None:
    for history in (*s.LIVING.values(), s.STOPPED):
        given(SESSION, "s1", *history).when(s.create(initial=s.submit("p9"))).then()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (s.create(title=" "), "title is empty"),
        (s.create(title="x" * (TITLE_CHARS_MAX + 1)), str(TITLE_CHARS_MAX)),
        (EditSession(at_ms=s.AT, title="\n"), "title is empty"),
    ],
)
def test_session_title_must_have_a_valid_length(command: SessionCommand, says: str) -> None:
    story = given(SESSION, "s1", *(() if isinstance(command, CreateSession) else s.IDLE))
    story = story.when(command).then_rejected("invalid", says=says)
    assert story.rejected is not None
    assert story.rejected.field == "title"


def test_session_is_not_created_with_an_empty_prompt() -> None:
    given(SESSION, "s1").when(s.create(initial=s.submit(text=" "))).then_rejected("prompt_empty")


@pytest.mark.parametrize(
    "command",
    [s.submit(), AbortTurn(at_ms=s.AT), ResumeSession(at_ms=s.AT), StopSession(at_ms=s.AT), s.workspace_ready()],
)
def test_commands_to_a_session_that_was_never_created_are_refused(command: SessionCommand) -> None:
    given(SESSION, "s1").when(command).then_rejected("session_not_found", says="s1")


@each_step
def test_a_failed_creation_names_the_step_and_the_reason(
    step: ProvisionStep, history: tuple[SessionEvent, ...]
) -> None:
    story = given(SESSION, "s1", *history).when(s.provision_failed(step)).then(s.failed(step)).pending()
    failure = story.state.failure
    assert story.state.phase == "error"
    assert failure is not None
    assert (failure.step, failure.code, failure.detail) == (step, "git_failed", "no")
    assert "creation failed: no" in story.state.evidence


@each_step
@pytest.mark.parametrize("retry", ["resume", "prompt"])
def test_resume_after_a_failed_creation_retries_all_steps(
    step: ProvisionStep, history: tuple[SessionEvent, ...], retry: str
) -> None:
    story = given(SESSION, "s1", *history, s.failed(step))
    if retry == "resume":
        story = story.when(ResumeSession(at_ms=s.AT)).then(ResumeRequested(at_ms=s.AT))
    else:
        story = story.when(s.submit("p1")).then(s.accepted("p1"), ResumeRequested(at_ms=s.AT))
    story = story.pending("workspace").when(s.workspace_ready()).pending("instance")
    story = story.when(s.instance_ready("i2")).pending("conversation:i2").when(s.conversation_open())
    story = story.then(SessionResumed(instance_id="i2", opencode_id="ses_1", at_ms=s.AT)).pending("settle:i2")
    assert (story.state.phase, story.state.failure) == ("active", None)
    story = story.when(s.settled("now"))
    assert story.state.phase == ("idle" if retry == "resume" else "active")
    assert story.state.turns == (0 if retry == "resume" else 1)


@each_step
def test_initial_prompt_survives_a_failed_creation(step: ProvisionStep, history: tuple[SessionEvent, ...]) -> None:
    story = given(SESSION, "s1", *history, s.accepted("p1"), s.failed(step)).when(ResumeSession(at_ms=s.AT))
    story = story.when(s.workspace_ready()).when(s.instance_ready("i2")).when(s.conversation_open())
    story.when(s.settled("now")).then(SessionSettled(evidence="nothing runs", at_ms=s.AT), s.started(1, "p1", "now"))


def test_creation_fails_if_the_instance_ends_before_the_conversation_is_open() -> None:
    story = given(SESSION, "s1", *s.ON_INSTANCE).when(s.instance_ended())
    story = story.then(s.failed("conversation", "opencode_exited", ended_early("why")), s.detached()).pending()
    assert (story.state.phase, story.state.opencode.instance_id) == ("error", None)


@each_step
def test_late_reports_of_other_provisioning_steps_are_ignored(
    step: ProvisionStep, history: tuple[SessionEvent, ...]
) -> None:
    reports: dict[ProvisionStep, SessionCommand] = {
        "workspace": s.workspace_ready(),
        "instance": s.instance_ready(),
        "conversation": s.conversation_open(),
    }
    story = given(SESSION, "s1", *history)
    for other, report in reports.items():
        if other != step:
            story = story.when(report).then().when(s.provision_failed(other)).then()


def test_messages_before_the_conversation_is_open_are_not_recorded() -> None:
    given(SESSION, "s1", *s.CREATED).when(s.transcript(s.message("msg_a"))).then()


def test_title_and_tags_can_be_changed_in_every_phase() -> None:
    for history in (*s.LIVING.values(), s.STOPPED):
        story = given(SESSION, "s1", *history).when(EditSession(at_ms=s.AT, title="New", tags=("a",)))
        story = (
            story.then(SessionEdited(title="New", tags=("a",), at_ms=s.AT))
            .when(EditSession(at_ms=s.AT, title="New"))
            .then()
        )
        story = story.when(EditSession(at_ms=s.AT, tags=())).then(SessionEdited(title="New", tags=(), at_ms=s.AT))
        assert (story.state.settings.title, story.state.settings.tags) == ("New", ())


def test_session_log_that_contradicts_the_transition_table_is_refused() -> None:
    with pytest.raises(ImpossibleEvent, match="PromptDelivered in a session that is created"):
        given(SESSION, "s1", *s.CREATED, PromptDelivered(message_id="msg_p1", at_ms=s.AT))
