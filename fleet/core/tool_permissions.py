"""What a tool call of OpenCode asks for: permissions and patterns, derived from the call's input.

Where OpenCode did ask, its request has the patterns, which are exact. This derives them for calls that ran unasked.
"""

import posixpath
from collections.abc import Mapping
from typing import Any, Final

from fleet.core.permission_rules import Asks
from fleet.core.shell_commands import commands_in

_INPUTS: Final[Mapping[str, tuple[str, str]]] = {
    "webfetch": ("webfetch", "url"),
    "websearch": ("websearch", "query"),
    "glob": ("glob", "pattern"),
    "grep": ("grep", "pattern"),
    "task": ("task", "subagent_type"),
    "skill": ("skill", "name"),
}
_FILES: Final[Mapping[str, str]] = {"read": "read", "edit": "edit", "write": "edit"}
_NOTHING: Final = frozenset(("question", "invalid"))
"""These tools ask for no permission."""


def root_of(strategy: str, source_repository: str | None, directory: str) -> str:
    """Return the directory that patterns of a session are relative to: the top of its repository, or `/`."""
    if source_repository is None:
        return "/"
    return source_repository.removesuffix("/.git") if strategy == "existing" else directory


def asks_of(tool: str, given: Mapping[str, Any], root: str) -> tuple[Asks, ...]:
    """Return what a call of this tool with this input needs.

    `root` is the top directory of the project, which paths in patterns are relative to: that of the repository, and
    `/` outside of git.
    """
    if tool in _NOTHING:
        return ()
    if tool in ("bash", "shell"):
        commands = commands_in(_text(given, "command"))
        return (Asks("bash", commands),) if commands else ()
    if tool in _FILES:
        return _file(_FILES[tool], _text(given, "filePath"), root)
    if tool in _INPUTS:
        permission, name = _INPUTS[tool]
        return (Asks(permission, (_text(given, name),)),)
    if tool == "apply_patch":
        files = [
            line.partition(": ")[2] for line in _text(given, "patchText").splitlines() if line.startswith(_PATCHED)
        ]
        return tuple(each for file in files for each in _file("edit", file, root))
    return (Asks(tool, ("*",)),)


_PATCHED: Final = ("*** Add File: ", "*** Update File: ", "*** Delete File: ")


def _file(permission: str, path: str, root: str) -> tuple[Asks, ...]:
    if not posixpath.isabs(path):
        path = posixpath.join(root, path)
    asks = Asks(permission, (posixpath.relpath(path, root),))
    if root in ("/", path) or path.startswith(f"{root}/"):
        return (asks,)
    return Asks("external_directory", (posixpath.join(posixpath.dirname(path), "*"),)), asks


def _text(given: Mapping[str, Any], name: str) -> str:
    found = given.get(name)
    return found if isinstance(found, str) else ""
