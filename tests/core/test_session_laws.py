"""What holds for a session whatever it is told, in whatever order."""

from collections import Counter
from typing import get_args

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fleet.core.session import effects as e
from fleet.core.session.commands import (
    AbortTurn,
    AnswerRequest,
    Command,
    EditPrompt,
    EditSession,
    EraseSession,
    ReadNotifications,
    ResumeSession,
    SetBudget,
    SkipSetup,
    SteerPrompt,
    StopSession,
    WithdrawPrompt,
)
from fleet.core.session.consequences import is_cut_off, is_gone
from fleet.core.session.decide import SESSION
from fleet.core.session.events import (
    BudgetExceeded,
    BudgetSet,
    CallbackOrdered,
    Event,
    ProvisionFailed,
    SessionCreated,
    SessionErased,
    SessionStopped,
)
from fleet.core.session.report_commands import (
    ReportCallbackDelivered,
    ReportCallbackDropped,
    ReportCallbackUndelivered,
    ReportDetached,
    ReportPromptDelivered,
    ReportProvisionDelayed,
    ReportSessionStopped,
    ReportSetupHeld,
    ReportSetupOutput,
    ReportSetupStarted,
    ReportTurnDelayed,
    ReportTurnSnapshot,
)
from fleet.core.session.state import RUNNING, State
from fleet.core.session.turn_events import (
    PromptAccepted,
    PromptDelivered,
    PromptWithdrawn,
    TurnEnded,
    TurnFailed,
    TurnStarted,
    TurnSteered,
)
from fleet.core.session.values import Answer, Budget, Outcome, ProvisionStep, TurnOutcome
from fleet.limits import NOTIFICATIONS_MAX
from tests.core import sessions as s
from tests.core.walks import walk

prompts = st.sampled_from(("p1", "p2", "p3", "p4", "p5"))
instances = st.sampled_from(("i1", "i2", "i3"))
steps = st.sampled_from(get_args(ProvisionStep))
outcomes = st.sampled_from(get_args(TurnOutcome))
numbers = st.integers(1, 4)
ids = st.integers(0, 999_999).map(str)
requests = st.sampled_from(("r1", "r2"))
parts = st.builds(s.part, st.sampled_from(("prt_1", "prt_2")), st.sampled_from(("1", "2")), finished=st.booleans())
transcripts = st.builds(
    s.message,
    st.sampled_from(("msg_a", "msg_b")),
    parts,
    body=st.sampled_from(("1", "2")),
    output=st.integers(0, 9),
    cost_usd=st.sampled_from((0.0, 0.5, 1.0)),
)
budgets = st.none() | st.sampled_from((Budget(usd=0.5), Budget(tokens=5), Budget(usd=9, minutes=9), Budget(tokens=0)))
answers = st.sampled_from((Answer("once"), Answer("reject", "no"), Answer(answers=(("a",),))))
trees = st.sampled_from(("t1", "t2"))
ANEW = ResumeSession(s.AT, "ses_2")

