"""Explains what happened in a turn, from an effect to its cause: outcome, changes, tool calls, permissions, process."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, TypeVar

from fleet.core.instance.events import InstanceReady, InstanceSpawned, PermissionAllowed, PermissionRulesRead
from fleet.core.manifest import ChangedFile, decode_manifest
from fleet.core.permission_rules import Judgement, judge_pattern, matches
from fleet.core.session.events import StopRequested
from fleet.core.session.turn_events import (
    AbortRequested,
    ChangesRecorded,
    MessageRecorded,
    PartRecorded,
    PromptDelivered,
    RequestAnswered,
    RequestClosed,
    RequestOpened,
    StepSnapshotTaken,
    TurnContinued,
    TurnDelayed,
    TurnEnded,
    TurnFailed,
    TurnSnapshotTaken,
    TurnSteered,
)
from fleet.core.session.values import Totals
from fleet.core.times import rfc3339
from fleet.events.blobs import Blobs
from fleet.events.envelope import Erased, Recorded, position_of
from fleet.events.log import LogReader
from fleet.limits import LOG_SEARCH_PAGE_EVENTS, WHY_LISTED_MAX
from fleet.projections.configured_rules import RULES_READ, agent_rules, decided_by, rules_for
from fleet.projections.names import stream_of, who
from fleet.projections.sentences import asked_words, cut, decided_words, sentence
from fleet.projections.turn_record import FIRST_EVENTS, RecordedCall, RecordedRequest, TurnRecord, call_id_of
from fleet.wire.enums import WhyKind

Item = TypeVar("Item")
Naming = Callable[[str], str]
"""Returns the name of a stream for people (names.py)."""

OF_TURN: Final = (
    *(AbortRequested, ChangesRecorded, MessageRecorded, PartRecorded, PromptDelivered, RequestAnswered, RequestClosed),
    *(RequestOpened, TurnContinued, TurnDelayed, TurnEnded, TurnFailed, TurnSnapshotTaken, TurnSteered),
    StepSnapshotTaken,
)
"""The events of a turn that has started."""

_ALLOWED: Final = "instance.permission-allowed"
_STATUS: Final = {"added": "created", "deleted": "deleted", "modified": "changed"}


class ReasonStep(NamedTuple):
    """One step of an explanation; `recorded` is the event that says so."""

    kind: WhyKind
    sentence: str
    recorded: Recorded


class ReasonSteps:
    """The steps so far, from the effect to its cause. Each event has one step."""

    def __init__(self, name: Naming) -> None:
        self.all: list[ReasonStep] = []
        self.told: set[int] = set()
        self.name = name

    def add(self, kind: WhyKind, text: str, recorded: Recorded) -> None:
        """Explain an event."""
        if recorded.position not in self.told:
            self.told.add(recorded.position)
            self.all.append(ReasonStep(kind, text, recorded))

    def who(self, recorded: Recorded) -> str:
        """Return who caused the event, in words."""
        stream = stream_of(recorded.cause.actor)
        return who(recorded.cause.actor, {} if stream is None else {stream: self.name(stream)})


def changed_files(event: ChangesRecorded, blobs: Blobs | None) -> tuple[ChangedFile, ...]:
    """Return the files that the turn changed; none where their list is not kept."""
    content = None if blobs is None or not event.turn_manifest else blobs.get(event.turn_manifest)
    return () if content is None else decode_manifest(content).files


class TurnStory:
    """Explains why an event of a turn happened."""

    def __init__(self, steps: ReasonSteps, log: LogReader, blobs: Blobs | None, turn: TurnRecord) -> None:
        self._steps = steps
        self._log = log
        self._blobs = blobs
        self._turn = turn
        self._session = steps.name(turn.started.stream)
        self._directory = turn.directory

    def explain(self, recorded: Recorded, file: str | None) -> None:
        """Explain this event of the turn; with `file`, the change of that file."""
        self._tell_effect(recorded, file)
        self._tell_process()
        for steered in self._turn.steered:
            self._steps.add("prompt", f"{self._steps.who(steered)} sent another prompt into the running turn", steered)

    def _tell_effect(self, recorded: Recorded, file: str | None) -> None:
        match recorded.event:
            case ChangesRecorded() if file is not None:
                self._tell_file(recorded, recorded.event, file)
            case ChangesRecorded():
                self._tell_changes(recorded, recorded.event)
            case TurnEnded() | TurnFailed():
                self._add_outcome(recorded)
            case PartRecorded(body=body) if (call := self._turn.call(call_id_of(body))) is not None:
                self._tell_call(call)
            case RequestOpened() | RequestAnswered() | RequestClosed():
                self._tell_request(recorded, recorded.event.request_id)
            case AbortRequested(number=number):
                text = f"{self._steps.who(recorded)} requested an abort of turn {number} of {self._session}"
                self._steps.add("outcome", text, recorded)
            case _ if recorded.position != self._turn.started.position:
                self._steps.add("event", self._short(sentence(recorded.type, recorded.event)), recorded)
            case _:
                pass

    # ----------------------------------------------------------------------------------------------- changes and ends

    def _tell_file(self, recorded: Recorded, event: ChangesRecorded, file: str) -> None:
        changed = next((each for each in changed_files(event, self._blobs) if file in (each.file, each.old_file)), None)
        done = [call for call in self._turn.calls if not call.failed]
        writers = [call for call in done if call.names(file)]
        commands = [call for call in done if call.tool == "bash"]
        where = f"in turn {self._turn.started.event.number} of {self._session}"
        self._steps.add("change", f"{_changed_words(file, changed)} {where}{self._shared(event)}", recorded)
        for call in _newest(writers or commands):
            self._tell_call(call, "" if writers else ", which may have changed it")

    def _tell_changes(self, recorded: Recorded, event: ChangesRecorded) -> None:
        files = [each.file for each in changed_files(event, self._blobs)]
        named = f": {_listed(files)}" if files else ""
        totals = event.turn_totals or event.totals
        text = f"Turn {event.number} of {self._session} changed {_files(totals)}{named}{self._shared(event)}"
        self._steps.add("change", text, recorded)
        for call in _newest([call for call in self._turn.calls if call.writes and not call.failed]):
            self._tell_call(call)

    def _shared(self, event: ChangesRecorded) -> str:
        others = [self._steps.name(f"session-{session_id}") for session_id in event.overlaps]
        return f"; the directory was shared with {_listed(others)}, which may have changed it" if others else ""

    def _add_outcome(self, recorded: Recorded) -> None:
        text = f"{sentence(recorded.type, recorded.event)} ({self._session})"
        if isinstance(recorded.event, TurnEnded) and recorded.event.outcome == "interrupted":
            text += f": {cut(recorded.event.evidence)}"
        self._steps.add("outcome", text, recorded)
        for ending in self._turn.endings:
            self._steps.add("outcome", self._ending_words(ending), ending)
        changes = self._turn.changes
        if changes is not None:
            totals = changes.event.turn_totals or changes.event.totals
            files = [each.file for each in changed_files(changes.event, self._blobs)]
            self._steps.add("change", f"It changed {_files(totals)}{f': {_listed(files)}' if files else ''}", changes)
        for asked in _newest(tuple(self._turn.requests.values())):
            self._tell_asked(asked)

    def _ending_words(self, ending: Recorded) -> str:
        match ending.event:
            case AbortRequested():
                return f"{self._steps.who(ending)} requested the abort"
            case StopRequested():
                return f"{self._steps.who(ending)} requested a stop of the session"
            case _:
                return sentence(ending.type, ending.event)

    # ---------------------------------------------------------------------------------------- tool calls, permissions

    def _tell_call(self, call: RecordedCall, note: str = "") -> None:
        asked, starter = self._turn.asked(call.id), self._turn.starter(call)
        reasons = self._unasked(call) if asked is None else []
        agent = "The agent" if starter is None else f"The sub-agent{f' {call.agent}' if call.agent else ''}"
        if reasons and all(why.position in self._steps.told for why, _ in reasons):
            note += "; the same rule applied"
        text = f"{agent} {'failed to use' if call.failed else 'used'} the tool {call.words}{note}"
        if call.failed and not reasons and (asked is None or not _rejected(asked)):
            text += f": {cut(call.error)}"
        self._steps.add("tool", self._short(text), call.recorded)
        if asked is not None:
            self._tell_asked(asked)
        for why, reason in reasons:
            self._steps.add("permission", reason, why)
        if starter is not None:
            self._tell_call(starter, f", which started the sub-agent {call.agent}".rstrip())

    def _tell_asked(self, asked: RecordedRequest) -> None:
        if asked.answered is not None:
            text = f"{self._steps.who(asked.answered)} {decided_words(asked.answered.event.answer)}"
            self._steps.add("permission", text, asked.answered)
        opened = asked.opened.event
        what = "asked for permission" if opened.kind == "permission" else "asked a question"
        self._steps.add("permission", self._short(f"OpenCode {what}: {asked_words(opened.body)}"), asked.opened)

    def _tell_request(self, recorded: Recorded, request_id: str) -> None:
        asked = self._turn.requests.get(request_id)
        if asked is None or isinstance(recorded.event, RequestClosed):
            self._steps.add("event", sentence(recorded.type, recorded.event), recorded)
        if asked is not None and isinstance(recorded.event, RequestOpened):
            asked = asked._replace(answered=None)
        if asked is not None:
            self._tell_asked(asked)

    def _rules(self, kind: str, call: RecordedCall, *, later: bool = False) -> Iterator[Recorded]:
        """Yield the process's events of this type from before the call, newest first; or later ones, oldest first."""
        stream, at = self._turn.instance, call.recorded.position
        if stream is not None:
            after, before = (at, self._log.head() + 1) if later else (0, at)
            positions = self._log.stream_positions(
                stream, after, before, LOG_SEARCH_PAGE_EVENTS, newest_first=not later
            )
            for header in self._log.read_headers(positions):
                if header.type == kind:
                    yield read_one(self._log, header.position)

    def _unasked(self, call: RecordedCall) -> list[tuple[Recorded, str]]:
        """Return why OpenCode did not ask for a call: each "always" and the rules of the configuration that decided."""
        always = list(self._rules(_ALLOWED, call))
        configured = self._configured(call)
        rules = () if configured is None else agent_rules(configured.event, call.agent)
        given: dict[int, Recorded] = {}
        judged: list[Judgement] = []
        for asks in call.asks:
            for pattern in asks.patterns:
                rule = next(
                    (each for each in always if _grants(each.event, self._directory, asks.permission, pattern)), None
                )
                if rule is None:
                    judged.append(judge_pattern(asks.permission, pattern, rules))
                else:
                    given[rule.position] = rule
        reasons = [(rule, self._always_words(rule)) for rule in given.values()]
        if configured is not None:
            decided = decided_by(configured.event, self._directory, judged, failed=call.failed)
            reasons += [(configured, decided)] if decided else []
        return reasons

    def _configured(self, call: RecordedCall) -> Recorded | None:
        read = [*reversed(list(self._rules(RULES_READ, call))), *self._rules(RULES_READ, call, later=True)]
        rules = [each for each in read if isinstance(each.event, PermissionRulesRead)]
        return rules_for(self._directory, rules, call.recorded.position, self._turn.instance)

    def _always_words(self, rule: Recorded) -> str:
        event: PermissionAllowed = rule.event
        given = position_of(rule.cause)
        person = "a person" if given is None else self._steps.who(read_one(self._log, given))
        patterns = cut(", ".join(event.patterns))
        text = f"OpenCode did not ask, because {person} had always allowed {event.permission} ({patterns})"
        return f"{text} in this directory, until the process ends"

    # ---------------------------------------------------------------------------------------------------- the process

    def _tell_process(self) -> None:
        """Say which OpenCode process ran the turn."""
        stream = self._turn.instance
        first = [] if stream is None else self._log.read_stream(stream, 0, FIRST_EVENTS)
        spawned = next((each for each in first if isinstance(each.event, InstanceSpawned)), None)
        ready = next((each for each in first if isinstance(each.event, InstanceReady)), spawned)
        if spawned is None or ready is None:
            return
        version = f" {ready.event.endpoint.version}" if ready is not spawned and ready.event.endpoint.version else ""
        text = f"The turn ran in OpenCode{version}, process {spawned.event.identity.pid}"
        self._steps.add("process", f"{text}, which was ready at {rfc3339(ready.recorded_at_ms)}", ready)

    def _short(self, text: str) -> str:
        """Return the text with paths inside the session's directory relative to it."""
        return text if self._directory is None else text.replace(f"{self._directory}/", "")


