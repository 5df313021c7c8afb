"""The statements of a rehearsal script, and how a script is printed.

A script is a sequence of steps; a step is what the model answers to one call. Statements inside a step happen in order.
`print_script` and `fenced` write scripts for programs that build prompts; parse.py reads them back, and
`parse_script(print_script(script)) == script`. What a statement makes the model send is reply.py's business.
"""

import json
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

Channel = Literal["say", "think"]
TodoStatus = Literal["pending", "in_progress", "completed"]
Finish = Literal["stop", "length", "content_filter", "tool_calls"]

TODO_WORDS: dict[str, TodoStatus] = {"doing": "in_progress", "done": "completed"}
"""The words that may stand before a todo item; without one it is pending."""


@dataclass(frozen=True)
class Speak:
    """Text (`say`) or reasoning (`think`): exact, or as many tokens as a number says; unpaced without a rate."""

    channel: Channel
    content: str | int
    tokens_per_s: float | None = None


@dataclass(frozen=True)
class Write:
    """Create or replace a file."""

    path: str
    content: str


@dataclass(frozen=True)
class Edit:
    """Replace `old` by `new` in a file."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Read:
    """Read a file or list a directory."""

    path: str


@dataclass(frozen=True)
class Bash:
    """Run a shell command."""

    command: str


@dataclass(frozen=True)
class TodoEntry:
    """One line of the agent's todo list."""

    content: str
    status: TodoStatus = "pending"


@dataclass(frozen=True)
class TodoStep:
    """Replace the agent's todo list."""

    items: tuple[TodoEntry, ...]


@dataclass(frozen=True)
class Question:
    """Ask the user to choose."""

    question: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class TaskStep:
    """Start a sub-agent with a prompt, which may hold a script of its own."""

    description: str
    prompt: str
    agent: str = "general"


@dataclass(frozen=True)
class Call:
    """Call any other tool by name; `arguments` is the text of a JSON object, sent as it is."""

    tool: str
    arguments: str


@dataclass(frozen=True)
class Fail:
    """Answer with an HTTP error: the first `times` calls of this step, or every one."""

    status: int
    times: int | None = None
    retry_after_s: int | None = None
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class Stall:
    """Send nothing for a while; at the beginning of a step not even the response's headers."""

    seconds: float


@dataclass(frozen=True)
class Cut:
    """End the stream here, without a finish reason."""


@dataclass(frozen=True)
class FinishAs:
    """End the step with this finish reason instead of the fitting one."""

    reason: Finish


@dataclass(frozen=True)
class UsageIs:
    """Report these token counts: `cached` is a part of `input`, `reasoning` a part of `output`."""

    input: int
    output: int
    reasoning: int = 0
    cached: int = 0


ToolUse: TypeAlias = Write | Edit | Read | Bash | TodoStep | Question | TaskStep | Call
Statement: TypeAlias = Speak | ToolUse | Fail | Stall | Cut | FinishAs | UsageIs
Step: TypeAlias = tuple[Statement, ...]
Script: TypeAlias = tuple[Step, ...]

TOOL_USES = (Write, Edit, Read, Bash, TodoStep, Question, TaskStep, Call)


def print_script(script: Script) -> str:
    """Return the script's text, one statement a line, steps parted by `---`."""
    return "---\n".join("".join(f"{_line(statement)}\n" for statement in step) for step in script)


def fenced(text: str) -> str:
    """Return a script's text as the fenced block that a prompt holds, with a fence longer than any inside."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}rehearsal\n{text}{'' if text.endswith(chr(10)) else chr(10)}{fence}\n"


def _line(statement: Statement) -> str:  # noqa: PLR0912 - one arm for each kind of statement
    match statement:
        case Speak(channel, content, rate):
            what = _quoted(content) if isinstance(content, str) else f"{content} tokens"
            return f"{channel} {what}" + ("" if rate is None else f" at {_number(rate)}/s")
        case Write(path, content):
            return f"write {_quoted(path)}: {_quoted(content)}"
        case Edit(path, old, new):
            return f"edit {_quoted(path)}: {_quoted(old)} -> {_quoted(new)}"
        case Read(path):
            return f"read {_quoted(path)}"
        case Bash(command):
            return f"bash {_quoted(command)}"
        case TodoStep(items):
            words = {status: f"{word} " for word, status in TODO_WORDS.items()}
            return "todo " + ", ".join(words.get(item.status, "") + _quoted(item.content) for item in items)
        case Question(question, options):
            return f"question {_quoted(question)}: {', '.join(map(_quoted, options))}"
        case TaskStep(description, prompt, agent):
            return f"task {_quoted(description)} as {_quoted(agent)}: {_quoted(prompt)}"
        case Call(tool, arguments):
            return f"call {_quoted(tool)}: {_quoted(arguments)}"
        case Fail():
            return _fail_line(statement)
        case Stall(seconds):
            return f"stall {_number(seconds)}s"
        case Cut():
            return "cut"
        case FinishAs(reason):
            return f"finish {reason}"
        case UsageIs(tokens_in, tokens_out, reasoning, cached):
            return f"usage input {tokens_in} output {tokens_out} reasoning {reasoning} cached {cached}"


def _fail_line(fail: Fail) -> str:
    options = [("retry-after", fail.retry_after_s), ("times", fail.times), ("code", fail.code and _quoted(fail.code))]
    given = [f"{word} {value}" for word, value in options if value is not None]
    message = [] if fail.message is None else [_quoted(fail.message)]
    return " ".join([f"error {fail.status}", *given, *message])


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(value)
