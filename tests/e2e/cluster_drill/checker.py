"""The independent checker: it reads the log, git and what the witness saw, and none of Fleet's views.

Each function returns what is wrong, one sentence each: a prompt that is lost or has no end, work at two places at the
same time, a process that outlives its lease or the loss of its host, done work that the server's machine does not have.
"""

import subprocess
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from fleet.adapters.clock import SystemClock
from fleet.core.hosts import HostLost, HostReturned
from fleet.core.session.turn_events import (
    ChangesRecorded,
    PromptAccepted,
    PromptWithdrawn,
    TurnEnded,
    TurnFailed,
    TurnStarted,
)
from fleet.events.catalog import make_registry
from fleet.events.envelope import Recorded
from fleet.events.lmdb_log import LmdbLog
from fleet.events.verify import verify
from tests.e2e.cluster_drill.sessions import Sent
from tests.e2e.cluster_drill.witness import Sight, Tick


class BrokenLogError(Exception):
    """The log cannot be trusted; the text says why."""


def read_log(data: Path) -> Sequence[Recorded]:
    """Return all events of an ended server whose data is in `data`. Raises `BrokenLogError`."""
    with LmdbLog.open(data, make_registry(), SystemClock()) as log:
        broken = verify(log).first_break
        if broken is not None:
            raise BrokenLogError(f"the log is broken at {broken.position}: {broken.reason}")
        return log.read_all()


def look_back(
    events: Sequence[Recorded],
    trees: Path,
    sent: Sequence[Sent],
    sights: Sequence[Sight],
    ticks: Sequence[Tick],
    grace_s: float,
) -> list[str]:
    """Return what is wrong after the end of the server with these events, and its stores of trees in `trees`."""
    return [
        *_prompts(sent, events),
        *_done_work(sent, events, trees),
        *two_places(ticks),
        *outlived(sights, grace_s),
        *_lost(events, sights),
    ]


def _by_session(events: Sequence[Recorded]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for recorded in events:
        kind, _, id_ = recorded.stream.partition("-")
        if kind == "session":
            found[id_].append(recorded.event)
    return found


def _prompts(sent: Sequence[Sent], events: Sequence[Recorded]) -> Iterator[str]:
    """Every acknowledged prompt is in the log once, and has an end."""
    sessions = _by_session(events)
    for each in sent:
        stream = sessions[each.session]
        accepted = [e for e in stream if isinstance(e, PromptAccepted) and e.text == each.text]
        if len(accepted) != 1:
            yield f"{each.marker} was acknowledged, and is {len(accepted)} times in the log"
            continue
        prompt_id = accepted[0].prompt_id
        numbers = {e.number for e in stream if isinstance(e, TurnStarted) and e.prompt_id == prompt_id}
        ends = [e for e in stream if isinstance(e, TurnEnded | TurnFailed) and e.number in numbers]
        withdrawn = any(isinstance(e, PromptWithdrawn) and e.prompt_id == prompt_id for e in stream)
        if len(ends) != len(numbers) or not (numbers or withdrawn):
            yield f"{each.marker} has {len(numbers)} turns and {len(ends)} ends"


def _done_work(sent: Sequence[Sent], events: Sequence[Recorded], trees: Path) -> Iterator[str]:
    """The tree at the end of a turn that is reported as finished is in a store on the server's machine."""
    markers = {each.text: each.marker for each in sent}
    for session, stream in _by_session(events).items():
        texts = {e.prompt_id: e.text for e in stream if isinstance(e, PromptAccepted)}
        prompts = {e.number: texts.get(e.prompt_id, "") for e in stream if isinstance(e, TurnStarted)}
        finished = {e.number for e in stream if isinstance(e, TurnEnded) and e.outcome == "finished"}
        recorded = {e.number: e.tree for e in stream if isinstance(e, ChangesRecorded)}
        for number in sorted(finished):
            marker = markers.get(prompts.get(number, ""))
            if marker is None:
                continue
            if number not in recorded:
                yield f"{marker} is reported as done in {session}, and its changes are not recorded"
            elif not _has_file(trees, recorded[number], f"{marker}.txt"):
                yield f"{marker} is reported as done, and the server's machine does not have its file"


def _has_file(trees: Path, tree: str, file: str) -> bool:
    for store in trees.iterdir():
        command = ["git", "--git-dir", str(store), "cat-file", "-e", f"{tree}:{file}"]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return True
    return False


def two_places(ticks: Sequence[Tick]) -> Iterator[str]:
    """At no time did agents work for a session on two machines."""
    spans: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for tick in ticks:
        spans[tick.session, tick.marker, tick.machine].append(tick.at_s)
    for (one, one_at), (other, other_at) in combinations(spans.items(), 2):
        same = one[0] == other[0] and one[2] != other[2]
        if same and one_at[0] <= other_at[-1] and other_at[0] <= one_at[-1]:
            yield f"{one[1]} ran on {one[2]} while {other[1]} of the same session ran on {other[2]}"


def outlived(sights: Sequence[Sight], grace_s: float) -> Iterator[str]:
    """No process lives after the grace: its lease ended before, with the margin that its guards have."""
    for sight in sights:
        if sight.processes and sight.lease_age_s is not None and sight.lease_age_s > grace_s:
            age = f"{sight.lease_age_s:.0f} s"
            yield f"processes {sight.processes} live on {sight.machine}, whose lease is {age} old"


def _lost(events: Sequence[Recorded], sights: Sequence[Sight]) -> Iterator[str]:
    """While a host is called lost, no process lives there."""
    since: dict[str, int] = {}
    spans: list[tuple[str, int, int]] = []
    for recorded in events:
        event = recorded.event
        if isinstance(event, HostLost):
            since.setdefault(event.name, event.at_ms)
        elif isinstance(event, HostReturned) and event.name in since:
            spans.append((event.name, since.pop(event.name), event.at_ms))
    for name, begin, end in spans:
        for sight in sights:
            if sight.machine == name and begin < sight.at_ms < end and sight.processes:
                yield f"{name} was called lost, and {sight.processes} lived there {sight.at_ms - begin} ms later"
