"""Ways to spoil a sound history, one for each checker (test_checks.py)."""

import copy
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec.structs import replace as struct_replace

from fleet.actors.usecases.sessions import CommandResult
from fleet.core.session.events import CallbackDelivered, CallbackOrdered, SessionCreated
from fleet.core.session.state import OpenCodeLink
from fleet.core.session.turn_events import PromptAccepted, TurnEnded, TurnStarted
from fleet.core.session.values import Answer, Budget
from fleet.core.webhook.events import DeliveryOrdered
from fleet.core.workspace.events import WorkspaceReleased
from fleet.errors import Rejected
from fleet.events import codec
from fleet.events.batch import LogEnd
from fleet.events.envelope import StateSnapshot
from fleet.events.snapshots import fingerprint
from fleet.projections.runner import Runner
from fleet.projections.views import Views, make_views
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import MemoryDisk, MemoryLog
from tests.fakes.memory_store import MemoryStore
from tests.fakes.opencode_store import Store
from tests.simulation import spoilt_hosts as hosts
from tests.simulation import spoilt_workspaces as workspaces
from tests.simulation.clients import Ledger, Request
from tests.simulation.evidence import Evidence, Probe
from tests.simulation.machine import REGISTRY
from tests.simulation.spoilt_causes import begin_for_another, end_for_nobody
from tests.simulation.spoilt_erasures import keep_an_erased_callback, keep_an_erased_payload
from tests.simulation.spoilt_errors import crash_an_actor, forget_a_bug
from tests.simulation.spoilt_transcripts import lose_a_part, lose_the_turns, show_nothing

Spoil = Callable[[Evidence], None]


def disk_of(evidence: Evidence) -> MemoryDisk:
    disk = copy.copy(evidence.disk)
    disk.records, disk.snapshots = list(disk.records), dict(disk.snapshots)
    return disk


def views_of(evidence: Evidence) -> Views:
    views = make_views()
    Runner(MemoryLog(evidence.disk, REGISTRY, FakeClock()), MemoryStore(), views).open()
    return views


def _with(holder: Any, **settings: Any) -> Any:
    """Return a session or its first event with other settings."""
    return struct_replace(holder, settings=struct_replace(holder.settings, **settings))


def spoil_session(evidence: Evidence, only: Callable[[Any], bool] = lambda _: True, **changes: Any) -> None:
    evidence.views = views_of(evidence)
    session = next(state for state in evidence.views.sessions if only(state))
    evidence.views.sessions.index(session.id, struct_replace(session, **changes))


def forget(evidence: Evidence, kind: type[Any]) -> None:
    """Leave the newest event of a kind out of the history."""
    last = [recorded for recorded in evidence.history if isinstance(recorded.event, kind)][-1]
    evidence.__dict__["history"] = [recorded for recorded in evidence.history if recorded is not last]


def tell_twice(evidence: Evidence, kind: type[Any]) -> None:
    """Have the newest event of a kind happen twice."""
    last = [recorded for recorded in evidence.history if isinstance(recorded.event, kind)][-1]
    evidence.__dict__["history"] = [*evidence.history, last]


def heard(evidence: Evidence, request: Request) -> None:
    evidence.ledger = Ledger([*evidence.ledger.requests, request])


def an_outcome(evidence: Evidence) -> CommandResult:
    return next(outcome for request in evidence.ledger.requests for outcome in request.outcomes)


def lose_a_record(evidence: Evidence) -> None:
    evidence.disk = disk_of(evidence)
    del evidence.disk.records[10]


def change_a_payload(evidence: Evidence) -> None:
    evidence.disk = disk_of(evidence)
    record = codec.decode(raw := evidence.disk.records[10])
    evidence.disk.records[10] = codec.join(codec.header_bytes(raw), record.salt, record.payload + b" ")


def change_a_view(evidence: Evidence) -> None:
    spoil_session(evidence, depth=99)


def keep_a_wrong_row(evidence: Evidence) -> None:
    evidence.store = MemoryStore()
    view = evidence.views.sessions
    session = next(iter(view))
    print_ = fingerprint(view.name, view.state_type, view.decider.revision)
    row = msgspec.msgpack.encode(_with(session, title="another"))
    evidence.store.save(view.name, print_, LogEnd(len(evidence.disk.records), b""), {session.id: row})


