"""What the drill's clients remember: what they asked for, what was acknowledged, and what they did themselves.

The checker holds the server's traces against it. Every prompt carries a marker of its own.
"""

from dataclasses import dataclass, field

from fleet.rehearsal.script import Bash, Question, Script, Speak, TaskStep, Write, fenced, print_script

KINDS = ("write", "slow", "permission", "question", "task")


@dataclass
class Asked:
    """A prompt. `dismissed`: one of its requests was rejected, so it need not reach its last step."""

    marker: str
    kind: str
    session: str
    acknowledged: bool = False
    dismissed: bool = False

    @property
    def text(self) -> str:
        """The prompt as it is sent."""
        return f"{self.marker}\n{fenced(print_script(_script(self.marker, self.kind)))}"

    @property
    def last_words(self) -> str:
        """What the model says at the end."""
        return f"Done {self.marker}."

    @property
    def runs(self) -> str:
        """The file that gets a line each time the prompt is carried out."""
        return f"{self.marker}.runs"


def _script(marker: str, kind: str) -> Script:
    written = (Write(f"{marker}.txt", f"{marker}\n"),)
    ran = (Bash(f"{'sleep 1.5; ' if kind == 'slow' else ''}echo run >> {marker}.runs"),)
    said = (Speak("say", f"Done {marker}."),)
    if kind == "permission":
        return (written, (Bash(f"touch {marker}.permitted"),), ran, said)
    if kind == "question":
        return (written, (Question(f"Which way, {marker}?", ("left", "right")),), ran, said)
    if kind == "task":
        part: Script = ((Write(f"{marker}.sub.txt", f"{marker}\n"),), (Speak("say", "Part done."),))
        return (written, (TaskStep(f"Part of {marker}", fenced(print_script(part))),), ran, said)
    return (written, ran, said)


@dataclass
class Ledger:
    """All of it. `wrong` is what clients saw that must not be."""

    asked: list[Asked] = field(default_factory=list[Asked])
    sessions: dict[str, str] = field(default_factory=dict[str, str])
    """Names by session id."""
    erased: set[str] = field(default_factory=set[str])
    moments: list[str] = field(default_factory=list[str])
    wrong: list[str] = field(default_factory=list[str])
    unanswered: int = 0
    done: dict[str, int] = field(default_factory=dict[str, int])
    """How often each thing was done."""

    def ask(self, kind: str, session: str) -> Asked:
        """Note a prompt that is about to be sent."""
        asked = Asked(f"mark{len(self.asked):04d}x", kind, session)
        self.asked.append(asked)
        return asked

    def count(self, what: str) -> None:
        """Note that something was done."""
        self.done[what] = self.done.get(what, 0) + 1