def _grants(rule: PermissionAllowed | Erased, directory: str | None, permission: str, pattern: str) -> bool:
    """Return whether an "always" covers this; never if data of the process was taken out of this export."""
    if isinstance(rule, Erased) or (rule.permission, rule.directory) != (permission, directory):
        return False
    return any(matches(pattern, each) for each in rule.patterns)


def read_one(log: LogReader, position: int) -> Recorded:
    """Return the event at a position that exists."""
    return log.read_all(position - 1, 1)[0]


def _rejected(asked: RecordedRequest) -> bool:
    return asked.answered is not None and asked.answered.event.answer.reply == "reject"


def _changed_words(file: str, changed: ChangedFile | None) -> str:
    if changed is None:
        return f"{file} was changed"
    if changed.old_file is not None and changed.old_file != changed.file:
        edited = f" and changed{_counts(changed)}" if changed.additions or changed.deletions else ""
        return f"{changed.old_file} was renamed to {changed.file}{edited}"
    return f"{file} was {_STATUS[changed.status]}{_counts(changed)}"


def _newest(found: Sequence[Item]) -> Iterator[Item]:
    return reversed(found[-WHY_LISTED_MAX:])


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - WHY_LISTED_MAX} more" if len(names) > WHY_LISTED_MAX else ""
    return f"{', '.join(names[:WHY_LISTED_MAX])}{more}"


def _files(totals: Totals) -> str:
    if not totals.files:
        return "no files"
    return f"{totals.files} file{'' if totals.files == 1 else 's'} (+{totals.additions} -{totals.deletions})"


def _counts(file: ChangedFile) -> str:
    return " (binary)" if file.is_binary else f" (+{file.additions} -{file.deletions})"
