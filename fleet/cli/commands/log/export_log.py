"""`fleet log export` writes the log, or a part of it, into a directory; `fleet log import` makes a log of one."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fleet.cli.commands.log.source import session_id, sourced
from fleet.cli.connect import MOMENT, Json, UsageError, completed, finish

if TYPE_CHECKING:
    from fleet.cli.commands.log.local_log import LocalLog
    from fleet.cli.commands.log.source import LogSource
    from fleet.events.redaction import RedactionRule

BLOBS_DIRECTORY = "blobs"


@sourced
async def export(
    source: "LogSource",
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="A new directory.", show_default=False)],
    session: Annotated[
        str | None,
        typer.Option(
            "--session", "-s", metavar="SESSION", help="Only the data of this session.", autocompletion=completed
        ),
    ] = None,
    begin: Annotated[
        str | None, typer.Option("--from", metavar="MOMENT", help=f"Only the data from this moment on: {MOMENT}.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="MOMENT", help=f"Only the data up to this moment: {MOMENT}.")
    ] = None,
    rules: Annotated[
        list[str] | None,
        typer.Option(
            "--redact",
            metavar="RULE",
            help="Take out data: prompts, transcripts, responses, type:NAME, session:ID or text:REGEX; repeatable.",
        ),
    ] = None,
    contents: Annotated[
        bool, typer.Option("--contents", help="Write the contents of changed files, too; needs --data-dir.")
    ] = False,
) -> None:
    """Write the log into a directory: events.jsonl, and with --contents the contents of changed files in blobs/.

    An event whose data is taken out keeps its line: the header, which the chain of digests covers, and the rule that
    took the data out. So `fleet log verify --export DIR` proves every export. One limit: an erased event is proved by
    the event that erased it, so a range that contains the one has to contain the other.
    """
    import msgspec

    from fleet.cli.commands.log.local_log import LocalLog
    from fleet.cli.commands.log.output import new_directory
    from fleet.cli.connect import complain
    from fleet.errors import StartupError
    from fleet.events.read_only import EVENTS_FILE, MANIFEST_FILE, ExportManifest

    local = source if isinstance(source, LocalLog) else None
    if contents and (local is None or local.blobs is None):
        raise UsageError("--contents needs --data-dir: `fleet backup` copies the contents of a running server")
    found = None if session is None else await session_id(source, session)
    first, last, bounds = await _bounds(source, found, begin, end)
    taken_out = [*bounds, *_parsed(rules or [])]
    with new_directory(output):
        count = await _write(source, output / EVENTS_FILE, first, last, taken_out)
        if count <= 0:
            raise StartupError(f"There is no event after position {first}: nothing was exported.")
        if contents and local is not None:
            await _write_contents(local, output)
        whole = contents and local is not None and not local.left_out_through
        (output / MANIFEST_FILE).write_bytes(msgspec.json.encode(ExportManifest(count, whole)))
    complain(f"{count} events are in {output / EVENTS_FILE}")


def _parsed(rules: list[str]) -> "list[RedactionRule]":
    from fleet.events.redaction import parse_rules

    try:
        return parse_rules(rules)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--redact") from error


async def _bounds(
    source: "LogSource", session: str | None, begin: str | None, end: str | None
) -> "tuple[int, int | None, list[RedactionRule]]":
    """Return after which position the export begins, where it ends (None: with the log), and the rules for it.

    A server signs any position. What else is read has one signed head at its end, so the export continues to there.
    """
    from fleet.cli.commands.log.local_log import LocalLog
    from fleet.events.redaction import only_between, only_session

    first = 0 if begin is None else await _position(source, begin, "from")
    last = None if end is None else await _position(source, end, "to")
    if last is not None and last <= first:
        raise UsageError(f"there is no event in it: --from is position {first + 1}, and --to is {last}")
    rules: list[RedactionRule] = []
    if session is not None:
        rules.append(only_session(session))
        ends = [await source.log(session=session, limit=1, newest_first=newest) for newest in (False, True)]
        positions = [event.position for page in ends for event in page]
        first = max(first, min(positions, default=1) - 1)
        last = max(positions, default=1) if last is None else min(last, max(positions, default=1))
        if last <= first:
            raise UsageError(f"the session has no event in this range; its last one is {max(positions, default=1)}")
    if last is not None and isinstance(source, LocalLog):
        rules.append(only_between(first, last))
        last = None
    return first, last, rules


async def _position(source: "LogSource", moment: str, option: Literal["from", "to"]) -> int:
    """Return the position of `--to`, or the one after which `--from` begins."""
    from fleet.core.times import rfc3339
    from fleet.errors import Rejected
    from fleet.projections.moments import parse_moment

    try:
        found = parse_moment(moment, (await source.log(limit=1)).total, option)
    except Rejected as rejected:
        raise UsageError(f"--{option}: {rejected.detail}") from rejected
    if isinstance(found, int):
        return found if option == "to" else max(0, found - 1)
    return await source.position_at(rfc3339(found.last_ms if option == "to" else found.first_ms - 1))


async def _write(source: "LogSource", file: Path, first: int, last: int | None, rules: "list[RedactionRule]") -> int:
    from fleet.events.redaction import Redaction

    redaction = Redaction(rules)
    count = -1  # the last line is the signed head
    with file.open("xb") as written:
        async with aclosing(_lines(source, first, last)) as lines:
            async for line in lines:
                written.write(redaction.redact(line))
                count += 1
    more = redaction.finish(first + count)
    if more is not None:
        _rewrite(file, more)
    return count


def _rewrite(file: Path, change: Callable[[bytes], bytes]) -> None:
    before = file.rename(file.with_suffix(".before"))
    with before.open("rb") as lines, file.open("xb") as written:
        written.writelines(map(change, lines))
    before.unlink()


async def _lines(source: "LogSource", first: int, last: int | None) -> AsyncGenerator[bytes]:
    from fleet.cli.commands.log.local_log import LocalLog

    if isinstance(source, LocalLog):
        async for page in source.exported(first):
            for line in page.splitlines(keepends=True):
                yield line
        return
    async with source.export(after=first, through=last) as lines:
        async for line in lines:
            yield line + b"\n"


async def _write_contents(source: "LocalLog", output: Path) -> None:
    """Write the contents that the exported events name: manifests, and the files before and after each turn."""
    from fleet.events.catalog import make_registry
    from fleet.events.read_only import EVENTS_FILE, reading_export
    from fleet.projections.contents import contents_of

    blobs = output / BLOBS_DIRECTORY
    blobs.mkdir(mode=0o700)
    with reading_export(str(output / EVENTS_FILE), make_registry()) as exported:
        for _, digest in contents_of(exported, source.content):
            content = source.content(digest)
            if content is not None:
                (blobs / digest).write_bytes(content)


def import_(
    *,
    exported: Annotated[
        Path,
        typer.Argument(metavar="EXPORT", help="A directory of `fleet log export`, or its events.jsonl.", exists=True),
    ],
    data_dir: Annotated[
        Path, typer.Option("--data-dir", metavar="DIR", help="A new data directory.", show_default=False)
    ],
    verify: Annotated[
        bool, typer.Option("--verify", help="Verify the new log as well, and compare its digest.")
    ] = False,
    json: Json = False,
) -> None:
    """Make a data directory from a whole export, for `fleet serve --read-only` or `fleet log --data-dir`.

    The export is verified first. It has to begin with the first event, and nothing may have been taken out of it. All
    digests stay the same; the end is signed by a key of the new directory.
    """

    async def run() -> int:
        from fleet.adapters.clock import SystemClock
        from fleet.cli.sanitize import json_of
        from fleet.events.read_only import export_file
        from fleet.maintenance.importing import import_export

        events = export_file(str(exported))
        done = await import_export(events, events.parent / BLOBS_DIRECTORY, data_dir, SystemClock().now_ms())
        if verify:
            done.verify(data_dir)
        if json:
            print(
                json_of(
                    {"events": done.events, "digest": done.digest, "contents": done.contents, "leftOut": done.left_out}
                )
            )
        else:
            print(f"{done.events} events and {done.contents} contents are in {data_dir}; the digest is {done.digest}")
            if done.left_out:
                print("The export was made without contents: diffs of files cannot be shown")
        return 0

    raise typer.Exit(finish(run))
