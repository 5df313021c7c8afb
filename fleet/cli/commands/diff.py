"""`fleet diff` shows what a session has changed, as git shows it.

fleet/patches.py makes the patches. On a terminal the result is coloured, made plain and paged; elsewhere it is a
patch, byte for byte, for `git apply`. Of binary files and of those that are too large the server has no whole
contents: git would refuse all of a patch that has one of them, so they are left out there, and named on stderr.
"""

import base64
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Final

import typer

from fleet.cli.connect import At, Json, Name, connected, named
from fleet.errors import StartupError
from fleet.patches import patch_of

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
        str | None,
        typer.Option("--turn", "-t", metavar="TURN", help="Only the changes of this turn: its number or a message id."),
    ] = None,
    stat: Annotated[bool, typer.Option("--stat", help="Only the number of changed lines of each file.")] = False,
    names: Annotated[bool, typer.Option("--name-only", help="Only the names of the changed files.")] = False,
    at: At = None,
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
    return patch_of(item, _bytes(item.before, item), _bytes(item.after, item))


def _bytes(content: str | None, item: "DiffItem") -> bytes:
    return base64.b64decode(content or "") if item.encoding == "base64" else (content or "").encode()


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
    """Return as much of the end of the name as fits into this number of terminal cells."""
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
