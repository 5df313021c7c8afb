"""Laws that hold for a session after every sequence of commands."""

from collections import Counter
from typing import get_args

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fleet.core.session import effects as e
from fleet.core.session.commands import (
    AbortTurn,
    AnswerRequest,
    EditPrompt,
    EditSession,
    EraseSession,
    ReadNotifications,
    ResumeSession,
    SessionCommand,
    SetBudget,
    SkipSetup,
    SteerPrompt,
    StopSession,
    WithdrawPrompt,
)
from fleet.core.session.decide import SESSION
from fleet.core.session.events import (
    BudgetExceeded,
    BudgetSet,
    CallbackOrdered,
    ProvisionFailed,
    SessionCreated,
    SessionErased,
    SessionEvent,
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
    ReportStepSnapshot,
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
ANEW = ResumeSession(at_ms=s.AT, opencode_id="ses_2")

orders: st.SearchStrategy[SessionCommand] = st.one_of(
    st.builds(s.create, initial=st.none() | st.just(s.submit("p0")), parent=st.none() | st.just("s0"), budget=budgets),
    st.builds(s.submit, prompts, resume=st.booleans(), steer=st.booleans()),
    st.builds(WithdrawPrompt, prompt_id=prompts, at_ms=st.just(s.AT)),
    st.builds(EditPrompt, prompt_id=prompts, text=st.sampled_from(("do that", "")), at_ms=st.just(s.AT)),
    st.builds(SteerPrompt, prompt_id=prompts, at_ms=st.just(s.AT), new_ids=st.builds(s.new_ids, ids)),
    st.sampled_from(
        (AbortTurn(at_ms=s.AT), ResumeSession(at_ms=s.AT), ANEW, StopSession(at_ms=s.AT), SkipSetup(at_ms=s.AT))
    ),
    st.just(EditSession(at_ms=s.AT, title="Other")),
    st.builds(s.retire, st.sampled_from((s.AT, s.AT - 1))),
    st.builds(SetBudget, budget=budgets, at_ms=st.just(s.AT), new_ids=st.builds(s.new_ids, ids)),
    st.builds(AnswerRequest, request_id=requests, answer=answers, at_ms=st.just(s.AT)),
    st.builds(ReadNotifications, numbers=st.none() | st.lists(numbers, max_size=2).map(tuple), at_ms=st.just(s.AT)),
)
"""But for `EraseSession`, after which nothing happens any more: it is given where it is allowed only."""
reports: st.SearchStrategy[SessionCommand] = st.one_of(
    st.just(s.workspace_ready()),
    st.just(s.workspace_ready(s.RECIPE)),
    st.sampled_from(
        (ReportSetupHeld(at_ms=s.AT), ReportSetupStarted(at_ms=s.AT), ReportSetupOutput(text="x", at_ms=s.AT))
    ),
    st.sampled_from((s.setup_ended(), s.setup_ended(1, "setup_failed"))),
    st.builds(s.instance_ready, instances),
    st.builds(s.conversation_open, ids),
    st.builds(s.provision_failed, steps),
    st.builds(ReportPromptDelivered, message_id=ids.map("msg_{}".format), at_ms=st.just(s.AT)),
    st.builds(s.transcript, transcripts),
    st.builds(s.request_opened, requests),
    st.builds(s.request_closed, requests),
    st.builds(s.turn_ended, numbers, outcomes, ids),
    st.builds(
        ReportTurnDelayed,
        number=numbers,
        reason=st.sampled_from(("", "it waits")),
        at_ms=st.just(s.AT),
        is_long=st.booleans(),
    ),
    st.builds(s.turn_failed, numbers),
    st.builds(s.settled, ids),
    st.builds(s.instance_ended, instances, orderly=st.booleans()),
    st.builds(ReportSessionStopped, evidence=st.just("over"), at_ms=st.just(s.AT), leaves=st.booleans()),
    st.builds(
        ReportProvisionDelayed, step=steps, reason=st.sampled_from(("in line", "still in line")), at_ms=st.just(s.AT)
    ),
    st.builds(ReportTurnSnapshot, number=numbers, tree=trees, at_ms=st.just(s.AT)),
    st.builds(
        ReportStepSnapshot,
        number=numbers,
        part_id=st.just("prt_1"),
        tool=st.just("edit"),
        tree=trees,
        at_ms=st.just(s.AT),
    ),
    st.builds(s.changes, numbers, tree=trees),
    st.builds(ReportDetached, instance_id=instances, at_ms=st.just(s.AT)),
    st.builds(ReportCallbackDelivered, number=numbers, at_ms=st.just(s.AT)),
    st.builds(ReportCallbackUndelivered, number=numbers, reason=st.just("stopped"), at_ms=st.just(s.AT)),
    st.builds(ReportCallbackDropped, number=numbers, reason=st.just("gone"), at_ms=st.just(s.AT)),
)


def commands(state: State) -> st.SearchStrategy[SessionCommand]:
    if state.phase == "absent":
        return orders
    expected = [answer for effect in SESSION.pending(state) for answer in answers_to(effect)]
    if state.phase == "stopped":
        expected.append(st.just(EraseSession(at_ms=s.AT)))
    anything = st.one_of(orders, reports)
    if not expected:
        return anything
    deep = st.one_of(*expected)  # one_of flattens: among all others these would hardly ever be drawn
    return st.sampled_from((deep, deep, orders, anything)).flatmap(lambda kind: kind)


def answers_to(effect: e.Effect) -> tuple[st.SearchStrategy[SessionCommand], ...]:
    match effect:
        case e.ProvideWorkspace():
            ready = (st.just(s.workspace_ready()), st.just(s.workspace_ready(s.RECIPE)))
            return (*ready, st.just(s.provision_failed("workspace")))
        case e.SetUpWorkspace():
            held = (
                ReportSetupHeld(at_ms=s.AT),
                ReportSetupStarted(at_ms=s.AT),
                s.setup_ended(),
                s.setup_ended(1, "setup_failed"),
            )
            return (st.sampled_from(held),)
        case e.AttachInstance():
            return (st.builds(s.instance_ready, instances),)
        case e.OpenConversation():
            return (st.builds(s.conversation_open, ids), st.just(s.provision_failed("conversation", "session_gone")))
        case e.SteerTurn(message_id=message):
            return (st.just(ReportPromptDelivered(message_id=message, at_ms=s.AT)),)
        case e.DeliverPrompt(message_id=message, number=number):
            return (
                st.just(ReportPromptDelivered(message_id=message, at_ms=s.AT)),
                st.builds(ReportTurnSnapshot, number=st.just(number), tree=trees, at_ms=st.just(s.AT)),
            )
        case e.FollowTurn(number=number) | e.StopTurn(number=number):
            return (
                st.builds(s.turn_ended, st.just(number), outcomes, ids),
                st.just(s.turn_failed(number)),
                st.builds(s.request_opened, requests),
                st.builds(AnswerRequest, request_id=requests, answer=answers, at_ms=st.just(s.AT)),
                st.builds(s.changes, st.just(number), tree=trees),
            )
        case e.Settle():
            return (st.builds(s.settled, ids),)
        case e.EndSession():
            return (
                st.builds(ReportSessionStopped, evidence=st.just("over"), at_ms=st.just(s.AT), leaves=st.booleans()),
            )
        case e.AnswerOpenCode(request_id=request):
            return (st.just(s.request_closed(request)),)
        case e.DetachInstance(instance_id=instance):
            return (st.just(ReportDetached(instance_id=instance, at_ms=s.AT)),)
        case e.NotifyParent(number=number):
            return (
                st.just(ReportCallbackDelivered(number=number, at_ms=s.AT)),
                st.just(ReportCallbackUndelivered(number=number, reason="it has stopped", at_ms=s.AT)),
                st.just(ReportCallbackDropped(number=number, reason="it is gone", at_ms=s.AT)),
            )
        case e.EraseRecords():
            return ()


def check(state: State, log: tuple[SessionEvent, ...]) -> None:
    check_turn(state, log)
    check_queue(state)
    check_prompts(state, log)
    check_work(state)
    check_callbacks(state, log)
    check_budget(log)
    check_notifications(state)
    assert not any(isinstance(event, SessionErased) for event in log[:-1]), "nothing happens after the erasure"


def check_turn(state: State, log: tuple[SessionEvent, ...]) -> None:
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
    assert state.phase not in RUNNING or state.opencode.instance_id is not None or state.stopping


def check_queue(state: State) -> None:
    """Prompts wait for a turn, for the session to come up or back, held, or for the budget: never for nothing."""
    ready = state.phase == "idle" or (state.phase == "error" and not state.needs_resume)
    if state.queue.prompts and not state.queue.paused and ready and state.provisioning is None and not state.stopping:
        assert state.usage.exceeded is not None
    if state.phase == "stopped" and not state.stopping and state.provisioning is None and state.failure is None:
        assert not state.queue.prompts


def check_prompts(state: State, log: tuple[SessionEvent, ...]) -> None:
    """Each accepted prompt has one end at most: sent in one turn, or withdrawn. The others wait."""
    taken = Counter(event.prompt_id for event in log if isinstance(event, PromptAccepted))
    on_the_way = () if state.turn is None else state.turn.steering
    waiting = Counter(prompt.prompt_id for prompt in (*state.queue.prompts, *on_the_way))
    assert taken == ends(log) + waiting
    assert max(waiting.values(), default=1) == 1


def ends(log: tuple[SessionEvent, ...]) -> Counter[str]:
    """How often each prompt was sent in a turn of its own, sent into another turn, or withdrawn."""
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
    """A session at rest has no effects, any other has some; callbacks to the parent continue beside them."""
    pending = SESSION.pending(state)
    aside = [effect.key for effect in pending if isinstance(effect, e.NotifyParent | e.DetachInstance)]
    waiting = [c.number for c in state.callbacks.sent if c.status in ("pending", "undelivered")]
    leaves = (
        [f"leave:{state.opencode.detaching_from}"]
        if state.opencode.detaching_from is not None and not state.stopping
        else []
    )
    assert aside == [*leaves, *(f"callback:{number}" for number in waiting[:1])]
    rests = state.provisioning is None and not state.stopping and state.phase not in (*RUNNING, "erased")
    waits_to_leave = state.provisioning == "instance" and bool(leaves) and not state.stopping
    assert (len(pending) == len(aside)) == (rests or waits_to_leave)


def check_callbacks(state: State, log: tuple[SessionEvent, ...]) -> None:
    """Each outcome gives at most one callback, with that outcome; none is lost, and only a parent gets one."""
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
    child = any(isinstance(event, SessionCreated) and event.settings.parent_id is not None for event in log)
    assert child or (count == 0 and not state.callbacks.owed)
    if child and last_turn >= 0 and state.turn is None:
        assert last_word > last_turn, "the parent has not heard of the last turn"


def check_budget(log: tuple[SessionEvent, ...]) -> None:
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
def test_session_can_be_ended_from_every_reachable_state(data: st.DataObject) -> None:
    state, _ = walk(data, SESSION, commands, check)
    assume(state.phase != "erased")
    story: tuple[SessionCommand, ...] = (
        s.create(),
        StopSession(at_ms=s.AT),
        ReportSessionStopped(evidence="over", at_ms=s.AT),
    )
    for command in story:
        for event in SESSION.decide(command, state):
            state = SESSION.evolve(state, event)
    assert (state.phase, state.queue.prompts, state.turn, state.opencode.instance_id) == ("stopped", (), None, None)
    assert all(isinstance(effect, e.NotifyParent) for effect in SESSION.pending(state))
    for event in SESSION.decide(EraseSession(at_ms=s.AT), state):
        state = SESSION.evolve(state, event)
    assert [effect.key for effect in SESSION.pending(state)] == ["erase"]


@settings(max_examples=60)
@given(st.data())
def test_session_can_work_again_from_every_reachable_state(data: st.DataObject) -> None:
    """A prompt with `resume` starts a turn, or one has to end first: nothing that a session meets is a dead end.

    Where OpenCode has lost the conversation, the session begins a new one first.
    """
    state, _ = walk(data, SESSION, commands, check)
    assume(state.phase != "erased")
    room = SetBudget(budget=None, at_ms=s.AT, new_ids=s.new_ids("room"))
    story: tuple[SessionCommand, ...] = (
        s.create(),
        ReportSessionStopped(evidence="over", at_ms=s.AT),
        room,
        ANEW,
        s.submit("p9", resume=True),
    )
    for command in story:
        if command is ANEW and not state.has_lost_conversation:
            continue
        if command is ANEW and state.opencode.detaching_from is not None:
            state = carried_out(state)
        for event in SESSION.decide(command, state):
            state = SESSION.evolve(state, event)
    for _ in range(60):  # callbacks go one by one
        state = carried_out(state)
    assert state.phase == "idle"
    assert state.queue.prompts == ()
    assert SESSION.pending(state) == ()


def carried_out(state: State) -> State:
    """Return the state after each pending effect has succeeded once."""
    for effect in SESSION.pending(state):
        for event in SESSION.decide(success(effect), state):
            state = SESSION.evolve(state, event)
    return state


def success(effect: e.Effect) -> SessionCommand:
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
            return ReportPromptDelivered(message_id=message, at_ms=s.AT)
        case e.FollowTurn(number=number) | e.StopTurn(number=number):
            return s.turn_ended(number)
        case e.Settle():
            return s.settled()
        case e.EndSession():
            return ReportSessionStopped(evidence="over", at_ms=s.AT)
        case e.AnswerOpenCode(request_id=request):
            return s.request_closed(request)
        case e.DetachInstance(instance_id=instance):
            return ReportDetached(instance_id=instance, at_ms=s.AT)
        case e.NotifyParent(number=number):
            return ReportCallbackDelivered(number=number, at_ms=s.AT)
        case e.EraseRecords():
            raise AssertionError("nothing here erases a session")
