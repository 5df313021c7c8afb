"""The work that the model does without a script: titles, summaries, and a small plausible job on the repository.

The job is a script made from the prompt, so that reply.py knows one kind of work only.
"""

import re

from fleet.rehearsal.parse import ScriptError, find_script
from fleet.rehearsal.request import ChatRequest
from fleet.rehearsal.script import Bash, Read, Script, Speak, Statement, Write

_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)
_TITLE_CHARS_MAX = 50
_SLUG_CHARS_MAX = 40
_RATE_TOKENS_PER_S = 200.0


def task_of(prompt: str) -> str:
    """Return what a person would call the task: the prompt without its script and without OpenCode's reminders."""
    found = find_script(prompt)
    around = found.around if found else prompt
    return _REMINDER.sub("", around).strip() or _REMINDER.sub("", prompt if found is None else "").strip()


def title_of(prompt: str) -> str:
    """Return a title of at most 50 characters: the task's first line, cut between words."""
    first = next((line.strip() for line in task_of(prompt).split("\n") if line.strip()), "")
    if not first:
        return "Scripted rehearsal"
    if len(first) > _TITLE_CHARS_MAX:
        first = first[: _TITLE_CHARS_MAX + 1].rpartition(" ")[0] or first[:_TITLE_CHARS_MAX]
    return first.rstrip(" .,:;")[:_TITLE_CHARS_MAX] or "Scripted rehearsal"


def note_path(prompt: str) -> str:
    """Return the file that the job writes: `notes/<slug of the title>.md`."""
    slug = re.sub(r"[^a-z0-9]+", "-", title_of(prompt).lower()).strip("-")[:_SLUG_CHARS_MAX].rstrip("-")
    return f"notes/{slug or 'task'}.md"


def summary(request: ChatRequest) -> str:
    """Return the summary of a conversation that OpenCode asks for when the context is full."""
    return (
        "## Objective\n- Follow the rehearsal script of the conversation\n\n"
        "## Important Details\n- The model is scripted; nothing was decided\n\n"
        f"## Work State\n### Completed\n- A conversation of about {request.tokens} tokens\n\n"
        "### Active\n- (none)\n\n### Blocked\n- (none)\n\n## Next Move\n1. (none)\n\n## Relevant Files\n- (none)\n"
    )


def unscripted_job(request: ChatRequest) -> Script:
    """Return the job for a prompt without a script: look around, write a note about the task, report."""
    title = title_of(request.prompt)
    if request.offered("write") is None:
        return (
            (_spoken(f'I would begin with: "{title}". Without a tool that writes files I can only talk about it.'),),
        )
    path = note_path(request.prompt)
    note = Write(path, f"# {title}\n\n{task_of(request.prompt)}\n")
    report = _spoken(
        f"Done: {path} describes the task. I am a rehearsal model; a script in the prompt makes me do more."
    )
    return (_look_around(request), (_spoken("I will write down what the task is."), note), (report,))


def complaint(error: ScriptError) -> Script:
    """Return the answer to a script that cannot be read."""
    lines = "\n".join(f"- line {line}: {sentence}" for line, sentence in error.complaints)
    return ((Speak("say", f"I cannot follow this rehearsal script:\n{lines}\n"),),)


def _look_around(request: ChatRequest) -> tuple[Statement, ...]:
    opening = _spoken("Let me see what is here first.")
    return (opening, Read(".") if request.offered("bash") is None else Bash("git log --oneline -5; ls"))


def _spoken(text: str) -> Speak:
    return Speak("say", text, _RATE_TOKENS_PER_S)
