"""Parses rehearsal scripts: the fenced block in a prompt, its lines, their statements.

A line is a verb and its arguments; strings are JSON strings or heredocs (`<<END` … `END`). Every complaint names its
line, counted from the first one after the fence, and says what was expected; all lines are read before complaining.
The grammar is the table in README.md; tokens.py cuts lines into words; script.py holds what comes out.
"""

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple, cast, get_args

from fleet.limits import (
    REHEARSAL_SCRIPT_STEPS_MAX,
    REHEARSAL_STALL_S_MAX,
    REHEARSAL_STEP_TOKENS_MAX,
    REHEARSAL_TOKENS_PER_S_MAX,
)
from fleet.rehearsal.script import (
    TODO_WORDS,
    TOOL_USES,
    Bash,
    Call,
    Channel,
    Cut,
    Edit,
    Fail,
    Finish,
    FinishAs,
    Question,
    Read,
    Script,
    Speak,
    Stall,
    Statement,
    Step,
    TaskStep,
    TodoEntry,
    TodoStep,
    UsageIs,
    Write,
)
from fleet.rehearsal.tokens import Arguments, Complaint, ScriptLines, tokens_of

_FENCE = re.compile(r"^ {0,3}(?P<fence>`{3,}|~{3,})rehearsal[ \t]*\r?$", re.MULTILINE)
_DURATION = re.compile(r"(\d+(?:\.\d+)?(?:e-?\d+)?)(ms|s|m)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_RATE = re.compile(r"(\d+(?:\.\d+)?(?:e-?\d+)?)/s")
_COMPLAINTS_MAX = 10


class ScriptError(Exception):
    """The script cannot be read; `complaints` are (line number, sentence)."""

    def __init__(self, complaints: list[tuple[int, str]]) -> None:
        super().__init__("; ".join(f"line {line}: {sentence}" for line, sentence in complaints))
        self.complaints = complaints


class FoundScript(NamedTuple):
    """A parsed prompt: its script's text, and the text around it."""

    script: str
    around: str


def find_script(prompt: str) -> FoundScript | None:
    """Return the first block fenced as `rehearsal` (three or more backticks or tildes), or None without one.

    As in Markdown the block ends at a fence of the same kind that is at least as long, else at the end of the prompt.
    """
    opening = _FENCE.search(prompt)
    if opening is None:
        return None
    fence = opening["fence"]
    closing = re.compile(rf"^ {{0,3}}{fence}{fence[0]}*[ \t]*\r?$", re.MULTILINE).search(prompt, opening.end())
    end, after = (closing.start(), closing.end()) if closing else (len(prompt), len(prompt))
    return FoundScript(prompt[opening.end() : end].removeprefix("\n"), prompt[: opening.start()] + prompt[after:])


def parse_script(text: str) -> Script:
    """Return the steps of a script; raises ScriptError with everything that is wrong."""
    complaints: list[tuple[int, str]] = []
    steps: list[list[Statement]] = [[]]
    step_lines = [1]
    lines = ScriptLines(text)
    while (line := lines.take()) is not None:
        number = lines.number
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line.strip() == "---":
            steps.append([])
            step_lines.append(number)
            continue
        try:
            steps[-1].append(_statement(line, lines))
        except Complaint as complaint:
            complaints.append((number, str(complaint)))
    script = tuple(map(tuple, steps))
    if not complaints:
        complaints = _misfits(script, step_lines)
    if complaints:
        raise ScriptError(complaints[:_COMPLAINTS_MAX])
    return script


def _misfits(script: Script, lines: list[int]) -> list[tuple[int, str]]:
    if len(script) > REHEARSAL_SCRIPT_STEPS_MAX:
        return [(lines[-1], f"a script has at most {REHEARSAL_SCRIPT_STEPS_MAX} steps")]
    found: list[tuple[int, str]] = []
    for index, (step, line) in enumerate(zip(script, lines, strict=True)):
        is_last = index == len(script) - 1
        sentence = _misfit(step, is_last=is_last)
        if sentence is not None:
            found.append((line, f"step {index + 1} {sentence}"))
    return found


def _misfit(step: Step, *, is_last: bool) -> str | None:
    if not step:
        return "is empty: give it a statement, or drop the `---`"
    begun = False
    for statement in step[:-1]:
        if isinstance(statement, Cut) or (isinstance(statement, Fail) and statement.times is None):
            return "continues after a `cut` or an `error` without `times`: that part is never reached"
    for statement in step:
        if isinstance(statement, Fail) and begun:
            return "has an `error` after its answer began: only `stall` and other errors may stand before one"
        begun = begun or not isinstance(statement, Fail | Stall)
    if sum(s.content for s in step if isinstance(s, Speak) and isinstance(s.content, int)) > REHEARSAL_STEP_TOKENS_MAX:
        return f"says too much: at most {REHEARSAL_STEP_TOKENS_MAX} tokens"
    if not is_last and not any(isinstance(statement, (*TOOL_USES, Cut)) for statement in step):
        return "calls no tool, so the turn ends with it and the steps after it are never reached"
    return None


def _statement(line: str, lines: ScriptLines) -> Statement:
    arguments = Arguments(tokens_of(line, lines))
    verb = arguments.name("a statement")
    read = _VERBS.get(verb)
    if read is None:
        raise Complaint(f'"{verb}" is no statement; there are {", ".join(_VERBS)}')
    statement = read(arguments)
    arguments.end()
    return statement


def _speak(channel: Channel) -> Callable[[Arguments], Statement]:
    def read(arguments: Arguments) -> Statement:
        content: str | int
        if arguments.peek().kind == "string":
            content = arguments.string("the text")
        else:
            content = arguments.number('a text in double quotes, or a number of "tokens"', 1, REHEARSAL_STEP_TOKENS_MAX)
            arguments.mark("tokens", "token")
        return Speak(channel, content, _rate(arguments) if arguments.skip("at") else None)

    return read


def _rate(arguments: Arguments) -> float:
    rate = float(arguments.quantity(_RATE, "a rate like 50/s")[1])
    if not 0 < rate <= REHEARSAL_TOKENS_PER_S_MAX:
        raise Complaint(f"a rate is above 0/s and at most {REHEARSAL_TOKENS_PER_S_MAX}/s")
    return rate


def _write(arguments: Arguments) -> Statement:
    path = arguments.name("a path")
    arguments.colon_before_text()
    return Write(path, arguments.string("the file's text"))


def _edit(arguments: Arguments) -> Statement:
    path = arguments.name("a path")
    arguments.colon_before_text()
    old = arguments.string("the old text")
    arguments.mark("->")
    return Edit(path, old, arguments.string("the new text"))


def _todo(arguments: Arguments) -> Statement:
    items = [_todo_item(arguments)]
    while arguments.skip(","):
        items.append(_todo_item(arguments))
    return TodoStep(tuple(items))


def _todo_item(arguments: Arguments) -> TodoEntry:
    word = next((word for word in TODO_WORDS if arguments.skip(word)), None)
    return TodoEntry(arguments.string("a todo"), "pending" if word is None else TODO_WORDS[word])


def _question(arguments: Arguments) -> Statement:
    question = arguments.string("the question")
    arguments.mark(":")
    return Question(question, arguments.strings("an option"))


def _task(arguments: Arguments) -> Statement:
    description = arguments.string("the task's description")
    agent = arguments.name("the agent's name") if arguments.skip("as") else "general"
    arguments.colon_before_text()
    return TaskStep(description, arguments.string("the sub-agent's prompt"), agent)


def _call(arguments: Arguments) -> Statement:
    tool = arguments.name("a tool's name")
    arguments.colon_before_text()
    text = arguments.string("the arguments, a JSON object,")
    try:
        decoded: Any = json.loads(text)
    except ValueError:
        decoded = None
    if not isinstance(decoded, dict):
        raise Complaint("the arguments of `call` are a JSON object")
    return Call(tool, text)


def _error(arguments: Arguments) -> Statement:
    status = arguments.number("an HTTP error status", 400, 599)
    times: int | None = None
    retry_after_s: int | None = None
    code: str | None = None
    while arguments.peek().kind == "word":
        if arguments.skip("retry-after"):
            retry_after_s = arguments.number("seconds", 0, 999_999_999)
        elif arguments.skip("times"):
            times = arguments.number("a number of times", 1, 1000)
        elif arguments.skip("code"):
            code = arguments.name("an error code")
        else:
            raise Complaint(f'expected retry-after, times or code, not "{arguments.peek().value}"')
    message = arguments.string("the message") if arguments.peek().kind == "string" else None
    return Fail(status, times, retry_after_s, code, message)


def _stall(arguments: Arguments) -> Statement:
    match = arguments.quantity(_DURATION, "a duration like 30s, 500ms or 2m")
    seconds = float(match[1]) * _SECONDS[match[2]]
    if seconds > REHEARSAL_STALL_S_MAX:
        raise Complaint(f"a stall lasts at most {REHEARSAL_STALL_S_MAX:g}s")
    return Stall(seconds)


def _finish(arguments: Arguments) -> Statement:
    reason = arguments.name("a finish reason")
    if reason not in get_args(Finish):
        raise Complaint(f'"{reason}" is no finish reason; there are {", ".join(get_args(Finish))}')
    return FinishAs(cast("Finish", reason))


def _usage(arguments: Arguments) -> Statement:
    counts = {"input": 0, "output": 0, "reasoning": 0, "cached": 0}
    while arguments.peek().kind != "end":
        name = arguments.name("input, output, reasoning or cached")
        if name not in counts:
            raise Complaint(f'expected input, output, reasoning or cached, not "{name}"')
        counts[name] = arguments.number("a number of tokens", 0, 999_999_999)
    if counts["cached"] > counts["input"] or counts["reasoning"] > counts["output"]:
        raise Complaint("`cached` is a part of `input` and `reasoning` a part of `output`: neither can be larger")
    return UsageIs(**counts)


_VERBS: dict[str, Callable[[Arguments], Statement]] = {
    "say": _speak("say"),
    "think": _speak("think"),
    "write": _write,
    "edit": _edit,
    "read": lambda arguments: Read(arguments.name("a path")),
    "bash": lambda arguments: Bash(arguments.string("the command")),
    "todo": _todo,
    "question": _question,
    "task": _task,
    "call": _call,
    "error": _error,
    "stall": _stall,
    "cut": lambda _: Cut(),
    "finish": _finish,
    "usage": _usage,
}
