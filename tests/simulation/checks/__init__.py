"""The checkers: each a function that yields what it finds wrong, with the law of design.md that it proves.

They read the log from the disk and fold it themselves; of the code that they check they use `evolve` alone.
"""

from collections.abc import Callable, Iterator
from typing import Final

from tests.simulation.checks import (
    answers,
    bounds,
    callbacks,
    causes,
    checkouts,
    diffs,
    folds,
    keeping,
    log,
    processes,
    prompts,
    readers,
    requests,
    rest,
    setups,
    transcripts,
    webhooks,
)
from tests.simulation.evidence import Evidence

Check = Callable[[Evidence], Iterator[str]]

CHECKS: Final[tuple[Check, ...]] = (
    log.positions_are_gapless,
    log.the_chain_holds,
    rest.no_actor_crashed,
    folds.views_are_the_fold,
    folds.rebuilt_views_are_the_fold,
    folds.snapshots_are_the_fold,
    folds.actors_are_the_fold,
    folds.answers_are_the_fold,
    requests.answered_orders_are_in_the_log,
    requests.ends_that_were_told_are_in_the_log,
    requests.repetitions_are_one_order,
    prompts.prompts_have_one_outcome,
    prompts.turns_ran_once,
    prompts.the_log_tells_what_opencode_did,
    prompts.conversations_are_summed_up_once,
    transcripts.transcripts_are_opencodes,
    transcripts.transcripts_are_shown,
    causes.turns_lead_to_their_prompts,
    prompts.sessions_still_work,
    processes.one_process_per_instance,
    processes.processes_are_owned,
    processes.instances_are_used,
    checkouts.checkouts_are_in_the_log,
    checkouts.ready_workspaces_are_there,
    checkouts.faults_are_told,
    checkouts.ports_are_not_shared,
    checkouts.branches_are_wanted,
    setups.nothing_runs_unallowed,
    setups.set_ups_come_first,
    setups.set_ups_are_told,
    setups.teardowns_run,
    readers.readers_got_everything_once,
    rest.nothing_is_under_way,
    rest.nothing_runs_unseen,
    rest.who_is_idle_can_work,
    callbacks.callbacks_are_given_once,
    callbacks.callbacks_are_true,
    keeping.nothing_is_lost,
    keeping.claimed_workspaces_stay,
    keeping.erased_sessions_are_gone,
    keeping.the_history_is_the_fold,
    keeping.no_reader_was_misled,
    answers.nothing_waits_for_a_given_answer,
    answers.answers_were_given,
    answers.who_waits_is_waited_for,
    bounds.no_turn_starts_over_budget,
    bounds.processes_keep_the_limit,
    diffs.diffs_are_the_trees,
    diffs.changes_belong_to_their_turn,
    webhooks.messages_are_ordered_once,
    webhooks.messages_arrive,
)