orders: st.SearchStrategy[Command] = st.one_of(
    st.builds(s.create, initial=st.none() | st.just(s.submit("p0")), parent=st.none() | st.just("s0"), budget=budgets),
    st.builds(s.submit, prompts, resume=st.booleans(), steer=st.booleans()),
    st.builds(WithdrawPrompt, prompts, st.just(s.AT)),
    st.builds(EditPrompt, prompts, st.sampled_from(("do that", "")), st.just(s.AT)),
    st.builds(SteerPrompt, prompts, st.just(s.AT), st.builds(s.fresh, ids)),
    st.sampled_from((AbortTurn(s.AT), ResumeSession(s.AT), ANEW, StopSession(s.AT), SkipSetup(s.AT))),
    st.just(EditSession(s.AT, "Other")),
    st.builds(s.retire, st.sampled_from((s.AT, s.AT - 1))),
    st.builds(SetBudget, budgets, st.just(s.AT), st.builds(s.fresh, ids)),
    st.builds(AnswerRequest, requests, answers, st.just(s.AT)),
    st.builds(ReadNotifications, st.none() | st.lists(numbers, max_size=2).map(tuple), st.just(s.AT)),
)
"""But for `EraseSession`, after which nothing happens any more: it is given where it is allowed only."""
reports: st.SearchStrategy[Command] = st.one_of(
    st.just(s.workspace_ready()),
    st.just(s.workspace_ready(s.RECIPE)),
    st.sampled_from((ReportSetupHeld(s.AT), ReportSetupStarted(s.AT), ReportSetupOutput("x", s.AT))),
    st.sampled_from((s.setup_ended(), s.setup_ended(1, "setup_failed"))),
    st.builds(s.instance_ready, instances),
    st.builds(s.conversation_open, ids),
    st.builds(s.provision_failed, steps),
    st.builds(ReportPromptDelivered, ids.map("msg_{}".format), st.just(s.AT)),
    st.builds(s.transcript, transcripts),
    st.builds(s.request_opened, requests),
    st.builds(s.request_closed, requests),
    st.builds(s.turn_ended, numbers, outcomes, ids),
    st.builds(ReportTurnDelayed, numbers, st.sampled_from(("", "it waits")), st.just(s.AT), st.booleans()),
    st.builds(s.turn_failed, numbers),
    st.builds(s.settled, ids),
    st.builds(s.instance_ended, instances, orderly=st.booleans()),
    st.builds(ReportSessionStopped, st.just("over"), st.just(s.AT), st.booleans()),
    st.builds(ReportProvisionDelayed, steps, st.sampled_from(("in line", "still in line")), st.just(s.AT)),
    st.builds(ReportTurnSnapshot, numbers, trees, st.just(s.AT)),
    st.builds(s.changes, numbers, tree=trees),
    st.builds(ReportDetached, instances, st.just(s.AT)),
    st.builds(ReportCallbackDelivered, numbers, st.just(s.AT)),
    st.builds(ReportCallbackUndelivered, numbers, st.just("stopped"), st.just(s.AT)),
    st.builds(ReportCallbackDropped, numbers, st.just("gone"), st.just(s.AT)),
)


def commands(state: State) -> st.SearchStrategy[Command]:
    if state.phase == "absent":
        return orders
    expected = [answer for effect in SESSION.pending(state) for answer in answers_to(effect)]
    if state.phase == "stopped":
        expected.append(st.just(EraseSession(s.AT)))
    anything = st.one_of(orders, reports)
    if not expected:
        return anything
    deep = st.one_of(*expected)  # one_of flattens: among all others these would hardly ever be drawn
    return st.sampled_from((deep, deep, orders, anything)).flatmap(lambda kind: kind)


def answers_to(effect: e.Effect) -> tuple[st.SearchStrategy[Command], ...]:
    match effect:
        case e.ProvideWorkspace():
            ready = (st.just(s.workspace_ready()), st.just(s.workspace_ready(s.RECIPE)))
            return (*ready, st.just(s.provision_failed("workspace")))
        case e.SetUpWorkspace():
            held = (
                ReportSetupHeld(s.AT),
                ReportSetupStarted(s.AT),
                s.setup_ended(),
                s.setup_ended(1, "setup_failed"),
            )
            return (st.sampled_from(held),)
        case e.AttachInstance():
            return (st.builds(s.instance_ready, instances),)
        case e.OpenConversation():
            return (st.builds(s.conversation_open, ids), st.just(s.provision_failed("conversation", "session_gone")))
        case e.SteerTurn(message_id=message):
            return (st.just(ReportPromptDelivered(message, s.AT)),)
        case e.DeliverPrompt(message_id=message, number=number):
            return (
                st.just(ReportPromptDelivered(message, s.AT)),
                st.builds(ReportTurnSnapshot, st.just(number), trees, st.just(s.AT)),
            )
        case e.FollowTurn(number=number) | e.StopTurn(number=number):
            return (
                st.builds(s.turn_ended, st.just(number), outcomes, ids),
                st.just(s.turn_failed(number)),
                st.builds(s.request_opened, requests),
                st.builds(AnswerRequest, requests, answers, st.just(s.AT)),
                st.builds(s.changes, st.just(number), tree=trees),
            )
        case e.Settle():
            return (st.builds(s.settled, ids),)
        case e.EndSession():
            return (st.builds(ReportSessionStopped, st.just("over"), st.just(s.AT), st.booleans()),)
        case e.AnswerOpenCode(request_id=request):
            return (st.just(s.request_closed(request)),)
        case e.DetachInstance(instance_id=instance):
            return (st.just(ReportDetached(instance, s.AT)),)
        case e.NotifyParent(number=number):
            return (
                st.just(ReportCallbackDelivered(number, s.AT)),
                st.just(ReportCallbackUndelivered(number, "it has stopped", s.AT)),
                st.just(ReportCallbackDropped(number, "it is gone", s.AT)),
            )
        case e.EraseRecords():
            return ()