def keep_a_wrong_snapshot(evidence: Evidence) -> None:
    evidence.disk = disk_of(evidence)
    session = next(iter(evidence.views.sessions))
    position = evidence.states(evidence.views.sessions)[session.id][0][0]
    evidence.disk.snapshots[f"session-{session.id}"] = StateSnapshot(1, position, "", msgspec.msgpack.encode(session))


def change_an_actor(evidence: Evidence) -> None:
    session = next(iter(evidence.views.sessions))
    evidence.replies = {session.id: _with(session, title="another")}


def answer_what_never_was(evidence: Evidence) -> None:
    outcome = an_outcome(evidence)
    session = _with(outcome.session, title="another")
    heard(evidence, Request("prompt", "prompt-x.", None, heard=[struct_replace(outcome, session=session)]))


def lose_an_answered_order(evidence: Evidence) -> None:
    heard(evidence, Request("prompt", "prompt-x.", None, heard=[an_outcome(evidence)]))


def carry_out_a_refused_order(evidence: Evidence) -> None:
    done = next(request for request in evidence.ledger.requests if request.kind == "session" and request.acknowledged)
    heard(evidence, Request("session", done.mark, None, heard=[Rejected("invalid", "no")]))


def tell_of_an_end_that_was_not(evidence: Evidence) -> None:
    outcome = struct_replace(an_outcome(evidence), position=0)
    heard(evidence, Request("stop", "stop-x.", None, outcome.session.id, heard=[outcome]))


def answer_with_two_sessions(evidence: Evidence) -> None:
    outcome = an_outcome(evidence)
    other = struct_replace(outcome, session=struct_replace(outcome.session, id="other"))
    heard(evidence, Request("session", "session-x.", "key", heard=[outcome, other]))


def lose_the_end_of_a_turn(evidence: Evidence) -> None:
    forget(evidence, TurnEnded)


def end_a_turn_twice(evidence: Evidence) -> None:
    tell_twice(evidence, TurnEnded)


def accept_a_prompt_twice(evidence: Evidence) -> None:
    tell_twice(evidence, PromptAccepted)


def run_a_session_twice(evidence: Evidence) -> None:
    evidence.world = copy.copy(evidence.world)
    evidence.world.double_runs = ["ses_1"]


def lose_opencodes_messages(evidence: Evidence) -> None:
    evidence.world = copy.copy(evidence.world)
    evidence.world.store = Store()


def name_a_session_by_a_model(evidence: Evidence) -> None:
    evidence.world = copy.copy(evidence.world)
    evidence.world.named_by_model = [next(iter(evidence.world.store.sessions))]


def lose_the_start_of_a_turn(evidence: Evidence) -> None:
    forget(evidence, TurnStarted)


def put_a_prompt_in_vain(evidence: Evidence) -> None:
    evidence.probes = [Probe(probe.session, "never put") for probe in evidence.probes]


def start_a_second_process(evidence: Evidence) -> None:
    evidence.overlaps = ["instance"]


def lose_the_processes(evidence: Evidence) -> None:
    evidence.world = copy.copy(evidence.world)
    evidence.world.processes = []


def leave_the_instance(evidence: Evidence) -> None:
    spoil_session(evidence, lambda state: state.opencode.instance_id is not None, opencode=OpenCodeLink())


def miss_an_event(evidence: Evidence) -> None:
    evidence.readers = [copy.copy(reader) for reader in evidence.readers]
    evidence.readers[0].got = evidence.readers[0].got[1:]


def see_an_event_twice(evidence: Evidence) -> None:
    evidence.readers = [copy.copy(reader) for reader in evidence.readers]
    evidence.readers[0].got = [1, *evidence.readers[0].got]


def stay_active(evidence: Evidence) -> None:
    spoil_session(evidence, phase="active")


def run_unseen(evidence: Evidence) -> None:
    evidence.world = copy.copy(evidence.world)
    process = copy.copy(evidence.world.living()[0])
    process.statuses = {"ses_1": {"type": "busy"}}
    evidence.world.processes = [process]


def be_idle_without_an_instance(evidence: Evidence) -> None:
    spoil_session(evidence, phase="idle", opencode=OpenCodeLink())


