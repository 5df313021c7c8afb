"""Gathers the document of an evidence pack from the events of one session, in the order of the log.

Only what is in the log becomes part of the document. `Gathering.apply` takes each event once; `document` ends it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from fleet.core.manifest import Manifest
from fleet.core.session import events as session_events
from fleet.core.session import turn_events
from fleet.core.session.decide import SESSION
from fleet.core.session.state import State
from fleet.core.times import rfc3339
from fleet.core.tool_permissions import asks_of, root_of
from fleet.events.envelope import Recorded
from fleet.evidence import document as doc
from fleet.evidence.bodies import AgentMessage, PartBody, cut, read
from fleet.evidence.calls import NewestPart, call_of
from fleet.evidence.changed_files import attachment_of, changes_of
from fleet.evidence.costs import charge, used
from fleet.evidence.life import LIFE
from fleet.evidence.process_rules import configured, rules_of_process
from fleet.evidence.requests import (
    UNEXPLAINED,
    AskedRequest,
    decision_of,
    permission_of,
    questions_of,
    slim_request,
    unasked,
)
from fleet.evidence.turns_and_setups import packed_turn, trusted_setup
from fleet.projections.configured_rules import rules_for
from fleet.projections.names import stream_of, who
from fleet.projections.sentences import sentence
from fleet.projections.turns import Turn, TurnFold


def nameless(actor: str) -> str:
    """Return an actor in words, without the names of sessions and processes."""
    return who(actor, {})


class Gathering:
    """Folds the events of a session into its document."""

    def __init__(
        self,
        session_id: str,
        who: Callable[[str], str] = nameless,
        read_again: Callable[[int], Recorded] | None = None,
    ) -> None:
        self.people: dict[str, str] = {}
        """The actors of all events, in words."""
        self._who = who
        self._kept: dict[int, Recorded] = {}
        self._read_again = read_again
        self.state: State = SESSION.initial(session_id)
        self.created: Recorded | None = None
        self._turns = TurnFold()
        self._turn = 0
        self._prompts: dict[str, doc.PackedPrompt] = {}
        self._messages: dict[str, tuple[turn_events.MessageRecorded, AgentMessage]] = {}
        self._turn_of_message: dict[str, int] = {}
        self._parts: dict[str, NewestPart] = {}
        self._processes: dict[int, str | None] = {}  # the stream of the process that ran the turn
        self._requests: dict[str, AskedRequest] = {}
        self._aborts: dict[int, doc.Act] = {}
        self._ends: dict[int, turn_events.TurnEnded | turn_events.TurnFailed] = {}
        self._life: list[doc.LifeEvent] = []
        self._setups: list[doc.SetUp] = []
        self._output: list[str] = []
        self.changes: tuple[int, turn_events.ChangesRecorded] | None = None
        self.overlaps: dict[str, None] = {}
        self.rules: list[Recorded] = []
        """The permission rules that the session's processes had read, oldest first."""

    def person(self, actor: str) -> str:
        """Return an actor in words."""
        if actor not in self.people:
            self.people[actor] = self._who(actor)
        return self.people[actor]

    def apply(self, recorded: Recorded) -> None:
        """Apply the next event of the session."""
        self.person(recorded.cause.actor)
        self.state = SESSION.evolve(self.state, recorded.event)
        self._turns.apply(recorded)
        event: object = recorded.event
        is_copied = getattr(event, "copied", False)  # by a fork: it is in the pack of its origin
        take = None if is_copied else _TAKE.get(type(event))
        if take is not None:
            take(self, recorded, event)

    # --------------------------------------------------------------------------------------------------------- prompts

    def _accepted(self, recorded: Recorded, event: turn_events.PromptAccepted) -> None:
        self._prompts[event.prompt_id] = doc.PackedPrompt(
            prompt_id=event.prompt_id,
            text=event.text,
            by=act_of(recorded),
            command=event.command,
            agent=event.agent,
            model=event.model,
            attachments=tuple(map(attachment_of, event.attachments)),
            edits=(),
            turns=(),
            fate="waits in the queue",
        )

    def _edited(self, recorded: Recorded, event: turn_events.PromptEdited) -> None:
        if (prompt := self._prompts.get(event.prompt_id)) is not None:
            edits = (*prompt.edits, doc.PackedEdit(text=event.text, by=act_of(recorded)))
            self._prompts[event.prompt_id] = replace(prompt, edits=edits)

    def _withdrawn(self, recorded: Recorded, event: turn_events.PromptWithdrawn) -> None:
        if (prompt := self._prompts.get(event.prompt_id)) is not None:
            fate = f"withdrawn by {self.person(recorded.cause.actor)}: {event.reason}"
            self._prompts[event.prompt_id] = replace(prompt, fate=fate)

    def _started(self, _: Recorded, event: turn_events.TurnStarted) -> None:
        self._turn = event.number
        self._sent(event.prompt_id, event.number, f"began turn {event.number}")

    def _steered(self, _: Recorded, event: turn_events.TurnSteered) -> None:
        self._sent(event.prompt_id, event.number, f"was sent into the running turn {event.number}")

    def _sent(self, prompt_id: str, number: int, fate: str) -> None:
        if (prompt := self._prompts.get(prompt_id)) is not None:
            self._prompts[prompt_id] = replace(prompt, turns=(*prompt.turns, number), fate=fate)

    # ------------------------------------------------------------------------------------------------------ transcript

    def _message(self, recorded: Recorded, event: turn_events.MessageRecorded) -> None:
        known = self._messages.get(event.message_id)
        turn = self._turn_of_message.setdefault(event.message_id, self._turn)
        if turn:
            self._turns.charge(recorded.position, turn, charge(event, None if known is None else known[0]))
        known_body = read(event.body, AgentMessage())
        self._messages[event.message_id] = (replace(event, body=_NO_BODY), known_body)

    def _part(self, recorded: Recorded, event: turn_events.PartRecorded) -> None:
        known = self._parts.get(event.part_id)
        if self._read_again is None:
            self._kept[recorded.position] = recorded
        turn = self._turn if known is None else known.turn
        self._processes[turn] = stream_of(recorded.cause.actor) or self._processes.get(turn)
        at = rfc3339(recorded.recorded_at_ms)
        self._parts[event.part_id] = NewestPart(
            event.type, event.message_id, event.opencode_id, turn, at, recorded.position
        )

    def _changed(self, recorded: Recorded, event: turn_events.ChangesRecorded) -> None:
        self.changes = (recorded.position, event)
        self.overlaps |= dict.fromkeys(event.overlaps)

    # -------------------------------------------------------------------------------------------------------- requests

    def _opened(self, recorded: Recorded, event: turn_events.RequestOpened) -> None:
        at = rfc3339(recorded.recorded_at_ms)
        slim = replace(event, body=slim_request(event.body))
        self._requests[event.request_id] = AskedRequest(slim, at, recorded.position, self._turn)

    def _answered(self, recorded: Recorded, event: turn_events.RequestAnswered) -> None:
        if (request := self._requests.get(event.request_id)) is not None:
            request.answer = event
            request.by = act_of(recorded, event.actor)
            request.by_words = self.person(request.by.actor)

    def _closed(self, recorded: Recorded, event: turn_events.RequestClosed) -> None:
        request = self._requests.get(event.request_id)
        if request is not None:
            abort = self._aborts.get(request.turn)
            gone = f"{self.person(recorded.cause.actor)} reported that OpenCode no longer asks."
            request.close(gone if abort is None else f"{self.person(abort.actor)} aborted the turn.")

    def _close_all(self, why: str) -> None:
        for request in self._requests.values():
            request.close(why)

    # ------------------------------------------------------------------------------------------------------------ ends

    def _abort(self, recorded: Recorded, event: turn_events.AbortRequested) -> None:
        self._aborts[event.number] = act_of(recorded)

    def _ended(self, _: Recorded, event: turn_events.TurnEnded) -> None:
        self._ends[event.number] = event
        abort = self._aborts.get(event.number)
        aborted = "the turn ended" if abort is None else f"{self.person(abort.actor)} aborted the turn"
        self._close_all(f"{aborted} ({event.evidence}).")

    def _failed(self, _: Recorded, event: turn_events.TurnFailed) -> None:
        self._ends[event.number] = event
        self._close_all(f"the turn failed ({event.detail}).")

    def _disconnected(self, recorded: Recorded, event: session_events.SessionDisconnected) -> None:
        self._close_all(f"the session lost its OpenCode process ({event.evidence}).")
        self._lived(recorded, event)

    def _stopped(self, recorded: Recorded, event: session_events.SessionStopped) -> None:
        self._close_all(f"the session was stopped ({event.evidence}).")
        self._lived(recorded, event)

    # --------------------------------------------------------------------------------------------------- set-up, life

    def _born(self, recorded: Recorded, event: session_events.SessionCreated) -> None:
        self.created = recorded
        self._lived(recorded, event)

    def _attached(self, recorded: Recorded, event: session_events.WorkspaceAttached) -> None:
        self._lived(recorded, event)
        if event.recipe is not None and not event.recipe.problem:
            self._output = []
            self._setups.append(
                doc.SetUp(
                    digest=event.recipe.digest,
                    commands=event.recipe.setup,
                    trusted=None,
                    trusted_before=False,
                    output="",
                    exit_code=None,
                    result="has not run",
                    position=recorded.position,
                )
            )

    def _set_up(self, **changes: Any) -> None:
        if self._setups:
            self._setups[-1] = replace(self._setups[-1], **changes)

    def _setup_held(self, _: Recorded, __: session_events.SetupHeld) -> None:
        self._set_up(result="waits until a person allows its commands")

    def _setup_output(self, _: Recorded, event: session_events.SetupOutput) -> None:
        self._output.append(event.text)

    def _setup_ended(self, _: Recorded, event: session_events.SetupEnded) -> None:
        result = "was cancelled" if event.exit_code is None else f"ended with exit code {event.exit_code}"
        output, _cut = cut("".join(self._output))
        self._set_up(result=f"{result}. {event.detail}".strip(), exit_code=event.exit_code, output=output)

    def _setup_skipped(self, recorded: Recorded, _: session_events.SetupSkipped) -> None:
        self._set_up(result=f"was skipped by {self.person(recorded.cause.actor)}")

    def _lived(self, recorded: Recorded, event: Any) -> None:
        self._life.append(doc.LifeEvent(sentence=sentence(recorded.type, event), by=act_of(recorded)))

    # ---------------------------------------------------------------------------------------------------- the document

    def document(
        self,
        manifest: Manifest,
        trusted: Mapping[str, doc.Act],
        relatives: doc.Relatives,
        made: doc.Made,
    ) -> doc.PackDocument:
        """Return the document.

        `manifest` lists the changed files, `trusted` says who allowed a set-up by its digest.
        """
        state, created = self.state, self.created
        if created is None:
            raise ValueError(f"the session {state.id} has no first event")
        turns = self._turns.at(None)
        return doc.PackDocument(
            format=doc.FORMAT,
            fleet_version=made.version,
            made_at=made.at,
            made_by=made.by,
            session_id=state.id,
            opencode_id=state.opencode.session_id,
            title=state.settings.title,
            status=state.phase,
            evidence=state.evidence,
            tags=state.settings.tags,
            created=act_of(created),
            ended_at=None if state.ended_at_ms is None else rfc3339(state.ended_at_ms),
            strategy=state.settings.strategy,
            source_directory=state.source_directory,
            directory=state.directory,
            branch=state.settings.branch,
            budget=state.settings.budget,
            cost_usd=state.usage.cost_usd,
            tokens=state.usage.tokens,
            used=used(self._messages.values()),
            prompts=tuple(self._prompts.values()),
            turns=tuple(map(self._turn_item, turns)),
            decisions=tuple(
                decision_of(each, self._subagent(each.event.opencode_id)) for each in self._asked("permission")
            ),
            questions=tuple(
                questions_of(each, self._subagent(each.event.opencode_id)) for each in self._asked("question")
            ),
            calls=doc.PackedItems(self._calls),
            messages=doc.PackedItems(self._texts),
            changes=changes_of(manifest, self.changes, tuple(self.overlaps)),
            rules=tuple(map(rules_of_process, self.rules)),
            setups=tuple(trusted_setup(each, trusted, created.position) for each in self._setups),
            life=tuple(self._life),
            parent=relatives.parent,
            origin=relatives.origin,
            children=tuple(relatives.children),
            proof=None,
        )

    def _turn_item(self, turn: Turn) -> doc.PackedTurn:
        runs = turn.number == self.state.turns and self.state.turn is not None
        return packed_turn(turn, self._ends.get(turn.number), self._aborts.get(turn.number), runs=runs)

    def _asked(self, kind: str) -> list[AskedRequest]:
        return [each for each in self._requests.values() if each.event.kind == kind]

    def _subagent(self, conversation: str) -> str | None:
        own = {self.state.opencode.session_id, *self.state.opencode.earlier_session_ids}
        return None if not conversation or conversation in own else conversation

    def _role(self, message_id: str) -> str:
        known = self._messages.get(message_id)
        return "" if known is None else known[0].role

    def _body(self, part: NewestPart) -> PartBody:
        recorded = self._kept[part.position] if self._read_again is None else self._read_again(part.position)
        return read(recorded.event.body, PartBody())

    def _texts(self) -> Iterator[doc.PackedMessage]:
        for part in self._parts.values():
            if part.kind != "text" or self._role(part.message_id) != "assistant":
                continue
            body = self._body(part)
            if body.synthetic or not body.text:
                continue
            info = self._messages[part.message_id][1]
            yield doc.PackedMessage(
                text=body.text,
                agent=info.agent,
                model=info.model,
                at=part.at,
                position=part.position,
                turn=part.turn,
                subagent=self._subagent(part.conversation),
            )

    def _calls(self) -> Iterator[doc.PackedCall]:
        requests = {call_id: each for each in self._requests.values() if (call_id := each.call_id)}
        root = root_of(self.state.settings.strategy, self.state.source_repository, self.state.directory)
        for part in self._parts.values():
            if part.kind != "tool":
                continue
            body = self._body(part)
            request = requests.get(body.callID)
            earlier = (each for each in self._requests.values() if each.allowed_by(part.position))
            asks = asks_of(body.tool, body.state.input, root)
            why = permission_of(request) if request is not None else unasked(asks, earlier)
            if request is None and why == UNEXPLAINED:
                known = self._messages.get(part.message_id)
                agent = known[1].agent if known is not None else None
                read = rules_for(self.state.directory, self.rules, part.position, self._processes.get(part.turn))
                failed = body.state.status == "error"
                why = configured(asks, read, self.state.directory, agent or "", failed=failed)
            yield call_of(part, body, self._subagent(part.conversation), why)


