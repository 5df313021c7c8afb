"""`fleet show` shows everything about one session."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from fleet.cli.connect import At, Json, Name, connected, named, now_at
from fleet.ports import LOCAL

if TYPE_CHECKING:
    from rich.text import Text

    from fleet.client import FleetClient, Session
    from fleet.wire.items import SessionDetail


@connected
async def show(
    fleet: "FleetClient",
    *,
    session: Name,
    conversation: Annotated[bool, typer.Option("--conversation", "-c", help="Show the conversation, too.")] = False,
    at: At = None,
    json: Json = False,
) -> None:
    """Show a session: directory, status, cost, and what it waits for; with --at as it was then."""
    from fleet.cli.sanitize import SafeConsole, json_of, line_of

    found = await named(fleet, session)
    item = await found.read(at=at)
    messages = await _messages(found, at) if conversation else None
    if json:
        print(json_of(item if messages is None else {"session": item, "messages": messages}))
        return
    console = SafeConsole()
    place = await _workspace(fleet, item) if at is None else []
    for name, value in (*_facts(item, await now_at(fleet, at)), *place):
        console.print(f"{name:<11}", style="dim", end="")
        console.print(value, soft_wrap=True)
    if item.queued:
        for prompt in await found.queue(at=at):
            console.print(f"waits      {prompt.id}  {line_of(prompt.text)[:200]}", soft_wrap=True)
    for message in messages or ():
        for line in _said(message):
            console.print(line, soft_wrap=True)


def _paused(item: "SessionDetail") -> str | None:
    """Return why prompts that wait do not go, None where they do or none wait."""
    from fleet.cli.show_view import counted

    if not item.queued or item.queue_paused is None:
        return None
    return f"{counted(item.queued, 'waits', 'wait')}; {item.queue_paused}"


def _facts(item: "SessionDetail", now: float | None) -> "list[tuple[str, Text]]":
    from rich.text import Text

    from fleet.cli.sanitize import line_of
    from fleet.cli.show_view import amount, changes, limits_of, since, status, tokens

    limited = limits_of(item.budget)
    facts: list[tuple[str, Any]] = [
        ("id", f"{item.id}  ({item.opencode_id})"),
        ("title", Text(line_of(item.title), "bold")),
        ("status", status(item).append(f" for {since(item.status_since, now)}: {item.evidence}", "not bold default")),
        ("host", None if item.host == LOCAL else item.host),
        *(("returned", f"newer work came back from {each.host}: {each.ref}") for each in item.returned),
        ("directory", item.directory),
        ("isolation", item.isolation_strategy + (f" of {item.source_directory}" if item.branch else "")),
        ("branch", item.branch),
        ("parent", " > ".join(f"{each.title} ({each.id})" for each in item.ancestors)),
        ("children", ", ".join(f"{each.title} ({each.id}, {each.status})" for each in item.children)),
        ("tags", ", ".join(item.tags)),
        ("turns", f"{item.turns}, the last one {item.outcome}" if item.outcome else str(item.turns)),
        ("changes", changes(item.changes)),
        ("used", f"{amount(tokens(item.tokens))} tokens, ${item.cost_usd:.4f}" + (f" of {limited}" if limited else "")),
        ("queue", _paused(item)),
        ("failure", None if item.failure is None else Text(f"{item.failure.detail} [{item.failure.code}]", "red")),
        *(("asks", f"{each.kind} {each.id}") for each in item.requests),
        *(
            ("allowed", f"{each.permission} {', '.join(each.patterns)}: `always` in session {each.session_id}")
            for each in item.allowed
        ),
    ]
    return [(name, value if isinstance(value, Text) else Text(line_of(value))) for name, value in facts if value]


async def _workspace(fleet: "FleetClient", item: "SessionDetail") -> "list[tuple[str, Text]]":
    """Return the ports of the session's workspace, and what of its source it does not have."""
    from rich.text import Text

    from fleet.cli.sanitize import line_of
    from fleet.client import NotFound

    try:
        workspace = await fleet.workspace(item.workspace_id)
    except NotFound:
        return []  # it was never made
    ports = workspace.ports
    had = [] if ports is None else [("ports", Text(f"{ports.first} to {ports.first + ports.count - 1}"))]
    return [*had, *(("lacks", Text(line_of(each.detail))) for each in workspace.not_carried)]


async def _messages(session: "Session", at: str | None) -> list[dict[str, Any]]:
    """Return the whole transcript, oldest first."""
    import msgspec

    from fleet.limits import PAGE_MAX

    found: list[dict[str, Any]] = []
    before: str | None = None
    while True:
        page = await session.messages(limit=PAGE_MAX, before=before, at=at)
        found[:0] = msgspec.json.decode(msgspec.json.encode(page.messages))
        before = page.pagination.before
        if before is None:
            return found


def _said(message: dict[str, Any]) -> "list[Text]":
    from rich.text import Text

    from fleet.cli.sanitize import plain
    from fleet.cli.tail_view import lines_of_part

    if message["info"].get("role") == "user":
        texts = [str(part.get("text", "")) for part in message["parts"] if part.get("type") == "text"]
        return [Text(""), *(Text(f"> {line}", "bold") for text in texts for line in plain(text).strip().splitlines())]
    return [line for part in message["parts"] for line in lines_of_part(part)]
