"""`fleet prompt`, `compact` and `withdraw` send a prompt, compact the conversation, and withdraw a waiting prompt."""

import mimetypes
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fleet.cli.commands.new import Agent, ModelName, Wait, model_of, read_text
from fleet.cli.connect import Json, Name, complain, connected, named

if TYPE_CHECKING:
    from fleet.client import FleetClient, Session
    from fleet.wire.bodies import AttachmentBody


@connected
async def prompt(
    fleet: "FleetClient",
    *,
    session: Name,
    text: Annotated[str, typer.Argument(help="The prompt; `-` reads it from stdin.", show_default=False)],
    attach: Annotated[list[Path] | None, typer.Option("--attach", "-a", help="A file to attach; repeatable.")] = None,
    command: Annotated[
        bool, typer.Option("--command", help="TEXT is an OpenCode command with its arguments, such as `review src`.")
    ] = False,
    agent: Agent = None,
    model: ModelName = None,
    steer: Annotated[bool, typer.Option("--steer", help="Send it into the running turn instead of the queue.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the session first if it has ended.")] = False,
    wait: Wait = False,
    json: Json = False,
) -> int:
    """Send a prompt. While the session works, prompts wait in its queue; the command says what they wait for.

    --wait shows the work until all of it is done, and the exit code says how it ended. If the session waits for you
    already, the command ends at once.
    """
    from fleet.cli.sanitize import SafeConsole, json_of
    from fleet.cli.wait import follow_to_end, print_outcome

    said, chosen = read_text(text) or "", model_of(model)
    attachments = [_attachment(file) for file in attach or ()]
    found = await named(fleet, session)
    if resume and (await found.read()).status in ("completed", "stopped", "disconnected"):
        await found.resume()
    async with found.events() as events:
        if command:
            name, _, arguments = said.strip().removeprefix("/").partition(" ")
            await found.command(name, arguments, agent=agent, model=chosen)
        else:
            await found.prompt(
                said, attachments=attachments, agent=agent, model=chosen, delivery="steer" if steer else "queue"
            )
        if not wait:
            await _say_what_it_waits_for(found, "the prompt", json=json)
            return 0
        shown = SafeConsole(file=sys.stderr if json else sys.stdout)
        followed = await follow_to_end(fleet, found, events, shown, prompted=True)
    if json:
        print(json_of(followed.item))
    return print_outcome(followed, shown)


@connected
async def compact(fleet: "FleetClient", *, session: Name, json: Json = False) -> None:
    """Compact the conversation, so that the model has room again. While the session works, this waits in its queue."""
    found = await named(fleet, session)
    await found.compact()
    await _say_what_it_waits_for(found, "it", json=json)


@connected
async def withdraw(
    fleet: "FleetClient",
    *,
    session: Name,
    prompt: Annotated[
        str,
        typer.Argument(help="The prompt's id, or the beginning of the id (`fleet show` shows it).", show_default=False),
    ],
    json: Json = False,
) -> None:
    """Withdraw a prompt that waits in a session's queue."""
    from fleet.cli.sanitize import json_of
    from fleet.client import Invalid

    found = await named(fleet, session)
    waiting = [each.id for each in await found.queue() if each.id.startswith(prompt)]
    if len(waiting) > 1:
        raise Invalid("ambiguous", f"{len(waiting)} prompts begin with {prompt!r}: {', '.join(waiting)}")
    await found.withdraw(waiting[0] if waiting else prompt)
    if json:
        print(json_of(await found.read()))


async def _say_what_it_waits_for(session: "Session", what: str, *, json: bool) -> None:
    from fleet.cli.sanitize import json_of
    from fleet.client.session import waits_behind

    item = await session.read()
    if (behind := waits_behind(item)) is not None:
        complain(f"{what} waits: {behind}.")
    if json:
        print(json_of(item))


def _attachment(file: Path) -> "AttachmentBody":
    from fleet.wire.bodies import AttachmentBody

    try:
        content = file.expanduser().read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}") from error
    kind = mimetypes.guess_type(file.name)[0] or "text/plain"
    if kind.partition("/")[0] not in ("text", "image") and kind != "application/pdf":
        kind = "text/plain"
    return AttachmentBody(kind, file.name, content)
