"""`fleet inbox` and `fleet answer`: what waits for a person, and what the person says."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import msgspec
import typer

from fleet.cli.remote import Json, Name, connected, named

if TYPE_CHECKING:
    from fleet.client import FleetClient
    from fleet.wire.items import RequestItem

Reply = Literal["once", "always", "reject"]


@connected
async def inbox(fleet: "FleetClient", *, json: Json = False) -> None:
    """List everything that waits for you in all sessions: permissions, questions, failures, budgets, callbacks."""
    from rich.text import Text

    from fleet.cli.plain import SafeConsole, json_of, line_of
    from fleet.cli.show_view import short_ids, since
    from fleet.limits import PAGE_MAX

    items = await fleet.inbox(limit=PAGE_MAX)
    if json:
        print(json_of(list(items)))
        return
    console = SafeConsole()
    for short, each in zip(short_ids([each.session_id or each.webhook_id or "" for each in items]), items, strict=True):
        head = Text.assemble((f"{each.kind:<10}", "bold yellow"), " ", (short, "cyan"), f"  {line_of(each.title)}")
        console.print(head.append(f"  {since(each.at)} ago", "dim"), soft_wrap=True)
        for line in [line_of(each.detail)] if each.request is None else _asked(each.request):
            console.print(f"    {line}", soft_wrap=True)
        if each.request is not None:
            how = "once|always|reject" if each.kind == "permission" else "ANSWER"
            console.print(f"    fleet answer {short} {how} --request {each.request.id}", style="dim", soft_wrap=True)
    if not items:
        console.print("Nothing waits for you.")


@connected
async def answer(
    fleet: "FleetClient",
    *,
    session: Name,
    answers: Annotated[
        list[str], typer.Argument(help="once, always or reject; of a question an answer for each of its parts.")
    ],
    request: Annotated[
        str | None, typer.Option(help="Which one, where several are open (`fleet inbox` shows them).")
    ] = None,
    message: Annotated[
        str | None, typer.Option("--message", "-m", help="With reject: what it is to do instead.")
    ] = None,
    json: Json = False,
) -> None:
    """Answer a permission request or a question; the session goes on."""
    from fleet.cli.plain import json_of

    found = await named(fleet, session)
    asked = _chosen([each for each in await found.requests() if not each.answered], request)
    if asked.kind == "permission" or answers == ["reject"]:
        try:
            (reply,) = msgspec.convert(answers, tuple[Reply])
        except msgspec.ValidationError as error:
            raise typer.BadParameter(f"a permission is answered with one of {', '.join(get_args(Reply))}") from error
        await found.answer(asked.id, reply, message=message)
    else:
        await found.answer(asked.id, answers=[[each] for each in answers], message=message)
    if json:
        print(json_of(await found.read()))


def _chosen(requests: "list[RequestItem]", name: str | None) -> "RequestItem":
    from fleet.client import Invalid, NotFound

    found = requests if name is None else [each for each in requests if each.id.startswith(name)]
    if not found:
        raise NotFound(
            "request_not_found", "the session asks nothing" if name is None else f"it asks nothing named {name}"
        )
    if len(found) > 1:
        raise Invalid("ambiguous", f"it asks {len(found)} things: name one with --request, `fleet inbox` shows them")
    return found[0]


def _asked(request: "RequestItem") -> list[str]:
    """Return what a request asks, as lines."""
    from fleet.cli.plain import line_of

    body: dict[str, Any] = msgspec.json.decode(request.request)
    if request.kind == "permission":
        patterns: list[Any] = body.get("patterns") or []
        return [line_of(" ".join(map(str, (body.get("permission", ""), *patterns))))]
    lines: list[str] = []
    for question in body.get("questions", []):
        choices: list[dict[str, Any]] = question.get("options") or []
        options = ", ".join(str(choice.get("label")) for choice in choices)
        lines.append(line_of(f"{question.get('question')} ({options})" if options else str(question.get("question"))))
    return lines