def tell_a_parent_twice(evidence: Evidence) -> None:
    tell_twice(evidence, CallbackDelivered)


def tell_no_parent(evidence: Evidence) -> None:
    forget(evidence, CallbackOrdered)


def call_an_abort_finished(evidence: Evidence) -> None:
    ends = [recorded for recorded in evidence.history if isinstance(recorded.event, CallbackOrdered)]
    changed = struct_replace(ends[-1].event, outcome="interrupted")
    instead = struct_replace(ends[-1], event=changed)
    evidence.__dict__["history"] = [instead if each is ends[-1] else each for each in evidence.history]


def lose_what_was_written(evidence: Evidence) -> None:
    evidence.directories = copy.copy(evidence.directories)
    evidence.directories.contents, evidence.directories.kept = {}, {}


def remove_a_claimed_workspace(evidence: Evidence) -> None:
    removed = [recorded for recorded in evidence.history if isinstance(recorded.event, WorkspaceReleased)]
    evidence.__dict__["history"] = [recorded for recorded in evidence.history if recorded not in removed]


def keep_an_erased_row(evidence: Evidence) -> None:
    evidence.store = MemoryStore()
    view = evidence.views.sessions
    print_ = fingerprint(view.name, view.state_type, view.decider.revision)
    row = msgspec.msgpack.encode(_with(view.decider.initial(min(evidence.erased)), title="secret"))
    evidence.store.save(view.name, print_, LogEnd(len(evidence.disk.records), b""), {min(evidence.erased): row})


def find_an_erased_session(evidence: Evidence) -> None:
    evidence.found = {**evidence.found, min(evidence.erased): "stopped"}


def keep_an_erased_blob(evidence: Evidence) -> None:
    evidence.disk = disk_of(evidence)
    evidence.disk.owned = {**evidence.disk.owned, f"session-{min(evidence.erased)}": {"blob": None}}


def hide_a_session(evidence: Evidence) -> None:
    evidence.found = dict(list(evidence.found.items())[1:])


def mislead(evidence: Evidence) -> None:
    evidence.ledger = Ledger(evidence.ledger.requests, complaints=["found what is erased"])


def wait_for_a_given_answer(evidence: Evidence) -> None:
    request_id = next(iter(evidence.waiting))
    answer = request_id, Answer(reply="once")
    heard(evidence, Request("answer", "answer-x.", None, answer=answer, heard=[an_outcome(evidence)]))


def answer_for_somebody(evidence: Evidence) -> None:
    evidence.world = copy.copy(evidence.world)
    evidence.world.replies = [(request_id, "other") for request_id, _ in evidence.world.replies]


def answer_twice(evidence: Evidence) -> None:
    evidence.world = copy.copy(evidence.world)
    evidence.world.replies = evidence.world.replies * 2


def wait_for_nobody(evidence: Evidence) -> None:
    spoil_session(evidence, lambda state: state.phase == "idle", phase="waiting_input")


def be_idle_while_it_waits(evidence: Evidence) -> None:
    spoil_session(evidence, lambda state: state.phase == "waiting_input", phase="idle")


def use_more_than_the_budget(evidence: Evidence) -> None:
    budget = Budget(tokens=1)
    evidence.__dict__["history"] = [
        struct_replace(
            recorded,
            event=_with(recorded.event, budget=budget),
        )
        if isinstance(recorded.event, SessionCreated)
        else recorded
        for recorded in evidence.history
    ]


def start_too_many(evidence: Evidence) -> None:
    evidence.crowds = ["too many"]


def lose_a_diff(evidence: Evidence) -> None:
    evidence.disk = disk_of(evidence)
    evidence.disk.blobs = {}


def order_no_delivery(evidence: Evidence) -> None:
    forget(evidence, DeliveryOrdered)


def order_a_delivery_twice(evidence: Evidence) -> None:
    tell_twice(evidence, DeliveryOrdered)


def lose_a_message(evidence: Evidence) -> None:
    evidence.got = [got for got in evidence.got if got.id != evidence.got[-1].id]


