"""The tasks of `fleet demo`: a scratch project, and a script of the rehearsal model for each session."""

from typing import Final, NamedTuple

from fleet.rehearsal.script import fenced


class DemoTask(NamedTuple):
    """One session: its title, and its prompt."""

    title: str
    prompt: str


PROJECT: Final = {"README.md": "# Greeter\n\nSays hello.\n", "greeter.py": 'def greet() -> str:\n    return "hello"\n'}

_FEATURE = """\
say "I will look at the code first, then let it greet by name." at 40/s
read greeter.py
---
edit greeter.py: <<OLD -> <<NEW
def greet() -> str:
    return "hello"
OLD
def greet(name: str = "world") -> str:
    return f"hello, {name}"
NEW
---
say "Now a test for it." at 40/s
write test_greeter.py: <<END
from greeter import greet


def test_it_greets_by_name() -> None:
    assert greet("Ada") == "hello, Ada"
END
---
bash "git status --short"
---
say "The greeter greets by name, and a test says so." at 40/s
"""

_DOCUMENTATION = """\
think "A reader wants to know how to install and use it." at 40/s
todo doing "read the README", "write how to use it"
read README.md
---
say "The README lacks an example. I will write one, and a guide." at 40/s
edit README.md: "Says hello." -> "Says hello. See [the guide](docs/guide.md)."
write docs/guide.md: <<END
# Guide

    >>> from greeter import greet
    >>> greet()
    'hello'
END
---
bash "ls docs && git diff --stat"
todo done "read the README", done "write how to use it"
---
say "The README points to a guide with an example." at 40/s
"""

TASKS: Final = (
    DemoTask("Greet by name", f"Let the greeter greet by name.\n{fenced(_FEATURE)}"),
    DemoTask("Write a guide", f"Document how the greeter is used.\n{fenced(_DOCUMENTATION)}"),
)