_NO_BODY: Final = msgspec.Raw(b"{}")


def act_of(recorded: Recorded, actor: str | None = None) -> doc.Act:
    """Return who caused an event, and when."""
    at = rfc3339(recorded.recorded_at_ms)
    return doc.Act(actor=actor or recorded.cause.actor, at=at, position=recorded.position)


_TAKE: Final[Mapping[type[Any], Callable[[Gathering, Recorded, Any], None]]] = {
    **dict.fromkeys(LIFE, Gathering._lived),
    session_events.SessionCreated: Gathering._born,
    session_events.WorkspaceAttached: Gathering._attached,
    session_events.SetupHeld: Gathering._setup_held,
    session_events.SetupOutput: Gathering._setup_output,
    session_events.SetupEnded: Gathering._setup_ended,
    session_events.SetupSkipped: Gathering._setup_skipped,
    session_events.SessionDisconnected: Gathering._disconnected,
    session_events.SessionStopped: Gathering._stopped,
    turn_events.PromptAccepted: Gathering._accepted,
    turn_events.PromptEdited: Gathering._edited,
    turn_events.PromptWithdrawn: Gathering._withdrawn,
    turn_events.TurnStarted: Gathering._started,
    turn_events.TurnSteered: Gathering._steered,
    turn_events.MessageRecorded: Gathering._message,
    turn_events.PartRecorded: Gathering._part,
    turn_events.ChangesRecorded: Gathering._changed,
    turn_events.RequestOpened: Gathering._opened,
    turn_events.RequestAnswered: Gathering._answered,
    turn_events.RequestClosed: Gathering._closed,
    turn_events.AbortRequested: Gathering._abort,
    turn_events.TurnEnded: Gathering._ended,
    turn_events.TurnFailed: Gathering._failed,
}
