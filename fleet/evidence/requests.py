"""Describes permission requests and questions of a session: what was asked, who decided, and why."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from fleet.core.permission_rules import Asks, Rule, judge
from fleet.core.session import turn_events
from fleet.evidence import document as doc
from fleet.evidence.bodies import SHOWN, RequestBody, read

UNEXPLAINED: Final = "OpenCode did not ask."
_WAITS: Final = "It still waits for a person."


class AskedRequest(msgspec.Struct):
    """A request and its end so far."""

    event: turn_events.RequestOpened
    at: str
    position: int
    turn: int
    answer: turn_events.RequestAnswered | None = None
    by: doc.Act | None = None
    by_words: str = ""
    closed: str = ""

    @property
    def body(self) -> RequestBody:
        """What OpenCode asks."""
        return read(self.event.body, RequestBody())

    @property
    def call_id(self) -> str | None:
        """The tool call that waits for it."""
        tool = self.body.tool
        return None if tool is None else tool.callID

    def allowed_by(self, position: int) -> bool:
        """Return whether its answer had allowed more than this one call by then."""
        always = self.answer is not None and self.answer.answer.reply == "always"
        return always and self.by is not None and self.by.position < position

    def close(self, why: str) -> None:
        """Note why it ended without a decision, unless it has ended already."""
        if self.answer is None and not self.closed:
            self.closed = f"No one decided: {why}"


def slim_request(body: msgspec.Raw) -> msgspec.Raw:
    """Return the body of a request with what a pack shows of it: the diff of an edit may be as large as its file."""
    slim = read(body, RequestBody())
    shown = {name: slim.metadata[name] for name in SHOWN if name in slim.metadata}
    return msgspec.Raw(msgspec.json.encode(replace(slim, metadata=shown)))


def decision_of(request: AskedRequest, subagent: str | None) -> doc.Decision:
    """Return a permission request and its end."""
    body = request.body
    answer = request.answer.answer if request.answer is not None else None
    waiting: doc.Verdict = "closed" if request.closed else "open"
    reply: doc.Verdict = waiting if answer is None else answer.reply or "reject"
    always = (body.always or body.patterns) if reply == "always" else ()
    return doc.Decision(
        request_id=request.event.request_id,
        call_id=request.call_id,
        permission=body.permission or body.type,
        asked=body.asked,
        patterns=body.patterns,
        opened_at=request.at,
        position=request.position,
        turn=request.turn,
        subagent=subagent,
        decision=reply,
        by=request.by,
        message=None if answer is None else answer.message,
        rule=always,
        why=_why(request, reply, always),
    )


def questions_of(request: AskedRequest, subagent: str | None) -> doc.PackedQuestions:
    """Return the questions of a request and their answers."""
    body = request.body
    answer = request.answer.answer if request.answer is not None else None
    answers = (answer.answers or ()) if answer is not None else ()
    if request.by is None:
        why = request.closed or _WAITS
    else:
        did = "rejected it" if answer is None or answer.reply == "reject" else "answered"
        why = f"{_begin(request.by_words)} {did}."
    return doc.PackedQuestions(
        request_id=request.event.request_id,
        questions=tuple(
            doc.PackedQuestion(
                header=each.header,
                question=each.question,
                options=tuple(option.label for option in each.options),
                answers=answers[number] if number < len(answers) else (),
            )
            for number, each in enumerate(body.questions)
        ),
        opened_at=request.at,
        position=request.position,
        turn=request.turn,
        subagent=subagent,
        by=request.by,
        why=why,
    )


def _why(request: AskedRequest, reply: str, always: Sequence[str]) -> str:
    if request.by is None:
        return request.closed or _WAITS
    by = _begin(request.by_words)
    if reply == "always":
        return f"{by} allowed it, and from then on everything that matches {', '.join(always)} in this directory."
    return f"{by} allowed it once." if reply == "once" else f"{by} rejected it."


def permission_of(request: AskedRequest) -> str:
    """Return in a sentence why a tool call for which OpenCode asked could run, or could not."""
    if request.by is None or request.answer is None:
        return f"OpenCode asked. {request.closed or _WAITS}"
    verb = {"once": "allowed it once", "always": "allowed it always"}.get(
        request.answer.answer.reply or "", "rejected it" if request.event.kind == "permission" else "answered"
    )
    return f"OpenCode asked, and {request.by_words} {verb}."


def unasked(asks: Sequence[Asks], earlier: Iterable[AskedRequest]) -> str:
    """Return in a sentence why a tool call ran unasked; `earlier` are the requests that were answered by `always`."""
    for request in earlier:
        body = request.body
        patterns = body.always or body.patterns
        rules = [Rule(body.permission, pattern, "allow") for pattern in patterns]
        if request.by is not None and asks and judge(asks, rules).action == "allow":
            rule = f"{request.by_words} had allowed {', '.join(patterns)} always, at event {request.by.position}"
            return f"OpenCode did not ask: {rule}."
    return UNEXPLAINED


def _begin(sentence: str) -> str:
    """Return the sentence with a capital letter at its beginning."""
    return sentence[:1].upper() + sentence[1:]