def check(state: State, log: tuple[Event, ...]) -> None:
    check_turn(state, log)
    check_queue(state)
    check_prompts(state, log)
    check_work(state)
    check_callbacks(state, log)
    check_budget(log)
    check_notifications(state)
    assert not any(isinstance(event, SessionErased) for event in log[:-1]), "nothing happens after the erasure"


def check_turn(state: State, log: tuple[Event, ...]) -> None:
    """A session has one turn or none, each with the next number, and runs nothing without an instance."""
    running: int | None = None
    count = 0
    for event in log:
        match event:
            case TurnStarted(number=number):
                assert running is None
                assert number == count + 1
                running = count = number
            case TurnEnded(number=number) | TurnFailed(number=number):
                assert number == running
                running = None
            case _:
                pass
    assert (state.turn.number if state.turn else None) == running
    assert state.turn is None or state.phase in (*RUNNING, "disconnected")
    assert bool(state.requests) == (state.phase == "waiting_input")
    assert state.phase not in RUNNING or state.instance_id is not None or state.stopping


def check_queue(state: State) -> None:
    """Prompts wait for a turn, for the session to come up or back, held, or for the budget: never for nothing."""
    ready = state.phase == "idle" or (state.phase == "error" and not is_cut_off(state))
    if state.queue and not state.queue_paused and ready and state.provisioning is None and not state.stopping:
        assert state.budget_exceeded is not None
    if state.phase == "stopped" and not state.stopping and state.provisioning is None and state.failure is None:
        assert not state.queue


def check_prompts(state: State, log: tuple[Event, ...]) -> None:
    """Each accepted prompt has one end at most: sent in one turn, or withdrawn. The others wait."""
    taken = Counter(event.prompt_id for event in log if isinstance(event, PromptAccepted))
    on_the_way = () if state.turn is None else state.turn.steering
    waiting = Counter(prompt.prompt_id for prompt in (*state.queue, *on_the_way))
    assert taken == ends(log) + waiting
    assert max(waiting.values(), default=1) == 1


def ends(log: tuple[Event, ...]) -> Counter[str]:
    """How often each prompt was sent in a turn of its own, arrived in somebody else's, or was withdrawn."""
    found: Counter[str] = Counter()
    steered: dict[str, str] = {}
    for event in log:
        match event:
            case TurnSteered():
                steered[event.message_id] = event.prompt_id
            case PromptDelivered() if event.message_id in steered:
                found[steered.pop(event.message_id)] += 1
            case TurnStarted():
                steered.pop(event.message_id, None)
                found[event.prompt_id] += 1
            case PromptWithdrawn():
                found[event.prompt_id] += 1
            case _:
                pass
    return found


def check_work(state: State) -> None:
    """What has come to rest orders nothing; what has not orders something; word to the parent goes on beside it."""
    pending = SESSION.pending(state)
    aside = [effect.key for effect in pending if isinstance(effect, e.NotifyParent | e.DetachInstance)]
    waiting = [c.number for c in state.callbacks if c.status in ("pending", "undelivered")]
    leaves = [f"leave:{state.detaching_from}"] if state.detaching_from is not None and not state.stopping else []
    assert aside == [*leaves, *(f"callback:{number}" for number in waiting[:1])]
    rests = state.provisioning is None and not state.stopping and state.phase not in (*RUNNING, "erased")
    waits_to_leave = state.provisioning == "instance" and bool(leaves) and not state.stopping
    assert (len(pending) == len(aside)) == (rests or waits_to_leave)


def check_callbacks(state: State, log: tuple[Event, ...]) -> None:
    """Each outcome gives one callback at most, the true one; none is lost, and nobody but a parent hears of it."""
    told: Outcome | None = None
    count = 0
    last_turn, last_word = -1, -1
    for n, event in enumerate(log):
        match event:
            case TurnEnded(outcome=outcome):
                told = outcome
            case TurnFailed():
                told = "error"
            case ProvisionFailed(code=code):
                told = "disconnected" if code == "session_gone" else "error"
            case SessionStopped():
                told = "stopped"
            case TurnStarted():
                last_turn = n
            case CallbackOrdered(number=number, outcome=outcome):
                assert outcome == told, "not the outcome, or told twice"
                assert number == count + 1
                told, count, last_word = None, number, n
            case _:
                pass
    child = any(isinstance(event, SessionCreated) and event.parent_id is not None for event in log)
    assert child or (count == 0 and not state.owes_callback)
    if child and last_turn >= 0 and state.turn is None:
        assert last_word > last_turn, "the parent has not heard of the last turn"