SPOILT: Final[tuple[tuple[str, Spoil], ...]] = (
    ("positions_are_gapless", lose_a_record),
    ("the_chain_holds", lose_a_record),
    ("the_chain_holds", change_a_payload),
    ("no_actor_crashed", crash_an_actor),
    ("bugs_are_logged", forget_a_bug),
    ("views_are_the_fold", change_a_view),
    ("rebuilt_views_are_the_fold", keep_a_wrong_row),
    ("snapshots_are_the_fold", keep_a_wrong_snapshot),
    ("actors_are_the_fold", change_an_actor),
    ("answers_are_the_fold", answer_what_never_was),
    ("answered_orders_are_in_the_log", lose_an_answered_order),
    ("answered_orders_are_in_the_log", carry_out_a_refused_order),
    ("ends_that_were_told_are_in_the_log", tell_of_an_end_that_was_not),
    ("repetitions_are_one_order", answer_with_two_sessions),
    ("prompts_have_one_outcome", lose_the_end_of_a_turn),
    ("prompts_have_one_outcome", end_a_turn_twice),
    ("prompts_have_one_outcome", accept_a_prompt_twice),
    ("turns_ran_once", run_a_session_twice),
    ("the_log_tells_what_opencode_did", lose_opencodes_messages),
    ("the_log_tells_what_opencode_did", lose_the_start_of_a_turn),
    ("conversations_are_summed_up_once", lose_the_turns),
    ("no_model_named_a_session", name_a_session_by_a_model),
    ("transcripts_are_opencodes", lose_a_part),
    ("transcripts_are_shown", show_nothing),
    ("turns_lead_to_their_prompts", begin_for_another),
    ("turns_lead_to_their_prompts", end_for_nobody),
    ("sessions_still_work", put_a_prompt_in_vain),
    ("one_process_per_instance", start_a_second_process),
    ("processes_are_owned", lose_the_processes),
    ("instances_are_used", leave_the_instance),
    ("checkouts_are_in_the_log", workspaces.leave_half_a_checkout),
    ("ready_workspaces_are_there", workspaces.lose_the_checkouts),
    ("faults_are_told", workspaces.lose_the_directories),
    ("nothing_is_lost", workspaces.lose_the_commits),
    ("ports_are_not_shared", workspaces.share_ports),
    ("branches_are_wanted", workspaces.leave_a_branch),
    ("nothing_runs_unallowed", workspaces.allow_nothing),
    ("set_ups_come_first", workspaces.work_before_the_set_up),
    ("set_ups_are_told", workspaces.lose_the_output_of_a_set_up),
    ("teardowns_run", workspaces.tear_nothing_down),
    ("readers_got_everything_once", miss_an_event),
    ("readers_got_everything_once", see_an_event_twice),
    ("nothing_is_under_way", stay_active),
    ("nothing_runs_unseen", run_unseen),
    ("who_is_idle_can_work", be_idle_without_an_instance),
    ("callbacks_are_given_once", tell_a_parent_twice),
    ("callbacks_are_given_once", tell_no_parent),
    ("callbacks_are_true", tell_no_parent),
    ("callbacks_are_true", call_an_abort_finished),
    ("nothing_is_lost", lose_what_was_written),
    ("claimed_workspaces_stay", remove_a_claimed_workspace),
    ("erased_sessions_are_gone", keep_an_erased_payload),
    ("erased_sessions_are_gone", keep_an_erased_callback),
    ("erased_sessions_are_gone", keep_an_erased_row),
    ("erased_sessions_are_gone", find_an_erased_session),
    ("erased_sessions_are_gone", keep_an_erased_blob),
    ("the_history_is_the_fold", hide_a_session),
    ("no_reader_was_misled", mislead),
    ("nothing_waits_for_a_given_answer", wait_for_a_given_answer),
    ("answers_were_given", answer_for_somebody),
    ("answers_were_given", answer_twice),
    ("who_waits_is_waited_for", wait_for_nobody),
    ("who_waits_is_waited_for", be_idle_while_it_waits),
    ("no_turn_starts_over_budget", use_more_than_the_budget),
    ("processes_keep_the_limit", start_too_many),
    ("diffs_are_the_trees", lose_a_diff),
    ("trees_of_steps_have_what_was_written", workspaces.lose_the_trees),
    ("changes_belong_to_their_turn", lose_a_diff),
    *hosts.SPOILT,
    ("messages_are_ordered_once", order_no_delivery),
    ("messages_are_ordered_once", order_a_delivery_twice),
    ("messages_arrive", lose_a_message),
)
