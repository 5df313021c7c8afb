"""`fleet inbox` lists what waits for a person, and `fleet answer` sends the person's reply."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import msgspec
import typer

from fleet.cli.connect import Json, Name, complain, connected, named

if TYPE_CHECKING:
    from fleet.client import FleetClient
    from fleet.wire.items import RequestItem

Reply = Literal["once", "always", "reject"]


@connected
async def inbox(fleet: "FleetClient", *, json: Json = False) -> None:
    """List everything that waits for you in all sessions, each with the command that helps.

    These are permissions, questions, failures, used-up budgets, set-ups that are not allowed yet, turns without
    progress, callbacks that could not be delivered, and disabled webhooks.
    """
    from rich.text import Text

    from fleet.cli.sanitize import SafeConsole, json_of, line_of
    from fleet.cli.show_view import short_ids, since
    from fleet.limits import PAGE_MAX
    from fleet.wire.inbox import InboxItem
    from fleet.wire.items import RequestItem

    items = await fleet.inbox(limit=PAGE_MAX)
    if json:
        print(json_of(list(items)))
        return
    parents = await _parents(fleet) if any(each.kind == "callback" for each in items) else {}
    console = SafeConsole()
    for short, each in zip(short_ids([each.session_id or each.webhook_id or "" for each in items]), items, strict=True):
        head = Text.assemble((f"{each.kind:<10}", "bold yellow"), " ", (short, "cyan"), f"  {line_of(each.title)}")
        console.print(head.append(f"  {since(each.at)} ago", "dim"), soft_wrap=True)
        for line in [line_of(each.detail)] if each.request is None else _asked(each.request):
            console.print(f"    {line}", soft_wrap=True)
        match each:
            case InboxItem(request=RequestItem(id=request_id)):
                how = "once|always|reject" if each.kind == "permission" else "ANSWER"
                command = f"fleet answer {short} {how} --request {request_id}"
            case InboxItem(kind="setup"):
                command = f"fleet trust --session {short}"
            case InboxItem(kind="delay"):
                command = f"fleet abort {short}, or wait"
            case InboxItem(kind="budget"):
                command = f"fleet set {short} --no-budget, or with a higher --usd, --tokens or --minutes"
            case InboxItem(kind="callback", session_id=str(child)):
                command = f"fleet resume {parents.get(child, 'PARENT')}"
            case InboxItem(kind="webhook"):
                switch = '-H "Content-Type: application/json" -d \'{"enabled": true}\''
                command = f"curl -X PATCH {fleet.url}/api/webhooks/{each.webhook_id} {switch}"
            case _:
                command = f"fleet resume {short}"
        console.print(f"    {command}", style="dim", soft_wrap=True)
    if not items:
        console.print("Nothing waits for you.")


async def _parents(fleet: "FleetClient") -> dict[str, str]:
    """Return the parents that could not be notified, by child."""
    from fleet.limits import PAGE_MAX

    untold = await fleet.callbacks(status="undelivered", limit=PAGE_MAX)
    return {each.session_id: each.parent_id for each in untold}


@connected
async def answer(
    fleet: "FleetClient",
    *,
    session: Name,
    answers: Annotated[
        list[str], typer.Argument(help="once, always or reject; for a question, one answer for each of its parts.")
    ],
    request: Annotated[
        str | None, typer.Option(metavar="ID", help="The request's id, if several are open (`fleet inbox` lists them).")
    ] = None,
    message: Annotated[
        str | None, typer.Option("--message", "-m", help="With reject: what the agent should do instead.")
    ] = None,
    json: Json = False,
) -> None:
    """Answer a permission request or a question, so that the session continues.

    `always` is valid for every session in the same directory, until their OpenCode process ends.
    """
    from fleet.cli.sanitize import json_of

    found = await named(fleet, session)
    asked = _chosen([each for each in await found.requests() if not each.answered], request)
    if asked.kind == "permission" or answers == ["reject"]:
        try:
            (reply,) = msgspec.convert(answers, tuple[Reply])
        except msgspec.ValidationError as error:
            raise typer.BadParameter(f"a permission is answered with one of {', '.join(get_args(Reply))}") from error
        await found.answer(asked.id, reply, message=message)
        if reply == "always" and (sharing := (await found.read()).sharing):
            others = f"OpenCode does not ask other sessions in the same directory either: {', '.join(sharing)}"
            complain(f"{others}. That ends with their OpenCode process.")
    else:
        await found.answer(asked.id, answers=[[each] for each in answers], message=message)
    if json:
        print(json_of(await found.read()))


def _chosen(requests: "list[RequestItem]", name: str | None) -> "RequestItem":
    from fleet.client import Invalid, NotFound

    found = requests if name is None else [each for each in requests if each.id.startswith(name)]
    if not found:
        raise NotFound(
            "request_not_found", "the session has no open request" if name is None else f"it has no open request {name}"
        )
    if len(found) > 1:
        raise Invalid("ambiguous", f"{len(found)} requests are open: name one with --request; `fleet inbox` lists them")
    return found[0]


def _asked(request: "RequestItem") -> list[str]:
    """Return what a request asks, as lines."""
    from fleet.cli.sanitize import asked_of
    from fleet.cli.tail_view import question_of

    body: dict[str, Any] = msgspec.json.decode(request.request)
    if request.kind == "permission":
        patterns: list[Any] = body.get("patterns") or []
        return [asked_of(" ".join(map(str, (body.get("permission", ""), *patterns))))]
    return [question_of(each) for each in body.get("questions", [])]
