"""Permission requests and questions: answered once, in their own way, and never asked again when they are settled."""

import pytest

from fleet.core.session import effects as e
from fleet.core.session.commands import AnswerRequest, ResumeSession, SessionCommand
from fleet.core.session.decide import SESSION
from fleet.core.session.events import SessionEvent, StopRequested
from fleet.core.session.report_commands import ReportRequestOpened
from fleet.core.session.turn_events import AbortRequested, RequestAnswered, RequestClosed, RequestOpened, TurnContinued
from fleet.core.session.values import Answer, raw
from fleet.limits import REQUESTS_REMEMBERED_MAX
from fleet.ports import OpenRequest
from tests.core import sessions as s
from tests.core.given import given

ONCE = Answer("once")
REJECT = Answer("reject", "not there")
CHOICE = Answer(answers=(("blue",), ("a", "b")))
QUESTION = RequestOpened(
    request_id="q1", opencode_id="ses_1", kind="question", at_ms=s.AT, body=raw(b'{"questions":[]}')
)
ASKED: tuple[SessionEvent, ...] = (*s.ACTIVE, QUESTION)


def answer(name: str = "r1", how: Answer = ONCE) -> AnswerRequest:
    return AnswerRequest(request_id=name, answer=how, at_ms=s.AT)


def answered(name: str = "r1", how: Answer = ONCE) -> RequestAnswered:
    return RequestAnswered(request_id=name, answer=how, at_ms=s.AT)


def test_an_answer_is_sent_and_the_session_waits_until_opencode_closes_the_request() -> None:
    story = given(SESSION, "s1", *s.WAITING).when(answer()).then(answered()).pending("follow:1:i1", "answer:r1")
    telling = e.AnswerOpenCode("answer:r1", "i1", "ses_1", "/trees/w1", "r1", "permission", ONCE)
    assert story.effects[1] == telling
    assert story.state.phase == "waiting_input"
    story = story.when(s.request_closed("r1")).then(
        RequestClosed(request_id="r1", at_ms=s.AT), TurnContinued(at_ms=s.AT)
    )
    assert story.pending("follow:1:i1").state.phase == "active"


def test_each_open_request_gets_its_own_answer() -> None:
    story = given(SESSION, "s1", *s.WAITING, s.request("r2")).when(answer("r2", REJECT))
    story = story.then(answered("r2", REJECT)).pending("follow:1:i1", "answer:r2").when(answer("r1"))
    story = story.then(answered("r1")).pending("follow:1:i1", "answer:r1", "answer:r2")
    assert [effect.key for effect in SESSION.react(story.state, answered("r1"))] == ["answer:r1"]
    story = (
        story.when(s.request_closed("r2"))
        .then(RequestClosed(request_id="r2", at_ms=s.AT))
        .pending("follow:1:i1", "answer:r1")
    )
    assert story.state.phase == "waiting_input"


@pytest.mark.parametrize("how", [ONCE, Answer("always"), Answer("reject"), REJECT])
def test_a_permission_is_given_once_or_always_or_refused(how: Answer) -> None:
    given(SESSION, "s1", *s.WAITING).when(answer("r1", how)).then(answered("r1", how))


@pytest.mark.parametrize("how", [CHOICE, Answer(answers=()), Answer("reject")])
def test_a_question_is_answered_or_refused(how: Answer) -> None:
    given(SESSION, "s1", *ASKED).when(answer("q1", how)).then(answered("q1", how))


@pytest.mark.parametrize(
    ("history", "name", "how", "field"),
    [
        (s.WAITING, "r1", Answer(), "reply"),
        (s.WAITING, "r1", CHOICE, "reply"),
        (s.WAITING, "r1", Answer("once", answers=()), "reply"),
        (ASKED, "q1", Answer(), "answers"),
        (ASKED, "q1", ONCE, "answers"),
        (ASKED, "q1", Answer("always"), "answers"),
        (ASKED, "q1", Answer("reject", answers=(("a",),)), "answers"),
        (ASKED, "q1", Answer("once", answers=(("a",),)), "answers"),
    ],
)
def test_answer_of_the_wrong_kind_is_refused(
    history: tuple[SessionEvent, ...], name: str, how: Answer, field: str
) -> None:
    story = given(SESSION, "s1", *history).when(answer(name, how)).then_rejected("invalid", says="is answered with")
    assert story.rejected is not None
    assert story.rejected.field == field


