"""`fleet new` and `fleet fork` create a session."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from fleet.cli.budget import Minutes, Tokens, Usd, budget_of
from fleet.cli.connect import Json, Name, UsageError, completed, connected, named

if TYPE_CHECKING:
    from fleet.client import FleetClient, Session
    from fleet.wire.bodies import ModelBody

Isolation = Literal["existing", "worktree", "clone"]
OnHostLoss = Literal["ask", "resume"]
_ISOLATION: Final = "The directory itself, a git worktree, or a clone"
Wait = Annotated[
    bool, typer.Option("--wait", "-w", help="Show the work until it is done; the exit code says how it ended.")
]
Prompt = Annotated[str | None, typer.Option("--prompt", "-p", help="The first prompt; `-` reads it from stdin.")]
Agent = Annotated[str | None, typer.Option(metavar="AGENT", help="The OpenCode agent.")]
ModelName = Annotated[
    str | None, typer.Option("--model", metavar="PROVIDER/MODEL", help="The model, as `opencode models` lists it.")
]


@connected
async def new(
    fleet: "FleetClient",
    *,
    directory: Annotated[Path, typer.Argument(help="The directory to work in.")] = Path(),
    prompt: Prompt = None,
    title: Annotated[str | None, typer.Option(help="The title; by default the beginning of the prompt.")] = None,
    isolation: Annotated[Isolation, typer.Option("--isolation", "-i", help=f"{_ISOLATION}.")] = "existing",
    branch: Annotated[
        str | None,
        typer.Option(metavar="BRANCH", help="The branch of the worktree or clone, a new or an existing one."),
    ] = None,
    base: Annotated[
        str | None, typer.Option(metavar="REF", help="The branch, tag or commit that a new branch starts from.")
    ] = None,
    agent: Agent = None,
    model: ModelName = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="A tag; repeatable.")] = None,
    notify: Annotated[
        str | None,
        typer.Option(
            metavar="SESSION", help="The parent session, which gets the outcome as a prompt.", autocompletion=completed
        ),
    ] = None,
    usd: Usd = None,
    tokens: Tokens = None,
    minutes: Minutes = None,
    host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|LABEL=VALUE",
            help="The host's name (`fleet hosts`), or a label that the host must have; labels are repeatable.",
        ),
    ] = None,
    cpus: Annotated[float | None, typer.Option(min=0, help="Cores that are reserved on another host.")] = None,
    memory_mb: Annotated[
        int | None, typer.Option(min=0, metavar="MIB", help="Memory that is reserved on another host.")
    ] = None,
    on_host_loss: Annotated[
        OnHostLoss, typer.Option(help="If its host is lost: wait for you, or resume on another host.")
    ] = "ask",
    wait: Wait = False,
    json: Json = False,
) -> int:
    """Create a session, and print its id when it can take a prompt.

    --wait shows on stderr what the session does, until its work is done or it waits for a person.
    """
    text = read_text(prompt)
    if wait and text is None:
        raise UsageError("--wait needs a --prompt: there is nothing to wait for")
    session = await fleet.create(
        str(directory.expanduser().absolute()),
        title=title,
        isolation_strategy=isolation,
        branch=branch,
        base_ref=base,
        prompt=text,
        agent=agent,
        model=model_of(model),
        tags=tag or [],
        on_complete=None if notify is None else (await named(fleet, notify)).id,
        budget=budget_of(usd, tokens, minutes),
        host=host_of(host or []),
        cpus=cpus,
        memory_mb=memory_mb,
        on_host_loss=on_host_loss,
    )
    return await _made(fleet, session, wait=wait, json=json)


@connected
async def fork(
    fleet: "FleetClient",
    *,
    session: Name,
    message: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Fork from before this message (`fleet show --conversation --json` shows its id)."
        ),
    ] = None,
    prompt: Prompt = None,
    title: Annotated[str | None, typer.Option(help="The title; by default that of the session, with `(fork)`.")] = None,
    isolation: Annotated[
        Isolation | None,
        typer.Option("--isolation", "-i", help=f"{_ISOLATION}; by default as the session has it."),
    ] = None,
    wait: Wait = False,
    json: Json = False,
) -> int:
    """Create a session with the conversation and files of another session, and print its id.

    With --message, the fork has conversation and files as they were before that message.
    """
    text = read_text(prompt)
    if wait and text is None:
        raise UsageError("--wait needs a --prompt: there is nothing to wait for")
    forked = await (await named(fleet, session)).fork(title=title, message_id=message, isolation_strategy=isolation)
    if text is not None:
        await forked.prompt(text)
    return await _made(fleet, forked, wait=wait, json=json)


async def _made(fleet: "FleetClient", session: "Session", *, wait: bool, json: bool) -> int:
    from fleet.cli.sanitize import SafeConsole, json_of
    from fleet.cli.wait import follow_to_end, print_outcome

    errors = SafeConsole(file=sys.stderr)
    if not json:
        print(session.id, flush=True)
        where = None if session.created is None else session.created.directory
        errors.print(f"works in {where}", style="dim", soft_wrap=True)
        if session.files_as_of is not None:
            errors.print(
                f"its files are those of event {session.files_as_of}; no later ones were recorded", soft_wrap=True
            )
    if not wait:
        if json:
            print(json_of(session.created))
        return 0
    async with session.events(after=0) as events:
        followed = await follow_to_end(fleet, session, events, errors, prompted=True)
    if json:
        print(json_of(followed.item))
    return print_outcome(followed, errors)


def read_text(given: str | None) -> str | None:
    """Return the text of a prompt, from stdin where it is `-`. Raises `typer.BadParameter` where there is none."""
    text = _stdin() if given == "-" else given
    if text is not None and not text.strip():
        raise typer.BadParameter("the prompt is empty")
    return text


def _stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        what = f"byte {error.object[error.start]:#04x} at offset {error.start}"
        raise typer.BadParameter(f"standard input is not text in UTF-8: {what}") from error


def host_of(given: Sequence[str]) -> str | dict[str, str] | None:
    """Return the name of a host, or the labels that it must have. Raises `typer.BadParameter`."""
    labels = dict(each.split("=", 1) for each in given if "=" in each)
    if not labels and len(given) == 1:
        return given[0]
    if len(labels) != len(given):
        raise typer.BadParameter("--host takes one name, or labels that differ, such as --host gpu=true --host zone=a")
    return labels or None


def model_of(name: str | None) -> "ModelBody | None":
    """Return the model with this name. Raises `typer.BadParameter`."""
    from fleet.wire.bodies import ModelBody

    if name is None:
        return None
    provider, slash, model = name.partition("/")
    if not slash or not provider or not model:
        raise typer.BadParameter(f"{name!r} is not a model: write PROVIDER/MODEL, as `opencode models` lists them")
    return ModelBody(provider, model)