def check_budget(log: tuple[Event, ...]) -> None:
    """The budget pauses between turns, and then none begins before there is another budget."""
    runs = paused = False
    for event in log:
        match event:
            case TurnStarted():
                assert not paused
                runs = True
            case TurnEnded() | TurnFailed():
                runs = False
            case BudgetExceeded():
                assert not runs
                assert not paused, "said twice"
                paused = True
            case BudgetSet():
                paused = False
            case _:
                pass


def check_notifications(state: State) -> None:
    """They are numbered without a gap, and the newest are kept."""
    newest = range(max(0, state.notified - NOTIFICATIONS_MAX) + 1, state.notified + 1)
    assert [notification.number for notification in state.notifications] == list(newest)


@settings(max_examples=300)
@given(st.data())
def test_a_session_keeps_its_laws(data: st.DataObject) -> None:
    walk(data, SESSION, commands, check)


@settings(max_examples=60)
@given(st.data())
def test_each_session_can_be_ended(data: st.DataObject) -> None:
    state, _ = walk(data, SESSION, commands, check)
    assume(state.phase != "erased")
    story: tuple[Command, ...] = (s.create(), StopSession(s.AT), ReportSessionStopped("over", s.AT))
    for command in story:
        for event in SESSION.decide(command, state):
            state = SESSION.evolve(state, event)
    assert (state.phase, state.queue, state.turn, state.instance_id) == ("stopped", (), None, None)
    assert all(isinstance(effect, e.NotifyParent) for effect in SESSION.pending(state))
    for event in SESSION.decide(EraseSession(s.AT), state):
        state = SESSION.evolve(state, event)
    assert [effect.key for effect in SESSION.pending(state)] == ["erase"]


@settings(max_examples=60)
@given(st.data())
def test_each_session_can_be_brought_back_to_work(data: st.DataObject) -> None:
    """A prompt with `resume` starts a turn, or one has to end first: nothing that a session meets is a dead end.

    Where OpenCode has lost the conversation, the session begins a new one first.
    """
    state, _ = walk(data, SESSION, commands, check)
    assume(state.phase != "erased")
    room = SetBudget(None, s.AT, s.fresh("room"))
    story: tuple[Command, ...] = (
        s.create(),
        ReportSessionStopped("over", s.AT),
        room,
        ANEW,
        s.submit("p9", resume=True),
    )
    for command in story:
        if command is ANEW and not is_gone(state):
            continue
        if command is ANEW and state.detaching_from is not None:
            state = carried_out(state)
        for event in SESSION.decide(command, state):
            state = SESSION.evolve(state, event)
    for _ in range(60):  # callbacks go one by one
        state = carried_out(state)
    assert state.phase == "idle"
    assert state.queue == ()
    assert SESSION.pending(state) == ()


def carried_out(state: State) -> State:
    """Return the state after each pending effect has succeeded once."""
    for effect in SESSION.pending(state):
        for event in SESSION.decide(success(effect), state):
            state = SESSION.evolve(state, event)
    return state


def success(effect: e.Effect) -> Command:
    """What the effect reports when all goes well."""
    match effect:
        case e.ProvideWorkspace():
            return s.workspace_ready()
        case e.SetUpWorkspace():
            return s.setup_ended()
        case e.AttachInstance():
            return s.instance_ready()
        case e.OpenConversation():
            return s.conversation_open()
        case e.DeliverPrompt(message_id=message) | e.SteerTurn(message_id=message):
            return ReportPromptDelivered(message, s.AT)
        case e.FollowTurn(number=number) | e.StopTurn(number=number):
            return s.turn_ended(number)
        case e.Settle():
            return s.settled()
        case e.EndSession():
            return ReportSessionStopped("over", s.AT)
        case e.AnswerOpenCode(request_id=request):
            return s.request_closed(request)
        case e.DetachInstance(instance_id=instance):
            return ReportDetached(instance, s.AT)
        case e.NotifyParent(number=number):
            return ReportCallbackDelivered(number, s.AT)
        case e.EraseRecords():
            raise AssertionError("nothing here erases a session")
