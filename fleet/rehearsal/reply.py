"""Computes the model's response to a request. Pure: the same request at the same attempt has the same response.

The conversation tells which step comes next (request.py), the prompt holds the script (parse.py), the attempt number
counts how often this very request has failed before (app.py keeps that count). stream.py turns a `Reply` into bytes.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from fleet.rehearsal.job import complaint, summary, title_of, unscripted_job
from fleet.rehearsal.parse import ScriptError, find_script, parse_script
from fleet.rehearsal.request import ChatRequest, Purpose
from fleet.rehearsal.script import (
    TOOL_USES,
    Bash,
    Call,
    Channel,
    Cut,
    Edit,
    Fail,
    FinishAs,
    Question,
    Read,
    Script,
    Speak,
    Stall,
    Step,
    TaskStep,
    TodoStep,
    ToolUse,
    UsageIs,
    Write,
)

_HEADER_CHARS_MAX = 30  # OpenCode's limit for a question's header
_COMMAND_TIMEOUT_MS = 3_600_000  # OpenCode ends a command that names no limit after two minutes
_WORDS = ("rehearse", "every", "line", "until", "the", "whole", "play", "runs", "without", "a", "paid", "model")
_SENTENCE_WORDS = 12


@dataclass(frozen=True)
class Pause:
    """Send nothing for `seconds`."""

    seconds: float


@dataclass(frozen=True)
class Piece:
    """One token of text or reasoning."""

    channel: Channel
    text: str


@dataclass(frozen=True)
class ToolCall:
    """One tool call; `arguments` is the text of a JSON object."""

    call_id: str
    name: str
    arguments: str


Act: TypeAlias = Pause | Piece | ToolCall


@dataclass(frozen=True)
class Usage:
    """Token counts as OpenAI defines them: `cached` is a part of `input`, `reasoning` of `output`."""

    input: int
    output: int
    reasoning: int
    cached: int


@dataclass(frozen=True)
class RehearsalReply:
    """An answer: wait before the headers, then the acts; `finish` is None where the stream is cut."""

    wait_s: float
    acts: tuple[Act, ...]
    finish: str | None
    usage: Usage


@dataclass(frozen=True)
class ReplyFailure:
    """An HTTP error instead of an answer, after a wait."""

    wait_s: float
    status: int
    message: str
    code: str | None
    retry_after_s: int | None


def reply_to(request: ChatRequest, attempt: int = 0) -> RehearsalReply | ReplyFailure:
    """Return the answer to a request that has been answered with a `Failure` `attempt` times before."""
    script = _script_for(request)
    step = script[request.rounds] if request.rounds < len(script) else (Speak("say", "The script is over."),)
    return _play(step, request, attempt)


def _script_for(request: ChatRequest) -> Script:
    if request.purpose is Purpose.TITLE:
        return _always(title_of(request.prompt), request)
    if request.purpose is Purpose.SUMMARY:
        return _always(summary(request), request)
    found = find_script(request.prompt)
    if found is None:
        return unscripted_job(request)
    try:
        return parse_script(found.script)
    except ScriptError as error:
        return complaint(error)


def _always(text: str, request: ChatRequest) -> Script:
    return ((Speak("say", text),),) * (request.rounds + 1)


def _play(step: Step, request: ChatRequest, attempt: int) -> RehearsalReply | ReplyFailure:
    wait_s = 0.0
    for index, statement in enumerate(step):
        match statement:
            case Stall(seconds):
                wait_s += seconds
            case Fail(times=times) if times is None or attempt < times:
                return _failure(statement, wait_s)
            case Fail(times=int(times)):
                attempt -= times
            case _:
                return _answer(step[index:], request, wait_s)
    return _answer((), request, wait_s)


def _failure(fail: Fail, wait_s: float) -> ReplyFailure:
    message = fail.message or f"The script asked for an error {fail.status}"
    return ReplyFailure(wait_s, fail.status, message, fail.code, fail.retry_after_s)


def _answer(step: Step, request: ChatRequest, wait_s: float) -> RehearsalReply:
    acts = tuple(_acts(step, request))
    called = any(isinstance(act, ToolCall) for act in acts)
    finish: str | None = "tool_calls" if called else "stop"
    for statement in step:
        if isinstance(statement, FinishAs):
            finish = statement.reason
    if any(isinstance(statement, Cut) for statement in step):
        finish = None
    return RehearsalReply(wait_s, acts, finish, _usage(step, acts, request))


def _usage(step: Step, acts: Iterable[Act], request: ChatRequest) -> Usage:
    for statement in step:
        if isinstance(statement, UsageIs):
            return Usage(statement.input, statement.output, statement.reasoning, statement.cached)
    spoken = [act.channel for act in acts if isinstance(act, Piece)]
    written = sum(len(act.arguments) // 4 for act in acts if isinstance(act, ToolCall))
    return Usage(request.tokens, len(spoken) + written, spoken.count("think"), 0)


def _acts(step: Step, request: ChatRequest) -> Iterator[Act]:
    calls = 0
    for statement in step:
        if isinstance(statement, Speak):
            yield from _pieces(statement)
        elif isinstance(statement, Stall):
            yield Pause(statement.seconds)
        elif isinstance(statement, TOOL_USES):
            yield _tool_call(statement, request, calls)
            calls += 1


def _pieces(speak: Speak) -> Iterator[Act]:
    for text in _tokens(speak.content):
        if speak.tokens_per_s is not None:
            yield Pause(1 / speak.tokens_per_s)
        yield Piece(speak.channel, text)


def _tokens(content: str | int) -> Iterator[str]:
    """Cut a text into words with the space before them; or make up as many words as the number says."""
    if isinstance(content, str):
        yield from re.findall(r"\s*\S+(?:\s+\Z)?|\s+\Z", content)
        return
    for index in range(content):
        word = _WORDS[index % len(_WORDS)]
        begins = index % _SENTENCE_WORDS == 0
        ends = index % _SENTENCE_WORDS == _SENTENCE_WORDS - 1 or index == content - 1
        yield (" " if index else "") + (word.capitalize() if begins else word) + ("." if ends else "")


def _tool_call(use: ToolUse, request: ChatRequest, index: int) -> Act:
    name, arguments = _as_opencode_has_it(use, request)
    parameters = request.offered(name)
    if parameters is None:
        return Piece("say", f'[The tool "{name}" is not offered to me, so I leave it out.]\n')
    if isinstance(arguments, dict):  # older versions want a `description` of bash, newer ones have none
        arguments = json.dumps({key: arguments[key] for key in arguments if key in parameters or not parameters})
    return ToolCall(f"call_{request.digest[:20]}{index}", name, arguments)


def _as_opencode_has_it(use: ToolUse, request: ChatRequest) -> tuple[str, dict[str, Any] | str]:
    """Return the tool's name in OpenCode and its arguments; a str goes out as it is."""
    match use:
        case Write(path, content):
            return "write", {"filePath": request.resolve(path), "content": content}
        case Edit(path, old, new):
            return "edit", {"filePath": request.resolve(path), "oldString": old, "newString": new}
        case Read(path):
            return "read", {"filePath": request.resolve(path)}
        case Bash(command):
            described = {"command": command, "description": "Runs a rehearsed command"}
            return "bash", {**described, "timeout": _COMMAND_TIMEOUT_MS}
        case TodoStep(items):
            todos = [{"content": item.content, "status": item.status, "priority": "medium"} for item in items]
            return "todowrite", {"todos": todos}
        case Question(question, options):
            choices = [{"label": option, "description": option} for option in options]
            header = question[:_HEADER_CHARS_MAX]
            return "question", {"questions": [{"question": question, "header": header, "options": choices}]}
        case TaskStep(description, prompt, agent):
            return "task", {"description": description, "prompt": prompt, "subagent_type": agent}
        case Call(tool, text):
            return tool, text
