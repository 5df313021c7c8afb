"""`fleet policy try` tries permission rules and a budget over the recorded past."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fleet.cli.commands.log.source import session_id, sourced
from fleet.cli.connect import Json, UsageError, completed
from fleet.cli.placeholders import PlainCommand, PlainGroup

if TYPE_CHECKING:
    from fleet.cli.commands.log.source import LogSource
    from fleet.wire.policy import PolicyBody, PolicyTrial, SessionTrial

policy = typer.Typer(
    cls=PlainGroup, no_args_is_help=True, help="Try permission rules and budgets on the recorded past."
)


@policy.callback()
def _policy() -> None:
    """Keep `try` a subcommand while it is the only one."""


@policy.command("try", cls=PlainCommand, epilog="Example: fleet policy try rules.toml --session 0198c0de")
@sourced
async def try_policy(
    source: "LogSource",
    *,
    rules: Annotated[
        Path, typer.Argument(help="A TOML or JSON file with OpenCode's `permission`, a `budget`, or both.")
    ],
    session: Annotated[
        list[str] | None,
        typer.Option(
            "--session", "-s", metavar="SESSION", help="Only this session; repeatable.", autocompletion=completed
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show what rules would have asked, allowed and blocked in the past, and which turns a budget would have stopped.

    The rules are those of OpenCode's configuration, and opencode.json itself can be given: the last rule that matches
    decides. Nothing changes, and no one is asked.
    """
    from fleet.cli.commands.log.local_log import LocalLog
    from fleet.cli.sanitize import json_of

    body = _read(rules)
    if session:
        body.sessions = [await session_id(source, each) for each in session]
    result = await _tried(source, body) if isinstance(source, LocalLog) else await source.try_policy(body)
    if json:
        print(json_of(result))
    else:
        _show(result, body)


async def _tried(source: Any, body: "PolicyBody") -> "PolicyTrial":
    from fleet.evidence.policy_trial import rules_from, try_rules
    from fleet.wire.policy import PolicyTrial

    rules = rules_from(body, str(Path.home()))
    named = None if body.sessions is None else [f"session-{each}" for each in body.sessions]
    streams = list(source.reader.streams("session-")) if named is None else named
    found = [await try_rules(source.reader, each, rules) for each in streams]
    return PolicyTrial(position=source.reader.head(), sessions=[each for each in found if each is not None])


def _read(file: Path) -> "PolicyBody":
    """Return the rules of a file. Raises `StartupError` for one that cannot be read, `UsageError` for wrong rules."""
    import msgspec

    from fleet.errors import StartupError
    from fleet.wire.policy import PolicyBody

    try:
        content = file.read_bytes()
        toml = file.suffix == ".toml"
        given = tomllib.loads(content.decode()) if toml else msgspec.json.decode(content, type=dict[str, Any])
        if "opencode.ai" in str(given.get("$schema", "")):
            given = {"permission": given.get("permission", {})}
        body = msgspec.convert(given, PolicyBody)
    except OSError as error:
        raise StartupError(f"{file} cannot be read: {error.strerror}.") from error
    except (ValueError, msgspec.MsgspecError) as error:
        raise UsageError(f"{file} has no rules that can be tried: {error}") from error
    if body.permission is None and body.budget is None:
        raise UsageError(f"{file} has neither `permission` nor `budget`")
    return body


def _show(result: "PolicyTrial", body: "PolicyBody") -> None:
    from fleet.cli.sanitize import SafeConsole, line_of
    from fleet.cli.show_view import table

    console = SafeConsole()
    rows = [_row(each) for each in result.sessions]
    headings = ("SESSION", "TITLE", ">CALLS", ">ALLOWED", ">ASKED", ">NEW", ">BLOCKED", ">NEW", ">TURNS", ">HELD")
    console.print(table(console.width, headings, rows, free="TITLE", spare=("TITLE",)))
    for each in result.sessions:
        for call in each.examples:
            if call.action != "allow":
                verb = "blocked" if call.action == "deny" else "asked"
                console.print(f"\n{each.session_id[:13]} @{call.position} {verb}: {call.tool} {line_of(call.asked)}")
                console.print(f"  {call.rule}; {call.past}", soft_wrap=True)
        if each.budget is not None:
            after = f"\n{each.session_id[:13]} @{each.budget.position} would have paused after turn {each.budget.turn}"
            console.print(f"{after}: {each.budget.what}", soft_wrap=True)
    console.print(f"\n{_sum(result, body)}", soft_wrap=True)


def _row(each: "SessionTrial") -> tuple[str, ...]:
    held = 0 if each.budget is None else each.budget.turns_held
    numbers = (
        each.calls,
        each.allowed,
        each.asked,
        each.newly_asked,
        each.blocked,
        each.newly_blocked,
        each.turns,
        held,
    )
    return (each.session_id[:13], each.title, *map(str, numbers))


def _sum(result: "PolicyTrial", body: "PolicyBody") -> str:
    """Return the result in a few sentences."""
    found = result.sessions
    words: list[str] = []
    if body.permission is not None:
        words.append(
            f"Of {sum(each.calls for each in found)} tool calls in {len(found)} sessions, "
            f"{sum(each.allowed for each in found)} would have been allowed, "
            f"{sum(each.asked for each in found)} asked "
            f"({sum(each.newly_asked for each in found)} of them ran unasked), "
            f"and {sum(each.blocked for each in found)} blocked "
            f"({sum(each.newly_blocked for each in found)} of them ran). "
            f"{sum(each.newly_allowed for each in found)} that were asked would have run unasked."
        )
    if body.budget is not None:
        held = sum(each.budget.turns_held for each in found if each.budget is not None)
        words.append(
            f"The budget would have held {held} of {sum(each.turns for each in found)} turns back, "
            f"in {sum(each.budget is not None for each in found)} sessions."
        )
    return " ".join(words)
