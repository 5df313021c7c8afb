"""What holds for a session whatever it is told, in whatever order."""

from collections import Counter
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.core.session import effects as e
from fleet.core.session import messages as m
from fleet.core.session.machine import SESSION
from fleet.core.session.state import RUNNING, State
from tests.core import sessions as s
from tests.core.walks import walk

prompts = st.sampled_from(("p1", "p2", "p3", "p4", "p5"))
instances = st.sampled_from(("i1", "i2", "i3"))
steps = st.sampled_from(get_args(m.ProvisionStep))
outcomes = st.sampled_from(get_args(m.TurnOutcome))
numbers = st.integers(1, 4)
ids = st.integers(0, 999_999).map(str)
requests = st.sampled_from(("r1", "r2"))
parts = st.builds(s.part, st.sampled_from(("prt_1", "prt_2")), st.sampled_from(("1", "2")), finished=st.booleans())
transcripts = st.builds(
    s.message, st.sampled_from(("msg_a", "msg_b")), parts, body=st.sampled_from(("1", "2")), output=st.integers(0, 9)
)

orders: st.SearchStrategy[m.Command] = st.one_of(
    st.builds(s.create, initial=st.none() | st.just(s.submit("p0"))),
    st.builds(s.submit, prompts, resume=st.booleans()),
    st.builds(m.WithdrawPrompt, prompts, st.just(s.AT)),
    st.sampled_from((m.AbortTurn(s.AT), m.ResumeSession(s.AT), m.TerminateSession(s.AT))),
    st.just(m.DescribeSession(s.AT, "Other")),
)
reports: st.SearchStrategy[m.Command] = st.one_of(
    st.just(s.workspace_ready()),
    st.builds(s.instance_ready, instances),
    st.builds(s.conversation_open, ids),
    st.builds(s.provision_failed, steps),
    st.builds(m.ReportDelivered, ids.map("msg_{}".format), st.just(s.AT)),
    st.builds(s.transcript, transcripts),
    st.builds(s.request_opened, requests),
    st.builds(s.request_closed, requests),
    st.builds(s.turn_ended, numbers, outcomes, ids),
    st.builds(s.turn_failed, numbers),
    st.builds(s.settled, ids),
    st.builds(s.instance_ended, instances, orderly=st.booleans()),
    st.just(m.ReportEnded("over", s.AT)),
)


def commands(state: State) -> st.SearchStrategy[m.Command]:
    if state.phase == "unborn":
        return orders
    answers = [answer for effect in SESSION.pending(state) for answer in answers_to(effect)]
    return st.one_of(*answers, orders, reports)


def answers_to(effect: e.Effect) -> tuple[st.SearchStrategy[m.Command], ...]:
    match effect:
        case e.PrepareWorkspace():
            return (st.just(s.workspace_ready()), st.just(s.provision_failed("workspace")))
        case e.AttachInstance():
            return (st.builds(s.instance_ready, instances),)
        case e.OpenConversation():
            return (st.builds(s.conversation_open, ids), st.just(s.provision_failed("conversation", "session_gone")))
        case e.DeliverPrompt(message_id=message):
            return (st.just(m.ReportDelivered(message, s.AT)),)
        case e.FollowTurn(number=number) | e.StopTurn(number=number):
            return (
                st.builds(s.turn_ended, st.just(number), outcomes, ids),
                st.just(s.turn_failed(number)),
                st.builds(s.request_opened, requests),
            )
        case e.Settle():
            return (st.builds(s.settled, ids),)
        case e.EndSession():
            return (st.just(m.ReportEnded("over", s.AT)),)
        case e.AnswerOpenCode(request_id=request):
            return (st.just(s.request_closed(request)),)
        case e.LeaveInstance(instance_id=instance):
            return (st.just(m.ReportLeft(instance, s.AT)),)
        case e.NotifyParent(number=number):
            return (
                st.just(m.ReportCallbackDelivered(number, s.AT)),
                st.just(m.ReportCallbackUndelivered(number, "it has stopped", s.AT)),
                st.just(m.ReportCallbackDropped(number, "it is gone", s.AT)),
            )
        case e.EraseRecords():
            return ()


