"""`fleet log verify` proves a log, or an exported log (fleet/events/export.py)."""

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fleet.cli.commands.log.source import DataDir, Export, run_on
from fleet.cli.connect import Json, TokenFile, Url

if TYPE_CHECKING:
    from fleet.cli.commands.log.source import LogSource
    from fleet.events.export import ExportReport
    from fleet.wire.audit import ErasedStreamItem, SignedHead


def verify(
    *,
    anchor: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The log must agree with all heads in this file.", show_default=False),
    ] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(metavar="POSITION:DIGEST", help="The log must have this event; repeatable.", show_default=False),
    ] = None,
    chain: Annotated[
        bool, typer.Option("--chain", help="Verify the events alone, not what is made from them: faster.")
    ] = False,
    json: Json = False,
    data_dir: DataDir = None,
    export: Export = None,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Prove that the log is complete and unchanged.

    With --export it proves an exported log, on any machine and without a server. Each of its lines carries its record's
    header and salt, so the command can check the chain of digests from the first line to the last. To prove that the
    events are the server's own, compare its key with that of the server, or use --anchor.

    An anchor is a signed head that was stored elsewhere before (`fleet log anchor`). --anchor and --expect find a log
    that was rewritten, cut off or replaced by an older copy, even if the signing key was stolen.

    The exit code is 1 if something was changed or is missing, or if the file is empty.
    """
    heads, expected = _read_anchors(anchor), _parse(expect or ())
    if export is not None and data_dir is None:
        raise typer.Exit(_print_export(_proved(export, heads, expected), heads, json=json))

    async def prove(source: "LogSource") -> int:
        return await _prove_log(source, heads, expected, chain=chain, json=json)

    raise typer.Exit(run_on(prove, data_dir=data_dir, export=export, url=url, token_file=token_file))


def _read_anchors(file: Path | None) -> "list[SignedHead]":
    from fleet.errors import StartupError
    from fleet.events.anchors import read_anchors

    if file is None:
        return []
    try:
        with file.open("rb") as lines:
            heads = read_anchors(lines)
    except OSError as error:
        raise StartupError(f"{file} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise StartupError(f"{file}, {error}.") from error
    if not heads:
        raise StartupError(f"{file} has no anchor: `fleet log anchor --to {file}` appends one.")
    return heads


def _parse(expect: Iterable[str]) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for text in expect:
        if re.fullmatch("[0-9]{1,18}:[0-9a-f]{64}", text) is None:
            raise typer.BadParameter(f"{text!r} is not POSITION:DIGEST, a number and 64 hex digits")
        position, digest = text.split(":")
        found.append((int(position), digest))
    return found


async def _prove_log(
    source: "LogSource", heads: "list[SignedHead]", expected: list[tuple[int, str]], *, chain: bool, json: bool
) -> int:
    from fleet.cli.sanitize import SafeConsole, json_of
    from fleet.events.anchors import find_foreign
    from fleet.wire.audit import BreakItem

    pairs = sorted({*expected, *((head.position, head.digest) for head in heads)})
    report = await source.verify(expect=pairs, chain=chain)
    if report.intact and heads:
        foreign = find_foreign(heads, (await source.head()).key)
        if foreign is not None:
            report.intact, report.first_break = False, BreakItem(position=foreign.position, reason=foreign.reason)
    if json:
        print(json_of(report))
    elif report.first_break is None:
        print(f"Checked: {', '.join(report.checked)}")
        print(f"Not checked: {', '.join(report.not_checked)} (`fleet log replay` compares all that is stored)")
        print(f"{report.events} events in {report.streams} streams are intact; the last digest is {report.digest}")
        for erased in report.erasures:
            print(_erasure_line(erased))
        if report.contents_left_out:
            print(f"{report.contents_left_out} contents were not part of the export")
        if heads:
            print(f"Anchors that agree: {len(heads)}")
        if report.head is not None:
            print(f"The end is signed by the key {report.head.key}")
    else:
        SafeConsole().print(f"broken at {report.first_break.position}: {report.first_break.reason}", soft_wrap=True)
    return 0 if report.intact else 1


def _proved(file: str, heads: "list[SignedHead]", given: list[tuple[int, str]]) -> "ExportReport":
    import msgspec

    from fleet.errors import StartupError
    from fleet.events.anchors import find_foreign
    from fleet.events.export import verify_export
    from fleet.events.heads import GIVEN, Expected
    from fleet.events.read_only import export_file

    pairs = {*given, *((head.position, head.digest) for head in heads)}
    expected = [Expected(position, digest, GIVEN) for position, digest in pairs]
    try:
        if file == "-":
            report = verify_export(sys.stdin.buffer, expected)
        else:
            with export_file(file).open("rb") as lines:
                report = verify_export(lines, expected)
    except OSError as error:
        raise StartupError(f"{file} cannot be read: {error.strerror}.") from error
    foreign = None if report.head is None else find_foreign(heads, report.head.key)
    if foreign is None or report.first_break is not None:
        return report
    return msgspec.structs.replace(report, first_break=foreign)


def _erasure_line(erased: "ErasedStreamItem") -> str:
    from fleet.cli.sanitize import line_of

    return line_of(
        f"{erased.stream}: {erased.erased} of {erased.events} events erased by {erased.actor} at {erased.at} "
        f"(event {erased.position})"
    )


def _print_export(report: "ExportReport", heads: "list[SignedHead]", *, json: bool) -> int:
    from fleet.cli.sanitize import json_of, plain
    from fleet.core.times import rfc3339
    from fleet.gateway.items.log import erased_stream_item

    intact = report.first_break is None and report.events > 0 and report.head is not None
    if json:
        found = {
            "intact": intact,
            "events": report.events,
            "first": report.first,
            "last": report.last,
            "erased": report.erased,
            "digest": report.digest.hex(),
            "erasures": [erased_stream_item(erased) for erased in report.erasures],
            "redactions": dict(report.redactions),
            "head": report.head,
            "firstBreak": report.first_break,
        }
        print(json_of(found))
    elif report.first_break is not None:
        print(plain(f"Broken at event {report.first_break.position}: {report.first_break.reason}"))
    elif not report.events:
        print("There is no event in it")
    else:
        print(f"Events {report.first} to {report.last} are intact, {report.erased} of them erased")
        for rule, events in report.redactions:
            print(plain(f"The data of {events} events was taken out of this export by the rule {rule!r}"))
        print(f"Digest {report.digest.hex()}")
        for erased in map(erased_stream_item, report.erasures):
            print(_erasure_line(erased))
        if heads:
            within = sum(report.first <= head.position <= report.last for head in heads)
            outside = f"; {len(heads) - within} outside of this export" if within < len(heads) else ""
            print(f"Anchors that agree: {within}{outside}")
        if report.head is None:
            print("The signed head at the end is missing: events after them may have been cut off")
        else:
            print(f"Signed at {rfc3339(report.head.signed_at_ms)} by the key {report.head.key}")
    return 0 if intact else 1