@pytest.mark.parametrize("given_answers", [(), (("a",),), (("a",), ("b",), ("c",))])
def test_answer_to_a_question_must_have_all_of_its_parts(given_answers: tuple[tuple[str, ...], ...]) -> None:
    body = b'{"questions":[{"question":"one?"},{"question":"two?"}]}'
    two = RequestOpened(request_id="q2", opencode_id="ses_1", kind="question", at_ms=s.AT, body=raw(body))
    story = given(SESSION, "s1", *s.ACTIVE, two).when(answer("q2", Answer(answers=given_answers)))
    story = story.then_rejected("invalid", says=f"has 2 parts, and {len(given_answers)} are answered")
    assert story.rejected is not None
    assert story.rejected.field == "answers"
    both = Answer(answers=(("a",), ("b", "c")))
    given(SESSION, "s1", *s.ACTIVE, two).when(answer("q2", both)).then(answered("q2", both))


def test_a_second_answer_is_rejected_even_if_it_is_equal() -> None:
    story = given(SESSION, "s1", *s.WAITING, answered())
    for other in (ONCE, Answer("always"), REJECT, CHOICE):
        story = story.when(answer("r1", other)).then_rejected("request_answered")
    story.pending("follow:1:i1", "answer:r1")


@pytest.mark.parametrize("situation", [name for name in s.LIVING if name != "waiting_input"])
def test_a_request_that_is_not_open_cannot_be_answered(situation: str) -> None:
    given(SESSION, "s1", *s.LIVING[situation]).when(answer()).then_rejected("request_not_found", says="r1")
    given(SESSION, "s1", *s.WAITING).when(answer("r9")).then_rejected("request_not_found", says="r9")


def test_no_answer_is_sent_while_the_session_is_stopped() -> None:
    given(SESSION, "s1", *s.WAITING, StopRequested(at_ms=s.AT)).when(answer()).then(answered()).pending("end")


@pytest.mark.parametrize(
    "end", [s.turn_ended(1, "aborted", "x"), s.turn_failed(1), s.request_closed("r1")], ids=("abort", "error", "closed")
)
def test_a_settled_request_is_not_opened_again_although_opencode_lists_it(end: SessionCommand) -> None:
    story = given(SESSION, "s1", *s.WAITING, AbortRequested(number=1, at_ms=s.AT), s.accepted("p2")).when(end)
    story = story.when(s.submit("p3")).when(s.request_opened("r1")).then()
    assert (story.state.phase, story.state.requests) == ("active", ())
    story.when(s.request_opened("r2")).then(s.request("r2"))


def test_requests_that_were_open_when_the_instance_ended_are_settled() -> None:
    story = given(SESSION, "s1", *s.WAITING, answered()).when(s.instance_ended()).pending()
    story = story.when(ResumeSession(at_ms=s.AT)).when(s.workspace_ready()).when(s.instance_ready("i2"))
    story = story.when(s.conversation_open()).pending("follow:1:i2").when(s.request_opened("r1")).then()
    story.when(s.request_opened("r2")).then(s.request("r2"))


def test_only_the_newest_settled_requests_are_remembered() -> None:
    names = [f"r{n:04d}" for n in range(REQUESTS_REMEMBERED_MAX + 3)]
    story = given(SESSION, "s1", *s.ACTIVE)
    for name in names[:-2]:
        story = story.when(s.request_opened(name)).when(s.request_closed(name))
    for name in names[-2:]:
        story = story.when(s.request_opened(name))
    story = story.when(s.turn_ended(1, "aborted"))
    assert story.state.settled_requests == tuple(names[3:])


def test_request_of_a_sub_agent_makes_the_session_wait() -> None:
    request = OpenRequest("r1", "ses_sub", "question", b'{"questions":[]}')
    story = given(SESSION, "s1", *s.ACTIVE).when(ReportRequestOpened(request=request, at_ms=s.AT))
    story = story.then(
        RequestOpened(
            request_id="r1", opencode_id="ses_sub", kind="question", at_ms=s.AT, body=raw(b'{"questions":[]}')
        )
    )
    assert [(r.id, r.opencode_id, r.kind, r.body, r.opened_at_ms) for r in story.state.requests] == [
        ("r1", "ses_sub", "question", b'{"questions":[]}', s.AT)
    ]