def check(state: State, log: tuple[m.Event, ...]) -> None:
    check_turn(state, log)
    check_queue(state)
    check_prompts(state, log)
    check_work(state)


def check_turn(state: State, log: tuple[m.Event, ...]) -> None:
    """A session has one turn or none, each with the next number, and runs nothing without an instance."""
    running: int | None = None
    count = 0
    for event in log:
        match event:
            case m.TurnStarted(number=number):
                assert running is None
                assert number == count + 1
                running = count = number
            case m.TurnEnded(number=number) | m.TurnFailed(number=number):
                assert number == running
                running = None
            case _:
                pass
    assert (state.turn.number if state.turn else None) == running
    assert state.turn is None or state.phase in (*RUNNING, "disconnected")
    assert bool(state.requests) == (state.phase == "waiting_input")
    assert state.phase not in RUNNING or state.instance_id is not None or state.terminating


def check_queue(state: State) -> None:
    """Prompts wait for a turn, for the session to come up or back, or because they are held: never for nothing."""
    if state.queue and not state.held and state.phase == "idle":
        assert state.terminating
    if state.phase == "stopped" and not state.terminating and state.provisioning is None and state.failure is None:
        assert not state.queue


def check_prompts(state: State, log: tuple[m.Event, ...]) -> None:
    """Each accepted prompt has one end at most: sent in one turn, or withdrawn. The others wait."""
    taken = Counter(event.prompt_id for event in log if isinstance(event, m.PromptAccepted))
    left = Counter(event.prompt_id for event in log if isinstance(event, m.TurnStarted | m.PromptWithdrawn))
    waiting = Counter(prompt.prompt_id for prompt in state.queue)
    assert taken == left + waiting
    assert max(waiting.values(), default=1) == 1


def check_work(state: State) -> None:
    """What has come to rest orders nothing; what has not orders something."""
    rests = state.provisioning is None and not state.terminating and state.phase not in RUNNING
    assert (SESSION.pending(state) == ()) == rests


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_session_keeps_its_laws(data: st.DataObject) -> None:
    walk(data, SESSION, commands, check)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_each_session_can_be_ended(data: st.DataObject) -> None:
    state, _ = walk(data, SESSION, commands, check)
    story: tuple[m.Command, ...] = (s.create(), m.TerminateSession(s.AT), m.ReportEnded("over", s.AT))
    for command in story:
        for event in SESSION.decide(command, state):
            state = SESSION.evolve(state, event)
    assert (state.phase, state.queue, state.turn, state.instance_id) == ("stopped", (), None, None)
    assert SESSION.pending(state) == ()


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_each_session_can_be_brought_back_to_work(data: st.DataObject) -> None:
    """A prompt with `resume` starts a turn, or one has to end first: nothing that a session meets is a dead end."""
    state, _ = walk(data, SESSION, commands, check)
    story: tuple[m.Command, ...] = (s.create(), m.ReportEnded("over", s.AT), s.submit("p9", resume=True))
    for command in story:
        for event in SESSION.decide(command, state):
            state = SESSION.evolve(state, event)
    for _ in range(20):
        for effect in SESSION.pending(state):
            for event in SESSION.decide(success(effect), state):
                state = SESSION.evolve(state, event)
    assert state.phase == "idle"
    assert state.queue == ()
    assert SESSION.pending(state) == ()


def success(effect: e.Effect) -> m.Command:
    """What the effect reports when all goes well."""
    match effect:
        case e.PrepareWorkspace():
            return s.workspace_ready()
        case e.AttachInstance():
            return s.instance_ready()
        case e.OpenConversation():
            return s.conversation_open()
        case e.DeliverPrompt(message_id=message):
            return m.ReportDelivered(message, s.AT)
        case e.FollowTurn(number=number) | e.StopTurn(number=number):
            return s.turn_ended(number)
        case e.Settle():
            return s.settled()
        case e.EndSession():
            return m.ReportEnded("over", s.AT)
        case e.AnswerOpenCode(request_id=request):
            return s.request_closed(request)
        case e.LeaveInstance(instance_id=instance):
            return m.ReportLeft(instance, s.AT)
        case e.NotifyParent(number=number):
            return m.ReportCallbackDelivered(number, s.AT)
        case e.EraseRecords():
            raise AssertionError("nothing here erases a session")
