"""Describes permission requests and questions of a session: what was asked, who decided, and why."""

from collections.abc import Sequence
from typing import Final

import msgspec

from fleet.core.session import turn_events
from fleet.evidence import document as doc
from fleet.evidence.bodies import RequestBody, read
from fleet.evidence.words import begin, who

_WAITS: Final = "It still waits for a person."


class AskedRequest(msgspec.Struct):
    """A request and its end so far."""

    event: turn_events.RequestOpened
    at: str
    position: int
    turn: int
    answer: turn_events.RequestAnswered | None = None
    by: doc.Act | None = None
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

    def close(self, why: str) -> None:
        """Note why it ended without a decision, unless it has ended already."""
        if self.answer is None and not self.closed:
            self.closed = f"Nobody decided: {why}"


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
        why = f"{begin(who(request.by.actor))} {did}."
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
    by = begin(who(request.by.actor))
    if reply == "always":
        return f"{by} allowed it, and from then on everything that matches {', '.join(always)} in this directory."
    return f"{by} allowed it once." if reply == "once" else f"{by} rejected it."


def permission_of(request: AskedRequest | None) -> str:
    """Return in a sentence why a tool call could run, or could not."""
    if request is None:
        return "OpenCode did not ask."
    if request.by is None or request.answer is None:
        return f"OpenCode asked. {request.closed or _WAITS}"
    verb = {"once": "allowed it once", "always": "allowed it always"}.get(
        request.answer.answer.reply or "", "rejected it" if request.event.kind == "permission" else "answered"
    )
    return f"OpenCode asked, and {who(request.by.actor)} {verb}."
