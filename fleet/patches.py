"""Writes the change of one file as a patch of git.

git itself compares the contents (in files with names of ours: those of sessions are hostile), so that hunks are where
users of git expect them.
"""

import base64
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Protocol

from fleet.errors import StartupError


class Change(Protocol):
    """The names and modes of a changed file: a `DiffItem` of the API, a `ChangedFile` of a manifest."""

    @property
    def file(self) -> str:
        """Its path."""
        ...

    @property
    def file_bytes(self) -> str | None:
        """Its path in base64 where that is not UTF-8."""
        ...

    @property
    def old_file(self) -> str | None:
        """Its path before, where it was renamed."""
        ...

    @property
    def old_file_bytes(self) -> str | None:
        """That path in base64 where it is not UTF-8."""
        ...

    @property
    def status(self) -> str:
        """Whether it was `added`, `deleted` or `modified`."""
        ...

    @property
    def mode_before(self) -> str | None:
        """Its mode before, as git writes it."""
        ...

    @property
    def mode_after(self) -> str | None:
        """Its mode after."""
        ...

    @property
    def is_binary(self) -> bool:
        """Whether git takes it for binary."""
        ...

    @property
    def is_truncated(self) -> bool:
        """Whether the contents are only its beginning."""
        ...


def patch_of(item: Change, before: bytes, after: bytes) -> bytes:
    """Return the change of one file as git writes it, with the contents before and after.

    Raises `StartupError` where there is no git.
    """
    new = _name(item.file, item.file_bytes)
    old = new if item.old_file is None else _name(item.old_file, item.old_file_bytes)
    head = [f"diff --git {_quoted('a/' + old)} {_quoted('b/' + new)}"]
    if item.status == "added":
        head.append(f"new file mode {item.mode_after or '100644'}")
    elif item.status == "deleted":
        head.append(f"deleted file mode {item.mode_before or '100644'}")
    elif item.mode_before != item.mode_after:
        head += [f"old mode {item.mode_before}", f"new mode {item.mode_after}"]
    if item.old_file is not None and item.status == "modified":
        head += [f"rename from {_quoted(old)}", f"rename to {_quoted(new)}"]
    left = "/dev/null" if item.status == "added" else _quoted("a/" + old)
    right = "/dev/null" if item.status == "deleted" else _quoted("b/" + new)
    if item.is_binary:
        head.append(f"Binary files {left} and {right} differ")
    elif hunks := _hunks(before, after):
        head += [f"--- {left}", f"+++ {right}"]
        if item.is_truncated:
            head.insert(0, f"# {_quoted(new)} is too large: what follows is its beginning")
        return "\n".join((*head, "")).encode("utf-8", "surrogateescape") + hunks
    return "\n".join((*head, "")).encode("utf-8", "surrogateescape")


def _name(shown: str, name_bytes: str | None) -> str:
    """Return a file's name, with surrogates for bytes that are not UTF-8."""
    return shown if name_bytes is None else base64.b64decode(name_bytes).decode("utf-8", "surrogateescape")


def _hunks(before: bytes, after: bytes) -> bytes:
    if before == after:
        return b""
    with tempfile.TemporaryDirectory(prefix="fleet-diff-") as place:
        for name, content in (("before", before), ("after", after)):
            Path(place, name).write_bytes(content)
        command = [
            "git",
            "diff",
            "--no-index",
            "--no-color",
            "--no-ext-diff",
            "--no-textconv",
            "--text",
            "--",
            "before",
            "after",
        ]
        # Outside of a repository, and deaf to whichever one this is: no attributes or filters of others.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        environment["GIT_CEILING_DIRECTORIES"] = str(Path(place).parent)
        try:
            done = subprocess.run(command, cwd=place, env=environment, capture_output=True, check=False)
        except FileNotFoundError as error:
            raise StartupError("A patch needs git on the PATH.") from error
    if done.returncode != 1:
        raise StartupError(f"git failed: {done.stderr.decode(errors='replace').strip()}.")
    return done.stdout[done.stdout.index(b"\n@@ ") + 1 :]


def _quoted(name: str) -> str:
    """Return the name as git writes it: in quotes where it has signs that would be misread."""
    if all(sign.isprintable() and sign not in '"\\' for sign in name):
        return name
    escaped = "".join(_escaped(byte) for byte in name.encode("utf-8", "surrogateescape"))
    return f'"{escaped}"'


def _escaped(byte: int) -> str:
    known = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}
    return known.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}")
