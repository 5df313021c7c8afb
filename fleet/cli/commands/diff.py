"""`fleet diff` shows what a session has changed, as git shows it.

git itself compares the contents (in files with names of ours: the session's are hostile), so that hunks are where users
of git expect them. On a terminal the result is coloured, made plain and paged; elsewhere it is a patch, byte for byte,
for `git apply`. Of binary files and of those that are too large the server has no whole contents: git would refuse all
of a patch that has one of them, so they are left out there, and named on stderr.
"""

import base64
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from fleet.cli.connect import Json, Name, connected, named
from fleet.errors import StartupError

if TYPE_CHECKING:
    from rich.text import Text

    from fleet.client import FleetClient
    from fleet.wire.items import DiffItem

_STYLES: Final = (("+", "green"), ("-", "red"), ("@@", "cyan"))
_STAT_COLUMNS: Final = 80  # of a line of --stat without a terminal


@connected
async def diff(
    fleet: "FleetClient",
    *,
    session: Name,
    turn: Annotated[
        str | None, typer.Option("--turn", "-t", help="Only the changes of this turn: its number or a message id.")
    ] = None,
    stat: Annotated[bool, typer.Option("--stat", help="Only the number of changed lines, for each file.")] = False,
    names: Annotated[bool, typer.Option("--name-only", help="Only the names of the changed files.")] = False,
    at: Annotated[int | None, typer.Option(min=1, help="Show the state at this position of the log.")] = None,
    json: Json = False,
) -> None:
    """Show what a session has changed, including changes by shell commands, also after its workspace was removed.

    On a terminal, the diff goes through your pager (FLEET_PAGER, PAGER, less). Elsewhere it is a patch for git apply.
    The patch leaves out binary and too large files; stderr names them.
    """
    import trio

    from fleet.cli.sanitize import json_of, line_of

    items = await (await named(fleet, session)).diffs(turn=turn, at=at)
    if json:
        print(json_of(list(items)))
    elif names:
        for item in items:
            print(line_of(item.file))
    elif stat:
        await trio.to_thread.run_sync(_show, _stat(items))
    elif sys.stdout.isatty():
        await trio.to_thread.run_sync(_show, _coloured(items))
    else:
        for item in items:
            if item.is_binary or item.is_truncated:
                why = "is binary" if item.is_binary else "is too large"
                print(f"fleet: {line_of(item.file)} is not in the patch: it {why}.", file=sys.stderr)
            else:
                sys.stdout.buffer.write(await trio.to_thread.run_sync(patch, item))


def patch(item: "DiffItem") -> bytes:
    """Return the change of one file as git writes it. Raises `StartupError` where there is no git."""
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
    before = "/dev/null" if item.status == "added" else _quoted("a/" + old)
    after = "/dev/null" if item.status == "deleted" else _quoted("b/" + new)
    if item.is_binary:
        head.append(f"Binary files {before} and {after} differ")
    elif hunks := _hunks(_bytes(item.before, item), _bytes(item.after, item)):
        head += [f"--- {before}", f"+++ {after}"]
        if item.is_truncated:
            head.insert(0, f"# {_quoted(new)} is too large: what follows is its beginning")
        return "\n".join((*head, "")).encode("utf-8", "surrogateescape") + hunks
    return "\n".join((*head, "")).encode("utf-8", "surrogateescape")


def _name(shown: str, name_bytes: str | None) -> str:
    """Return a file's name, with surrogates for bytes that are not UTF-8."""
    return shown if name_bytes is None else base64.b64decode(name_bytes).decode("utf-8", "surrogateescape")


def _bytes(content: str | None, item: "DiffItem") -> bytes:
    return base64.b64decode(content or "") if item.encoding == "base64" else (content or "").encode()


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
            raise StartupError("`fleet diff` needs git on the PATH; --stat and --json do not.") from error
    if done.returncode != 1:
        raise StartupError(f"git failed: {done.stderr.decode(errors='replace').strip()}")
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


def _coloured(items: "Sequence[DiffItem]") -> "Iterator[Text]":
    from rich.text import Text

    from fleet.escape import plain

    for item in items:
        in_head = True
        # A line ends at a line feed alone, as git has it: what follows a carriage return looks like no line of its own.
        for line in patch(item).decode("utf-8", "replace").split("\n")[:-1]:
            in_head = in_head and not line.startswith("@@")
            style = "bold" if in_head else next((style for begin, style in _STYLES if line.startswith(begin)), "")
            yield Text(plain(line), style)


def _end_of(name: str, cells: int) -> str:
    """Return as much of the end of the name as stands in so many cells of a terminal."""
    from rich.cells import cell_len

    while cell_len(name) > cells:
        name = name[1:]
    return name


def _stat(items: "Sequence[DiffItem]") -> "Iterator[Text]":
    from rich.cells import cell_len, set_cell_size
    from rich.text import Text

    from fleet.cli.sanitize import line_of

    names = [line_of(item.file if item.old_file is None else f"{item.old_file} => {item.file}") for item in items]
    columns = os.get_terminal_size().columns if sys.stdout.isatty() else _STAT_COLUMNS
    width = min(max(map(cell_len, names), default=0), columns // 2)
    most = max((item.additions + item.deletions for item in items), default=0)
    digits = len(str(most))
    room = max(columns - width - digits - 5, 10)
    for name, item in zip(names, items, strict=True):
        shown = name if cell_len(name) <= width else "..." + _end_of(name, width - 3)
        count = item.additions + item.deletions
        scale = min(1.0, room / most) if most else 0
        plus, minus = (round(n * scale) or int(n > 0) for n in (item.additions, item.deletions))
        amount = "Bin" if item.is_binary else f"{count:>{digits}}"
        yield Text.assemble(f" {set_cell_size(shown, width)} | {amount} ", ("+" * plus, "green"), ("-" * minus, "red"))
    added, deleted = sum(item.additions for item in items), sum(item.deletions for item in items)
    files = f"{len(items)} file{'' if len(items) == 1 else 's'} changed"
    more = f", {added} insertion{'' if added == 1 else 's'}(+)" if added else ""
    less = f", {deleted} deletion{'' if deleted == 1 else 's'}(-)" if deleted else ""
    if items:
        yield Text(f" {files}{more}{less}")


def _show(lines: "Iterator[Text]") -> None:
    """Show lines in the pager on a terminal, else as they are."""
    from fleet.cli.sanitize import SafeConsole

    pager = (
        shlex.split(os.environ.get("FLEET_PAGER") or os.environ.get("PAGER") or "less") if sys.stdout.isatty() else []
    )
    if not pager or pager == ["cat"]:
        console = SafeConsole()
        for line in lines:
            console.print(line, soft_wrap=True)
        return
    environment = {"LESS": "FRX", **os.environ}
    try:
        process = subprocess.Popen(
            pager, stdin=subprocess.PIPE, env=environment, text=True, encoding="utf-8", errors="replace"
        )
    except OSError as error:
        raise StartupError(
            f"The pager {pager[0]} cannot be started: {error.strerror}. Set FLEET_PAGER or PAGER."
        ) from error
    assert process.stdin is not None  # noqa: S101 - it was asked for
    console = SafeConsole(file=process.stdin, force_terminal=True)
    try:
        with suppress(BrokenPipeError):  # the person has closed the pager
            for line in lines:
                console.print(line, soft_wrap=True)
            process.stdin.flush()
    finally:  # it has the terminal until it ends, after an error as well
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.wait()
